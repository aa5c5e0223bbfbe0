"""The RTSP server of the tests serves what later tests count on."""

import av
import pytest

TIMEOUT_S = 10


@pytest.mark.parametrize("clip", ["people", "cars"])
def test_ten_frames(rtsp_server: str, clip: str) -> None:
    options = {"rtsp_transport": "tcp"}
    with av.open(f"{rtsp_server}/{clip}", options=options, timeout=TIMEOUT_S) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(10), strict=False)]
    assert len(frames) == 10
    assert all(frame.width > 0 and frame.height > 0 for frame in frames)
    times = [frame.pts for frame in frames if frame.pts is not None]
    assert times == sorted(set(times))
