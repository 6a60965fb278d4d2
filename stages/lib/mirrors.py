"""Fetch one file from the first mirror that delivers it, checked against its sha256."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch
import requests
import urllib3
from tqdm import tqdm

from stages.lib import files
from stages.lib.errors import UserError

pooch.get_logger().setLevel("WARNING")

MAX_BYTES = 64 * 2**20  # six times the largest MNIST file
TRANSIENT = {408, 429, 500, 502, 503, 504}  # HTTP answers worth asking for again


class MirrorsError(UserError):
    """No mirror delivered the file."""


class RefusedError(Exception):
    """This mirror will not deliver the file however often it is asked."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for one mirror before the next: seconds, tries, bytes per second."""

    connect: float = 5
    silence: float = 10
    tries: int = 3
    pause: float = 0.5  # before the second try; doubles with each further one
    rate: int = 5_000  # slower than this on average, after `silence`, is given up


def fetch(
    name: str, sha256: str, mirrors: Sequence[str], target: Path, patience: Patience | None = None
) -> str:
    """Write the file `name` to `target` and return the mirror that delivered it.

    Mirrors are tried in order; each is a folder, a `file://`, `http://` or `https://` address.
    A dropped connection, a silence or a 5xx is tried again with a growing pause; a 403, a 404,
    no answer at all, a trickle or wrong bytes is not. `target` appears whole and right, or
    stays as it was.

    Raises:
        MirrorsError: every mirror failed; the message has a line for each with its reason.
    """
    patience = patience or Patience()
    reasons: list[str] = []
    for mirror in mirrors:
        for attempt in range(patience.tries):
            try:
                files.write(target, _retrieve(f"{mirror.rstrip('/')}/{name}", sha256, patience))
                return mirror
            except RefusedError as error:
                reasons.append(f"  {mirror}: {error}")
                break
            except requests.ConnectTimeout:
                reasons.append(f"  {mirror}: no answer in {patience.connect:g} s")
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if attempt + 1 == patience.tries:
                    reasons.append(f"  {mirror}: {_reason(error)} ({patience.tries} tries)")
                else:
                    time.sleep(patience.pause * 2**attempt)
    raise MirrorsError("\n".join([f"no mirror delivered {name}:", *reasons]))


def is_right(path: Path, sha256: str) -> bool:
    """Whether the file is there and has this digest."""
    return path.is_file() and pooch.file_hash(str(path)) == sha256


def _retrieve(address: str, sha256: str, patience: Patience) -> bytes:
    """The file's bytes, after pooch has checked them."""

    def download(url: str, output_file: str, _: object) -> None:
        if urlsplit(url).scheme in ("http", "https"):
            _download(url, Path(output_file), patience)
        else:
            _copy(url, Path(output_file))

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = pooch.retrieve(address, sha256, "file", folder, downloader=download)  # pyright: ignore
        except ValueError as error:  # pooch's word for a wrong digest, requests' for a bad address
            wrong = "wrong content (its sha256 is not the pinned one)"
            raise RefusedError(wrong if "hash" in str(error) else str(error)) from None
        return Path(path).read_bytes()


def _copy(address: str, output: Path) -> None:
    split = urlsplit(address)
    source = Path(url2pathname(split.path) if split.scheme == "file" else address)
    try:
        output.write_bytes(source.read_bytes())
    except OSError as error:
        raise RefusedError(f"cannot read {source.absolute()}: {error.strerror}") from None


def _download(url: str, output: Path, patience: Patience) -> None:
    """Stream `url` to `output`; bytes are taken as sent, so a served .gz stays a .gz."""
    headers = {"Accept-Encoding": "identity"}
    timeout = (patience.connect, patience.silence)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code not in TRANSIENT and not response.ok:
            raise RefusedError(f"HTTP {response.status_code} {response.reason}")
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0)) or None
        begun, received = time.monotonic(), 0
        with (
            output.open("wb") as file,
            tqdm(
                total=total, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            # read1 returns what has arrived, so that a trickle is noticed
            while chunk := response.raw.read1(2**16, decode_content=False):
                received += file.write(chunk)
                bar.update(len(chunk))
                seconds = time.monotonic() - begun
                if received > MAX_BYTES:
                    raise RefusedError(f"sent more than {MAX_BYTES:,} bytes")
                if seconds > patience.silence and received < patience.rate * seconds:
                    raise RefusedError(f"too slow: {received:,} bytes in {seconds:.0f} s")


def _reason(error: BaseException) -> str:
    """The innermost cause, without the wrapping of three libraries."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
