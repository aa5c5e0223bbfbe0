"""Milliseconds of one frame's lines and zones, on a crowd that walks through them.

    python -m benchmarks.zones [--frames 200] [--rounds 10] [--zones 50] [--tracks 100]
        [--json FILE]

For zones that tell enter, exit, dwell, loitering, occupancy, crowds and counts, for zones with
every rule there is, and for lines, in turns: the median and the 95th percentile of the frames, each
as the median of the rounds, and the median of the quietest round.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from pipeline.core.arrays import F64
from pipeline.core.tracks import Tracks
from stages.zones import LineRule, Rules, Site, ZoneRule
from stages.zones.rules import DirectionRule, LimitRule, OccupancyRule, StayRule, StoppedRule
from stages.zones.sight import Moment

FPS = 25.0
WIDTH_PX, HEIGHT_PX = 1920, 1080
CORNERS = 8
WARM_UP = 50
SECOND_NS = 10**9


def usual_zones(count: int) -> tuple[ZoneRule, ...]:
    """The same, without the two rules that follow each track inside: stopped and direction."""
    return tuple(replace(rule, stopped=None, direction=None) for rule in zones(count))


def zones(count: int, seed: int = 0) -> tuple[ZoneRule, ...]:
    """Polygons of 8 corners that together cover the picture about once; every rule is on."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        x, y = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX))
        turns = (np.arange(CORNERS) + rng.uniform(-0.3, 0.3, CORNERS)) * 2 * math.pi / CORNERS
        reach = rng.uniform(80, 160, CORNERS)
        corners = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], axis=1)
        found.append(
            ZoneRule(
                name=f"zone-{number}",
                points=tuple((float(cx), float(cy)) for cx, cy in _within(corners)),
                dwell=StayRule(0, 10 * SECOND_NS),
                loitering=StayRule(8 * SECOND_NS),
                stopped=StoppedRule(StayRule(5 * SECOND_NS), 0.25),
                direction=DirectionRule(StayRule(SECOND_NS), ((0.0, 0.0), (1.0, 0.0)), 60.0, 0.5),
                occupancy=OccupancyRule(SECOND_NS),
                crowd=LimitRule(8, 7, SECOND_NS),
                interval_ns=60 * SECOND_NS,
            )
        )
    return tuple(found)


def lines(count: int, seed: int = 0) -> tuple[LineRule, ...]:
    """Lines of one segment, and every fifth of three."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        corners = 2 if number % 5 else 4
        start, step = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX)), rng.uniform(-200, 200, 2)
        bends = start + np.outer(np.arange(corners), step) + rng.uniform(-40, 40, (corners, 2))
        found.append(
            LineRule(f"line-{number}", tuple((float(x), float(y)) for x, y in _within(bends)))
        )
    return tuple(found)


def _within(points: F64) -> F64:
    """Not outside of the picture."""
    inside: F64 = np.clip(points, 0, (WIDTH_PX, HEIGHT_PX))
    return inside


def crowd(people: int, frames: int, seed: int = 1) -> list[Tracks]:
    """Tracks of people who walk straight, turn at the picture's edge, and tremble."""
    rng = np.random.default_rng(seed)
    at = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (people, 2))
    velocity = rng.normal(0, 4, (people, 2))
    size = rng.uniform((30, 70), (80, 200), (people, 2))
    scene = []
    for _ in range(frames):
        at = at + velocity
        outside = (at < 0) | (at > (WIDTH_PX, HEIGHT_PX))
        velocity = np.where(outside, -velocity, velocity)
        low = at - size / 2 + rng.normal(0, 1.5, at.shape)
        scene.append(
            Tracks(
                xyxy=np.concatenate([low, low + size], axis=1).astype(np.float32),
                score=np.full(people, 0.9, np.float32),
                class_id=np.zeros(people, np.int32),
                track_id=np.arange(1, people + 1),
                detection_index=np.arange(people),
                ended=np.empty(0, np.int64),
            )
        )
    return scene


def times_ms(rules: Rules, scene: list[Tracks]) -> list[float]:
    """Of each frame behind the warm-up."""
    site = Site(rules)
    site.fit((WIDTH_PX, HEIGHT_PX))
    taken = []
    for frame, tracks in enumerate(scene):
        now_ns = round(frame * SECOND_NS / FPS)
        start_ns = time.perf_counter_ns()
        site.update(tracks, Moment(now_ns, now_ns))
        taken.append((time.perf_counter_ns() - start_ns) / 1e6)
    return taken[WARM_UP:]


def measure(zone_count: int, tracks: int, frames: int, rounds: int) -> dict[str, dict[str, float]]:
    """Figures in milliseconds, by what is watched."""
    scene = crowd(tracks, frames + WARM_UP)
    watched = {
        f"{zone_count} usual zones": Rules(zones=usual_zones(zone_count)),
        f"{zone_count} zones with every rule": Rules(zones=zones(zone_count)),
        f"{zone_count} lines": Rules(lines=lines(zone_count)),
    }
    taken = [{name: times_ms(rules, scene) for name, rules in watched.items()}
             for _ in range(rounds)]  # fmt: skip
    figures = {}
    for name in watched:
        medians = [float(np.median(one[name])) for one in taken]
        highs = [float(np.percentile(one[name], 95)) for one in taken]
        figures[name] = {
            "median_ms": round(float(np.median(medians)), 3),
            "p95_ms": round(float(np.median(highs)), 3),
            "quietest_median_ms": round(min(medians), 3),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Time lines and zones.")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--zones", type=int, default=50)
    parser.add_argument("--tracks", type=int, default=100)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    figures = measure(asked.zones, asked.tracks, asked.frames, asked.rounds)
    for name, found in figures.items():
        shown = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
        print(f"{name} x {asked.tracks} tracks: {shown}")
    if asked.json is not None:
        about = {"machine": describe(), "tracks": asked.tracks, "frames": asked.frames}
        result = about | {"rounds": asked.rounds, "watched": figures}
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
