"""Metrics for Prometheus, reachable only in the cluster: the frontend does not forward them."""

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

router = APIRouter(tags=["health"])


class Metrics:
    """The metrics of an app."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.duration = Histogram(
            "http_request_duration_seconds",
            "From the request's head to the end of its response.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "http_requests_in_progress", "Requests being answered.", registry=self.registry
        )
        pool = engine.pool
        if isinstance(pool, QueuePool):
            Gauge(
                "database_connections_in_use",
                "Connections of the pool in use by requests.",
                registry=self.registry,
            ).set_function(pool.checkedout)


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(request: Request) -> Response:
    measured: Metrics = request.app.state.metrics
    return Response(generate_latest(measured.registry), media_type=CONTENT_TYPE_LATEST)
