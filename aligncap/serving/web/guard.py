"""What stands before both pages: who may send, how long an upload may take, and the headers of every answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from fastapi import HTTPException
from h11 import LocalProtocolError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD_SECONDS = 120.0
READS = ("GET", "HEAD", "OPTIONS")
SAME_SITE = ("same-origin", "none")  # none: typed into the address bar
# All content of the pages comes from this server; recordings are blobs that the page creates.
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SWAGGER = (  # the page of FastAPI has a script of its own in it
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NOTHING = "default-src 'none'; frame-ancestors 'none'"
POLICIES = {"/": PAGE, "/docs": SWAGGER}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}


def comes_from_elsewhere(headers: Headers) -> bool:
    """Return whether a browser sends a request for a page of another origin; programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in SAME_SITE
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def is_utf8(content_type: str) -> bool:
    """Return whether a form is in UTF-8, as browsers and programs send it.

    Python has codecs that no form is meant to be decoded by, such as ``utf-7`` and ``undefined``, whose errors and
    results the libraries below do not expect.
    """
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8")
    return charset.decode("latin-1").strip().lower().replace("_", "-") in ("utf-8", "utf8")


class Guard:
    """ASGI middleware that refuses requests of other websites, odd character sets and uploads that take too long.

    Args:
        app: Application behind it.
        upload_seconds: Seconds that the body of a request may take to arrive; later it gets 408.
    """

    def __init__(self, app: ASGIApp, upload_seconds: float = UPLOAD_SECONDS) -> None:
        self.app, self.upload_seconds = app, upload_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ends, arrived = asyncio.get_running_loop().time() + self.upload_seconds, False

        async def in_time() -> Message:
            nonlocal arrived
            if arrived:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                words = f"the upload took more than {self.upload_seconds:g} s; send it again"
                raise HTTPException(408, words, {"Connection": "close"}) from None
            arrived = not message.get("more_body", False)
            return message

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Content-Security-Policy"] = POLICIES.get(scope["path"], NOTHING)
            with suppress(LocalProtocolError):  # the rest of the request was no HTTP, and uvicorn has answered that
                await send(message)

        if scope["method"] not in READS and comes_from_elsewhere(Headers(scope=scope)):
            refusal = JSONResponse({"detail": "sent by another website; open the page of this server itself"}, 403)
            await refusal(scope, receive, dressed)
            return
        if not is_utf8(Headers(scope=scope).get("content-type", "")):
            refusal = JSONResponse({"detail": "a form in another character set; send it in UTF-8"}, 415)
            await refusal(scope, receive, dressed)
            return
        await self.app(scope, in_time, dressed)
