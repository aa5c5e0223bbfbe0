"""Plans and timing caches as files: whole, keyed, and never given to TensorRT when they are not."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt import TensorRtEngine
from detectors.engines.tensorrt.plan import MAGIC, PlanCache, PlanError, is_plan, read, write
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.probe import Gpu
from pipeline.core.errors import EngineLoadError
from tests.detectors.engines.tensorrt.conftest import MakePlatform
from tests.detectors.engines.tensorrt.contracted import VERSIONS, World
from tests.detectors.engines.tensorrt.small_network import network, quantized, saved

OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def load(path: Path, cache: Path, platform: Platform, max_batch: int = 4) -> TensorRtEngine:
    return TensorRtEngine(path, EngineOptions(max_batch=max_batch, cache=cache), platform)


def the_plan(cache: Path) -> Path:
    (path,) = cache.glob("*.plan")
    return path


def test_second_start_builds_nothing(
    version: str, make_platform: MakePlatform, int8_file: Path, cache: Path, world: World
) -> None:
    for _ in range(2):
        load(int8_file, cache, make_platform(version)).close()
    assert world.builds == 1
    assert sorted(path.suffix for path in cache.iterdir()) == [".cache", ".plan"]
    plan = read(the_plan(cache))
    assert (plan.key.tensorrt, plan.key.architecture, plan.gpu) == (version, "sm90", "Fake GPU")
    assert plan.planned_int8 == ("/stem/Conv", "/boxes/Conv", "/scores/Conv")
    assert is_plan(the_plan(cache))


@pytest.mark.parametrize("what", ["version", "gpu", "file", "options"])
def test_what_differs_is_built_anew(
    make_platform: MakePlatform,
    int8_file: Path,
    cache: Path,
    world: World,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    deserialized = world.deserialized
    platform, max_batch = make_platform(OLDEST), 4
    with caplog.at_level(logging.INFO):
        match what:
            case "version":
                platform = make_platform(NEWEST)
            case "gpu":
                platform = make_platform(OLDEST, gpu=Gpu("Other", (8, 6), 2**33))
            case "file":
                saved(quantized(skip=("/boxes/Conv",)), int8_file)
            case "options":
                max_batch = 8
        load(int8_file, cache, platform, max_batch)
    assert world.builds == 2
    assert world.deserialized == deserialized + 2  # to inspect it, and to run it: the new one alone
    assert "building" in caplog.text


def test_a_plan_of_another_version_in_its_place_is_named(
    make_platform: MakePlatform, int8_file: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    with caplog.at_level(logging.WARNING):
        load(int8_file, cache, make_platform(NEWEST))
    assert f"is for tensorrt {OLDEST} and not {NEWEST}; building anew" in caplog.text
    assert read(the_plan(cache)).key.tensorrt == NEWEST


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "header", "short"])
def test_damaged_plan_is_built_anew_and_never_reaches_tensorrt(
    make_platform: MakePlatform,
    int8_file: Path,
    cache: Path,
    world: World,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    path = the_plan(cache)
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-7],
            "flipped": content[:-1] + bytes([content[-1] ^ 1]),
            "empty": b"",
            "foreign": b"ftrt" + content[100:],
            "header": content.replace(b'"typing"', b'"tipyng"'),
            "short": MAGIC + b"\xff",
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        load(int8_file, cache, make_platform(OLDEST))
    assert world.builds == 2
    assert "building anew" in caplog.text
    assert path.read_bytes() == content


def test_a_plan_file_can_be_given_itself(
    version: str, make_platform: MakePlatform, int8_file: Path, cache: Path, world: World
) -> None:
    load(int8_file, cache, make_platform(version))
    engine = load(the_plan(cache), cache, make_platform(version), max_batch=2)
    assert world.builds == 1
    assert (engine.precision, engine.batch_limit) == ("int8", 4)
    assert engine.metadata["made"] == "here"


def test_a_plan_file_for_elsewhere_is_refused(
    make_platform: MakePlatform, int8_file: Path, cache: Path, world: World
) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    path, seen = the_plan(cache), world.deserialized
    with pytest.raises(
        PlanError, match=rf"TensorRT {OLDEST} on sm90, and this is TensorRT {NEWEST}"
    ):
        load(path, cache, make_platform(NEWEST))
    with pytest.raises(PlanError, match=r"this is TensorRT 10\.6\.0 on sm86"):
        load(path, cache, make_platform(OLDEST, gpu=Gpu("Other", (8, 6), 2**33)))
    with pytest.raises(PlanError, match="batches of up to 4, not the 8 of max_batch"):
        load(path, cache, make_platform(OLDEST), max_batch=8)
    options = EngineOptions(max_batch=4, precision="fp16")
    with pytest.raises(EngineLoadError, match="in int8, not in fp16"):
        TensorRtEngine(path, options, make_platform(OLDEST))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PlanError, match="checksum is wrong"):
        load(path, cache, make_platform(OLDEST))
    assert (world.deserialized, world.builds) == (seen, 1)


def test_header_that_names_other_tensors_is_refused(
    make_platform: MakePlatform, int8_file: Path, cache: Path
) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    path = the_plan(cache)
    write(path, replace(read(path), outputs=("boxes", "marks")))
    with pytest.raises(EngineLoadError, match=r"outputs \['boxes', 'scores'\], but its header"):
        load(path, cache, make_platform(OLDEST))


def test_folder_that_takes_nothing_costs_only_the_cache(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        engine = load(int8_file, tmp_path / "file", make_platform(NEWEST))
    assert engine.precision == "int8"
    assert "not kept" in caplog.text


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detectors.engines.tensorrt.plan import write_whole

    path = tmp_path / "x.plan"
    write_whole(path, b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.plan", b"old")]


def test_timings_are_used_again_and_survive_damage(
    version: str,
    make_platform: MakePlatform,
    int8_file: Path,
    tmp_path: Path,
    cache: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform = make_platform(version)
    load(int8_file, cache, platform)
    key = read(the_plan(cache)).key
    assert PlanCache(cache).timings(key) == f"timings {version}".encode()
    (timing,) = cache.glob("*.cache")
    timing.write_bytes(b"x" * 40)
    other = saved(network(seed=1), tmp_path / "other.onnx")
    with caplog.at_level(logging.WARNING):
        load(other, cache, platform)
    assert "is damaged; starting an empty one" in caplog.text
    assert PlanCache(cache).timings(key) == f"timings {version}".encode()


def test_refused_timings_start_an_empty_cache(
    make_platform: MakePlatform, int8_file: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform = make_platform(NEWEST)
    load(int8_file, cache, platform)
    kept = PlanCache(cache)
    kept.keep_timings(read(the_plan(cache)).key, b"of another kind")
    the_plan(cache).unlink()
    with caplog.at_level(logging.WARNING):
        load(int8_file, cache, platform)
    assert "refuses the timing cache" in caplog.text


def test_default_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    assert PlanCache(None).folder == tmp_path / "eyrie" / "tensorrt"


def test_header_is_json(make_platform: MakePlatform, int8_file: Path, cache: Path) -> None:
    load(int8_file, cache, make_platform(OLDEST))
    content = the_plan(cache).read_bytes()
    start = len(MAGIC) + 4
    length = int.from_bytes(content[len(MAGIC) : start], "little")
    assert json.loads(content[start : start + length])["key"]["max_batch"] == 4
