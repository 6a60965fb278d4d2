"""What is in the repository, what must not be, and which package may import which."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.core import config
from tests.project import ROOT


def git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=ROOT, text=True)


def committed(name: str) -> str:
    """A file as it is in HEAD, whatever the user has made of it since."""
    return git("show", f"HEAD:{name}")


TRACKED = git("ls-files", "-co", "--exclude-standard").splitlines()
CODE = {
    name: (ROOT / name).read_text()
    for name in TRACKED
    if name.endswith(".py") and not name.startswith("tests/") and (ROOT / name).is_file()
}
each_file = pytest.mark.parametrize("name", CODE)
FORBIDDEN = re.compile(
    r"/home/\w|/Users/\w|/root/|/work/|[A-Z]:\\Users|"  # a machine's own paths
    r"PRIVATE KEY-----|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{30}|github_pat_\w{22}|"
    r"glpat-[\w-]{20}|xox[abprs]-[\w-]{10}|hf_[A-Za-z]{30}|pypi-AgE\w{20}|sk-[\w-]{32}|"
    r"AIza[\w-]{35}|eyJ[\w-]{10,}\.eyJ|://[^\s/:@{}$]+:[^\s/:@{}$]+@"
)
SECRETS = [
    "/home/" + "someone/project",
    "AKIA" + 16 * "A",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "https://user:" + "password@example.com/simple",
]


def test_no_machine_path_no_secret_and_no_data_is_tracked() -> None:
    contents = {name: (ROOT / name).read_bytes() for name in TRACKED if (ROOT / name).is_file()}
    texts = {name: data.decode() for name, data in contents.items() if b"\0" not in data}
    assert {".github/workflows/test.yml", "Makefile", "dvc.lock"} <= texts.keys()
    del texts[str(Path(__file__).relative_to(ROOT))]
    assert [name for name, text in texts.items() if FORBIDDEN.search(text)] == []
    assert all(FORBIDDEN.search(f"before = '{secret}' # after") for secret in SECRETS)
    assert not [name for name in TRACKED if re.search(r"\.(gz|safetensors|pt|pkl|onnx)$", name)]


def test_the_lock_pins_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    for block in re.split(r"\n(?=\S)", lock):
        if not block.startswith("#"):
            assert re.match(r"[a-z0-9.\-\[\]]+==\S+", block), block[:60]
            assert "--hash=sha256:" in block, block[:60]
    for package in ("torch", "torchvision", "dvc", "pyyaml", "pandas", "matplotlib", "pytest"):
        assert re.search(rf"^{package}==", lock, re.MULTILINE), f"{package} was promised"


@each_file
def test_a_file_is_read_in_one_sitting_and_a_function_in_one_look(name: str) -> None:
    assert len(CODE[name].splitlines()) <= 220
    for node in ast.walk(ast.parse(CODE[name])):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            assert node.end_lineno - node.lineno - docstring.count("\n") < 45, node.name


def test_no_folder_is_crowded() -> None:
    assert max(Counter(Path(name).parent for name in CODE).values()) <= 10


# the packages that the code of a folder may import, its own aside
MAY_IMPORT = {
    "digits/core/": [],
    "digits/pictures/": ["digits.core"],
    "digits/sources/": ["digits.core", "digits.pictures"],
    "digits/network/": ["digits.core"],
    "digits/training/": ["digits.core", "digits.network"],
    "digits/": ["digits"],
    "stages/": ["digits", "stages.paths"],
    "study/": ["digits", "stages.paths", "study"],
    "tools/": ["digits", "stages.paths", "study", "tools"],
    "demo/": ["digits", "stages.paths", "demo"],
}


def imported(tree: ast.AST) -> Iterator[str]:
    """What code imports from this project, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = (prefix + alias.name for alias in node.names)
            yield from (name for name in names if re.match("digits|stages|study|tools|demo", name))


def forbidden_imports(name: str, text: str) -> list[str]:
    folder = next(each for each in MAY_IMPORT if name.startswith(each))
    own = [folder.strip("/").replace("/", ".")] if folder.startswith("digits/") else []
    allowed = tuple(f"{each}." for each in [*MAY_IMPORT[folder], *own])
    tree = ast.parse(text)
    if name == "tools/benchmarks/measurements.py":  # one of its arms times the train stage
        tree.body = [node for node in tree.body if getattr(node, "name", "") != "first_step"]
    # `import digits` pins the processor's instructions
    return [
        each for each in imported(tree) if each != "digits" and not f"{each}.".startswith(allowed)
    ]


@each_file
def test_imports_go_one_way_and_only_one_file_of_the_library_knows_a_path(name: str) -> None:
    assert forbidden_imports(name, CODE[name]) == []
    if name.startswith("digits/") and name != "digits/predict.py":
        for node in ast.walk(ast.parse(CODE[name])):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("data/", "models/", "metrics/", "plots/"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("digits/core/config.py", "from digits.network import layers"),
        ("digits/sources/idx.py", "def f():\n    import digits.training.loop"),
        ("digits/export/onnx_session.py", "from stages import paths"),
        ("stages/train.py", "from stages.check import main"),
        ("stages/train.py", "from stages import check"),
        ("study/run.py", "from stages import train"),
        ("tools/benchmarks/measurements.py", "def seeds():\n    from stages import train"),
    ],
)
def test_a_forbidden_import_would_be_noticed(name: str, text: str) -> None:
    assert forbidden_imports(name, text)


def test_recipes_are_the_described_one_and_the_default() -> None:
    assert committed("params.yaml") == committed("recipes/tuned.yaml")
    described, tuned = (
        config.read(ROOT / f"recipes/{name}.yaml") for name in ("described", "tuned")
    )
    assert described.model_dump(exclude_defaults=True) == {
        "download": {"source": "mnist"},
        "preprocess": {"validation_size": 0, "seed": 0},
        "model": {
            "blocks": [8, "pool", 16, "pool", 32, "pool"], "hidden": 32, "dropout": 0.4,
            "parameter_budget": 20_000,
        },
        "augment": {"rotation": 10, "translation": 0.1},
        "train": {
            "seed": 0, "epochs": 19, "batch_size": 128, "max_learning_rate": 0.003,
            "pct_start": 0.2, "div_factor": 10, "final_div_factor": 100, "weight_decay": 1e-4,
        },
    }  # fmt: skip
    assert tuned.model == described.model
    assert tuned.train.epochs == described.train.epochs
    assert tuned.train.batch_size == described.train.batch_size
    assert tuned.preprocess.validation_size == 5000
