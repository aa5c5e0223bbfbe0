"""What can befall a camera, one fault each, made with a real RTSP server: for `isolation`."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

from stages.sources.rtsp import RtspSource
from tests.services.cable import Cable
from tests.services.cameras import CameraSite
from tests.services.relay import Mode, Relay

FPS = 25
KEYLESS_S = 30.0
BAD_PASSWORD, GOOD_PASSWORD = "changed", "right"
IDLE = ("nice", "-n", "10")
"""The server that is broken and started again must not take processor time from the others."""


class Fault(ABC):
    """A camera with a fault that begins and ends. Everything that it starts ends with `stack`."""

    outlives: ClassVar[bool] = False
    """It does not end: recovery counts from its beginning."""
    reconnects: ClassVar[bool] = True
    """Recovery is a new connection."""
    once: ClassVar[bool] = False
    """It takes so long that it is done once."""
    transport: ClassVar[str] = "tcp"
    options: ClassVar[tuple[str, ...]] = ()
    clip: ClassVar[str] = "plain"

    def __init__(self, stack: ExitStack, folder: Path, clips: Mapping[str, Path]) -> None:
        self.clips = clips
        self.site = self._site(stack, folder)
        stack.callback(self.site.stop)
        stack.callback(self.site.resume)
        self.site.start()

    def _site(self, stack: ExitStack, folder: Path) -> CameraSite:
        return CameraSite(folder, {"cam": self.clips[self.clip]}, self.options, prefix=IDLE)

    def source(self) -> dict[str, Any]:
        """Keys of the camera's source."""
        return {"url": self.site.url("cam"), "transport": self.transport}

    def due_in_s(self) -> float:
        """How long to wait for the moment at which it is to begin."""
        return 0.0

    @abstractmethod
    def begin(self) -> None:
        """May block."""

    @abstractmethod
    def end(self) -> None:
        """The camera or the network is well again, when this returns. May block."""


class Nothing(Fault):
    """The control: what changes between two times of health."""

    reconnects = False

    def begin(self) -> None:
        """Does nothing."""

    def end(self) -> None:
        """Does nothing."""


class Killed(Fault):
    """SIGKILL; ends when the camera has started again."""

    def begin(self) -> None:
        """See `Fault.begin`."""
        self.site.kill()

    def end(self) -> None:
        """See `Fault.end`."""
        self.site.start()


class Frozen(Fault):
    """SIGSTOP; ends with SIGCONT."""

    def begin(self) -> None:
        """See `Fault.begin`."""
        self.site.pause()

    def end(self) -> None:
        """See `Fault.end`."""
        self.site.resume()


class FrozenUdp(Frozen):
    """The same over UDP."""

    transport = "udp"


class HalfOpen(Fault):
    """Every packet is lost, and no connection closed. `ServiceMissing` where that needs rights."""

    def _site(self, stack: ExitStack, folder: Path) -> CameraSite:
        self._cable = stack.enter_context(Cable("eyrie-bench"))
        prefix = ("ip", "netns", "exec", self._cable.name, *IDLE)
        clips = {"cam": self.clips["plain"]}
        return CameraSite(folder, clips, host=self._cable.far_end, prefix=prefix)

    def begin(self) -> None:
        """See `Fault.begin`."""
        self._cable.cut()

    def end(self) -> None:
        """See `Fault.end`."""
        self._cable.mend()


class Trickle(Fault):
    """20 bytes a second come."""

    mode: ClassVar[Mode] = "trickle"

    def __init__(self, stack: ExitStack, folder: Path, clips: Mapping[str, Path]) -> None:
        super().__init__(stack, folder, clips)
        self._relay = stack.enter_context(Relay(self.site.port, seed=1))

    def source(self) -> dict[str, Any]:
        """See `Fault.source`."""
        return {"url": f"rtsp://127.0.0.1:{self._relay.port}/cam"}

    def begin(self) -> None:
        """See `Fault.begin`."""
        self._relay.mode = self.mode

    def end(self) -> None:
        """See `Fault.end`."""
        self._relay.mode = "pass"
        self._relay.cut()


