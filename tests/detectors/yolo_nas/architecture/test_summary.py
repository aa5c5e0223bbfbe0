"""The summary's numbers are those that were counted on the original."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from detectors.yolo_nas.architecture.summary import (
    Summary,
    Totals,
    summarize_checkpoint,
    summarize_onnx,
    summarize_variant,
)

WEIGHTS = Path(__file__).resolve().parents[4] / "detectors/weights"

SIZES = {
    "yolo_nas_s": (19_053_888, 12_878_304, 12_175_888, 12_167_600),
    "yolo_nas_m": (51_182_658, 33_861_346, 31_906_578, 31_894_002),
    "yolo_nas_l": (66_976_392, 44_529_448, 41_999_192, 41_984_984),
}
GIGA_MACS = {
    "yolo_nas_s": (16.94, 15.90),
    "yolo_nas_m": (47.09, 43.88),
    "yolo_nas_l": (64.49, 59.92),
}


@pytest.mark.parametrize("variant", SIZES)
def test_totals_are_those_of_the_original(variant: str) -> None:
    held, trained, fused, deployed = SIZES[variant]
    made = summarize_variant(variant, shape=(16, 3, 640, 640))
    macs = made.totals.training_macs, made.totals.deployed_macs
    assert made.totals == Totals(held, held - trained, trained, fused, deployed, *macs)
    assert tuple(round(value / 1e9, 2) for value in macs) == GIGA_MACS[variant]
    whole = made.rows[0]
    assert (whole.parameters, whole.trainable, whole.macs) == (held, trained, macs[0])


def parts(made: Summary) -> dict[str, float]:
    return {row.name: round(row.macs / 1e9, 2) for row in made.rows if row.depth == 1}


def test_rows_have_the_sizes_of_every_module() -> None:
    made = summarize_variant("yolo_nas_s", 7, (2, 3, 320, 640))
    rows = {row.name: row for row in made.rows}
    assert rows[""].outputs == ((2, 4200, 4), (2, 4200, 7))
    assert rows["backbone.stage1"].inputs == ((2, 48, 160, 320),)
    assert rows["backbone.stage1"].outputs == ((2, 96, 80, 160),)
    assert rows["neck"].outputs == ((2, 96, 40, 80), (2, 192, 20, 40), (2, 384, 10, 20))
    assert rows["heads.head1"].outputs == ((2, 68, 40, 80), (2, 7, 40, 80))
    for parent in ("", "backbone", "neck", "heads"):
        depth = rows[parent].depth + 1
        inside = [row for row in made.rows if row.depth == depth and row.name.startswith(parent)]
        for what in ("parameters", "trainable", "macs"):
            assert sum(getattr(row, what) for row in inside) == getattr(rows[parent], what)


def test_a_deployed_file_agrees_with_the_network_it_is_from() -> None:
    exported = summarize_onnx(WEIGHTS / "yolo_nas_n.onnx")
    trained = summarize_checkpoint(WEIGHTS / "yolo_nas_n.pth")
    assert exported.totals == trained.totals
    assert exported.input == trained.input
    bottlenecks = sum(row.kind == "Bottleneck" for row in trained.rows)
    whole = exported.rows[0]
    assert whole.macs == exported.totals.deployed_macs
    assert whole.parameters == exported.totals.deployed - bottlenecks  # less a scalar of each
    assert whole.outputs == tuple((1, *shape[1:]) for shape in trained.rows[0].outputs)
    quantized = summarize_onnx(WEIGHTS / "yolo_nas_n_int8.onnx")
    assert parts(quantized) == parts(exported)


@pytest.mark.parametrize("shape", [(1, 3, 640), (0, 3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 65)])
def test_inputs_that_the_family_does_not_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        summarize_variant("yolo_nas_s", shape=shape)
