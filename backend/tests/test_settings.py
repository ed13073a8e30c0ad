"""Settings in the environment, and secrets that are not printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from todo.database import connect_arguments
from todo.settings import parse_database_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_postgresql_scheme_gets_our_driver_and_keeps_parameters(scheme: str) -> None:
    url = parse_database_url(SecretStr(f"{scheme}://u:p@db.example/todo?sslmode=require"))
    assert url.drivername == "postgresql+psycopg"
    assert url.query["sslmode"] == "require"
    assert url.password == "p"


def test_explicit_connect_timeout_takes_precedence() -> None:
    url = parse_database_url(SecretStr("postgresql://u@h/d?connect_timeout=9"))
    assert "connect_timeout" not in connect_arguments(url)
    assert "connect_timeout" in connect_arguments(url.set(query={}))


def start(*, program: str = "todo", **environment: str) -> subprocess.CompletedProcess[str]:
    source = Path(__file__).parent.parent / "src"
    return subprocess.run(
        [sys.executable, "-m", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(source), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("program", "missing"),
    [("todo", ["DATABASE_URL", "JWT_SECRET"]), ("todo.migrate", ["DATABASE_URL"])],
)
def test_missing_settings_are_logged(program: str, missing: list[str]) -> None:
    result = start(program=program)
    assert result.returncode == 2
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("error", "todo.settings")
    ] * len(lines)
    assert [line["message"] for line in lines] == [
        f"environment variable {name}: Field required" for name in missing
    ]


@pytest.mark.parametrize("url", ["mysql://u:hunter22@h/d", "hunter22"])
def test_invalid_database_url_is_refused_without_printing_it(url: str) -> None:
    result = start(DATABASE_URL=url, JWT_SECRET="s")
    assert result.returncode == 2
    assert "DATABASE_URL" in result.stderr
    assert "hunter22" not in result.stderr + result.stdout
