"""`python -m tests.faults.armed FOLDER POINT MODULE WORDS…`: a command that stops at a point.

It is `python -m MODULE WORDS…` in a new interpreter, of whatever code PYTHONPATH names first.
"""

import runpy
import signal
import sys
from pathlib import Path

from tests.support import kill_points

if __name__ == "__main__":
    _, folder, point, *command = sys.argv
    kill_points.arm(Path(folder), int(point), by=signal.SIGSTOP)
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
