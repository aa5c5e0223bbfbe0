"""Every wrong key is refused with its path and what is allowed."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipeline.build.streams import expand_streams
from pipeline.config import KafkaSinkConfig
from pipeline.config.file import load_config, parse_config
from pipeline.core.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
GOOD: dict[str, Any] = {
    "streams": [{"id": "gate", "source": {"kind": "rtsp", "url": "rtsp://camera/1"}}],
    "sinks": [{"kind": "kafka", "bootstrap_servers": "a:1,b:2", "topic": "t"}],
}
FILE = {"kind": "file", "path": "a.mp4"}
REDIS = {"kind": "redis"}
CAMERA = "rtsp://me:hunter2@camera/1"
FILES = {"kind": "files", "pattern": CAMERA}
HOOK = {"kind": "webhook", "url": "http://h/x"}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good configuration with one key set; a number steps into a list."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    node: Any = data
    for step in parents:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    node[int(last) if isinstance(node, list) else last] = value
    return data


def test_defaults_fit() -> None:
    config = parse_config(GOOD)
    assert isinstance(config.sinks[0], KafkaSinkConfig)
    assert config.sinks[0].bootstrap_servers == ("a:1", "b:2")
    assert config.streams[0].live


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "sinks.0.topik",
            "x",
            r"^sinks\[0\]\.topik: unknown key; allowed here: .*bootstrap_servers,",
        ),
        ("sinks.0.topic", 3, r"^sinks\[0\]\.topic: .*string, not 3"),
        ("sinks.0.kind", "kafk", r"^sinks\[0\]: kind 'kafk' is not one of 'jsonl', 'kafka'"),
        ("sinks.0.password", "p", r"^sinks\[0\]: user, password and sasl_mechanism are given tog"),
        ("streams.0.source.user_name", "u", r"^streams\[0\]\.source\.user_name: unknown key"),
        ("streams.0.source.url", "http://x", r"^streams\[0\]\.source\.url: "),
        ("streams.0.when_full", "wait", r"^streams\[0\]\.when_full: .*'block', 'drop_oldest'"),
        ("streams.0.id", "a b", r"^streams\[0\]\.id: "),
        ("streams", [], r"^streams: "),
        ("model.score_threshold", 2, r"^model\.score_threshold: .*not 2$"),
        ("batch.size", 0, r"^batch\.size: .*greater than or equal to 1"),
        ("tracking.high_score", 0.9, r"^tracking: low_score <= high_score <= birth_score"),
        ("streams.0.id", "a" * 129, r"^streams\[0\]\.id: .*at most 128 characters"),
        (
            "streams.0.source",
            FILE | {"path": "a\0"},
            r"^streams\[0\]\.source\.path: no path has a NUL",
        ),
        ("sinks.0", {"kind": "jsonl", "path": "a\0"}, r"^sinks\[0\]\.path: no path has a NUL"),
        ("streams.0.source", FILE | {"path": "a\ud800"}, "path: has half of a character"),
        ("streams.0.lines", [{"name": "l", "start": [float("nan"), 1], "end": [0, 0]}], "finite"),
        ("streams.0.lines", [{"name": "l", "start": [0, 0], "end": [1e155, 9]}], "equal to 100000"),
        ("streams.0.lines", 3, r"^streams\[0\]\.lines: Input should be a valid list, not 3$"),
        ("sinks.0", REDIS | {"url": "redis://h/0?foo=bar"}, r"^sinks\[0\]\.url: the address takes"),
        ("sinks.0", REDIS | {"url": "redis://h/0?db=x"}, r"^sinks\[0\]\.url: the address takes"),
        ("sinks.0", REDIS | {"url": "redis://h/zero"}, r"^sinks\[0\]\.url: the address takes"),
        ("sinks.0", REDIS | {"url": "redis://[::1/0"}, r"^sinks\[0\]\.url: .*valid host"),
        ("streams.0.source", FILE | {"path": ""}, r"^streams\[0\]\.source\.path: is empty$"),
        ("batch.size", True, r"^batch\.size: must be a number, not true$"),
        ("workers", -1, r"^workers: must be auto or a whole number from 0 to 256, not -1$"),
        ("workers", True, r"^workers: must be auto or a whole number from 0 to 256, not True$"),
        ("workers", "many", r"^workers: must be auto or a whole number .*, not 'many'$"),
        ("streams.0.fps", True, r"^streams\[0\]\.fps: must be a number, not true$"),
        ("streams.0.priority", False, r"^streams\[0\]\.priority: must be a number, not false$"),
        ("streams.0.source.read_timeout_s", True, r"read_timeout_s: must be a number, not true$"),
        ("zones", {}, r"^zones: unknown key; allowed here: batch, "),
    ],
)
def test_a_wrong_key_is_named(path: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(changed(path, value))


def test_impossible_combinations_are_refused() -> None:
    line = {"name": "l", "start": [0, 0], "end": [9, 9]}
    lines = changed("streams.0.lines", [line])
    with pytest.raises(ConfigError, match="lines, zones, planes are about tracks"):
        parse_config({**lines, "tracking": {"enabled": False}})
    with pytest.raises(ConfigError, match="stream ids must differ, but 'gate' is there 2 times"):
        parse_config({**GOOD, "streams": GOOD["streams"] * 2})
    two = [{"id": name, "source": {"kind": "street"}} for name in "ab"]
    video = {"kind": "video", "path": "x.mp4"}
    with pytest.raises(ConfigError, match=r"needs \{stream_id\} in its path"):
        expand_streams(parse_config({"streams": two, "sinks": [video]}))


@pytest.mark.parametrize("kinds", [("jsonl", "jsonl"), ("video", "video"), ("jsonl", "video")])
def test_two_sinks_on_one_file_are_refused(kinds: tuple[str, str]) -> None:
    sinks = [
        {"kind": kind, "path": f"{folder}out/{{stream_id}}"}
        for kind, folder in zip(kinds, ("", "./"), strict=True)
    ]
    with pytest.raises(ConfigError, match=r"sinks\[1\]\.path: .* which sinks\[0\] writes"):
        expand_streams(parse_config({**GOOD, "sinks": sinks}))


@pytest.mark.parametrize(
    "source",
    [
        FILE | {"path": CAMERA},
        FILE | {"kind": "images", "path": CAMERA},
        FILES,
        {"kind": "webcam", "device": CAMERA},
    ],
)
def test_an_address_in_place_of_a_path_is_refused_and_not_shown(source: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="cameras have the kind rtsp") as caught:
        parse_config(changed("streams.0.source", source))
    assert "hunter2" not in str(caught.value)


def test_redis_over_a_socket_may_name_its_database() -> None:
    parse_config(changed("sinks.0", {"kind": "redis", "url": "unix:///run/redis.sock?db=2"}))


def test_passwords_never_show() -> None:
    secret = "hunter2"
    with pytest.raises(ConfigError) as in_address:
        parse_config(changed("streams.0.source.url", f"rtsp://admin:{secret}@camera/1"))
    with pytest.raises(ConfigError) as of_wrong_type:
        parse_config(changed("sinks.0.password", [secret]))
    assert secret not in f"{in_address.value}{of_wrong_type.value}"
    data = changed("streams.0.source", {**GOOD["streams"][0]["source"], "password": secret})
    assert secret not in repr(parse_config(data))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("streams", CAMERA, "should be a valid list"),
        ("streams.0", CAMERA, "valid dictionary"),
        ("streams.0.source", CAMERA, "valid dictionary"),
        ("streams.0.id", CAMERA, "match pattern"),
        ("streams.0.source.kind", CAMERA, "the address is not one of"),
        ("streams.0.source.password:hunter2", None, "source.password: unknown key; a blank is"),
        ("sinks.0.bootstrap_servers", "me:hunter2@a:1", "HOST:PORT alone"),
        ("sinks.0", REDIS | {"url": "redis://me:hunter2/0"}, "needs a valid host"),
        ("sinks.0", HOOK | {"headers": {"X-Key:hunter2": "x"}}, "'X-Key' is no header"),
        ("model.name", b"hunter2\xff", "valid string"),
    ],
)
def test_a_password_in_the_wrong_place_is_not_shown(path: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(path, value))
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("streams.0.fps", "valid number, unable to parse string as a number, not '${PW}'"),
        ("streams.0.id", "not 'a-${PW}'"),
        ("workers", "must be auto or a whole number from 0 to 256, not '${PW}'"),
    ],
)
def test_the_value_of_a_variable_is_not_shown(path: str, said: str) -> None:
    value = said.rpartition("'")[0].rpartition("'")[2]
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(path, value), env={"PW": "hunter2\nhunter2"})
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}"], ids=["aliases", "merged"])
def test_aliases_that_multiply_are_refused(tmp_path: Path, item: str) -> None:
    nine = [item.format(", ".join([f"*x{i}"] * 9)) for i in range(12)]
    lines = [f"x{i}: &x{i} {value}" for i, value in enumerate(nine, 1)]
    path = tmp_path / "c.yaml"
    path.write_text("\n".join(["x0: &x0 {a: 1, b: 2}", *lines]))
    with pytest.raises(ConfigError, match=r"aliases make more than 1000000 values of it, line \d"):
        load_config(path)


def test_environment_variables_fill_in() -> None:
    data = changed("sinks.0.topic", "${SITE}-detections")
    config = parse_config(data, env={"SITE": "north"})
    assert isinstance(config.sinks[0], KafkaSinkConfig)
    assert config.sinks[0].topic == "north-detections"
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.topic: the environment variable SITE"):
        parse_config(data, env={})


def test_set_changes_one_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("streams: [{id: a, source: {kind: street}}]\nsinks: [{kind: jsonl, path: x}]\n")
    config = load_config(path, ["batch.size=9", "streams.0.id=b", "sinks.0.path=-"])
    assert (config.batch.size, config.streams[0].id) == (9, "b")
    for wrong in (
        "batch.hunter2",
        "sinks.7.path=hunter2",
        "sinks.a.path=hunter2",
        "sinks.².path=hunter2",
        ".=hunter2",
        "batch.size=[hunter2",
        "batch.size=*hunter2",
        "batch.size=2024-99-99",
        "batch.size=hunter2",
        "streams.0=hunter2",
    ):
        with pytest.raises(ConfigError, match=r"^--set: |, not '<--set [a-z.0]+>'$") as caught:
            load_config(path, [wrong])
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run_id: 2024-99-99", "no such date or number; put text in quotes, line 2, column 9"),
        ("run_id: 0b_", "no such date or number"),
        ("run_id: " + "[" * 3000, "nested too deeply"),
        ("run_id: &a [*a]", "nested too deeply"),
        ("streams: []", "the key streams is there twice, line 2, column 1"),
        ("password: 'hunter2\n  x: y", "unexpected end of stream, line 4"),
        ("password: [hunter2: 'x' y", "expected ',' or ']', but got '<scalar>', line 2"),
        ("password: *hunter2", "found undefined alias, line 2"),
        ("password: !it's-hunter2 x", "a constructor for the tag, line 2"),
    ],
)
def test_yaml_that_cannot_be_read_is_placed_but_not_shown(
    tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"streams: [{{id: a, source: {{kind: street}}}}]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("preset", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_are_right(preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "x")
    monkeypatch.setenv("REDIS_PASSWORD", "x")
    assert load_config(preset).sinks
