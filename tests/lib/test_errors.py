"""How a command ends."""

from collections.abc import Callable

import pytest

from stages.lib.errors import UserError, exit_with


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def test_a_user_can_read_what_to_do() -> None:
    with pytest.raises(SystemExit, match="error: params.yaml: do this"):
        exit_with(raising(UserError("params.yaml: do this")))


def test_a_full_disk_is_no_traceback() -> None:
    with pytest.raises(SystemExit, match="error: .*No space left on device: 'models'"):
        exit_with(raising(OSError(28, "No space left on device", "models")))


def test_ctrl_c_is_130() -> None:
    with pytest.raises(SystemExit) as caught:
        exit_with(raising(KeyboardInterrupt()))
    assert caught.value.code == 130


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_with(raising(ZeroDivisionError()))
