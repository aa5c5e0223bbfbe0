"""Changes of streams while others run: the part of `Pipeline` that its callers use for it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from pipeline.build.rules import check_classes
from pipeline.build.sources import require_devices
from pipeline.build.streams import expand_streams
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger
from pipeline.run.streams import State, Streams, id_in_use

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """The outcome of a reload: ids of streams, and the keys outside `streams` that differ but need
    a new run."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [("added", self.added), ("removed", self.removed), ("changed", self.changed)]
        said = [f"{what} {', '.join(ids)}" for what, ids in parts if ids]
        return "; ".join(said) or "no stream has changed"


class Changeable(ABC):
    """Changes of streams while others run, which lose no frame and keep their tracks.

    All come from the loop's thread, never block it, return when the change is done, and go on if
    their caller is cancelled. They raise `ConfigError` for an id that is unknown or in use and for
    a configuration that cannot be, with nothing changed, and `EyrieError` once the run is ending.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self._reloading = asyncio.Lock()
        self._changing: set[asyncio.Task[None]] = set()

    @abstractmethod
    def _running(self) -> Streams:
        """The running set of streams. Raises `RuntimeError` outside of the run."""

    @property
    def streams(self) -> Mapping[str, State]:
        """The state of each stream by id, without those that were removed."""
        return self._running().states

    async def add(self, config: StreamConfig) -> None:
        """Start one more stream, or one for each file of a `files` source. An id that was removed
        goes on counting `seq` where it was, in a new epoch."""
        streams = self._running()
        before = streams.configs
        if config.id in before:
            raise id_in_use(config.id)
        wanted = await self._checked([*before.values(), config])
        await self._change(*(streams.add(new) for new in wanted.values() if new.id not in before))

    async def remove(self, stream_id: str) -> None:
        """End a stream: what is decoded is published, then its `end_of_stream`. Its account stays
        in the report."""
        await self._change(self._running().remove(stream_id))

    async def pause(self, stream_id: str) -> None:
        """Close the connection of a stream until `resume`. The run waits for it."""
        await self._change(self._running().pause(stream_id))

    async def resume(self, stream_id: str) -> None:
        """Connect a paused stream again, in a new epoch; a file begins at its start."""
        await self._change(self._running().resume(stream_id))

    async def restart(self, stream_id: str) -> None:
        """Begin a stream anew, in a new epoch, also one that is paused or has ended."""
        await self._change(self._running().restart(stream_id))

    async def reconfigure(self, config: StreamConfig) -> None:
        """Restart the stream of this id with another configuration, unless it has it already. One
        that is paused stays so."""
        streams = self._running()
        wanted = streams.configs
        if config.id in wanted:
            wanted[config.id] = config
            checked = await self._checked(wanted.values())
            if config.id not in checked:
                why = "kind files makes streams of its own: remove this one and add that"
                raise ConfigError(f"streams.{config.id}.source.kind", why)
            config = checked[config.id]
        await self._change(streams.reconfigure(config))

    async def reload(self, config: PipelineConfig) -> Changes:
        """Make the streams those of another configuration: only what differs is touched. What
        differs outside of `streams` is not taken over, and told in `refused`."""
        streams = self._running()
        async with self._reloading:
            wanted = await self._checked(config.streams)
            found = compare(streams.configs, wanted)
            await self._change(*(streams.remove(stream_id) for stream_id in found.removed))
            starts = [streams.add(wanted[stream_id]) for stream_id in found.added]
            starts += [streams.reconfigure(wanted[stream_id]) for stream_id in found.changed]
            await self._change(*starts)
        return replace(found, refused=other_keys(self.config, config))

    async def _checked(self, streams: Iterable[StreamConfig]) -> dict[str, StreamConfig]:
        checked = await asyncio.to_thread(check_streams, self.config, streams)
        check_classes(checked.values(), self.config.model.classes or self._running().labels)
        return checked

    async def _change(self, *changes: Coroutine[None, None, None]) -> None:
        """Make the changes together, and to the end: half a change would leave a stream in no state
        at all. Raises the first failure; others are logged."""
        tasks: Sequence[asyncio.Task[None]] = [asyncio.create_task(change) for change in changes]
        for task in tasks:
            self._changing.add(task)
            task.add_done_callback(self._changing.discard)
        outcomes = await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))
        failures = [outcome for outcome in outcomes if outcome is not None]
        for failure in failures[1:]:
            log.error("a stream was not changed: %s", failure)
        if failures:
            raise failures[0]

    async def _outlast_changes(self) -> None:
        await asyncio.gather(*self._changing, return_exceptions=True)


def check_streams(
    config: PipelineConfig, streams: Iterable[StreamConfig]
) -> dict[str, StreamConfig]:
    """Check these streams in place of those of the configuration -> them by id, each `files` source
    as one for each of its files. Raises `ConfigError` where they do not go with the rest, or where
    a device that is to decode cannot be had. Reads folders."""
    rest = {name: getattr(config, name) for name in PipelineConfig.model_fields}
    whole = parse_config({**rest, "streams": tuple(streams)})
    expanded = expand_streams(whole)
    require_devices(expanded)
    return {stream.id: stream for stream in expanded}


def compare(running: Mapping[str, StreamConfig], wanted: Mapping[str, StreamConfig]) -> Changes:
    """Tell what is to be done for the running streams to become the wanted ones."""
    return Changes(
        added=tuple(stream_id for stream_id in wanted if stream_id not in running),
        removed=tuple(stream_id for stream_id in running if stream_id not in wanted),
        changed=tuple(
            stream_id
            for stream_id, config in wanted.items()
            if stream_id in running and running[stream_id] != config
        ),
    )


def other_keys(old: PipelineConfig, new: PipelineConfig) -> tuple[str, ...]:
    """The keys outside `streams` that differ, such as `batch.size`."""
    return tuple(_different(old, new, skip="streams"))


def _different(old: BaseModel, new: BaseModel, skip: str = "") -> Iterator[str]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if name == skip or before == after:
            continue
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from (f"{name}.{key}" for key in _different(before, after))
        else:
            yield name
