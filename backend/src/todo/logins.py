"""Log in, refresh, log out.

A log-in is a family of tokens: short-lived access tokens, and refresh tokens for a single use. A
refresh token that is used twice has two owners, and one of them stole it. They cannot be
distinguished, so the log-in ends for both.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select

from todo import security
from todo.accounts import Credentials
from todo.attempts import AttemptLimit
from todo.database import Session
from todo.models import Login, RefreshToken, User
from todo.problem import Problem, log
from todo.settings import CurrentSettings, Settings

router = APIRouter(prefix="/auth", tags=["accounts"])

# Two tabs of one browser may refresh with the same token at once, or a response may be lost. A
# second use within this time counts as such a case and gets another token.
SECOND_USE = timedelta(seconds=10)

FAILED_ATTEMPTS = 10
FAILED_ATTEMPTS_SECONDS = 300.0


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105  the name of a scheme
    expires_in: int = Field(description="Seconds for which the access token is valid.")
    refresh_expires_in: int = Field(description="Seconds until the log-in ends.")


class RefreshRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh_token: str = Field(min_length=1, max_length=200)


def get_failed_logins(request: Request) -> AttemptLimit:
    limit: AttemptLimit = request.app.state.failed_logins
    return limit


@router.post("/login")
async def log_in(
    credentials: Credentials,
    session: Session,
    settings: CurrentSettings,
    failed: Annotated[AttemptLimit, Depends(get_failed_logins)],
) -> Tokens:
    """Begin a log-in: an access token for requests, and a refresh token for when it expires."""
    # Counted before the password is verified, because simultaneous guesses would all pass
    # otherwise.
    if wait := failed.take(credentials.email):
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "accounts.too_many_attempts",
            "too many failed log-ins: try again in a few minutes",
            {"Retry-After": str(int(wait) + 1)},
        )
    found = await session.execute(
        select(User.id, User.password_hash).where(User.email == credentials.email)
    )
    user_id, password_hash = found.one_or_none() or (None, None)
    # No connection is held while the password is verified.
    await session.rollback()
    right = await security.verify_password(credentials.password, password_hash)
    if user_id is None or not right:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "accounts.wrong_credentials",
            "the e-mail address or password is wrong",
        )
    failed.forget(credentials.email)
    await session.execute(
        delete(Login).where(Login.user_id == user_id, Login.expires_at <= func.now())
    )
    login = Login(user_id=user_id, expires_at=datetime.now(UTC) + settings.login_lifetime)
    session.add(login)
    # The token refers to the log-in, so the log-in is inserted first.
    await session.flush()
    return await hand_out(session, settings, login)


@router.post("/refresh")
async def refresh(given: RefreshRequest, session: Session, settings: CurrentSettings) -> Tokens:
    """Exchange a refresh token for new tokens. It cannot be used again."""
    token_hash = security.hash_refresh_token(given.refresh_token)
    # Simultaneous requests of a log-in run one after the other and see the earlier result. Always
    # the log-in is locked, also at its end, so that no two requests deadlock.
    login = await session.scalar(
        select(Login)
        .join(RefreshToken, RefreshToken.login_id == Login.id)
        .where(RefreshToken.token_hash == token_hash)
        .with_for_update(of=Login)
    )
    token = await session.get(RefreshToken, token_hash)
    now = datetime.now(UTC)
    if token is None or login is None or login.expires_at <= now:
        raise ended("the log-in has ended: log in again")
    if token.used_at is None:
        token.used_at = now
    elif now - token.used_at > SECOND_USE:
        log.warning("a refresh token was used again: its log-in %s ends", login.id)
        await session.delete(login)
        await session.commit()
        raise ended("the refresh token was used before: log in again")
    return await hand_out(session, settings, login)


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT)
async def log_out(given: RefreshRequest, session: Session) -> None:
    """End the log-in of a refresh token, with all its tokens. An ended log-in is not an error."""
    token_hash = security.hash_refresh_token(given.refresh_token)
    its_login = select(RefreshToken.login_id).where(RefreshToken.token_hash == token_hash)
    await session.execute(delete(Login).where(Login.id.in_(its_login)))
    await session.commit()


async def hand_out(session: Session, settings: Settings, login: Login) -> Tokens:
    token = security.new_refresh_token()
    session.add(RefreshToken(token_hash=security.hash_refresh_token(token), login_id=login.id))
    await session.commit()
    return Tokens(
        access_token=security.issue_access_token(
            settings, security.Access(login.user_id, login.id)
        ),
        refresh_token=token,
        expires_in=int(settings.access_token_lifetime.total_seconds()),
        refresh_expires_in=int((login.expires_at - datetime.now(UTC)).total_seconds()),
    )


def ended(detail: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "accounts.login_ended",
        detail,
        {"WWW-Authenticate": "Bearer"},
    )
