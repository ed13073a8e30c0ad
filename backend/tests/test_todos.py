"""The todos of a user, and the separation of users."""

from uuid import uuid4

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient


def log_in(client: httpx.Client, email: str) -> dict[str, str]:
    credentials = {"email": email, "password": "correct horse"}
    client.post("/auth/register", json=credentials)
    token = client.post("/auth/login", json=credentials).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def anna(client: TestClient) -> dict[str, str]:
    return log_in(client, "anna@example.com")


def add(
    client: TestClient, headers: dict[str, str], title: str, due_date: str | None = None
) -> str:
    todo = {"title": title, "due_date": due_date}
    answer = client.post("/todos", json=todo, headers=headers)
    assert answer.status_code == 201, answer.text
    todo_id: str = answer.json()["id"]
    return todo_id


def test_todo_lives_from_creation_to_deletion(client: TestClient, anna: dict[str, str]) -> None:
    todo_id = add(client, anna, "  Water the plants ")
    [todo] = client.get("/todos", headers=anna).json()["items"]
    assert (todo["id"], todo["title"], todo["completed"]) == (todo_id, "Water the plants", False)

    done = client.patch(f"/todos/{todo_id}", json={"completed": True}, headers=anna).json()
    assert (done["title"], done["completed"]) == ("Water the plants", True)
    assert done["updated_at"] > todo["updated_at"]

    renamed = client.patch(f"/todos/{todo_id}", json={"title": "Water them"}, headers=anna).json()
    assert (renamed["title"], renamed["completed"]) == ("Water them", True)

    assert client.delete(f"/todos/{todo_id}", headers=anna).status_code == 204
    assert client.get("/todos", headers=anna).json()["items"] == []


def test_newest_todo_comes_first(client: TestClient, anna: dict[str, str]) -> None:
    for title in ("one", "two", "three"):
        add(client, anna, title)
    titles = [todo["title"] for todo in client.get("/todos", headers=anna).json()["items"]]
    assert titles == ["three", "two", "one"]


def test_todos_of_others_do_not_exist(client: TestClient, anna: dict[str, str]) -> None:
    todo_id = add(client, anna, "private")
    bert = log_in(client, "bert@example.com")
    assert client.get("/todos", headers=bert).json()["items"] == []
    for answer in (
        client.patch(f"/todos/{todo_id}", json={"completed": True}, headers=bert),
        client.delete(f"/todos/{todo_id}", headers=bert),
        client.delete(f"/todos/{uuid4()}", headers=bert),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "todos.not_found"
    [todo] = client.get("/todos", headers=anna).json()["items"]
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


def test_requests_without_a_token_are_refused(client: TestClient) -> None:
    assert client.get("/todos").status_code == 401
    assert client.post("/todos", json={"title": "x"}).status_code == 401


def titles(client: TestClient, headers: dict[str, str], query: str) -> list[str]:
    answer = client.get(f"/todos?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [todo["title"] for todo in answer.json()["items"]]


def test_due_date_is_set_changed_and_removed(client: TestClient, anna: dict[str, str]) -> None:
    todo_id = add(client, anna, "Tax", "2026-05-31")

    def change(body: dict[str, object]) -> object:
        return client.patch(f"/todos/{todo_id}", json=body, headers=anna).json()["due_date"]

    assert change({"title": "Taxes"}) == "2026-05-31"
    assert change({"due_date": "2026-06-30"}) == "2026-06-30"
    assert change({"due_date": None}) is None


@pytest.mark.parametrize(
    "day", ["31.05.2026", "2026-02-30", "2026-05-31T10:00:00Z", 1780185600, True, ""]
)
def test_invalid_date_is_refused(client: TestClient, anna: dict[str, str], day: object) -> None:
    answer = client.post("/todos", json={"title": "x", "due_date": day}, headers=anna)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "due_date"


def test_filters_return_matching_todos(client: TestClient, anna: dict[str, str]) -> None:
    add(client, anna, "someday")
    add(client, anna, "yesterday", "2026-05-30")
    add(client, anna, "today", "2026-05-31")
    done = add(client, anna, "done yesterday", "2026-05-30")
    client.patch(f"/todos/{done}", json={"completed": True}, headers=anna)
    here = "today=2026-05-31"
    everything = ["done yesterday", "today", "yesterday", "someday"]
    assert titles(client, anna, "") == everything
    assert titles(client, anna, "status=all") == everything
    assert titles(client, anna, "status=open") == ["today", "yesterday", "someday"]
    assert titles(client, anna, "status=done") == ["done yesterday"]
    assert titles(client, anna, f"due=overdue&{here}") == ["yesterday"]
    assert titles(client, anna, f"due=today&{here}") == ["today"]
    # One day later, more todos are overdue.
    assert titles(client, anna, "due=overdue&today=2026-06-01") == ["today", "yesterday"]
    assert titles(client, anna, "due=none") == ["someday"]
    assert titles(client, anna, f"due=overdue&status=done&{here}") == []
    assert titles(client, anna, f"search=YESTERDAY&status=open&{here}") == ["yesterday"]


def test_search_takes_every_character_literally(client: TestClient, anna: dict[str, str]) -> None:
    for title in ("100 % sure", "100 per cent", "snake_case", "snakeXcase", "back\\slash"):
        add(client, anna, title)
    assert titles(client, anna, "search=100 %25") == ["100 % sure"]
    assert titles(client, anna, "search=e_c") == ["snake_case"]
    assert titles(client, anna, "search=back\\") == ["back\\slash"]
    assert titles(client, anna, "search=") != []


def test_pages_are_complete_despite_changes_between_them(
    client: TestClient, anna: dict[str, str]
) -> None:
    made = [add(client, anna, f"todo {number}") for number in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/todos?limit=3{cursor}", headers=anna).json()
        seen += [todo["id"] for todo in page["items"]]
        if page["next_cursor"] is None:
            break
        add(client, anna, "added meanwhile")
        client.delete(f"/todos/{page['items'][0]['id']}", headers=anna)
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


def test_full_last_page_has_no_next(client: TestClient, anna: dict[str, str]) -> None:
    for number in range(2):
        add(client, anna, f"todo {number}")
    assert client.get("/todos?limit=2", headers=anna).json()["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x", "cursor=%00", "cursor=eA==", "cursor=MjAyNi0wMS0wMSB4", "status=some",
        "due=never", "limit=0", "limit=201", "today=now", "search=%00", "search=" + "x" * 201,
    ],
)  # fmt: skip
def test_invalid_query_is_refused(client: TestClient, anna: dict[str, str], query: str) -> None:
    answer = client.get(f"/todos?{query}", headers=anna)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_misspelt_field_is_refused_rather_than_ignored(
    client: TestClient, anna: dict[str, str]
) -> None:
    todo_id = add(client, anna, "x")
    answer = client.patch(f"/todos/{todo_id}", json={"complete": True}, headers=anna)
    assert answer.status_code == 422
