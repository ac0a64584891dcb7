"""Days of weather drawn from the climate: how warm, how wet, how bright, and each hour of them."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from firmware_sim.plant import climate


class Randomness(Protocol):
    """What a draw needs; `random.Random` has it. Seeded by the caller, so that a day is always the same."""

    def random(self) -> float:
        """Return a number from 0 to below 1, all alike."""
        ...

    def gauss(self, mu: float, sigma: float) -> float:
        """Return a normally distributed number."""
        ...

    def expovariate(self, lambd: float) -> float:
        """Return an exponentially distributed number with mean 1 / `lambd`."""
        ...


@dataclass(frozen=True, slots=True)
class Day:
    """One day's weather. The rain falls evenly from `rain_from_h` for `rain_h` hours (local solar time)."""

    day_of_year: int
    latitude_deg: float
    t_max_c: float
    t_min_c: float
    et0_mm: float
    rain_mm: float
    rain_from_h: float
    rain_h: float
    clearness: float  # share of the clear sky's light that reaches the ground, 0 to 1


def draw(day: date, latitude_deg: float, dice: Randomness) -> Day:
    """Return a day of its month: rain on its usual share of days, with exponential depths (Todorovic & Woolhiser 1975).

    A wet day is cooler by day, warmer by night and dimmer, so that its evapotranspiration falls with it.
    """
    month, day_of_year = climate.normals(day), day.timetuple().tm_yday
    wet_chance = month.rain_days / 30.4
    wet = dice.random() < wet_chance
    rain_mm = dice.expovariate(month.rain_days / month.rain_mm) if wet else 0.0
    anomaly_c = dice.gauss(0, 1.5)
    # Shifts that cancel over the month, so that the mean stays the normal.
    shift_c = -2.5 * (1 - wet_chance) if wet else 2.5 * wet_chance
    t_max_c = month.t_max_c + anomaly_c + shift_c
    t_min_c = min(month.t_min_c + anomaly_c - 0.4 * shift_c, t_max_c - 1)
    rain_h = min(8.0, 0.5 + rain_mm / 6)
    return Day(
        day_of_year=day_of_year,
        latitude_deg=latitude_deg,
        t_max_c=t_max_c,
        t_min_c=t_min_c,
        et0_mm=climate.et0_mm(latitude_deg, day_of_year, t_max_c, t_min_c),
        rain_mm=rain_mm,
        rain_from_h=(13 + 6 * dice.random()) % (24 - rain_h),  # afternoon and evening showers
        rain_h=rain_h,
        clearness=max(0.2, min(1.0, (0.45 if wet else 0.85) + dice.gauss(0, 0.08))),
    )


def temperature_c(day: Day, hour: float) -> float:
    """Return the air temperature at a local hour: a cosine with its peak at 14 h and its low at 5 h, before sunrise."""
    hour %= 24
    half = (day.t_max_c - day.t_min_c) / 2
    share = (14 - hour) / 9 if 5 <= hour < 14 else (hour - 14) % 24 / 15  # rises for nine hours, falls for fifteen
    return day.t_min_c + half * (1 + math.cos(math.pi * share))


def et0_mm_h(day: Day, hour: float) -> float:
    """Return the rate of reference evapotranspiration; it follows the light, and its sum is the day's `et0_mm`."""
    return day.et0_mm * climate.sun_share_per_h(day.latitude_deg, day.day_of_year, hour)


def rain_mm_h(day: Day, hour: float) -> float:
    """Return the rate of rain at a local hour."""
    return day.rain_mm / day.rain_h if 0 <= hour % 24 - day.rain_from_h < day.rain_h else 0.0


def light_w_m2(day: Day, hour: float) -> float:
    """Return the light on flat ground: 0.75 of what is above the air under a clear sky (FAO-56 Eq. 37 at sea level)."""
    above_j_m2 = 1e6 * climate.extraterrestrial_mj_m2(day.latitude_deg, day.day_of_year)
    share_per_h = climate.sun_share_per_h(day.latitude_deg, day.day_of_year, hour)
    return 0.75 * day.clearness * above_j_m2 * share_per_h / 3600
