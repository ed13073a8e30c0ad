"""The connection pool and what a request gets of it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

# A connection whose other end is gone without a word is given up after ten seconds, and not when
# the operating system loses patience. What the URL says itself wins.
LIBPQ_DEFAULTS = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def connect_arguments(url: URL) -> dict[str, Any]:
    """What a connection needs besides its URL."""
    return {
        # A pooler in front of the database may give each transaction another connection,
        # which does not know statements prepared on the last one.
        "prepare_threshold": None,
        **{name: value for name, value in LIBPQ_DEFAULTS.items() if name not in url.query},
    }


def create_engine(url: URL) -> AsyncEngine:
    """Make a pool for a small database elsewhere, which may close idle connections."""
    return create_async_engine(
        url,
        # Errors end up in logs, and parameters are people's data.
        hide_parameters=True,
        pool_size=5,
        max_overflow=5,
        pool_timeout=10,
        pool_pre_ping=True,
        pool_recycle=300,
        connect_args=connect_arguments(url),
    )


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    engine: AsyncEngine = request.app.state.engine
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


# Closed before the answer is sent: a slow reader, or a stream, holds no connection.
Session = Annotated[AsyncSession, Depends(open_session, scope="function")]
