"""The page's server: for this machine alone, and a browser that it tells to ask nobody else."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path
from typing import Any

from jscc_sim.errors import InputError

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-src 'none'"
)
"""What a browser may load: of this server, and what the page itself holds."""

LARGEST_FILE = "1gb"


def serve(port: int | None, browse: bool) -> None:
    """Serve until interrupted. port: of HOST, None for the first free one from FIRST_PORT on; browse: open a
    browser. Raises InputError for a port that is taken."""
    listening = _listening(port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # once uvicorn has shut down
    with listening, tempfile.TemporaryDirectory(prefix="jscc_sim_demo_") as folder:
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1", GRADIO_TEMP_DIR=folder)
        server = _server(Path(folder))
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        print(f"{address} shows the page, on this machine alone; Ctrl-C ends it", flush=True)
        if browse:
            threading.Timer(1.0, webbrowser.open, [address]).start()
        server.run(sockets=[listening])


def _listening(port: int | None) -> socket.socket:
    """A socket that is bound and listens."""
    for number in range(FIRST_PORT, FIRST_PORT + PORTS) if port is None else [port]:
        found = socket.socket()
        if os.name == "posix":  # a port that was served a minute ago is free; elsewhere this would share it
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, number))
        except OSError as error:
            found.close()
            if error.errno != errno.EADDRINUSE or port is not None:
                raise InputError(f"port {number} of {HOST} cannot be used: {error.strerror}") from None
            continue
        found.listen()
        return found
    raise InputError(f"ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1} of {HOST} are all taken: see --port")


class Alone:
    """Around an ASGI application: its answers carry POLICY, and are not compressed, which within a machine
    takes longer than to send them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI."""

        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message.get("headers", ()), policy]}
            await send(message)

        if scope["type"] == "http":
            kept = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
            scope = {**scope, "headers": kept}
        await self.app(scope, receive, with_policy)


def _server(folder: Path) -> Any:
    """uvicorn's, of the page."""
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from jscc_sim.demo.page import STYLE, build, head, theme

    app = FastAPI(openapi_url=None)
    app.add_middleware(Alone)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    gr.mount_gradio_app(
        app,
        build(folder),
        path="/",
        server_name=HOST,
        allowed_paths=[str(folder)],
        max_file_size=LARGEST_FILE,
        ssr_mode=False,
        footer_links=[],
        theme=theme(),
        css_paths=STYLE,
        head=head(),
    )
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
