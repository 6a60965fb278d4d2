"""Kills a whole process group at a write, from inside one of its processes.

Python imports this file when it starts with this folder on PYTHONPATH. WRITES is JSON: writes below
`folder` count, Python's bytecode aside; `died` is a file with a line for each place where a group
has died already, which is passed over; `passed` is a file that grows by a line at each of the first
`skip` other places. At the next one the group gets SIGKILL: before the write, or in the midst of
it, some calls after a file was opened.
"""

import json
import os
import random
import re
import signal
import sys
from collections import Counter

WRITES = json.loads(os.environ.get("WRITES", "{}"))
TARGETS = {  # which argument of an event is what is written
    "open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1,
    "os.symlink": 1, "os.truncate": 0, "os.chmod": 0,
}  # fmt: skip
MADE_UP = re.compile(r"\.[\w-]{20,}(?=\.tmp)|[0-9a-f]{6,}|(?<=/)[0-9a-f]{2}(?=/|$)|tmp\w+")
MANY = 3  # a file that is written so often is written in the same way from then on
count = Counter()
state = {"busy": False, "calls": 0}


def on_event(event, arguments):
    if event not in TARGETS or state["busy"]:
        return
    state["busy"] = True
    try:
        at(event, arguments)
    finally:
        state["busy"] = False


def at(event, arguments):
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    path = arguments[TARGETS[event]]
    if not isinstance(path, str | os.PathLike):
        return
    path = os.path.abspath(path)
    if not path.startswith(WRITES["folder"]) or "__pycache__" in path:
        return
    name = MADE_UP.sub("*", path.removeprefix(WRITES["folder"]))
    program = next((a for a in sys.orig_argv if re.match(r"dvc|stages\.|tools\.", a)), "python")
    count[event, name] += 1
    place = f"{program} {event} {name} {min(count[event, name], MANY)}"
    with open(WRITES["died"], "a+") as file:
        file.seek(0)
        if place in file.read().splitlines():
            return
    with open(WRITES["passed"], "a+") as file:
        file.seek(0)
        if len(file.readlines()) < WRITES["skip"]:
            file.write(f"{place}\n")
            return
    with open(WRITES["died"], "a") as file:
        file.write(f"{place}\n")
    state["calls"] = random.Random(place).choice([0, 1, 2, 10]) if event == "open" else 0
    sys.setprofile(on_call)
    on_call()


def on_call(*_):
    state["calls"] -= 1
    if state["calls"] < 0:
        os.killpg(0, signal.SIGKILL)


if WRITES:
    sys.addaudithook(on_event)
