"""A machine with cores, Python's locks and engines, and cameras whose frames pass through it.

Discrete events: every resource is a set of servers, every frame a fixed way through them.

    camera ─► cores: decode, fit ─► lock of its process ─► (record ─► lock of the main process)
           ─► engine: a batch ─► lock of the main process: suppression, tracker, message ─► told

A resource serves first come, first served; nothing is preempted. What is done under a lock is in
the times of the cores as well where the engine is on them, else it is one core a process at most.
Frames that have waited for the engine for longer than `LATE_S` are left out, as the pipeline does.
Times are fixed, not drawn, and the cameras' phases are random: so what is seen is what the sum of
costs does, and no tail of a single cost. Caches and memory bandwidth are not modelled.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

LATE_S: Final = 1.0
FPS: Final = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`engine_ms`: a batch of n takes `engine_ms[0] + n * engine_ms[1]`; on CPU engines, of which
    each takes a core while it works (`engine_on_cores`)."""

    cores: int
    workers: int
    engines: int
    engine_ms: tuple[float, float]
    batch: int
    engine_on_cores: bool
    decode_ms: float
    """CPU time of a frame up to the batch, without what is done under a lock."""
    decode_held_ms: float
    """Lock of the process that decodes."""
    receive_held_ms: float
    """Lock of the main process for a frame out of a worker."""
    processes: int = 1
    """Whole pipelines that share the streams, each with a main process, and the engines."""
    main_held_ms: float
    """Lock of the main process for everything behind the engine."""


@dataclass(slots=True)
class Load:
    """What came of it: `told` of `offered` frames, p50 and p99 from camera to message, and the
    share of time that each resource was busy."""

    offered: int
    told: int
    p50_ms: float
    p99_ms: float
    busy: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The resource that is busiest."""
        return max(self.busy, key=lambda name: self.busy[name])


@dataclass(slots=True)
class _Servers:
    """So many of a kind, and who waits for one."""

    count: int
    free: int = 0
    busy_s: float = 0.0
    waiting: "deque[tuple[float, Callable[[float], None]]]" = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.free = self.count


@dataclass(frozen=True, slots=True)
class _Frame:
    """Taken at `born_s`, by a camera of the process whose lock is `main`."""

    born_s: float
    main: _Servers


class Simulation:
    """One machine and `streams` cameras, for `seconds` of its time behind a second to fill up."""

    def __init__(self, machine: Machine, streams: int, seconds: float, seed: int = 0) -> None:
        self._machine, self._end_s = machine, seconds + 1
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._cores = _Servers(machine.cores)
        self._mains = [_Servers(1) for _ in range(machine.processes)]
        self._workers = [_Servers(1) for _ in range(machine.workers)]
        self._engines = _Servers(machine.engines)
        self._batching: deque[tuple[float, _Frame]] = deque()
        self._offered, self._ages_s = 0, list[float]()
        phases = random.Random(seed)
        for stream in range(streams):
            self._at(phases.random() / FPS, self._camera(stream))

    def run(self) -> Load:
        """All events."""
        while self._events and self._events[0][0] < self._end_s:
            now_s, _, event = heapq.heappop(self._events)
            event(now_s)
        ages = sorted(self._ages_s) or [self._end_s]  # where none came through, all is too late
        middle, last = ages[len(ages) // 2], ages[len(ages) * 99 // 100]
        return Load(
            self._offered,
            len(self._ages_s),
            round(1000 * middle, 2),
            round(1000 * last, 2),
            self._busy(),
        )

    def _busy(self) -> dict[str, float]:
        kinds = {"cores": [self._cores], "main lock": self._mains, "engines": [self._engines]}
        if self._workers:
            kinds["worker locks"] = self._workers
        return {
            name: round(
                sum(one.busy_s for one in servers)
                / (self._end_s * sum(one.count for one in servers)), 4)
            for name, servers in kinds.items()
        }  # fmt: skip

    def _at(self, time_s: float, event: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time_s, self._count, event))

    def _serve(self, servers: _Servers, work_ms: float, then: Callable[[float], None]) -> None:
        """Wait for a server, keep it for the work, go on."""
        servers.waiting.append((work_ms / 1000, then))

    def _start(self, servers: _Servers, now_s: float) -> None:
        while servers.free and servers.waiting:
            work_s, then = servers.waiting.popleft()
            servers.free -= 1
            servers.busy_s += max(0.0, min(work_s, self._end_s - now_s))

            def done(end_s: float, then: Callable[[float], None] = then) -> None:
                servers.free += 1
                then(end_s)
                self._start(servers, end_s)

            self._at(now_s + work_s, done)

    def _use(self, servers: _Servers, ms: float, now_s: float,
             then: Callable[[float], None]) -> None:  # fmt: skip
        self._serve(servers, ms, then)
        self._start(servers, now_s)

    def _camera(self, stream: int) -> Callable[[float], None]:
        machine, main = self._machine, self._mains[stream % len(self._mains)]
        worker = self._workers[stream % len(self._workers)] if self._workers else None

        def frame(now_s: float) -> None:
            self._at(now_s + 1 / FPS, frame)
            self._offered += now_s >= 1
            born = _Frame(now_s, main)
            self._use(self._cores, machine.decode_ms, now_s, partial(decoded, born))

        def decoded(born: _Frame, now_s: float) -> None:
            then = partial(self._offer, born) if worker is None else partial(sent, born)
            self._use(worker or main, machine.decode_held_ms, now_s, then)

        def sent(born: _Frame, now_s: float) -> None:
            self._use(main, machine.receive_held_ms, now_s, partial(self._offer, born))

        return frame

    def _offer(self, frame: _Frame, now_s: float) -> None:
        self._batching.append((now_s, frame))
        self._fill(now_s)

    def _fill(self, now_s: float) -> None:
        """A batch for every engine that is free."""
        machine = self._machine
        while self._engines.free and self._batching:
            batch: list[_Frame] = []
            while self._batching and len(batch) < machine.batch:
                offered_s, frame = self._batching.popleft()
                if now_s - offered_s <= LATE_S:
                    batch.append(frame)
            if batch:
                self._detect(now_s, batch)

    def _detect(self, now_s: float, batch: list[_Frame]) -> None:
        fixed_ms, each_ms = self._machine.engine_ms
        work_s = (fixed_ms + each_ms * len(batch)) / 1000
        self._engines.free -= 1

        def done(end_s: float) -> None:
            self._engines.free += 1
            for frame in batch:
                held_ms = self._machine.main_held_ms
                self._use(frame.main, held_ms, end_s, partial(self._tell, frame.born_s))
            self._fill(end_s)

        self._engines.busy_s += max(0.0, min(work_s, self._end_s - now_s))
        if self._machine.engine_on_cores:
            self._use(self._cores, 1000 * work_s, now_s, done)
        else:
            self._at(now_s + work_s, done)

    def _tell(self, born_s: float, now_s: float) -> None:
        if born_s >= 1:
            self._ages_s.append(now_s - born_s)
