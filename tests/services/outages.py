"""A broker and a producer that are stopped and killed under load, and what is left afterwards."""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.chaos_load import Request
from pipeline.cli.verify import as_dict
from sinks.consume.address import parse_address
from sinks.consume.base import Reading
from sinks.consume.open_reader import make_reader
from sinks.consume.proof import Asked, Proof
from tests.services.servers import Server

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0


@dataclass(slots=True)
class Load:
    """Runs of `benchmarks.chaos_load`, one after the other, over one spool. Leaving `with` kills
    the one that still runs."""

    folder: Path
    sink: dict[str, Any]
    streams: int = 4
    rate_hz: float = 500.0
    runs: list[str] = field(default_factory=list)
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """A new run."""
        run_id = f"run-{len(self.runs)}"
        place = self.folder / run_id
        place.mkdir(parents=True)
        self.runs.append(run_id)
        spool = str(self.folder / "spool")
        request = Request(run_id, self.sink, spool, str(place), self.streams, self.rate_hz)
        path = place / "request.json"
        path.write_text(json.dumps(asdict(request)))
        with (place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.chaos_load", str(path)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def finish(self, timeout_s: float = LIMIT_S) -> None:
        """End the streams, deliver. Raises AssertionError with its output when it fails."""
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            code = -9
        assert code == 0, (self.folder / self.runs[-1] / "log").read_text()

    def account(self) -> dict[str, Any]:
        """The outlet's report, at most 0.2 s old; empty before the first."""
        path = self.folder / self.runs[-1] / "status"
        if not path.exists():
            return {}
        account: dict[str, Any] = json.loads(path.read_text())
        return account

    def wait(self, what: str, check: Callable[[dict[str, Any]], bool]) -> None:
        """Until the account is as it should be. Raises AssertionError when for `LIMIT_S` nothing
        more was acknowledged."""
        assert self._process is not None
        deadline_s, known = time.monotonic() + LIMIT_S, 0
        while not check(account := self.account()):
            if account.get("acknowledged", 0) > known:
                deadline_s, known = time.monotonic() + LIMIT_S, account["acknowledged"]
            running = self._process.poll() is None and time.monotonic() < deadline_s
            log = (self.folder / self.runs[-1] / "log").read_text()[-2000:]
            assert running, f"not {what}: {account}\n{log}"
            time.sleep(0.1)

    def offered(self, run_id: str) -> list[int]:
        """Frames decoded by each stream of a run, as far as they were offered to the outlet."""
        packed = (self.folder / run_id / "offered").read_bytes()
        return [number for (number,) in struct.iter_unpack("<q", packed)]


def survive(load: Load, broker: Server, outage_s: float, restart: Callable[[], None]) -> float:
    """Load under everything that may happen: the broker stopped for `outage_s`, the producer killed
    in the middle of that and started again; once all is delivered, the producer killed while the
    broker is there, and the broker restarted. Returns the seconds from the end of the outage until
    the backlog was gone."""
    load.start()
    load.wait("delivering", lambda account: account.get("acknowledged", 0) > load.rate_hz)
    broker.stop()
    time.sleep(outage_s / 2)
    load.kill()
    load.start()
    load.wait("spooling", lambda account: account.get("produced", 0) > 0)
    time.sleep(outage_s / 2)
    broker.start()
    back_s = time.monotonic()
    load.wait("delivered", lambda account: account.get("spooled", 1e9) < load.rate_hz)
    caught_up_s = time.monotonic() - back_s
    load.kill()
    load.start()
    load.wait("delivering", lambda account: account.get("acknowledged", 0) > load.rate_hz)
    restart()
    before = load.account()["acknowledged"]
    load.wait("going on", lambda account: account["acknowledged"] > before + load.rate_hz)
    load.finish()
    return caught_up_s


def judge(load: Load, url: str) -> dict[str, Any]:
    """What the broker holds, against what was offered."""
    proof = Proof(Asked())
    reader = make_reader(parse_address(url), Reading(follow=False))
    reader.open()
    try:
        while not reader.exhausted:
            proof.take(reader.read(1.0))
    finally:
        reader.close()
    found = proof.streams.values()
    holes = [hole for stream in found for hole in stream.holes(False)]
    lost = sum(hole.last_seq - hole.first_seq + 1 for hole in holes)
    decoded = sum(sum(load.offered(run)) for run in load.runs)
    told = sum(stream.known.total for stream in found)
    return {
        "complete": proof.complete,
        "runs": len(load.runs),
        "ended": sum(stream.is_ended for stream in found),
        "frames_decoded": decoded,
        "frames_told": told,
        "messages_delivered": sum(stream.kinds.total() for stream in found),
        "duplicates": sum(stream.duplicates for stream in found),
        "same_id_other_content": sum(stream.conflicts for stream in found),
        "frames_lost": lost,
        "order_violations": sum(stream.disorder for stream in found),
        "frames_in_memory_at_kills": decoded - told - lost,
        "account": load.account(),
        "wrong": [] if proof.complete else [as_dict(proof)],
    }
