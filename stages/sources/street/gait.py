"""How bodies are held: walking, standing, with a telephone, on a motorcycle."""

from math import cos, pi, sin
from typing import Literal

import numpy as np

from stages.sources.street.camera import F64
from stages.sources.street.looks import Look

Action = Literal["walk", "stand", "phone", "ride"]


def joints(look: Look, action: Action, phase: float) -> F64:
    """(16, 3) local points in metres: hips, knees, ankles, toes, shoulders, elbows, hands, each
    left then right; then neck and head. `phase` in radians runs through two steps per turn."""
    if action == "ride":
        return riding()
    h, swing = look.stature, 0.0 if action in ("stand", "phone") else 1.0
    rows = np.zeros((16, 3))
    for side, (sign, turn) in enumerate(((1, phase), (-1, phase + pi))):
        thigh = swing * 0.46 * sin(turn) + (0.03 if swing else 0.0)
        bend = swing * (0.12 + 0.75 * max(0.0, cos(turn)) ** 1.5)
        hip = np.array([0.0, sign * 0.055 * h * look.build, 0.53 * h])
        knee = hip + 0.245 * h * np.array([sin(thigh), 0, -cos(thigh)])
        ankle = knee + 0.245 * h * np.array([sin(thigh - bend), 0, -cos(thigh - bend)])
        rows[side], rows[2 + side], rows[4 + side] = hip, knee, ankle
        lift = max(0.0, bend - thigh)
        rows[6 + side] = ankle + 0.12 * h * np.array(
            [cos(lift), 0.04 * sign, -0.16 - 0.5 * sin(lift)]
        )
        arm = -swing * 0.5 * sin(turn)
        shoulder = np.array([0.0, sign * 0.105 * h * look.build, 0.815 * h])
        elbow = shoulder + 0.17 * h * np.array([sin(arm), sign * 0.12, -cos(arm)])
        fore = arm + 0.35 * swing + 0.1
        hand = elbow + 0.16 * h * np.array([sin(fore), -0.02 * sign, -cos(fore)])
        rows[8 + side], rows[10 + side], rows[12 + side] = shoulder, elbow, hand
    if action == "phone" or look.carries == "umbrella":
        rows[11] = rows[9] + h * np.array([0.05, -0.02, -0.15])
        rows[13] = rows[11] + h * np.array([0.12, 0.06, 0.07])
    rows[14], rows[15] = (0.0, 0, 0.84 * h), (0.012 * h, 0, 0.925 * h)
    rows[:, 2] -= min(rows[4, 2], rows[5, 2]) - 0.04 * h
    return rows


def riding() -> F64:
    """The joints of someone who sits on a motorcycle."""
    half = [
        (-0.32, 0.12, 0.84), (0.12, 0.22, 0.76), (-0.06, 0.2, 0.36), (0.12, 0.22, 0.3),
        (-0.12, 0.2, 1.32), (0.1, 0.32, 1.1), (0.4, 0.32, 1.06),
    ]  # fmt: skip
    rows = [(x, sign * y, z) for x, y, z in half for sign in (1, -1)]
    return np.array([*rows, (-0.1, 0, 1.38), (-0.05, 0, 1.54)])
