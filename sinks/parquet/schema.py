"""The tables and columns that there are. `docs/sinks.md` explains them; a test holds them against
the message contract."""

from typing import Final, Literal, get_args

import pyarrow as pa

from pipeline.core.messages import DropReason, Kind

Table = Literal["frames", "detections", "track_ends", "events", "stream_status", "end_of_stream"]

REASONS: Final[tuple[DropReason, ...]] = get_args(DropReason)

_TIME: Final = pa.timestamp("us", "UTC")
_DROPPED: Final = [(f"dropped_{reason}", pa.int64()) for reason in REASONS]
_HEAD: Final = [
    ("message_id", pa.string()),
    ("run_id", pa.string()),
    ("epoch", pa.int64()),
    ("seq", pa.int64()),
]
_TAIL: Final = [
    ("published_at", _TIME),
    ("instance", pa.string()),
    ("version", pa.string()),
    ("model_name", pa.string()),
    ("model_sha256", pa.string()),
    ("model_precision", pa.string()),
    ("model_engine", pa.string()),
    ("schema", pa.string()),
]
_TRACK: Final = [("track_id", pa.int64()), ("track_uid", pa.string())]
_CLASS: Final = [("label", pa.string()), ("class_id", pa.int64())]

_PAIR: Final = pa.list_(pa.float64())
PLANE: Final = pa.struct(
    [
        ("position_m", _PAIR),
        ("position_uncertainty_m", pa.float64()),
        ("speed_m_s", pa.float64()),
        ("speed_uncertainty_m_s", pa.float64()),
        ("velocity_m_s", _PAIR),
    ]
)

COLUMNS: Final[dict[Table, pa.Schema]] = {
    "frames": pa.schema(
        [
            *_HEAD,
            ("pts_ns", pa.int64()),
            ("captured_at", _TIME),
            ("captured_source", pa.string()),
            ("captured_uncertainty_ms", pa.float64()),
            ("arrived_at", _TIME),
            ("width", pa.int64()),
            ("height", pa.int64()),
            ("detections", pa.int32()),
            *_DROPPED,
            *_TAIL,
        ]
    ),
    "detections": pa.schema(
        [
            *_HEAD,
            ("pts_ns", pa.int64()),
            ("captured_at", _TIME),
            ("width", pa.int64()),
            ("height", pa.int64()),
            ("number", pa.int32()),
            *_CLASS,
            ("score", pa.float64()),
            *((name, pa.float64()) for name in ("x1", "y1", "x2", "y2")),
            *_TRACK,
            ("track_state", pa.string()),
            ("track_age_ms", pa.float64()),
            ("plane", PLANE),
        ]
    ),
    "track_ends": pa.schema(
        [
            *_HEAD,
            *_TRACK,
            *_CLASS,
            ("first_seq", pa.int64()),
            ("last_seq", pa.int64()),
            ("first_captured_at", _TIME),
            ("captured_at", _TIME),
            ("frames", pa.int64()),
            ("age_ms", pa.float64()),
            ("cause", pa.string()),
            *_TAIL,
        ]
    ),
    "events": pa.schema(
        [
            *_HEAD,
            ("event", pa.string()),
            ("event_id", pa.string()),
            ("phase", pa.string()),
            ("happened_at", _TIME),
            ("captured_at", _TIME),
            ("line", pa.string()),
            ("zone", pa.string()),
            ("cause", pa.string()),
            ("direction", pa.string()),
            *_TRACK,
            *_CLASS,
            ("point_x", pa.float64()),
            ("point_y", pa.float64()),
            ("crossed_at", _TIME),
            ("counts_in", pa.int64()),
            ("counts_out", pa.int64()),
            *((name, pa.float64()) for name in ("speed_m_s", "speed_uncertainty_m_s")),
            *((name, _TIME) for name in ("entered_at", "exited_at", "started_at")),
            *((name, pa.float64()) for name in ("inside_ms", "duration_ms", "limit_ms")),
            *((name, pa.float64()) for name in ("heading_deg", "allowed_deg", "tolerance_deg")),
            *((name, pa.int64()) for name in ("count", "peak", "limit")),
            *((name, _TIME) for name in ("from_at", "to_at")),
            ("observed_ms", pa.float64()),
            ("by_label", pa.string()),
            ("evidence", pa.string()),
            *_TAIL,
        ]
    ),
    "stream_status": pa.schema(
        [
            *_HEAD,
            ("status", pa.string()),
            ("reason", pa.string()),
            ("attempt", pa.int64()),
            ("cause", pa.string()),
            ("condition", pa.string()),
            ("metrics", pa.string()),
            ("heartbeat", pa.string()),
            *_TAIL,
        ]
    ),
    "end_of_stream": pa.schema(
        [
            *_HEAD,
            ("decoded", pa.int64()),
            ("published", pa.int64()),
            *_DROPPED,
            ("error", pa.string()),
            ("messages", pa.string()),
            ("detections", pa.string()),
            ("tracks", pa.string()),
            *_TAIL,
        ]
    ),
}
"""Objects whose keys are not known beforehand, such as `metrics`, are columns of JSON text."""

ROWS_OF: Final[dict[Kind, Table]] = {
    "frame": "frames",
    "track_end": "track_ends",
    "event": "events",
    "stream_status": "stream_status",
    "end_of_stream": "end_of_stream",
}
"""The table with one row for each message of a kind. `detections` comes from frame messages too."""

TIME_OF: Final[dict[Table, str]] = {
    "frames": "captured_at",
    "detections": "captured_at",
    "track_ends": "captured_at",
    "events": "happened_at",
    "stream_status": "published_at",
    "end_of_stream": "published_at",
}
"""The column whose UTC hour a row is filed under."""

_PRODUCER: Final = pa.struct(
    [
        ("instance", pa.string()),
        ("version", pa.string()),
        ("run_id", pa.string()),
        (
            "model",
            pa.struct([(key, pa.string()) for key in ("name", "sha256", "precision", "engine")]),
        ),
    ]
)
DETECTION: Final = pa.struct(
    [
        *_CLASS,
        ("score", pa.float64()),
        ("box", pa.list_(pa.float64())),
        *_TRACK,
        ("track_state", pa.string()),
        ("track_age_ms", pa.float64()),
        ("plane", PLANE),
    ]
)
FRAME: Final = pa.schema(
    [
        ("message_id", pa.string()),
        ("epoch", pa.int64()),
        ("seq", pa.int64()),
        ("pts_ns", pa.int64()),
        ("captured_at", _TIME),
        ("captured_source", pa.string()),
        ("captured_uncertainty_ms", pa.float64()),
        ("arrived_at", _TIME),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("detections", pa.list_(DETECTION)),
        ("dropped_since_last", pa.struct([(reason, pa.int64()) for reason in REASONS])),
        ("published_at", _TIME),
        ("producer", _PRODUCER),
        ("schema", pa.string()),
    ]
)
"""A frame message as Arrow reads it from JSON."""
