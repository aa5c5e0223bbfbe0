"""The tables at the end of a run."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.account import EvidenceReport, LatencyReport, Report, SinkReport


def print_report(report: Report, console: Console) -> None:
    """Frames, rates, detections, tracks, crossings and drops by stream; then the sinks."""
    table = Table(title="Streams", title_justify="left")
    for column in ("stream", "frames", "fps", "detections", "tracks", "lines", "dropped"):
        table.add_column(column, justify="right" if column in ("frames", "fps") else "left")
    for stream in report.streams:
        crossings: Counter[str] = Counter()
        for (line, direction, _), count in stream.crossings.items():
            crossings[f"{line} {direction}"] += count
        table.add_row(
            stream.stream_id,
            f"{stream.published}",
            f"{stream.fps:.1f}",
            _counts(stream.detections),
            _counts(stream.tracks),
            _counts(crossings),
            _counts(Counter(stream.dropped)),
        )
    console.print(table)
    for stream in report.streams:
        told = stream.connections
        if told.failed or told.abandoned:
            console.print(
                f"stream {stream.stream_id}: {told.up} connections, {told.failed} failures"
                f" ({told.denied} for the password), {told.abandoned} decoders abandoned",
                highlight=False,
            )
        if stream.decoder is not None and stream.decoder.asked != "none":
            console.print(
                f"stream {stream.stream_id}: decoded by {stream.decoder}", highlight=False
            )
        if stream.chaos:
            done = _counts(Counter(stream.chaos))
            console.print(
                f"stream {stream.stream_id}: faults made by chaos: {done}", highlight=False
            )
        if stream.rest is not None and stream.decoded:
            console.print(
                f"stream {stream.stream_id}: at rest in {stream.rest.frames_total} of"
                f" {stream.decoded} frames ({stream.rest.frames_total / stream.decoded:.0%}),"
                f" woken by its pictures (times: {stream.rest.changes_total})",
                highlight=False,
            )
    if report.load.times:
        console.print(
            f"the engine did not keep up: streams gave way for {report.load.degraded_s:.0f} s"
            f" in all (times: {report.load.times}; see docs/load.md)",
            highlight=False,
        )
    if report.latency.target_ms is not None:
        console.print(_latency_line(report.latency), highlight=False)
    for sink in report.sinks:
        console.print(_sink_line(sink), highlight=False)
    if report.evidence is not None:
        console.print(_evidence_line(report.evidence), highlight=False)


def _latency_line(latency: LatencyReport) -> str:
    """Say whether live streams held the target, and how many frames were not in time."""
    held = "held" if not latency.times else f"not held (times: {latency.times}; see docs/load.md)"
    return (
        f"latency target {latency.target_ms:g} ms: {held}; {latency.in_time} frames in time,"
        f" {latency.missed} later, {latency.late} dropped as late;"
        f" p99 of the last {latency.frames}: {latency.p99_ms:.0f} ms"
    )


def _sink_line(sink: SinkReport) -> str:
    """Its account; what is zero is left out, except what was delivered and what was lost."""
    parts = [f"{sink.acknowledged} delivered"]
    if sink.spooled:
        parts.append(f"{sink.spooled} wait in the spool")
    if sink.dead_lettered:
        parts.append(f"{sink.dead_lettered} refused for ever")
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(sink.dropped.items()))
    dropped = sum(sink.dropped.values())
    parts.append(f"{dropped} dropped ({reasons})" if dropped else "0 dropped")
    if sink.found:
        parts.append(f"{sink.found} of them found in the spool")
    return f"sink {sink.sink}: {sink.produced} messages: {', '.join(parts)}"


def _evidence_line(evidence: EvidenceReport) -> str:
    """What was written, what is missing and why."""
    kinds = [f"{count} {kind}s" for kind, count in sorted(evidence.written.items())]
    parts = [", ".join(kinds) or "no files", f"{evidence.bytes / 1e6:.1f} MB"]
    reasons = [f"{reason} {count}" for reason, count in sorted(evidence.dropped.items())]
    dropped = sum(evidence.dropped.values())
    parts.append(f"{dropped} dropped ({', '.join(reasons)})" if dropped else "0 dropped")
    if evidence.cut:
        parts.append(f"{evidence.cut} clips end early, for buffer_mb is too small")
    if evidence.deleted:
        parts.append(f"{evidence.deleted} older files deleted")
    return f"evidence: {'; '.join(parts)}"


def _counts(counts: "Counter[str]") -> Text:
    return Text(", ".join(f"{name} {count}" for name, count in counts.most_common()) or "–")
