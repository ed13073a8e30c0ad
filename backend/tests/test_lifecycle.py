"""Migration, readiness and the end of a process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL, NullPool, create_engine, inspect, text

from todo.app import create_app
from todo.migrate import migrate
from todo.models import Base
from todo.settings import Settings


def test_migrations_make_what_the_models_say(database: URL) -> None:
    migrate(database)
    engine = create_engine(database, poolclass=NullPool)
    inspector = inspect(engine)
    for table in Base.metadata.sorted_tables:
        made = {c["name"]: c["nullable"] for c in inspector.get_columns(table.name)}
        assert made == {c.name: c.nullable for c in table.columns}
    assert set(inspector.get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_migrations_started_together_take_turns(database: URL) -> None:
    with ThreadPoolExecutor(4) as pool:
        for outcome in [pool.submit(migrate, database) for _ in range(4)]:
            outcome.result()


def test_schema_of_a_later_build_is_left_alone(database: URL, settings: Settings) -> None:
    migrate(database)
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    migrate(database)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "later"


def test_alive_but_not_ready_without_database(settings: Settings) -> None:
    nobody_there = settings.model_copy(
        update={"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/none")}
    )
    with TestClient(create_app(nobody_there)) as client:
        assert client.get("/health/live").status_code == 200
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        login = client.post(
            "/auth/login", json={"email": "a@example.com", "password": "long enough"}
        )
        assert login.status_code == 503
        assert login.json()["code"] == "database.unavailable"


def test_readiness_asks_the_database_seldom_and_recovers(
    client: TestClient, database: URL, server: URL
) -> None:
    readiness = client.app.state.readiness  # type: ignore[attr-defined]
    readiness.good_for_seconds = readiness.bad_for_seconds = 0.0
    assert client.get("/health/ready").status_code == 200
    # Every connection is cut: the pool finds out and connects again.
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
    with engine.connect() as connection:
        connection.execute(text(cut), {"name": database.database})
        assert client.get("/health/ready").status_code == 200
        # Now nobody may connect: not ready, unless the last good answer still stands.
        connection.execute(text(f"ALTER DATABASE {database.database} ALLOW_CONNECTIONS false"))
        connection.execute(text(cut), {"name": database.database})
        assert client.get("/health/ready").json()["code"] == "database.unavailable"
        connection.execute(text(f"ALTER DATABASE {database.database} ALLOW_CONNECTIONS true"))
        readiness.good_for_seconds = 60.0
        assert client.get("/health/ready").status_code == 200
        connection.execute(text(f"ALTER DATABASE {database.database} ALLOW_CONNECTIONS false"))
        connection.execute(text(cut), {"name": database.database})
        assert client.get("/health/ready").status_code == 200


@pytest.fixture
def process(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "todo"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent.parent / "src"),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "JWT_SECRET": settings.jwt_secret.get_secret_value(),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "MIGRATE_AT_START": "true",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def test_process_becomes_ready_and_stops_at_once(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    server, address = process
    deadline = time.monotonic() + 30
    # A connection that is kept open and idle must not hold up the end.
    with httpx.Client(base_url=address) as client:
        while True:
            assert time.monotonic() < deadline
            assert server.poll() is None
            try:
                if client.get("/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) in (0, -signal.SIGTERM)
    assert time.monotonic() - began < 2
