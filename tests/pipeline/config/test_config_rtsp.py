"""The section of a camera: what is refused, and that no secret is ever shown."""

from typing import Any

import pytest

from pipeline.config import PipelineConfig, RtspSourceConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError


def parsed(**source: Any) -> PipelineConfig:
    keys = {"kind": "rtsp", "url": "rtsp://cam/1", **source}
    return parse_config({"streams": [{"id": "gate", "source": keys}]}, {"SECRET": "hunter2"})


def test_secrets_come_from_the_environment_and_are_shown_nowhere() -> None:
    config = parsed(user="vie@wer", password="${SECRET}:@/?#%")
    source = config.streams[0].source
    assert isinstance(source, RtspSourceConfig)
    assert source.password is not None
    assert source.password.get_secret_value() == "hunter2:@/?#%"
    for shown in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert "hunter2" not in shown
        assert "vie@wer" not in shown


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"url": "rtsp://me:hunter2@cam/1"}, "into their own keys"),
        ({"url": "rtsp://me:hunter2@cam:port/1"}, "port that is a number"),
        ({"user": "me:hunter2", "password": "x"}, "colon"),
        ({"user": "me", "password": "hunter2\n"}, "control characters"),
        ({"user": "me", "password": "hunter2" * 20}, "at most 127"),
        ({"user": ["hunter2"]}, "valid string"),
        ({"password": ["hunter2"]}, "valid string"),
        ({"url": "rtsps://cam/hunter2", "transport": "udp"}, "transport must be tcp"),
        ({"tls": {"verify": False}}, "begins with rtsps://"),
        ({"url": "rtsps://cam/1", "tls": {"verify": False, "ca_file": "a.pem"}}, "no use"),
    ],
)
def test_what_cannot_work_is_refused_without_showing_it(source: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parsed(**source)
    assert str(caught.value).startswith("streams[0].source")
    assert "hunter2" not in str(caught.value)
