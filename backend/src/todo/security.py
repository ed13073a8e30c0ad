"""Passwords and tokens."""

from datetime import UTC, datetime
from uuid import UUID

import jwt
from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from todo.settings import Settings

ALGORITHM = "HS256"

# 19 MiB and two passes, as OWASP advises: a few at once fit the memory of a small container.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = CapacityLimiter(2)

# Verified where there is no account, so that the time of the answer does not tell.
_NO_ACCOUNT = _hasher.hash("no account has this password")


async def hash_password(password: str) -> str:
    return await to_thread.run_sync(_hasher.hash, password, limiter=_at_once)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Compare, in the same time whether or not there is an account to compare with."""

    def verify() -> bool:
        try:
            return _hasher.verify(password_hash or _NO_ACCOUNT, password)
        except (VerificationError, InvalidHashError):
            return False

    return await to_thread.run_sync(verify, limiter=_at_once) and password_hash is not None


def issue_token(settings: Settings, user_id: UUID) -> str:
    now = datetime.now(UTC)
    claims = {"sub": str(user_id), "iat": now, "exp": now + settings.token_lifetime}
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), ALGORITHM)


def read_token(settings: Settings, token: str) -> UUID | None:
    """Tell whose valid token this is, or nothing."""
    try:
        claims = jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            options={"require": ["sub", "exp"]},
        )
        return UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
