"""Migrations: run once, one process at a time, without blocking the users of the tables."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from todo import migrate as migration
from todo import schema
from todo.migrate import migrate
from todo.models import Base


def migrate_to(url: URL, revision: str) -> None:
    config = schema.alembic_config()
    with create_engine(url, poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def revision_of(url: URL) -> str | None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_migrations_create_the_tables_of_the_models(new_database: URL) -> None:
    migrate(new_database)
    with create_engine(new_database, poolclass=NullPool).begin() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_can_be_reverted(new_database: URL) -> None:
    migrate(new_database)
    config = schema.alembic_config()
    with create_engine(new_database, poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    migrate(new_database)


def test_simultaneous_migrations_take_turns(new_database: URL) -> None:
    with ThreadPoolExecutor(4) as pool:
        for outcome in [pool.submit(migrate, new_database) for _ in range(4)]:
            outcome.result()
    assert revision_of(new_database) == schema.needed_revision()


def test_schema_of_a_later_build_is_not_changed(new_database: URL) -> None:
    migrate(new_database)
    with create_engine(new_database, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    migrate(new_database)
    assert revision_of(new_database) == "later"


def test_previous_build_works_after_the_migration(new_database: URL) -> None:
    migrate_to(new_database, "0001")
    user = "INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), :email, 'x')"
    todo = (
        "INSERT INTO todos (id, user_id, title, completed) "
        "SELECT gen_random_uuid(), id, 'x', false FROM users WHERE email = :email"
    )
    engine = create_engine(new_database, poolclass=NullPool)
    for email in ("before", "after"):
        with engine.begin() as connection:
            connection.execute(text(user), {"email": email})
            connection.execute(text(todo), {"email": email})
        migrate(new_database)
    with engine.begin() as connection:
        kept = "SELECT count(*) FROM todos WHERE due_date IS NULL"
        assert connection.scalar(text(kept)) == 2


def test_wait_for_a_locked_table_is_limited(
    new_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "LOCK_TIMEOUT", "100ms")
    migrate_to(new_database, "0001")
    with create_engine(new_database, poolclass=NullPool).connect() as other:
        other.execute(text("SELECT count(*) FROM todos"))
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(new_database)
    assert revision_of(new_database) == "0001"
    migrate(new_database)


def start(**environment: str) -> subprocess.Popen[str]:
    source = Path(__file__).parent.parent / "src"
    return subprocess.Popen(
        [sys.executable, "-m", "todo.migrate"],
        env={"PYTHONPATH": str(source), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_program_needs_only_the_database_and_logs_its_result(new_database: URL) -> None:
    address = new_database.render_as_string(hide_password=False)
    for told in (f"from nothing to {schema.needed_revision()}", "already"):
        process = start(DATABASE_URL=address)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert told in errors


def test_program_logs_its_failure_in_one_line() -> None:
    process = start(
        DATABASE_URL="postgresql://u:hunter22@127.0.0.1:1/d", MIGRATION_PATIENCE_SECONDS="0"
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot migrate: connection failed" in errors
    assert "Traceback" not in errors
    assert "hunter22" not in errors


def test_program_that_waits_for_the_database_ends_on_sigterm() -> None:
    process = start(DATABASE_URL="postgresql://u@127.0.0.1:1/d")
    assert process.stderr
    assert "cannot migrate yet" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
