"""How many heaps glibc makes: one where it was asked for, and in a run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
THREADS = """
import ctypes, threading

def work():
    for _ in range(50):
        blocks = [bytearray(60_000) for _ in range(20)]
        barrier.wait()

barrier = threading.Barrier(8)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
SHARED = "from pipeline.memory import share_one_heap\nshare_one_heap()\n"
RUN = """
import ctypes
from pipeline.cli.run import run_pipeline
from pipeline.config.file import parse_config

street = {"kind": "street", "width": 320, "height": 192, "seconds": 0.5, "fps": 6}
streams = [{"id": name, "source": street} for name in ("gate", "yard")]
sinks = [{"kind": "jsonl", "path": "OUT/{stream_id}.jsonl"}]
assert run_pipeline(parse_config({"streams": streams, "sinks": sinks}), quiet=True) == 0
"""
COUNT = """
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""

pytestmark = pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in os.confstr_names,
    reason="the C library is not glibc",
)


def heaps(code: str, **environment: str) -> int:
    """That glibc has made by the end of a process that runs it."""
    inherited = {name: v for name, v in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", code + COUNT], cwd=ROOT, env=inherited | environment,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return len(re.findall(r"<heap nr=", done.stdout))


def test_threads_make_many_heaps_unless_they_share_one() -> None:
    assert heaps(THREADS) > 1
    assert heaps(SHARED + THREADS) == 1


def test_what_the_environment_says_counts_more() -> None:
    assert heaps(SHARED + THREADS, MALLOC_ARENA_MAX="8") > 1


def test_a_run_has_one_heap(tmp_path: Path) -> None:
    assert heaps(RUN.replace("OUT", str(tmp_path))) == 1
