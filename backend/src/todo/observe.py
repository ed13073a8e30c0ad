"""Wraps every request: its id, its log line, its metrics, and the response to an unexpected
error."""

import logging
import re
import time
from http import HTTPStatus
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo.logs import request_id
from todo.metrics import Metrics
from todo.problem import Problem, problem_response

log = logging.getLogger(__name__)

# Ids come from clients and are logged: only harmless ones are accepted.
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Requested every few seconds by probes.
QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})


class Observe:
    """The outermost layer, so that every error has its id and its log line."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        current = given if SANE_ID.fullmatch(given) else uuid4().hex
        request_id.set(current)
        began = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = current
            await send(message)

        with self.metrics.in_progress.track_inprogress():
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                log.exception("an unexpected error")
                if status:
                    # A part of the response is sent: only a closed connection shows that it is
                    # incomplete.
                    raise
                answer = problem_response(
                    Problem(
                        HTTPStatus.INTERNAL_SERVER_ERROR,
                        "server.internal_error",
                        "something went wrong on our side",
                    )
                )
                await answer(scope, receive, send_with_id)
            finally:
                self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        # The template instead of the path: the number of paths is unlimited, and each would be a
        # time series.
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.duration.labels(method, route, status).observe(seconds)
        path = scope["path"][:200]
        if path in QUIET_PATHS and status < 400:
            return
        fields = {
            "method": method,
            "path": path,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
        }
        log.info("%s %s: %s", method, path, status or "broken off", extra={"fields": fields})
