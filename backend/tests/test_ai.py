"""Suggestions of todos, with a local fake of the model."""

import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from model_server import ModelServer, Play
from running_app import RunningApp
from test_todos import log_in
from todo import ai, suggestions
from todo.app import create_app
from todo.settings import Settings

KEY = "sk-canary-5f1d"
NOTE = {"text": "Water the plants, and the tax is due on 31 May", "today": "2026-05-01"}
WATER = {"title": "Water the plants", "due_date": None}
TAX = {"title": "Do the tax", "due_date": "2026-05-31"}


@pytest.fixture
def model() -> ModelServer:
    return ModelServer()


@pytest.fixture
def model_address(model: ModelServer) -> Iterator[str]:
    yield from model.run()


@pytest.fixture
def ai_settings(settings: Settings, model_address: str) -> Settings:
    configured = {
        "openai_api_key": SecretStr(KEY),
        "openai_base_url": model_address,
        "openai_model": "test-model",
    }
    return settings.model_copy(update=configured)


@pytest.fixture
def ai_client(ai_settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(ai_settings)) as client:
        yield client


def suggest(client: TestClient, note: dict[str, str] = NOTE) -> httpx.Response:
    headers = log_in(client, "anna@example.com")
    return client.post("/ai/todos", json=note, headers=headers)


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def writes(*pieces: str, reason: str | None = "stop") -> Play:
    def play(write: Callable[[str], None]) -> str | None:
        for piece in pieces:
            write(piece)
        return reason

    return play


def test_suggestions_are_off_without_a_key(client: TestClient) -> None:
    assert client.get("/ai").json() == {"available": False}
    answer = suggest(client)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "ai.not_configured"


def test_suggestions_equal_the_model_output_and_nothing_is_created(
    ai_client: TestClient, model: ModelServer
) -> None:
    assert ai_client.get("/ai").json() == {"available": True}
    # Cut anywhere, with a fence and extra words as models add them.
    text = f"Sure!\n```json\n{json.dumps(WATER)},\n\n{json.dumps(TAX)}"
    model.play = writes(*(text[at : at + 7] for at in range(0, len(text), 7)), "\n```")
    answer = suggest(ai_client)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events(answer.text) == [("todo", WATER), ("todo", TAX), ("done", {})]
    headers = log_in(ai_client, "anna@example.com")
    assert ai_client.get("/todos", headers=headers).json()["items"] == []


def test_model_receives_the_date_and_the_note_as_data(
    ai_client: TestClient, model: ModelServer
) -> None:
    suggest(ai_client)
    [request] = model.requests
    assert model.keys == [f"Bearer {KEY}"]
    assert request["model"] == "test-model"
    assert request["stream"] is True
    system, user = request["messages"]
    assert "Friday, 2026-05-01" in system["content"]
    assert user == {"role": "user", "content": NOTE["text"]}


@pytest.mark.parametrize(
    "line",
    [
        '{"title": ""}', '{"title": 1}', '{"name": "x"}', '{"title": "\\u0000"}',
        '{"title": "x", "due_date": "tomorrow"}', f'{{"title": "{"x" * 201}"}}',
        "[1]", '"x"', "{", "null", "nothing",
    ],
)  # fmt: skip
def test_lines_that_are_not_todos_are_skipped(
    ai_client: TestClient, model: ModelServer, line: str
) -> None:
    model.play = writes(line + "\n", json.dumps(WATER))
    assert events(suggest(ai_client).text) == [("todo", WATER), ("done", {})]


def test_endless_model_output_is_cut_off(ai_client: TestClient, model: ModelServer) -> None:
    model.play = writes((json.dumps(WATER) + "\n") * 100)
    found = events(suggest(ai_client).text)
    assert found == [("todo", WATER)] * suggestions.SUGGESTIONS_AT_MOST + [("done", {})]


def test_suggestion_arrives_while_the_model_still_writes(
    ai_settings: Settings, model: ModelServer
) -> None:
    seen = Event()

    def play(write: Callable[[str], None]) -> str:
        write(json.dumps(WATER) + "\n")
        # The model continues only after the reader has the first line.
        write(json.dumps(TAX) if seen.wait(30) else "")
        return "stop"

    model.play = play
    app = run(ai_settings)
    try:
        headers = log_in(app.client, "anna@example.com")
        with app.client.stream("POST", "/ai/todos", json=NOTE, headers=headers) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: todo"
            # After SIGTERM the app completes the response.
            app.process.terminate()
            seen.set()
            assert "event: done" in list(lines)
        assert app.process.wait(timeout=10) in (0, -15)
    finally:
        app.stop()


def run(settings: Settings) -> RunningApp:
    assert settings.openai_api_key
    app = RunningApp(
        DATABASE_URL=settings.database_url.get_secret_value(),
        JWT_SECRET=settings.jwt_secret.get_secret_value(),
        OPENAI_API_KEY=settings.openai_api_key.get_secret_value(),
        OPENAI_BASE_URL=settings.openai_base_url,
    )
    app.wait_until_ready()
    return app


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "ai.key_refused"),
        (403, "ai.key_refused"),
        (429, "ai.busy"),
        (400, "ai.unavailable"),
        (500, "ai.unavailable"),
    ],
)
def test_refusal_is_a_problem_without_the_key(
    ai_client: TestClient,
    model: ModelServer,
    status: int,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model.status = status
    answer = suggest(ai_client)
    assert answer.status_code == 503
    assert answer.json()["code"] == code
    assert len(model.requests) == 1
    assert KEY not in answer.text + caplog.text


def test_unreachable_model_is_a_problem(ai_settings: Settings) -> None:
    nowhere = ai_settings.model_copy(update={"openai_base_url": "http://127.0.0.1:1/v1"})
    with TestClient(create_app(nowhere)) as client:
        assert suggest(client).json()["code"] == "ai.unavailable"


@pytest.mark.parametrize("last", ["", json.dumps(TAX)])
@pytest.mark.parametrize("reason", ["", None])
def test_aborted_response_ends_with_a_problem(
    ai_client: TestClient, model: ModelServer, last: str, reason: str | None
) -> None:
    model.play = writes(json.dumps(WATER) + "\n", last, reason=reason)
    [first, (event, problem)] = events(suggest(ai_client).text)
    assert first == ("todo", WATER)
    assert event == "problem"
    assert (problem["status"], problem["code"]) == (503, "ai.unavailable")


def test_error_during_a_response_ends_with_a_problem(
    ai_client: TestClient, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_server.chunk", lambda *_: '{"error": {"message": "overloaded"}}')
    model.play = writes("x")
    [(event, problem)] = events(suggest(ai_client).text)
    assert (event, problem["code"]) == ("problem", "ai.unavailable")


@pytest.mark.parametrize("note", [{"text": " "}, {"text": "x" * 2001}, {}, {"text": "x", "n": "1"}])
def test_invalid_note_is_refused(ai_client: TestClient, note: dict[str, str]) -> None:
    assert suggest(ai_client, note).status_code == 422


def test_number_of_requests_is_limited(
    ai_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = log_in(ai_client, "anna@example.com")
    for _ in range(ai.REQUESTS):
        assert ai_client.post("/ai/todos", json=NOTE, headers=headers).status_code == 200
    stopped = ai_client.post("/ai/todos", json=NOTE, headers=headers)
    assert (stopped.status_code, stopped.json()["code"]) == (429, "ai.too_many_requests")
    assert ai_client.post("/ai/todos", json=NOTE).status_code == 401
