"""The predict command reads what is drawn, and says what it cannot read."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw, ImageFont

from stages import predict
from stages.lib.handwriting import as_mnist
from stages.lib.layers import layers_of
from stages.lib.model import DigitNet
from stages.lib.onnx_file import encode
from tests import digits
from tests.project import ROOT


@pytest.fixture(scope="module")
def content() -> bytes:
    """An ONNX file that has learnt the drawn digits."""
    torch.set_num_threads(1)
    drawn = digits.split(400)
    shaped = np.stack([as_mnist(Image.fromarray(image.numpy())) for image in drawn.images])
    images = drawn.normalisation(torch.from_numpy(shaped).unsqueeze(1))
    network = DigitNet([8, "pool", 8, "pool"], None, 0, torch.Generator().manual_seed(0)).eval()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(network(images), drawn.labels.long()).backward()
        optimizer.step()
    return encode(layers_of(network), drawn.normalisation)


@pytest.fixture(autouse=True)
def place(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model where the command looks for it."""
    monkeypatch.chdir(tmp_path)
    predict.MODEL.parent.mkdir()
    predict.MODEL.write_bytes(content)
    return tmp_path


def picture(digit: int, size: int = 400, seed: int = 0) -> Image.Image:
    """A large canvas with a digit somewhere on it."""
    random = np.random.default_rng([digit, seed])
    height = int(random.integers(size // 5, size // 2))
    left, top = (int(each) for each in random.integers(0, size // 3, 2))
    canvas = Image.new("L", (size, size), "white")
    font = ImageFont.load_default(size=height)
    ImageDraw.Draw(canvas).text((left + 5, top), str(digit), fill="black", font=font)
    return canvas


def say(monkeypatch: pytest.MonkeyPatch, *given: str, fails: bool = False) -> None:
    """Run the command's main()."""
    monkeypatch.setattr(sys, "argv", ["predict", *given])
    if fails:
        with pytest.raises(SystemExit) as caught:
            predict.main()
        assert caught.value.code == 1
    else:
        predict.main()


def test_digits_on_large_canvases_are_read(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = []
    for digit in range(10):
        for seed in range(6):
            drawn = picture(digit, 200 + 300 * (seed % 3), seed)
            if seed % 2:
                drawn = Image.fromarray(255 - np.asarray(drawn))
            names.append(f"{digit}-{seed}.{'png' if seed < 4 else 'jpg'}")
            drawn.convert("RGB").save(names[-1])
    say(monkeypatch, "--json", *names)
    rows = json.loads(capsys.readouterr().out)
    assert [row["image"] for row in rows] == names
    assert np.mean([str(row["digit"]) == row["image"][0] for row in rows]) >= 0.95
    for row in rows:
        assert list(row)[1:] == ["digit", "probability", "runner_up", "runner_up_probability"]
        assert row["digit"] != row["runner_up"]
        assert 1 >= row["probability"] >= row["runner_up_probability"] >= 0


def test_it_runs_without_torch_and_reads_stdin(place: Path) -> None:
    packages, home = place / "packages", place / "home"  # all packages but torch's
    packages.mkdir()
    home.mkdir()
    for path in Path(torch.__file__).parent.parent.iterdir():
        if not path.name.startswith("torch"):
            (packages / path.name).symlink_to(path)

    def run(module: str, *given: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-S", "-m", module, *given],
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}", "HOME": str(home)},
            input=content,
            capture_output=True,
            timeout=240,
        )

    assert b" has no torch: " in run("stages.export").stderr
    packed = io.BytesIO()
    picture(7).save(packed, "png")
    done = run("stages.predict", "-", content=packed.getvalue())
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.decode().splitlines()
    assert header.split() == ["image", "digit", "probability", "runner-up", "probability"]
    assert row.split()[:2] == ["-", "7"]
    assert not list(home.rglob("*")), "ONNX Runtime's telemetry keeps its files there"


def test_a_folder_is_read_in_order(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for digit in (3, 1, 2):
        picture(digit).save(place / f"{digit}.PNG")
    picture(4).save(place / "4.pgm")
    picture(5).save(place / "5.pdf")  # which Pillow writes and does not read
    (place / "notes.txt").write_text("no picture")
    (place / "6.png").mkdir()
    picture(6).save(place / "6.png/6.png")
    say(monkeypatch, ".")
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["1.PNG", "1"], ["2.PNG", "2"], ["3.PNG", "3"], ["4.pgm", "4"],
    ]  # fmt: skip


def bomb() -> bytes:
    """A PNG that says it is 50,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_bad_files_are_named_and_the_rest_is_read(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(5).save(place / "good.png")
    whole = (place / "good.png").read_bytes()
    (place / "cut.png").write_bytes(whole[: len(whole) // 2])
    (place / "text.png").write_text("no picture")
    (place / "none.png").write_bytes(b"")
    (place / "bomb.png").write_bytes(bomb())
    Image.new("L", (90, 90), "white").save(place / "blank.png")
    (place / "folder").mkdir()
    messages = {
        "cut.png": "cannot be read as a picture",
        "text.png": "not a picture",
        "none.png": "not a picture",
        "bomb.png": "too large",
        "blank.png": "nothing is drawn on it",
        "missing.png": "No such file",
        "folder": "no pictures in this folder",
    }
    say(monkeypatch, *messages, "good.png", fails=True)
    said = capsys.readouterr()
    for line, (name, message) in zip(said.err.splitlines(), messages.items(), strict=True):
        assert line.startswith(f"error: {name}: {message}")
    (row,) = said.out.splitlines()[1:]
    assert row.split()[:2] == ["good.png", "5"]


def test_with_json_what_cannot_be_read_is_a_row(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(5).save(place / "good.png")
    (place / "folder").mkdir()
    say(monkeypatch, "--json", "missing.png", "good.png", "folder", fails=True)
    said = capsys.readouterr()
    missing, good, folder = json.loads(said.out)
    assert missing == {"image": "missing.png", "error": "No such file or directory"}
    assert (good["image"], good["digit"]) == ("good.png", 5)
    assert folder["error"].startswith("no pictures in this folder")
    assert [line.split(":")[1] for line in said.err.splitlines()] == [" missing.png", " folder"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_can_be_shown(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    encoding: str,
) -> None:
    shown = {os.fsdecode(b"\xff"): "?", "\x1b[31m\n": "?[31m?", "\N{SNOWMAN}": "\N{SNOWMAN}"}
    packed = io.BytesIO()
    picture(5).save(packed, "png")
    for name in shown:
        Path(name).write_bytes(packed.getvalue())
        Path(f"{name}-bad").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    say(monkeypatch, *shown, *(f"{name}-bad" for name in shown), fails=True)
    out.flush()
    names = [line.split()[0] for line in out.buffer.getvalue().decode(encoding).splitlines()[1:]]
    assert names == [name.encode(encoding, "backslashreplace").decode() for name in shown.values()]
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in said] == [f"{name}-bad" for name in shown.values()]


@pytest.mark.parametrize("block", [*(bytes(length) for length in range(20)), b"II*\0\xff\xff"])
def test_exif_that_cannot_be_read_is_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], block: bytes
) -> None:
    for kind in ("png", "jpeg", "webp"):
        for prefix in (b"", b"Exif\0\0"):
            picture(5).save(f"{len(prefix)}.{kind}", exif=prefix + block)
    say(monkeypatch, "--json", ".")
    assert [row["digit"] for row in json.loads(capsys.readouterr().out)] == 6 * [5]


def in_every_form() -> list[bytes]:
    """A small picture of a 5 in each of the usual forms."""
    small = picture(5, 40)
    small.getexif()[ExifTags.Base.Orientation] = 1
    found = []
    for kind in ("png", "jpeg", "gif", "tiff", "webp", "bmp"):
        packed = io.BytesIO()
        small.save(packed, kind, exif=small.getexif())
        found.append(packed.getvalue())
    return found


FORMS = in_every_form()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture in which bytes are others, and of which the end may be missing."""
    content = bytearray(draw(st.sampled_from(FORMS)))
    places = st.integers(0, len(content) - 1)
    for place in draw(st.lists(places, max_size=6)):
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.just(len(content)) | places)])


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=damaged())
def test_a_damaged_picture_is_read_or_named_in_a_line(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    (place / "damaged").write_bytes(content)
    picture(7).save(place / "good.png")
    monkeypatch.setattr(sys, "argv", ["predict", "--json", "damaged", "good.png"])
    with suppress(SystemExit):
        predict.main()
    said = capfd.readouterr()
    row, good = json.loads(said.out)
    assert (good["image"], good["digit"]) == ("good.png", 7)
    assert said.err == (f"error: damaged: {row['error']}\n" if "error" in row else "")
    assert row.get("error", "read").isprintable()


@pytest.mark.parametrize("damage", [b"", b"no model", None])
def test_a_missing_or_damaged_model_is_a_message(
    place: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    if damage is None:
        predict.MODEL.unlink()
    else:
        predict.MODEL.write_bytes(damage)
    message = "no such file; `make repro`" if damage is None else "not a whole ONNX file"
    with pytest.raises(predict.UserError, match=f"models/model.onnx: {message}"):
        say(monkeypatch, "x.png")
