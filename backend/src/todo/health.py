"""Whether the process lives, and whether it can work."""

import asyncio
import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from todo.problem import Problem, describe_database_error, log

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    status: str


class Readiness:
    """Ready once the schema is there and as long as the database answers.

    A good answer stands for a while: probes come every second, and a database that sleeps when
    nobody asks should be let sleep.
    """

    def __init__(self, engine: AsyncEngine, good_for_seconds: float = 30.0) -> None:
        self.engine = engine
        self.good_for_seconds = good_for_seconds
        self._schema = asyncio.Event()
        self._good_until = 0.0

    def schema_is_there(self) -> None:
        self._schema.set()

    async def wait_for_schema(self) -> None:
        await self._schema.wait()

    async def check(self) -> None:
        """Return if ready; a problem says why not."""
        if not self._schema.is_set():
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "schema-not-ready",
                "the database's schema is not up to date yet",
            )
        if time.monotonic() < self._good_until:
            return
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            log.warning("not ready: %s", describe_database_error(error))
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "database-unavailable",
                "the database does not answer",
            ) from error
        self._good_until = time.monotonic() + self.good_for_seconds


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
