"""The folders of the scripts. environment.sh defines the same folders for the shell."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todohost"
STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "todohost"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
LOGS = STATE / "log"
