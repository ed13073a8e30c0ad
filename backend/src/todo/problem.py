"""All errors as problem documents (RFC 9457)."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from todo.logs import request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROBLEM_RESPONSE = {
    "description": "A problem document",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}


class Problem(HTTPException):
    """An error for the client, with a stable code."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code


class ProblemDocument(BaseModel):
    """The format of every error (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    code: str = Field(description="The kind of error, for programs: stable, `area.kind`.")
    detail: str = Field(description="The error in words, for users.")
    request_id: str | None = Field(None, description="Id of the request in the logs.")
    errors: list[dict[str, str]] | None = Field(None, description="Errors by field.")


def problem_document(problem: HTTPException, **members: Any) -> ProblemDocument:  # noqa: ANN401
    status = HTTPStatus(problem.status_code)
    return ProblemDocument(
        title=status.phrase,
        status=status,
        code=problem.code if isinstance(problem, Problem) else f"http.{status.name.lower()}",
        detail=problem.detail,
        request_id=request_id.get(),
        **members,
    )


def problem_response(problem: HTTPException, **members: Any) -> JSONResponse:  # noqa: ANN401
    return JSONResponse(
        problem_document(problem, **members).model_dump(mode="json", exclude_none=True),
        status_code=problem.status_code,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class only
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error.headers = {"Allow": allowed_methods(request)}
    return problem_response(error)


def allowed_methods(request: Request) -> str:
    """List the methods of a path: each is a separate route, and the router returns only one of
    them."""
    path = getattr(request.scope.get("route"), "path", None)
    return ", ".join(sorted(request.app.openapi()["paths"].get(path, {}))).upper()


async def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class only
    # The input is left out, because it may be a password.
    errors = [
        {"field": ".".join(str(part) for part in e["loc"][1:]), "message": e["msg"]}
        for e in error.errors()
    ]
    detail = "; ".join(
        f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in errors
    )
    problem = Problem(HTTPStatus.UNPROCESSABLE_CONTENT, "request.invalid", detail)
    return problem_response(problem, errors=errors)


async def on_database_error(_: Request, error: Exception) -> JSONResponse:
    log.error("the database did not answer: %s", describe_database_error(error))
    return problem_response(database_unavailable())


def database_unavailable() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database.unavailable",
        "the database does not answer",
        {"Retry-After": "5"},
    )


def describe_database_error(error: BaseException) -> str:
    """Return the driver's message in one line, without SQLAlchemy's statement and link."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    for unavailable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(unavailable, on_database_error)
    app.openapi = partial(describe_with_problems, app.openapi)  # type: ignore[method-assign]


def describe_with_problems(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Add the problem document to every operation of the API's description."""
    document = describe()
    schemas = document["components"]["schemas"]
    if ProblemDocument.__name__ not in schemas:
        schemas[ProblemDocument.__name__] = ProblemDocument.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"] |= dict.fromkeys(("4XX", "5XX"), PROBLEM_RESPONSE)
    return document
