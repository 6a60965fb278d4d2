"""Fetch one file from the first mirror that delivers it, checked against its sha256."""

import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import pooch
import requests
import urllib3
from tqdm import tqdm

from stages.lib import files
from stages.lib.errors import UserError, one_line

pooch.get_logger().setLevel("WARNING")

MAX_BYTES = 64 * 2**20  # six times the largest MNIST file
MAX_REDIRECTS = 5  # the public mirrors send none
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
    # slower than this on average, after `connect` and `silence`, is given up: the largest file of
    # MNIST takes ten minutes at most, and MAX_BYTES, whatever the mirror says, an hour
    rate: int = 20_000


def fetch(
    name: str, sha256: str, mirrors: Sequence[str], target: Path, patience: Patience | None = None
) -> str:
    """Write the file `name` to `target` and return the mirror that delivered it.

    Mirrors are tried in order; each is a folder, a `file://`, `http://` or `https://` address.
    A dropped connection, a silence or a 5xx is tried again with a growing pause; a 403, a 404,
    no answer at all, a trickle or wrong bytes is not. An address in https is never left for one
    in http. `target` appears whole and right, or stays as it was. To be called from the main
    thread: a signal ends what hangs.

    Raises:
        MirrorsError: every mirror failed; the message has a line for each with its reason.
    """
    patience = patience or Patience()
    reasons: list[str] = []
    for mirror in mirrors:
        for attempt in range(patience.tries):
            try:
                with files.scratch(target) as folder:
                    address = f"{mirror.rstrip('/')}/{name}"
                    files.write(target, _retrieve(address, sha256, folder, patience))
                return mirror
            except RefusedError as error:
                reasons.append(f"  {mirror}: {one_line(str(error))}")
                break
            except requests.ConnectTimeout:
                reasons.append(f"  {mirror}: no answer in {patience.connect:g} s")
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if attempt + 1 == patience.tries:
                    reason = one_line(_reason(error))
                    reasons.append(f"  {mirror}: {reason} ({patience.tries} tries)")
                else:
                    time.sleep(patience.pause * 2**attempt)
    raise MirrorsError("\n".join([f"no mirror delivered {name}:", *reasons]))


def is_right(path: Path, sha256: str) -> bool:
    """Whether the file is there and has this digest."""
    return path.is_file() and pooch.file_hash(str(path)) == sha256


def _retrieve(address: str, sha256: str, folder: Path, patience: Patience) -> bytes:
    """The file's bytes, after pooch has put them into `folder` and checked them."""

    def download(url: str, output_file: str, _: object) -> None:
        if urlsplit(url).scheme in ("http", "https"):
            _download(url, Path(output_file), patience)
        else:
            _copy(url, Path(output_file))

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
        if source.exists() and not source.is_file():  # reading a pipe would never end
            raise RefusedError(f"{source.absolute()} is not a file")
        if source.exists() and source.stat().st_size > MAX_BYTES:
            raise RefusedError(f"{source.absolute()} has more than {MAX_BYTES:,} bytes")
        output.write_bytes(source.read_bytes())
    except OSError as error:
        raise RefusedError(f"cannot read {source.absolute()}: {error.strerror}") from None


class Session(requests.Session):
    """Leaves redirects to `_ask`: requests would read what comes with one, however much it is."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: no redirect to follow."""
        return None


def _download(url: str, output: Path, patience: Patience) -> None:
    """Stream `url` to `output`; bytes are taken as sent, so a served .gz stays a .gz."""
    with (
        _in_time(patience) as count,
        Session() as session,
        _ask(session, url, patience) as response,
        output.open("wb") as file,
    ):
        if response.status_code in TRANSIENT:
            response.raise_for_status()
        if response.status_code != requests.codes.ok:
            raise RefusedError(_status(response))
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        if total and total > MAX_BYTES:
            raise RefusedError(f"says that it sends {total:,} bytes")
        name = url.rpartition("/")[2]
        with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=None) as bar:
            while chunk := response.raw.read1(2**16, decode_content=False):
                bar.update(file.write(chunk))
                count(len(chunk))


def _ask(session: Session, url: str, patience: Patience) -> requests.Response:
    """The answer to a request, its body not read yet, after a few redirects at most."""
    headers = {"Accept-Encoding": "identity"}
    timeout = (patience.connect, patience.silence)
    for _ in range(MAX_REDIRECTS + 1):
        response = session.get(url, headers=headers, stream=True, timeout=timeout)
        if not response.is_redirect:
            return response
        response.close()
        scheme = urlsplit(url).scheme
        url = urljoin(url, response.headers["Location"])
        if urlsplit(url).scheme not in ("https", scheme):
            raise RefusedError(f"redirects from {scheme} to {urlsplit(url).scheme}")
    raise RefusedError(f"more than {MAX_REDIRECTS} redirects")


@contextmanager
def _in_time(patience: Patience) -> Generator[Callable[[int], None]]:
    """End what the block does with RefusedError if it brings too many bytes, or too slowly.

    The block calls the function that it gets with the size of what has arrived. The pace is
    checked by a timer: a timeout of the socket begins anew with each byte, even of headers.
    """
    begun, received = time.monotonic(), 0

    def count(size: int) -> None:
        nonlocal received
        received += size
        if received > MAX_BYTES:
            raise RefusedError(f"sent more than {MAX_BYTES:,} bytes")

    def check(*_: object) -> None:
        seconds = time.monotonic() - begun
        if received < patience.rate * (seconds - patience.connect - patience.silence):
            raise RefusedError(f"too slow: {received:,} bytes in {seconds:.0f} s")

    earlier = signal.signal(signal.SIGALRM, check)
    signal.setitimer(
        signal.ITIMER_REAL, patience.connect + patience.silence, max(patience.silence / 2, 0.1)
    )
    try:
        yield count
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def _status(response: requests.Response) -> str:
    """The status in the standard's words; the server's own could be anything."""
    return f"HTTP {response.status_code} {responses.get(response.status_code, '')}".rstrip()


def _reason(error: BaseException) -> str:
    """The innermost cause, without the wrapping of three libraries."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _status(error.response)
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
