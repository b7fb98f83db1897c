"""`jscc-sim demo`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from jscc_sim.errors import InputError

LARGEST_PORT = 65535


def demo(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted. Raises InputError."""
    if arguments.port is not None and not 0 <= arguments.port <= LARGEST_PORT:
        raise InputError(f"--port {arguments.port} is outside 0, any free one, to {LARGEST_PORT}")
    if find_spec("gradio") is None:
        raise InputError("the page needs Gradio: pip install 'jscc_sim[demo]'")
    from jscc_sim.demo.server import serve

    serve(arguments.port, browse=not arguments.no_browser)
    return 0
