"""The clubs a player carries and how far and straight they go (ADV-91, ADV-92). Pure.

All figures are model choices of this project, and labelled so in the plan.
"""

from dataclasses import dataclass

WORST_HANDICAP, USUAL_HANDICAP = 54.0, 15.0
_CARRY_LOST_PER_POINT = 0.008
_PARTIAL_SWINGS = {"3/4": 0.75, "1/2": 0.5, "1/4": 0.25}
_ROLL_WOOD, _ROLL_IRON, _ROLL_WEDGE = 0.08, 0.05, 0.02

# Carry in metres at handicap 0.
DEFAULT_BAG = {
    "driver": 230.0, "3-wood": 210.0, "5-wood": 196.0, "hybrid": 187.0, "4-iron": 178.0, "5-iron": 170.0,
    "6-iron": 161.0, "7-iron": 151.0, "8-iron": 140.0, "9-iron": 129.0, "PW": 117.0, "GW": 101.0, "SW": 85.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Club:
    """One way to hit the ball: carry on the level without wind, and what it rolls on top of that."""

    name: str
    carry_m: float
    roll: float

    @property
    def is_driver(self) -> bool:
        """Whether it needs a tee."""
        return self.name.lower() == "driver"


@dataclass(frozen=True, slots=True)
class Player:
    """Who plays. `own_bag` gives the player's own carries, which no handicap scales."""

    handicap: float = USUAL_HANDICAP
    own_bag: tuple[tuple[str, float], ...] | None = None

    @property
    def carry_spread(self) -> float:
        """Standard deviation of the carry as a share of it."""
        return 0.035 + 0.0015 * self.handicap

    @property
    def direction_spread_deg(self) -> float:
        """Standard deviation of the direction."""
        return 2.5 + 0.15 * self.handicap

    def clubs(self) -> list[Club]:
        """Every club, the sand wedge also at partial swings."""
        if self.own_bag is not None:
            carries = dict(self.own_bag)
        else:
            scale = 1 - _CARRY_LOST_PER_POINT * self.handicap
            carries = {name: carry_m * scale for name, carry_m in DEFAULT_BAG.items()}
        clubs = [Club(name, carry_m, _roll(name)) for name, carry_m in carries.items()]
        for swing, share in _PARTIAL_SWINGS.items() if "SW" in carries else ():
            clubs.append(Club(f"SW {swing}", carries["SW"] * share, _ROLL_WEDGE))
        return clubs


def _roll(name: str) -> float:
    lower = name.lower()
    if lower == "driver" or "wood" in lower:
        return _ROLL_WOOD
    is_wedge = "wedge" in lower or (len(name) == 2 and lower.endswith("w"))
    return _ROLL_WEDGE if is_wedge else _ROLL_IRON
