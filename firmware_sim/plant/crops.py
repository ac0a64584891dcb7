"""The crops of Sơn La: how much they transpire in each month, how deep they root, how dry they may become.

Kc: FAO-56 Table 12 (initial, mid, end), placed on the months by the crop's season in north-west Viet Nam, with straight
lines between. Root depth and p: FAO-56 Table 22, at the shallow end, for drip-watered and grafted plants.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Crop:
    """Monthly crop coefficients (January first), rooting depth and allowed depletion."""

    kc: tuple[float, ...]
    root_depth_m: float
    depletion_share: float

    def kc_in(self, month: int) -> float:
        """Return the crop coefficient of a month, 1 to 12."""
        return self.kc[month - 1]


CROPS: Final[dict[str, Crop]] = {
    # Table 12 strawberries 0.40-0.85-0.75: planted in September, picked from December to April.
    "strawberry": Crop((0.85, 0.85, 0.85, 0.75, 0.60, 0.40, 0.40, 0.40, 0.40, 0.50, 0.65, 0.80), 0.30, 0.20),
    # Small vegetables 0.70-1.05-0.95; leaf crops follow one another all year.
    "mustard-greens": Crop((1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00), 0.30, 0.30),
    # Stone fruit 0.55-0.90-0.65 (no ground cover): bare in winter, in leaf from February, picked in June.
    "plum": Crop((0.55, 0.55, 0.70, 0.90, 0.90, 0.90, 0.90, 0.85, 0.75, 0.65, 0.65, 0.55), 0.80, 0.50),
    # Evergreen fruit; Table 12 has no longan, so citrus with 70 % canopy: 0.70-0.65-0.70.
    "longan": Crop((0.70, 0.70, 0.68, 0.65, 0.65, 0.65, 0.65, 0.65, 0.68, 0.70, 0.70, 0.70), 0.80, 0.50),
    "mango": Crop((0.70, 0.70, 0.68, 0.65, 0.65, 0.65, 0.65, 0.65, 0.68, 0.70, 0.70, 0.70), 0.80, 0.50),
    # Coffee, bare ground: 0.90-0.95-0.95.
    "coffee": Crop((0.95, 0.92, 0.90, 0.92, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95), 0.90, 0.40),
    "tomato": Crop((1.15, 1.00, 0.80, 0.60, 0.60, 0.60, 0.60, 0.60, 0.60, 0.80, 1.05, 1.15), 0.70, 0.40),
    "grass": Crop((1.00,) * 12, 0.50, 0.50),
}


def crop(name: str) -> Crop:
    """Return a crop by name; the grass of the reference surface for a name that is not in the table."""
    return CROPS.get(name, CROPS["grass"])
