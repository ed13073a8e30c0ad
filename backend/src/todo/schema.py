"""The revisions of the database's schema that this build knows, and the one that it needs."""

from collections.abc import Collection
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic's table with the current revision of the database.
REVISIONS_OF_DATABASE = "SELECT version_num FROM alembic_version"


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@cache
def known_revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(alembic_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


@cache
def needed_revision() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def is_newer(revisions: Collection[str]) -> bool:
    """Return whether a later build migrated the database, to a revision unknown to this build."""
    return not known_revisions().issuperset(revisions)


def is_enough(revisions: Collection[str]) -> bool:
    """Return whether this build works with a schema: its own, or any later one.

    Migrations only expand the schema of the previous build, which therefore works during a rollout
    and after a rollback.
    """
    return needed_revision() in revisions or is_newer(revisions)
