"""Serve the page on this machine until Ctrl-C: `python -m demo.serve`."""

import argparse
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from demo import SITE
from digits.core.errors import UserError, exit_with

PORT = 8000


class Handler(SimpleHTTPRequestHandler):
    """Plain files; their types do not depend on what this machine's registry says."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".onnx": "application/octet-stream",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        """Have the browser ask again: the next `make demo` may bring another network."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of files that were served."""


def server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of this folder for this machine only; on any free port if `port` is taken."""
    handler = functools.partial(Handler, directory=str(site))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.serve", description=__doc__)
    parser.add_argument("--site", type=Path, default=SITE, help="the folder to serve (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="0: any (%(default)s)")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        raise UserError(f"{options.site}: no page in this folder; `make demo` makes it")
    with server(options.site, options.port) as running:
        address = f"http://127.0.0.1:{running.server_address[1]}/"
        try:
            print(f"draw a digit at {address} (Ctrl-C ends this)", flush=True)
            running.serve_forever()
        except KeyboardInterrupt:
            print("", file=sys.stderr)


if __name__ == "__main__":
    exit_with(main)
