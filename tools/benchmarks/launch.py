"""Run a command, then print its seconds and its peak memory in MB: `... .launch COMMAND`.

Linux counts the memory of the process that starts a command as the command's, so that has to be a
small one.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    begun = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss
    print(json.dumps([time.perf_counter() - begun, usage.ru_maxrss / unit]))
    sys.exit(process.returncode)
