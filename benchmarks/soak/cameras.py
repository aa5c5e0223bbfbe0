"""The six cameras of the soak: real RTSP servers that loop clips, and what can befall them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from stages.sources.street import StreetScene
from stages.sources.street.encode import write_video
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.relay import Mode, Relay

FPS, ANALYSED_FPS = 10, 3
"""Pictures a second that a camera sends, and that are analysed of them."""

FaultKind = Literal["kill", "freeze", "stall", "trickle", "garbage", "loss", "storm"]
"""SIGKILL to its server, which starts again when the fault is over; SIGSTOP, then SIGCONT. Then
what the network does: nothing moves; 20 bytes a second; one byte in a hundred is another one; one
RTP packet in ten is lost; the connection is cut again and again."""
SERVER_FAULTS: Final[tuple[FaultKind, ...]] = ("kill", "freeze")
NETWORK_FAULTS: Final[dict[FaultKind, Mode]] = {
    "stall": "hold",
    "trickle": "trickle",
    "garbage": "garble",
    "loss": "lossy",
}
FAULTS: Final[tuple[FaultKind, ...]] = (*SERVER_FAULTS, *NETWORK_FAULTS, "storm")
OPEN_S, READ_S, CAP_S = 3, 2, 5
"""Deadlines of the streams, and their longest pause between two tries."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is special about a camera."""

    size: tuple[int, int] = (640, 360)
    codec: Literal["h264", "hevc"] = "h264"
    transport: Literal["tcp", "udp"] = "tcp"


CAMERAS: Final = {
    "gate": Kind(),
    "yard": Kind((480, 272)),
    "street": Kind((1280, 720)),
    "bridge": Kind(),
    "hall": Kind(codec="hevc"),
    "door": Kind(transport="udp"),
}


class Camera:
    """One camera behind a network of its own. Over UDP, only its server fails: the network between
    is a TCP relay."""

    def __init__(self, name: str, site: CameraSite, relay: Relay | None) -> None:
        self.name = name
        self._site, self._relay = site, relay
        self.faults = FAULTS if relay else SERVER_FAULTS

    def section(self) -> dict[str, Any]:
        """Its entry in `streams`."""
        port = self._relay.port if self._relay else self._site.port
        source = {
            "kind": "rtsp",
            "url": f"rtsp://127.0.0.1:{port}/{self.name}",
            "transport": CAMERAS[self.name].transport,
            "open_timeout_s": OPEN_S,
            "read_timeout_s": READ_S,
            "longest_pause_s": CAP_S,
        }
        return {"id": self.name, "source": source, "fps": ANALYSED_FPS}

    async def suffer(self, kind: FaultKind, lasts_s: float, rng: random.Random) -> None:
        """One fault, until it is over."""
        if kind == "kill":
            self._site.kill()
            await asyncio.sleep(lasts_s)
            await asyncio.to_thread(self._site.start)
        elif kind == "freeze":
            self._site.pause()
            await asyncio.sleep(lasts_s)
            self._site.resume()
        elif self._relay is not None and kind == "storm":
            await _storm(self._relay, lasts_s, rng)
        elif self._relay is not None:
            self._relay.mode = NETWORK_FAULTS[kind]
            await asyncio.sleep(lasts_s)
            self._relay.mode = "pass"


async def _storm(relay: Relay, lasts_s: float, rng: random.Random) -> None:
    over_s = asyncio.get_running_loop().time() + lasts_s
    while asyncio.get_running_loop().time() < over_s:
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        relay.cut()


@contextmanager
def installed(folder: Path, names: Sequence[str], clip_frames: int) -> Iterator[list[Camera]]:
    """These of `CAMERAS`, running, with clips of so many pictures. Raises `ServiceMissing` where
    GStreamer's RTSP server is not installed."""
    with ExitStack() as stack:
        cameras = []
        for seed, name in enumerate(names):
            kind = CAMERAS[name]
            place = folder / name
            place.mkdir()
            site = CameraSite(place, {name: _clip(place / f"{name}.mp4", kind, seed, clip_frames)})
            stack.callback(site.stop)
            stack.callback(site.resume)
            site.start()
            relay = None
            if kind.transport == "tcp":
                relay = stack.enter_context(Relay(site.port, seed=seed))
            cameras.append(Camera(name, site, relay))
        yield cameras


def _clip(path: Path, kind: Kind, seed: int, frames: int) -> Path:
    if kind.codec == "hevc":
        return numbered.make(path, frames, size=kind.size, codec="libx265", key_every=FPS, fps=FPS)
    width, height = kind.size
    write_video(StreetScene(seed, width, height, FPS, frames), path)
    return path
