"""What a machine without Docker, image registry or cluster needs to run the real thing.

Nothing outside this folder knows of it. `tests/machine/machine --help` shows what it can do.
"""
