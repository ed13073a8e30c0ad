"""Settings from the environment. No other module reads it."""

import logging
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

log = logging.getLogger(__name__)


class DatabaseSettings(BaseSettings):
    """Settings of a process that only migrates, each from the environment variable of its name."""

    # Errors must not print values, because some are secret. An empty variable counts as not set: a
    # Kubernetes Secret has all its keys, used or not.
    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, env_ignore_empty=True)

    database_url: SecretStr
    # How long a migration retries to reach the database.
    migration_patience_seconds: float = 60.0

    @field_validator("database_url")
    @classmethod
    def names_postgresql(cls, value: SecretStr) -> SecretStr:
        parse_database_url(value)
        return value

    @property
    def sqlalchemy_url(self) -> URL:
        return parse_database_url(self.database_url)


class Settings(DatabaseSettings):
    """Settings of the server."""

    jwt_secret: SecretStr = Field(min_length=1)
    # Lifetimes of an access token and of a log-in.
    access_token_lifetime: timedelta = timedelta(minutes=15)
    login_lifetime: timedelta = timedelta(days=30)
    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-4o-mini"
    host: str = "0.0.0.0"  # noqa: S104  a server in a container listens on all its addresses
    port: int = 8000
    # For deployments without another migration before the start. The chart has a Job.
    migrate_at_start: bool = False


def report_invalid_settings(error: ValidationError) -> int:
    """Log each variable that is missing or invalid; the exit code signals that a retry does not
    help."""
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"]).upper()
        log.error("environment variable %s: %s", name, problem["msg"])
    return 2


def parse_database_url(secret: SecretStr) -> URL:
    """Parse a libpq style URL. Its parameters, such as sslmode, are left to libpq."""
    try:
        url = make_url(secret.get_secret_value())
    except ArgumentError:
        raise ValueError(
            "not a URL: expected postgresql://user:password@host:5432/database"
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("not a PostgreSQL URL: expected it to begin with postgresql://")
    return url.set(drivername="postgresql+psycopg")


def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


CurrentSettings = Annotated[Settings, Depends(get_settings)]
