"""From folders of pictures to a model: the same bits twice, and only what must run again."""

import hashlib
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from stages import paths
from tests import documented
from tests.pipeline.test_commands import link_environment
from tests.project import Project, change_parameters, make_project, ran

TINY = {"blocks": [6, "pool", 8, "gap"], "parameter_budget": 20_000, "hidden": None}
PAGE = "docs/own_pictures.md"
ODD = ("Żółw i kot", "sea horse", "кот $x$")


def write(path: Path, pixels: np.ndarray, suffix: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path.with_suffix(suffix), quality=95)


def scikit_learns_digits(root: Path) -> None:
    """As the page on own pictures writes them."""
    (code,) = re.findall(r"^```python\n(.*?)^```", documented.PAGES[PAGE], re.MULTILINE | re.DOTALL)
    with chdir(root.parents[1]):
        exec(code, {})  # the page is a file of this project


def photographs(root: Path) -> None:
    """Parts of two photographs: of a palace and of a flower."""
    for name, photograph in zip(("palace", "flower"), load_sample_images().images, strict=True):
        for top in range(0, 400, 40):
            for left in range(0, 640, 80):
                part = photograph[top : top + 60, left : left + 80]
                write(root / name / f"{top}-{left}", part, ".jpg")


def odd_names(root: Path) -> None:
    rng = np.random.default_rng(0)
    for place, name in enumerate(ODD):
        for number in range(20):
            whole = Image.fromarray(rng.integers(0, 90, (20, 30, 3), np.uint8))
            box = [int(start) for start in rng.integers(0, 8, 2)]
            getattr(ImageDraw.Draw(whole), ("rectangle", "ellipse", "line")[place])(
                [*box, box[0] + 12, box[1] + 10], fill="white"
            )
            write(root / name / f"picture {number}", np.asarray(whole), ".png")


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    original = make_project(tmp_path)
    odd_names(tmp_path / "leaves")
    code = documented.commands("docs/own_pictures.md", "In five commands")
    code = code.replace("<address>", str(original.path)).replace(
        "~/new.jpg", "data/pictures/sea*/*19.png"
    )
    code = code.replace("~/leaves", str(tmp_path / "leaves"))
    code = code.replace("cd classifier", "cd classifier && git config user.name x")
    code = code.replace(
        "\ncp recipes", "\nsed -i 's/epochs: 40/epochs: 6/; s/: 100/: 9/' recipes/*\ncp recipes"
    )
    project = Project(tmp_path / "clones", original.mirror)
    project.path.mkdir()
    clone = Project(project.path / "classifier", original.mirror)
    first, rest = code.split("\n", 1)
    documented.run(project, first, tmp_path / "log", 60)
    link_environment(clone)

    output = documented.run(clone, rest, tmp_path / "log", timeout=600)

    assert [line for line in output.splitlines() if line.startswith("data/pictures/")]
    clone.git("commit", "-qam", "Learn leaves")
    clone.name_remote("shared", {"url": str(tmp_path / "remote")})
    documented.run(
        clone, documented.commands("docs/own_pictures.md", "Share them"), tmp_path / "log", 300
    )
    assert clone.git("status", "--porcelain", "-uno").split() == [
        "M",
        "data/.gitignore",
        "A",
        "data/pictures.dvc",
    ]
    assert clone.changed() == set()


def prepare(tmp_path: Path, draw: Callable[[Path], None], **preprocess: object) -> Project:
    project = make_project(tmp_path)
    draw(project.path / paths.PICTURES)
    change_parameters(
        project.path / "params.yaml",
        {
            "download": {"source": "folder", "files": None},
            "preprocess": {"validation_size": 12, **preprocess},
            "model": TINY,
            "train": {"batch_size": 10},
        },
    )
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "preprocess", "shape"),
    [
        (
            photographs,
            {"channels": 3, "image_size": 24, "fit": "crop"},
            "24x24 colour pixels and 2 classes",
        ),
        (odd_names, {"channels": 3, "image_size": 16}, "16x16 colour pixels and 3 classes"),
    ],
)
def test_pictures_become_a_model_with_the_same_bits_twice(
    tmp_path: Path, draw: Callable[[Path], None], preprocess: dict[str, object], shape: str
) -> None:
    project = prepare(tmp_path, draw, **preprocess)
    assert f"test images of {shape}" in project.dvc("repro")
    first = project.results()
    project.dvc("repro", "--force", "--no-run-cache")
    assert project.results() == first


@pytest.mark.slow
def test_the_digits_of_scikit_learn_become_what_the_page_says(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    scikit_learns_digits(project.path / paths.PICTURES)
    shutil.copy(project.path / "recipes/pictures.yaml", project.path / "params.yaml")
    project.change("preprocess", channels=1, image_size=8)
    project.change("augment", horizontal_flip=False)
    output = project.dvc("repro")
    page = documented.PAGES[PAGE]
    for line in re.findall(r"^(?:preprocess|evaluate): .*$", page, re.MULTILINE):
        assert line in output
    (md5,) = re.findall(r"md5 `(\w{32})`", page)
    assert hashlib.md5(project.read("models/model.safetensors")).hexdigest() == md5


@pytest.mark.slow
def test_what_must_runs_again_and_names_go_through(tmp_path: Path) -> None:
    project = prepare(tmp_path, odd_names, channels=3, image_size=16)
    assert ran(project.dvc("repro"))[:3] == ["check", "download", "preprocess"]
    pictures = project.path / paths.PICTURES

    elsewhere = tmp_path / "elsewhere"
    shutil.move(pictures, elsewhere)
    pictures.symlink_to(elsewhere)
    assert ran(project.dvc("repro")) == []

    recall = json.loads(project.read("metrics/evaluate.json"))["details"][0]["recall"]
    assert list(recall) == sorted(ODD)
    assert f"| {ODD[2]} |" in project.read("models/README.md").decode()
    listed = project.read("data/prepared/files.csv").decode().splitlines()
    assert len(listed) == 61
    shown = next(elsewhere.glob(f"{ODD[0]}/*.png"))
    answer = json.loads(project.run(sys.executable, "-m", "digits.predict", "--json", str(shown)))
    assert answer[0]["class"] in ODD
    assert answer[0]["runner_up"] in ODD
    project.run(sys.executable, "-m", "tools.report")
    assert all(name in project.read("dvc_plots/index.html").decode() for name in ODD)

    file = io.BytesIO()
    Image.new("RGB", (20, 30), "navy").save(file, "png")
    (elsewhere / ODD[1] / "one more.png").write_bytes(file.getvalue())
    assert ran(project.dvc("repro"))[0] == "preprocess"

    splits = list((project.path / "data/prepared").glob("*.*"))
    before = [path.read_bytes() for path in splits]
    (elsewhere / ODD[1] / "bad.png").write_bytes(b"\x89PNG")
    output = project.dvc("repro", fails=True)
    assert f"{ODD[1]}/bad.png: not a picture" in output
    assert "Traceback" not in output
    assert [path.read_bytes() for path in splits] == before
