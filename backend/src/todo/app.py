"""Creates the app from its parts."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI
from sqlalchemy import URL
from sqlalchemy.exc import OperationalError

from todo import accounts, ai, health, logins, metrics, todos
from todo.attempts import AttemptLimit
from todo.body_limit import BodyLimit
from todo.database import create_engine
from todo.health import Readiness
from todo.metrics import Metrics
from todo.migrate import RETRY_SECONDS, migrate
from todo.observe import Observe
from todo.problem import add_problem_handlers, describe_database_error
from todo.settings import Settings

if TYPE_CHECKING:
    from todo.suggestions import Suggester

log = logging.getLogger(__name__)


async def migrate_when_reachable(url: URL) -> None:
    """Migrate, with retries: the app runs without its database, but is not ready."""
    while True:
        try:
            await asyncio.to_thread(migrate, url)
        except OperationalError as error:
            log.warning("cannot migrate yet: %s", describe_database_error(error))
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("the migration failed: not ready until it is fixed and restarted")
            return
        else:
            return


def create_suggester(settings: Settings) -> "Suggester | None":
    if settings.openai_api_key is None:
        return None
    from todo.suggestions import Suggester

    return Suggester(settings, settings.openai_api_key.get_secret_value())


def create_app(settings: Settings) -> FastAPI:
    engine = create_engine(settings.sqlalchemy_url)
    suggester = create_suggester(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        migration: asyncio.Task[None] | None = None
        if settings.migrate_at_start:
            migration = asyncio.create_task(migrate_when_reachable(settings.sqlalchemy_url))
        try:
            yield
        finally:
            if migration:
                migration.cancel()
                with suppress(asyncio.CancelledError):
                    await migration
            if suggester:
                await suggester.close()
            await engine.dispose()

    app = FastAPI(title="Todo", version="0.1.0", lifespan=lifespan)
    app.state.settings = settings
    app.state.engine = engine
    app.state.readiness = Readiness(engine)
    app.state.metrics = Metrics(engine)
    app.state.failed_logins = AttemptLimit(logins.FAILED_ATTEMPTS, logins.FAILED_ATTEMPTS_SECONDS)
    app.state.suggester = suggester
    app.state.ai_requests = AttemptLimit(ai.REQUESTS, ai.REQUESTS_SECONDS)
    add_problem_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Observe, metrics=app.state.metrics)
    for part in (health, metrics, accounts, logins, todos, ai):
        app.include_router(part.router)
    return app
