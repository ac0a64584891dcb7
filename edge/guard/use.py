"""For how long an output was open within 24 hours, in quarters of an hour. Pure; times are monotonic seconds."""

DAY_S = 86_400.0
QUARTER_S = 900.0


class Use:
    """Open seconds by quarter. Of one that is partly too old as much counts as can be: too much, never too little."""

    def __init__(self, quarters: dict[int, float] | None = None) -> None:
        self.quarters = dict(quarters or {})

    def add(self, from_s: float, to_s: float) -> None:
        """Count the seconds between two times."""
        while from_s < to_s:
            quarter = quarter_of(from_s)
            until_s = min(to_s, (quarter + 1) * QUARTER_S)
            self.quarters[quarter] = self.quarters.get(quarter, 0.0) + until_s - from_s
            from_s = until_s

    def since_s(self, at_s: float) -> float:
        """Return the open seconds since `at_s`."""
        return sum(max(0.0, min(open_s, (quarter + 1) * QUARTER_S - at_s)) for quarter, open_s in self.quarters.items())

    def forget(self, at_s: float) -> None:
        """Drop what is older than a day at `at_s`."""
        old = [quarter for quarter in self.quarters if (quarter + 1) * QUARTER_S <= at_s - DAY_S]
        for quarter in old:
            del self.quarters[quarter]


def quarter_of(at_s: float) -> int:
    """Return the number of the quarter of an hour that a time is in."""
    return int(at_s // QUARTER_S)
