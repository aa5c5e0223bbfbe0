"""What is to be measured: subjects at points, each a case."""

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline.bench.cameras import Cameras, encode_chunks
from pipeline.bench.clips import FPS, make_clip
from pipeline.bench.job import Case, Job, Kind, Point
from pipeline.bench.peers import Peer
from pipeline.core.errors import ConfigError

Part = Literal["decode", "prepare", "engine", "no_model", "pipeline", "live", "peers"]
Axis = Literal["streams", "size", "batch", "detections"]
PARTS: tuple[Part, ...] = get_args(Part)
NO_MODEL, LIVE = "no model", "live"
_SHORTEST_FRAMES = 25
_CHILD = (sys.executable, "-m", "pipeline.bench.child")
_TITLES: dict[Part, str] = {
    "decode": "decode",
    "prepare": "decode + prepare",
    "engine": "engine",
    "no_model": f"pipeline, {NO_MODEL}",
    "pipeline": "pipeline",
    "live": f"pipeline, {LIVE}",
}
_VARIED: dict[Axis, frozenset[Part]] = {
    "streams": frozenset(get_args(Part)),
    "size": frozenset({"decode", "prepare", "no_model", "pipeline", "live", "peers"}),
    "batch": frozenset({"engine", "pipeline", "peers"}),
    "detections": frozenset({"no_model"}),
}
"""Which parts an axis says something of."""


def parts_of(names: Collection[str]) -> tuple[Part, ...]:
    """Parts by their names. Raises `ConfigError` for one that is none."""
    unknown = set(names) - set(PARTS)
    if unknown:
        known = ", ".join(PARTS)
        raise ConfigError("--only", f"{', '.join(sorted(unknown))} is none of {known}")
    return tuple(part for part in PARTS if part in names)


@dataclass(frozen=True, slots=True)
class PeerModel:
    """A model file as peers get it, and how tables call it."""

    title: str
    path: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """The axes, of which the first value each is the base: every axis is varied alone from there.

    `frames` are those of all streams together. `clip` replaces the clips that are made; `sizes` is
    then its own.
    """

    model: Path
    folder: Path
    """Where clips are made."""
    parts: tuple[Part, ...] = PARTS
    streams: tuple[int, ...] = (1, 4)
    sizes: tuple[tuple[int, int], ...] = ((1920, 1080),)
    batches: tuple[int, ...] = (4,)
    detections: tuple[int, ...] = (0,)
    frames: int = 300
    live_s: float = 8.0
    """How long cameras send in a live round; the first `SKIPPED_S` are not looked at."""
    threads: int = 0
    """The threads of engines, for one batch; 0: all cores, for peers too."""
    network: tuple[int, int] = (416, 416)
    """Height and width of the network's input."""
    clip: Path | None = None
    peers: tuple[Peer, ...] = ()
    peer_models: tuple[PeerModel, ...] = ()
    settings: tuple[str, ...] = ()
    """Keys of the configuration, as for `--set`."""

    @property
    def base(self) -> Point:
        """The first value of every axis."""
        width, height = self.sizes[0]
        return Point(self.streams[0], width, height, self.batches[0], self.detections[0])

    def points(self) -> Iterator[tuple[Point, frozenset[Part]]]:
        """The base with all parts, then every other point with those that it says something of."""
        wanted = frozenset(self.parts)
        yield self.base, wanted
        for streams in self.streams[1:]:
            yield replace(self.base, streams=streams), wanted & _VARIED["streams"]
        for width, height in self.sizes[1:]:
            yield replace(self.base, width=width, height=height), wanted & _VARIED["size"]
        for batch in self.batches[1:]:
            yield replace(self.base, batch=batch), wanted & _VARIED["batch"]
        for found in self.detections[1:]:
            yield replace(self.base, found=found), wanted & _VARIED["detections"]

    def cameras(self, point: Point, parts: frozenset[Part]) -> Cameras | None:
        """What live cases of a point read; None: it has none."""
        if "live" not in parts:
            return None
        return Cameras(encode_chunks(point.width, point.height, round(self.live_s * FPS)))

    def cases(
        self, point: Point, parts: frozenset[Part], cameras: Cameras | None = None
    ) -> list[Case]:
        """What takes turns at a point. Makes the clip where it is not there yet."""
        job = self._job(point)
        urls = tuple(cameras.url(n) for n in range(point.streams)) if cameras else ()
        live = replace(job, clips=urls, live=True) if urls else job
        found = [
            self._own(part, point, live if part == "live" else job)
            for part in PARTS
            if part in parts and part != "peers"
        ]
        if "peers" in parts:
            for peer in self.peers:
                found += self._of_peer(peer, point, job, live, parts)
        return found

    def _job(self, point: Point) -> Job:
        frames = max(_SHORTEST_FRAMES, self.frames // point.streams)
        clip = self.clip or make_clip(
            self.folder / f"{point.width}x{point.height}-{self.frames}.mp4",
            point.width, point.height, max(self.frames, _SHORTEST_FRAMES),
        )  # fmt: skip
        height, width = self.network
        return Job(
            kind="pipeline", clips=(str(clip.resolve()),) * point.streams, frames=frames,
            picture_height=point.height, picture_width=point.width,
            batch=point.batch, threads=self.threads, height=height, width=width,
        )  # fmt: skip

    def _own(self, part: Part, point: Point, job: Job) -> Case:
        kind: Kind = "pipeline"
        if part in ("decode", "prepare", "engine"):
            kind = part
        bare = part in ("decode", "prepare", "no_model")
        settings = {} if part == "decode" else dict(map(self._split, self.settings))
        job = replace(
            job,
            kind=kind,
            model=None if bare else str(self.model.resolve()),
            found=point.found if part == "no_model" else 0,
            settings=settings,
        )
        return Case(_TITLES[part], point, _CHILD, job)

    def _of_peer(
        self, peer: Peer, point: Point, job: Job, live: Job, parts: frozenset[Part]
    ) -> Iterator[Case]:
        """Its variants as we are measured: without a model, with each one, on cameras."""
        kinds: list[tuple[Job, PeerModel | None]] = []
        if "no_model" in parts:
            kinds.append((job, None))
        if "pipeline" in parts:
            kinds += [(job, model) for model in self.peer_models]
        if "live" in parts:
            kinds += [(live, model) for model in self.peer_models[:1]]
        threads = self.threads or len(os.sched_getaffinity(0))
        for variant, settings in peer.variants.items():
            title = f"{peer.title} ({variant})" if variant else peer.title
            for own, model in kinds:
                path = str(model.path.resolve()) if model else None
                told = replace(own, kind="peer", model=path, threads=threads, settings=settings)
                words = [title, model.title if model else NO_MODEL, *[LIVE] * own.live]
                yield Case(", ".join(words), point, peer.command, told, peer.variables)

    @staticmethod
    def _split(setting: str) -> tuple[str, str]:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError("--set", f"{setting!r} is not KEY=VALUE")
        return key, value
