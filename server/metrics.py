"""Counters for Prometheus, in its text format."""

from collections import Counter
from collections.abc import Mapping


class Metrics:
    """Requests by status; everything else is read where it is counted."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()

    def request(self, method: str, status: int) -> None:
        """One request was answered."""
        self._requests[method, status] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The page; `gauges` are name → (what it is, value)."""
        lines = ["# HELP tuoi_http_requests_total Requests answered.", "# TYPE tuoi_http_requests_total counter"]
        for (method, status), count in sorted(self._requests.items()):
            lines.append(f'tuoi_http_requests_total{{method="{method}",status="{status}"}} {count}')
        for name, (meaning, value) in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"
