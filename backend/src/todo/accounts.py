"""Register, log in, and who asks."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from todo import security
from todo.database import Session
from todo.models import User
from todo.problem import Problem
from todo.settings import Settings

router = APIRouter(prefix="/auth", tags=["accounts"])

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$"
    ),
]


class Credentials(BaseModel):
    email: Email
    password: str = Field(min_length=8, max_length=200)


class Account(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105  the name of a scheme
    expires_in: int


def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def authenticate(
    session: Session,
    settings: Annotated[Settings, Depends(get_settings)],
    credentials: Annotated[
        HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))
    ],
) -> User:
    user_id = security.read_token(settings, credentials.credentials) if credentials else None
    user = await session.get(User, user_id) if user_id else None
    if user is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "not-logged-in",
            "log in first: the token is missing, wrong or expired",
            {"WWW-Authenticate": "Bearer"},
        )
    return user


CurrentUser = Annotated[User, Depends(authenticate)]


@router.post("/register", status_code=HTTPStatus.CREATED)
async def register(credentials: Credentials, session: Session) -> Account:
    user = User(
        email=credentials.email, password_hash=await security.hash_password(credentials.password)
    )
    session.add(user)
    try:
        await session.commit()
    except IntegrityError:
        raise Problem(
            HTTPStatus.CONFLICT, "email-taken", "there is an account with this e-mail address"
        ) from None
    return Account.model_validate(user)


@router.post("/login")
async def log_in(
    credentials: Credentials,
    session: Session,
    settings: Annotated[Settings, Depends(get_settings)],
) -> Token:
    found = await session.execute(
        select(User.id, User.password_hash).where(User.email == credentials.email)
    )
    user_id, password_hash = found.one_or_none() or (None, None)
    # No connection is held while the password is worked on.
    await session.rollback()
    right = await security.verify_password(credentials.password, password_hash)
    if user_id is None or not right:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "wrong-credentials", "the e-mail address or password is wrong"
        )
    return Token(
        access_token=security.issue_token(settings, user_id),
        expires_in=int(settings.token_lifetime.total_seconds()),
    )


@router.get("/me")
async def who_am_i(user: CurrentUser) -> Account:
    return Account.model_validate(user)
