"""`eyrie check`: everything that a run needs, tried once, in plain words."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from rich.console import Console
from rich.text import Text

from detectors.engines.open import choose
from pipeline.build import looker as open_looker
from pipeline.build import rules as open_rules
from pipeline.build import sinks as open_sink
from pipeline.build import streams as build
from pipeline.build.detector import engine_options, make_run_detector
from pipeline.cli.faults import in_one_line
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.core.clock import SystemClock
from pipeline.core.frame import Frame
from pipeline.core.log import counted, one_line
from pipeline.stream.connection import Connection
from pipeline.stream.stream import patience_with
from stages.base import Source

Probe = tuple[str, Callable[[], str]]
"""What is probed, and how: returns what is well, raises for what is not."""


def run_check(config: PipelineConfig) -> int:
    """Probe all of it, even after a failure: 0 when all is well, else 1."""
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    for name, probe in _probes(config):
        try:
            verdict, said = ("ok   ", "green"), probe()
        except Exception as error:  # noqa: BLE001 - the other probes go on
            failed += 1
            verdict, said = ("wrong", "red"), in_one_line(error)
        console.print(Text.assemble(verdict, one_line(f" {name}: {said}")))
    console.print(f"{failed} of the checks failed" if failed else "all is well")
    return 1 if failed else 0


def _probes(config: PipelineConfig) -> Iterator[Probe]:
    yield f"model {config.model.name}", partial(_probe_model, config)
    if (appearance := config.tracking.appearance) is not None and config.tracking.enabled:
        yield f"appearance model {appearance.model}", partial(_probe_appearance, config)
    yield "files", partial(_probe_files, config)
    for sink, _ in open_sink.make_sinks(config):
        yield f"sink {sink.name}", partial(_probe_open, sink)
    for pictures, _ in open_sink.make_picture_sinks(config):
        yield f"sink {pictures.name}", partial(_probe_open, pictures)
    for stream in config.streams:
        yield f"stream {stream.id}", partial(_probe_stream, config, stream)


def _probe_model(config: PipelineConfig) -> str:
    options = engine_options(config)
    detector = make_run_detector(config, options)
    try:
        detector.warm_up(config.batch.size)
        streams = build.expand_streams(config)
        open_sink.check_filters(config, streams, detector.labels)
        open_rules.check_classes(streams, config.model.classes or detector.labels)
    finally:
        detector.close()
    chosen = f" (auto: {choose(options.hint).why})" if options.engine == "auto" else ""
    proof = f"differs from its own answers in {detector.proof}" if detector.proof else "not proved"
    labels = ", ".join(detector.labels)
    return (
        f"{detector.precision} on {detector.engine_name}{chosen}, {detector.device}; "
        f"{proof}; knows {labels}"
    )


def _probe_appearance(config: PipelineConfig) -> str:
    with ExitStack() as stack:
        embedder = open_looker.open_embedder(config, stack)
        return f"makes {embedder.dimensions} numbers of a crop" if embedder else "not used"


def _probe_files(config: PipelineConfig) -> str:
    streams = counted(len(build.expand_streams(config)), "stream")
    return f"{streams}, no two files in each other's way"


def _probe_open(sink: open_sink.AnySink) -> str:
    try:
        sink.open()
    finally:
        sink.close()
    return "answers"


def _probe_stream(config: PipelineConfig, stream: StreamConfig) -> str:
    """The first frame of each of the stream's sources."""
    match stream.source.kind:
        case "stdin":
            return "standard input: not tried, for what is read is gone"
        case "watch":
            entries = counted(len(list(stream.source.path.iterdir())), "entry", "entries")
            return f"{entries} in the watched folder"
        case "street":  # drawn as a whole before its first frame is there
            short = stream.source.model_copy(update={"seconds": 1 / stream.source.fps})
            stream = stream.model_copy(update={"source": short})
    stream = stream.model_copy(update={"chaos": None})
    said: list[str] = []
    alone = config.model_copy(update={"streams": (stream,), "sinks": ()})
    for part in build.expand_streams(alone):
        said += _first_size(part)
    return f"pictures from {counted(len(said), 'source')}: {', '.join(sorted(set(said)))}"


def _first_size(stream: StreamConfig) -> list[str]:
    """`WIDTHxHEIGHT` of its first frame, if it has one, and what has decoded it where that was
    asked for. A decoder that hangs is abandoned."""
    sizes: list[str] = []

    def take(source: Source, frame: Frame) -> bool:
        decoder = source.counts.decoder
        by = f" decoded by {decoder}" if decoder and decoder.asked != "none" else ""
        sizes.append(f"{frame.info.width}x{frame.info.height}{by}")
        return False

    clock = SystemClock()
    make = partial(build.source_maker(stream, clock), 0, 0)
    connection = Connection(stream.id, make, take, patience_with(stream), clock)
    connection.run()
    if connection.failure is not None:
        raise connection.failure
    return sizes
