"""The command as people run it: what it writes, what it says, how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.core.messages import FrameMessage, decode, json_schema
from tests.services.servers import free_port
from tests.stages.colour_model import colour_model
from tests.stages.sources.clips import encode, encode_sound

EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
ROOT = Path(__file__).resolve().parents[3]


def eyrie(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*EYRIE, *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, cwd=cwd or ROOT, env=env, check=False
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says."""
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("eyrie: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_detect_writes_messages_and_video_and_prints_a_table(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 20, size=(128, 96))
    result = eyrie("detect", clip, "--out", tmp_path / "out", "--max-frames", 15)
    assert result.returncode == 0, result.stderr
    assert "clip" in result.stdout
    messages = [decode(line) for line in (tmp_path / "out/clip.jsonl").read_text().splitlines()]
    assert sum(isinstance(message, FrameMessage) for message in messages) == 15
    assert (tmp_path / "out/clip.mp4").stat().st_size > 0


def test_messages_to_standard_output_are_nothing_but_messages(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 5)
    result = eyrie("detect", clip, "--sink", "-", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    kinds = [decode(line).kind for line in result.stdout.splitlines()]
    assert kinds.count("frame") == 5
    assert not (tmp_path / "out").exists()


def test_one_bad_file_among_good_ones_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    good = encode(tmp_path / "good.mp4", 10)
    bad = tmp_path / "bad.mp4"
    bad.write_text("this is not a video\n")
    result = eyrie("detect", good, bad, "--out", tmp_path / "out", "--quiet")
    assert result.returncode == 1
    assert "bad.mp4" in complaint(result)
    messages = (tmp_path / "out/good.jsonl").read_text().splitlines()
    assert sum(decode(line).kind == "frame" for line in messages) == 10


def truncated(folder: Path) -> Path:
    whole = encode(folder / "whole.mp4", 100, size=(320, 240), faststart=True)
    path = folder / "truncated.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def text_file(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("Once upon a time\n" * 50)
    return path


def one_pixel(folder: Path) -> Path:
    path = folder / "pixel.png"
    cv2.imwrite(str(path), np.zeros((1, 1, 3), np.uint8))
    return path


def nothing_in_it(folder: Path) -> Path:
    path = folder / "empty.jpg"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "missing.mp4", "missing.mp4"),
        (text_file, "text.mp4 is"),
        (truncated, "truncated.mp4 is truncated or damaged after"),
        (lambda folder: encode_sound(folder / "sound.mp4"), "no video stream"),
        (one_pixel, "1x1 pixels are too few"),
        (nothing_in_it, "the file is empty"),
    ],
    ids=["missing", "text", "truncated", "sound-only", "1x1", "0-bytes"],
)
def test_bad_input_is_one_line_with_what_and_why(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    result = eyrie("detect", make(tmp_path), "--out", tmp_path / "out", "--quiet")
    assert result.returncode != 0
    assert said in complaint(result)


def test_unreachable_cameras_and_brokers_are_named(tmp_path: Path) -> None:
    port = free_port()
    camera = eyrie("detect", f"rtsp://user:hunter2@127.0.0.1:{port}/x", "--quiet", cwd=tmp_path)
    assert camera.returncode == 1
    assert f"127.0.0.1:{port}" in complaint(camera)
    assert "hunter2" not in camera.stderr + camera.stdout
    clip = encode(tmp_path / "clip.mp4", 5)
    for sink in (f"redis://:hunter2@127.0.0.1:{port}/0", f"kafka://127.0.0.1:{port}/topic"):
        broker = eyrie("detect", clip, "--sink", f"{sink}?spool=off", "--quiet")
        assert broker.returncode == 3
        assert f"{port}" in complaint(broker)
        assert "hunter2" not in broker.stderr


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    import onnx

    clip = encode(tmp_path / "clip.mp4", 5)
    stranger = tmp_path / "stranger.onnx"
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [onnx.helper.make_tensor_value_info("x", kind, [1, 3])],
        [onnx.helper.make_tensor_value_info("y", kind, [1, 3])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), stranger)
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    for model, said in (
        (stranger, "not a YOLO-NAS model"),
        (text, "damaged, or no ONNX file"),
        (tmp_path / "none.onnx", "no such file"),
    ):
        result = eyrie("detect", clip, "--model", model, "--quiet", cwd=tmp_path)
        assert result.returncode == 3
        assert said in complaint(result)


