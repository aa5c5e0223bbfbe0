"""What the sections evidence and privacy may say, and what is refused before anything starts."""

from typing import Any

import pytest

from pipeline.build.detector import least_score_of
from pipeline.build.evidence import make_evidence_outlet, make_pixels
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError

CAMERA = {"id": "gate", "source": {"kind": "rtsp", "url": "rtsp://camera/1"}}
STREET = {"id": "street", "source": {"kind": "street"}}
PEOPLE = ("car", "person")


def parse(stream: dict[str, Any] = CAMERA, **more: Any) -> PipelineConfig:
    return parse_config({"streams": [stream], **more})


def test_nothing_is_kept_or_hidden_unless_it_is_said() -> None:
    config = parse()
    assert config.evidence_of(config.streams[0]) is None
    assert config.privacy_of(config.streams[0]) == "off"
    assert make_evidence_outlet(config) is None
    pixels = make_pixels(config, config.streams[0], (), None)
    assert (pixels.privacy, pixels.recorder, pixels.wanted) == (None, None, False)


def test_a_stream_changes_only_the_keys_that_it_gives() -> None:
    evidence = {"folder": "kept", "events": ["line_cross"], "clip": {"before_s": 3}}
    own = {"snapshot": {"frame": False}}
    config = parse({**CAMERA, "evidence": own}, evidence=evidence)
    wanted = config.evidence_of(config.streams[0])
    assert wanted is not None
    assert wanted.events == ("line_cross",)
    assert wanted.clip is not None
    assert wanted.clip.before_s == 3
    assert wanted.snapshot is not None
    assert (wanted.snapshot.crop, wanted.snapshot.frame) == (True, False)


@pytest.mark.parametrize("own", [{"enabled": False}, {"snapshot": None}])
def test_a_stream_may_keep_nothing(own: dict[str, Any]) -> None:
    config = parse({**CAMERA, "evidence": own}, evidence={"folder": "kept"})
    assert config.evidence_of(config.streams[0]) is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [(False, "off"), (True, "persons"), ("off", "off"), ("faces", "faces"), ("persons", "persons")],
)
def test_privacy_is_on_by_one_key(said: object, meant: str) -> None:
    """YAML reads off as false and on as true."""
    config = parse(privacy=said)
    assert config.privacy_of(config.streams[0]) == meant


def test_a_stream_has_its_own_privacy() -> None:
    config = parse({**CAMERA, "privacy": "faces"}, privacy="off")
    assert config.privacy_of(config.streams[0]) == "faces"
    config = parse({**CAMERA, "privacy": "off"}, privacy="persons")
    assert config.privacy_of(config.streams[0]) == "off"


CLIPS = {"folder": "kept", "clip": {}}


@pytest.mark.parametrize(
    ("stream", "more", "told"),
    [
        (CAMERA, {"evidence": CLIPS, "privacy": "persons"}, "nobody can be hidden.*'gate'"),
        ({**CAMERA, "privacy": "faces"}, {"evidence": CLIPS}, "nobody can be hidden.*'gate'"),
        (STREET, {"evidence": CLIPS}, "kind street has no encoded video.*'street'"),
        ({**CAMERA, "evidence": {}}, {}, r"'gate' wants evidence.*evidence\.folder"),
        (CAMERA, {"evidence": {"snapshot": {}}}, r"evidence\.folder"),
        (CAMERA, {"evidence": {"folder": "kept", "snapshot": {"crop": False, "frame": False}}},
         "leave snapshot out"),
        (CAMERA, {"privacy": "blur"}, "privacy.*'off', 'persons' or 'faces'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(stream: dict[str, Any], more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(stream, **more)


def test_clips_go_with_privacy_of_other_streams() -> None:
    config = parse_config(
        {
            "streams": [CAMERA, {**STREET, "evidence": {"clip": None}, "privacy": "persons"}],
            "evidence": CLIPS,
        }
    )
    outlet = make_evidence_outlet(config)
    camera, street = (make_pixels(config, s, PEOPLE, outlet) for s in config.streams)
    assert camera.ring is not None
    assert camera.privacy is None
    assert street.ring is None
    assert street.privacy is not None


def test_a_model_that_knows_no_people_cannot_hide_them() -> None:
    config = parse(privacy="persons")
    with pytest.raises(ConfigError, match=r"privacy: people cannot be hidden.*car, bus"):
        make_pixels(config, config.streams[0], ("car", "bus"), None)


def test_classes_that_leave_people_out_would_show_them() -> None:
    config = parse(privacy="faces", model={"classes": ["car"]})
    with pytest.raises(ConfigError, match=r"model\.classes: leaves out person.*privacy: off"):
        make_pixels(config, config.streams[0], PEOPLE, None)


def test_with_privacy_the_detector_finds_the_unsure_too() -> None:
    tracking = {"enabled": False}

    def least(*streams: dict[str, Any], score: float = 0.25, **keys: Any) -> float:
        model = {"score_threshold": score}
        return least_score_of(parse(*streams, model=model, tracking=tracking, **keys))

    assert least() == 0.25
    assert least(privacy="faces") == 0.1
    assert least({**CAMERA, "privacy": "faces"}) == 0.1
    assert least(score=0.05, privacy="faces") == 0.05
