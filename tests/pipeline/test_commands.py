"""Every command in README.md and docs/ is run by a test as it stands there, or here is why not.

A test names what it runs: `documented.command` one command, `documented.commands` a section.
"""

import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests import documented, drawn
from tests.project import ROOT, SMALL, Project, change_parameters

WALK = """\
make run
make plots
MNIST_MIRROR=/path/to/mnist make repro
make repro
. .venv/bin/activate
python -m digits.predict photo.jpg scans/
python -m stages.train --help
dvc repro
dvc params diff HEAD~1
git diff HEAD~1 -- metrics
dvc metrics diff HEAD~1
dvc metrics diff $(git log -1 --skip=1 --format=%h -- metrics/evaluate.json)
git log -- metrics/evaluate.json
dvc plots show
dvc plots diff HEAD~1
.ci/report HEAD~1
cp recipes/described.yaml params.yaml && make repro
git checkout . && dvc checkout
dvc remote add --default origin /mnt/shared/mnist
dvc remote modify origin verify true
dvc push
dvc pull
make verify
make verify REMOVE=1
"""
NOT_RUN = {
    "make setup": "it installs what runs this",
    "make quick": "tests/pipeline/test_daily.py runs it up to dvc",
    ".ci/run": "the same for CI",
    "git add dvc.lock": "what dvc suggests, which the page advises against",
    "make test": "it is what runs this",
    "make test-all": "the same",
    "make test-faults": "tests/faults, which `make test-all` runs too, many times over",
    "make demo": "it needs the real network; .ci/run runs it, through tests/browser/test_demo.py",
    "make study": "hours; its parts are tested on drawn digits, tests/study/test_seeds.py",
    "RAY_ADDRESS=127.0.0.1:6380 make study": "the same",
    "python -m study.run": "the same",
    "python -m study.screen": "the same",
    "python -m study.search": "tests/study/test_ray.py searches on drawn digits",
    "python -m study.report": "tests/study/test_report.py calls it",
    "python -m tools.examination": "minutes; tests/unit/tools/test_examination.py draws a few",
    "export RAY_AUTH_MODE=token "
    "RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')": "the cluster of "
    "tests/study/test_seeds.py has a token of its own",
    "ray stop": "it would end every Ray of the machine, also those of other tests",
    "pip install .": "it fetches torch; tests/pipeline/test_library.py installs the wheel",
    "hf upload USER/NAME hub .": "it needs an account on the Hub",
    "make lock": "it asks the package index",
    "uv sync": "it is refused: tests/unit/core/test_entry_point.py",
    "uv lock": "the same",
    "git status": "git's own",
    "git fsck": "the same",
    "make repro FORCE=1": ".ci/run runs it, in a clone",
    "dvc repro --force": "the same without its wrapper; tests/faults/test_rot.py forces one stage",
    "dvc metrics show -A": "a minute and more; the page says what to type instead",
    "dvc queue start -j 2": "the docs advise against it",
    "python -O": "an option; tests/faults/test_hostile_files.py runs programs with it",
}
REMOTES = ["A folder", "SSH", "WebDAV", "S3"]
TESTS = re.sub(r"\(\s+", "(", "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py")))
SECTIONS = [
    *(("docs/remotes.md", section) for section in REMOTES),
    *re.findall(r'documented\.commands\("([^"]+)", "([^"]+)"\)', TESTS),
]
RUN = {
    *WALK.splitlines(),
    *re.findall(r'documented\.command\("([^"]+)"', TESTS),
    *(line for section in SECTIONS for line in documented.commands(*section).splitlines()),
}


def test_every_command_is_run_or_excused() -> None:
    assert documented.every() - RUN == NOT_RUN.keys(), "name it in a test, or excuse it in NOT_RUN"


def link_environment(project: Project) -> None:
    """Give it what the tests run in as .venv, in which make finds nothing to install."""
    environment = project.path / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name not in ("installed", "development"):
            (environment / path.name).symlink_to(path)
    lock = project.git("hash-object", "requirements.txt")
    (environment / "installed").write_text(lock)
    (environment / "development").write_text(lock)


@pytest.mark.slow
def test_the_commands_of_the_walk_run(project: Project, tmp_path: Path) -> None:
    described = SMALL | {"train": SMALL["train"] | {"seed": 1}, "download": project.download()}
    change_parameters(project.path / "recipes/described.yaml", described)
    project.dvc("repro")  # the model card depends on the recipes
    project.git("commit", "-qa", "--amend", "--no-edit")
    link_environment(project)
    (project.path / "scans").mkdir()
    for name, pixels in zip(("photo.jpg", "scans/seven.png"), drawn.draw(2, 0)[0], strict=True):
        Image.fromarray(255 - pixels).save(project.path / name)
    code = "\n".join(map(documented.command, WALK.splitlines()))
    code = code.replace("/path/to/mnist", str(project.mirror))
    code = code.replace("/mnt/shared/mnist", str(tmp_path / "remote"))
    # nothing is activated: there is no dvc yet
    paths = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(path for path in paths if not Path(path, "dvc").exists())

    output = documented.run(project, f"PATH='{path}'\n{code}", tmp_path / "log", timeout=1800)

    assert "Traceback" not in output
    assert "of requirements.txt into .venv" not in output
    assert output.count("Running stage 'train'") == 1, "with the described recipe"
    assert project.git("status", "--porcelain", "-uno") == " M .dvc/config\n"


@pytest.mark.parametrize("section", REMOTES)
def test_a_remote_can_be_set_up(project: Project, tmp_path: Path, section: str) -> None:
    lines = documented.commands("docs/remotes.md", section).replace("dvc push\n", "")
    code = f"PASSWORD=p KEY_ID=i KEY=k\n{lines}"
    documented.run(project, code, tmp_path / "log", timeout=240)
    config = project.read(".dvc/config").decode()
    assert "remote = origin" in config
    assert "verify = true" in config
    local = project.path / ".dvc/config.local"
    for secret in ("keyfile", "password", "secret_access_key"):
        assert secret not in config, "secrets stay out of git"
        assert (secret in lines) == (local.exists() and secret in local.read_text())
    assert ".dvc/config.local" not in project.git("status", "--porcelain")