class Garbage(Trickle):
    """One byte in a hundred is another one."""

    mode = "garble"


class WrongPassword(Fault):
    """The camera gets another password, by a restart, and the right one again by another."""

    options = ("--user", "me", "--password", GOOD_PASSWORD)

    def source(self) -> dict[str, Any]:
        """See `Fault.source`."""
        return {**super().source(), "user": "me", "password": GOOD_PASSWORD, "denied_pause_s": 1}

    def begin(self) -> None:
        """See `Fault.begin`."""
        self._restart(BAD_PASSWORD)

    def end(self) -> None:
        """See `Fault.end`."""
        self._restart(GOOD_PASSWORD)

    def _restart(self, password: str) -> None:
        self.site.kill()
        place = self.site.command.index("--password") + 1
        self.site.command[place] = password
        self.site.start()


class Changed(Fault):
    """The camera restarts with other pictures, and a codec that is another one, in turn."""

    outlives = True
    order: ClassVar[str] = "replace"
    turns: ClassVar[Sequence[str]] = ("hevc", "plain")

    def __init__(self, stack: ExitStack, folder: Path, clips: Mapping[str, Path]) -> None:
        super().__init__(stack, folder, clips)
        self._turns = cycle(self.turns)

    def begin(self) -> None:
        """See `Fault.begin`."""
        self.site.order(f"{self.order} cam {self.clips[next(self._turns)]}")

    def end(self) -> None:
        """Does nothing."""


class Resized(Changed):
    """Pictures of another size, within the running connection."""

    reconnects = False
    order = "switch"
    turns = ("small", "plain")


class Reordered(Changed):
    """The camera restarts with B-frames, and without them, in turn."""

    turns = ("reordered", "plain")


class Keyless(Fault):
    """The connection is lost just behind a key frame, and the next one comes `KEYLESS_S` later;
    ends with it."""

    clip = "keyless"
    once = True

    def __init__(self, stack: ExitStack, folder: Path, clips: Mapping[str, Path]) -> None:
        super().__init__(stack, folder, clips)
        self._relay = stack.enter_context(Relay(self.site.port))
        stack.callback(self._look().close)

    def source(self) -> dict[str, Any]:
        """See `Fault.source`."""
        return {"url": f"rtsp://127.0.0.1:{self._relay.port}/cam"}

    def begin(self) -> None:
        """See `Fault.begin`."""
        self._relay.cut(spare=1)

    def end(self) -> None:
        """See `Fault.end`."""
        time.sleep(self.due_in_s())

    def _look(self) -> RtspSource:
        """Somebody else, who was there first: a camera that nobody looks at begins anew. At the
        same port, for GStreamer has a media of its own for each."""
        viewer, looks = RtspSource("viewer", self.source()["url"]), threading.Event()

        def look() -> None:
            for _ in viewer.frames():
                looks.set()

        threading.Thread(target=look, daemon=True).start()
        if not looks.wait(30):
            raise RuntimeError("the camera does not play")
        return viewer

    def due_in_s(self) -> float:
        """With the next key frame, by the server's word when stream time was 0: the clip loops from
        there."""
        words = [line.split() for line in self.site.log.read_text().splitlines()]
        zero_ns = max(int(line[1]) for line in words if line[:1] == ["zero"])
        passed_s = (time.time_ns() - zero_ns) / 1e9
        return KEYLESS_S - passed_s % KEYLESS_S


FAULTS: Mapping[str, type[Fault]] = {
    "nothing": Nothing,
    "killed": Killed,
    "frozen": Frozen,
    "frozen_udp": FrozenUdp,
    "half_open": HalfOpen,
    "trickle": Trickle,
    "garbage": Garbage,
    "wrong_password": WrongPassword,
    "codec": Changed,
    "b_frames": Reordered,
    "size": Resized,
    "keyless": Keyless,
}
