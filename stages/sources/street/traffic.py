"""The world in motion: vehicles follow their lanes and signals, people walk and stop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf, pi, sqrt

import numpy as np

from stages.sources.street.buses import bus
from stages.sources.street.gait import Action
from stages.sources.street.layout import BUS, CAR, MOTORCYCLE, PERSON, TRUCK, Lane, Layout, Walk
from stages.sources.street.looks import Look, dress
from stages.sources.street.motorcycles import motorcycle
from stages.sources.street.solid import Pose, Solid
from stages.sources.street.trucks import truck
from stages.sources.street.vehicles import car

MAKERS = {CAR: car, MOTORCYCLE: motorcycle, BUS: bus, TRUCK: truck}
BRAKE_MPS2 = 2.6
ACCELERATION_MPS2 = 1.6


@dataclass(slots=True)
class Vehicle:
    """A vehicle on its lane: `s` is its middle; `look` and `pillion` are riders."""

    ident: int
    class_id: int
    solid: Solid
    pose: Pose
    s: float = 0.0
    speed_mps: float = 0.0
    wish_mps: float = 0.0
    aside: float = 0.0
    braking: bool = False
    look: Look | None = None
    pillion: Look | None = None

    @property
    def half(self) -> float:
        return self.solid.size[0] / 2


@dataclass(slots=True)
class Walker:
    """A person on their walk; stops at `pauses` (s, seconds)."""

    ident: int
    look: Look
    pose: Pose
    action: Action = "walk"
    s: float = 0.0
    speed_mps: float = 0.0
    aside: float = 0.0
    phase: float = 0.0
    rest_s: float = 0.0
    pauses: list[tuple[float, float, Action]] = field(default_factory=list)
    class_id: int = PERSON


Actor = Vehicle | Walker


class World:
    """Everything that moves, advanced step by step; the same seed makes the same world."""

    def __init__(self, layout: Layout, seed: int, density: float, *, rain: bool) -> None:
        self._layout, self._density, self._rain = layout, density, rain
        self._rng = np.random.default_rng([seed, 1])
        self._ids = iter(range(1, 1 << 30))
        self._queues: list[list[Vehicle]] = [[] for _ in layout.lanes]
        self._crowds: list[list[Walker]] = [[] for _ in layout.walks]
        self._next_car = [self._wait(lane.headway_s) * 0.3 for lane in layout.lanes]
        self._next_group = [self._wait(walk.headway_s) * 0.3 for walk in layout.walks]
        self._fixed: list[Actor] = [
            *(self._vehicle(kind, pose) for kind, pose in layout.parked),
            *(self._standing(pose) for pose in layout.standing),
        ]
        self.t_s = float(self._rng.uniform(0, 40))

    def actors(self) -> Iterator[Actor]:
        """Everyone now in the world, in picture or out of it."""
        yield from self._fixed
        for queue in self._queues:
            yield from queue
        for crowd in self._crowds:
            yield from crowd

    def step(self, dt_s: float) -> None:
        self.t_s += dt_s
        for index, lane in enumerate(self._layout.lanes):
            self._next_car[index] -= dt_s
            self._drive(lane, self._queues[index], dt_s)
            if self._next_car[index] <= 0 and self._enter(lane, self._queues[index]):
                self._next_car[index] = self._wait(lane.headway_s)
        for index, walk in enumerate(self._layout.walks):
            self._next_group[index] -= dt_s
            self._stroll(walk, self._crowds[index], dt_s)
            if self._next_group[index] <= 0:
                self._arrive(walk, self._crowds[index])
                self._next_group[index] = self._wait(walk.headway_s)

    def _wait(self, mean_s: float) -> float:
        return float(0.25 * mean_s + self._rng.exponential(0.75 * mean_s)) / self._density

    def _vehicle(self, kind: int, pose: Pose, *, ridden: bool = False) -> Vehicle:
        solid = MAKERS[kind](self._rng)
        vehicle = Vehicle(next(self._ids), kind, solid, pose)
        if kind == MOTORCYCLE and ridden:
            vehicle.look = dress(self._rng, rider=True)
            if self._rng.random() < 0.15:
                vehicle.pillion = dress(self._rng, rider=True)
        return vehicle

    def _standing(self, pose: Pose) -> Walker:
        look = dress(self._rng, rain=self._rain)
        action: Action = "phone" if self._rng.random() < 0.5 else "stand"
        return Walker(next(self._ids), look, pose, action)

    def _enter(self, lane: Lane, queue: list[Vehicle]) -> bool:
        if queue and queue[-1].s - queue[-1].half < 14:
            return False
        kind = 1 + int(self._rng.choice(4, p=np.array(lane.share) / sum(lane.share)))
        vehicle = self._vehicle(kind, lane.path.pose(0), ridden=True)
        pace = float(self._rng.normal(1, 0.1)) * (0.9 if kind in (BUS, TRUCK) else 1.0)
        vehicle.wish_mps = vehicle.speed_mps = lane.speed_mps * max(pace, 0.6)
        vehicle.aside = float(self._rng.normal(0, 0.5 if kind == MOTORCYCLE else 0.12))
        queue.append(vehicle)
        return True

    def _drive(self, lane: Lane, queue: list[Vehicle], dt_s: float) -> None:
        """Each vehicle keeps its wished speed unless what is ahead asks for less."""
        red = lane.stop is not None and not lane.stop.signal.green(self.t_s)
        ahead: Vehicle | None = None
        for vehicle in queue:
            nose, room, pace = vehicle.s + vehicle.half, inf, 0.0
            if ahead is not None:
                room, pace = ahead.s - ahead.half - nose - 1.8, ahead.speed_mps
            if red and lane.stop is not None:
                gap = lane.stop.at_m - nose
                reach = vehicle.speed_mps**2 / (2 * BRAKE_MPS2 * 1.3)
                if gap > -0.5 and reach - 0.6 <= gap < room:
                    room, pace = gap, 0.0
            safe = sqrt(pace**2 + 2 * BRAKE_MPS2 * max(room, 0.0))
            wish = min(vehicle.wish_mps, safe)
            change = min(max(wish - vehicle.speed_mps, -6 * dt_s), ACCELERATION_MPS2 * dt_s)
            vehicle.braking = change < -0.5 * dt_s or vehicle.speed_mps < 0.3
            vehicle.speed_mps = max(0.0, vehicle.speed_mps + change)
            vehicle.s += vehicle.speed_mps * dt_s
            vehicle.pose = lane.path.pose(vehicle.s, vehicle.aside)
            ahead = vehicle
        while queue and queue[0].s > lane.path.length:
            queue.pop(0)

    def _arrive(self, walk: Walk, crowd: list[Walker]) -> None:
        """A group of one to three enters together and keeps together."""
        count = int(self._rng.choice([1, 2, 3], p=[0.64, 0.27, 0.09]))
        speed = float(np.clip(self._rng.normal(1.32, 0.2), 0.8, 1.9))
        middle = float(self._rng.uniform(-0.5, 0.5)) * walk.width_m
        pauses: list[tuple[float, float, Action]] = []
        if self._rng.random() < 0.12:
            action: Action = "phone" if self._rng.random() < 0.5 else "stand"
            at = float(self._rng.uniform(0.2, 0.8)) * walk.path.length
            pauses.append((at, float(self._rng.uniform(2, 9)), action))
        for member in range(count):
            walker = Walker(next(self._ids), dress(self._rng, rain=self._rain), walk.path.pose(0))
            walker.speed_mps = speed
            walker.aside = middle + (member - (count - 1) / 2) * 0.62
            walker.s = -0.25 * member * float(self._rng.random())
            walker.phase = float(self._rng.uniform(0, 2 * pi))
            walker.pauses = list(pauses)
            crowd.append(walker)

    def _stroll(self, walk: Walk, crowd: list[Walker], dt_s: float) -> None:
        red = walk.stop is not None and not walk.stop.signal.green(self.t_s)
        for walker in crowd:
            if walker.rest_s > 0:
                walker.rest_s -= dt_s
                continue
            if walker.pauses and walker.s >= walker.pauses[0][0]:
                _, walker.rest_s, walker.action = walker.pauses.pop(0)
                continue
            step = walker.speed_mps * dt_s
            if red and walk.stop is not None and 0 <= walk.stop.at_m - walker.s < step:
                walker.action = "stand"
                continue
            walker.action = "walk"
            walker.s += step
            walker.phase += 2 * pi * step / (0.84 * walker.look.stature)
            walker.pose = walk.path.pose(walker.s, walker.aside)
        crowd[:] = [walker for walker in crowd if walker.s < walk.path.length]
