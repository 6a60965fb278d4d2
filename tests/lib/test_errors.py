"""How a command ends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba.core import serialize

from stages.lib import kernels
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


def test_ctrl_c_inside_a_kernel_is_130_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba goes through Python for what it returns, and makes an error of what comes there."""

    class Interrupted(dict[Any, Any]):
        def __getitem__(self, key: object) -> object:
            raise KeyboardInterrupt

    def main() -> None:
        kernels.forward(np.ones((2, 4, 4)), np.ones(1), np.zeros(1), 1e-5, True)

    main()
    monkeypatch.setattr(serialize, "_unpickled_memo", Interrupted())
    with pytest.raises(SystemError):
        main()
    with pytest.raises(SystemExit) as caught:
        exit_with(main)
    assert caught.value.code == 130


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_with(raising(ZeroDivisionError()))
    with pytest.raises(SystemError):
        exit_with(raising(SystemError()))
