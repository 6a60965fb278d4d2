"""What the page to draw on is made of, and its server."""

import base64
import http.client
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from demo import build, serve
from demo.serve import HEADERS, TYPES
from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import UserError
from digits.core.split import Normalisation
from digits.network.layers import MaxPool
from digits.network.onnx_operation import Operation
from tests.project import ROOT
from tests.unit import networks


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page in a folder that has a neighbour, a subfolder, a hidden file and links."""
    around = tmp_path_factory.mktemp("around")
    site = around / "site"
    (site / "folder").mkdir(parents=True)
    (around / "secret.txt").write_text("secret")
    for name in ("index.html", "page.js", "style.css", "icon.svg", "network.json", "a b.html"):
        (site / name).write_text(name)
    (site / "folder/index.html").write_text("inside")
    (site / ".hidden").write_text("hidden")
    (site / "link.html").symlink_to(around / "secret.txt")
    (site / "up").symlink_to(around)
    return site


@pytest.fixture(scope="module")
def port(site: Path) -> Iterator[int]:
    with serve.server(site, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def ask(
    port: int, path: str, host: str | None = "localhost", method: str = "GET"
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer, content


def test_files_have_their_types_and_every_answer_its_headers(site: Path, port: int) -> None:
    for path, name in [("/", "index.html"), ("/?a=1", "index.html"), ("/a%20b.html", "a b.html")]:
        assert ask(port, path)[1] == name
    for name in ("index.html", "page.js", "style.css", "icon.svg", "network.json"):
        answer, content = ask(port, f"/{name}")
        assert (answer.status, content) == (200, name)
        assert answer.getheader("Content-Type") == TYPES[Path(name).suffix]
        empty = ask(port, f"/{name}", method="HEAD")
        assert empty[1] == ""
        assert empty[0].getheader("Content-Length") == str(len(name))
    for path in ("/page.js", "/missing", "/%00"):
        answer, _ = ask(port, path)
        assert {name: answer.getheader(name) for name in HEADERS} == HEADERS
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]
    assert HEADERS["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((path, 404) for path in (
            "/folder", "/folder/", "/folder/index.html", "/.hidden", "/link.html", "/up/secret.txt",
            "/up/", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd",
            "/.", "/missing", "/index.html/", "http://evil.example/",
        )),
        ("/%00", 400),
        ("/index.html%00.js", 400),
    ],
)  # fmt: skip
def test_nothing_else_is_served(port: int, path: str, status: int) -> None:
    answer, content = ask(port, path)
    assert answer.status == status
    assert "secret" not in content
    assert "inside" not in content


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, 200) for host in (
            "localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:9000", "[::1]:8000",
        )),
        *((host, 403) for host in (
            "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", "",
            "user@localhost", "localhost:evil", None,
        )),
    ],
)  # fmt: skip
def test_it_answers_only_to_names_of_this_machine(port: int, host: str | None, status: int) -> None:
    answer, content = ask(port, "/", host)
    assert answer.status == status
    assert (content == "index.html") == (status == 200)


def test_writing_is_not_offered(port: int) -> None:
    assert ask(port, "/", method="POST")[0].status == 501


def test_a_taken_port_is_not_taken_twice(site: Path) -> None:
    with serve.server(site, 0) as one, serve.server(site, one.server_port) as other:
        assert other.server_port != one.server_port


def test_the_server_imports_nothing_slow() -> None:
    code = "import sys, demo.serve; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert "demo.serve" in modules
    assert not {"torch", "numpy", "onnxruntime", "pydantic", "PIL"} & set(modules)


def test_without_a_page_it_names_the_command_that_makes_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.serve", "--site", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    expected = f"error: {tmp_path}: no page in this folder; `make demo` makes it\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_without_a_model_it_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.safetensors: no such file; `dvc repro` makes it"):
        build.build(tmp_path / "model.safetensors", tmp_path / "test.safetensors", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_an_operation_that_the_page_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = [Operation("strange", "Einsum", lambda features: features)]
    monkeypatch.setattr(MaxPool, "operations", lambda layer, network: strange)
    with pytest.raises(UserError, match=r"operation Einsum, .* \(Conv, MaxPool, GlobalAverage.*\)"):
        build.encode(networks.trained([4, "pool"]), Normalisation(mean=0.1, std=0.3))


def test_the_examples_are_the_first_and_the_hardest_of_each_digit() -> None:
    labels = np.array([1, 0, 1, 1], np.uint8)
    images = np.stack([np.full((28, 28), level, np.uint8) for level in (10, 20, 30, 40)])
    probabilities = np.full((4, 10), 0.01, np.float32)
    probabilities[[0, 1, 2, 3], [1, 0, 1, 1]] = [0.9, 0.5, 0.1, 0.4]
    rows = build.examples(images, labels, probabilities)
    levels = [[base64.b64decode(each["pixels"])[0] for each in row["images"]] for row in rows]
    assert levels == [[20, 10], [20, 30]]
    assert [[each["label"] for each in row["images"]] for row in rows] == [[0, 1], [0, 1]]


def test_of_many_classes_those_with_the_hardest_images_are_shown() -> None:
    count = build.MOST_EXAMPLES + 20
    labels = np.arange(count)
    probabilities = np.eye(count, dtype=np.float32)
    probabilities[:5, :5] /= 10
    probabilities[-5:, -5:] /= 5
    images = np.zeros((count, 8, 8, 3), np.uint8)
    for row in build.examples(images, labels, probabilities):
        shown = [each["label"] for each in row["images"]]
        assert len(shown) == build.MOST_EXAMPLES
        assert {*range(5), *range(count - 5, count)} <= set(shown)
        assert shown == sorted(shown)


OTHERS = [DataShape(size=20), DataShape(channels=3), DataShape(fit="pad")]


def test_the_page_is_the_one_for_the_shape_and_as_strict() -> None:
    drawn, parts = build.page_for(MNIST)
    assert "<title>Draw a digit</title>" in drawn
    assert "Draw an image" in build.page_for(DataShape(classes=("a", "b")))[0]
    policy = re.search(r'<meta http-equiv="Content-Security-Policy".*>', drawn)[0]
    assert "default-src 'none'" in policy
    for shape in OTHERS:
        page, others = build.page_for(shape)
        assert "<title>Show a picture</title>" in page
        assert policy in page
        assert all(path.is_file() for path in (*parts, *others))
        assert {path.name for path in others} >= {"pictures.js", "fitting.js", "style.css"}


def test_scripts_are_plain_and_short() -> None:
    scripts = list((ROOT / "demo").glob("*.*js"))
    assert {path.suffix for path in scripts} == {".js"}, "some servers do not know .mjs"
    for path in scripts:
        assert len(path.read_text().splitlines()) <= 220, path.name
