"""Common parts of both pages: static files, headers, allowed hosts, and a server that loses no request at its end."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aligncap.errors import AlignCapError, message
from aligncap.serving.web.guard import UPLOAD_SECONDS, Guard

STATIC = Path(__file__).parent / "static"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

logger = logging.getLogger(__name__)


class ServerError(AlignCapError):
    """An error that prevents the server from starting."""


def dress(app: FastAPI, page: str, host: str, upload_seconds: float = UPLOAD_SECONDS) -> None:
    """Give an app its page at ``/``, the static files, the guard before both, and a check of the Host header.

    A page on loopback answers to loopback names only, so that no website can reach it by a host name that points at
    this machine (DNS rebinding).

    Args:
        app: Web application.
        page: Name of the page's file.
        host: Address on which it will be served.
        upload_seconds: Seconds that the body of a request may take to arrive.
    """
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    app.add_middleware(Guard, upload_seconds=upload_seconds)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        """Name the field and the mistake; FastAPI would repeat the value, which may be what no answer can hold."""
        first = error.errors()[0]
        return JSONResponse({"detail": message(f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")}, 422)

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / page)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def run(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the accepted requests and return.

    Args:
        app: Web application to serve.
        host: Address to listen on.
        port: Port; 0 takes a free one, which the log names.

    Raises:
        ServerError: The address is unavailable.
    """
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()  # not left to uvicorn, because clients may connect once they read the address below
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise ServerError(f"{host}:{port}: {why}; choose another --host or --port") from None
        if host not in LOOPBACK:
            logger.warning("%s is reachable from other machines; nobody is asked for a password", host)
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, server_header=False, lifespan="on"))
        shown = f"[{host}]" if ":" in host else host
        logging.getLogger("uvicorn.error").info("AlignCap is on http://%s:%d", shown, listener.getsockname()[1])
        # When it is done, uvicorn raises the signal that ended it once more, for the previous handler.
        before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run(sockets=[listener])
        except SystemExit as end:
            if end.code:
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if not server.started:
        raise ServerError("the server did not start; its log says why")


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
