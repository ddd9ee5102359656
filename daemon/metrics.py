"""Every metric retrigger shows: its name, its unit, its labels, and the endpoint that gives it out.

No other module names a metric.  Labels are streams, slots and a few fixed words; runs, lumisections and digests are
never labels, except in the two metrics that exist to carry a digest or a version.  Nothing here reads a ledger: one
frozen `Snapshot` goes in, so every figure of a scrape is of the same instant.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_wsgi_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.errors import ConfigurationError
from daemon.snapshot import SlotFigures, Snapshot, StreamFigures

PREFIX = "retrigger_"
DURATION_BUCKETS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"


@dataclass(frozen=True)
class Declared:
    """One metric as it is documented: its name without the prefix, its type, its labels, and what it says."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


DECLARED: tuple[Declared, ...] = (
    Declared("build_info", GAUGE, ("version", "python"), "Always 1; carries which retrigger runs."),
    Declared("start_timestamp_seconds", GAUGE, (), "When the daemon started, in Unix time."),
    Declared("loop_heartbeat_timestamp_seconds", GAUGE, (), "When the loop last ended a turn, in Unix time."),
    Declared("paused", GAUGE, (), "1 while a person has stopped every forward step."),
    Declared("frozen", GAUGE, (), "1 while a person has forbidden deployments."),
    Declared("audit_head_sequence", GAUGE, (), "Sequence number of the newest fact in the record."),
    Declared("record_exported_sequence", GAUGE, (), "Newest fact that every place outside this host has."),
    Declared("record_export_failures_total", COUNTER, (), "Exports of the record that failed, to any place."),
    Declared("stable_beams", GAUGE, (), "1 in stable beams, 0 outside, absent while the beam mode is unknown."),
    Declared("fill_number", GAUGE, (), "LHC fill that the beam mode speaks of."),
    Declared("lumisections_total", COUNTER, ("stream", "outcome"), "Lumisections that ended, by outcome."),
    Declared("lumisections_delivered_total", COUNTER, ("stream",), "Lumisections that the data say exist."),
    Declared("lumisections_watched_total", COUNTER, ("stream",), "Lumisections compared with the reference."),
    Declared("lag_seconds", GAUGE, ("stream",), "Age of the newest data taken in."),
    Declared("lag_lumisections", GAUGE, ("stream",), "Lumisections delivered whose outcome is still owed."),
    Declared("pileup", GAUGE, ("stream",), "Mean pileup of the newest lumisection with conditions."),
    Declared("files_total", COUNTER, ("stream", "outcome"), "Files that ended, by outcome."),
    Declared("files_waiting", GAUGE, ("stream",), "Files that are there but not yet whole."),
    Declared("drift_log_evidence", GAUGE, ("stream",), "Natural log of the evidence for a change, now."),
    Declared("drift_log_evidence_budget", GAUGE, ("stream",), "Log-evidence at which an alarm is raised."),
    Declared("drift_scores_watched", GAUGE, ("stream",), "1 while scores are watched, 0 while silent, else absent."),
    Declared("rates_log_evidence", GAUGE, ("stream",), "Natural log of the part that seed rates have in it."),
    Declared("rates_deviation_median_sigma", GAUGE, ("stream",), "Median deviation of seed rates, now."),
    Declared("rates_deviation_farthest_sigma", GAUGE, ("stream",), "Deviation of the farthest seed rate, now."),
    Declared("alarms_total", COUNTER, ("stream", "verdict"), "Alarms raised, by verdict."),
    Declared("fault_open", GAUGE, ("stream",), "1 while the detector counts as broken and nothing is retrained."),
    Declared("retrain_duration_seconds", HISTOGRAM, ("slot", "result"), "Ended trainings, by result."),
    Declared("candidates", GAUGE, ("slot", "phase"), "Candidates, by the phase they stand in."),
    Declared("candidate_phase", GAUGE, ("slot", "phase"), "1 for the phase of the newest candidate, else 0."),
    Declared("vectors_compared", GAUGE, ("slot",), "Test vectors of the newest verified candidate."),
    Declared("vectors_mismatching", GAUGE, ("slot",), "Of these, vectors on which two forms disagree; must be 0."),
    Declared("approvals_pending", GAUGE, ("slot",), "Open requests for approval."),
    Declared("approval_age_seconds", GAUGE, ("slot",), "Age of the open request; absent when there is none."),
    Declared("approval_expires_seconds", GAUGE, ("slot",), "Time left to the open request; absent without one."),
    Declared("approval_signatures_missing", GAUGE, ("slot",), "Signatures that the open request still needs."),
    Declared("deployed_info", GAUGE, ("slot", "digest"), "Always 1; carries the digest the slot runs."),
    Declared("deployed_timestamp_seconds", GAUGE, ("slot",), "When that digest came into force, in Unix time."),
    Declared("board_agrees", GAUGE, ("slot",), "1 if the board was last seen to run what the record says."),
)

