"""How a command ends."""

from typing import Any, NoReturn

import numpy as np
import pytest
from numba.core import serialize

from digits.core.errors import UserError, exit_with
from digits.network import kernels


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


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemError()])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        end_with(error)


def test_ctrl_c_inside_a_kernel_is_130_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba unpacks what a kernel returns in Python, and wraps an interrupt in a SystemError."""

    class Interrupted(dict[Any, Any]):
        def __getitem__(self, key: object) -> object:
            raise KeyboardInterrupt

    def main() -> None:
        kernels.forward(np.ones((2, 4, 4)), np.ones(1), np.zeros(1), 1e-5, True)

    main()
    monkeypatch.setattr(serialize, "_unpickled_memo", Interrupted())
    with pytest.raises(SystemError):
        main()
    with pytest.raises(SystemExit, match="130"):
        exit_with(main)
