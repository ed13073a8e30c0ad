"""What this build knows of the database's schema: which revisions there are, and which it needs."""

from collections.abc import Collection
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"

# Where Alembic keeps the revision that the database is at.
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
    """Tell whether a later build migrated: its revisions are none that this build knows."""
    return not known_revisions().issuperset(revisions)


def is_enough(revisions: Collection[str]) -> bool:
    """Tell whether this build works with a schema: its own, or any later one.

    Migrations only ever expand what the last build used, so it goes on working: while a rollout
    replaces it, and after a rollback to it.
    """
    return needed_revision() in revisions or is_newer(revisions)
