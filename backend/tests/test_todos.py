"""The todos of one user, and the walls between users."""

from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from todo import security


def log_in(client: TestClient, email: str) -> dict[str, str]:
    credentials = {"email": email, "password": "correct horse"}
    client.post("/auth/register", json=credentials)
    token = client.post("/auth/login", json=credentials).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def anna(client: TestClient) -> dict[str, str]:
    return log_in(client, "anna@example.com")


def add(client: TestClient, headers: dict[str, str], title: str) -> str:
    answer = client.post("/todos", json={"title": title}, headers=headers)
    assert answer.status_code == 201, answer.text
    todo_id: str = answer.json()["id"]
    return todo_id


def test_todo_lives_from_creation_to_deletion(client: TestClient, anna: dict[str, str]) -> None:
    todo_id = add(client, anna, "  Water the plants ")
    [todo] = client.get("/todos", headers=anna).json()
    assert (todo["id"], todo["title"], todo["completed"]) == (todo_id, "Water the plants", False)

    done = client.patch(f"/todos/{todo_id}", json={"completed": True}, headers=anna).json()
    assert (done["title"], done["completed"]) == ("Water the plants", True)
    assert done["updated_at"] > todo["updated_at"]

    renamed = client.patch(f"/todos/{todo_id}", json={"title": "Water them"}, headers=anna).json()
    assert (renamed["title"], renamed["completed"]) == ("Water them", True)

    assert client.delete(f"/todos/{todo_id}", headers=anna).status_code == 204
    assert client.get("/todos", headers=anna).json() == []


def test_newest_todo_comes_first(client: TestClient, anna: dict[str, str]) -> None:
    for title in ("one", "two", "three"):
        add(client, anna, title)
    titles = [todo["title"] for todo in client.get("/todos", headers=anna).json()]
    assert titles == ["three", "two", "one"]


def test_todos_of_others_do_not_exist(client: TestClient, anna: dict[str, str]) -> None:
    todo_id = add(client, anna, "private")
    bert = log_in(client, "bert@example.com")
    assert client.get("/todos", headers=bert).json() == []
    for answer in (
        client.patch(f"/todos/{todo_id}", json={"completed": True}, headers=bert),
        client.delete(f"/todos/{todo_id}", headers=bert),
        client.delete(f"/todos/{uuid4()}", headers=bert),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "no-such-todo"
    [todo] = client.get("/todos", headers=anna).json()
    assert todo["completed"] is False


@pytest.mark.parametrize("title", ["", "   ", "x" * 201, "zero\0character"])
def test_unusable_titles_are_refused(client: TestClient, anna: dict[str, str], title: str) -> None:
    answer = client.post("/todos", json={"title": title}, headers=anna)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "title"


@pytest.mark.parametrize("body", [b'{"title": "\\ud800"}', b"{", b"[]", b'{"title": 1}', b"\xff"])
def test_unreadable_bodies_are_refused(
    client: TestClient, anna: dict[str, str], body: bytes
) -> None:
    headers = anna | {"Content-Type": "application/json"}
    answer = client.post("/todos", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_unexpected_error_tells_nothing_of_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "verify_password", raise_inside)
    outside = TestClient(client.app, raise_server_exceptions=False)
    outside.portal = client.portal
    answer = outside.post("/auth/login", json={"email": "a@example.com", "password": "long enough"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert "inside" not in answer.text


def raise_inside(*_: object) -> None:
    raise RuntimeError("inside")


def test_without_token_nothing_is_told(client: TestClient) -> None:
    assert client.get("/todos").status_code == 401
    assert client.post("/todos", json={"title": "x"}).status_code == 401


def test_unknown_path_is_a_problem_document_too(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
