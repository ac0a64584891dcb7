"""The phone app's files, from memory, and the page with the signed-in person's state already in it."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from server.api.doors import COOKIE, Made
from server.errors import Refused
from server.live import encode
from server.services import Services
from server.shapes import me

NO_BUNDLE = "The phone app is not built: run `make web`, or install the wheel, which holds it. The API is at /api/v1, its description at /docs."  # noqa: E501
_PLACE = b"<!--state-->"
_TYPES = {".webmanifest": "application/manifest+json", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_LEAST_GZIP = 1000


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    packed: bytes | None
    media_type: str
    mark: str
    cache: str


class Bundle:
    """The files of server/web/dist, read once; empty when it was not built."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, _File] = {}
        self._index: bytes | None = None
        if not (folder / "index.html").is_file():
            return
        self._index = (folder / "index.html").read_bytes()
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name != "index.html" and not name.endswith(".gz"):
                self._files[name] = _read(path, name)

    @property
    def built(self) -> bool:
        """Whether there is an app to serve."""
        return self._index is not None

    def file(self, name: str, request: Request) -> Response | None:
        """One of the app's files; None when there is none of that name."""
        found = self._files.get(name)
        if found is None:
            return None
        headers = {"Cache-Control": found.cache, "ETag": found.mark, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == found.mark:
            return Response(status_code=304, headers=headers)
        content = found.content
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content = found.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type=found.media_type)

    def page(self, state: Any) -> HTMLResponse:
        """The app's one page, with its state in it (None: nobody is signed in)."""
        assert self._index is not None  # noqa: S101
        injected = b""
        if state is not None:
            # `<` ends no element when it is written so; JSON reads it the same.
            text = encode(state).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
            injected = f'<script type="application/json" id="state">{text}</script>'.encode()
        return HTMLResponse(self._index.replace(_PLACE, injected, 1), headers={"Cache-Control": "no-store"})


def routes(bundle: Bundle) -> APIRouter:
    """The app's files, and its page for every path that is not one of them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def describe(request: Request) -> HTMLResponse:
        """The API as a table; no script, so it needs nothing from elsewhere."""
        return HTMLResponse(_described(request.app.openapi()))

    @router.get("/{path:path}")
    async def app(path: str, request: Request, made: Made) -> Response:
        """A file of the app, or the app itself."""
        found = bundle.file(path, request)
        if found is not None:
            return found
        if path.startswith("api/") or "." in path.rsplit("/", 1)[-1]:
            raise Refused("not-found")
        if not bundle.built:
            return HTMLResponse(f"<!doctype html><title>Tưới</title><p>{NO_BUNDLE}</p>", 503)
        return bundle.page(_state(made, request.cookies.get(COOKIE)))

    return router


def _state(made: Services, token: str | None) -> Any:
    try:
        account = made.doorkeeper.who(token)
    except Refused:
        return None
    own = [view for view in made.live.views() if account.sees(view.farm.id)]
    first = min(own, key=lambda view: view.farm.id, default=None)
    snapshot = None if first is None else first.snapshot(made.now())
    return {"me": me(account, made.live.names()), "snapshot": snapshot}


def _read(path: Path, name: str) -> _File:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packs = len(content) >= _LEAST_GZIP and not media_type.startswith(("image/png", "font/"))
    packed = gzip.compress(content, 9, mtime=0) if packs else None
    # Vite puts a hash of the content into the names of what it builds; the others keep their name when they change.
    cache = _FOR_EVER if name.startswith("assets/") else "no-cache"
    return _File(content, packed, media_type, f'"{hashlib.sha256(content).hexdigest()[:20]}"', cache)


def _described(schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code><td><code>{path}</code><td>{call.get('summary', '')}: "
        f"{call.get('description', '')}"
        for path, calls in sorted(schema["paths"].items())
        for method, call in calls.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tưới API</title><h1>Tưới API</h1>"
        f"<p>The whole description: <a href=/openapi.json>/openapi.json</a>.<table>{rows}</table>"
    )
