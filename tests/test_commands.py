"""Every command in the README is run by a test, whole and as it stands there, or here is why not.

A test says what it runs: `readme.command` names one command, `readme.commands` takes those of a
section. What is in WALK, and every `dvc remote`, is run below.
"""

import os
import re
import sys
from pathlib import Path

import pytest

from tests import readme
from tests.project import ROOT, Project
from tests.test_predict import picture

WALK = """\
make run
make plots
MNIST_MIRROR=/path/to/mnist make repro
make repro
. .venv/bin/activate
python -m stages.predict photo.jpg scans/
python -m stages.train --help
python -m stages.download
dvc repro
dvc status
dvc status dvc.yaml
dvc params diff HEAD~1
dvc metrics diff
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
    "make test": "it is what runs this",
    "make verify-faults": "it is tests/faults, which `make test` runs too, many times over",
    "make demo": "it needs the real network; .ci/run runs it, through tests/test_demo.py",
    "make study": "hours; its parts are tested on drawn digits, tests/study/test_seeds.py",
    "RAY_ADDRESS=127.0.0.1:6380 make study": "the same",
    "export RAY_AUTH_MODE=token "
    "RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')": "the cluster of "
    "tests/study/test_seeds.py has a token of its own",
    "ray stop": "it would end every Ray of the machine, also those of other tests",
    "dvc repro -P": "it runs the study: hours",
    "dvc queue start -j 2": "the README advises against it",
    "python -O": "an option; tests/faults/test_hostile_files.py runs programs with it",
}
TESTS = re.sub(r"\(\s+", "(", "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py")))
SECTIONS = re.findall(r"readme\.commands\(\"(.*?)\"\)", TESTS)


def is_run(command: str) -> bool:
    """Whether a test says that it runs this."""
    lines = "".join([WALK, *map(readme.commands, SECTIONS)]).splitlines()
    return (
        command in lines
        or command.startswith("dvc remote ")
        or f'readme.command("{command}"' in TESTS
    )


@pytest.mark.parametrize("command", sorted(set(readme.every())))
def test_a_command_of_the_readme_is_run_or_excused(command: str) -> None:
    assert is_run(command) or command in NOT_RUN, f"{command!r}: run it, or say in NOT_RUN why not"


@pytest.mark.parametrize("command", NOT_RUN)
def test_what_is_excused_is_in_the_readme_and_not_run(command: str) -> None:
    assert command in readme.every()
    assert not is_run(command)


def link_environment(project: Project) -> None:
    """Give it what the tests run in as .venv, in which make finds nothing to install."""
    environment = project.path / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != "installed":
            (environment / path.name).symlink_to(path)
    (environment / "installed").touch()


def test_the_commands_of_the_walk_run(project: Project, tmp_path: Path) -> None:
    link_environment(project)
    (project.path / "scans").mkdir()
    for name in ("photo.jpg", "scans/seven.png"):
        picture(7).save(project.path / name)
    code = "\n".join(map(readme.command, WALK.splitlines()))
    code = code.replace("/path/to/mnist", str(project.mirror))
    code = code.replace("/mnt/shared/mnist", str(tmp_path / "remote"))
    # nothing is activated: there is no dvc yet
    paths = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(path for path in paths if not Path(path, "dvc").exists())

    said = readme.run(project, f"PATH='{path}'\n{code}", tmp_path / "log", timeout=1800)

    assert "Traceback" not in said
    assert "installing requirements.txt" not in said
    assert said.count("Running stage 'train'") == 1, "with the described recipe"
    assert project.git("status", "--porcelain", "-uno") == " M .dvc/config\n"


def test_the_remotes_of_the_readme_can_be_set_up(project: Project, tmp_path: Path) -> None:
    remotes = [line for line in readme.every() if line.startswith("dvc remote ")]
    assert sum("remote add" in line for line in remotes) == 4
    for number, line in enumerate(remotes):
        if "remote add" in line:
            project.git("checkout", "--", ".dvc/config")
            (project.path / ".dvc/config.local").unlink(missing_ok=True)
        code = f"PASSWORD=p KEY_ID=i KEY=k; {line}"
        readme.run(project, code, tmp_path / f"log{number}", timeout=240)
        config = project.read(".dvc/config").decode()
        assert "remote = origin" in config
        for secret in ("keyfile", "password", "access_key"):
            assert secret not in config, "secrets stay out of git"
    assert "secret_access_key = k" in project.read(".dvc/config.local").decode()
    assert ".dvc/config.local" not in project.git("status", "--porcelain")
