"""A Prometheus, asked as Grafana would ask it: variables filled in, over a span or at its end."""

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Series = Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """The time that a preview shows, in Unix seconds, and the step between two points."""

    begin: float
    end: float
    step_s: float


@dataclass(frozen=True)
class Numbers:
    """A Prometheus, asked as Grafana would ask it."""

    url: str
    span: Span
    rate_s: int

    def now(self, expr: str) -> list[Series]:
        """Return the values at the end of the span."""
        return self._ask("query", query=self._filled(expr), time=self.span.end)

    def over_time(self, expr: str) -> list[Series]:
        """Return the values over the span."""
        span = self.span
        return self._ask("query_range", query=self._filled(expr), start=span.begin, end=span.end, step=span.step_s)

    def _filled(self, expr: str) -> str:
        reach = max(int(self.span.end - self.span.begin), 1)
        for name, value in (("$__rate_interval", self.rate_s), ("$__interval", self.rate_s), ("$__range", reach)):
            expr = expr.replace(name, f"{value}s")
        return expr.replace("$stream", ".+").replace("$slot", ".+")

    def _ask(self, verb: str, **query: Any) -> list[Series]:
        address = f"{self.url}/api/v1/{verb}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # the operator's own Prometheus
            found: list[Series] = json.load(answer)["data"]["result"]
        return found
