"""Brings the database's schema up to what this build needs: `python -m todo.migrate`."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, NullPool, create_engine, text

from todo.database import connect_arguments
from todo.settings import Settings

log = logging.getLogger(__name__)

# Any number that no other user of the database's advisory locks takes.
LOCK = 7_318_420_251


def migrate(url: URL) -> None:
    """Apply what is missing, in one transaction; processes that start together take turns."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
    with engine.begin() as connection:
        # Held to the end of the transaction, so a pooler cannot part the lock from the work.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if is_newer(ScriptDirectory.from_config(config), MigrationContext.configure(connection)):
            log.warning("the database's schema is newer than this build: left as it is")
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_newer(scripts: ScriptDirectory, context: MigrationContext) -> bool:
    """Tell whether a later build was here: after a rollback the database stays ahead, by design."""
    try:
        for head in context.get_current_heads():
            scripts.get_revision(head)
    except CommandError:
        return True
    return False


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    migrate(Settings().sqlalchemy_url)
