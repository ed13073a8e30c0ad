"""Migrates the database to the schema of this build: `python -m todo.migrate`.

Expand, then contract. The migration of a release runs while pods of the previous one still serve,
and a rollback leaves it in place. So a migration only adds objects that the previous build can
ignore: tables, columns that are nullable or have a default, indexes. Unused objects are removed one
release after their last use, in a revision with `contracts`, which names the build that stopped to
use them. A test refuses anything else.
"""

import logging
import signal
import sys
import time

from alembic import command
from alembic.runtime.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from todo import logs, schema
from todo.database import connect_arguments
from todo.problem import describe_database_error
from todo.settings import DatabaseSettings, report_invalid_settings

log = logging.getLogger(__name__)

# Any number that is not used by another advisory lock of the database.
LOCK = 7_318_420_251

# A statement that cannot lock its table fails, because waiting would block all later ones.
LOCK_TIMEOUT = "10s"

RETRY_SECONDS = 2.0


def migrate(url: URL) -> None:
    """Apply missing migrations in one transaction; simultaneous processes take turns."""
    config = schema.alembic_config()
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
    with engine.begin() as connection:
        # Held to the end of the transaction, so that a pooler cannot separate the lock from the
        # work.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        before = MigrationContext.configure(connection).get_current_heads()
        if schema.is_newer(before):
            log.warning("the database's schema is newer than this build: it is not changed")
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if before == (schema.needed_revision(),):
        log.info("the database's schema is at %s already", schema.needed_revision())
    else:
        came_from = ", ".join(before) or "nothing"
        log.info("migrated the database from %s to %s", came_from, schema.needed_revision())


def main() -> int:
    logs.configure()
    # Signals without a handler do not end the first process of a container.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        settings = DatabaseSettings()
    except ValidationError as error:
        return report_invalid_settings(error)
    deadline = time.monotonic() + settings.migration_patience_seconds
    while True:
        try:
            migrate(settings.sqlalchemy_url)
        except OperationalError as error:
            # The database does not run yet, or a table is locked: the transaction was rolled back.
            if time.monotonic() > deadline:
                log.error("cannot migrate: %s", describe_database_error(error))
                return 1
            log.warning("cannot migrate yet: %s", describe_database_error(error))
            time.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("the migration failed, and was rolled back")
            return 1
        else:
            return 0


if __name__ == "__main__":
    sys.exit(main())
