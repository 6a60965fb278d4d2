"""Errors that a user can fix, and how a command ends with one."""

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something outside the code is wrong; the message says what, where and what to do."""


def one_line(text: str, width: int = 200) -> str:
    """Text from outside, such as a server's or a file's, as one line that a terminal can show."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:width])
    return shown + "..." * (len(text) > width)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A hint, with a space behind it, if one of the words is close to a misspelt one."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def exit_with(main: Callable[[], None]) -> None:
    """Run `main`; where the user can act, end the process with a message, not a traceback.

    Exit codes: 1 for a UserError or an error of the operating system (a full disk, a missing
    file), 130 for Ctrl-C. A bug keeps its traceback.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
