"""Refuses requests with too long a body, before they fill the memory."""

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.problem import Problem

# Longer than any text in a form.
LIMIT_BYTES = 64 * 1024


class BodyLimit:
    """Counts received bytes instead of trusting a header. FastAPI's own limit answers in plain
    text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LIMIT_BYTES:
                raise Problem(
                    HTTPStatus.CONTENT_TOO_LARGE,
                    "request.too_long",
                    f"the request is longer than {LIMIT_BYTES} bytes",
                )
            return message

        await self.app(scope, receive_within_limit, send)
