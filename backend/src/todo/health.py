"""Whether the process lives, and whether it can work."""

import asyncio
import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from psycopg.errors import UndefinedTable
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from todo import schema
from todo.problem import Problem, database_unavailable, describe_database_error, log

router = APIRouter(prefix="/health", tags=["health"])

# Less than a probe waits for its answer, so that the answer says what is wrong.
PATIENCE_SECONDS = 3.0


class Health(BaseModel):
    status: str


class Readiness:
    """Ready as long as the database answers and has the schema that this build needs.

    A good answer stands for a while: probes come every second, and a database elsewhere has better
    things to do. A bad one stands for a moment only, since everybody waits for the next.
    """

    def __init__(
        self, engine: AsyncEngine, good_for_seconds: float = 30.0, bad_for_seconds: float = 1.0
    ) -> None:
        self.engine = engine
        self.good_for_seconds = good_for_seconds
        self.bad_for_seconds = bad_for_seconds
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._problem: Problem | None = None

    async def check(self) -> None:
        """Return if ready; a problem says why not."""
        # However many probes come at once, one of them asks.
        async with self._asking:
            stands_for = self.bad_for_seconds if self._problem else self.good_for_seconds
            if time.monotonic() - self._asked_at >= stands_for:
                self._problem = await self._ask()
                self._asked_at = time.monotonic()
        if self._problem:
            raise self._problem.with_traceback(None)

    async def _ask(self) -> Problem | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self.engine.connect() as connection:
                revisions = await connection.scalars(text(schema.REVISIONS_OF_DATABASE))
                if schema.is_enough(revisions.all()):
                    return None
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                return unavailable(error)
        except (SQLAlchemyError, OSError) as error:
            return unavailable(error)
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database.schema_too_old",
            f"the database's schema is not at {schema.needed_revision()} yet: it is to be migrated",
        )


def unavailable(error: Exception) -> Problem:
    log.warning("not ready: %s", describe_database_error(error))
    return database_unavailable()


def get_readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


@router.get("/live")
async def live() -> Health:
    return Health(status="live")


@router.get("/ready")
async def ready(readiness: Annotated[Readiness, Depends(get_readiness)]) -> Health:
    await readiness.check()
    return Health(status="ready")
