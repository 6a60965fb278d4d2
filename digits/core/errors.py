"""Errors that a user can fix, and how a command ends with one."""

import difflib
import re
import sys
from collections.abc import Callable, Iterable

SECRETS = re.compile(r"(?<=://)\S*(?=@)|(?<=\?)[^\s'\"]*=[^\s'\"]*")


class UserError(Exception):
    """Something outside the code is wrong; the message says what, where and what to do."""


def without_secrets(text: str) -> str:
    """The same with the credentials and the query of every address in it masked."""
    return SECRETS.sub("***", text)


def one_line(text: str, width: int = 200) -> str:
    """Text from outside, such as a server's or a file's, as one line that a terminal can show.

    Credentials in addresses are masked.
    """
    text = without_secrets(text)
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:width])
    return shown + "..." * (len(text) > width)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A hint, with a space behind it, if one of the words is close to a misspelt one."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def exit_with(main: Callable[[], None]) -> None:
    """Run `main`; where the user can act, end the process with a message, not a traceback.

    Exit codes: 1 for a UserError, an error of the operating system (a full disk, a missing file) or
    too little memory, 130 for Ctrl-C. A bug keeps its traceback.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):  # torch's
            raise
        sys.exit(f"error: not enough memory: {one_line(str(error)) or 'for what was to be read'}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
