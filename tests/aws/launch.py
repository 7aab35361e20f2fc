"""Runs awslambdaric as Lambda does, in its own Python; `TEST_CLOCK` names a file that is its clock.

Only `time.time` is the tests': signatures take the real time, and waiting goes on.
"""

import os
import runpy
import struct
import sys
import time

clock = os.environ.pop("TEST_CLOCK", "")
if clock:
    handle = os.open(clock, os.O_RDONLY)
    time.time = lambda: float(struct.unpack("d", os.pread(handle, 8, 0))[0])
sys.path.insert(0, os.getcwd())  # noqa: PTH109  # nothing is imported that Lambda would not
runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
