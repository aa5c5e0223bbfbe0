"""Decoding by a device. Where there is none, what is said about it; else that it is used."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from pipeline.build.sources import require_devices
from pipeline.build.streams import expand_streams
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError, SourceUnavailable
from pipeline.core.frame import Frame
from stages.base import Decoder, Hwaccel
from stages.sources.file import FileSource
from stages.sources.hardware import KINDS, Hardware, NoDevice, device
from stages.sources.http import HttpSource
from stages.sources.reading import Reading
from stages.sources.rtsp import RtspSource
from tests.services.web import Web
from tests.stages.sources.clips import encode


def why_not(kind: Hwaccel) -> str:
    """Empty: this machine has such a device."""
    try:
        device(kind)
    except NoDevice as missing:
        return str(missing)
    return ""


LACKS = {kind: why_not(kind) for kind in KINDS}
HERE = [kind for kind in KINDS if not LACKS[kind]]
lacked = pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=pytest.mark.skipif(not LACKS[k], reason=f"{k} is here")) for k in KINDS],
)


def read(path: Path, asked: Hwaccel) -> tuple[list[Frame], Decoder | None]:
    source = FileSource("clip", path, Reading(hwaccel=asked), decoder_threads=1)
    frames = list(source.frames())
    return frames, source.counts.decoder


def of_the_same_times(frames: list[Frame], others: list[Frame]) -> bool:
    return [f.info.pts_ns for f in frames] == [f.info.pts_ns for f in others]


@lacked
def test_a_device_that_is_not_there_is_an_error_that_says_why(
    kind: Hwaccel, tmp_path: Path
) -> None:
    clip = encode(tmp_path / "a.mp4", 5)
    source = FileSource("clip", clip, Reading(hwaccel=kind))
    with pytest.raises(SourceUnavailable) as caught:
        next(source.frames())
    assert str(caught.value) == f"stream 'clip': hwaccel {kind}: {LACKS[kind]}"
    assert source.counts.decoded_total == 0


def test_a_build_without_a_kind_says_so() -> None:
    for kind in KINDS:
        built = kind in hwdevices_available()
        assert ("was built without" in LACKS[kind]) == (not built)


@lacked
@pytest.mark.parametrize(
    "make",
    [
        lambda kind: RtspSource("cam", "rtsp://127.0.0.1:9/a", Reading(hwaccel=kind)),
        lambda kind: HttpSource("cam", "http://127.0.0.1:9/a", Reading(live=True, hwaccel=kind)),
    ],
)
def test_it_is_tried_before_a_camera_is_asked(
    kind: Hwaccel, make: Callable[[Hwaccel], RtspSource | HttpSource]
) -> None:
    with pytest.raises(SourceUnavailable, match=f"hwaccel {kind}: "):
        next(make(kind).frames())


@pytest.mark.skipif(bool(HERE), reason="a device is here")
@pytest.mark.parametrize("turn", [0, 90])
def test_auto_falls_back_to_software_with_the_same_pictures(turn: int, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 20, turn=turn)
    plain, known = read(clip, "none")
    frames, decoder = read(clip, "auto")
    assert known == Decoder("none")
    assert decoder == Decoder("auto", why="; ".join(LACKS.values()))
    assert str(decoder) == f"software ({LACKS['cuda']}; {LACKS['vaapi']})"
    assert len(frames) == 20
    assert of_the_same_times(frames, plain)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, plain, strict=True))


@pytest.mark.skipif(not HERE, reason="; ".join(LACKS.values()))
def test_a_device_gives_the_same_kind_of_frames(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 20, size=(320, 240), turn=90)
    plain, _ = read(clip, "none")
    frames, decoder = read(clip, HERE[0])
    assert decoder == Decoder(HERE[0], used=HERE[0])
    assert of_the_same_times(frames, plain)
    for frame, other in zip(frames, plain, strict=True):
        assert frame.image.shape == other.image.shape
        assert np.abs(frame.image.astype(int) - other.image).mean() < 3


def test_auto_by_http(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", 20)
    with Web(tmp_path) as web:
        source = HttpSource("web", f"{web.url}/a.mp4", Reading(live=False, hwaccel="auto"))
        assert len(list(source.frames())) == 20
    assert source.counts.decoder is not None
    assert source.counts.decoder.asked == "auto"


def config(stream: dict[str, object], **top: object) -> PipelineConfig:
    return parse_config({"streams": [{"id": "a", **stream}], **top})


def expanded(stream: dict[str, object], **top: object) -> StreamConfig:
    (found,) = expand_streams(config(stream, **top))
    return found


CAMERA = {"kind": "rtsp", "url": "rtsp://127.0.0.1/a"}


def test_the_top_level_is_for_streams_that_say_nothing() -> None:
    assert expanded({"source": CAMERA}).hwaccel == "none"
    assert expanded({"source": CAMERA}, hwaccel="auto").hwaccel == "auto"
    assert expanded({"source": CAMERA, "hwaccel": "none"}, hwaccel="auto").hwaccel == "none"
    assert expanded({"source": {"kind": "street"}}, hwaccel="auto").hwaccel is None
    with pytest.raises(ConfigError, match="hwaccel is not for a source of kind street"):
        config({"source": {"kind": "street"}, "hwaccel": "auto"})
    with pytest.raises(ConfigError, match="hwaccel"):
        config({"source": CAMERA, "hwaccel": "gpu"})


@lacked
def test_a_run_that_cannot_have_it_does_not_start(kind: Hwaccel) -> None:
    streams = expand_streams(config({"source": CAMERA, "hwaccel": kind}))
    with pytest.raises(ConfigError) as caught:
        require_devices(streams)
    assert str(caught.value) == (
        f"streams.a.hwaccel: {kind}: {LACKS[kind]}; auto decodes in software where there is"
        " no device"
    )
    require_devices(expand_streams(config({"source": CAMERA, "hwaccel": "auto"})))


def test_ffmpeg_is_new_enough() -> None:
    assert av.library_versions["libavcodec"] >= (60,)
    assert Hardware("a", "none").open() is None
