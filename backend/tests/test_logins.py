"""Duration and end of log-ins."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import URL, NullPool, create_engine, text

from todo import logins

ANNA = {"email": "anna@example.com", "password": "correct horse"}


def log_in(client: TestClient) -> dict[str, Any]:
    client.post("/auth/register", json=ANNA)
    answer = client.post("/auth/login", json=ANNA)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def refresh(client: TestClient, tokens: dict[str, Any]) -> Any:  # noqa: ANN401  an answer
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def is_known(client: TestClient, tokens: dict[str, Any]) -> bool:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return client.get("/auth/me", headers=headers).status_code == 200


def test_refresh_gives_new_tokens_for_the_same_log_in(client: TestClient) -> None:
    first = log_in(client)
    second = refresh(client, first).json()
    third = refresh(client, second).json()
    assert first.keys() == second.keys()
    assert len({tokens["refresh_token"] for tokens in (first, second, third)}) == 3
    assert is_known(client, third)
    assert third["refresh_expires_in"] <= first["refresh_expires_in"]


def test_reuse_of_a_refresh_token_ends_the_log_in(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_device = log_in(client)
    stolen = log_in(client)
    rightful = refresh(client, stolen).json()
    monkeypatch.setattr(logins, "SECOND_USE", timedelta())
    again = refresh(client, stolen)
    assert again.status_code == 401
    assert again.json()["code"] == "accounts.login_ended"
    assert refresh(client, rightful).status_code == 401
    assert not is_known(client, rightful)
    assert is_known(client, other_device)


def test_simultaneous_refreshes_keep_the_log_in(client: TestClient) -> None:
    tokens = log_in(client)
    with ThreadPoolExecutor(4) as tabs:
        answers = list(tabs.map(lambda _: refresh(client, tokens), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    for answer in answers:
        assert is_known(client, answer.json())
        assert refresh(client, answer.json()).status_code == 200


def test_log_out_ends_every_token_and_may_be_repeated(client: TestClient) -> None:
    tokens = log_in(client)
    for _ in range(2):
        answer = client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == 204
        assert not is_known(client, tokens)
        assert refresh(client, tokens).status_code == 401
    assert client.post("/auth/logout", json={"refresh_token": "none of ours"}).status_code == 204


def test_expired_log_in_is_invalid_and_deleted_later(client: TestClient, database: URL) -> None:
    tokens = log_in(client)
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE logins SET expires_at = now()"))
    assert not is_known(client, tokens)
    assert refresh(client, tokens).json()["code"] == "accounts.login_ended"
    # The next log-in deletes it, with its tokens.
    log_in(client)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM logins")) == 1
        assert connection.scalar(text("SELECT count(*) FROM refresh_tokens")) == 1


def test_database_has_no_usable_token(client: TestClient, database: URL) -> None:
    tokens = log_in(client)
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as connection:
        [(kept,)] = connection.execute(text("SELECT token_hash FROM refresh_tokens")).all()
    for spelled in (kept.hex(), bytes(kept).decode("latin-1")):
        assert refresh(client, {"refresh_token": spelled}).status_code == 401
    assert tokens["refresh_token"].encode() not in bytes(kept)


def test_guessing_is_blocked_only_for_that_account(client: TestClient) -> None:
    log_in(client)
    wrong = ANNA | {"password": "wrong horse"}
    for _ in range(logins.FAILED_ATTEMPTS):
        assert client.post("/auth/login", json=wrong).status_code == 401
    stopped = client.post("/auth/login", json=ANNA)
    assert stopped.status_code == 429
    assert stopped.json()["code"] == "accounts.too_many_attempts"
    assert 0 < int(stopped.headers["retry-after"]) <= logins.FAILED_ATTEMPTS_SECONDS + 1
    bert = ANNA | {"email": "bert@example.com"}
    client.post("/auth/register", json=bert)
    assert client.post("/auth/login", json=bert).status_code == 200


def test_successful_log_in_resets_the_attempts(client: TestClient) -> None:
    log_in(client)
    wrong = ANNA | {"password": "wrong horse"}
    for _ in range(2):
        for _ in range(logins.FAILED_ATTEMPTS - 1):
            assert client.post("/auth/login", json=wrong).status_code == 401
        assert client.post("/auth/login", json=ANNA).status_code == 200
