"""The turn of threads that call NumPy dozens of times for one frame.

NumPy lets go of Python's lock in many calls, however short, and whoever waits for that lock takes
it: three threads that each do a frame's worth of such calls wake and stop each other dozens of
times a frame, which costs more than the calls. With a turn of their own, one does its frame
while the others sleep, or compute where Python's lock is not needed, as in an engine.
"""

import threading
from typing import Final

NUMPY_TURN: Final = threading.Lock()
"""Held, by `with`, from the first to the last of many short calls of NumPy for one frame: at most
a few milliseconds, in which nothing is waited for, neither a channel nor a disk nor an engine, and
this lock is not asked for again. One for the process, as Python's lock is."""
