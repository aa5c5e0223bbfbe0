"""The machines that are simulated, and what is assumed of those that nobody measured."""

from dataclasses import replace
from typing import Final

from benchmarks.scaling.costs import Part
from benchmarks.scaling.model import Machine

STREAMS: Final = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1000)
CORES: Final = 64
GPUS: Final = 4
GPU_MS: Final = 2.36
"""YOLO-NAS S, INT8, 640 x 640, batch 1 on a T4 by TensorRT: published by its makers. The default
model is smaller; a batch is taken to save nothing, so this is a worst case for a T4."""
FAST_GPU_TIMES: Final = 8.0
"""An H200 against a T4, for such a network: assumed from memory bandwidth (4.8 against 0.32 TB/s)
and INT8 throughput (1,979 against 130 TOPS by data sheet), about 15, halved."""
HOP_FIXED_MS: Final = 0.15
"""Launch and copies of a batch."""
PCIE_GB_S: Final = 25.0
"""PCIe 4.0 x16, as reached in practice, to each GPU."""

ASSUMPTIONS: Final = {
    "t4_ms_per_picture": GPU_MS,
    "h200_ms_per_picture": GPU_MS / FAST_GPU_TIMES,
    "fixed_ms_per_batch": HOP_FIXED_MS,
    "pcie_gb_s": PCIE_GB_S,
    "cores": "as fast as those that were measured, each a whole one",
}


def here(parts: dict[str, Part], cores: int) -> Machine:
    """The machine that was measured: engine on the cores, as many at once as there are."""
    detect, publish = parts["detect"], parts["publish"]
    return Machine(
        cores=cores,
        workers=0,
        engines=cores,
        engine_ms=(0.0, detect.cpu_ms + publish.cpu_ms),
        batch=1,
        engine_on_cores=True,
        decode_ms=parts["decode"].cpu_ms,
        decode_held_ms=parts["decode"].held_ms,
        receive_held_ms=parts["receive"].held_ms,
        main_held_ms=detect.held_ms + publish.held_ms,
    )


def _with_workers(base: Machine, parts: dict[str, Part], workers: int) -> Machine:
    """Decoding, preparing and detecting in workers, the engines on all cores."""
    return replace(
        base,
        workers=workers,
        decode_ms=parts["fit"].cpu_ms,
        decode_held_ms=parts["fit"].held_ms + parts["detect"].held_ms,
        main_held_ms=parts["publish"].held_ms,
    )


def _with_gpus(base: Machine, ms: float, fit: Part, workers: int) -> Machine:
    """Decoding and preparing on the cores, the network on `GPUS`."""
    return replace(
        base,
        engines=GPUS,
        engine_ms=(HOP_FIXED_MS, ms),
        batch=16,
        engine_on_cores=False,
        workers=workers,
        decode_ms=fit.cpu_ms,
        decode_held_ms=fit.held_ms,
    )


def scenarios(costs: dict[str, dict[str, Part]]) -> dict[str, Machine]:
    """By name."""
    found: dict[str, Machine] = {}
    fast_ms = GPU_MS / FAST_GPU_TIMES
    for size, parts in costs.items():
        cores, fit = here(parts, CORES), parts["fit"]
        found |= {
            f"{size}, no GPU": cores,
            f"{size}, no GPU, 16 workers": _with_workers(cores, parts, 16),
            f"{size}, {GPUS} T4": _with_gpus(cores, GPU_MS, fit, 0),
            f"{size}, {GPUS} H200": _with_gpus(cores, fast_ms, fit, 0),
            f"{size}, {GPUS} H200, 16 workers": _with_gpus(cores, fast_ms, fit, 16),
            f"{size}, {GPUS} H200, 16 pipelines": replace(
                _with_gpus(cores, fast_ms, fit, 0), processes=16
            ),
        }
    return found
