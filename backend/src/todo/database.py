"""The connection pool, and the session of a request."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

# A dead connection is given up after ten seconds, much earlier than by the operating system's
# default. Parameters in the URL take precedence.
LIBPQ_DEFAULTS = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the options of a connection besides its URL."""
    return {
        # A pooler in front of the database may use another connection for each transaction, which
        # lacks the statements prepared on the last one.
        "prepare_threshold": None,
        **{name: value for name, value in LIBPQ_DEFAULTS.items() if name not in url.query},
    }


def create_engine(url: URL) -> AsyncEngine:
    """Create a pool for a small remote database, which may close idle connections."""
    return create_async_engine(
        url,
        # Errors are logged, and parameters are users' data.
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


# Closed before the response is sent, so that a slow reader or a stream holds no connection.
Session = Annotated[AsyncSession, Depends(open_session, scope="function")]
