"""What is learned of an engine from the batches that it did."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.load.engine_times import EngineTimes


class Engine:
    """An engine and what is known of it, in a time that is a number."""

    def __init__(self, fixed_s: float, each_s: float) -> None:
        self.fixed_s, self.each_s = fixed_s, each_s
        self.times, self.now_s, self._learned_s = EngineTimes(), 0.0, 0.0

    def true_s(self, frames: int) -> float:
        return self.fixed_s + self.each_s * frames

    def run(self, sizes: list[int], noise: Callable[[], float] = lambda: 1.0) -> None:
        for frames in sizes:
            took_s = self.true_s(frames) * noise()
            self.now_s += took_s
            self.times.note(frames, took_s, self.now_s)
            if self.now_s - self._learned_s >= 0.25:
                self.times.learn(self.now_s)
                self._learned_s = self.now_s

    def error(self, frames: int) -> float:
        return abs(self.times.expected_s(frames) / self.true_s(frames) - 1)


def test_nothing_is_known_at_first_and_little_after_one_size() -> None:
    engine = Engine(0.01, 0.01)
    assert (engine.times.known, engine.times.expected_s(4)) == (False, 0)
    engine.run([2] * 60)
    assert engine.times.known
    assert engine.error(2) < 0.01
    assert engine.true_s(2) <= engine.times.expected_s(4) <= 2 * engine.true_s(2)


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0, 0.05), st.floats(0.0005, 0.05), st.sampled_from([1, 3, 16]), st.integers(0, 2**32)
)
def test_the_line_is_found_from_batches_of_several_sizes(
    fixed_s: float, each_s: float, most: int, seed: int
) -> None:
    rng, engine = random.Random(seed), Engine(fixed_s, each_s)
    sizes = [rng.randint(1, most + 1) for _ in range(600)]
    engine.run(sizes, lambda: rng.uniform(0.95, 1.05))
    assert all(engine.error(n) < 0.15 for n in range(1, most + 2))


def test_hiccups_change_nothing_but_the_spread() -> None:
    rng, engine = random.Random(1), Engine(0.005, 0.005)
    engine.run([rng.randint(1, 4) for _ in range(400)], lambda: 20 if rng.random() < 0.01 else 1)
    assert all(engine.error(n) < 0.05 for n in (1, 2, 4))
    assert engine.times.spread < 1.2
    engine.run([rng.randint(1, 4) for _ in range(400)], lambda: 3 if rng.random() < 0.1 else 1)
    assert all(engine.error(n) < 0.05 for n in (1, 2, 4))
    assert engine.times.spread == pytest.approx(3, rel=0.1)
    assert engine.times.most_s(2) == pytest.approx(3 * engine.true_s(2), rel=0.1)


@pytest.mark.parametrize("factor", [2.0, 0.4])
def test_a_change_is_believed_after_five_batches_for_every_size(factor: float) -> None:
    rng, engine = random.Random(2), Engine(0.012, 0.004)
    engine.run([rng.randint(1, 8) for _ in range(300)])
    engine.fixed_s *= factor
    engine.each_s *= factor
    engine.run([5] * 4)
    assert engine.error(5) > 0.3
    engine.run([5] * 20)
    assert all(engine.error(n) < 0.1 for n in range(1, 9))


def test_what_is_old_is_forgotten() -> None:
    engine = Engine(0.02, 0.0)
    engine.run([1, 8] * 30)
    engine.now_s += 31
    engine.fixed_s, engine.each_s = 0.0, 0.02
    engine.run([2] * 100)
    engine.run([4] * 30)
    assert engine.error(2) < 0.1
    assert engine.error(4) < 0.1
