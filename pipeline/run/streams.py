"""The streams of a run while it runs: started, stopped and changed one by one.

A stream that is changed becomes another `Stream` of the same id. The new one starts once every
frame of the old one is published or dropped, so that messages stay in order, and goes on with its
account: `seq` continues, in the next epoch. What others do is not touched.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.config import StreamConfig
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError, EyrieError
from pipeline.run.flow import Flow
from pipeline.run.member import Member
from pipeline.run.parts import PartsMaker, StreamParts
from pipeline.run.route import Route
from pipeline.run.threads import Threads
from pipeline.stream.changes import StreamRules
from pipeline.stream.stream import Past, Stream

State = Literal["running", "paused", "ended"]
_RULES = ("lines", "zones", "masks")
"""The keys of a stream that need no new source."""


@dataclass(slots=True)
class _Turn:
    """The changes of one stream that are under way or wait: one at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changes: int = 0


class Streams:
    """The running set of streams. Except for `put` before `start`, all is for the loop's thread;
    changes of one stream take turns. When nothing runs, is paused or is being changed, the flow is
    completed, unless `keep_running`.

    Changes raise `ConfigError` for an id that is unknown or in use, and `EyrieError` once the run
    is ending. They return when they are done; a stream that hangs is abandoned after 2 s.
    """

    def __init__(
        self,
        flow: Flow,
        threads: Threads,
        maker: PartsMaker,
        clock: Clock,
        *,
        parallel_files: int,
        keep_running: bool,
    ) -> None:
        self._flow, self._threads, self._maker, self._clock = flow, threads, maker, clock
        self._keep_running = keep_running
        self._files = asyncio.Semaphore(parallel_files)
        self._members: dict[str, Member] = {}
        self._past: dict[str, Past] = {}
        """The pasts of the streams that were removed, by id."""
        self._turns: dict[str, _Turn] = {}
        """The changes of streams by id, for those that are being changed."""
        self._group: asyncio.TaskGroup | None = None
        self._busy = 0
        self._ending = False
        self._cut = asyncio.Event()

    @property
    def labels(self) -> Sequence[str]:
        """The labels that the run's detector knows."""
        return self._flow.labels

    @property
    def configs(self) -> dict[str, StreamConfig]:
        """The configuration of each stream by id, without those that were removed."""
        return {stream_id: member.config for stream_id, member in self._members.items()}

    @property
    def states(self) -> dict[str, State]:
        """The state of each stream by id, without those that were removed."""
        return {stream_id: _state(member) for stream_id, member in self._members.items()}

    def put(self, config: StreamConfig) -> None:
        """Put in one more stream; it runs from `start` on, or at once."""
        self._launch(config, self._maker.parts(config))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run the streams that are there, and those that will be added, as tasks of the group."""
        self._group = group
        for member in self._members.values():
            member.run(group, self._files, self._check_over)
        self._check_over()

    async def add(self, config: StreamConfig) -> None:
        """Start one more stream. An id that was removed goes on with its account in a new epoch."""
        async with self._changing(config.id):
            if config.id in self._members:
                raise id_in_use(config.id)
            self.put(config)

    async def remove(self, stream_id: str) -> None:
        """Stop a stream for good: its frames are published, then its end is told."""
        async with self._changing(stream_id):
            member = self._member(stream_id)
            await member.halt()
            if not member.paused:
                await member.tell_down("removed", "removed from the run")
            await member.tell_end()
            del self._members[stream_id]
            if member.has_ended:  # not so where the run was cut meanwhile
                self._past[stream_id] = member.stream.past
                self._flow.leave(stream_id)

    async def pause(self, stream_id: str) -> None:
        """Close a stream's connection until `resume`. Without effect on one that is paused."""
        async with self._changing(stream_id):
            member = self._unended(stream_id)
            if member.paused:
                return
            await member.halt()
            await self._still_open(member)
            self._unended(stream_id)
            await member.tell_down("paused", "paused on request")
            member.paused = True
            await self._still_open(member)

    async def resume(self, stream_id: str) -> None:
        """Connect a paused stream again. Without effect on one that runs."""
        async with self._changing(stream_id):
            member = self._unended(stream_id)
            if member.paused:
                self._launch(member.config, member.parts)

    async def restart(self, stream_id: str) -> None:
        """Begin a stream anew, also one that is paused or has ended."""
        async with self._changing(stream_id):
            member = self._member(stream_id)
            await self._replace(member, member.config, member.parts, "restarted on request")

    async def reconfigure(self, config: StreamConfig) -> None:
        """Begin a stream anew with another configuration; with the same one, nothing happens. One
        that is paused stays so, and one that differs in its lines, zones and masks alone goes
        on."""
        async with self._changing(config.id):
            member = self._member(config.id)
            if config == member.config:
                return
            if member.paused:
                member.config, member.parts = config, self._maker.parts(config)
            elif _but_rules(config) == _but_rules(member.config):
                rules = self._maker.rules(config)
                await asyncio.to_thread(self._flow.tell, StreamRules(config.id, rules))
                member.config, member.parts = config, replace(member.parts, rules=rules)
            else:
                parts = self._maker.parts(config)
                why = "restarted with a changed configuration"
                await self._replace(member, config, parts, why)

    async def finish(self) -> None:
        """Stop all streams; what is decoded is published. No change is possible any more."""
        self._ending = True
        self._busy += 1
        self._flow.stop()
        members = list(self._members.values())
        for member in members:
            if member.paused:
                await member.tell_end()
        await asyncio.gather(*(member.outlast() for member in members))
        self._done()

    def cut(self) -> None:
        """Stop all streams, drop what waits, and let every change fail: nothing is published any
        more. Never blocks."""
        self._ending = True
        self._cut.set()
        self._flow.cut()

    @contextlib.asynccontextmanager
    async def _changing(self, stream_id: str) -> AsyncIterator[None]:
        self._busy += 1
        turn = self._turns.setdefault(stream_id, _Turn())
        turn.changes += 1
        try:
            async with turn.lock:
                if self._ending or self._flow.is_completed:
                    raise _too_late(stream_id)
                yield
        finally:
            turn.changes -= 1
            if not turn.changes:
                del self._turns[stream_id]
            self._done()

    def _done(self) -> None:
        self._busy -= 1
        self._check_over()

    def _check_over(self, _: object = None) -> None:
        members = self._members.values()
        awaited = self._keep_running or any(member.paused for member in members)
        if self._busy or any(m.active for m in members) or (awaited and not self._ending):
            return
        self._flow.complete()

    def _member(self, stream_id: str) -> Member:
        if stream_id not in self._members:
            there = ", ".join(self._members) or "none"
            raise ConfigError(f"streams.{stream_id}", f"no such stream; there are: {there}")
        return self._members[stream_id]

    def _unended(self, stream_id: str) -> Member:
        member = self._member(stream_id)
        if member.over:
            raise ConfigError(f"streams.{stream_id}", "the stream has ended; it can be restarted")
        return member

    def _launch(self, config: StreamConfig, parts: StreamParts) -> None:
        """Start a stream that follows the last one of its id, if there was one."""
        flow, last = self._flow, self._members.get(config.id)
        past = last.stream.past if last is not None else self._past.pop(config.id, None)
        stream = Stream(
            config, parts.make_source, flow.condition, flow.tell,
            follows=past, clock=self._clock, ring=parts.pixels.ring,
        )  # fmt: skip
        composer = flow.routes.composers.get(config.id)
        if composer is None:
            composer = self._maker.composer(config, parts, stream.account)
        else:
            composer.go_on(parts.rules, parts.plane, beats=config.endless)
        recorder = parts.pixels.recorder
        composer.refer = recorder.refer if recorder is not None else None
        route = Route(stream, composer, parts.pixels, parts.looker)
        flow.enter(route)
        member = Member(config, parts, route, flow, self._threads, self._cut)
        self._members[config.id] = member
        if self._group is not None:
            member.run(self._group, self._files, self._check_over)

    async def _replace(
        self, member: Member, config: StreamConfig, parts: StreamParts, reason: str
    ) -> None:
        await member.halt()
        await self._still_open(member)
        if not member.paused:
            await member.tell_down("restarted", reason)
            await self._still_open(member)
        self._launch(config, parts)

    async def _still_open(self, member: Member) -> None:
        """Raise `EyrieError`, and end the stream, if the run has begun to end meanwhile."""
        if self._ending or self._flow.is_completed:
            await member.tell_end()
            raise _too_late(member.config.id)


def id_in_use(stream_id: str) -> ConfigError:
    """The error for a stream whose id is in use."""
    return ConfigError(f"streams.{stream_id}", "there is a stream of this id already")


def _state(member: Member) -> State:
    if member.paused:
        return "paused"
    return "ended" if member.over else "running"


def _but_rules(config: StreamConfig) -> StreamConfig:
    return config.model_copy(update=dict.fromkeys(_RULES, ()))


def _too_late(stream_id: str) -> EyrieError:
    return EyrieError(f"stream {stream_id!r}: the run is ending, nothing can be changed any more")
