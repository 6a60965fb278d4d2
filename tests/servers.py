"""Places for a DVC remote, served for real on loopback, and a gate before them."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import pytest
import requests
import yaml

HOST = "127.0.0.1"


class Gate:
    """A port that leads to a server's; `close_after` lets so many more bytes in, and no more."""

    def __init__(self, port: int) -> None:
        self.server = port
        self.closed = threading.Event()
        self._left: int | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close_after(self, count: int | None) -> None:
        """Count from now on; None lets everything pass again."""
        with self._lock:
            self._left = count
            self.closed.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self.server))
            except OSError:
                return  # the gate or the server is gone
            threading.Thread(target=self._connect, args=(client, server), daemon=True).start()

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._pass, args=(server, client, False), daemon=True)
            back.start()
            self._pass(client, server, counted=True)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        """Carry bytes until one side goes; what the gate keeps back is lost."""
        with suppress(OSError):  # a side that is gone
            while data := source.recv(65536):
                if counted:
                    data = self._let_in(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _let_in(self, data: bytes) -> bytes:
        with self._lock:
            if self._left is None:
                return data
            if len(data) > self._left:
                self.closed.set()
            data = data[: self._left]
            self._left -= len(data)
            return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


@dataclass
class Folder:
    """A remote whose objects are files of this machine, whoever serves them."""

    path: Path
    url: str
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    gate: Gate | None = None

    def objects(self) -> dict[str, bytes]:
        """Content by name, of what has the name of an object."""
        files = (path for path in self.path.glob("files/md5/??/*") if len(path.name) == 30)
        return {path.parent.name + path.name: path.read_bytes() for path in files}

    def overwrite(self, name: str, content: bytes) -> None:
        path = self.path / "files/md5" / name[:2] / name[2:]
        path.chmod(0o644)
        path.write_bytes(content)

    def clear(self) -> None:
        for path in self.path.iterdir():
            shutil.rmtree(path)


@dataclass
class Bucket:
    """A remote in a bucket of an S3 server, which is asked without DVC."""

    address: str
    gate: Gate
    url: str = "s3://bucket/dvc"
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, key: str = "", content: bytes | None = None) -> requests.Response:
        """Any signature will do: moto checks that there is one, and no more."""
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=reader/20250101/us-east-1/s3/x"}
        address = f"{self.address}/{key}".rstrip("/")
        answer = requests.request(method, address, data=content, headers=signed, timeout=60)
        answer.raise_for_status()
        return answer

    def keys(self) -> list[str]:
        return [part.partition("</Key>")[0] for part in self.ask("GET").text.split("<Key>")[1:]]

    def objects(self) -> dict[str, bytes]:
        names = [key for key in self.keys() if key.startswith("dvc/files/md5/")]
        return {"".join(key.split("/")[-2:]): self.ask("GET", key).content for key in names}

    def overwrite(self, name: str, content: bytes) -> None:
        self.ask("PUT", f"dvc/files/md5/{name[:2]}/{name[2:]}", content)

    def clear(self) -> None:
        for key in self.keys():
            self.ask("DELETE", key)


Remote = Folder | Bucket


def wrong(remote: Remote) -> set[str]:
    """The names of objects whose content is another."""
    return {
        name for name, data in remote.objects().items() if hashlib.md5(data).hexdigest() != name
    }


def free_port() -> int:
    with closing(socket.create_server((HOST, 0))) as taken:
        return taken.getsockname()[1]


@contextmanager
def serving(command: list[str], log: Path) -> Iterator[int]:
    """A server as a child process, from when it listens on the `{port}` of its command.

    If another process has taken the port meanwhile, the server is started again on another one.
    """
    while True:
        port = free_port()
        with log.open("wb") as output:
            child = subprocess.Popen(
                [part.replace("{port}", str(port)) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            if listens(child, port):
                yield port
                return
        finally:
            child.terminate()
            child.wait(60)
        assert "ddress already in use" in log.read_text(), log.read_text()


def listens(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process listens there, and not another; False if it has ended instead."""
    deadline = time.monotonic() + 120
    while child.poll() is None:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found = psutil.Process(child.pid).net_connections("tcp")
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found):
                return True
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return False


@contextmanager
def folder(tmp_path: Path) -> Iterator[Folder]:
    path = tmp_path / "folder"
    path.mkdir()
    yield Folder(path, str(path))


@contextmanager
def ssh(tmp_path: Path) -> Iterator[Folder]:
    """Debian's openssh-server as this user, with keys of its own."""
    sshd = shutil.which("sshd", path=f"/usr/sbin{os.pathsep}{os.environ['PATH']}")
    if sshd is None:
        pytest.skip("there is no sshd; on Debian and Ubuntu: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it where root runs it
    for name in ("host", "user"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    path = tmp_path / "ssh"
    path.mkdir()
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/host\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\n"
        f"PidFile {tmp_path}/sshd.pid\n"
        "PermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "StrictModes no\n"
        "Subsystem sftp internal-sftp\n"
    )
    command = [sshd, "-D", "-e", "-f", str(config), "-o", f"ListenAddress={HOST}:{{port}}"]
    with serving(command, tmp_path / "sshd.log") as port, Gate(port) as gate:
        url = f"ssh://{HOST}:{gate.port}{path}"
        yield Folder(path, url, secrets={"keyfile": str(tmp_path / "user")}, gate=gate)


@contextmanager
def webdav(tmp_path: Path) -> Iterator[Folder]:
    """wsgidav on cheroot, with a user and a password."""
    path = tmp_path / "webdav"
    path.mkdir()
    config = tmp_path / "wsgidav.yaml"
    user, password = "reader", "a secret"
    config.write_text(
        yaml.safe_dump(
            {
                "host": HOST,
                "server": "cheroot",
                "provider_mapping": {"/": str(path)},
                "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
            }
        )
    )
    module = "wsgidav.server.server_cli"
    command = [sys.executable, "-m", module, "--config", str(config), "--port", "{port}"]
    with serving(command, tmp_path / "wsgidav.log") as port, Gate(port) as gate:
        url = f"webdav://{HOST}:{gate.port}/"
        yield Folder(path, url, {"user": user}, {"password": password}, gate)


@contextmanager
def s3(tmp_path: Path) -> Iterator[Bucket]:
    """Moto's server, with one bucket."""
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", "{port}"]
    with serving(command, tmp_path / "moto.log") as port, Gate(port) as gate:
        address = f"http://{HOST}:{port}/bucket"
        requests.put(address, timeout=60).raise_for_status()
        settings = {"endpointurl": f"http://{HOST}:{gate.port}"}
        secrets = {"access_key_id": "reader", "secret_access_key": "a secret"}
        yield Bucket(address, gate, settings=settings, secrets=secrets)


SERVERS = {"folder": folder, "ssh": ssh, "webdav": webdav, "s3": s3}
