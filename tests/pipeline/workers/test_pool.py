"""The worker processes of a run: who takes the place of one that dies."""

import os
import signal
import time

from pipeline.workers.pool import Pool


def test_a_worker_that_dies_is_replaced_at_its_place() -> None:
    """So those that detect for it are not another's."""
    pool = Pool(3)
    before = [pool.nth(number) for number in range(3)]
    deadline_s = time.monotonic() + 30
    while (pid := before[0].pid) is None:
        assert time.monotonic() < deadline_s
    os.kill(pid, signal.SIGKILL)
    while before[0].alive:
        assert time.monotonic() < deadline_s
    after = [pool.nth(number) for number in range(3)]
    assert after[1:] == before[1:]
    assert after[0] not in before
    assert [pool.nth(number) for number in range(3, 6)] == after
    pool.close()
