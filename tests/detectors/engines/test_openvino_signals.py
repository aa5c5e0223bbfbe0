"""OpenVINO leaves a process able to take a signal. Tried in a process that may end by it."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="needs the openvino extra")

_PROGRAM = """
import gc, os, signal, threading
from detectors.engines.openvino import OpenVinoEngine
from detectors.engines.options import EngineOptions
from detectors.yolo_nas.detector import resolve

# a shell that starts a suite behind itself has its children ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
path = resolve("yolo_nas_n_int8")
first = OpenVinoEngine(path, EngineOptions(threads=1))
second = OpenVinoEngine(path, EngineOptions(threads=1))
first.close()
del first
gc.collect()
second.close()
del second
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(10)  # another thread may have been given the signal first
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupt_after_engines_went_in_the_order_they_came() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
