"""A camera that costs next to nothing: RTSP over TCP, pictures encoded and cut into packets before.

    python -m benchmarks.rtsp_streams.server --port P NAME=CLIP.mp4 ...

Each clip, H.264 without B-frames, loops at rtsp://127.0.0.1:P/NAME for every client from its first
picture on, with times that go on and a sender report a second (RFC 2326, 3550, 6184). A picture is
due at its own time, which the reports give as the time of its capture; sending one is one call.
Says "ready" when it listens. Only what FFmpeg asks is answered; a client is never refused.
"""

import argparse
import asyncio
import base64
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

RATE_HZ: Final = 90_000
FIRST_STAMP: Final = 900_000
MOST_BYTES: Final = 1400
PAYLOAD_TYPE: Final = 96
_HEADER: Final = struct.Struct(">cBHBBHII")  # interleaved frame (RFC 2326, 10.12), then RTP's
_PLACE: Final = struct.Struct(">HI")  # sequence number and time within it
_PLACE_AT: Final = 6
_REPORT: Final = struct.Struct(">cBHBBHIIIIII")
_1900_S: Final = 2_208_988_800
"""From the epoch of NTP to that of Unix."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Its packets, one behind the other, and where each begins."""

    packets: bytearray
    starts: tuple[int, ...]


class Clip:
    """A file's pictures as packets."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            self.sets = _parameter_sets(stream.codec_context.extradata or b"")
            units = [bytes(packet) for packet in container.demux(stream) if packet.size]
            self.period_s = 1 / float(stream.average_rate or 25)
        self.pictures = [_picture(list(_nals(unit))) for unit in units]
        keys = [*self.sets, *_nals(units[0])]
        self.pictures[0] = _picture(keys)

    def description(self, name: str) -> str:
        """SDP (RFC 4566, 6184)."""
        sets = ",".join(base64.b64encode(each).decode() for each in self.sets)
        return (
            f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/{RATE_HZ}\r\n"
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}\r\n"
            "a=control:track\r\n"
        )


def _parameter_sets(configuration: bytes) -> list[bytes]:
    """SPS and PPS of an AVCDecoderConfigurationRecord (ISO 14496-15, 5.2.4.1)."""
    found, at = [], 5
    for mask in (0x1F, 0xFF):
        count, at = configuration[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(configuration[at : at + 2], "big")
            found.append(configuration[at + 2 : at + 2 + size])
            at += 2 + size
    return found


def _nals(unit: bytes) -> Iterator[bytes]:
    """The NAL units of a picture, each behind its length in four bytes."""
    at = 0
    while at + 4 < len(unit):
        size = int.from_bytes(unit[at : at + 4], "big")
        yield unit[at + 4 : at + 4 + size]
        at += 4 + size


def _payloads(nal: bytes) -> Iterator[bytes]:
    """A NAL unit whole, or in fragments (FU-A, RFC 6184, 5.8)."""
    if len(nal) <= MOST_BYTES:
        yield nal
        return
    indicator, kind, body = nal[0] & 0xE0 | 28, nal[0] & 0x1F, nal[1:]
    for at in range(0, len(body), MOST_BYTES):
        first, last = at == 0, at + MOST_BYTES >= len(body)
        yield bytes((indicator, first << 7 | last << 6 | kind)) + body[at : at + MOST_BYTES]


def _picture(nals: list[bytes]) -> Picture:
    payloads = [payload for nal in nals for payload in _payloads(nal)]
    packets, starts = bytearray(), []
    for number, payload in enumerate(payloads):
        starts.append(len(packets))
        marker = (number == len(payloads) - 1) << 7
        size = 12 + len(payload)
        packets += _HEADER.pack(b"$", 0, size, 0x80, marker | PAYLOAD_TYPE, 0, 0, 1) + payload
    return Picture(packets, tuple(starts))


class Client:
    """One connection: its requests, and one clip played to it."""

    def __init__(self, clips: dict[str, Clip]) -> None:
        self._clips = clips
        self._playing: asyncio.Task[None] | None = None
        self._sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until it leaves."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                while head[:1] == b"$":  # a receiver's report
                    head = head[4 + int.from_bytes(head[2:4], "big") :]
                if head:
                    self._answer(head.decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            if self._playing is not None:
                self._playing.cancel()
            writer.close()

    def _answer(self, request: str, writer: asyncio.StreamWriter) -> None:
        method, url, _ = request.split("\r\n")[0].split(" ")
        number = next(line for line in request.split("\r\n") if line.lower().startswith("cseq"))
        name = url.split("/")[3]
        said, body = [number, "Session: 1;timeout=3600"], ""
        if method == "OPTIONS":
            said.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
        elif method == "DESCRIBE":
            body = self._clips[name].description(name)
            said += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            said.append(f"Content-Base: {url}/")
        elif method == "SETUP":
            said.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001")
        writer.write(("RTSP/1.0 200 OK\r\n" + "\r\n".join(said) + "\r\n\r\n" + body).encode())
        if method == "PLAY" and self._playing is None:
            self._playing = asyncio.create_task(self._play(self._clips[name], writer))

    async def _play(self, clip: Clip, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        began_s, began_utc_s, number = loop.time(), time.time(), 0
        while not writer.is_closing():
            elapsed_s = number * clip.period_s
            await asyncio.sleep(max(began_s + elapsed_s - loop.time(), 0))
            stamp = FIRST_STAMP + round(elapsed_s * RATE_HZ) & 0xFFFFFFFF
            if number % round(1 / clip.period_s) == 0:
                writer.write(self._report(began_utc_s + elapsed_s, stamp))
            writer.write(self._stamped(clip.pictures[number % len(clip.pictures)], stamp))
            number += 1

    def _stamped(self, picture: Picture, stamp: int) -> bytes:
        for start in picture.starts:
            _PLACE.pack_into(picture.packets, start + _PLACE_AT, self._sent & 0xFFFF, stamp)
            self._sent += 1
        return bytes(picture.packets)

    def _report(self, utc_s: float, stamp: int) -> bytes:
        """A sender report (RFC 3550, 6.4.1) in its own interleaved frame."""
        seconds = int(utc_s)
        fraction = int((utc_s - seconds) * 2**32)
        times = (seconds + _1900_S & 0xFFFFFFFF, fraction, stamp)
        return _REPORT.pack(b"$", 1, 28, 0x80, 200, 6, 1, *times, self._sent & 0xFFFFFFFF, 0)


async def serve(port: int, clips: dict[str, Clip]) -> None:
    """For ever."""
    server = await asyncio.start_server(
        lambda reader, writer: Client(clips).serve(reader, writer), "127.0.0.1", port
    )
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="Cameras that cost next to nothing.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("cameras", nargs="+", metavar="NAME=CLIP.mp4")
    arguments = parser.parse_args()
    paths = {
        name: Path(path) for name, _, path in (each.partition("=") for each in arguments.cameras)
    }
    made = {path: Clip(path) for path in set(paths.values())}
    asyncio.run(serve(arguments.port, {name: made[path] for name, path in paths.items()}))


if __name__ == "__main__":
    main()
