"""`eyrie model build` and `eyrie model inspect`, with a fake TensorRT where one is needed."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the gpu extra")

from detectors.engines.tensorrt.builder import BuildOptions
from detectors.engines.tensorrt.plan import read
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.probe import Gpu
from pipeline.cli.app import app
from pipeline.cli.model.build import Bars, build_and_tell
from pipeline.core.errors import EngineLoadError
from tests.detectors.engines.tensorrt.contracted import VERSIONS, World
from tests.detectors.engines.tensorrt.fake_tensorrt import make
from tests.detectors.engines.tensorrt.host_stream import HostStream
from tests.detectors.engines.tensorrt.small_network import network, quantized, saved


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["model", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=[VERSIONS[0], VERSIONS[-1]])
def platform(
    request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """A machine with a GPU, as far as the command can tell."""
    found = Platform(Gpu("Fake GPU", (9, 0), 2**34), make(request.param, world), HostStream)
    monkeypatch.setattr(Platform, "find", classmethod(lambda cls: found))
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(quantized(skip=("/boxes/Conv",)), tmp_path / "small.onnx")


def test_builds_once_and_says_what_for(
    platform: Platform, world: World, model: Path, tmp_path: Path
) -> None:
    arguments = "build", model, "--cache", tmp_path / "cache", "--max-batch", 8, "--best-batch", 4
    for _ in range(2):
        code, told, progress = run(*arguments)
        assert code == 0, progress
        assert f"TensorRT {platform.version} for Fake GPU (sm90), batches of 1 to 8" in told
        assert "precision int8, typing: strong" in told
        assert "INT8: 2 of 2 planned convolutions run (100.0 %)" in told
        assert ".plan: 0." in told
    assert world.builds == 1


def test_plan_file_is_inspected_without_a_gpu(
    platform: Platform, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "small.plan"
    assert run("build", model, "--out", plan, "--cache", tmp_path / "cache")[0] == 0
    assert read(plan).key.tensorrt == platform.version
    monkeypatch.undo()
    code, told, _ = run("inspect", plan)
    assert code == 0
    for words in ("/stem/Conv", "CaskConvolution", "sm80_xmma_i8i8_i8i32", "for Fake GPU"):
        assert words in told
    code, told, _ = run("inspect", plan, "--json")
    rows = {row[0].split(" + ")[0]: row for row in json.loads(told)["rows"]}
    assert {name: row[2] for name, row in rows.items()} == {
        "/stem/Conv": "int8",
        "/boxes/Conv": "fp16",
        "/scores/Conv": "int8",
    }


def test_convolutions_that_miss_their_plan_are_named(
    platform: Platform, world: World, model: Path, tmp_path: Path
) -> None:
    world.faults.add("int8")
    plan = tmp_path / "small.plan"
    code, told, _ = run("build", model, "--out", plan, "--cache", tmp_path / "cache")
    assert (code, "INT8: 0 of 2 planned convolutions run (0.0 %)" in told) == (0, True)
    assert "planned in INT8, and not: /stem/Conv" in run("inspect", plan)[1]


def test_onnx_file_is_inspected_as_planned(model: Path, tmp_path: Path) -> None:
    code, told, _ = run("inspect", model)
    assert code == 0
    assert "3 convolutions: 2 in int8, 1 in fp32" in told
    code, told, _ = run("inspect", saved(network(), tmp_path / "float.onnx"), "--json")
    made = json.loads(told)
    assert made["heads"] == ["convolution", "operator", "precision"]
    assert {row[2] for row in made["rows"]} == {"fp32"}
    assert run("inspect", "yolo_nas_n_int8")[0] == 0


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--precision", "fp16"], "in int8, not in fp16", 3),
        (["--max-batch", "2", "--best-batch", "3"], "--best-batch: 3 is more than", 2),
    ],
)
def test_what_cannot_be_built_is_one_line(
    model: Path, tmp_path: Path, arguments: list[str], said: str, code: int
) -> None:
    found, _, told = run("build", model, "--cache", tmp_path, *arguments)
    assert (found, told.count("\n")) == (code, 1)
    assert said in told


def test_no_gpu_is_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detectors.engines.tensorrt import probe

    monkeypatch.setattr(probe, "why_no_cuda", lambda: "no NVIDIA driver")
    code, _, told = run("build", model)
    assert (code, told.count("\n")) == (3, 1)
    assert "engine tensorrt: no NVIDIA driver" in told


def test_damaged_plan_is_one_line(platform: Platform, model: Path, tmp_path: Path) -> None:
    plan = tmp_path / "small.plan"
    assert run("build", model, "--out", plan, "--cache", tmp_path / "cache")[0] == 0
    plan.write_bytes(plan.read_bytes()[:-1])
    code, _, told = run("inspect", plan)
    assert (code, told.count("\n")) == (3, 1)
    assert "checksum is wrong" in told
    plan.write_bytes(b"of another program")
    assert run("inspect", plan)[0] == 3


def bars() -> tuple[Bars, Progress]:
    progress = Progress(console=Console(file=io.StringIO()), auto_refresh=False)
    return Bars(progress), progress


def test_bars_follow_phases_within_phases() -> None:
    shown, progress = bars()
    shown.phase_started("Building", None, 2)
    shown.phase_started("Timing", "Building", 10)
    assert shown.step_done("Timing", 3)
    assert [(task.description, task.completed) for task in progress.tasks] == [
        ("Building", 0),
        ("  Timing", 4),
    ]
    shown.phase_finished("Timing")
    assert [task.description for task in progress.tasks] == ["Building"]
    shown.phase_finished("Building")
    assert shown.step_done("unheard of", 0)
    shown.phase_finished("unheard of")
    shown.stop()
    assert not shown.step_done("Building", 1)


def test_interrupt_ends_the_build_and_writes_nothing(
    platform: Platform,
    world: World,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Bars, name: str, parent: str | None, steps: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Bars, "phase_started", interrupted)
    options = BuildOptions(precision="int8", max_batch=2, best_batch=1)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(EngineLoadError, match="the build was stopped"):
        build_and_tell(model, options, platform, None, tmp_path / "cache")
    assert signal.getsignal(signal.SIGINT) is before
    assert world.builds == 1
    assert not (tmp_path / "cache").exists()
