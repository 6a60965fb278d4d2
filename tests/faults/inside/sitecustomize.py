"""Stops a process at an exact moment, from inside.

Python imports this file when it starts with this folder on PYTHONPATH. FAULT is JSON: at the
`count`-th time that `module` opens a file whose path matches `path`, for writing if `writes`, and
then `calls` calls of functions later, the process sends itself `signal`, which is SIGKILL unless
named.
"""

import json
import os
import re
import signal
import sys

FAULT = json.loads(os.environ.get("FAULT", "{}"))
left = {"count": FAULT.get("count", 0), "calls": FAULT.get("calls", 0)}


def on_event(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and re.search(FAULT["path"], str(arguments[0])):
        if FAULT.get("writes") and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left["count"] -= 1
        if left["count"] == 0:
            sys.setprofile(on_call)
            on_call()


def on_call(*_: object) -> None:
    left["calls"] -= 1
    if left["calls"] < 0:
        sys.setprofile(None)
        os.kill(os.getpid(), FAULT.get("signal", signal.SIGKILL))


if FAULT and FAULT["module"] in sys.orig_argv:
    sys.addaudithook(on_event)
