"""The predict command reads what is drawn, and names what it cannot read."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw, ImageFont

from digits import predict
from digits.core import config
from digits.core.data_shape import DataShape
from digits.core.errors import UserError
from digits.core.split import Normalisation
from digits.export.onnx_file import encode, operations_of
from digits.handwriting.mnist_form import largest_digit
from digits.handwriting.picture_file import grey_levels
from digits.network import model_file
from digits.training.optimizer import Adam
from digits.training.trainer import trainer_of
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import network, seeded


@pytest.fixture(scope="module")
def content() -> bytes:
    """An ONNX file that has learnt the drawn digits."""
    torch.set_num_threads(1)
    split, learner = drawn.split(200), network([8, "pool", 8, "pool"]).eval()
    shaped = np.stack(
        [largest_digit(grey_levels(Image.fromarray(image.numpy()))) for image in split.images]
    )
    images = split.normalisation(torch.from_numpy(shaped).unsqueeze(1))
    training = config.read(ROOT / "recipes/tuned.yaml").train
    training = training.model_copy(update={"batch_size": len(images)})
    trainer = trainer_of(learner, Adam(learner.parameters(), training, steps=40))
    for _ in range(40):
        trainer.train(images, split.labels, seeded())
    trainer.finish()
    return encode(operations_of(learner), split.normalisation)


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


def packed(image: Image.Image, kind: str = "png", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


COLUMNS = ["digit", "probability", "runner_up", "runner_up_probability", "note"]
Main = Callable[..., tuple[str, str]]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Main:
    """Runs the command's main(); returns what it printed on stdout and on stderr."""

    def run(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["predict", *arguments])
        code = None
        try:
            predict.main()
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        assert code == (1 if err else None)
        return out, err

    return run


def test_digits_on_large_canvases_are_read(main: Main) -> None:
    names = []
    for digit in range(10):
        for seed in range(6):
            canvas = picture(digit, 200 + 300 * (seed % 3), seed)
            if seed % 2:
                canvas = Image.fromarray(255 - np.asarray(canvas))
            names.append(f"{digit}-{seed}.{'png' if seed < 4 else 'jpg'}")
            canvas.convert("RGB").save(names[-1])
    rows = json.loads(main("--json", *names)[0])
    assert [row["image"] for row in rows] == names
    assert np.mean([str(row["digit"]) == row["image"][0] for row in rows]) >= 0.95
    for row in rows:
        assert list(row)[1:] == [
            "digit",
            "probability",
            "runner_up",
            "runner_up_probability",
            "note",
        ]
        assert row["digit"] != row["runner_up"]
        assert 1 >= row["probability"] >= row["runner_up_probability"] >= 0


def test_it_runs_without_torch_and_reads_stdin(place: Path) -> None:
    packages, home = place / "packages", place / "home"  # all packages but torch's
    packages.mkdir()
    home.mkdir()
    for path in Path(torch.__file__).parent.parent.iterdir():
        if not path.name.startswith("torch"):
            (packages / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "digits.predict", "-"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}", "HOME": str(home)},
        input=packed(picture(7)),
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.decode().splitlines()
    assert header.split() == ["image", "digit", "probability", "runner-up", "probability"]
    assert row.split()[:2] == ["-", "7"]
    assert not list(home.rglob("*")), "ONNX Runtime's telemetry keeps its files there"


def test_a_folder_is_read_in_order(place: Path, main: Main) -> None:
    for name in ("3.PNG", "1.PNG", "2.PNG", "4.pgm", "5.pdf"):  # Pillow writes PDF but reads none
        picture(int(name[0])).save(place / name)
    (place / "notes.txt").write_text("no picture")
    (place / "6.png").mkdir()
    picture(6).save(place / "6.png/6.png")
    assert [line.split()[:2] for line in main(".")[0].splitlines()[1:]] == [
        ["1.PNG", "1"], ["2.PNG", "2"], ["3.PNG", "3"], ["4.pgm", "4"],
    ]  # fmt: skip


