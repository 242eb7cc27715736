"""Errors as `application/problem+json` (RFC 9457): one shape for everything that a caller can be told."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from gitsync.errors import (
    Conflict,
    GitsyncError,
    InvalidConfig,
    ProtocolError,
    SettingsError,
    TrustError,
    Unavailable,
)

log = logging.getLogger("gitsync.rest")

MEDIA_TYPE = "application/problem+json"
DEFAULT_RETRY = timedelta(seconds=5)
_STATUS: Sequence[tuple[type[GitsyncError], HTTPStatus]] = (
    (InvalidConfig, HTTPStatus.BAD_REQUEST),
    (SettingsError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (TrustError, HTTPStatus.FORBIDDEN),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (Conflict, HTTPStatus.CONFLICT),
)


class NotFoundError(GitsyncError):
    """What the caller named does not exist."""


class UnauthorizedError(GitsyncError):
    """The call needs a credential that was not given, or does not hold."""


def problem(status: int, *, code: str, detail: str, hint: str = "", headers: dict[str, str] | None = None) -> Response:
    """One problem document."""
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:gitsync:problem:{code}",
        "title": title,
        "status": int(status),
        "code": code,
        "detail": detail,
        "hint": hint,
    }
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: GitsyncError) -> int:
    """The HTTP status of an error's family."""
    if isinstance(error, NotFoundError):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, UnauthorizedError):
        return HTTPStatus.UNAUTHORIZED
    if isinstance(error, ProtocolError):
        return error.status if 400 <= error.status < 600 else HTTPStatus.BAD_REQUEST
    for family, status in _STATUS:
        if isinstance(error, family):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: GitsyncError) -> Response:
    """The problem document of an error, with the headers that its status asks for."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable):
        wait = error.retry_after or DEFAULT_RETRY
        headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = 'Bearer realm="gitsync"'
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a call failed: %s (%s)", error, error.code)
    return problem(status, code=error.code, detail=error.message, hint=error.hint, headers=headers)


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document."""

    async def on_gitsync(_: Request, error: Exception) -> Response:
        assert isinstance(error, GitsyncError)
        return problem_of(error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-").replace("'", "")
        detail = f"{request.method} {request.url.path}: {error.detail}"
        hint = "the routes are listed at /docs" if error.status_code == HTTPStatus.NOT_FOUND else ""
        return problem(
            error.status_code, code=f"http.{code}", detail=detail, hint=hint, headers=dict(error.headers or {})
        )

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = "the routes and their parameters are listed at /docs"
        return problem(422, code="request.invalid", detail=f"{where}: {first['msg']}", hint=hint)

    async def on_bug(_: Request, __: Exception) -> Response:
        # Starlette raises it again after this answer: the log has the traceback, the caller gets none.
        return problem(500, code="internal", detail="an unexpected error; the server's log has more")

    app.add_exception_handler(GitsyncError, on_gitsync)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_bug)
