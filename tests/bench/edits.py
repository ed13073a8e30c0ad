#!/usr/bin/env python3
"""Measures the loop after an edit: which crates `make build` compiles again, their lines, and its seconds.

edits.py FILE...: each file gets one more constant, the build runs, and the file gets its content back.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPILING = re.compile(r"^\s*Compiling (\S+) v\S+ \((/\S+)\)$", re.MULTILINE)


def build() -> tuple[float, dict[str, str]]:
    """Runs the build; gives its seconds, and the crates of the workspace that it compiled, with their folders."""
    # Without it cargo does not print the names of the crates.
    environment = {**os.environ, "CARGO_TERM_QUIET": "false"}
    began = time.monotonic()
    done = subprocess.run(["make", "build"], cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, dict(COMPILING.findall(done.stderr))


def lines(folder: str) -> int:
    """The lines of a crate's sources."""
    return sum(len(file.read_text().splitlines()) for file in Path(folder, "src").rglob("*.rs"))


def main(files: list[str]) -> None:
    """Prints a line for each file."""
    build()
    for name in files:
        file = ROOT / name
        content = file.read_text()
        try:
            if file.suffix == ".rs":
                file.write_text(f"{content}\n#[expect(dead_code)]\nconst EDITED: u64 = {time.time_ns()};\n")
            else:
                file.write_text(f"{content}\n")
            seconds, crates = build()
        finally:
            file.write_text(content)
        total = sum(lines(folder) for folder in crates.values())
        print(f"{name}: {seconds:.1f} s, {total} lines of {', '.join(crates) or 'no crate'}", flush=True)
        build()


if __name__ == "__main__":
    main(sys.argv[1:])
