"""A mirror on loopback that can misbehave: each behaviour has an address of its own."""

import datetime
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATIENCE_TRIED = 60  # seconds after which a server that dawdles gives up, and a test has failed

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, length: object = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def status(code: int) -> Behaviour:
    return lambda handler, _: handler.send_error(code)


def says(lines: bytes) -> Behaviour:
    """Send these lines, the content, and hang up."""
    return lambda handler, content: void(handler.wfile.write(lines + content))


def void(_: object) -> None:
    pass


def until_given_up(act: Callable[[], object], pause: float = 0) -> None:
    end = time.monotonic() + PATIENCE_TRIED
    while time.monotonic() < end:
        act()
        time.sleep(pause)


def abort(handler: BaseHTTPRequestHandler) -> None:
    """Close with RST."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def reset(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, content[: len(content) // 2], len(content))
    abort(handler)


def stall(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, content[: len(content) // 2], len(content))
    handler.connection.settimeout(PATIENCE_TRIED)
    handler.connection.recv(1)  # until the client hangs up


def silent(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.connection.settimeout(PATIENCE_TRIED)
    handler.connection.recv(1)


def trickle(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, b"", len(content))
    places = iter(range(len(content)))
    period = 0.2  # seconds; slow enough that no file is there in time
    until_given_up(lambda: handler.wfile.write(content[(at := next(places)) : at + 1]), period)


def trickle_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    until_given_up(lambda: handler.wfile.write(b"x"), 0.05)


def trickle_chunk_size(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=")
    until_given_up(lambda: handler.wfile.write(b"x"), 0.05)


def endless(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    until_given_up(lambda: handler.wfile.write(bytes(2**20)))


def endless_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    until_given_up(lambda: handler.wfile.write(b"X-More: " + bytes([120]) * 1000 + b"\r\n"))


def endless_continue(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    until_given_up(lambda: handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100))


def endless_redirect(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """A redirect with a body that never ends."""
    handler.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {handler.path}\r\n\r\n".encode())
    until_given_up(lambda: handler.wfile.write(bytes(2**20)))


def redirect(location: str) -> Behaviour:
    def act(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", location or handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return act


def hang_up(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    abort(handler)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GOOD: dict[str, Behaviour] = {
    "good": send,
    # the file's own gzip called an encoding of the transfer, as some servers do
    "packed": says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"),
}
# what a mirror can do wrong, with the reason that the user is told
BAD: dict[str, tuple[Behaviour, str]] = {
    "403": (status(403), "HTTP 403 Forbidden"),
    "404": (status(404), "HTTP 404 Not Found"),
    "503": (status(503), "HTTP 503 Service Unavailable"),
    "status-777": (says(b"HTTP/1.1 777 \x1b[31mred\r\n\r\n"), "HTTP 777"),
    "no-http": (says(b"\x1b[31mno http at all\r\n\r\n"), "no http|BadStatusLine"),
    "hang-up": (hang_up, "reset by peer|closed connection without response|Broken pipe"),
    "reset": (reset, "reset by peer"),
    "stall": (stall, "timed out"),
    "silent": (silent, "timed out"),
    "trickle": (trickle, "too slow"),
    "trickle-headers": (trickle_headers, "too slow"),
    "trickle-chunk-size": (trickle_chunk_size, "too slow"),
    "endless": (endless, "sent more than"),
    "endless-headers": (endless_headers, "more than 100 headers"),
    "endless-continue": (endless_continue, "too slow"),
    "endless-redirect": (endless_redirect, "redirects"),
    "loop": (redirect(""), "redirects"),
    "to-file": (redirect("file:///etc/hostname"), "redirects from http to file"),
    "to-nowhere": (redirect("http://[::1"), "Invalid"),
    "html": (lambda handler, _: send(handler, b"<html>sign in</html>"), "wrong content"),
    "wrong": (lambda handler, data: send(handler, data[:-1] + bytes([~data[-1] & 255])), "wrong"),
    "empty": (lambda handler, _: send(handler, b""), "wrong content"),
    # the header lies: more than there is, less, nonsense, more than anything
    "short": (lambda handler, data: send(handler, data[: len(data) * 3 // 10], len(data)), "bytes"),
    "long": (lambda handler, data: send(handler, data + bytes(100)), "wrong content"),
    "half-length": (lambda handler, data: send(handler, data, len(data) // 2), "wrong content"),
    "negative-length": (lambda handler, data: send(handler, data + b"x", -5), "wrong content"),
    "word-length": (lambda handler, data: send(handler, data + b"x", "many"), "wrong content"),
    "two-lengths": (lambda handler, data: send(handler, data, "5, 6"), "Content-Length"),
    "huge-length": (lambda handler, data: send(handler, data, 10**30), "says that it sends"),
    "chunk-nonsense": (says(CHUNKED + b"zz\r\n"), "invalid literal|bytes read"),
    "chunk-negative": (says(CHUNKED + b"-5\r\n"), ""),
    "chunk-cut": (says(CHUNKED + b"fffffff\r\n"), "IncompleteRead|bytes read"),
}  # fmt: skip


class Mirror:
    """Serves `files` by name under each behaviour; remembers what was asked for."""

    def __init__(
        self,
        files: dict[str, bytes],
        behaviours: dict[str, Behaviour] | None = None,
        certificate: Path | None = None,
    ) -> None:
        self.requests: list[str] = []
        served = GOOD | {name: act for name, (act, _) in BAD.items()} | (behaviours or {})
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                self.close_connection = True
                behaviour, name = self.path.split("/")[1:3]
                with suppress(OSError, StopIteration):  # the client has had enough
                    served[behaviour](self, files[name])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # the handshake in the thread of the request, where it can only fail for itself
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(target=self.http.serve_forever, daemon=True).start()

    def address(self, behaviour: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http.server_port}/{behaviour}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


def write_certificate(path: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody but its owner has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
