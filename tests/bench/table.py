"""The table that `make bench` prints: each number beside its target and what the machine could do at best."""

HEAD = ("what", "measured", "target", "beside the machine's limit, measured in this run")


class Table:
    """Rows, and which of them miss their target."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self.missed: list[str] = []

    def at_most(self, what: str, value: float, target: float, unit: str, limit: str = "") -> None:
        """Add a number that should not be above its target."""
        self._add(what, value, f"≤ {target:,g} {unit}", unit, limit, good=value <= target)

    def at_least(self, what: str, value: float, target: float, unit: str, limit: str = "") -> None:
        """Add a number that should not be below its target."""
        self._add(what, value, f"≥ {target:,g} {unit}", unit, limit, good=value >= target)

    def _add(self, what: str, value: float, target: str, unit: str, limit: str, *, good: bool) -> None:
        self._rows.append((what, f"{value:,.1f} {unit}", target if good else f"{target}  MISSED", limit))
        if not good:
            self.missed.append(what)

    def print(self) -> None:
        """Print it, columns aligned."""
        widths = [max(len(row[column]) for row in (HEAD, *self._rows)) for column in range(len(HEAD))]
        for row in (HEAD, ["-" * width for width in widths], *self._rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
