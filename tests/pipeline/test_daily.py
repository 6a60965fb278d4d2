"""What somebody who uses DVC all day types: tables that fit, a merge, another line ending."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import modify_yaml

from tests import documented
from tests.project import ROOT, Project, ran
from tests.unit.test_repository import TRACKED, committed
from tools import quick


@pytest.mark.parametrize(
    ("command", "width", "height"),
    [
        (documented.command("dvc metrics show"), 100, 12),
        (documented.command("dvc dag"), 100, 60),
        (documented.command("dvc exp show --only-changed --drop '.*/'"), 120, 12),
        (
            documented.command(
                "dvc exp show --num 2 --md --drop '.*' --keep 'Exp|accuracy|errors'"
            ),
            100,
            8,
        ),
    ],
)
def test_a_table_fits_a_terminal(project: Project, command: str, width: int, height: int) -> None:
    lines = project.run("bash", "-c", command).splitlines()
    assert max(map(len, lines)) <= width
    assert 2 < len(lines) <= height


@pytest.mark.slow
def test_experiments_fit_a_terminal_and_show_what_differs(project: Project) -> None:
    for value in (0.005, 0.002):
        project.dvc("exp", "run", "-S", f"train.max_learning_rate={value}")
        project.git("checkout", ".")
    table = project.run("bash", "-c", "dvc exp show --only-changed --drop '.*/'")
    assert max(map(len, table.splitlines())) <= 120
    assert "0.005" in table
    assert "validation_accuracy" in table
    difference = project.dvc("metrics", "diff")
    assert len(difference.splitlines()) <= 24


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", *map(str, ROOT.glob("recipes/*"))])
def test_dvc_leaves_a_file_as_it_is_when_it_writes_it(name: str, tmp_path: Path) -> None:
    """`dvc exp run -S` and `dvc freeze` write these files through this function."""
    copy = tmp_path / "copy.yaml"
    shutil.copy(ROOT / name, copy)
    with modify_yaml(copy):
        pass
    assert copy.read_text() == (ROOT / name).read_text()


def test_a_checkout_with_other_line_ends_changes_nothing(
    reproduced: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone", reproduced.mirror)
    reproduced.git("clone", "-q", "-c", "core.autocrlf=true", ".", str(clone.path))
    for name in ("dvc.yaml", "stages/train.py", ".ci/report", "metrics/evaluate.json"):
        assert clone.read(name) == reproduced.read(name)


def test_the_committed_results_are_those_of_the_committed_lock() -> None:
    """After `git commit dvc.lock` alone, every clone would train again."""
    outs = [
        out
        for stage in yaml.safe_load(committed("dvc.lock"))["stages"].values()
        for out in stage["outs"]
        if out["path"] in TRACKED
    ]
    assert len(outs) > 5
    for out in outs:
        content = subprocess.check_output(["git", "show", f"HEAD:{out['path']}"], cwd=ROOT)
        assert hashlib.md5(content).hexdigest() == out["md5"], out["path"]


def test_what_make_repro_and_the_documents_say_of_committing(project: Project) -> None:
    """A comment may be committed without a run; the old model under new parameters is refused."""
    code = project.path / "digits/training/loop.py"
    code.write_text(code.read_text() + "\n# a remark\n")
    assert "train" in project.changed()
    project.dvc(*documented.command("dvc commit --force").split()[1:])
    assert project.changed() == set()
    advice = project.run("make", "-o", ".venv/installed", f"PYTHON={sys.executable}", "repro")
    command = documented.command(
        "git add params.yaml dvc.lock metrics plots models && git commit -m 'Train for longer'"
    )
    assert f"to commit the results, not only dvc.lock: {command.partition(' -m')[0]}" in advice
    project.run(sys.executable, "-m", "tools.verify")
    project.run("bash", "-c", command)
    assert project.git("status", "--porcelain") == " M digits/training/loop.py\n"

    project.change("train", epochs=3)
    project.dvc("commit", "--force")
    for module in ("tools.verify", "stages.evaluate"):
        message = project.run(sys.executable, "-m", module, fails=True)
        assert "was trained with other parameters than those that are here now" in message
        assert "Traceback" not in message


def test_quick_runs_every_stage_and_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.chdir(project.path)
    (project.path / "new.txt").write_text("not committed yet")

    def repro() -> int:
        here = Path.cwd()
        started.extend([str(here), Path("params.yaml").read_text()])
        assert Path("new.txt").is_file()
        copy = Project(here, project.mirror)
        assert copy.changed() >= {"check", "download", "train", "card"}
        return 3

    monkeypatch.setattr(quick.run, "repro", repro)
    with pytest.raises(SystemExit, match="3"):
        quick.main()
    folder, parameters = started
    assert not Path(folder).exists()
    assert yaml.safe_load(parameters)["download"]["source"] == "sample"
    assert yaml.safe_load(parameters)["train"]["epochs"] == 2
    assert project.git("status", "--porcelain") == "?? new.txt\n"


def test_a_conflict_in_any_result_is_named_before_anything_runs(project: Project) -> None:
    """Whatever the file, and also when it was committed."""
    conflict = b"<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> other\n"
    names = ["dvc.lock", "metrics/evaluate.json", "metrics/study/seeds/tiny.csv"]
    names += ["models/README.md", "params.yaml", "plots/confusion.csv", "recipes/tiny.yaml"]
    for name in names:
        (project.path / name).write_bytes(project.read(name) + conflict)
    project.git("commit", "-qam", "Overlook conflicts")
    for module in ("tools.run", "tools.repro", "tools.report", "tools.verify"):
        message = project.run(sys.executable, "-m", module, fails=True)
        assert message == (
            f"error: {', '.join(names)}: a merge has left its conflict here; "
            'docs/experiments.md, "Merge two branches", shows the way out\n'
        )
    assert project.git("status", "--porcelain") == ""
    command = documented.command("git checkout HEAD~1 -- dvc.lock metrics plots models/README.md")
    project.git(*command.split()[1:])
    message = project.run(sys.executable, "-m", "tools.repro", fails=True)
    assert message.startswith("error: params.yaml, recipes/tiny.yaml: a merge has left")


def test_a_repository_of_another_user_is_called_that(project: Project) -> None:
    """Not one without a history, in which everything is new or nothing is damaged."""
    advice = documented.command("git config --global --add safe.directory /path/to/it")
    advice = advice.replace("/path/to/it", str(project.path))
    for module in ("tools.report", "tools.verify", "tools.quick", "tools.repro"):
        if module == "tools.repro":  # which asks git for the lock file if it is torn
            (project.path / "dvc.lock").write_bytes(b"torn")
            (project.path / ".dvc/tmp/dvc.lock").unlink(missing_ok=True)
        message = project.run(
            sys.executable, "-m", module, fails=True, GIT_TEST_ASSUME_DIFFERENT_OWNER="1"
        )
        assert message == (
            f"error: git: detected dubious ownership in repository at '{project.path}'; if you "
            f"trust what is in it: `{advice}`\n"
        ), module


def test_the_hook_that_refuses_a_push_can_go(project: Project, tmp_path: Path) -> None:
    project.git("init", "-q", "--bare", str(tmp_path / "there"))
    project.git("remote", "add", "origin", str(tmp_path / "there"))
    project.git("config", "push.autoSetupRemote", "true")
    page = documented.PAGES["docs/experiments.md"]
    project.dvc(*documented.command("dvc install").split()[1:])
    push = documented.command("git push").split()
    message = project.run(*push, fails=True)
    for line in re.search(r"^\$ git push\n(.*?)```", page, re.MULTILINE | re.DOTALL)[
        1
    ].splitlines():
        assert line.removesuffix("...").removesuffix("to ") in message
    (way_out,) = re.findall("`(rm .git/hooks/[^`]+)`", page)
    project.run(*way_out.split())
    project.run(*push)


@pytest.mark.slow
def test_two_branches_merge_as_documented(project: Project, tmp_path: Path) -> None:
    for branch, section, values in (
        ("other", "train", {"max_learning_rate": 0.005}),
        ("mine", "augment", {"rotation": 5}),
    ):
        project.git("checkout", "-q", "-b", branch, "main")
        project.change(section, **values)
        project.dvc("repro")
        project.git("commit", "-qam", f"Change {section}")
    code = documented.commands("docs/experiments.md", "Merge two branches")
    code = code.replace("make repro", "dvc repro")

    output = documented.run(project, code, tmp_path / "log", timeout=900)

    assert "CONFLICT" in output
    assert "train" in ran(output)
    parameters = yaml.safe_load(project.read("params.yaml"))
    assert parameters["train"]["max_learning_rate"] == 0.005
    assert parameters["augment"]["rotation"] == 5
    assert project.git("status", "--porcelain") == ""
    assert len(project.git("log", "-1", "--format=%p").split()) == 2, "a merge"
    assert project.changed() == set()
