"""Errors that a user can mend, and how a command ends on one."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Something outside the code is wrong; the message says what, where and what to do."""


def one_line(text: str, width: int = 200) -> str:
    """Words from outside, such as a server's or a file's, as a line that a terminal can show."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:width])
    return shown + "..." * (len(text) > width)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what it is about; compiled code may make it the cause of an error."""
    while isinstance(error, SystemError):
        error = error.__cause__
    return isinstance(error, KeyboardInterrupt)


def exit_with(main: Callable[[], None]) -> None:
    """Run `main`; end the process with a message instead of a traceback where a user can act.

    Exit codes: 1 for a UserError or an error of the operating system (a full disk, a missing
    file), 130 for Ctrl-C. A bug keeps its traceback.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except (KeyboardInterrupt, SystemError) as error:
        if not is_interrupt(error):
            raise
        print("interrupted", file=sys.stderr)
        sys.exit(130)
