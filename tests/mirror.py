"""A mirror on loopback that can misbehave: each behaviour has its own address."""

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
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

GIVE_UP = 60  # seconds after which a slow server ends, and the test of it fails

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], object]


def raw(head: bytes) -> Behaviour:
    """Send these lines, the content, and close the connection."""
    return lambda handler, content: handler.wfile.write(b"HTTP/1.1 " + head + b"\r\n\r\n" + content)


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    raw(b"200 OK\r\nContent-Length: %d" % (len(body) if length is None else length))(handler, body)


def altered(change: Callable[[bytes], bytes], length: int | None = None) -> Behaviour:
    return lambda handler, content: send(handler, change(content), length)


def redirect(location: str) -> Behaviour:
    return raw(f"302 Found\r\nContent-Length: 0\r\nLocation: {location}".encode())


def abort(handler: BaseHTTPRequestHandler) -> None:
    """Close with RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def endless(head: bytes) -> Behaviour:
    """These lines, and a body that never ends."""

    def act(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        end = time.monotonic() + GIVE_UP
        raw(head)(handler, b"")
        while time.monotonic() < end:
            handler.wfile.write(bytes(2**16))
        abort(handler)

    return act


def silent(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.connection.settimeout(GIVE_UP)
    handler.connection.recv(1)  # until the client hangs up


def stall(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, content[:9], len(content))
    silent(handler, content)


def trickle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    send(handler, b"", GIVE_UP * 10)
    for _ in range(GIVE_UP * 10):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def reset(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    send(handler, content[:9], len(content))
    abort(handler)


# what a mirror can do wrong, with the reason that the user reads after two tries
BAD: dict[str, tuple[Behaviour, str]] = {
    "403": (raw(b"403 No"), "HTTP 403 Forbidden"),
    "404": (raw(b"404 \x1b[31mred"), "HTTP 404 Not Found"),
    "503": (raw(b"503 Busy\r\nRetry-After: 3600"), r"HTTP 503 Service Unavailable \(2 tries\)"),
    "503-endless": (endless(b"503 Busy"), r"HTTP 503 Service Unavailable \(2 tries\)"),
    "no-http": (lambda handler, _: handler.wfile.write(b"\x1b[31mno\r\n"), r".*no.* \(2 tries\)"),
    "reset": (reset, r".*reset by peer.* \(2 tries\)"),
    "stall": (stall, r".*timed out.* \(2 tries\)"),
    "silent": (silent, r".*timed out.* \(2 tries\)"),
    "trickle": (trickle, r"too slow: \d+ bytes in 2 s"),
    "endless": (endless(b"200 OK"), r"more than [\d,]+ bytes"),
    "loop": (redirect("#again"), "Exceeded 5 redirects."),
    "loop-endless": (endless(b"302 Found\r\nLocation: #again"), "Exceeded 5 redirects."),
    "to-file": (redirect("file:///etc/hostname"), "redirects from http to file"),
    "to-nowhere": (redirect("http://[::1"), "Invalid IPv6 URL"),
    "html": (altered(lambda _: b"<html>sign in</html>"), "wrong content .*"),
    "wrong": (altered(lambda content: content[:-1] + b"?"), "wrong content .*"),
    "long": (altered(lambda content: content + b"x"), "wrong content .*"),
    "short": (altered(lambda content: content[:9], 10**5), r"IncompleteRead.* \(2 tries\)"),
    "huge-length": (altered(lambda content: content, 10**30), "says that it sends .*"),
    "chunk-nonsense": (
        raw(b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"),
        r"invalid.* \(2 tries\)",
    ),
}


class Mirror:
    """Serves `files` by name under each behaviour; records the paths asked for."""

    def __init__(
        self,
        files: dict[str, bytes],
        behaviours: dict[str, Behaviour] | None = None,
        certificate: Path | None = None,
    ) -> None:
        self.requests: list[str] = []
        served = {name: act for name, (act, _) in BAD.items()} | {"good": send} | (behaviours or {})
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                behaviour, name = self.path.split("/")[1:3]
                with suppress(OSError):  # the client hung up
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
            # handshakes happen in the thread of a request, where one that fails disturbs no other
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, behaviour: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http.server_port}/{behaviour}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


def write_certificate(path: Path) -> Path:
    """Write a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return path
