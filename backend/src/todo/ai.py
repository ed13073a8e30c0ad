"""Suggests todos for a text. It only suggests: the client decides which of them to create."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from todo.accounts import CurrentUser
from todo.attempts import AttemptLimit
from todo.problem import Problem, problem_document
from todo.todos import Day, NewTodo

if TYPE_CHECKING:
    # Its client takes a second and 60 MB to load, so it is loaded only with a key.
    from todo.suggestions import Suggester

router = APIRouter(prefix="/ai", tags=["ai"])

EVENTS = "text/event-stream"
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["todo", "done", "problem"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}

# Every call costs money.
REQUESTS = 20
REQUESTS_SECONDS = 300.0


class Availability(BaseModel):
    available: bool


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
    today: Day | None = Field(
        None, description="The current date in the user's time zone. Default: the date in UTC."
    )


def get_suggester(request: Request) -> "Suggester":
    suggester: Suggester | None = request.app.state.suggester
    if suggester is None:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "ai.not_configured",
            "the features that use AI are off: OPENAI_API_KEY is not set",
        )
    return suggester


def get_limit(request: Request) -> AttemptLimit:
    limit: AttemptLimit = request.app.state.ai_requests
    return limit


@router.get("")
async def is_available(request: Request) -> Availability:
    """Return whether suggestions are available."""
    return Availability(available=request.app.state.suggester is not None)


# FastAPI's event responses begin before we know whether the model answers.
@router.post(
    "/todos",
    response_class=StreamingResponse,
    responses={HTTPStatus.OK: {"content": {EVENTS: {"itemSchema": EVENT}}}},
)
async def suggest_todos(
    note: Note,
    user: CurrentUser,
    request: Request,
    limit: Annotated[AttemptLimit, Depends(get_limit)],
) -> StreamingResponse:
    """Stream suggestions: an event `todo` for each as it comes, then `done`.

    An error before the first suggestion is a problem document; a later one is an event `problem`.
    """
    suggester = get_suggester(request)
    if wait := limit.take(str(user.id)):
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "ai.too_many_requests",
            "that was a lot at once: try again in a few minutes",
            {"Retry-After": str(int(wait) + 1)},
        )
    today = note.today or datetime.now(UTC).date()
    suggested = await suggester.ask(note.text, today)
    # Forbids buffering in proxies, which would defeat the stream.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(suggested), headers=headers, media_type=EVENTS)


async def events(suggested: AsyncIterator[NewTodo]) -> AsyncIterator[bytes]:
    try:
        async for todo in suggested:
            yield format_sse_event(event="todo", data_str=todo.model_dump_json())
    except Problem as problem:
        document = problem_document(problem).model_dump_json(exclude_none=True)
        yield format_sse_event(event="problem", data_str=document)
    else:
        yield format_sse_event(event="done", data_str="{}")
