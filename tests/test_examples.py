"""The examples do what their first lines promise."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.scripted import ScriptedDetector
from examples import completeness, embed
from pipeline.core.detections import Detections
from pipeline.core.messages import (
    DropReason,
    EndOfStreamMessage,
    FrameMessage,
    Message,
    Model,
    Producer,
    decode,
    message_id,
)
from pipeline.core.picture import Picture
from tests.stages.sources.clips import encode

RUN = "run"
PRODUCER = Producer(
    instance="host:1",
    version="0.1.0",
    run_id=RUN,
    model=Model(name="n", sha256="0" * 64, precision="int8", engine="none"),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def frame(seq: int, dropped: int) -> FrameMessage:
    reasons: dict[DropReason, int] = {"overflow": dropped} if dropped else {}
    return FrameMessage(
        message_id=message_id(RUN, "gate", 0, seq, "frame"),
        stream_id="gate",
        epoch=0,
        seq=seq,
        published_at=NOW,
        producer=PRODUCER,
        pts_ns=seq,
        captured_at=NOW,
        captured_source="file",
        captured_uncertainty_ms=0,
        arrived_at=NOW,
        width=2,
        height=2,
        dropped_since_last=reasons,
        detections=[],
    )


def frames(kept: Sequence[bool]) -> list[FrameMessage]:
    """Frame messages of decoded frames, of which only some are kept."""
    made = []
    dropped = 0
    for seq, keep in enumerate(kept):
        if keep:
            made.append(frame(seq, dropped))
        dropped = 0 if keep else dropped + 1
    return made


def end(kept: Sequence[bool]) -> EndOfStreamMessage:
    return EndOfStreamMessage(
        message_id=message_id(RUN, "gate", 0, len(kept) - 1, "end_of_stream"),
        stream_id="gate",
        epoch=0,
        seq=len(kept) - 1,
        published_at=NOW,
        producer=PRODUCER,
        decoded=len(kept),
        published=sum(kept),
        dropped={"overflow": len(kept) - sum(kept)},
    )


def missing(arrived: Sequence[Message]) -> int:
    inventory = completeness.Inventory()
    for message in arrived:
        inventory.take(message)
    (ledger,) = inventory.ledgers.values()
    return ledger.missing


@given(kept=st.lists(st.booleans(), min_size=1, max_size=40).filter(any), seed=st.integers())
def test_a_whole_stream_is_whole_in_any_order_and_with_duplicates(
    kept: list[bool], seed: int
) -> None:
    whole = frames(kept)
    shuffled = [whole[0], *random.Random(seed).sample(whole[1:] * 2, 2 * len(whole) - 2)]
    assert missing(shuffled) == 0
    assert missing([*shuffled, end(kept)]) == 0


@given(kept=st.lists(st.booleans(), max_size=40).filter(lambda kept: sum(kept) > 1), data=st.data())
def test_lost_messages_are_counted(kept: list[bool], data: st.DataObject) -> None:
    whole = frames(kept)
    lost = data.draw(st.sets(st.integers(1, len(whole) - 1), min_size=1))
    arrived = [message for place, message in enumerate(whole) if place not in lost]
    assert missing([*arrived, end(kept)]) == len(lost)
    tail_only = arrived == whole[: len(arrived)]
    assert (missing(arrived) == 0) == tail_only


def test_a_consumer_may_begin_in_the_middle() -> None:
    kept = [True, False, True, True, False, True]
    assert missing(frames(kept)[2:]) == 0
    assert missing([*frames(kept)[2:], end(kept)]) == 0


def test_duplicates_are_told_and_not_counted() -> None:
    inventory = completeness.Inventory()
    assert [inventory.take(frame(0, 0)), inventory.take(frame(0, 0))] == [True, False]
    assert inventory.duplicates == 1
    assert "1 frames" in inventory.lines()[0]


async def test_embedding_leaves_the_loop_to_its_host(tmp_path: Path) -> None:
    def nothing(picture: Picture) -> Detections:
        none = np.empty(0, np.float32)
        return Detections(np.empty((0, 4), np.float32), none, np.empty(0, np.int32))

    config = embed.configuration(encode(tmp_path / "clip.mp4", 9), tmp_path)
    report = await embed.analyse(config, 60.0, ScriptedDetector(("person",), nothing))
    assert report.errors == []
    lines = (tmp_path / "clip.jsonl").read_bytes().splitlines()
    assert sum(decode(line).kind == "frame" for line in lines) == 9 == report.streams[0].published
