"""The account of a run: what was decoded, published and dropped, stream by stream.

For every stream, at any stop: `decoded = published + sum(dropped)`.
"""

from pipeline.account.report import (
    EvidenceReport,
    LatencyReport,
    LoadReport,
    LoadStage,
    Report,
    SinkReport,
    StreamReport,
)
from pipeline.account.stream import Connections, StreamAccount

__all__ = [
    "Connections",
    "EvidenceReport",
    "LatencyReport",
    "LoadReport",
    "LoadStage",
    "Report",
    "SinkReport",
    "StreamAccount",
    "StreamReport",
]
