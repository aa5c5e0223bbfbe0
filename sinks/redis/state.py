"""The last state of each stream, as a Redis hash: enough for a dashboard that reads one key."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.core.messages import Kind
from sinks.base import Outgoing

_STATUS: Final = {"up": "up", "down": "down", "impaired": "impaired", "cleared": "up"}
_ENVELOPE: Final = frozenset({"schema", "producer", "kind", "message_id", "stream_id"})


def last_states(messages: Iterable[Outgoing], now: datetime) -> dict[str, dict[str, str]]:
    """The changes of each stream's hash after these messages, by stream id: only the last message
    of a kind counts, so only that one is read.

    Fields: `stream_id`, `run_id`, `epoch`, `seq`, `updated_at` (RFC 3339, when it was written
    here); of the last frame `frame_seq`, `captured_at`, `detections` (how many) and `counts` (JSON,
    by label); of the last status `status` (`up`, `down`, `impaired`, `ended`), `status_at` and
    `reason`; of the last event `event` (JSON: the message without its producer) and `event_at`.
    """
    latest: dict[str, dict[Kind, Outgoing]] = {}
    for message in messages:
        kinds = latest.setdefault(message.key, {})
        kinds.pop(message.kind, None)  # so that the newest of all comes last
        kinds[message.kind] = message
    at = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {key: _state(kinds.values()) | {"updated_at": at} for key, kinds in latest.items()}


def _state(messages: Iterable[Outgoing]) -> dict[str, str]:
    state: dict[str, str] = {}
    for message in messages:
        told: Mapping[str, Any] = json.loads(message.body)
        state |= _common(told)
        if message.kind == "frame":
            state |= _of_frame(told)
        elif message.kind == "event":
            event = {name: value for name, value in told.items() if name not in _ENVELOPE}
            state |= {"event": _compact(event), "event_at": told["published_at"]}
        elif message.kind == "end_of_stream":
            state |= _of_status("ended", told["error"] or "", told)
        elif message.kind == "stream_status" and told["status"] in _STATUS:
            state |= _of_status(_STATUS[told["status"]], told["reason"], told)
    return state


def _common(told: Mapping[str, Any]) -> dict[str, str]:
    return {
        "stream_id": told["stream_id"],
        "run_id": told["producer"]["run_id"],
        "epoch": str(told["epoch"]),
        "seq": str(told["seq"]),
    }


def _of_frame(told: Mapping[str, Any]) -> dict[str, str]:
    counts = Counter(detection["label"] for detection in told["detections"])
    return {
        "frame_seq": str(told["seq"]),
        "captured_at": told["captured_at"],
        "detections": str(counts.total()),
        "counts": _compact(dict(sorted(counts.items()))),
    }


def _of_status(status: str, reason: str, told: Mapping[str, Any]) -> dict[str, str]:
    return {"status": status, "reason": reason, "status_at": told["published_at"]}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
