"""What became of a batch: totals for people, and `report.json` for programs."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.batch.inputs import place
from pipeline.batch.manifest import Row
from pipeline.batch.result import CannotWrite
from pipeline.batch.run import Outcome


@dataclass(slots=True)
class Totals:
    """Over all files, of this run and of those that it resumed. `work_s` is the time of workers,
    all together."""

    files: int = 0
    done: int = 0
    failed: int = 0
    waiting: int = 0
    frames: int = 0
    messages: int = 0
    detections: Counter[str] = field(default_factory=Counter)
    video_s: float = 0.0
    work_s: float = 0.0

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Totals":
        """Frames, messages and detections are those of files that are done."""
        totals = cls(files=len(rows))
        for row in rows:
            totals.done += row.state == "done"
            totals.failed += row.state == "failed"
            if row.result is not None:
                totals.work_s += row.result.work_s
            if row.state == "done" and row.result is not None:
                totals.frames += row.result.frames
                totals.messages += row.result.messages
                totals.detections.update(row.result.detections)
                totals.video_s += row.result.video_s
        totals.waiting = totals.files - totals.done - totals.failed
        return totals


def write_report(path: Path, outcome: Outcome, workers: int) -> None:
    """Write `report.json` in one step, in ASCII: bytes of names that are no text are escaped as
    lone surrogates, as Python reads them. Raises `CannotWrite`."""
    totals = Totals.of(outcome.rows)
    said = {
        "stopped": outcome.stopped,
        "workers": workers,
        "elapsed_s": round(outcome.elapsed_s, 3),
        "files": totals.files,
        "done": totals.done,
        "failed": totals.failed,
        "waiting": totals.waiting,
        "frames": totals.frames,
        "messages": totals.messages,
        "detections": dict(sorted(totals.detections.items())),
        "video_s": round(totals.video_s, 3),
        "work_s": round(totals.work_s, 3),
        "each": [_row(row) for row in outcome.rows],
    }
    new = path.with_name(path.name + ".new")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump(said, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CannotWrite(path, error.strerror) from error


def _row(row: Row) -> dict[str, Any]:
    said: dict[str, Any] = {"path": row.path, "stream_id": row.stream_id}
    said["state"] = row.state
    if row.reason is not None:
        said["reason"] = row.reason
    result = row.result
    if result is None:
        return said
    if result.part_sha256 is not None:
        folder = "messages" if row.state == "done" else "failed"
        said["output"] = f"{folder}/{place(row.path)}"
        said |= {"sha256": result.part_sha256, "bytes": result.part_bytes}
    said |= {"content": result.content, "frames": result.frames, "messages": result.messages}
    said |= {"detections": result.detections, "video_s": result.video_s, "work_s": result.work_s}
    if result.notes:
        said["notes"] = list(result.notes)
    return said
