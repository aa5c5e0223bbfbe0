"""What decides the messages of a batch, and what is kept out of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.batch.settings import FrameByFrame, Identity, load
from pipeline.core.errors import ConfigError
from tests.pipeline.batch.cheap import BarDetector
from tests.stages.sources.clips import scene


def test_keys_come_from_the_file_then_set_then_options(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("model: {score_threshold: 0.5}\nfps: 5\n"
                    "lines: [{name: door, start: [0, 0], end: [9, 9]}]\n")  # fmt: skip
    settings = load(path, ["tracking.lost_s=2"], {"model.score_threshold": 0.6, "fps": None})
    config = settings.config_for(Path("/v/a b.mp4"), "a", "r1")
    assert config.model.score_threshold == 0.6
    assert config.tracking.lost_s == 2
    stream = config.streams[0]
    assert (stream.id, stream.fps, stream.lines[0].name) == ("a", 5, "door")
    assert stream.source.kind == "file"
    assert (stream.source.path, stream.source.decoder_threads) == (Path("/v/a b.mp4"), 1)
    assert config.run_id == "r1"


def test_the_number_of_threads_is_fixed_whatever_the_machine_has() -> None:
    assert load(None, (), {}).template.model.threads == 1
    assert load(None, ["model.threads=3"], {}).template.model.threads == 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("streams=[]", "streams: not a key of a batch, which takes model, tracking, batch, fps"),
        ("sinks=[]", "sinks: not a key of a batch"),
        ("fps=-1", "fps: "),
        ("model.nme=x", "model.nme: unknown key"),
        ("lines=[{name: a}]", "lines[0]: a line has start and end, or points"),
    ],
)
def test_wrong_keys_are_named_as_they_were_given(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(said)):
        load(None, [override], {})


def identity(*overrides: str) -> Identity:
    return load(None, overrides, {}).identity(BarDetector())


def test_only_what_can_change_a_byte_is_in_the_identity() -> None:
    same = identity()
    assert identity("batch.size=8") == same
    assert identity("model.name=elsewhere/same.onnx") == same  # its hash is what counts
    assert identity("model.engine=onnxruntime") == same  # and what `auto` came to
    assert identity("model.threads=2").differs_in(same) == ["model.threads: 2, not 1"]
    assert identity("fps=5").differs_in(same) == ["fps: 5.0, not None"]
    assert identity("tracking.lost_s=3") != same


def test_the_run_id_stands_for_settings_and_content_and_not_for_versions() -> None:
    same = identity()
    assert same.run_id("c1") == identity().run_id("c1")
    assert same.run_id("c1") != same.run_id("c2")
    assert same.run_id("c1") != identity("fps=5").run_id("c1")
    newer = Identity({**same.deciding, "eyrie": "99", "numpy": "99"}, same.machine)
    assert newer != same
    assert newer.run_id("c1") == same.run_id("c1")


def test_a_picture_is_always_alone_in_its_batch() -> None:
    images = [scene(index, 64, 48) for index in range(5)]
    inner = BarDetector()
    together = inner.detect(images)
    alone = [found for image in images for found in inner.detect([image])]
    wrapped = FrameByFrame(inner).detect(images)
    assert not np.array_equal(together[0].score, alone[0].score)  # the vice is there
    for one, other in zip(wrapped, alone, strict=True):
        assert np.array_equal(one.score, other.score)
        assert np.array_equal(one.xyxy, other.xyxy)