_BY_NAME = {declared.name: declared for declared in DECLARED}

Sample = tuple[Sequence[str], float]


def collector_registry(source: Callable[[], Snapshot]) -> CollectorRegistry:
    """Return a registry that takes one snapshot per scrape; it holds nothing else but the figures of the process."""
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(source))
    ProcessCollector(namespace=PREFIX.rstrip("_"), registry=registry)
    return registry


def serve_metrics(listen: str, source: Callable[[], Snapshot]) -> WSGIServer:
    """Give the metrics out on ``host:port`` from a thread; `shutdown()` and `server_close()` of the result end it.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    host, _, port = listen.rpartition(":")
    try:
        server, _ = start_wsgi_server(int(port), host.strip("[]"), collector_registry(source))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"metrics.listen: cannot listen on {listen!r} ({error}); free the port or name another"
        ) from error
    return server


class _SnapshotCollector(Collector):
    def __init__(self, source: Callable[[], Snapshot]) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield every family of one snapshot; called by the registry at each scrape."""
        snapshot = self._source()
        yield from _of_the_daemon(snapshot)
        yield from _of_the_streams(snapshot)
        yield from _of_the_slots(snapshot)


def _family(name: str, samples: Iterable[Sample]) -> Metric:
    declared = _BY_NAME[name]
    if declared.type == COUNTER:
        counter = CounterMetricFamily(PREFIX + name, declared.help, labels=declared.labels)
        for labels, value in samples:
            counter.add_metric(labels, value)
        return counter
    gauge = GaugeMetricFamily(PREFIX + name, declared.help, labels=declared.labels)
    for labels, value in samples:
        gauge.add_metric(labels, value)
    return gauge


def _of_the_daemon(snapshot: Snapshot) -> Iterator[Metric]:
    loop = snapshot.loop
    yield _family("build_info", [((snapshot.version, platform.python_version()), 1)])
    yield _family("start_timestamp_seconds", [((), loop.started.timestamp())])
    yield _family(
        "loop_heartbeat_timestamp_seconds", [] if loop.last_turn is None else [((), loop.last_turn.timestamp())]
    )
    yield _family("paused", [((), snapshot.paused)])
    yield _family("frozen", [((), snapshot.frozen)])
    yield _family("audit_head_sequence", [((), snapshot.audit_head)])
    yield _family("record_exported_sequence", [] if loop.exported is None else [((), loop.exported)])
    yield _family("record_export_failures_total", [((), loop.export_failures)])
    yield _family("stable_beams", [] if loop.stable_beams is None else [((), loop.stable_beams)])
    yield _family("fill_number", [] if loop.fill is None else [((), loop.fill)])


