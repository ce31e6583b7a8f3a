"""The explorer's HTTP: who may ask, how much at a time, and errors that a page can show."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from insens_tf.errors import UnreadableModelError
from insens_tf.explorer.downloads import MEDIA_TYPES, downloaded
from insens_tf.explorer.exploration import MOST_DROPPED_BYTES, Exploration
from insens_tf.explorer.lanes import BusyError, Lane, SupersededError
from insens_tf.explorer.python_lines import python_lines
from insens_tf.explorer.shown import (
    image_shown,
    layer_shown,
    network_shown,
    neuron_shown,
    step_shown,
    strip_shown,
)
from insens_tf.explorer.shown_later import insens_shown, method_shown, top_images_shown
from insens_tf.explorer.view import View

__all__ = ["application"]

STATIC = Path(__file__).resolve().with_name("static")

MOST_BYTES = 2**20
"""Of a request that is no file: drawings are the largest part of it."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The token is in the address.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_LOGGER = logging.getLogger(__name__)

Given = Mapping[str, Any]


def _of_view(shown: Callable[..., Any], *names: str, **more: Any) -> Callable[..., Any]:
    """Make an answer of what shows a view: with what else the page sends, by name."""

    def answer(exploration: Exploration, given: Given) -> Any:
        view = View.of(given.get("view"), exploration)
        return shown(exploration, view, *(given.get(name) for name in names), **more)

    return answer


def _insens(exploration: Exploration, given: Given) -> Any:
    view = View.of(given.get("view"), exploration)
    exact = given.get("exact") is True
    return insens_shown(exploration, view, given.get("state", "inactive"), exact=exact)


def _strip(exploration: Exploration, given: Given) -> Any:
    start = given.get("start", 0)
    if isinstance(start, bool) or not isinstance(start, int):
        raise ValueError(f"start={start!r}: expected a whole number")
    return strip_shown(exploration, start)


_QUICK: dict[str, Callable[[Exploration, Given], Any]] = {
    "network": lambda exploration, given: network_shown(exploration),
    "strip": _strip,
    "image": _of_view(image_shown),
    "layer": _of_view(layer_shown),
    "neuron": _of_view(neuron_shown),
    "step": _of_view(step_shown, "step"),
    "python": _of_view(lambda exploration, view: {"lines": python_lines(exploration, view)}),
    "download": _of_view(downloaded, "form"),
}
"""What is computed at once, by its address."""

_SLOW: dict[str, Callable[[Exploration, Given], Any]] = {
    "insens": _insens,
    "method": _of_view(method_shown, "method"),
    "top": _of_view(top_images_shown),
}
"""What may take seconds, and is ended when the view moves on."""


class RefusedError(Exception):
    """A request that is not answered.

    Parameters
    ----------
    status : int
        Of the response.
    message : str
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Headers:
    """Adds the headers that keep a page to itself to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


class _Endpoints:
    """Answers the requests of pages that know the token."""

    def __init__(self, exploration: Exploration, token: str) -> None:
        self._exploration = exploration
        self._token = token
        self.lanes = {"quick": Lane("explorer"), "slow": Lane("explorer-slow")}

    async def page(self, request: Request) -> Response:
        """Give the page to who has the token in the address."""
        if not self._knows_token(request.query_params.get("token", "")):
            return PlainTextResponse(
                "The address is not whole: expected ?token=... as the explorer has printed it.\n",
                status_code=403,
            )
        return FileResponse(STATIC / "index.html")

    async def answer(self, request: Request) -> Response:
        """Compute something, or say in JSON why not."""
        try:
            self._check(request)
            return await self._answered(request)
        except RefusedError as error:
            return _error(error.status, error)
        except (ValueError, UnreadableModelError) as error:
            return _error(400, error)
        except SupersededError:
            return _error(409, "superseded: the view has moved on")
        except BusyError as error:
            return _error(503, error)
        except MemoryError:
            return _error(507, "this machine's memory is not enough for that")
        except Exception as error:  # whatever it is, the next request is answered
            _LOGGER.exception("a request of the explorer failed")
            return _error(500, f"{type(error).__name__}: {error}")

    def _check(self, request: Request) -> None:
        """Refuse who is another site's page, or does not know the token."""
        origin = request.headers.get("origin")
        if origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
            raise RefusedError(403, f"origin {origin!r}: expected the explorer's own page")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self._knows_token(token):
            raise RefusedError(403, "expected the token that the explorer has printed")

    def _knows_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def _answered(self, request: Request) -> Response:
        what = request.path_params["what"]
        page = request.headers.get("x-page", "")[:64]
        if what == "drop":
            title = request.query_params.get("title", "picture")
            content = await _body(request, MOST_DROPPED_BYTES)
            return await self._computed(
                request,
                "quick",
                (page, "drop"),
                lambda: {"image": self._exploration.drop(title, content)},
            )
        lane = "quick" if what in _QUICK else "slow"
        shown = _QUICK.get(what) or _SLOW.get(what)
        if shown is None:
            raise RefusedError(404, f"{what!r}: expected one of {', '.join([*_QUICK, *_SLOW])}")
        given = _object(await _body(request, MOST_BYTES))
        key = page, what, str(given.get("place", ""))[:64]
        return await self._computed(
            request, lane, key, lambda: shown(self._exploration, given), str(given.get("form"))
        )

    async def _computed(
        self,
        request: Request,
        lane: str,
        key: tuple[str, ...],
        compute: Callable[[], Any],
        form: str = "",
    ) -> Response:
        gone: Callable[[], Awaitable[bool]] = request.is_disconnected
        result = await self.lanes[lane].run(key, compute, gone)
        if isinstance(result, bytes):
            return Response(result, media_type=MEDIA_TYPES[form])
        return JSONResponse(result)


def application(exploration: Exploration, token: str, allowed_hosts: Sequence[str]) -> Starlette:
    """Return the explorer as an ASGI application.

    Parameters
    ----------
    exploration : Exploration
    token : str
        Who does not know it is refused.
    allowed_hosts : sequence of str
        The names under which the server may be asked: those of others are refused, so that no
        other site's name can be made to mean this machine.
    """
    endpoints = _Endpoints(exploration, token)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield
        for lane in endpoints.lanes.values():
            lane.close()

    return Starlette(
        routes=[
            Route("/", endpoints.page),
            Route("/api/{what}", endpoints.answer, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(_Headers),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts)),
        ],
        lifespan=lifespan,
    )


async def _body(request: Request, most: int) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise RefusedError(413, f"expected at most {most:,} bytes, came more")
    return bytes(content)


def _object(content: bytes) -> Given:
    try:
        given = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"expected JSON: {error}") from error
    if not isinstance(given, dict):
        raise RefusedError(400, f"expected a JSON object, came {type(given).__name__}")
    return given


def _error(status: int, message: object) -> Response:
    return JSONResponse({"error": str(message)}, status_code=status)
