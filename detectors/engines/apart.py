"""Rewriting a graph in a process of its own, so that the memory it takes goes away with it."""

import subprocess
import sys
from typing import Final

from pipeline.core.log import get_logger, one_line

log = get_logger(__name__)

_PROGRAM: Final = """\
import sys
sys.path[:] = sys.argv[3:]
from detectors.engines.rewrite import rewritten
takes_integers = sys.argv[1] == "integers"
size = tuple(map(int, sys.argv[2].split("x"))) if sys.argv[2] else None
made = rewritten(sys.stdin.buffer.read(), takes_integers=takes_integers, size=size)
sys.stdout.buffer.write(made)
"""
_WITHIN_S: Final = 120.0


def rewritten_apart(
    content: bytes, *, integer_input: bool = False, size: tuple[int, int] | None = None
) -> bytes | None:
    """What `detectors.engines.rewrite.rewritten` makes of the content of an ONNX file.

    The package onnx and the graphs that it holds meanwhile take 25 MB, for good if it is in this
    process. None: do it here, because onnx is loaded already, or because that process failed; then
    the same work here tells why. Blocks for about half a second.
    """
    if "onnx" in sys.modules or not sys.executable or getattr(sys, "frozen", False):
        return None
    # -P and -c: neither the working directory nor a user's main module gets in
    form = "integers" if integer_input else "floats"
    sides = "" if size is None else f"{size[0]}x{size[1]}"
    command = [sys.executable, "-P", "-c", _PROGRAM, form, sides, *sys.path]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        log.debug("rewriting in this process: %s", one_line(f"{error} {last}"))
        return None
    return done.stdout
