"""Light and weather: what time it is, how far one sees, what the camera adds."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stages.sources.street.camera import F64
from stages.sources.street.palette import Colour, mix
from stages.sources.street.solid import Sun

Light = Literal["day", "dusk", "night"]
Weather = Literal["clear", "overcast", "rain", "fog", "snow"]
LIGHTS: tuple[Light, ...] = get_args(Light)


@dataclass(frozen=True, slots=True)
class Mood:
    """Everything about light in one scene. `ambient` multiplies the picture (R, G, B)."""

    sun: Sun
    sky_top: Colour
    sky_low: Colour
    ambient: Colour
    shadow: float
    lamps_on: bool
    noise: float
    weather: Weather
    wet: float


SKIES: dict[str, tuple[Colour, Colour]] = {
    "clear": ((96, 152, 214), (198, 220, 236)),
    "overcast": ((170, 178, 188), (208, 212, 216)),
    "rain": ((136, 144, 154), (176, 182, 188)),
    "fog": ((196, 200, 204), (206, 208, 210)),
    "snow": ((182, 188, 198), (214, 218, 224)),
    "dusk": ((74, 84, 134), (244, 176, 128)),
    "night": ((14, 18, 36), (44, 42, 58)),
}
REACH_M = {"clear": 320.0, "overcast": 220.0, "rain": 110.0, "fog": 55.0, "snow": 80.0}


def mood(rng: np.random.Generator, light: Light, weather: Weather, *, indoor: bool) -> Mood:
    """The light of a scene, drawn around its kind."""
    turn, high = float(rng.uniform(-2.8, -0.3)), float(rng.uniform(0.7, 1.0))
    bright = weather == "clear" and not indoor
    toward: F64 = np.array([np.cos(turn) * 0.8, np.sin(turn) * 0.8, high])
    toward /= np.linalg.norm(toward)
    if indoor:
        toward = np.array([0.0, -0.3, 0.95])
    sky = SKIES[weather if light == "day" else light]
    fog = mix(*SKIES[weather], 0.65)
    if light == "dusk":
        fog = (224, 196, 176)
    sun = Sun(toward, 0.66 if bright else 0.8, 0.42 if bright else 0.18, fog, REACH_M[weather])
    ambient: dict[Light, Colour] = {
        "day": (1.0, 1.0, 1.0),
        "dusk": (0.74, 0.64, 0.66),
        "night": (0.27, 0.28, 0.38),
    }
    level = float(rng.uniform(0.9, 1.06)) * (0.9 if weather in ("rain", "fog") else 1.0)
    red, green, blue = ambient["day"] if indoor else ambient[light]
    warm = float(rng.uniform(0.97, 1.04))
    return Mood(
        sun=sun,
        sky_top=sky[0],
        sky_low=sky[1],
        ambient=(red * level * warm, green * level, blue * level / warm),
        shadow={"day": 0.5, "dusk": 0.32, "night": 0.2}[light] if bright else 0.26,
        lamps_on=light != "day" and not indoor,
        noise=float(rng.uniform(0.8, 2.0)) + (1.4 if light == "night" else 0.0),
        weather="clear" if indoor else weather,
        wet=0.82 if weather == "rain" else 1.0,
    )
