"""Passwords and tokens."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import jwt
from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from todo.problem import Problem
from todo.settings import Settings

ALGORITHM = "HS256"

# 19 MiB and two passes, as OWASP advises: a few at once fit the memory of a small container.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = CapacityLimiter(2)

# More would wait longer than clients do.
WAITING_AT_MOST = 50

# Verified if the account does not exist, so that the response time does not reveal it.
_NO_ACCOUNT = _hasher.hash("no account has this password")


async def hash_password(password: str) -> str:
    refuse_if_busy()
    return await to_thread.run_sync(_hasher.hash, password, limiter=_at_once)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Verify a password, in the same time whether or not the account exists."""

    def verify() -> bool:
        try:
            return _hasher.verify(password_hash or _NO_ACCOUNT, password)
        except (VerificationError, InvalidHashError):
            return False

    refuse_if_busy()
    return await to_thread.run_sync(verify, limiter=_at_once) and password_hash is not None


def refuse_if_busy() -> None:
    if _at_once.statistics().tasks_waiting >= WAITING_AT_MOST:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "server.busy",
            "too many people log in just now: try again in a moment",
            {"Retry-After": "5"},
        )


@dataclass(frozen=True)
class Access:
    """The content of an access token: user and log-in."""

    user_id: UUID
    login_id: UUID


def issue_access_token(settings: Settings, access: Access) -> str:
    now = datetime.now(UTC)
    claims = {
        "sub": str(access.user_id),
        "sid": str(access.login_id),
        "iat": now,
        "exp": now + settings.access_token_lifetime,
    }
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), ALGORITHM)


def read_access_token(settings: Settings, token: str) -> Access | None:
    """Return the content of a valid token, or None."""
    try:
        claims = jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            options={"require": ["sub", "sid", "exp"]},
        )
        return Access(UUID(claims["sub"]), UUID(claims["sid"]))
    except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
        return None


def new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


def hash_refresh_token(token: str) -> bytes:
    """Hash for the database. The token is random: unlike a password it needs no slow hash."""
    return hashlib.sha256(token.encode()).digest()
