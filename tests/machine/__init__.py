"""An engine, clusters and a database for a machine without Docker, image registry or cluster.

Nothing outside of this folder depends on it. `tests/machine/machine --help` lists the commands.
"""
