"""Runs a command that stops itself at a point.

`python -m tests.faults.stop_at_point FOLDER POINT MODULE WORDS…` is `python -m MODULE WORDS…` with
SIGSTOP at that point (`tests.support.kill_points`); PYTHONPATH selects the code.
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
