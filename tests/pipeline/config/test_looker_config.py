"""The keys `camera_motion` and `tracking.appearance`."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.build.looker import make_looker, open_embedder
from pipeline.build.streams import make_tracker
from pipeline.config import PipelineConfig
from pipeline.config.file import load_config, parse_config
from pipeline.core.errors import ConfigError
from stages.look import PixelLooker
from tests.stages.colour_model import colour_model


def config(stream: dict[str, Any] | None = None, **tracking: Any) -> PipelineConfig:
    source = {"kind": "street", "seed": 1}
    return parse_config(
        {"streams": [{"id": "a", "source": source, **(stream or {})}], "tracking": tracking}
    )


def method(of: PipelineConfig) -> str:
    return of.camera_motion_of(of.streams[0])


def test_off_is_the_default_and_makes_nothing() -> None:
    with contextlib.ExitStack() as stack:
        embedder = open_embedder(config(), stack)
    assert embedder is None
    assert make_looker(config().streams[0], config(), embedder) is None


def test_a_stream_says_what_differs_from_all() -> None:
    assert method(config(camera_motion="flow")) == "flow"
    assert method(config({"camera_motion": "ecc"}, camera_motion="flow")) == "ecc"
    assert method(config({"camera_motion": "off"}, camera_motion="flow")) == "off"
    assert method(config({"camera_motion": "flow"}, enabled=False)) == "off"


def test_off_and_on_of_yaml_are_understood(tmp_path: Path) -> None:
    for word, meant in (("off", "off"), ("on", "flow"), ("ecc", "ecc")):
        path = tmp_path / "config.yaml"
        path.write_text(
            "streams: [{id: a, source: {kind: street}}]\n"
            "sinks: [{kind: jsonl, path: out.jsonl}]\n"
            f"tracking: {{camera_motion: {word}}}\n"
        )
        assert method(load_config(path)) == meant


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.camera_motion"):
        config(camera_motion="orb")


def test_the_tracker_gets_its_own_keys_only() -> None:
    assert make_tracker(config(camera_motion="flow", lost_s=2).tracking) is not None


def test_a_model_of_appearance_is_opened_once_for_all_streams(tmp_path: Path) -> None:
    model = colour_model(tmp_path / "colour.onnx")
    asked = config(appearance={"model": model, "mean": [0, 0, 0], "std": [1, 1, 1]})
    with contextlib.ExitStack() as stack:
        embedder = open_embedder(asked, stack)
        assert embedder is not None
        assert embedder.dimensions == 3
        looker = make_looker(asked.streams[0], asked, embedder)
        assert isinstance(looker, PixelLooker)
        assert looker.camera is None


@pytest.mark.parametrize("given", ["missing", "text", "other"])
def test_models_that_cannot_be_used_are_refused_with_the_key(tmp_path: Path, given: str) -> None:
    path = tmp_path / f"{given}.onnx"
    if given == "text":
        path.write_text("not a model")
    if given == "other":
        colour_model(path, ("n", 1, 32, 16), operator="Identity")
    said = {"missing": "no such file", "text": "not an ONNX file", "other": "neither"}[given]
    with contextlib.ExitStack() as stack, pytest.raises(ConfigError) as refused:
        open_embedder(config(appearance={"model": path}), stack)
    assert str(refused.value).startswith("tracking.appearance.model: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
