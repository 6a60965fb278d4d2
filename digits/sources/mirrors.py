"""Fetch one file from the first mirror that delivers it, checked against its sha256."""

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3 import Retry
from urllib3.exceptions import HTTPError, MaxRetryError

from digits.core import files
from digits.core.errors import UserError, one_line, without_secrets

MAX_BYTES = 64 * 2**20  # six times the largest MNIST file
TRANSIENT = {408, 429, 500, 502, 503, 504}  # HTTP statuses worth another try


class MirrorsError(UserError):
    """No mirror delivered the file."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a mirror before the next; all but `tries` in seconds."""

    connect: float = 5
    silence: float = 10
    tries: int = 3
    pause: float = 0.5  # doubled before the second retry (urllib3's backoff factor)
    deadline: float = 600  # for the body of one answer


def fetch(
    name: str, sha256: str, mirrors: Sequence[str], target: Path, patience: Patience | None = None
) -> str:
    """Write the file `name` to `target`, whole or not at all, and return its mirror.

    Mirrors, tried in order, are folders or `file://`, `http://` or `https://` addresses. Prints why
    one failed before the next is tried: waiting for some of them takes long.

    Raises:
        MirrorsError: every mirror failed; the message has a line for each with its reason.
    """
    patience = patience or Patience()
    message = f"no mirror delivered {without_secrets(name)}:"
    for number, mirror in enumerate(mirrors, 1):
        address = f"{mirror.rstrip('/')}/{name}"
        try:
            is_http = urlsplit(address).scheme in ("http", "https")
            content = _download(address, patience) if is_http else _read(address)
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES:,} bytes")
            if hashlib.sha256(content).hexdigest() != sha256:
                raise ValueError("wrong content (its sha256 is not the pinned one)")
            files.write(target, content)
            return mirror
        except MaxRetryError as error:
            reason = f"{one_line(_root_cause(error))} ({patience.tries} tries)"
        except (requests.RequestException, ValueError) as error:  # not worth another try
            reason = one_line(str(error))
        line = f"{without_secrets(mirror)}: {reason}"
        message += f"\n  {line}"
        if number < len(mirrors):
            print(f"{line}; trying {without_secrets(mirrors[number])}", file=sys.stderr)
    raise MirrorsError(message)


def is_right(path: Path, sha256: str) -> bool:
    """Whether the file is there and has this digest."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _read(address: str) -> bytes:
    split = urlsplit(address)
    path = Path(url2pathname(split.path) if split.scheme == "file" else address).absolute()
    try:
        if path.exists() and not path.is_file():  # reading a pipe would never end
            raise ValueError(f"{path} is not a file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _download(url: str, patience: Patience) -> bytes:
    timeout = (patience.connect, patience.silence)
    retry = Retry(patience.tries - 1, backoff_factor=patience.pause)
    with requests.Session() as session:
        session.max_redirects = 5  # the public mirrors send none
        session.headers["Accept-Encoding"] = "identity"
        session.hooks["response"] = [_check_redirect]
        while True:
            try:
                with session.get(url, stream=True, timeout=timeout) as response:
                    return _body(response, patience.deadline)
            except requests.ConnectTimeout:
                raise ValueError(f"no answer in {patience.connect:g} s") from None
            except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
                retry = retry.increment("GET", url, error=error)  # MaxRetryError after the last
            retry.sleep()


def _check_redirect(response: requests.Response, **_: object) -> None:
    """Never go from https to http, nor from either to another scheme."""
    if response.is_redirect:
        response.raw.close()  # requests would read its body, however long
        old = urlsplit(response.url).scheme
        new = urlsplit(urljoin(response.url, response.headers["Location"])).scheme
        if new not in ("https", old):
            raise ValueError(f"redirects from {old} to {new}")


def _body(response: requests.Response, deadline: float) -> bytes:
    """The bytes as sent: a served .gz stays a .gz."""
    code, raw, end = response.status_code, response.raw, time.monotonic() + deadline
    if code != requests.codes.ok:  # in the standard's words; the server's could be anything
        status = f"HTTP {code} {responses.get(code, '')}".rstrip()
        raise HTTPError(status) if code in TRANSIENT else ValueError(status)
    if (raw.length_remaining or 0) > MAX_BYTES:
        raise ValueError(f"says that it sends {raw.length_remaining:,} bytes")
    body, name = bytearray(), urlsplit(response.url).path.rpartition("/")[2]
    with tqdm(
        total=raw.length_remaining, desc=name, unit="B", unit_scale=True, disable=None
    ) as bar:
        while len(body) <= MAX_BYTES and (chunk := raw.read1(2**16, decode_content=False)):
            body += chunk
            bar.update(len(chunk))
            if time.monotonic() > end:
                raise ValueError(f"too slow: {len(body):,} bytes in {deadline:g} s")
    return bytes(body)


def _root_cause(error: BaseException) -> str:
    """The innermost cause, without the wrapping of three libraries."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return str(error) or type(error).__name__