def test_unknown_classes_sources_and_keys_are_usage_errors(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 5)
    result = eyrie("detect", clip, "--classes", "person,dragon", "--quiet", cwd=tmp_path)
    assert result.returncode == 3
    assert "no class dragon; it knows person, car" in complaint(result)
    config = tmp_path / "c.yaml"
    config.write_text("streams: [{id: a, source: {kind: street}}]\nsinks: [{kind: jsonl}]\n")
    result = eyrie("run", config)
    assert result.returncode == 2
    assert complaint(result) == "eyrie: sinks[0].path: missing"
    assert eyrie("detect").returncode == 2
    assert eyrie("fly").returncode == 2


def test_detect_does_not_write_over_what_it_reads(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 5)
    before = clip.read_bytes()
    result = eyrie("detect", "clip.mp4", "--out", ".", "--quiet", cwd=tmp_path)
    assert result.returncode == 2
    assert f"would write over '{clip}', which stream 'clip' reads" in complaint(result)
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--classes", "person,"), "--classes: 'person,': names by commas, none of them empty"),
        (("--sink", "kafka://me:hunter2@[::1/x"), "--sink: the address has no valid host"),
        (("--sink", "redis://h/0?db=x"), "sinks[0].db: unknown key"),
        (("--sink", "redis://h/zero?stream=a.jsonl"), "sinks[0].url: the address takes"),
        (("--model", "x.pth"), "make an ONNX file of it with eyrie model export"),
    ],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path, arguments: tuple[str, str], said: str
) -> None:
    (tmp_path / "x.pth").touch()
    clip = encode(tmp_path / "clip.mp4", 2)
    result = eyrie("detect", clip, *arguments, "--quiet", cwd=tmp_path)
    assert result.returncode in (2, 3)
    assert said in complaint(result)
    assert "hunter2" not in result.stderr


def test_file_names_that_are_no_text_are_read_and_told_on_one_line(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 3).rename(tmp_path / "a\udcff.mp4")
    result = eyrie("detect", clip, "--sink", "-", "--quiet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert {decode(line).stream_id for line in result.stdout.splitlines()} == {"a"}
    bad = tmp_path / "b\udcff\nc.mp4"
    bad.write_text("no video\n")
    result = eyrie("detect", bad, "--sink", "-", "--quiet", cwd=tmp_path)
    assert result.returncode == 1
    assert r"b\udcff\nc.mp4 is" in complaint(result)
    assert decode(result.stdout.splitlines()[-1]).kind == "end_of_stream"


def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 2)
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*EYRIE, "detect", str(clip), "--sink", str(tmp_path / "a.jsonl")],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=100, check=False,
        )  # fmt: skip
    assert result.returncode == 3
    assert complaint(result) == "eyrie: standard output: No space left on device"
    assert "Exception ignored" not in result.stderr


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_fault_of_eyrie_is_one_line_and_a_traceback_on_request(debug: str) -> None:
    code = """
import sys, typer
from pipeline.cli import faults
def work(): raise ExceptionGroup("g", [KeyError("rtsp://me:hunter2@camera")])
try:
    faults.guarded(work)
except typer.Exit as end:
    sys.exit(end.exit_code)
"""
    env = {**os.environ, "EYRIE_DEBUG": debug}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3
    last = result.stderr.splitlines()[-1]
    assert last.startswith("eyrie: unexpected KeyError: ")
    assert last.endswith("; this is a fault of Eyrie, please report it")
    assert "hunter2" not in result.stderr.replace(code, "")
    assert ("Traceback" in result.stderr) == bool(debug)


def test_the_log_has_times_in_a_pipe_and_leaves_them_to_the_journal() -> None:
    code = "import logging; from pipeline.cli.faults import guarded\n"
    code += "guarded(lambda: logging.warning('away') or 0)"
    bare = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
    piped, journal = (
        subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True,
            check=False,
        ).stderr.splitlines()[0]
        for env in (bare, {**bare, "JOURNAL_STREAM": "8:1"})
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} WARNING away", piped)
    assert journal == "WARNING away"