def _of_the_streams(snapshot: Snapshot) -> Iterator[Metric]:
    def each(figure: Callable[[StreamFigures], float | None]) -> list[Sample]:
        found = [(stream, figure(figures)) for stream, figures in snapshot.streams.items()]
        return [((stream,), value) for stream, value in found if value is not None]

    def each_of(figure: Callable[[StreamFigures], Iterable[tuple[str, int]]]) -> list[Sample]:
        return [((stream, word), n) for stream, figures in snapshot.streams.items() for word, n in figure(figures)]

    loop = snapshot.loop
    yield _family("lumisections_total", each_of(lambda figures: figures.lumisections.items()))
    yield _family("lumisections_delivered_total", each(lambda figures: figures.delivered))
    yield _family("lumisections_watched_total", each(lambda figures: figures.watched))
    yield _family("lag_seconds", each(lambda figures: figures.lag_s))
    yield _family("lag_lumisections", each(lambda figures: figures.lag_lumisections))
    yield _family("pileup", [((stream,), value) for stream, value in loop.pileup.items()])
    yield _family("files_total", each_of(lambda figures: figures.files.items()))
    yield _family("files_waiting", [((stream,), loop.waiting_files.get(stream, 0)) for stream in snapshot.streams])
    yield _family("drift_log_evidence", [((stream,), now) for stream, (now, _) in loop.evidence.items()])
    yield _family("drift_log_evidence_budget", [((stream,), budget) for stream, (_, budget) in loop.evidence.items()])
    yield _family("drift_scores_watched", [((stream,), not why) for stream, why in loop.silent_scores.items()])
    yield _family("rates_log_evidence", [((stream,), log) for stream, (log, _, _) in loop.rates.items()])
    yield _family(
        "rates_deviation_median_sigma", [((stream,), middle) for stream, (_, middle, _) in loop.rates.items()]
    )
    yield _family("rates_deviation_farthest_sigma", [((stream,), far) for stream, (_, _, far) in loop.rates.items()])
    yield _family("alarms_total", each_of(lambda figures: figures.alarms.items()))
    yield _family("fault_open", each(lambda figures: figures.fault_open))


def _of_the_slots(snapshot: Snapshot) -> Iterator[Metric]:
    slots = snapshot.slots

    def each(figure: Callable[[SlotFigures], float | None]) -> list[Sample]:
        found = [(slot, figure(figures)) for slot, figures in slots.items()]
        return [((slot,), value) for slot, value in found if value is not None]

    yield _durations(snapshot)
    yield _family(
        "candidates", [((slot, phase), n) for slot, one in slots.items() for phase, n in one.candidates.items()]
    )
    yield _family(
        "candidate_phase",
        [((slot, phase), phase == one.phase) for slot, one in slots.items() for phase in one.candidates],
    )
    yield _family("vectors_compared", each(lambda one: None if one.vectors is None else one.vectors[0]))
    yield _family("vectors_mismatching", each(lambda one: None if one.vectors is None else one.vectors[1]))
    yield _family("approvals_pending", each(lambda one: one.pending_age_s is not None))
    yield _family("approval_age_seconds", each(lambda one: one.pending_age_s))
    yield _family("approval_expires_seconds", each(lambda one: one.pending_left_s))
    yield _family("approval_signatures_missing", each(lambda one: one.missing_roles))
    yield _family(
        "deployed_info", [((slot, one.running_digest), 1) for slot, one in slots.items() if one.running_digest]
    )
    yield _family(
        "deployed_timestamp_seconds",
        each(lambda one: None if one.running_since is None else one.running_since.timestamp()),
    )
    yield _family("board_agrees", each(lambda one: one.board_agrees))


def _durations(snapshot: Snapshot) -> HistogramMetricFamily:
    declared = _BY_NAME["retrain_duration_seconds"]
    family = HistogramMetricFamily(PREFIX + declared.name, declared.help, labels=declared.labels)
    for slot, figures in snapshot.slots.items():
        for result, seconds in figures.retrain_seconds.items():
            buckets = [(str(edge), float(sum(s <= edge for s in seconds))) for edge in DURATION_BUCKETS_S]
            family.add_metric((slot, result), [*buckets, ("+Inf", float(len(seconds)))], sum(seconds))
    return family
