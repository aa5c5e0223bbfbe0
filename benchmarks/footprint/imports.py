"""What it costs to import Eyrie, and to ask its command something."""

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.machine import ROOT

MOST_CPU_S: Final = 0.3
"""Of `import pipeline`, the start of the interpreter included."""
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "python": ("-c", "pass"),
    "import pipeline": ("-c", "import pipeline"),
    "from pipeline import Pipeline": ("-c", "from pipeline import Pipeline"),
    "eyrie --version": ("-c", "from pipeline.cli import main; main()", "--version"),
    "eyrie --help": ("-c", "from pipeline.cli import main; main()", "--help"),
}


def cpu_s(arguments: tuple[str, ...]) -> float:
    """CPU time of one Python process with its threads, user and system. Raises
    `CalledProcessError` where it fails."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime


def import_times(rounds: int) -> dict[str, float]:
    """Medians over rounds in which each of `COMMANDS` has its turn, after one that is not counted,
    seconds of CPU."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            taken[name].append(cpu_s(arguments))
    return {name: round(statistics.median(times[1:]), 3) for name, times in taken.items()}
