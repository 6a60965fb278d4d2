"""Every command in the README is run by a test, or says here why not."""

import re
from pathlib import Path

import pytest

from tests import readme
from tests.project import ROOT, Project

CLUSTER = "tests/study/test_seeds.py::test_a_cluster_that_loses_a_node_gives_the_same_rows"
EXPERIMENTS = (
    "tests/test_experiments.py::test_the_readmes_commands_run_compare_and_keep_experiments"
)
RELEASES = "tests/test_registry.py::test_the_readmes_commands_publish_and_fetch_the_same_bytes"

# command -> the test that runs it, or one with other names and addresses in its place
TESTED = {
    ". .venv/bin/activate": "tests/test_pipeline.py::test_another_python_is_told_what_to_do",
    "MNIST_MIRROR=/path/to/mnist make repro": "tests/test_pipeline.py::"
    "test_the_first_run_runs_every_stage_and_the_second_none",
    "dvc artifacts get": RELEASES,
    "dvc exp apply": EXPERIMENTS,
    "dvc exp branch": EXPERIMENTS,
    "dvc exp diff": EXPERIMENTS,
    "dvc exp run": EXPERIMENTS,
    "dvc queue": EXPERIMENTS,
    "while dvc queue": EXPERIMENTS,
    "git restore": EXPERIMENTS,
    "dvc metrics diff": "tests/test_pipeline.py::test_two_commits_can_be_compared",
    "dvc params diff": "tests/test_pipeline.py::test_two_commits_can_be_compared",
    "dvc push": "tests/faults/test_remotes.py::test_a_clone_has_all_of_it_and_takes_nothing_rotten",
    "dvc remote": "tests/test_commands.py::test_the_remotes_of_the_readme_can_be_set_up",
    "git push": RELEASES,
    "git tag": RELEASES,
    "make demo": "tests/test_demo.py",
    "make run": "tests/test_run.py",
    "make verify": "tests/faults/test_rot.py::test_every_flipped_bit_is_named",
    "python -m stages.predict": "tests/test_predict.py",
    "python -m study.compare": "tests/test_readme.py::test_the_comparison_is_what_the_command_says",
    "ray start": CLUSTER,
    "RAY_ADDRESS=127.0.0.1:6380 make study": CLUSTER,
    "export RAY_AUTH_MODE=token": CLUSTER,
}
NOT_RUN = {
    "make test": "it is what runs this",
    "make study": "hours; its parts are tested on drawn digits, tests/study/test_seeds.py",
    "ray stop": "it would end every Ray of the machine, also those of other tests",
    "dvc exp show": "its output is of the real recipe; test_experiments.py reads it as JSON",
}


def commands() -> list[str]:
    """The commands of all blocks: lines of `sh` blocks, and of others what follows a `$`."""
    text = (ROOT / "README.md").read_text()
    found: list[str] = []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        found += lines if kind == "sh" else [line[2:] for line in lines if line[:2] == "$ "]
    return [re.sub(r" +# .*", "", line) for line in found]


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_of_the_readme_is_tested_or_excused(command: str) -> None:
    known = [name for name in {**TESTED, **NOT_RUN} if command.startswith(name)]
    assert known, f"{command!r}: no test runs it; add it to TESTED or say in NOT_RUN why"


@pytest.mark.parametrize("name", sorted({**TESTED, **NOT_RUN}))
def test_what_is_listed_is_in_the_readme(name: str) -> None:
    assert any(command.startswith(name) for command in commands()), name
    file, _, test = TESTED.get(name, "tests/test_commands.py").partition("::")
    assert not test or f"def {test}(" in (ROOT / file).read_text(), test


def test_the_remotes_of_the_readme_can_be_set_up(project: Project, tmp_path: Path) -> None:
    lines = readme.commands("Share data and models").splitlines()
    remotes = [line for line in lines if line.startswith("dvc remote")]
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
