"""CPU time of running processes, read from outside; Linux tells it under /proc."""

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid: int) -> float:
    """Of a process, its children that run, and those that it has waited for: user and system."""
    return sum(_cpu_s(one) for one in family(pid))


def machine_cpu_s() -> tuple[float, float]:
    """Of the whole machine since it started: (busy, idle). What a hypervisor took is neither."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    user, nice, system, idle, waiting, hard, soft, _ = (
        int(ticks) / _TICKS_PER_S for ticks in fields
    )
    return user + nice + system + hard + soft, idle + waiting


def family(pid: int) -> list[int]:
    """The process and all below it that are there still."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text(encoding="ascii").split()
            found += [one for child in children for one in family(int(child))]
    except OSError:
        return found
    return found


def _cpu_s(pid: int) -> float:
    """proc(5): utime, stime, cutime and cstime are the fields 14 to 17."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S
