"""Places for a DVC remote, served on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import yaml

from tests.stored import objects_in, path_of

HOST = "127.0.0.1"


@dataclass
class Folder:
    """A remote whose objects are files of this machine, whoever serves them."""

    path: Path
    url: str
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def objects(self) -> dict[str, bytes]:
        return objects_in(self.path)

    def overwrite(self, name: str, content: bytes) -> None:
        path = path_of(name, self.path)
        path.unlink(missing_ok=True)  # it is write-protected
        path.write_bytes(content)


@dataclass
class Bucket:
    """A remote in a bucket of an S3 server, which is asked without DVC."""

    address: str
    url: str
    settings: dict[str, str]
    secrets: dict[str, str]

    def ask(self, method: str, key: str = "", content: bytes | None = None) -> requests.Response:
        """Any signature will do: moto checks only that there is one."""
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=reader/20250101/us-east-1/s3/x"}
        address = f"{self.address}/{key}".rstrip("/")
        answer = requests.request(method, address, data=content, headers=signed, timeout=60)
        answer.raise_for_status()
        return answer

    def objects(self) -> dict[str, bytes]:
        keys = [part.partition("</Key>")[0] for part in self.ask("GET").text.split("<Key>")[1:]]
        names = [key for key in keys if key.startswith("dvc/files/md5/")]
        return {"".join(key.split("/")[-2:]): self.ask("GET", key).content for key in names}

    def overwrite(self, name: str, content: bytes) -> None:
        self.ask("PUT", f"dvc/files/md5/{name[:2]}/{name[2:]}", content)


Remote = Folder | Bucket


@contextmanager
def serving(command: list[str], log: Path) -> Iterator[int]:
    """A server as a child process, from when it answers on the `{port}` of its command.

    If another process has taken the port meanwhile, the server is started again on another one.
    """
    while True:
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        with log.open("wb") as output:
            child = subprocess.Popen(
                [part.replace("{port}", str(port)) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            if answers(child, port):
                yield port
                return
        finally:
            child.terminate()
            child.wait(60)
        assert "ddress already in use" in log.read_text(), log.read_text()


def answers(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port can be reached; False if the process ends instead."""
    deadline = time.monotonic() + 240
    while child.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port)):
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
    with serving(command, tmp_path / "sshd.log") as port:
        url = f"ssh://{HOST}:{port}{path}"
        yield Folder(path, url, secrets={"keyfile": str(tmp_path / "user")})


@contextmanager
def webdav(tmp_path: Path) -> Iterator[Folder]:
    """wsgidav on cheroot, with a user and a password."""
    path = tmp_path / "webdav"
    path.mkdir()
    config = tmp_path / "wsgidav.yaml"
    user, password = "reader", "a secret"
    content = {
        "host": HOST,
        "server": "cheroot",
        "provider_mapping": {"/": str(path)},
        "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
    }
    config.write_text(yaml.safe_dump(content))
    module = "wsgidav.server.server_cli"
    command = [sys.executable, "-m", module, "--config", str(config), "--port", "{port}"]
    with serving(command, tmp_path / "wsgidav.log") as port:
        yield Folder(path, f"webdav://{HOST}:{port}/", {"user": user}, {"password": password})


@contextmanager
def s3(tmp_path: Path) -> Iterator[Bucket]:
    """Moto's server, with one bucket."""
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", "{port}"]
    with serving(command, tmp_path / "moto.log") as port:
        server = f"http://{HOST}:{port}"
        requests.put(f"{server}/bucket", timeout=60).raise_for_status()
        secrets = {"access_key_id": "reader", "secret_access_key": "a secret"}
        yield Bucket(f"{server}/bucket", "s3://bucket/dvc", {"endpointurl": server}, secrets)


SERVERS = {"folder": folder, "ssh": ssh, "webdav": webdav, "s3": s3}
