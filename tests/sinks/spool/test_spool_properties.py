"""Any interleaving of what can happen to a spool keeps the account and the order."""

import json
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sinks.base import Outgoing
from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.replay import replay
from sinks.spool.settings import LEAST_BYTES, SpoolSettings, WhenSpoolFull
from sinks.spool.spool import Spool
from tests.sinks.spool.spooling import check_identity, messages, opened, read_all


class Spooling(RuleBasedStateMachine):
    """A spool, the model of what it holds, and a receiver."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.lives = 0
        self.given: dict[int, bytes] = {}
        self.settled: set[int] = set()
        """Numbers that were delivered and acknowledged, or refused."""
        self.lost = 0
        """Dropped in the lives before this one."""
        self.offered = 0
        self.ids: dict[int, str] = {}
        """Of every message that was given a number; one that is replayed gets another one."""
        self.arrived: set[str] = set()
        """Ids of those that were acknowledged."""
        self.read: list[Outgoing] = []
        """Delivered and not acknowledged yet."""

    @initialize(when_full=st.sampled_from(["block", "drop_oldest", "drop_newest"]))
    def begin(self, when_full: WhenSpoolFull) -> None:
        self.settings = SpoolSettings(LEAST_BYTES, when_full, "never")
        self.spool = self.start(self.root / "0")

    def start(self, folder: Path) -> Spool:
        spool = Spool(folder, self.settings, "kafka")
        spool.open()
        self.read = []
        return spool

    @rule(count=st.integers(1, 60), size_bytes=st.sampled_from([0, 300, 5000, 20_000]))
    def append(self, count: int, size_bytes: int) -> None:
        account = self.spool.account()[0]
        turned_away = account.dropped["spool_full"] if self.newest else 0
        before = account.last
        taken = self.spool.append(messages(self.offered, count, size_bytes))
        account = self.spool.account()[0]
        if self.newest:
            assert taken == count
            turned_away = account.dropped["spool_full"] - turned_away
        stored = messages(self.offered, count, size_bytes)[: account.last - before]
        assert len(stored) == taken - turned_away
        for number, message in enumerate(stored, before + 1):
            self.given[number], self.ids[number] = message.body, message.message_id
        self.offered += count

    @property
    def newest(self) -> bool:
        return self.settings.when_full == "drop_newest"

    @rule(limit=st.integers(1, 100))
    def deliver(self, limit: int) -> None:
        """The sink takes what comes next; whether it is confirmed, another rule decides."""
        after = self.read[-1].number if self.read else 0
        for message in self.spool.read(after, limit):
            assert message.number > after
            assert message.body == self.given[message.number]
            assert message.number not in self.settled or self.lives
            after = message.number
            self.read.append(message)

    @precondition(lambda self: self.read)
    @rule()
    def acknowledge(self) -> None:
        self.spool.acknowledge(self.read[-1].number)
        self.settled |= {message.number for message in self.read}
        self.arrived |= {message.message_id for message in self.read}
        self.read = []

    @rule()
    def fail(self) -> None:
        """The receiver is away: what it was given is to come again."""
        self.read = []

    @precondition(lambda self: self.read)
    @rule(seed=st.randoms(use_true_random=False))
    def refuse(self, seed: random.Random) -> None:
        refused = seed.sample(self.read, min(3, len(self.read)))
        self.spool.dead_letter(refused, "too large")
        self.settled |= {message.number for message in refused}
        self.read = [message for message in self.read if message not in refused]

    @rule(is_killed=st.booleans())
    def replay(self, is_killed: bool) -> None:
        """Between two runs; a kill right before its end leaves the dead letters where they were."""
        self.lost += self.spool.account()[0].dropped.total()
        self.spool.close()
        letters = self.spool.folder / FILE_NAME
        before = letters.read_bytes() if letters.exists() else b""
        by_hand = SpoolSettings(LEAST_BYTES, "block", "always")
        with opened(self.spool.folder, by_hand) as spool:
            last = spool.account()[0].last
            done = replay(spool)
            account = spool.account()[0]
            check_identity(account)
            assert account.last - last == done.moved == before.count(b"\n") - done.no_room
            for message in read_all(spool, last):
                self.given[message.number] = message.body
                self.ids[message.number] = message.message_id
            assert len(self.given) == account.last
            self.lost += spool.account()[0].dropped.total()
        if is_killed:
            letters.write_bytes(before)
        self.lives += 1
        self.spool = self.start(self.spool.folder)

    @rule()
    def restart(self) -> None:
        self.bear(self.spool.folder)

    @rule()
    def crash(self) -> None:
        """What a killed process leaves is what its files hold at that moment."""
        self.bear(self.copied())

    @rule(places=st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), max_size=2))
    def damage(self, places: list[tuple[float, float]]) -> None:
        """A crash, and a few bytes that are not what they were."""
        folder = self.copied()
        files = sorted(folder.glob("*.sqlite"))
        for which, where in places if files else ():
            path = files[int(which * len(files))]
            data = bytearray(path.read_bytes())
            data[int(where * len(data))] ^= 0xFF
            path.write_bytes(data)
        self.bear(folder)

    def copied(self) -> Path:
        folder = self.root / str(self.lives + 1)
        shutil.copytree(self.spool.folder, folder)
        return folder

    def bear(self, folder: Path) -> None:
        last = self.spool.account()[0].last
        self.lost += self.spool.account()[0].dropped.total()
        self.spool.close()
        if folder != self.spool.folder:
            shutil.rmtree(self.spool.folder)
        self.lives += 1
        self.spool = self.start(folder)
        account = self.spool.account()[0]
        assert account.last == last
        assert account.found == account.produced == account.last - account.floor

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "spool"):
            return
        account = self.spool.account()[0]
        check_identity(account)
        assert self.spool.bytes <= LEAST_BYTES

    def teardown(self) -> None:
        """What was stored is delivered, refused, still there or counted as dropped."""
        if not hasattr(self, "spool"):
            return
        there = read_all(self.spool)
        lost = self.lost + self.spool.account()[0].dropped.total()
        missing = set(self.given) - self.settled - {message.number for message in there}
        assert len(missing) <= lost
        letters = self.spool.folder / FILE_NAME
        dead = letters.read_bytes().splitlines() if letters.exists() else []
        known = self.arrived | {json.loads(line)["message_id"] for line in dead}
        known |= {message.message_id for message in there}
        assert len(set(self.ids.values()) - known) <= lost
        check_identity(self.spool.account()[0])
        self.spool.close()
        shutil.rmtree(self.root)


Spooling.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestSpooling = Spooling.TestCase
