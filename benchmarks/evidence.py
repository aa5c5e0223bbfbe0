"""What evidence and privacy cost: of each packet, each frame and each file.

    python -m benchmarks.evidence [--frames 600] [--rounds 5] [--json FILE]

A moving picture of 1920x1080 is encoded once, at 4 Mbit/s. Then, in turns within one process, so
that a noisy machine meets them alike:

- `decode_ms`: CPU time to decode it, per picture, for comparison.
- `tap_us`: what the packet buffer of clips takes for each packet; `held_mb`: the most it held, for
  5 s before an event.
- `publish_unwanted_us`: what is done for pixels per frame where nobody wants them.
- `see_us`, `hide_ms`: privacy for 20 people, per frame and per picture that is wanted.
- `snapshot_ms`, `clip_ms`: writing a 1080p JPEG, and a clip of 10 s; in the writer's thread.

Medians over the rounds.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from benchmarks.machine import describe
from pipeline.core.clock import SECOND_NS
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.core.tracks import Tracks
from pipeline.outlets.pixels import Pixels
from stages.base import Counts
from stages.evidence.base import ClipJob, SnapshotJob
from stages.evidence.files import write
from stages.evidence.packets import Header, Kept
from stages.evidence.ring import PacketRing
from stages.privacy import PrivacyMask
from stages.sources.decode import Decoding

SIZE = (1920, 1080)
FPS = 25
PEOPLE = 20


def make_clip(path: Path, frames: int) -> None:
    """A noisy scene that moves, at the 4 Mbit/s of a usual camera and a key frame every 2 s."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 180, (SIZE[1] // 8, SIZE[0] // 8 + 400, 3), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "b": "4M", "g": str(2 * FPS), "bf": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(frames):
            shift = number % 400
            view = ground[:, shift : shift + SIZE[0] // 8].repeat(8, 0).repeat(8, 1)
            image = np.ascontiguousarray(view[: SIZE[1], : SIZE[0]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def info(number: int) -> FrameInfo:
    return FrameInfo(
        stream_id="a", epoch=0, seq=number, pts_ns=number * SECOND_NS // FPS, captured_ns=0,
        arrived_ns=0, clock="file", uncertainty_ns=0, width=SIZE[0], height=SIZE[1],
    )  # fmt: skip


def decode_s(clip: Path) -> float:
    """CPU seconds a picture, as the decoder gives it."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        decoding = Decoding(container, video, Counts(), threading.Event())
        began_s = time.process_time()
        pictures = sum(1 for _ in decoding.pictures())
        return (time.process_time() - began_s) / pictures


def tap(clip: Path, ring: PacketRing) -> tuple[float, int]:
    """Seconds that the buffer takes for a packet and its frame, and the most bytes it held."""
    taps, took_s, most_bytes, number = ring.connect(), 0.0, 0, 0
    with av.open(str(clip)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size == 0:
                continue
            frame, began_s = info(number), time.perf_counter()
            taps.packet(packet, frame.pts_ns)
            ring.frame(frame)
            ring.published(frame)
            took_s += time.perf_counter() - began_s
            most_bytes, number = max(most_bytes, ring.held_bytes), number + 1
    return took_s / number, most_bytes


def per_call_s(call: Callable[[], object], times: int) -> float:
    began_s = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began_s) / times


def people(rng: np.random.Generator) -> Detections:
    corner = rng.uniform((0, 0), (SIZE[0] - 120, SIZE[1] - 300), (PEOPLE, 2))
    boxes = np.hstack([corner, corner + np.array([110, 280])]).astype(np.float32)
    return Detections(boxes, np.full(PEOPLE, 0.5, np.float32), np.zeros(PEOPLE, np.int32))


def measure(folder: Path, clip: Path) -> dict[str, float]:
    """One round."""
    jobs: list[ClipJob] = []
    ring = PacketRing(5 * SECOND_NS, 5 * SECOND_NS, 32 << 20, 8, jobs.append)
    plain_s, (tap_s, most_bytes) = decode_s(clip), tap(clip, ring)
    found, image = people(np.random.default_rng(1)), np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    mask, nothing, none = PrivacyMask("persons", [0]), Pixels(), Tracks.empty()
    times = iter(range(10**9))
    unwanted_s = per_call_s(
        lambda: nothing.publish(info(0), None, found, none, draws=False), 20_000
    )
    unwanted_s -= per_call_s(lambda: info(0), 20_000)
    see_s = per_call_s(lambda: mask.see(info(next(times)), found, none), 500)
    hide_s = per_call_s(lambda: mask.hide(RgbPicture(image)).rgb(), 20)
    snapshot = SnapshotJob("frame", f"a/{0:032x}-frame.jpg", image, 85)
    header, packets = _whole(clip)
    clip_job = ClipJob(f"a/{0:032x}-clip.mp4", header, packets[: 10 * FPS])
    return {
        "decode_ms": 1000 * plain_s,
        "tap_us": 1e6 * tap_s,
        "held_mb": most_bytes / 1e6,
        "publish_unwanted_us": 1e6 * unwanted_s,
        "see_us": 1e6 * see_s,
        "hide_ms": 1000 * hide_s,
        "snapshot_ms": 1000 * per_call_s(lambda: write(folder, snapshot), 10),
        "clip_ms": 1000 * per_call_s(lambda: write(folder, clip_job), 5),
        "clip_mb": clip_job.size_bytes / 1e6,
    }


def _whole(clip: Path) -> tuple[Header, list[Kept]]:
    jobs: list[ClipJob] = []
    ring = PacketRing(3600 * SECOND_NS, SECOND_NS, 1 << 30, 1, jobs.append)
    tap(clip, ring)
    ring.open_clip("a", info(11 * FPS))
    return jobs[0].header, jobs[0].packets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "street.mp4"
        make_clip(clip, max(asked.frames, 15 * FPS))
        rounds = [measure(folder, clip) for _ in range(asked.rounds)]
    figures = {key: round(float(np.median([r[key] for r in rounds])), 3) for key in rounds[0]}
    result = {"machine": describe(), "frames": asked.frames, "rounds": asked.rounds} | figures
    print(json.dumps(result, indent=2))
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
