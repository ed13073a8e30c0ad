"""Modules of Go as the module proxy has them: their sources, unpacked in Go's own cache."""

import json
from pathlib import Path

from machine.process import run


def fetched(module: str, version: str) -> Path:
    """Returns the read-only folder with a module's sources."""
    return Path(json.loads(run("go", "mod", "download", "-json", f"{module}@{version}"))["Dir"])
