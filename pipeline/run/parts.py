"""The parts of a stream that its configuration decides, made anew for every stream of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.account import StreamAccount
from pipeline.build import evidence as open_evidence
from pipeline.build import looker as open_looker
from pipeline.build import rules as open_rules
from pipeline.build import streams as build
from pipeline.compose.composer import Composer
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.core.clock import Clock
from pipeline.core.messages import Producer
from pipeline.outlets.evidence import EvidenceOutlet
from pipeline.outlets.pixels import Pixels
from pipeline.workers.place import Workers
from stages.appearance import Embedder
from stages.base import Looker, MakeSource
from stages.plane import PlaneStage
from stages.zones import Rules


@dataclass(frozen=True, slots=True)
class StreamParts:
    """The parts of one stream, none of which is opened or does anything yet."""

    make_source: MakeSource
    pixels: Pixels
    looker: Looker | None
    rules: Rules
    plane: PlaneStage | None


class PartsMaker:
    """A maker of the parts of the streams of one run. With `draws`, somebody wants pictures of
    all of them."""

    def __init__(
        self,
        config: PipelineConfig,
        producer: Producer,
        labels: Sequence[str],
        clock: Clock,
        workers: Workers,
        embedder: Embedder | None,
        evidence: EvidenceOutlet | None,
        *,
        draws: bool,
    ) -> None:
        self._config, self._producer, self._labels = config, producer, labels
        self._clock, self._workers, self._embedder = clock, workers, embedder
        self._evidence, self._draws = evidence, draws

    def parts(self, stream: StreamConfig) -> StreamParts:
        """Make the parts of a stream. Raises `ConfigError` for a configuration that cannot be."""
        pixels = open_evidence.make_pixels(self._config, stream, self._labels, self._evidence)
        looker = open_looker.make_looker(stream, self._config, self._embedder)
        make = self._workers.place(
            stream,
            build.source_maker(stream, self._clock, pixels.ring),
            self._clock,
            whole=looker is not None or pixels.wanted or self._draws,
            packets=pixels.ring is not None,
        )
        return StreamParts(make, pixels, looker, self.rules(stream), build.make_plane(stream))

    def rules(self, stream: StreamConfig) -> Rules:
        """Make the lines, zones and masks of a stream."""
        return open_rules.make_rules(stream, self._labels)

    def composer(
        self, stream: StreamConfig, parts: StreamParts, account: StreamAccount
    ) -> Composer:
        """Make the composer of a stream that was not there before."""
        return Composer(
            account,
            self._producer,
            self._labels,
            build.make_tracker(self._config.tracking),
            parts.rules,
            self._config.model.score_threshold,
            self._clock,
            beats=stream.endless,
            plane=parts.plane,
        )