def bomb() -> bytes:
    """A PNG that claims 50,000 pixels in width and height."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


WHOLE = packed(picture(5))
WIDE = Image.new("1", (2, 1))
BAD = {
    "cut.png": (WHOLE[: len(WHOLE) // 2], "cannot be read as a picture"),
    "text.png": (b"no picture", "not a picture"),
    "none.png": (b"", "not a picture"),
    "bomb.png": (bomb(), "too large"),
    "blank.png": (packed(Image.new("L", (90, 90), "white")), "nothing is drawn on it"),
    "page.pdf": (b"%PDF-1.7 ", "a PDF, no picture; save its page as PNG"),
    "drawing.svg": (b"<?xml version='1.0'?><svg/>", "an SVG drawing, no picture; export it"),
    "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(16), "a HEIC picture, which needs a package"),
    "program.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "large.png": (packed(Image.new("1", (8000, 7000))), "too large: 8,000 x 7,000 pixels"),
    "book.tiff": (packed(WIDE, "tiff", save_all=True, append_images=100 * [WIDE]), "101 pages"),
    "/dev/zero": (None, "not a regular file"),
    "missing.png": (None, "No such file"),
    "models": (None, "no pictures in this folder"),
}


def test_bad_files_are_named_and_the_rest_is_read(place: Path, main: Main) -> None:
    for name, (data, _) in {"good.png": (WHOLE, ""), **BAD}.items():
        if data is not None:
            (place / name).write_bytes(data)
    out, err = main(*BAD, "good.png")
    for line, (name, (_, message)) in zip(err.splitlines(), BAD.items(), strict=True):
        assert line.startswith(f"error: {name}: {message}")
    (row,) = out.splitlines()[1:]
    assert row.split()[:2] == ["good.png", "5"]
    out, same = main("--json", *BAD, "good.png")
    *bad, good = json.loads(out)
    assert [f"error: {row['image']}: {row['error']}" for row in bad] == err.splitlines()
    assert (good["image"], good["digit"], same) == ("good.png", 5, err)


def side_by_side(*digits: int) -> Image.Image:
    """Several digits in a row."""
    canvas = Image.new("L", (150 * len(digits), 200), "white")
    for place, digit in enumerate(digits):
        font = ImageFont.load_default(size=130)
        ImageDraw.Draw(canvas).text((150 * place + 40, 20), str(digit), fill="black", font=font)
    return canvas


def test_several_digits_are_noticed_or_read_from_left_to_right(main: Main) -> None:
    side_by_side(2, 0, 2, 6).save("year.png")
    (row,) = json.loads(main("--json", "year.png")[0])
    assert row["note"] == "several things are drawn"
    assert main("year.png")[0].rstrip().endswith("several things are drawn")
    rows = json.loads(main("--json", "--many", "year.png")[0])
    assert [row["place"] for row in rows] == [1, 2, 3, 4]
    assert [row["digit"] for row in rows] == [2, 0, 2, 6]
    assert not any("several" in row["note"] for row in rows)


@pytest.mark.parametrize(
    ("box", "note"),
    [
        ((40, 90, 160, 105), "a stroke that lies, not a digit"),
        ((90, 90, 110, 110), "a dot, not a digit"),
    ],
)
def test_what_is_no_digit_is_said(main: Main, box: tuple[int, int, int, int], note: str) -> None:
    canvas = Image.new("L", (200, 200), "white")
    ImageDraw.Draw(canvas).rounded_rectangle(box, 8, fill="black")
    canvas.save("drawn.png")
    (row,) = json.loads(main("--json", "drawn.png")[0])
    assert row["note"] == note


def test_an_unsure_network_says_so(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("good.png").write_bytes(WHOLE)
    monkeypatch.setattr(predict, "SURE", 1.1)
    (row,) = json.loads(main("--json", "good.png")[0])
    assert row["note"] == "unsure"


def test_each_page_is_a_row(main: Main) -> None:
    blank = Image.new("L", (400, 400), "white")
    picture(3).save("scan.tiff", save_all=True, append_images=[blank, picture(8)])
    out, err = main("--json", "scan.tiff")
    first, second, third = json.loads(out)
    assert [row["page"] for row in (first, second, third)] == [1, 2, 3]
    assert (first["digit"], third["digit"]) == (3, 8)
    assert err.startswith("error: scan.tiff, page 2: nothing is drawn on it")
    lines = main("scan.tiff")[0].splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["scan.tiff,", "page", "1", "3"], ["scan.tiff,", "page", "3", "8"],
    ]  # fmt: skip


def test_no_picture_takes_much_memory(place: Path) -> None:
    """Pictures of 25 million pixels, and 100 pages of which each takes 4 MB."""
    large, page = picture(5, 5000), picture(5, 1000).convert("1")
    large.convert("RGBA").save("rgba.png", compress_level=1)
    large.save("large.webp", quality=0, method=0)
    page.save("book.tiff", save_all=True, append_images=99 * [page], compression="group4")
    program = "from digits import predict; predict.main(); print(open('/proc/self/status').read())"
    done = subprocess.run(
        [sys.executable, "-c", program, "rgba.png", "large.webp", "book.tiff"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert [line.split()[3] for line in done.stdout.splitlines() if ".tiff," in line] == 100 * ["5"]
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) < 550_000


def test_a_contact_sheet_shows_what_was_seen(main: Main) -> None:
    Path("good.png").write_bytes(WHOLE)
    Path("none.png").write_bytes(b"")
    main("--sheet", "sheet.png", "good.png", "none.png")
    with Image.open("sheet.png") as sheet:
        one, other = (
            np.asarray(sheet.crop((left, 0, left + sheet.width // 2, sheet.height)))
            for left in (0, sheet.width // 2)
        )
    assert (one < 128).sum() > 2 * (other < 128).sum() > 0, "two pictures and three lines; one line"


def test_a_queue_in_a_folder_is_left_alone(main: Main) -> None:
    os.mkdir("scans")
    os.mkfifo("scans/endless.png")
    Path("scans/good.png").write_bytes(WHOLE)
    assert [row["image"] for row in json.loads(main("--json", "scans")[0])] == ["scans/good.png"]
    assert "not a regular file" in main("scans/endless.png")[1]


def test_the_model_for_torch_is_not_taken_for_the_onnx_file(main: Main) -> None:
    path = Path("models/model.safetensors")
    model_file.save(path, network([4, "pool"]), drawn.split(9).normalisation)
    with pytest.raises(UserError, match=r"model.safetensors: .* wants .*models/model.onnx"):
        main("--model", str(path), "-")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_can_be_shown(main: Main, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    shown = {os.fsdecode(b"\xff"): "?", "\x1b[31m\n": "?[31m?", "\N{SNOWMAN}": "\N{SNOWMAN}"}
    for name in shown:
        Path(name).write_bytes(WHOLE)
        Path(f"{name}-bad").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    _, err = main(*shown, *(f"{name}-bad" for name in shown))
    out.flush()
    names = [line.split()[0] for line in out.buffer.getvalue().decode(encoding).splitlines()[1:]]
    assert names == [name.encode(encoding, "backslashreplace").decode() for name in shown.values()]
    bad = [line.split(": ")[1] for line in err.splitlines()]
    assert bad == [f"{name}-bad" for name in shown.values()]


def test_exif_that_cannot_be_read_is_ignored(main: Main) -> None:
    for number, block in enumerate([*(bytes(length) for length in range(20)), b"II*\0\xff\xff"]):
        for kind in ("png", "jpeg", "webp"):
            for prefix in (b"", b"Exif\0\0"):
                SMALL.save(f"{number}-{len(prefix)}.{kind}", exif=prefix + block)
    assert [row["digit"] for row in json.loads(main("--json", ".")[0])] == 126 * [5]


SMALL = picture(5, 40)
EXIF = SMALL.getexif()
EXIF[ExifTags.Base.Orientation] = 1
FORMS = [packed(SMALL, kind, exif=EXIF) for kind in ("png", "jpeg", "gif", "tiff", "webp", "bmp")]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with a few bytes changed, and perhaps without its end."""
    data = bytearray(draw(st.sampled_from(FORMS)))
    places = st.integers(0, len(data) - 1)
    for place in draw(st.lists(places, max_size=6)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | places)])


