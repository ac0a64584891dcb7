"""Problem documents (RFC 9457) in the reader's language."""

import json
import logging
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.errors import Refused, Unavailable
from server.words import choose, say

log = logging.getLogger(__name__)

STATUS = {
    "key-missing": 400,
    "not-json": 400,
    "not-signed-in": 401,
    "wrong-sign-in": 401,
    "not-allowed": 403,
    "not-your-household": 403,
    "header-missing": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "agreed-already": 409,
    "edited-meanwhile": 409,
    "farm-held-already": 409,
    "farm-held-by-stop": 409,
    "farm-paused": 409,
    "household-has-turns": 409,
    "household-has-zones": 409,
    "household-name-taken": 409,
    "household-owed": 409,
    "household-owes": 409,
    "key-reused": 409,
    "nothing-to-give": 409,
    "nothing-to-skip": 409,
    "round-begun": 409,
    "too-many-agreements": 409,
    "too-many-households": 409,
    "too-many-programs": 409,
    "too-large": 413,
    "bad-dose": 422,
    "bad-field": 422,
    "bad-fields": 422,
    "dose-above-cap": 422,
    "dose-needs-probe": 422,
    "hold-out-of-range": 422,
    "pause-out-of-range": 422,
    "depth-above-cap": 422,
    "household-name": 422,
    "litres-above-cap": 422,
    "unknown-person": 422,
    "unknown-zone": 422,
    "try-later": 429,
    "internal": 500,
    "gateway-away": 503,
    "ledger-away": 503,
    "series-away": 503,
}
"""Every problem that the API answers with; server/words has a title and a sentence for each."""

_BASE = "https://tuoi.invalid/problems/"


def problem(
    request: Request,
    code: str,
    *,
    field: str | None = None,
    params: dict[str, float | str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """One problem document."""
    language = choose(request.headers.get("accept-language", ""))
    given = params or {}
    body: dict[str, Any] = {
        "type": _BASE + code,
        "title": say(language, f"{code}.title", given),
        "status": STATUS[code],
        "detail": say(language, code, given | ({"field": field} if field else {})),
    }
    if field is not None:
        body["field"] = field
    if given:
        body["params"] = given
    if errors is not None:
        body["errors"] = errors
    headers = {"Content-Language": language, "Cache-Control": "no-store"}
    if code == "try-later":
        headers["Retry-After"] = str(int(float(given.get("wait_s", 1))))
    elif STATUS[code] == 503:
        headers["Retry-After"] = "5"
    return Response(json.dumps(body, ensure_ascii=False), STATUS[code], headers, media_type="application/problem+json")


async def refused(request: Request, exc: Exception) -> Response:
    """A rule said no."""
    assert isinstance(exc, Refused)  # noqa: S101
    return problem(request, exc.code, field=exc.field, params=exc.params)


async def unavailable(request: Request, exc: Exception) -> Response:
    """A store or the gateway does not answer."""
    assert isinstance(exc, Unavailable)  # noqa: S101
    if exc.what != "gateway":
        log.error("%s %s: %s", request.method, request.url.path, exc)
    return problem(request, f"{exc.what}-away")


async def invalid(request: Request, exc: Exception) -> Response:
    """Fields are missing, unknown or out of range."""
    assert isinstance(exc, ValidationError)  # noqa: S101
    return _fields(request, exc.errors(include_url=False, include_context=False))


async def invalid_query(request: Request, exc: Exception) -> Response:
    """The same for what stands behind the question mark."""
    found: list[Any] = list(exc.errors()) if isinstance(exc, RequestValidationError) else []
    return _fields(request, [error | {"loc": error["loc"][1:]} for error in found])


async def http(request: Request, exc: Exception) -> Response:
    """What the framework itself refuses."""
    assert isinstance(exc, HTTPException)  # noqa: S101
    return problem(request, "method-not-allowed" if exc.status_code == 405 else "not-found")


async def internal(request: Request, exc: Exception) -> Response:
    """A defect of ours."""
    log.error("defect at %s %s", request.method, request.url.path, exc_info=exc)
    return problem(request, "internal")


def _fields(request: Request, found: list[Any]) -> Response:
    language = choose(request.headers.get("accept-language", ""))
    # A list whose items are wrong is also said to be too short; the items are what the reader can mend.
    places = [tuple(error["loc"]) for error in found]
    found = [
        error
        for error, place in zip(found, places, strict=True)
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]
    errors: list[dict[str, str]] = []
    for error in found[:20]:
        if error["type"] == "json_invalid":
            return problem(request, "not-json", params={"why": str(error["msg"])[:200]})
        field = _path(error["loc"]) or "body"
        errors.append({"field": field, "detail": _sentence(language, field, error)})
    if len(errors) == 1:
        field = errors[0]["field"]
        code = "bad-dose" if "dose" in field.split(".") else "bad-field"
        return problem(request, code, field=field, params={"why": _why(language, found[0])})
    return problem(request, "bad-fields", errors=errors, params={"count": float(len(errors))})


def _sentence(language: str, field: str, error: Any) -> str:
    return say(language, "bad-field", {"field": field, "why": _why(language, error)})


_KINDS = {"missing": "why.missing", "extra_forbidden": "why.unknown", "finite_number": "why.finite"}


def _why(language: str, error: Any) -> str:
    kind = str(error["type"])
    if kind in _KINDS:
        return say(language, _KINDS[kind], {})
    if kind.endswith(("_type", "_parsing", "_tag_invalid", "_tag_not_found")):
        return say(language, "why.type", {})
    # Ranges and patterns: the rule's own words are numbers and names, which need no translation to be of use.
    return say(language, "why.rule", {"rule": str(error["msg"]).removeprefix("Value error, ")[:200]})


def _path(place: tuple[Any, ...]) -> str:
    # The names of a union's branches are ours, not the sender's.
    return ".".join(str(step) for step in place if step not in ("weekly", "every_n_days"))
