"""Damage to clips, a pure function of the number of the case."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MOST_FLIPS = 64
LONGEST_PIECE = 400


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged clip. `name` says how it was made, and makes it again."""

    number: int
    name: str
    body: bytes


def make(number: int, clips: Mapping[str, bytes]) -> Case:
    """Case `number`: kinds and faults in turn, where and how much by chance."""
    kinds = sorted(clips)
    kind = kinds[number % len(kinds)]
    fault, damage = _FAULTS[number // len(kinds) % len(_FAULTS)]
    rng = random.Random(number)
    others = [clips[other] for other in kinds]
    return Case(number, f"{number}:{kind}:{fault}", damage(rng, clips[kind], others))


def _flip(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """Single bits, few or many, anywhere."""
    damaged = bytearray(body)
    for _flip in range(rng.choice([1, 4, 16, MOST_FLIPS])):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _flip_head(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """Bits near the start: parameter sets, tables, headers."""
    damaged = bytearray(body)
    for _flip in range(rng.randint(1, 8)):
        damaged[rng.randrange(min(len(damaged), 256))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _truncate(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    return body[: rng.randrange(1, len(body))]


def _behead(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """Joined in the middle, as a stream may be."""
    return body[rng.randrange(1, len(body)) :]


def _splice(rng: random.Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """Begins as one clip and goes on as another, perhaps of another codec."""
    other = rng.choice(others)
    return body[: rng.randrange(1, len(body))] + other[rng.randrange(len(other)) :]


def _insert(rng: random.Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """A piece of another clip, or noise, within."""
    other = rng.choice(others)
    start, place = rng.randrange(len(other)), rng.randrange(len(body))
    length = rng.randint(1, LONGEST_PIECE)
    piece = rng.randbytes(length) if rng.random() < 0.5 else other[start : start + length]
    return body[:place] + piece + body[place:]


def _cut(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """A hole, as lost packets leave it."""
    place = rng.randrange(len(body))
    return body[:place] + body[place + rng.randint(1, LONGEST_PIECE) :]


def _repeat(rng: random.Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """A piece that comes twice or often."""
    place = rng.randrange(len(body))
    piece = body[place : place + rng.randint(1, LONGEST_PIECE)]
    return body[:place] + piece * rng.choice([2, 3, 20]) + body[place:]


_FAULTS: tuple[tuple[str, Callable[[random.Random, bytes, Sequence[bytes]], bytes]], ...] = (
    ("flip", _flip),
    ("flip_head", _flip_head),
    ("truncate", _truncate),
    ("behead", _behead),
    ("splice", _splice),
    ("insert", _insert),
    ("cut", _cut),
    ("repeat", _repeat),
)
