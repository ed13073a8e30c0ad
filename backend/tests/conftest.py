"""A real PostgreSQL for the tests: that of TEST_DATABASE_URL, or a temporary one."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from todo.app import create_app
from todo.migrate import migrate
from todo.settings import Settings

DEBIAN_PROGRAMS = "/usr/lib/postgresql"


def find_program(name: str) -> str:
    packaged = sorted(Path(DEBIAN_PROGRAMS).glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(packaged[-1]) if packaged else None)
    if found is None:
        pytest.exit(f"{name} is missing: install PostgreSQL or set TEST_DATABASE_URL", 2)
    return found


@pytest.fixture(scope="session")
def server() -> Iterator[URL]:
    """Administrative URL of a server on which the tests can create databases."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    # PostgreSQL refuses to run as root; Debian's package has a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="todo-postgres-") as name:
        home = Path(name)
        if user:
            shutil.chown(home, user)
        data = home / "data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [find_program(program), *arguments],
                check=True, user=user, cwd=home, stdout=subprocess.DEVNULL,
            )  # fmt: skip

        run("initdb", "--pgdata", str(data), "--username", "todo", "--auth", "trust", "--no-sync")
        # It listens only on a socket in its own directory, so that ports cannot collide.
        options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
        run(
            "pg_ctl", "--pgdata", str(data), "--log", str(home / "log"),
            "--options", options, "--wait", "start",
        )  # fmt: skip
        try:
            yield URL.create(
                "postgresql+psycopg", "todo", database="postgres", query={"host": str(home)}
            )
        finally:
            run("pg_ctl", "--pgdata", str(data), "--mode", "immediate", "--wait", "stop")


@contextmanager
def make_database(server: URL) -> Iterator[URL]:
    name = f"todo_test_{secrets.token_hex(6)}"
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def shared_database(server: URL) -> Iterator[URL]:
    with make_database(server) as url:
        migrate(url)
        yield url


@pytest.fixture
def database(shared_database: URL) -> URL:
    """URL of a database with its schema, without data."""
    with create_engine(shared_database, poolclass=NullPool).begin() as connection:
        # All data belongs to users.
        connection.execute(text("TRUNCATE users CASCADE"))
    return shared_database


@pytest.fixture
def new_database(server: URL) -> Iterator[URL]:
    """URL of an empty database for a single test."""
    with make_database(server) as url:
        yield url


@pytest.fixture
def settings(database: URL) -> Settings:
    return Settings(
        database_url=SecretStr(database.render_as_string(hide_password=False)),
        jwt_secret=SecretStr("0123456789abcdef0123456789abcdef"),
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of the running app."""
    with TestClient(create_app(settings)) as client:
        yield client
