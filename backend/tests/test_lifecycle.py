"""Liveness, readiness, start and end of a process."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL, NullPool, create_engine, event, text

from running_app import RunningApp
from todo.app import create_app
from todo.health import Readiness
from todo.migrate import migrate
from todo.settings import Settings


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


def test_readiness_needs_the_schema_or_a_later_one(settings: Settings, new_database: URL) -> None:
    address = SecretStr(new_database.render_as_string(hide_password=False))
    engine = create_engine(new_database, poolclass=NullPool)

    def set_revision(revision: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})

    with TestClient(create_app(settings.model_copy(update={"database_url": address}))) as client:
        readiness: Readiness = client.app.state.readiness  # type: ignore[attr-defined]
        readiness.good_for_seconds = readiness.bad_for_seconds = 0.0
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "database.schema_too_old")
        migrate(new_database)
        assert client.get("/health/ready").status_code == 200
        set_revision("0001")
        assert client.get("/health/ready").json()["code"] == "database.schema_too_old"
        set_revision("of a later build")
        assert client.get("/health/ready").status_code == 200


def test_readiness_is_cached(client: TestClient) -> None:
    asked = 0

    def count(*_: object) -> None:
        nonlocal asked
        asked += 1

    engine = client.app.state.engine  # type: ignore[attr-defined]
    event.listen(engine.sync_engine, "before_cursor_execute", count)
    readiness: Readiness = client.app.state.readiness  # type: ignore[attr-defined]
    assert readiness.good_for_seconds == 30
    with ThreadPoolExecutor(8) as probes:
        for answer in probes.map(lambda _: client.get("/health/ready"), range(24)):
            assert answer.status_code == 200
    assert asked == 1


def test_readiness_recovers_with_the_database(
    settings: Settings, new_database: URL, server: URL
) -> None:
    migrate(new_database)
    address = SecretStr(new_database.render_as_string(hide_password=False))
    name = new_database.database
    with (
        create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as admin,
        TestClient(create_app(settings.model_copy(update={"database_url": address}))) as client,
    ):
        readiness: Readiness = client.app.state.readiness  # type: ignore[attr-defined]
        readiness.bad_for_seconds = 0.0

        def close_database() -> None:
            admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            admin.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
                {"n": name},
            )

        assert client.get("/health/ready").status_code == 200
        close_database()
        # The last good result is still cached.
        assert client.get("/health/ready").status_code == 200
        readiness.good_for_seconds = 0.0
        assert client.get("/health/ready").json()["code"] == "database.unavailable"
        admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        assert client.get("/health/ready").status_code == 200


def test_process_migrates_if_configured_and_stops_at_once(
    settings: Settings, new_database: URL
) -> None:
    app = RunningApp(
        DATABASE_URL=new_database.render_as_string(hide_password=False),
        JWT_SECRET=settings.jwt_secret.get_secret_value(),
        MIGRATE_AT_START="true",
    )
    try:
        # An open idle connection must not delay the end.
        app.wait_until_ready()
        began = time.monotonic()
        app.process.terminate()
        assert app.process.wait(timeout=10) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 5
    finally:
        app.stop()
