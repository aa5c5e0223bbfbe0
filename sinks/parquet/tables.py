"""Rows of tables out of messages. Frame messages, of which there are many, are read by Arrow
itself, which takes a tenth of the time and lets other threads run; all others line by line."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from pipeline.core.messages import Kind
from sinks.parquet.schema import COLUMNS, DETECTION, FRAME, REASONS, ROWS_OF, Table

_LONGEST_LINE_BYTES: Final = 1 << 24
_LINES_AT_ONCE: Final = 10_000


def read_tables(path: Path, kind: Kind) -> Iterator[tuple[Table, pa.Table]]:
    """The rows of a file of JSON lines, all of one kind and stream, in the order of the file and in
    pieces that fit into memory. Raises `ValueError` for what is no such message, and `OSError`."""
    if path.stat().st_size:
        yield from _frames(path) if kind == "frame" else _others(path, kind)


def _frames(path: Path) -> Iterator[tuple[Table, pa.Table]]:
    with pj.open_json(
        path,
        read_options=pj.ReadOptions(block_size=_LONGEST_LINE_BYTES),
        parse_options=pj.ParseOptions(explicit_schema=FRAME, unexpected_field_behavior="ignore"),
    ) as reader:
        for batch in reader:
            yield "frames", _frame_rows(batch)
            yield "detections", _detection_rows(batch)


def _frame_rows(batch: pa.RecordBatch) -> pa.Table:
    names = COLUMNS["frames"].names
    columns = {name: batch[name] for name in FRAME.names if name in names}
    columns["detections"] = pc.list_value_length(batch["detections"])
    for reason in REASONS:
        dropped = pc.struct_field(batch["dropped_since_last"], reason)
        columns[f"dropped_{reason}"] = pc.fill_null(dropped, 0)
    for name in ("instance", "version", "run_id"):
        columns[name] = pc.struct_field(batch["producer"], name)
    for name in ("name", "sha256", "precision", "engine"):
        columns[f"model_{name}"] = pc.struct_field(batch["producer"], ["model", name])
    return pa.table(columns).select(names).cast(COLUMNS["frames"])


def _detection_rows(batch: pa.RecordBatch) -> pa.Table:
    names, found = COLUMNS["detections"].names, batch["detections"]
    of_frame, each = pc.list_parent_indices(found), pc.list_flatten(found)
    columns = {
        name: batch[name].take(of_frame)
        for name in FRAME.names
        if name in names and name not in DETECTION.names
    }
    columns["run_id"] = pc.struct_field(batch["producer"], "run_id").take(of_frame)
    counts = pc.list_value_length(found).to_numpy(zero_copy_only=False)
    first = np.cumsum(counts) - counts
    columns["number"] = pa.array(np.arange(len(each)) - first[of_frame.to_numpy()])
    for name in DETECTION.names:
        if name != "box":
            columns[name] = pc.struct_field(each, name)
    box = pc.struct_field(each, "box")
    for place, name in enumerate(("x1", "y1", "x2", "y2")):
        columns[name] = pc.list_element(box, place)
    return pa.table(columns).select(names).cast(COLUMNS["detections"])


def _others(path: Path, kind: Kind) -> Iterator[tuple[Table, pa.Table]]:
    table = ROWS_OF[kind]
    schema = COLUMNS[table]
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    with path.open("rb") as lines:
        while some := list(islice(lines, _LINES_AT_ONCE)):
            rows = [flatten(_object(line)) for line in some]
            for row in rows:
                row |= {name: datetime.fromisoformat(row[name]) for name in times if row.get(name)}
            yield table, pa.Table.from_pylist(rows, schema)


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} is no object")
    return value


def flatten(message: dict[str, Any]) -> dict[str, Any]:
    """A message that is no frame, as it is in JSON, as the columns of its row."""
    row: dict[str, Any] = {}
    if message.get("kind") == "event":
        times = (message.get(name) for name in ("crossed_at", "captured_at", "published_at"))
        row["happened_at"] = next((text for text in times if text), None)
    for key, value in message.items():
        match key, value:
            case "kind" | "stream_id", _:
                continue
            case "producer", dict():
                row |= {name: text for name, text in value.items() if name != "model"}
                row |= {f"model_{name}": text for name, text in value["model"].items()}
            case "dropped", dict():
                row |= {f"dropped_{reason}": value.get(reason, 0) for reason in REASONS}
            case "counts", dict():
                row |= {f"counts_{way}": count for way, count in value.items()}
            case "point", [x, y]:
                row |= {"point_x": x, "point_y": y}
            case _, dict() | list():
                row[key] = json.dumps(value)
            case _:
                row[key] = value
    return row
