"""Errors as problem documents (RFC 9457), whatever raised them."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)


class Problem(HTTPException):
    """An error that the client is told of, with a stable code to act upon."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code


def problem_response(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: Any,  # noqa: ANN401  a problem document takes members of any kind
) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }
    return JSONResponse(
        body, status_code=status, headers=headers, media_type="application/problem+json"
    )


async def on_http_exception(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Problem):
        return problem_response(error.status_code, error.code, error.detail, error.headers)
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class only
    code = HTTPStatus(error.status_code).name.lower().replace("_", "-")
    return problem_response(error.status_code, code, error.detail, error.headers)


async def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class only
    # The input itself stays out: it may be a password.
    errors = [
        {"field": ".".join(str(part) for part in e["loc"][1:]), "message": e["msg"]}
        for e in error.errors()
    ]
    detail = "; ".join(
        f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in errors
    )
    return problem_response(422, "invalid-request", detail, errors=errors)


async def on_database_error(_: Request, error: Exception) -> JSONResponse:
    log.error("the database did not answer: %s", describe_database_error(error))
    return problem_response(
        503, "database-unavailable", "the database does not answer", {"Retry-After": "5"}
    )


async def on_any_error(_: Request, __: Exception) -> JSONResponse:
    # The server logs it, with its traceback: Starlette raises it again after this answer.
    return problem_response(500, "internal-error", "something went wrong on our side")


def describe_database_error(error: BaseException) -> str:
    """One line with the driver's own words, less SQLAlchemy's statement and link."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    for unavailable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(unavailable, on_database_error)
    app.add_exception_handler(Exception, on_any_error)
