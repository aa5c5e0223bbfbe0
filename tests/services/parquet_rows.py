"""What a Parquet sink has written, as the messages that it was."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from pipeline.core.message_events import EVENT_MODELS
from pipeline.core.messages import Message, decode, encode
from sinks.parquet import UNFINISHED
from sinks.parquet.schema import COLUMNS, REASONS, ROWS_OF, TIME_OF, Table

_OF_TRACK = ("track_id", "track_uid", "track_state", "track_age_ms")
_KINDS = {table: kind for kind, table in ROWS_OF.items()}
_PARTITIONS = ds.partitioning(
    pa.schema([("stream_id", pa.string()), ("date", pa.string()), ("hour", pa.int32())]),
    flavor="hive",
)
_TEXTS = ("metrics", "heartbeat", "messages", "detections", "tracks", "by_label", "evidence")
_EVENTS = {str(model.model_fields["event"].default): model.model_fields for model in EVENT_MODELS}


def rows_of(folder: Path, table: Table) -> list[dict[str, Any]]:
    """All rows of a table with their partition keys, in no promised order of files."""
    if not (folder / table).exists():
        return []
    tables = ds.dataset(folder / table, format="parquet", partitioning=_PARTITIONS)
    rows: list[dict[str, Any]] = tables.to_table().to_pylist()
    for row in rows:
        at: datetime = row[TIME_OF[table]]
        assert (row.pop("date"), row.pop("hour")) == (f"{at:%Y-%m-%d}", at.hour)
    return rows


def finished(folder: Path) -> list[Message]:
    """Every message that is in a finished file, rebuilt from its columns; sorted by stream, run and
    `seq`."""
    rows = {(row["message_id"], row["number"]): row for row in rows_of(folder, "detections")}
    boxes: dict[str, list[dict[str, Any]]] = {}
    for (message_id, _), row in sorted(rows.items()):
        boxes.setdefault(message_id, []).append(_detection(row))
    found = [
        _message(table, row, boxes)
        for table in COLUMNS
        if table != "detections"
        for row in rows_of(folder, table)
    ]
    return sorted(found, key=lambda message: (message.stream_id, message.seq))


def bodies(folder: Path) -> dict[str, list[bytes]]:
    """By stream, what is in finished files, and behind it what waits in journals."""
    found: dict[str, list[bytes]] = {}
    for message in finished(folder):
        found.setdefault(message.stream_id, []).append(encode(message))
    lines = [
        line
        for path in (folder / UNFINISHED).glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    for line in sorted(lines, key=lambda line: int(json.loads(line)["seq"])):
        found.setdefault(json.loads(line)["stream_id"], []).append(line)
    return found


def _detection(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("label", "class_id", "score", "plane", *_OF_TRACK)
    return {key: row[key] for key in keys} | {"box": [row[k] for k in ("x1", "y1", "x2", "y2")]}


def _message(table: Table, row: dict[str, Any], boxes: dict[str, list[dict[str, Any]]]) -> Message:
    model = {key: row.pop(f"model_{key}") for key in ("name", "sha256", "precision", "engine")}
    producer = {key: row.pop(key) for key in ("instance", "version", "run_id")}
    plain: dict[str, Any] = {"kind": _KINDS[table], "producer": producer | {"model": model}}
    if table in ("frames", "end_of_stream"):
        drops = {reason: row.pop(f"dropped_{reason}") for reason in REASONS}
        key = "dropped_since_last" if table == "frames" else "dropped"
        plain[key] = {reason: count for reason, count in drops.items() if count}
    if table == "frames":
        found = boxes.get(row["message_id"], [])
        assert row.pop("detections") == len(found)
        plain["detections"] = found
    if table == "events":
        row["point"] = [row.pop("point_x"), row.pop("point_y")]
        row["counts"] = {"in": row.pop("counts_in"), "out": row.pop("counts_out")}
        known = {*_EVENTS[row["event"]], "schema", "stream_id"}
        row = {key: value for key, value in row.items() if key in known}
    for key, value in row.items():
        if key in _TEXTS and isinstance(value, str):
            plain[key] = json.loads(value)
        else:
            plain[key] = value.isoformat() if isinstance(value, datetime) else value
    return decode(json.dumps(plain))
