"""Golden scores of TrackEval, the authors' own evaluation, for `test_golden.py`.

    python -m tests.stages.track_evaluation.trackeval_golden inputs      (in this project)
    python tests/stages/track_evaluation/trackeval_golden.py scores      (where trackeval is)

`inputs` writes three sequences with truth and tracks in the layout of MOT Challenge; `scores` reads
them with `pip install trackeval==1.3.0` in an environment of its own, and writes `scores.json`.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
SEQUENCES = ("CROWD-01", "STAGE-02", "FOOTWAY-03")
FRAMES, FPS = 36, 6.0
DISTRACTORS = (2, 7, 8, 12)


def write_inputs() -> None:
    """Truth of drawn scenes, of which every sixth person is a distractor, and our tracks."""
    from benchmarks.tracking_quality.families import Take, record
    from benchmarks.tracking_quality.measure import follow
    from benchmarks.tracking_quality.noise import POOR, YOLO_NAS_LIKE
    from stages.track_evaluation.mot_files import write_mot

    takes = (
        Take("terrace", "static", YOLO_NAS_LIKE, 11, FPS, FRAMES / FPS, (960, 540)),
        Take("stage", "static", YOLO_NAS_LIKE, 12, FPS, FRAMES / FPS, (960, 540)),
        Take("footway", "handheld", POOR, 13, FPS, FRAMES / FPS, (960, 540)),
    )
    for name, take in zip(SEQUENCES, takes, strict=True):
        recording = record(take)
        lines = []
        for truth in recording.truths:
            for ident, (x1, y1, x2, y2) in zip(
                truth.track_id.tolist(), truth.xyxy.tolist(), strict=True
            ):
                odd = ident % 6 == 0
                kind = DISTRACTORS[ident // 6 % 4] if odd else 1
                box = f"{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f}"
                lines.append(f"{truth.frame + 1},{ident},{box},{0 if odd else 1},{kind},1\n")
        folder = GOLDEN / "truth" / name
        (folder / "gt").mkdir(parents=True, exist_ok=True)
        (folder / "gt" / "gt.txt").write_text("".join(lines), encoding="ascii")
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nframeRate={FPS:g}\nseqLength={FRAMES}\n"
            "imWidth=960\nimHeight=540\n",
            encoding="ascii",
        )
        write_mot(GOLDEN / "tracks" / "ours" / "data" / f"{name}.txt", follow({}, recording))


def write_scores() -> None:
    """TrackEval's results for the same files."""
    trackeval = importlib.import_module("trackeval")
    data = trackeval.datasets.MotChallenge2DBox({
        "GT_FOLDER": str(GOLDEN / "truth"), "TRACKERS_FOLDER": str(GOLDEN / "tracks"),
        "SEQ_INFO": dict.fromkeys(SEQUENCES, FRAMES), "SKIP_SPLIT_FOL": True,
        "BENCHMARK": "MOT17", "PRINT_CONFIG": False,
    })  # fmt: skip
    evaluator = trackeval.Evaluator({
        "PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False,
        "OUTPUT_DETAILED": False, "PLOT_CURVES": False, "TIME_PROGRESS": False,
    })  # fmt: skip
    metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()]
    results, _ = evaluator.evaluate([data], metrics)
    of_sequence = results["MotChallenge2DBox"]["ours"]
    scores = {name: _figures(of_sequence[name]["pedestrian"]) for name in of_sequence}
    text = json.dumps({"trackeval": "1.3.0", "scores": scores}, indent=2)
    (GOLDEN / "scores.json").write_text(text + "\n", encoding="ascii")


def _figures(result: dict[str, Any]) -> dict[str, float]:
    hota, clear, ident = result["HOTA"], result["CLEAR"], result["Identity"]
    means = {name: float(hota[key].mean()) for name, key in (
        ("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA"), ("loc_a", "LocA"),
    )}  # fmt: skip
    counts = {name: int(clear[key]) for name, key in (
        ("id_switches", "IDSW"), ("false_positives", "CLR_FP"), ("false_negatives", "CLR_FN"),
        ("fragments", "Frag"), ("mostly_tracked", "MT"), ("mostly_lost", "ML"),
    )}  # fmt: skip
    return means | {"mota": float(clear["MOTA"]), "idf1": float(ident["IDF1"])} | counts


if __name__ == "__main__":
    {"inputs": write_inputs, "scores": write_scores}[sys.argv[1]]()
