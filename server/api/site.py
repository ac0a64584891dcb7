"""The whole web application: routes, problem documents, security headers, compression."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api import farm, health, history, households, pages, problems, programs, runs, session, turns
from server.api.doors import changes_with_header
from server.api.pages import Bundle
from server.errors import Refused, Unavailable
from server.metrics import Metrics
from server.services import Services

SECURITY_HEADERS = {
    # Styles may be inline: the first load's are in the page, and jars and charts set their own sizes.
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def site(services: Services, bundle: Bundle) -> FastAPI:
    """The application over its services."""
    app = FastAPI(
        title="Tưới", version="1", description="Irrigation of a farm or a cooperative: docs/api.md.", docs_url=None,
        redoc_url=None, openapi_url="/openapi.json",
        exception_handlers={
            Refused: problems.refused,
            Unavailable: problems.unavailable,
            ValidationError: problems.invalid,
            RequestValidationError: problems.invalid_query,
            HTTPException: problems.http,
            Exception: problems.internal,
        },
    )  # fmt: skip
    app.state.services = services
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(changes_with_header)])
    for part in (session, farm, runs, programs, turns, households, history, health):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(health.router, include_in_schema=False)
    app.include_router(pages.routes(bundle))
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(Headers, metrics=services.metrics)
    return app


class Headers:
    """Puts the security headers on every answer, keeps the API's out of caches, and counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._always = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[Any] = list(message["headers"])
                own = {name.lower() for name, _ in headers}
                headers += [pair for pair in self._always if pair[0] not in own]
                if b"cache-control" not in own:
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
                self._metrics.request(scope["method"], message["status"])
            await send(message)

        await self._app(scope, receive, with_headers)
