"""A plain picture of a dashboard from the numbers of a real Prometheus, for people without Grafana and without Node.

This is our own drawing, and says so on the picture: it shows that every panel has data, units and thresholds, not how
Grafana looks; `dashboards.preview` draws with Grafana's components where they were built.  Nothing here knows a metric.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dashboards.numbers import Numbers, Series, Span

COLOURS = ("#3871dc", "#e0752d", "#58a55c", "#a352cc", "#c4162a", "#0a8f8f", "#b5a300", "#777777")
NAMED = {
    "green": "#2e8b57",
    "orange": "#d97a00",
    "red": "#c4162a",
    "blue": "#3871dc",
    "text": "#5b6673",
    "purple": "#8f3bb8",
    "dark-blue": "#1f60c4",
    "light-blue": "#8ab8ff",
    "light-orange": "#ffb357",
}
COLUMN, HEIGHT = 50.0, 200.0  # of a picture, for each of 24 columns
LEFT, RIGHT, TOP, BOTTOM = 56.0, 8.0, 6.0, 20.0
STYLE = """
body { font: 14px system-ui, "DejaVu Sans", sans-serif; background: #f4f5f7; color: #1a2029; margin: 1rem; }
.board { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px; }
.row { grid-column: 1 / -1; font-weight: 600; padding: .6rem 0 .1rem; }
.panel { background: #fff; border: 1px solid #d6dbe1; border-radius: 4px; padding: 8px 10px; min-width: 0; }
.panel h3 { margin: 0 0 4px; font-size: 13px; font-weight: 600; }
.big { font-size: 26px; font-weight: 600; border-radius: 3px; padding: 10px; text-align: center; line-height: 1.15; }
.big small { display: block; font-size: 12px; font-weight: 400; }
.note { background: #fff7dc; border: 1px solid #e3c65b; padding: 6px 10px; border-radius: 4px; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: #5b6673; }
.legend { font-size: 12px; color: #444; }
.legend i { display: inline-block; width: 14px; height: 3px; margin: 0 4px 3px 8px; }
table { border-collapse: collapse; width: 100%; font-size: 12px; } td, th { text-align: left; padding: 3px 8px 3px 0; }
td { overflow-wrap: anywhere; }
"""


def draw(board: Mapping[str, Any], numbers: Numbers) -> str:
    """Return a dashboard as one HTML page without scripts."""
    parts = [_panel(panel, numbers) for panel in board["panels"]]
    note = "Preview drawn by retrigger from a real Prometheus; not Grafana, whose look differs."
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(board["title"])}</title>'
        f"<style>{STYLE}</style><h1>{_text(board['title'])}</h1><p class='note'>{note}</p>"
        f"<div class='board'>{''.join(parts)}</div></html>"
    )


def _panel(panel: Mapping[str, Any], numbers: Numbers) -> str:
    if panel["type"] == "row":
        return f"<div class='row'>{_text(panel['title'])}</div>"
    kinds: dict[str, Callable[[Mapping[str, Any], Numbers], str]] = {
        "stat": _stat,
        "timeseries": _curves,
        "state-timeline": _bands,
        "table": _table,
        "bargauge": _stat,
    }
    inside = kinds[panel["type"]](panel, numbers)
    where, title = f"grid-column: span {panel['gridPos']['w']}", _text(panel["title"])
    said_of_it = _text(panel["description"])
    return f"<section class='panel' style='{where}' title='{said_of_it}'><h3>{title}</h3>{inside}</section>"


def _stat(panel: Mapping[str, Any], numbers: Numbers) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    target = panel["targets"][0]
    found = numbers.now(target["expr"])
    if not found:
        return f"<div class='big' style='background:#e8ebef'>{_text(defaults.get('noValue', 'no data'))}</div>"
    lines = []
    for series in found:
        value = float(series["value"][1])
        text, colour = _mapped(defaults, value)
        text = text or said(value, defaults.get("unit", ""), defaults.get("decimals"))
        colour = colour or _step(defaults, value)
        name = _legend(target.get("legendFormat", ""), series)
        small = f"<small>{_text(name)}</small>" if name else ""
        plain = panel["options"].get("colorMode", "value") == "value" and not defaults.get("mappings")
        look = f"color:{colour}" if plain else f"background:{colour};color:#fff"
        lines.append(f"<div class='big' style='{look}'>{_text(text)}{small}</div>")
    return "".join(lines)


def _mapped(defaults: Mapping[str, Any], value: float) -> tuple[str, str]:
    for mapping in defaults.get("mappings") or ():
        hit = mapping["options"].get(f"{value:g}")
        if hit:
            return hit["text"], NAMED.get(hit.get("color", ""), "#5b6673")
    return "", ""


def _step(defaults: Mapping[str, Any], value: float) -> str:
    colour = "text"
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return NAMED.get(colour, colour)


def _drawn(panel: Mapping[str, Any], numbers: Numbers) -> list[tuple[str, list[tuple[float, float]]]]:
    out = []
    for target in panel["targets"]:
        for series in numbers.over_time(target["expr"]):
            points = [(float(at), float(value)) for at, value in series["values"] if value != "NaN"]
            out.append((_legend(target.get("legendFormat", ""), series), points))
    return out


def _colours(panel: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the colour of each series: the one an override gives it, else the next of the palette."""
    out = []
    for index, name in enumerate(names):
        colour = COLOURS[index % len(COLOURS)]
        for override in panel["fieldConfig"].get("overrides") or ():
            matcher = override["matcher"]
            if name == matcher["options"] or (
                matcher["id"] == "byRegexp" and re.fullmatch(matcher["options"], name) is not None
            ):
                fixed = [one["value"]["fixedColor"] for one in override["properties"] if one["id"] == "color"]
                colour = NAMED.get(fixed[0], fixed[0]) if fixed else colour
        out.append(colour)
    return out


def _curves(panel: Mapping[str, Any], numbers: Numbers) -> str:
    defaults, drawn = panel["fieldConfig"]["defaults"], _drawn(panel, numbers)
    custom, span, width = defaults.get("custom", {}), numbers.span, COLUMN * float(panel["gridPos"]["w"])
    totals: dict[float, float] = {}
    for _, points in drawn:
        for at, value in points:
            totals[at] = totals.get(at, 0.0) + value
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    values = list(totals.values()) if stacked else [value for _, points in drawn for _, value in points]
    low, high = min([0.0, *values]), max([*values, 1e-9])

    def x(at: float) -> float:
        return LEFT + (at - span.begin) / (span.end - span.begin) * (width - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_axes(low, high, y, defaults.get("unit", ""), span, width)]
    base: dict[float, float] = {}
    colours = _colours(panel, [name for name, _ in drawn])
    for (name, points), colour in zip(drawn, colours, strict=True):
        if custom.get("drawStyle") == "bars":
            wide = max((width - LEFT - RIGHT) * span.step_s / (span.end - span.begin) - 1, 1)
            for at, value in points:
                under = base.get(at, 0.0)
                base[at] = under + value
                tall = max(y(under) - y(under + value), 0.0)
                spot = f"x='{x(at) - wide / 2:.1f}' y='{y(under + value):.1f}' width='{wide:.1f}' height='{tall:.1f}'"
                parts.append(f"<rect {spot} fill='{colour}' fill-opacity='.75'/>")
        else:
            path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
            dash = " stroke-dasharray='8 6'" if name.endswith(" alarm") else ""
            parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.8'{dash}/>")
    svg = f"<svg viewBox='0 0 {width:g} {HEIGHT:g}' role='img'>{''.join(parts)}</svg>"
    return svg + _key([name for name, _ in drawn], colours)


def _axes(low: float, high: float, y: Callable[[float], float], unit: str, span: Span, width: float) -> str:
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        level = f"y1='{y(value):.1f}' y2='{y(value):.1f}'"
        parts.append(f"<line x1='{LEFT:g}' x2='{width - RIGHT:g}' {level} stroke='#e2e6ea'/>")
        parts.append(
            f"<text x='{LEFT - 5:g}' y='{y(value) + 4:.1f}' text-anchor='end'>{said(value, unit, None)}</text>"
        )
    parts.append(f"<text x='{LEFT:g}' y='{HEIGHT - 5:g}'>-{said(span.end - span.begin, 's', None)}</text>")
    parts.append(f"<text x='{width - RIGHT:g}' y='{HEIGHT - 5:g}' text-anchor='end'>now</text>")
    return "".join(parts)


def _bands(panel: Mapping[str, Any], numbers: Numbers) -> str:
    drawn, parts, tall, span = _drawn(panel, numbers), [], 22.0, numbers.span
    width = COLUMN * panel["gridPos"]["w"]
    left = 170.0
    for index, (name, points) in enumerate(drawn):
        top = 4 + index * (tall + 4)
        parts.append(f"<text x='0' y='{top + 15:g}'>{_text(name)}</text>")
        for at in (at for at, value in points if value == 1):
            share, wide = (at - span.begin) / (span.end - span.begin), span.step_s / (span.end - span.begin)
            spot = f"x='{left + share * (width - left):.1f}' y='{top:g}' height='{tall:g}'"
            parts.append(f"<rect {spot} width='{wide * (width - left) + 0.5:.1f}' fill='{NAMED['blue']}'/>")
    return f"<svg viewBox='0 0 {width:g} {HEIGHT:g}' role='img'>{''.join(parts)}</svg>"


def _table(panel: Mapping[str, Any], numbers: Numbers) -> str:
    found = numbers.now(panel["targets"][0]["expr"])
    if found and {"eta", "phi"} <= found[0]["metric"].keys():
        return _matrix(panel, found)
    names = sorted({name for series in found for name in series["metric"]} - {"__name__", "instance", "job"})
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(series['metric'].get(name, ''))}</td>" for name in names) + "</tr>"
        for series in found
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _matrix(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    """Draw labels `eta` and `phi` as a map: eta rises upwards."""
    cells = {(one["metric"]["eta"], one["metric"]["phi"]): float(one["value"][1]) for one in found}
    columns = sorted({phi for _, phi in cells})
    rows = []
    for eta in sorted({eta for eta, _ in cells}, reverse=True):
        line = "".join(
            f"<td style='background:{_step(panel['fieldConfig']['defaults'], cells[eta, phi])};color:#fff'>"
            f"{cells[eta, phi]:.1f}</td>"
            if (eta, phi) in cells
            else "<td></td>"
            for phi in columns
        )
        rows.append(f"<tr>{line}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _key(names: Sequence[str], colours: Sequence[str]) -> str:
    marks = (f"<i style='background:{colour}'></i>{_text(name)}" for name, colour in zip(names, colours, strict=True))
    return f"<div class='legend'>{''.join(marks)}</div>"


def _legend(pattern: str, series: Series) -> str:
    for name, value in series["metric"].items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


def said(value: float, unit: str, decimals: float | None) -> str:
    """Return a number in its unit, as short as Grafana would."""
    if unit == "percentunit":
        return f"{100 * value:.{int(decimals or 0)}f}%"
    if unit == "s":
        for size, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.3g} s"
    if decimals is not None:
        return f"{value:.{int(decimals)}f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)
