"""The talk with a case's process, and what is read of it from outside."""

import sys
from pathlib import Path

import pytest

from pipeline.bench.job import Case, Job, Point
from pipeline.bench.process import CaseFailed, CaseProcess
from pipeline.bench.rounds import measure

_BUSY = """
import json, sys, time
job = json.loads(sys.argv[1])
print("some library greets", flush=True)
print("eyrie-bench ready", flush=True)
held = []
for _ in sys.stdin:
    print("eyrie-bench begin", flush=True)
    ends = time.process_time() + 0.2
    while time.process_time() < ends:
        pass
    held.append(bytearray(40_000_000))
    print('eyrie-bench done {"frames": %d, "detections": 3}' % job["frames"], flush=True)
"""


def case(script: str, subject: str = "busy") -> Case:
    job = Job(kind="peer", clips=("clip.mp4",), frames=10)
    return Case(subject, Point(), (sys.executable, "-c", script), job)


def test_time_memory_and_what_is_told_are_those_of_the_process() -> None:
    with CaseProcess(case(_BUSY), 30) as process:
        assert 0 < process.start_up_cpu_s <= process.start_up_s + 0.05
        first, second = process.turn(), process.turn()
    assert first.frames == 10
    assert first.told == {"detections": 3}
    assert 0.19 < first.cpu_s < 0.39  # two turns would be 0.4
    assert first.cpu_ms_per_frame == pytest.approx(100 * first.cpu_s)
    assert first.wall_s >= 0.19
    assert 35 < second.rss_mb - first.rss_mb < 50


def test_a_child_of_the_process_counts() -> None:
    script = _BUSY.replace(
        "    ends =",
        "    import subprocess; subprocess.run([sys.executable, '-c', "
        "'import time\\nwhile time.process_time() < 0.3: pass'])\n    ends =",
    )
    with CaseProcess(case(script), 30) as process:
        assert process.turn().cpu_s > 0.45


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit('no such model')", "its process has ended (no such model)"),
        ("print('eyrie-bench failed')", "it has failed"),
        ("import sys; sys.stdin.read()", "not ready within 0.5 s"),
    ],
)
def test_a_case_that_does_not_start_says_why(script: str, said: str) -> None:
    with pytest.raises(CaseFailed) as failure:
        CaseProcess(case(script), 0.5 if "stdin" in script else 30)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_round_that_ends_early_leaves_the_others_their_figures(tmp_path: Path) -> None:
    dies = _BUSY.replace("    held", "    sys.exit('out of frames')\n    held")
    told: list[str] = []
    bad, good = measure([case(dies, "dies"), case(_BUSY)], 2, 30, told.append)
    assert bad.failed == "its process has ended (out of frames)"
    assert bad.turns == []
    assert len(good.turns) == 2
    assert good.failed is None
    assert any("dies" in line and "out of frames" in line for line in told)


def test_a_run_that_is_stopped_keeps_whole_rounds_and_ends_its_processes(tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    script = f"import os; open({str(notes)!r}, 'a').write(f'{{os.getpid()}} ')" + _BUSY

    def stop_in_the_second_round(line: str) -> None:
        if line.startswith("round 2: second"):
            raise KeyboardInterrupt

    found = measure(
        [case(script, "first"), case(script, "second")], 5, 30, stop_in_the_second_round
    )
    assert [len(one.turns) for one in found] == [1, 1]
    pids = notes.read_text().split()
    assert len(pids) == 2
    assert not any(Path("/proc", pid).exists() for pid in pids)


def test_a_job_is_told_as_it_is() -> None:
    job = Job(kind="pipeline", clips=("a", "b"), frames=5, settings={"batch.size": "8"})
    assert Job.from_json(job.to_json()) == job
    assert job.frames_total == 10
    with pytest.raises(ValueError, match="frames must be 1 or more, got 0"):
        Job(kind="decode", clips=("a",), frames=0)
    with pytest.raises(ValueError, match="decode needs a clip"):
        Job(kind="decode", clips=(), frames=1)
