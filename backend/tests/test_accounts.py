"""Registration, log in, and access tokens."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock, get_ident

import pytest
from fastapi.testclient import TestClient

from todo import security
from todo.settings import Settings

ANNA = {"email": "anna@example.com", "password": "correct horse"}


def test_registered_user_logs_in_and_is_known(client: TestClient) -> None:
    assert client.post("/auth/register", json=ANNA).status_code == 201
    answer = client.post("/auth/login", json=ANNA)
    assert answer.status_code == 200
    token = answer.json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 15 * 60
    assert 0 < token["refresh_expires_in"] <= 30 * 24 * 60 * 60
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.json()["email"] == ANNA["email"]


def test_email_is_one_whatever_its_case(client: TestClient) -> None:
    client.post("/auth/register", json=ANNA)
    again = client.post("/auth/register", json=ANNA | {"email": " Anna@Example.com"})
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json()["code"] == "accounts.email_taken"


@pytest.mark.parametrize("change", [{"password": "wrong horse"}, {"email": "nobody@example.com"}])
def test_wrong_credentials_are_indistinguishable(
    client: TestClient, change: dict[str, str]
) -> None:
    client.post("/auth/register", json=ANNA)
    answer = client.post("/auth/login", json=ANNA | change)
    assert answer.status_code == 401
    assert answer.json()["code"] == "accounts.wrong_credentials"


@pytest.mark.parametrize(
    ("credentials", "field"),
    [
        ({"email": "no address", "password": "long enough"}, "email"),
        ({"email": "anna@example.com", "password": "short"}, "password"),
        ({"email": "anna@example.com"}, "password"),
    ],
)
def test_invalid_registration_names_the_field_and_not_the_input(
    client: TestClient, credentials: dict[str, str], field: str
) -> None:
    answer = client.post("/auth/register", json=credentials)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "request.invalid"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert "short" not in [error["message"] for error in problem["errors"]]
    assert credentials.get("password", "absent") not in answer.text


def test_password_is_kept_as_argon2_only(client: TestClient) -> None:
    portal = client.portal
    assert portal is not None
    hashed = portal.call(security.hash_password, "correct horse")
    assert hashed.startswith("$argon2id$")
    assert "correct horse" not in hashed


def test_expired_forged_and_missing_tokens_are_refused(
    client: TestClient, settings: Settings
) -> None:
    client.post("/auth/register", json=ANNA)
    token = client.post("/auth/login", json=ANNA).json()["access_token"]
    access = security.read_access_token(settings, token)
    assert access is not None
    expired = security.issue_access_token(
        settings.model_copy(update={"access_token_lifetime": timedelta(seconds=-1)}), access
    )
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    for wrong in (expired, forged, "x"):
        answer = client.get("/auth/me", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401, wrong
        assert answer.json()["code"] == "accounts.not_logged_in"
    assert client.get("/auth/me").status_code == 401


def test_passwords_are_hashed_outside_of_the_event_loop_two_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Lock()
    active, most, threads = 0, 0, set()

    class Hasher:
        def hash(self, password: str) -> str:
            nonlocal active, most
            with lock:
                active += 1
                most = max(most, active)
                threads.add(get_ident())
            time.sleep(0.05)
            with lock:
                active -= 1
            return password

    monkeypatch.setattr(security, "_hasher", Hasher())
    assert client.portal
    event_loop = client.portal.call(get_ident)
    people = [ANNA | {"email": f"{number}@example.com"} for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda who: client.post("/auth/register", json=who), people))
    assert [answer.status_code for answer in answers] == [201] * 8
    assert most == 2
    assert event_loop not in threads


def test_too_many_simultaneous_log_ins_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "WAITING_AT_MOST", 0)
    answer = client.post("/auth/register", json=ANNA)
    assert (answer.status_code, answer.json()["code"]) == (503, "server.busy")
    assert answer.headers["retry-after"] == "5"
