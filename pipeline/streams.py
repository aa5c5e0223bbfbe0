"""The streams of a run while it runs: started, stopped and changed one by one.

A stream that is changed becomes another `Stream` of the same id. The new one starts once every
frame of the old one is published or dropped, so that messages stay in order, and goes on with its
account: `seq` continues, in the next epoch. What others do is not touched.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal

from pipeline import build
from pipeline.compose import Composer
from pipeline.config import StreamConfig
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError, EyrieError
from pipeline.flow import Flow
from pipeline.member import Member
from pipeline.pixels import Pixels
from pipeline.stream import MakeSource, Stream, StreamRules
from pipeline.telemetry import StreamAccount
from pipeline.threads import Threads
from pipeline.workers.place import Workers
from stages.base import Looker
from stages.zones import Rules

State = Literal["running", "paused", "ended"]
MakeComposer = Callable[[StreamConfig, StreamAccount], Composer]
MakePixels = Callable[[StreamConfig], Pixels]
MakeLooker = Callable[[StreamConfig], Looker | None]
MakeRules = Callable[[StreamConfig], Rules]
PrepareComposer = Callable[[Composer, StreamConfig], None]
"""Gets the composer of a stream ready to go on with a configuration."""
_RULES = ("lines", "zones", "masks")
"""Keys of a stream that need no new source."""


class Streams:
    """The running set. Except for `put` before `start`, all is for the loop's thread; changes of
    one stream take turns. When nothing runs, is paused or is being changed, the flow is completed,
    unless `keep_running`.

    Changes raise `ConfigError` for an id that is unknown or in use, and `EyrieError` once the run
    is ending. They return when they are done; a stream that hangs is abandoned after 2 s.
    """

    def __init__(
        self,
        flow: Flow,
        threads: Threads,
        workers: Workers,
        make_composer: MakeComposer,
        clock: Clock,
        *,
        parallel_files: int,
        keep_running: bool,
        make_pixels: MakePixels,
        make_looker: MakeLooker,
        make_rules: MakeRules,
        prepare_composer: PrepareComposer,
    ) -> None:
        self._flow, self._threads, self._clock = flow, threads, clock
        self._workers = workers
        self._make_composer = make_composer
        self._make_pixels, self._make_looker = make_pixels, make_looker
        self._make_rules, self._prepare_composer = make_rules, prepare_composer
        self._keep_running = keep_running
        self._files = asyncio.Semaphore(parallel_files)
        self._members: dict[str, Member] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._group: asyncio.TaskGroup | None = None
        self._busy = 0
        self._ending = False
        self._cut = asyncio.Event()

    @property
    def labels(self) -> Sequence[str]:
        """What the run's detector knows."""
        return self._flow.labels

    @property
    def configs(self) -> dict[str, StreamConfig]:
        """By id, without those that were removed."""
        return {stream_id: member.config for stream_id, member in self._members.items()}

    @property
    def states(self) -> dict[str, State]:
        """By id, without those that were removed."""
        return {stream_id: _state(member) for stream_id, member in self._members.items()}

    def put(self, config: StreamConfig) -> None:
        """One more stream; it runs from `start` on, or at once."""
        self._launch(config, self._prepare_source(config))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run what is there, and what will be added, as tasks of the group."""
        self._group = group
        for member in self._members.values():
            member.run(group, self._files, self._check_over)
        self._check_over()

    async def add(self, config: StreamConfig) -> None:
        """Start one more. An id that was removed goes on with its account in a new epoch."""
        async with self._changing(config.id):
            if config.id in self._members:
                raise id_in_use(config.id)
            self.put(config)

    async def remove(self, stream_id: str) -> None:
        """Stop one for good: its frames are published, then its end is told."""
        async with self._changing(stream_id):
            member = self._member(stream_id)
            await member.halt()
            if not member.paused:
                await member.tell_down("removed", "removed from the run")
            await member.tell_end()
            del self._members[stream_id]

    async def pause(self, stream_id: str) -> None:
        """Close its connection until `resume`. Without effect on one that is paused."""
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
        """Connect again. Without effect on one that runs."""
        async with self._changing(stream_id):
            member = self._unended(stream_id)
            if member.paused:
                self._launch(member.config, member.make_source)

    async def restart(self, stream_id: str) -> None:
        """Begin one anew, also one that is paused or has ended."""
        async with self._changing(stream_id):
            member = self._member(stream_id)
            await self._replace(member, member.config, "restarted on request")

    async def reconfigure(self, config: StreamConfig) -> None:
        """Begin one anew with another configuration; with the same one, nothing happens. One that
        is paused stays so, and one that differs in its lines, zones and masks alone goes on."""
        async with self._changing(config.id):
            member = self._member(config.id)
            if config == member.config:
                return
            if member.paused:
                member.config = config
                member.make_source = self._prepare_source(config)
            elif _but_rules(config) == _but_rules(member.config):
                rules = self._make_rules(config)
                await asyncio.to_thread(self._flow.tell, StreamRules(config.id, rules))
                member.config = config
            else:
                await self._replace(member, config, "restarted with a changed configuration")

    async def finish(self) -> None:
        """Stop all; what is decoded is published. No change is possible any more."""
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
        """Nothing is published any more: stop all, drop what waits, let every change fail. Never
        blocks."""
        self._ending = True
        self._cut.set()
        for stream in self._flow.streams.values():
            stream.stop()
            stream.lane.abort()
        self._flow.complete()

    @contextlib.asynccontextmanager
    async def _changing(self, stream_id: str) -> AsyncIterator[None]:
        self._busy += 1
        try:
            async with self._turns[stream_id]:
                if self._ending or self._flow.completed:
                    raise _too_late(stream_id)
                yield
        finally:
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

    def _prepare_source(self, config: StreamConfig) -> MakeSource:
        """How to make its source, and what becomes of its pixels. For one that is there already,
        all its frames are settled."""
        flow, stream_id = self._flow, config.id
        if stream_id in flow.pixels:
            flow.pixels[stream_id].end()
        pixels, looker = self._make_pixels(config), self._make_looker(config)
        flow.pixels = {**flow.pixels, stream_id: pixels}
        others = {id_: one for id_, one in flow.lookers.items() if id_ != stream_id}
        flow.lookers = others if looker is None else {**others, stream_id: looker}
        make = build.source_maker(config, self._clock, pixels.ring)
        whole = looker is not None or pixels.wanted or bool(flow.picture_outlets)
        return self._workers.place(
            config, make, self._clock, whole=whole, packets=pixels.ring is not None
        )

    def _launch(self, config: StreamConfig, make_source: MakeSource) -> None:
        """A stream that follows the last one of its id, if there was one."""
        flow = self._flow
        last = flow.streams.get(config.id)
        pixels = flow.pixels[config.id]
        stream = Stream(
            config, make_source, flow.condition, flow.tell, follows=last, ring=pixels.ring
        )
        if last is None:
            composer = self._make_composer(config, stream.account)
            flow.composers = {**flow.composers, config.id: composer}
        else:
            composer = flow.composers[config.id]
            self._prepare_composer(composer, config)
        composer.refer = pixels.desk.refer if pixels.desk is not None else None
        flow.streams = {**flow.streams, config.id: stream}
        with flow.condition:
            flow.lanes.append(stream.lane)
            flow.condition.notify_all()
        member = Member(config, make_source, stream, composer, flow, self._threads, self._cut)
        self._members[config.id] = member
        if self._group is not None:
            member.run(self._group, self._files, self._check_over)

    async def _replace(self, member: Member, config: StreamConfig, reason: str) -> None:
        await member.halt()
        await self._still_open(member)
        if not member.paused:
            await member.tell_down("restarted", reason)
            await self._still_open(member)
        same = config == member.config
        make = member.make_source if same else self._prepare_source(config)
        self._launch(config, make)

    async def _still_open(self, member: Member) -> None:
        """Raises if the run has begun to end meanwhile; then so does the stream."""
        if self._ending or self._flow.completed:
            await member.tell_end()
            raise _too_late(member.config.id)


def id_in_use(stream_id: str) -> ConfigError:
    """For a stream that cannot be added."""
    return ConfigError(f"streams.{stream_id}", "there is a stream of this id already")


def _state(member: Member) -> State:
    if member.paused:
        return "paused"
    return "ended" if member.over else "running"


def _but_rules(config: StreamConfig) -> StreamConfig:
    return config.model_copy(update=dict.fromkeys(_RULES, ()))


def _too_late(stream_id: str) -> EyrieError:
    return EyrieError(f"stream {stream_id!r}: the run is ending, nothing can be changed any more")
