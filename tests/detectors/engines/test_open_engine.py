"""Model files and wishes that no engine can serve: one line, before anything runs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from detectors.engines import open as opening
from detectors.engines.device import cpu_name, why_no_cuda
from detectors.engines.model_header import LATEST_OPSET, ModelHeader
from detectors.engines.open import EngineChoice, EngineOptions, choose, open_engine
from detectors.yolo_nas.detector import WEIGHTS, YoloNasDetector, resolve
from pipeline.core.errors import EngineLoadError

INT8 = WEIGHTS / "yolo_nas_n_int8.onnx"
ENGINES: list[EngineChoice] = ["onnxruntime", "openvino"]

no_cuda = pytest.mark.skipif(why_no_cuda() is None, reason="a CUDA GPU answers")


def refused(path: Path, engine: EngineChoice = "onnxruntime") -> str:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    with pytest.raises(EngineLoadError) as caught:
        open_engine(path, EngineOptions(engine=engine, threads=1))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no graph"),
        (b"not a model at all, but words", "damaged, or no ONNX file"),
        (INT8.read_bytes()[:100_000], "ends after 100000 bytes"),
        (INT8.read_bytes()[:-5], "ends"),
    ],
    ids=["empty", "text", "cut off", "cut at the end"],
)
def test_a_file_that_is_no_whole_model_is_refused(
    tmp_path: Path, content: bytes, why: str, engine: EngineChoice
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert why in refused(path, engine)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_opset_that_is_too_new_is_refused(tmp_path: Path, engine: EngineChoice) -> None:
    model = onnx.load(INT8)
    model.opset_import[0].version = LATEST_OPSET + 1
    onnx.save(model, tmp_path / "new.onnx")
    assert f"opset {LATEST_OPSET + 1}" in refused(tmp_path / "new.onnx", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_operators_that_nobody_knows_are_told(tmp_path: Path, engine: EngineChoice) -> None:
    (tmp_path / "m.onnx").write_bytes(relu("NoSuchOperator"))
    assert "NoSuchOperator" in refused(tmp_path / "m.onnx", engine)


def relu(operator: str = "Relu") -> bytes:
    """A model of another family: one operator, no metadata."""
    kind = TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, [None, 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [x], [y])
    opset = helper.make_opsetid("", 19)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_of_another_family_opens_but_is_no_detector(
    tmp_path: Path, engine: EngineChoice
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    path = tmp_path / "other.onnx"
    path.write_bytes(relu())
    opened = open_engine(path, EngineOptions(engine=engine))
    assert opened.precision == "fp32"
    with pytest.raises(EngineLoadError, match=r"not a YOLO-NAS model exported by Eyrie"):
        YoloNasDetector(opened, path)


def test_the_header_is_read_without_the_onnx_package() -> None:
    for path in WEIGHTS.glob("*.onnx"):
        model = onnx.load(path)
        header = ModelHeader.read(path)
        assert header.metadata == {entry.key: entry.value for entry in model.metadata_props}
        assert header.opset == model.opset_import[0].version
    done = run_python(
        "import sys; sys.modules['onnx'] = None\n"
        "from pathlib import Path; from detectors.engines.model_header import ModelHeader\n"
        f"print(ModelHeader.read(Path({str(INT8)!r})).precision)"
    )
    assert (done.stdout.strip(), done.stderr) == ("int8", "")


def test_an_engine_that_is_not_installed_is_an_error_with_the_extra_to_install() -> None:
    done = run_python(
        "import sys; sys.modules['openvino'] = None\n"
        "from pathlib import Path; from detectors.engines.open import *\n"
        "print(choose('throughput').engine)\n"
        f"try: open_engine(Path({str(INT8)!r}), EngineOptions(engine='openvino'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    chosen, error = done.stdout.splitlines()
    if why_no_cuda():
        assert chosen == "onnxruntime"
    assert error.startswith("EngineLoadError model yolo_nas_n_int8.onnx: engine openvino is not in")
    assert "pip install 'eyrie[openvino]'" in error


@no_cuda
def test_tensorrt_without_a_driver_is_an_error() -> None:
    with pytest.raises(EngineLoadError, match="engine tensorrt cannot be used"):
        open_engine(INT8, EngineOptions(engine="tensorrt"))
    assert choose("latency").engine == "onnxruntime"


@no_cuda
def test_what_auto_takes_is_logged_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", opening.log.name)
    for hint in ("latency", "throughput"):
        choice = choose(hint)
        engine = open_engine(INT8, EngineOptions(hint=hint, threads=2))
        assert engine.name == f"{choice.engine}-cpu"
        assert choice.why in caplog.text
        assert engine.device == cpu_name()
        engine.close()


def test_a_plan_of_tensorrt_is_no_file_for_another_engine(tmp_path: Path) -> None:
    (tmp_path / "m.plan").write_bytes(b"plan")
    assert "choose engine: tensorrt" in refused(tmp_path / "m.plan")


def test_the_precision_picks_the_file_of_a_bundled_model() -> None:
    for name in ("yolo_nas_n", "yolo_nas_n_int8"):
        assert resolve(name, "int8") == INT8
        assert resolve(name, "fp32") == resolve(name, "fp16") == WEIGHTS / "yolo_nas_n.onnx"
        assert resolve(name).stem == name
    assert resolve(str(INT8), "fp32") == INT8


@pytest.mark.parametrize(("key", "value"), [("threads", -1), ("max_batch", 0)])
def test_options_out_of_range_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{key} must be"):
        EngineOptions(**{key: value})


def test_openvino_speaks_to_no_network() -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    done = run_python(
        "import sys\n"
        "def hook(event, given):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen'):\n"
        "        print(event, given)\n"
        "sys.addaudithook(hook)\n"
        "import numpy as np; from pathlib import Path\n"
        "from detectors.engines.open import *\n"
        f"engine = open_engine(Path({str(INT8)!r}), EngineOptions(engine='openvino'))\n"
        "engine.run(np.zeros((1, 3, 416, 416), np.float32)); engine.close()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
