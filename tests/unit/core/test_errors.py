"""How a command ends."""

from typing import NoReturn

import numpy as np
import pytest
import torch

from digits.core.errors import UserError, exit_with


def end_with(error: BaseException) -> object:
    """The exit code or the message of a command that raises the error."""

    def main() -> NoReturn:
        raise error

    with pytest.raises(SystemExit) as caught:
        exit_with(main)
    return caught.value.code


def test_what_a_user_can_fix_is_a_message_and_ctrl_c_is_130() -> None:
    assert end_with(UserError("params.yaml: do this")) == "error: params.yaml: do this"
    full = end_with(OSError(28, "No space left on device", "models"))
    assert full == "error: [Errno 28] No space left on device: 'models'"
    assert end_with(KeyboardInterrupt()) == 130


def test_too_little_memory_is_a_message() -> None:
    for ask in (lambda: torch.empty(2**50), lambda: np.empty(2**56), lambda: bytes(2**50)):
        with pytest.raises(SystemExit, match="^error: not enough memory: "):
            exit_with(ask)


@pytest.mark.parametrize("bug", [ZeroDivisionError(), RuntimeError("mat1 and mat2 shapes")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        end_with(bug)
