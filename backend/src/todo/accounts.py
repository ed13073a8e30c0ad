"""Registration, and the user of a request."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from todo import security
from todo.database import Session
from todo.models import Login, User
from todo.problem import Problem
from todo.settings import CurrentSettings

router = APIRouter(prefix="/auth", tags=["accounts"])

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$"
    ),
]


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: Email
    password: str = Field(min_length=8, max_length=200)


class Account(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str


async def authenticate(
    session: Session,
    settings: CurrentSettings,
    credentials: Annotated[
        HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))
    ],
) -> User:
    access = security.read_access_token(settings, credentials.credentials) if credentials else None
    user: User | None = None
    if access:
        # The log-in is looked up in every request, so that all its tokens end with it.
        user = await session.scalar(
            select(User)
            .join(Login, Login.user_id == User.id)
            .where(User.id == access.user_id, Login.id == access.login_id)
            .where(Login.expires_at > func.now())
        )
    if user is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "accounts.not_logged_in",
            "log in first: the token is missing, wrong or expired",
            {"WWW-Authenticate": "Bearer"},
        )
    return user


CurrentUser = Annotated[User, Depends(authenticate)]


@router.post("/register", status_code=HTTPStatus.CREATED)
async def register(credentials: Credentials, session: Session) -> Account:
    """Create an account, without a log-in."""
    user = User(
        email=credentials.email, password_hash=await security.hash_password(credentials.password)
    )
    session.add(user)
    try:
        await session.commit()
    except IntegrityError:
        raise Problem(
            HTTPStatus.CONFLICT,
            "accounts.email_taken",
            "there is an account with this e-mail address",
        ) from None
    return Account.model_validate(user)


@router.get("/me")
async def who_am_i(user: CurrentUser) -> Account:
    """Return the account of the token."""
    return Account.model_validate(user)
