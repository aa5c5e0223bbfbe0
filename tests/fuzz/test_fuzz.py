"""Damaged bit streams: the first 500 of the cases that `make fuzz` runs."""

import random
import signal
from pathlib import Path

import pytest

from tests.fuzz.corpus import KINDS, clips
from tests.fuzz.crew import run
from tests.fuzz.mutate import make
from tests.fuzz.worker import DIE, decode

CASES = 500
COVERING = 48
"""Six kinds of clips times eight faults."""


def test_no_case_crashes_hangs_or_is_miscounted() -> None:
    findings = run(range(CASES))
    assert findings.faults == []
    assert findings.cases == CASES
    assert findings.whole + findings.damaged + findings.refused == CASES
    assert findings.damage > 100
    assert findings.refused > 50
    assert findings.damaged > 25
    assert findings.frames > CASES


def test_a_case_is_made_again_by_its_number() -> None:
    whole = clips()
    random.seed(1)
    once = [make(number, whole) for number in range(COVERING)]
    random.seed(2)
    anew = clips()
    again = [make(number, anew) for number in range(COVERING)]
    assert once == again
    faults = {tuple(case.name.split(":")[1:]) for case in once}
    assert len(faults) == COVERING
    assert {kind for kind, _ in faults} == set(KINDS)


def test_damage_is_done() -> None:
    whole = clips()
    cases = [make(number, whole) for number in range(COVERING)]
    assert sum(case.body not in whole.values() for case in cases) >= COVERING - 2


def test_a_hang_is_told_with_its_case() -> None:
    findings = run(range(2), workers=1, deadline_s=1e-3)
    assert [fault.split(": ")[:2] for fault in findings.faults] == [
        ["0:h264:flip", "hang"],
        ["1:h264.mp4:flip", "hang"],
    ]


def test_a_crash_is_told_with_its_case_and_the_others_go_on() -> None:
    """A worker that is given `DIE` ends as one whose native code crashed."""
    findings = run([0, DIE, 1], workers=1)
    assert findings.cases == 3
    (fault,) = findings.faults
    assert fault.endswith(f"crash: the process ended with {-signal.SIGSEGV}")


@pytest.mark.parametrize("number", [50, 514])
def test_what_was_found_stays_fixed(number: int, tmp_path: Path) -> None:
    """50: a transport stream that begins another stream later; 514: metadata that is no UTF-8."""
    assert decode(make(number, clips()), tmp_path)["fault"] is None