@pytest.mark.parametrize(
    "arguments",
    [("train", "--data", "mine", "--out", "run"), ("qat", "a.pth", "--data", "mine", "--out", "b")],
)
def test_training_without_pytorch_says_how_to_get_it(arguments: tuple[str, ...]) -> None:
    code = "import sys; sys.modules['torch'] = None; from pipeline.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "model", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert result.returncode == 3
    told = "eyrie: this needs torch, which is not installed: pip install 'eyrie[train]'"
    assert complaint(result) == told


def test_check_shows_names_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "[red]x"
    folder.mkdir()
    (folder / "model.onnx").write_text("no model")
    config = tmp_path / "c.yaml"
    config.write_text(
        f"streams: [{{id: a, source: {{kind: file, path: '{folder}/none.mp4'}}}}]\n"
        f"sinks: [{{kind: jsonl, path: '{folder}/a.jsonl'}}]\n"
        f"model: {{name: '{folder}/model.onnx'}}\n"
    )
    result = eyrie("check", config)
    assert result.returncode == 1
    assert f"wrong stream a: stream 'a': {folder}/none.mp4 does not exist" in result.stdout
    assert f"wrong model {folder}/model.onnx: " in result.stdout


def test_check_says_in_plain_words_what_is_wrong(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 5)
    port = free_port()
    config = tmp_path / "c.yaml"
    config.write_text(
        f"streams: [{{id: a, source: {{kind: file, path: {clip}}}}},"
        f" {{id: b, source: {{kind: file, path: {tmp_path}/none.mp4}}}},"
        " {id: c, source: {kind: street, seconds: 86400, width: 64, height: 64}}]\n"
        f"sinks: [{{kind: redis, url: 'redis://127.0.0.1:{port}/0', connect_timeout_s: 2}}]\n"
        f"tracking: {{appearance: {{model: '{colour_model(tmp_path / 'colour.onnx')}'}}}}\n"
    )
    result = eyrie("check", config)
    assert result.returncode == 1
    assert f"ok    appearance model {tmp_path}/colour.onnx: makes 3 numbers" in result.stdout
    assert "ok    stream a: pictures from 1 source: 64x48" in result.stdout
    assert f"wrong stream b: stream 'b': {tmp_path}/none.mp4 does not exist" in result.stdout
    assert "ok    stream c: pictures from 1 source: 64x64" in result.stdout
    assert "wrong sink redis" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_the_first_signal_drains(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 250, rate=4)
    config = tmp_path / "c.yaml"
    config.write_text(
        f"streams: [{{id: a, source: {{kind: file, path: {clip}, realtime: true}}}}]\n"
        "sinks: [{kind: jsonl, path: '-'}]\n"
    )
    with subprocess.Popen(
        [*EYRIE, "run", str(config), "--quiet"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        assert process.wait(30) == 0
    assert decode(first).kind == "stream_status"
    end = json.loads(rest[-1])
    assert end["kind"] == "end_of_stream"
    assert end["decoded"] == end["published"] + sum(end["dropped"].values()) < 250


def test_schema_is_printed() -> None:
    assert json.loads(eyrie("schema").stdout) == json_schema()


def test_version_is_quick_and_loads_no_heavy_library() -> None:
    code = (
        "import sys, resource; sys.argv = ['eyrie', '--version'];"
        "from pipeline.cli import main; main();"
        "heavy = {'torch', 'cv2', 'onnxruntime', 'av', 'numpy', 'kafka', 'redis'};"
        "heavy &= set(sys.modules);"
        "usage = resource.getrusage(resource.RUSAGE_SELF);"
        "print(sorted(heavy), usage.ru_utime + usage.ru_stime < 0.5)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.splitlines()[0].startswith("eyrie ")
    assert result.stdout.splitlines()[1] == "[] True"


@pytest.mark.parametrize("command", [(), ("run",), ("detect",), ("check",), ("demo",)])
def test_help_works(command: tuple[str, ...]) -> None:
    result = eyrie(*command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout
