"""What the environment says. Nothing else in the program reads it."""

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


class Settings(BaseSettings):
    """Settings of one process, each from the environment variable of its name."""

    # An error about a setting must not print its value: some are secret.
    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    jwt_secret: SecretStr = Field(min_length=1)
    token_lifetime: timedelta = timedelta(hours=12)
    host: str = "0.0.0.0"  # noqa: S104  a server in a container listens on all its addresses
    port: int = 8000
    migrate_at_start: bool = True

    @field_validator("database_url")
    @classmethod
    def names_postgresql(cls, value: SecretStr) -> SecretStr:
        parse_database_url(value)
        return value

    @property
    def sqlalchemy_url(self) -> URL:
        return parse_database_url(self.database_url)


def parse_database_url(secret: SecretStr) -> URL:
    """Read a libpq style URL. Its parameters, sslmode among them, are left to libpq."""
    try:
        url = make_url(secret.get_secret_value())
    except ArgumentError:
        raise ValueError(
            "not a URL: expected postgresql://user:password@host:5432/database"
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("not a PostgreSQL URL: expected it to begin with postgresql://")
    return url.set(drivername="postgresql+psycopg")
