"""Liveness and readiness of the process."""

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

# Shorter than a probe's timeout, so that the response can report the problem.
PATIENCE_SECONDS = 3.0


class Health(BaseModel):
    status: str


class Readiness:
    """Ready as long as the database answers and has a schema that this build can use.

    A good result is cached for some seconds, because probes come every second and must not load a
    remote database. A bad one is cached only briefly, so that recovery is noticed soon.
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
        """Return if ready; raise a problem with the reason otherwise."""
        # Of several simultaneous probes, only one queries the database.
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
            f"the database's schema is not at {schema.needed_revision()} yet: it must be migrated",
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
