"""Pictures as inline SVG, drawn on the server: an eta-phi map with the box of an alarm, and strips of lumisections.

Each has a title for those who cannot see it.  Colours come from the style sheet by class, so that dark pages have dark
pictures.  Nothing here knows what an alarm means.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

ETA_EDGE = 5.0
WIDTH, HEIGHT, MARGIN = 360.0, 200.0, 34.0


def eta_phi_map(box: Mapping[str, Any], title: str) -> Markup:
    """Return the eta-phi plane with one box; phi wraps at pi, so a box over the seam is drawn in two parts.

    Args:
        box: ``eta`` and ``phi`` as ``[low, high]`` in natural units and radians.
        title: Said to screen readers.
    """
    across, up = WIDTH - MARGIN - 8, HEIGHT - MARGIN - 8

    def x(eta: float) -> float:
        return MARGIN + (min(max(eta, -ETA_EDGE), ETA_EDGE) + ETA_EDGE) / (2 * ETA_EDGE) * across

    def y(phi: float) -> float:
        return 8 + (math.pi - phi) / (2 * math.pi) * up

    low, high = sorted(float(one) for one in box["eta"])
    parts = [
        f'<svg class="map" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f'<rect class="plane" x="{MARGIN:g}" y="8" width="{across:g}" height="{up:g}"/>',
    ]
    for eta in (-4, -2, 0, 2, 4):
        parts.append(f'<line class="grid" x1="{x(eta):.1f}" x2="{x(eta):.1f}" y1="8" y2="{8 + up:g}"/>')
        parts.append(f'<text x="{x(eta):.1f}" y="{HEIGHT - 14:g}" text-anchor="middle">{eta}</text>')
    for phi, name in ((-math.pi, "-π"), (0.0, "0"), (math.pi, "π")):
        parts.append(
            f'<line class="grid" x1="{MARGIN:g}" x2="{MARGIN + across:g}" y1="{y(phi):.1f}" y2="{y(phi):.1f}"/>'
        )
        parts.append(f'<text x="{MARGIN - 6:g}" y="{y(phi) + 4:.1f}" text-anchor="end">{name}</text>')
    for begin, end in unwrapped(float(box["phi"][0]), float(box["phi"][1])):
        wide, tall = max(x(high) - x(low), 3.0), max(y(begin) - y(end), 3.0)
        parts.append(
            f'<rect class="box" x="{x(low):.1f}" y="{y(end):.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="1"/>'
        )
    parts.append(f'<text x="{MARGIN + across / 2:g}" y="{HEIGHT - 1:g}" text-anchor="middle">η</text>')
    parts.append(f'<text x="6" y="{8 + up / 2:g}">φ</text></svg>')
    return Markup("".join(parts))  # noqa: S704  # every text in it was escaped or is a number


def unwrapped(begin: float, end: float) -> Iterable[tuple[float, float]]:
    """Return the parts of a phi range within -pi to pi; a full turn is the whole range."""
    if end < begin:
        end += 2 * math.pi
    if end - begin >= 2 * math.pi:
        return [(-math.pi, math.pi)]
    begin_in = (begin + math.pi) % (2 * math.pi) - math.pi
    end_in = begin_in + (end - begin)
    if end_in <= math.pi:
        return [(begin_in, end_in)]
    return [(begin_in, math.pi), (-math.pi, end_in - 2 * math.pi)]


def strip(results: Sequence[tuple[str, str]], title: str) -> Markup:
    """Return one thin bar per lumisection, oldest first, from ``(class, what to say when pointed at)``."""
    step, tall = 6, 28
    bars = "".join(
        f'<rect class="ls {escape(kind)}" x="{index * step}" y="0" width="{step - 1}" height="{tall}">'
        f"<title>{escape(said)}</title></rect>"
        for index, (kind, said) in enumerate(results)
    )
    wide = max(step * len(results), step)
    return Markup(  # noqa: S704  # every text in it was escaped
        f'<svg class="strip" viewBox="0 0 {wide} {tall}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{bars}</svg>'
    )


def gauge(value: float, budget: float, title: str) -> Markup:
    """Return a bar that fills towards a budget, with a mark where the budget is."""
    top = max(budget * 1.25, value, 1e-9)
    at, mark = 300 * max(value, 0.0) / top, 300 * budget / top
    over = " over" if value >= budget else ""
    return Markup(  # noqa: S704  # every text in it was escaped or is a number
        f'<svg class="gauge{over}" viewBox="0 0 300 16" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<rect class="rail" width="300" height="16" rx="3"/><rect class="fill" width="{at:.1f}" height="16" rx="3"/>'
        f'<rect class="mark" x="{mark - 1:.1f}" width="2" height="16"/></svg>'
    )


def rate_chart(
    strata: Sequence[Mapping[str, Any]],
    target_hz: float | None,
    title: str,
    beside: Sequence[Mapping[str, Any] | None] = (),
) -> Markup:
    """Return the rate against pileup, a dot with its interval for each step, on a logarithmic axis.

    Args:
        strata: ``pileup_from``, ``rate_hz``, ``low_hz``, ``high_hz`` of each step of five units, lowest first.
        target_hz: Drawn as a dashed line.
        title: Said to screen readers.
        beside: The champion's, in the same steps; None where it has none.
    """
    every = [*strata, *(one for one in beside if one is not None)]
    lows = [float(one["low_hz"]) for one in every if float(one["low_hz"]) > 0]
    bottom = math.floor(math.log10(min([*lows, target_hz or 1e9, 1e9]))) if lows or target_hz else 0
    top = math.ceil(math.log10(max(*(float(one["high_hz"]) for one in every), target_hz or 1.0, 10.0**bottom * 10)))
    across, up, tall = WIDTH - 64.0, HEIGHT - MARGIN - 8, HEIGHT
    first, last = float(strata[0]["pileup_from"]), float(strata[-1]["pileup_from"]) + 5.0

    def x(pileup: float) -> float:
        return 56.0 + (pileup - first) / (last - first) * across

    def y(rate: float) -> float:
        inside = min(max(math.log10(max(rate, 1e-9)), bottom), top)
        return 8 + (top - inside) / max(top - bottom, 1) * up

    parts = [
        f'<svg class="map" viewBox="0 0 {WIDTH:g} {tall:g}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f'<rect class="plane" x="56" y="8" width="{across:g}" height="{up:g}"/>',
    ]
    for power in range(bottom, top + 1):
        level = y(10.0**power)
        name = f"{10.0 ** (power - 6):g} MHz" if power >= 6 else f"{10.0 ** (power - 3):g} kHz"
        parts.append(f'<line class="grid" x1="56" x2="{56 + across:g}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(f'<text x="52" y="{level + 4:.1f}" text-anchor="end">{name}</text>')
    if target_hz:
        parts.append(
            f'<line class="target" x1="56" x2="{56 + across:g}" y1="{y(target_hz):.1f}" y2="{y(target_hz):.1f}"/>'
        )
    for one in strata:
        edge = float(one["pileup_from"])
        parts.append(f'<text x="{x(edge):.1f}" y="{tall - 14:g}" text-anchor="middle">{edge:g}</text>')
    for steps, kind, aside in ((strata, "", -3.0 if beside else 0.0), (beside, " old", 3.0)):
        for one in (step for step in steps if step is not None):
            middle = x(float(one["pileup_from"]) + 2.5) + aside
            rate, low, high = (y(float(one[f"{name}_hz"])) for name in ("rate", "low", "high"))
            parts.append(
                f'<line class="bar{kind}" x1="{middle:.1f}" x2="{middle:.1f}" y1="{high:.1f}" y2="{low:.1f}"/>'
                f'<circle class="dot{kind}" cx="{middle:.1f}" cy="{rate:.1f}" r="3"/>'
            )
    parts.append(f'<text x="{56 + across / 2:g}" y="{tall - 1:g}" text-anchor="middle">pileup</text></svg>')
    return Markup("".join(parts))  # noqa: S704  # every text in it was escaped or is a number
