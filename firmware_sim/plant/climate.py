"""The climate of Sơn La by month, and the evaporating power of its air.

Monthly normals of the station Sơn La (21.33° N, 103.90° E, 676 m): Vietnam Institute for Building Science and
Technology, QCVN 02:2009/BXD, as tabulated in Wikipedia's article "Sơn La". November to February is the dry season.

Reference evapotranspiration: FAO Irrigation and Drainage Paper 56 (Allen, Pereira, Raes, Smith 1998).
"""

import math
from dataclasses import dataclass
from datetime import date
from typing import Final

LATITUDE_DEG: Final = 21.33
MJ_M2_TO_MM: Final = 0.408
"""Depth of water that 1 MJ/m² evaporates: FAO-56 Eq. 20."""


@dataclass(frozen=True, slots=True)
class Month:
    """Normals of one month: mean daily extremes, rain in total and on how many days, mean relative humidity."""

    t_max_c: float
    t_min_c: float
    rain_mm: float
    rain_days: float
    humidity_pct: float


NORMALS: Final[tuple[Month, ...]] = (
    Month(21.1, 10.8, 18, 4.8, 78.6),
    Month(23.1, 12.3, 26, 4.9, 75.4),
    Month(27.0, 15.4, 48, 6.1, 72.2),
    Month(29.7, 18.5, 115, 12.6, 74.3),
    Month(30.5, 20.7, 187, 17.1, 77.8),
    Month(29.9, 22.0, 255, 19.5, 83.3),
    Month(29.6, 22.1, 265, 21.5, 85.1),
    Month(29.5, 21.7, 268, 20.0, 85.9),
    Month(29.0, 20.2, 136, 13.6, 84.2),
    Month(27.0, 17.7, 65, 8.6, 82.2),
    Month(24.1, 14.2, 35, 4.6, 80.6),
    Month(21.6, 10.9, 16, 3.5, 78.8),
)
"""January to December."""


def normals(day: date) -> Month:
    """Return the normals of a day's month."""
    return NORMALS[day.month - 1]


def declination_rad(day_of_year: int) -> float:
    """Return the sun's declination: FAO-56 Eq. 24."""
    return 0.409 * math.sin(2 * math.pi / 365 * day_of_year - 1.39)


def sunset_angle_rad(latitude_deg: float, day_of_year: int) -> float:
    """Return the sunset hour angle: FAO-56 Eq. 25; 0 in the polar night, π under the midnight sun."""
    cosine = -math.tan(math.radians(latitude_deg)) * math.tan(declination_rad(day_of_year))
    return math.acos(max(-1.0, min(1.0, cosine)))


def daylight_h(latitude_deg: float, day_of_year: int) -> float:
    """Return the hours of daylight: FAO-56 Eq. 34."""
    return 24 / math.pi * sunset_angle_rad(latitude_deg, day_of_year)


def extraterrestrial_mj_m2(latitude_deg: float, day_of_year: int) -> float:
    """Return the radiation above the air in one day: FAO-56 Eq. 21, 23."""
    distance = 1 + 0.033 * math.cos(2 * math.pi / 365 * day_of_year)
    latitude, declination = math.radians(latitude_deg), declination_rad(day_of_year)
    sunset = sunset_angle_rad(latitude_deg, day_of_year)
    height = sunset * math.sin(latitude) * math.sin(declination)
    height += math.cos(latitude) * math.cos(declination) * math.sin(sunset)
    return 24 * 60 / math.pi * 0.0820 * distance * height


def et0_mm(latitude_deg: float, day_of_year: int, t_max_c: float, t_min_c: float) -> float:
    """Return one day's reference evapotranspiration by Hargreaves: FAO-56 Eq. 52. Never below zero."""
    mean_c = (t_max_c + t_min_c) / 2
    above_mm = MJ_M2_TO_MM * extraterrestrial_mj_m2(latitude_deg, day_of_year)
    return max(0.0, 0.0023 * (mean_c + 17.8) * math.sqrt(max(0.0, t_max_c - t_min_c)) * above_mm)


def sun_share_per_h(latitude_deg: float, day_of_year: int, hour: float) -> float:
    """Return the share per hour of the day's light at solar time `hour`: a sine from rise to set, integral 1."""
    length_h = daylight_h(latitude_deg, day_of_year)
    since_rise_h = hour % 24 - (12 - length_h / 2)
    if not 0 < since_rise_h < length_h:
        return 0.0
    return math.pi / (2 * length_h) * math.sin(math.pi * since_rise_h / length_h)
