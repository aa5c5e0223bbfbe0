"""The engine's source against the names that all seven versions of TensorRT have.

`contract.json` was taken from the real bindings by `dump_bindings.py`.
"""

import ast
from pathlib import Path
from typing import Any

import pytest

import detectors.engines.tensorrt
from tests.detectors.engines.tensorrt.contracted import CONTRACT, VERSIONS
from tests.detectors.engines.tensorrt.fake_tensorrt import KINDS

SOURCES = sorted(Path(detectors.engines.tensorrt.__file__).parent.glob("*.py"))
CLASSES: dict[str, dict[str, Any]] = CONTRACT["classes"]
ENUMS: dict[str, dict[str, dict[str, int]]] = CONTRACT["enums"]
OURS = {"update"}
"""Names that are of Python's own types too: on TensorRT's, the fake alone watches them."""


def everywhere() -> set[str]:
    """Names that some class has in all versions."""
    return {name for names in CLASSES.values() for name, where in names.items() if where == "all"}


def somewhere() -> set[str]:
    """Names that some class has in some version."""
    return {name for names in CLASSES.values() for name in names}


def is_module(node: ast.expr) -> bool:
    """Whether an expression is the module `tensorrt`: `trt`, `self._trt`, `loader.trt`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_") == "trt"
    return False


def wrong(source: str) -> list[str]:
    """What a source reads or sets that not every version has."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        if is_module(node.value):
            if node.attr not in {*CLASSES, *ENUMS, "__version__"}:
                found.append(f"trt.{node.attr}")
        elif isinstance(node.value, ast.Attribute) and is_module(node.value.value):
            enum = ENUMS.get(node.value.attr)
            if enum and node.attr != "__members__":
                lacking = [v for v in VERSIONS if node.attr not in enum[v]]
                found += [f"{node.value.attr}.{node.attr}"] if lacking else []
        elif node.attr in somewhere() - everywhere() - OURS:
            found.append(node.attr)
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_what_all_versions_have_is_called(source: Path) -> None:
    assert wrong(source.read_text()) == []


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("builder.platform_has_fast_int8", "platform_has_fast_int8"),
        ("config.int8_calibrator = None", "int8_calibrator"),
        ("config.tiling_optimization_level = 1", "tiling_optimization_level"),
        ("self._trt.BuilderFlag.INT8", "BuilderFlag.INT8"),
        ("trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "NetworkDefinitionCreationFlag"),
        ("trt.IInt8EntropyCalibrator2()", "trt.IInt8EntropyCalibrator2"),
        ("parser.supports_model(b'')", "supports_model"),
    ],
)
def test_what_some_version_lacks_is_caught(source: str, caught: str) -> None:
    assert any(found.startswith(caught) for found in wrong(source))


def test_much_is_looked_at() -> None:
    text = "".join(source.read_text() for source in SOURCES)
    used = {
        n.attr
        for n in ast.walk(ast.parse(text.replace("from __future__", "#")))
        if isinstance(n, ast.Attribute)
    }
    assert {"build_serialized_network", "execute_async_v3", "set_tensor_address"} <= used
    assert len(used & somewhere()) > 25


def test_enum_values_are_never_literals() -> None:
    values = {v: ENUMS["NetworkDefinitionCreationFlag"][v]["STRONGLY_TYPED"] for v in VERSIONS}
    assert set(values.values()) == {0, 1}, "the trap is real: the value moved in 11"


def test_fake_has_nothing_that_no_version_has() -> None:
    for kind in KINDS:
        invented = {n for n in vars(kind) if not n.startswith("_")} - set(CLASSES[kind.__name__])
        assert invented <= {"Severity"}, kind.__name__
