"""A process that is killed while it appends and acknowledges loses nothing that it was told is
stored."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sinks.spool.settings import SpoolSettings
from tests.sinks.spool.spooling import check_identity, messages, opened, read_all

SETTINGS = SpoolSettings(4 << 20)
PROGRAM = """
import sys
from pathlib import Path
from tests.sinks.spool.spooling import messages
from tests.sinks.spool.test_spool_kill import SETTINGS
from sinks.spool.spool import Spool

spool = Spool(Path(sys.argv[1]), SETTINGS, "kafka")
spool.open()
while True:
    last = spool.account()[0].last
    spool.append(messages(last + 1, 40, 500))
    read = spool.read(0, 30)
    spool.acknowledge(read[-1].number)
    print(last + 40, read[-1].number, flush=True)
"""
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stored = acknowledged = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(rng.randrange(20, 60)):
                stored, acknowledged = map(int, process.stdout.readline().split())
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                if line.endswith("\n"):  # the kill may cut the last one off: that was not told
                    stored, acknowledged = map(int, line.split())
        with opened(tmp_path, SETTINGS) as spool:
            account = spool.account()[0]
            assert account.last >= stored
            assert account.floor <= acknowledged + 30
            assert account.floor >= acknowledged
            found = read_all(spool)
            check_identity(spool.account()[0])
            assert [m.number for m in found] == list(range(account.floor + 1, account.last + 1))
            for message in found:
                assert message.message_id == f"{message.number:032x}"
            first = found[0].number
            given = messages((first - 1) // 40 * 40 + 1, 40, 500)
            assert found[0].body == given[(first - 1) % 40].body
            assert spool.account()[0].dropped.total() == 0
