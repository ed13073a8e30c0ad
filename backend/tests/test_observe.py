"""Observability of requests: id, log line, metrics, and problems."""

import json
import logging
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from todo import security
from todo.logs import JsonFormatter


def test_valid_request_id_is_kept(client: TestClient) -> None:
    answer = client.get("/auth/me", headers={"X-Request-ID": "a1-b2_c3.d4"})
    assert answer.headers["x-request-id"] == "a1-b2_c3.d4"
    assert answer.json()["request_id"] == "a1-b2_c3.d4"


@pytest.mark.parametrize("given", ["", "x" * 65, 'a","level":"error', "a b", "é"])
def test_any_other_request_id_is_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/auth/me", headers={b"X-Request-ID": given.encode("latin-1")})
    assert len(answer.headers["x-request-id"]) == 32
    assert given == "" or given not in answer.text


def test_request_has_one_line_of_json(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    with caplog.at_level(logging.INFO, "todo"):
        client.get("/todos?search=private", headers={"X-Request-ID": "r1"})
        client.get("/health/live")
    [line] = [json.loads(line) for line in caplog.text.splitlines()]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/todos", 401)
    assert (line["level"], line["request_id"]) == ("info", "r1")
    assert line["milliseconds"] >= 0
    # Search terms are not logged.
    assert "private" not in caplog.text


def test_unexpected_error_is_logged_in_full_and_reported_briefly(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(security, "verify_password", fail)
    caplog.handler.setFormatter(JsonFormatter())
    login = {"email": "a@example.com", "password": "long enough"}
    answer = client.post("/auth/login", json=login, headers={"X-Request-ID": "r2"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "r2"
    assert answer.json()["code"] == "server.internal_error"
    assert "inside" not in answer.text
    [error] = [json.loads(line) for line in caplog.text.splitlines() if "exception" in line]
    assert "RuntimeError: inside" in error["exception"]
    assert error["request_id"] == "r2"
    assert "long enough" not in caplog.text


def test_metrics_use_templates_instead_of_paths(client: TestClient) -> None:
    client.delete("/todos/5b1f1c5e-5a3e-4d8e-9b0a-3f3f8d1f6a11")
    client.get("/nowhere/at/all")
    client.request("BREW", "/todos")
    text = client.get("/metrics").text
    count = "http_request_duration_seconds_count"
    assert f'{count}{{method="DELETE",route="/todos/{{todo_id}}",status="401"}} 1.0' in text
    assert f'{count}{{method="GET",route="unmatched",status="404"}} 1.0' in text
    assert 'method="other"' in text
    assert "5b1f1c5e" not in text
    assert "BREW" not in text
    assert "database_connections_in_use 0.0" in text


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "http.not_found"),
        ("PUT", "/todos", {}, 405, "http.method_not_allowed"),
        ("POST", "/auth/login", {"json": {}}, 422, "request.invalid"),
        ("POST", "/auth/login", {"content": b"{"}, 422, "request.invalid"),
        ("POST", "/auth/login", {"content": b"x" * 70_000}, 413, "request.too_long"),
        ("GET", "/todos", {}, 401, "accounts.not_logged_in"),
    ],
)
def test_every_error_is_a_problem_document(
    client: TestClient, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    answer = client.request(method, path, **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_wrong_method_gets_the_allowed_ones(client: TestClient) -> None:
    assert client.put("/todos").headers["allow"] == "GET, POST"
    assert client.get(f"/todos/{uuid4()}").headers["allow"] == "DELETE, PATCH"


def test_description_of_the_api_has_problem_documents(client: TestClient) -> None:
    for _ in range(2):
        document = client.get("/openapi.json").json()
        for path in document["paths"].values():
            for operation in path.values():
                assert "application/problem+json" in operation["responses"]["4XX"]["content"]
                assert "422" not in operation["responses"]
        assert "HTTPValidationError" not in document["components"]["schemas"]
