"""kind: the program, and a node image made here. The cluster itself is made by whoever uses kind."""

from pathlib import Path

from machine.place import STATE


def folder() -> Path:
    """The folder with the program that users call."""
    return STATE / "kind"


def up() -> None:
    """Makes the program and the node image."""


def down() -> None:
    """Removes the nodes."""
