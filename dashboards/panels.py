"""How one panel of ours looks, whatever it shows: title, description, unit, data source by variable.

Thin words over grafana-foundation-sdk, so that each dashboard's module reads as a list of questions and expressions.
Nothing here names a metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TableCellBackgroundDisplayMode,
    TableColoredBackgroundCellOptions,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, AMBER, RED, BLUE, GREY, PURPLE = "green", "orange", "red", "blue", "text", "purple"

Mark = tuple[float | None, str]
Panel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel | bargauge.Panel
EACH_MINUTE = "1m"
HIDDEN = ("Time", "Value", "__name__", "instance", "job")


@dataclass(frozen=True)
class Words:
    """What a panel is called, what it answers and what to do then, and the unit of its numbers."""

    title: str
    description: str
    unit: str


def steps(*marks: Mark) -> dashboard.ThresholdsConfig:
    """Return colours from marks such as ``(None, GREEN), (60, RED)``; each holds from its value upwards."""
    thresholds = [Threshold(value=value, color=color) for value, color in marks]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds)


def over_time(expr: str, legend: str) -> prometheus.Dataquery:
    """Return one expression drawn over time."""
    return prometheus.Dataquery().datasource(SOURCE).expr(expr).legend_format(legend).range()


def at_end(expr: str, legend: str = "") -> prometheus.Dataquery:
    """Return one expression asked for its value at the end of the shown time."""
    return prometheus.Dataquery().datasource(SOURCE).expr(expr).legend_format(legend).instant()


def rows_of(expr: str) -> prometheus.Dataquery:
    """Return one expression whose labels become the columns of a table."""
    return prometheus.Dataquery().datasource(SOURCE).expr(expr).instant().format(PromQueryFormat.TABLE)


def mapping(*words: tuple[str, str, str]) -> list[ValueMapping]:
    """Return the text and colour shown instead of a value, from ``(value, text, colour)``."""
    return [ValueMap(options={value: ValueMappingResult(text=text, color=color) for value, text, color in words})]


def number(
    words: Words,
    expr: str,
    *marks: Mark,
    legend: str = "",
    width: int = 4,
    absent: str = "no data",
    name_only: bool = False,
) -> stat.Panel:
    """Return one big number, coloured by marks; `absent` is said when the figure does not exist."""
    shown = BigValueTextMode.VALUE_AND_NAME if legend else BigValueTextMode.VALUE
    return (
        stat.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .with_target(at_end(expr, legend))
        .thresholds(steps(*(marks or ((None, GREY),))))
        .color_mode(BigValueColorMode.BACKGROUND if len(marks) > 1 else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.NAME if name_only else shown)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(absent)
        .height(4)
        .span(width)
    )


def lines(words: Words, *queries: prometheus.Dataquery, width: int = 12) -> timeseries.Panel:
    """Return curves over time, with their last value in the legend."""
    panel = (
        timeseries.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(8)
        .span(width)
    )
    for one in queries:
        panel = panel.with_target(one)
    return panel


def bars(words: Words, *queries: prometheus.Dataquery, colours: Mapping[str, str], width: int = 12) -> timeseries.Panel:
    """Return stacked bars over time, for counts in each interval; green is never bad and red never good."""
    panel = (
        lines(words, *queries, width=width)
        .draw_style(GraphDrawStyle.BARS)
        .fill_opacity(70)
        .line_width(0)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
        .min(0)
        .interval(EACH_MINUTE)
    )
    for name, colour in colours.items():
        fixed = DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel = panel.override_by_name(name, [fixed])
    return panel


def ranked(words: Words, expr: str, *marks: Mark, legend: str, width: int = 12, span: float = 6.0) -> bargauge.Panel:
    """Return horizontal bars of values that may be of either sign, the farthest first, on a scale of +-`span`."""
    return (
        bargauge.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .with_target(at_end(expr, legend))
        .thresholds(steps(*marks))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
        .min(-span)
        .max(span)
        .decimals(1)
        .no_value("no data")
        .height(10)
        .span(width)
    )


def eta_phi(words: Words, expr: str, width: int = 8) -> table.Panel:
    """Return a map: labels `eta` down, `phi` across, each cell coloured by its pull; blue lacks, red has too many."""
    cells = {"rowField": "eta", "columnField": "phi", "valueField": "Value", "emptyValue": "null"}
    return (
        table.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .with_target(rows_of(expr))
        .transformations(
            [
                DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": "phi"}]}),
                DataTransformerConfig(id_val="groupingToMatrix", options=cells),
                DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": "eta\\phi", "desc": True}]}),
            ]
        )
        .thresholds(
            steps(
                (None, "dark-blue"),
                (-5, "blue"),
                (-3, "light-blue"),
                (-2, GREEN),
                (2, "light-orange"),
                (3, AMBER),
                (5, RED),
            )
        )
        .decimals(1)
        .width(34)
        .cell_options(TableColoredBackgroundCellOptions(mode=TableCellBackgroundDisplayMode.BASIC))
        .override_by_name(
            "eta\\phi",
            [
                DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"}),
                DynamicConfigValue(id_val="decimals", value=0),
                DynamicConfigValue(id_val="custom.width", value=66),
            ],
        )
        .height(8)
        .span(width)
    )


def phases(words: Words, *queries: prometheus.Dataquery, width: int = 12) -> statetimeline.Panel:
    """Return one band per series, coloured where its value is 1."""
    panel = (
        statetimeline.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .mappings(mapping(("0", " ", "transparent"), ("1", "here", BLUE)))
        .height(8)
        .span(width)
    )
    for one in queries:
        panel = panel.with_target(one)
    return panel


def listing(words: Words, expr: str, *, width: int = 12, hide: Sequence[str] = HIDDEN) -> table.Panel:
    """Return the labels of an expression as a table, but for those that nobody asks for."""
    return (
        table.Panel()
        .title(words.title)
        .description(words.description)
        .unit(words.unit)
        .datasource(SOURCE)
        .with_target(rows_of(expr))
        .transformations(
            [DataTransformerConfig(id_val="organize", options={"excludeByName": dict.fromkeys(hide, True)})]
        )
        .height(8)
        .span(width)
    )


def dotted(panel: timeseries.Panel, legend: str) -> timeseries.Panel:
    """Draw the series of this legend as thin grey dots: the ends of an interval, not a measurement."""
    return panel.override_by_regexp(
        legend,
        [
            DynamicConfigValue(id_val="custom.lineWidth", value=1),
            DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [2, 5]}),
            DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": GREY}),
            DynamicConfigValue(id_val="custom.hideFrom", value={"legend": True, "tooltip": False, "viz": False}),
        ],
    )


def in_a_row(panel: timeseries.Panel) -> timeseries.Panel:
    """Name the series one after the other, where a table of them would be cut off below."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return panel.legend(legend.show_legend(show_legend=True).calcs([]))


def unnamed(panel: timeseries.Panel) -> timeseries.Panel:
    """Leave the legend away, where there are too many series to read one."""
    return panel.legend(common.VizLegendOptions().show_legend(show_legend=False).placement(LegendPlacement.BOTTOM))


def on_the_right(panel: timeseries.Panel, legend: str, unit: str = "none") -> timeseries.Panel:
    """Give the series of this legend an axis of its own, on the right."""
    return panel.override_by_regexp(
        legend,
        [
            DynamicConfigValue(id_val="custom.axisPlacement", value="right"),
            DynamicConfigValue(id_val="unit", value=unit),
            DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": GREY}),
        ],
    )


def dashed_red(panel: timeseries.Panel, legend: str) -> timeseries.Panel:
    """Draw the series of this legend as a dashed red line: a limit, not a measurement."""
    return panel.override_by_regexp(
        legend,
        [
            DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 8]}),
            DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": RED}),
        ],
    )
