"""Serve the page on this machine until Ctrl-C: `python -m demo.serve`."""

import argparse
import functools
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from demo import SITE
from digits.core.errors import UserError, exit_with

PORT = 8000
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Cache-Control": "no-cache",  # the next `make demo` may bring another network
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page's own meta element has the rest
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Handler(BaseHTTPRequestHandler):
    """Serves the files that lie in one folder, and nothing that they or the request lead to."""

    def __init__(self, site: Path, *connection: Any) -> None:
        self.site = site
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Send a file."""
        if content := self._head():
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        """Send what GET sends before the file."""
        self._head()

    def _head(self) -> bytes | None:
        """Send the status and the headers; returns the file, or None after an error."""
        host = re.sub(r":\d+$", "", self.headers.get("Host", "")).lower()
        if host not in LOOPBACK:
            # a site whose name leads to this machine could read the page as its own
            return self.send_error(HTTPStatus.FORBIDDEN, "This server answers to localhost only")
        name = unquote(self.path.partition("?")[0]).removeprefix("/") or "index.html"
        if "\0" in name:
            return self.send_error(HTTPStatus.BAD_REQUEST)
        path = self._files().get(name)
        if not path:
            return self.send_error(HTTPStatus.NOT_FOUND)
        content = path.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def _files(self) -> dict[str, Path]:
        """What may be sent: the files of the folder, no link among them."""
        return {
            path.name: path
            for path in self.site.iterdir()
            if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        }

    def end_headers(self) -> None:
        """Add the headers that all answers have."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of files that were served."""


def server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of this folder for this machine only; on any free port if `port` is taken."""
    handler = functools.partial(Handler, site)
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
        try:
            address = f"http://127.0.0.1:{running.server_port}/"
            print(f"the page is at {address} (Ctrl-C ends this)", flush=True)
            running.serve_forever()
        except KeyboardInterrupt:
            print("", file=sys.stderr)


if __name__ == "__main__":
    exit_with(main)
