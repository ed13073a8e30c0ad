"""A remote database: the parameters of its URL, and lost connections."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL, NullPool, event, text
from sqlalchemy import create_engine as create_plain_engine
from sqlalchemy.exc import OperationalError

from todo.database import create_engine
from todo.settings import parse_database_url

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"


async def ask(url: URL, question: str) -> object:
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(text(question))
    finally:
        await engine.dispose()


def test_encryption_of_the_url_is_used(database: URL) -> None:
    wanted = database.query.get("sslmode") == "require"
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert asyncio.run(ask(database, question)) is wanted


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ("sslmode=require", "server does not support SSL"),
        ("sslmode=disable&channel_binding=require", "channel binding required"),
    ],
)
def test_server_without_a_required_feature_is_refused(parameters: str, refusal: str) -> None:
    def refuse_encryption() -> None:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(1024)
            if b"user" in request:
                # A handshake without encryption: "authenticated" without a password.
                connection.sendall(b"R\0\0\0\x08\0\0\0\0")
            else:
                connection.sendall(b"N")
            connection.recv(1024)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=refuse_encryption, daemon=True).start()
        address = f"postgresql://u:p@127.0.0.1:{listener.getsockname()[1]}/d?{parameters}"
        with pytest.raises(OperationalError, match=refusal):
            asyncio.run(ask(parse_database_url(SecretStr(address)), "SELECT 1"))


def test_requests_survive_lost_connections(client: TestClient, database: URL, server: URL) -> None:
    credentials = {"email": "anna@example.com", "password": "correct horse"}
    client.post("/auth/register", json=credentials)
    token = client.post("/auth/login", json=credentials).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    administration = create_plain_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def list_todos(_: int) -> int:
        status: int = client.get("/todos", headers=headers).status_code
        return status

    with ThreadPoolExecutor(8) as people, administration.connect() as connection:
        for _ in range(3):
            assert list(people.map(list_todos, range(8))) == [200] * 8
            cut = connection.execute(text(CUT), {"name": database.database}).all()
            assert cut, "nothing was connected"


def test_connection_lost_during_a_request_is_reported(
    client: TestClient, server: URL, database: URL
) -> None:
    engine = client.app.state.engine  # type: ignore[attr-defined]
    administration = create_plain_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def cut(*_: object) -> None:
        with administration.connect() as connection:
            connection.execute(text(CUT), {"name": database.database})

    event.listen(engine.sync_engine, "before_cursor_execute", cut, once=True)
    answer = client.post("/auth/logout", json={"refresh_token": "x"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "database.unavailable"
    assert answer.headers["retry-after"]
    assert client.post("/auth/logout", json={"refresh_token": "x"}).status_code == 204
