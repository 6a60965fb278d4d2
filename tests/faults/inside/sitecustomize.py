"""Kills a stage at a chosen moment, from inside, where no other process can be as exact.

Python imports this file when it starts with this folder on PYTHONPATH. FAULT is JSON: at the
`count`-th time that `stage` opens a file called `name`, and then `calls` calls of functions
later, the process sends itself SIGKILL.
"""

import json
import os
import signal
import sys

FAULT = json.loads(os.environ.get("FAULT", "{}"))
left = {"count": FAULT.get("count", 0), "calls": FAULT.get("calls", 0)}


def on_event(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(f"/{FAULT['name']}"):
        left["count"] -= 1
        if left["count"] == 0:
            sys.setprofile(on_call)
            on_call()


def on_call(*_: object) -> None:
    left["calls"] -= 1
    if left["calls"] < 0:
        os.kill(os.getpid(), signal.SIGKILL)


if FAULT and f"stages.{FAULT['stage']}" in sys.orig_argv:
    sys.addaudithook(on_event)
