"""What a process holds, read from outside: Linux tells it under /proc."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment. Megabytes of 10^6 bytes."""

    at_s: float
    """Since the run began."""
    rss_mb: float
    """Resident set: what it occupies of the memory."""
    anonymous_mb: float
    """Of this, what is no file: heap and stacks."""
    threads: int
    descriptors: int
    load: float
    """The machine's load average over a minute."""


def sample(pid: int, began_s: float) -> Sample:
    """Of a running process. `smaps_rollup` counts pages; the figures in `status` may lag."""
    proc = Path("/proc", str(pid))
    rollup = (proc / "smaps_rollup").read_text(encoding="ascii")
    return Sample(
        at_s=round(time.monotonic() - began_s, 1),
        rss_mb=_kb(rollup, "Rss") / 1000,
        anonymous_mb=_kb(rollup, "Anonymous") / 1000,
        threads=len(list((proc / "task").iterdir())),
        descriptors=len(list((proc / "fd").iterdir())),
        load=round(os.getloadavg()[0], 2),
    )


def _kb(rollup: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", rollup, re.MULTILINE)
    assert found is not None, rollup
    return int(found[1]) * 1.024