@settings(max_examples=200, suppress_health_check=HealthCheck)
@given(data=damaged())
def test_a_damaged_picture_is_read_or_named_in_a_line(main: Main, data: bytes) -> None:
    Path("damaged").write_bytes(data)
    Path("good.png").write_bytes(WHOLE)
    out, err = main("--json", "damaged", "good.png")
    row, good = json.loads(out)
    assert (good["image"], good["digit"]) == ("good.png", 5)
    assert err == (f"error: damaged: {row['error']}\n" if "error" in row else "")
    assert row.get("error", "read").isprintable()


def test_a_model_of_pictures_tells_the_class_and_its_names_are_harmless(main: Main) -> None:
    shape = DataShape(16, 3, ("ash \x1b[31m", "<b>elm</b>", "yew"), "crop")
    made = network([4, "pool"], shape=shape).eval()
    with torch.no_grad():
        made.fc1.bias[:] = torch.tensor([9.0, 0.0, -9.0])
    normalisation = Normalisation(mean=0.5, std=0.25)
    predict.MODEL.write_bytes(encode(operations_of(made), normalisation, None, 1, shape))
    Image.new("RGBA", (40, 30), "green").save("leaf.png")
    Path("broken.png").write_bytes(b"\x89PNG")
    out, err = main("leaf.png", "broken.png", "--sheet", "sheet.png")
    assert re.fullmatch(
        r"image +class +probability +runner-up +probability\n"
        r"leaf.png +ash \?\[31m +\d+\.\d\d % +<b>elm</b> +\d\.\d\d %\n",
        out,
    )
    assert "broken.png: not a picture" in err
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    answer = json.loads(main("--json", "leaf.png")[0])[0]
    assert answer["class"] == "ash ?[31m"
    with pytest.raises(UserError, match="--many: models/model.onnx tells the class of a whole"):
        main("--many", "leaf.png")
