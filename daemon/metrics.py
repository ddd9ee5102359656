"""Every metric retrigger shows: its name, its unit, its labels, and the endpoint that gives it out.

What they mean stands in `daemon.metric_names`.  Labels are streams, slots, features, seeds and a few fixed words; runs,
lumisections and digests are never labels, except in the metrics that exist to carry a digest, a version or a column's
name: a scraper that asks for OpenMetrics gets run and lumisection as exemplars.  Nothing here reads a ledger: a frozen
`Snapshot` goes in, so every figure of a scrape is of the same instant.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_wsgi_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from daemon.errors import ConfigurationError
from daemon.metric_names import COUNTER, DECLARED, DURATION_BUCKETS_S, GAUGE, HISTOGRAM, PREFIX, Declared
from daemon.record_figures import RecordFigures
from daemon.snapshot import SlotFigures, Snapshot, StreamFigures
from drift.glance import Glance, SeedRate

__all__ = ["COUNTER", "DECLARED", "GAUGE", "HISTOGRAM", "PREFIX", "Declared", "collector_registry", "serve_metrics"]

_BY_NAME = {declared.name: declared for declared in DECLARED}

Sample = tuple[Sequence[str], float]
MOST_SIGNALS = 8
"""Signals shown one by one; the page shows all."""


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
        yield from _of_the_record(snapshot)
        yield from _of_the_streams(snapshot)
        yield from _of_the_data(snapshot)
        yield from _of_the_slots(snapshot)
        yield from _of_the_board_and_people(snapshot)


def _family(
    name: str, samples: Iterable[Sample], exemplars: Mapping[tuple[str, ...], Exemplar] = MappingProxyType({})
) -> Metric:
    declared = _BY_NAME[name]
    if declared.type == COUNTER:
        counter = CounterMetricFamily(PREFIX + name, declared.help, labels=declared.labels)
        for labels, value in samples:
            counter.add_metric(labels, value, exemplar=exemplars.get(tuple(labels)) if value else None)
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
    yield _family("record_place_sequence", [((place,), delivered) for place, delivered in loop.places.items()])
    yield _family("beam_mode_info", [((loop.beam_mode,), 1)] if loop.beam_mode else [])
    yield _family("stable_beams", [] if loop.stable_beams is None else [((), loop.stable_beams)])
    yield _family("fill_number", [] if loop.fill is None else [((), loop.fill)])


def _of_the_record(snapshot: Snapshot) -> Iterator[Metric]:
    record, loop = snapshot.record, snapshot.loop

    def one(name: str, value: float | None) -> Metric:
        return _family(name, [] if value is None else [((), value)])

    yield _family("facts_total", [((kind,), n) for kind, n in record.facts.items()])
    yield _family(
        "fact_timestamp_seconds", [((kind,), stored.fact.at.timestamp()) for kind, stored in record.newest.items()]
    )
    yield _family("work_open", [((kind,), n) for kind, n in record.work.items()])
    yield one("audit_intact", record.intact)
    yield one("audit_checked_timestamp_seconds", record.checked_at)
    yield one("audit_checked_sequence", None if record.checked_at is None else record.checked_sequence)
    yield one("audit_exported_timestamp_seconds", record.exported_at)
    yield one("audit_exported_sequence", None if record.exported_at is None else record.exported_sequence)
    yield _family("messages_sent_total", _messages(record, "sent"))
    yield _family("messages_given_up_total", _messages(record, "given_up"))
    yield _family("messages_owed", _messages(record, "owed"))
    yield one("message_oldest_age_seconds", record.oldest_message_s or 0.0)
    yield _family("disk_free_bytes", [((folder,), free) for folder, (free, _) in loop.disk.items()])
    yield _family("disk_size_bytes", [((folder,), size) for folder, (_, size) in loop.disk.items()])
    yield _family("input_faults", [((what,), loop.faults.get(what, (0, ""))[0]) for what in ("conditions", "counters")])
    yield one("declared_changes", len(loop.declared))


def _messages(record: RecordFigures, state: str) -> list[Sample]:
    return [((channel,), n) for (channel, word), n in record.messages.items() if word == state]


def _of_the_streams(snapshot: Snapshot) -> Iterator[Metric]:
    def each(figure: Callable[[StreamFigures], float | None]) -> list[Sample]:
        found = [(stream, figure(figures)) for stream, figures in snapshot.streams.items()]
        return [((stream,), value) for stream, value in found if value is not None]

    def each_of(figure: Callable[[StreamFigures], Iterable[tuple[str, int]]]) -> list[Sample]:
        return [((stream, word), n) for stream, figures in snapshot.streams.items() for word, n in figure(figures)]

    loop = snapshot.loop
    yield _family("lumisections_total", each_of(lambda figures: figures.lumisections.items()))
    yield _family("lumisections_delivered_total", each(lambda figures: figures.delivered))
    places: dict[tuple[str, ...], Exemplar] = {
        (stream,): Exemplar({"run": str(seen.run), "lumisection": str(seen.lumisection)}, 1.0)
        for stream, seen in loop.glances.items()
    }
    yield _family("lumisections_watched_total", each(lambda figures: figures.watched), places)
    yield _family("lag_seconds", each(lambda figures: figures.lag_s))
    yield _family("lag_lumisections", each(lambda figures: figures.lag_lumisections))
    yield _family("pileup", [((stream,), value) for stream, value in loop.pileup.items()])
    yield _family("files_total", each_of(lambda figures: figures.files.items()))
    yield _family("quarantined_files_total", each_of(lambda figures: figures.quarantined.items()))
    yield _family("files_waiting", [((stream,), loop.waiting_files.get(stream, 0)) for stream in snapshot.streams])
    yield _family("drift_log_evidence", [((stream,), now) for stream, (now, _) in loop.evidence.items()])
    yield _family("drift_log_evidence_budget", [((stream,), budget) for stream, (_, budget) in loop.evidence.items()])
    yield _family("drift_scores_watched", [((stream,), not why) for stream, why in loop.silent_scores.items()])
    yield _family("rates_log_evidence", [((stream,), log) for stream, (log, _, _) in loop.rates.items()])
    yield _family(
        "rates_deviation_median_sigma", [((stream,), middle) for stream, (_, middle, _) in loop.rates.items()]
    )
    yield _family("rates_deviation_farthest_sigma", [((stream,), far) for stream, (_, _, far) in loop.rates.items()])
    newest = {
        (stream, verdict): fact
        for stream, figures in snapshot.streams.items()
        for verdict, fact in figures.newest_alarm.items()
    }
    told: dict[tuple[str, ...], Exemplar] = {
        labels: Exemplar(_place(fact.alarm), 1.0) for labels, fact in newest.items()
    }
    yield _family("alarms_total", each_of(lambda figures: figures.alarms.items()), told)
    yield _family("alarm_timestamp_seconds", [(labels, fact.at.timestamp()) for labels, fact in newest.items()])
    yield _family("faults_open", each_of(lambda figures: figures.faults.items()))
    yield _family("fault_open", each(lambda figures: figures.fault_open))


def _place(alarm: Mapping[str, Any]) -> dict[str, str]:
    return {word: str(alarm.get(word, "")) for word in ("run", "lumisection")}


def _of_the_data(snapshot: Snapshot) -> Iterator[Metric]:
    seen = snapshot.loop.glances

    def each(figure: Callable[[Glance], float | None]) -> list[Sample]:
        found = [(stream, figure(one)) for stream, one in seen.items()]
        return [((stream,), value) for stream, value in found if value is not None]

    def each_of(figure: Callable[[Glance], Mapping[str, float]]) -> list[Sample]:
        return [((stream, word), value) for stream, one in seen.items() for word, value in figure(one).items()]

    def each_seed(figure: Callable[[SeedRate], float]) -> list[Sample]:
        return [
            ((stream, seed.seed, "yes" if seed.seed.startswith(tuple(snapshot.slots)) else "no"), figure(seed))
            for stream, one in seen.items()
            for seed in one.seeds
        ]

    yield _family("run_number", each(lambda one: one.run))
    yield _family("lumisection_number", each(lambda one: one.lumisection))
    yield _family("bunches", each(lambda one: one.bunches))
    yield _family("dead_time_ratio", each(lambda one: one.dead_time))
    columns = [((stream, one.prescale_column), 1.0) for stream, one in seen.items() if one.prescale_column]
    yield _family("prescale_column_info", columns)
    yield _family("feature_residual_sigma", each_of(lambda one: one.features))
    yield _family("part_residual_sigma", each_of(lambda one: one.parts))
    yield _family("empty_events_ratio", each_of(lambda one: one.empty))
    cells = [
        ((stream, kind, f"{row:02d}", f"{column:02d}"), pull)
        for stream, one in seen.items()
        for kind, rows in one.occupancy.items()
        for row, line in enumerate(rows)
        for column, pull in enumerate(line)
        if pull is not None
    ]
    yield _family("occupancy_pull_sigma", cells)
    yield _family("score_value", each_of(lambda one: one.quantiles))
    yield _family("score_threshold", each_of(lambda one: one.thresholds))
    yield _family("score_passing_ratio", each_of(lambda one: one.passing))
    yield _family("score_saturated_ratio", each(lambda one: one.saturated))
    yield _family("seed_rate_hertz", each_seed(lambda seed: seed.observed_hz))
    yield _family("seed_rate_predicted_hertz", each_seed(lambda seed: seed.predicted_hz))
    yield _family("seed_rate_low_hertz", each_seed(lambda seed: seed.low_hz))
    yield _family("seed_rate_high_hertz", each_seed(lambda seed: seed.high_hz))
    yield _family("seed_deviation_sigma", each_seed(lambda seed: seed.sigma))
    yield _family("seeds_missing", [((stream,), n) for stream, n in snapshot.loop.missing_seeds.items()])


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
    yield from _of_the_newest_candidate(slots, each)
    yield _family("retrain_running_seconds", each(lambda one: one.training_s))
    yield _family(
        "deployments_total", [((slot, word), n) for slot, one in slots.items() for word, n in one.deployments.items()]
    )
    yield _family("rollback_timestamp_seconds", each(lambda one: _unix(one.rolled_back_at)))
    yield _family("approvals_pending", each(lambda one: one.pending_age_s is not None))
    yield _family("approval_age_seconds", each(lambda one: one.pending_age_s))
    yield _family("approval_expires_seconds", each(lambda one: one.pending_left_s))
    yield _family("approval_signatures_missing", each(lambda one: one.missing_roles))
    yield _family(
        "deployed_info", [((slot, one.running_digest), 1) for slot, one in slots.items() if one.running_digest]
    )
    yield _family(
        "deployed_timestamp_seconds",
        each(lambda one: _unix(one.running_since)),
    )
    yield _family("board_agrees", each(lambda one: one.board_agrees))


def _of_the_newest_candidate(
    slots: Mapping[str, SlotFigures], each: Callable[[Callable[[SlotFigures], float | None]], list[Sample]]
) -> Iterator[Metric]:
    def each_of(figure: Callable[[SlotFigures], Mapping[str, float]]) -> list[Sample]:
        return [((slot, word), value) for slot, one in slots.items() for word, value in figure(one).items()]

    yield _family("candidate_phase_timestamp_seconds", each(lambda one: _unix(one.phase_since)))
    yield _family("candidate_gates", each_of(lambda one: one.gates))
    yield _family("candidate_threshold", each(lambda one: one.evidence.threshold))
    yield _family("candidate_target_rate_hertz", each(lambda one: one.evidence.target_hz))
    for place, name in enumerate(("candidate_rate_hertz", "candidate_rate_low_hertz", "candidate_rate_high_hertz")):
        rates = [
            ((slot, model), trio[place]) for slot, one in slots.items() for model, trio in one.evidence.rates.items()
        ]
        yield _family(name, rates)
    yield _family("candidate_rate_is_pure", each(lambda one: one.evidence.pure if one.evidence.rates else None))
    yield _family("candidate_events", each_of(lambda one: one.evidence.events))
    yield _family("candidate_resources", each_of(lambda one: one.evidence.resources))
    signals = [
        ((slot, signal, model), value)
        for slot, one in slots.items()
        for (signal, model), value in list(one.evidence.signals.items())[: 2 * MOST_SIGNALS]
    ]
    yield _family("candidate_signal_efficiency_ratio", signals)
    yield _family("vectors_compared", each(lambda one: one.evidence.vectors and one.evidence.vectors[0]))
    yield _family("vectors_mismatching", each(lambda one: one.evidence.vectors and one.evidence.vectors[1]))


def _of_the_board_and_people(snapshot: Snapshot) -> Iterator[Metric]:
    board, slots, people = snapshot.loop.board, snapshot.slots, snapshot.people
    yield _family("board_events_compared", [((slot,), one.events) for slot, one in board.items()])
    yield _family("board_events_differing", [((slot,), one.mismatches) for slot, one in board.items()])
    yield _family("board_events_unreadable", [((slot,), one.unreadable) for slot, one in board.items()])
    yield _family("board_mismatch_high_ratio", [((slot,), one.mismatch_rate_high) for slot, one in board.items()])
    yield _family("waivers", [((slot,), one.waivers) for slot, one in slots.items()])
    yield _family("reviews_owed", [((slot,), one.reviews_owed) for slot, one in slots.items()])
    rehearsed = [((slot,), one.rehearsal_s) for slot, one in slots.items() if one.rehearsal_s is not None]
    yield _family("rollback_rehearsal_seconds", rehearsed)
    yield _family("drill_answers_total", [(("caught",), people.caught), (("missed",), people.missed)])
    yield _family("answer_yes_ratio", [] if people.yes_ratio is None else [((), people.yes_ratio)])
    yield _family("answer_reading_seconds", [] if people.reading_s is None else [((), people.reading_s)])
    yield _family("approvers_out_of_limits", [((), people.out_of_limits)])


def _unix(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _durations(snapshot: Snapshot) -> HistogramMetricFamily:
    declared = _BY_NAME["retrain_duration_seconds"]
    family = HistogramMetricFamily(PREFIX + declared.name, declared.help, labels=declared.labels)
    for slot, figures in snapshot.slots.items():
        for result, seconds in figures.retrain_seconds.items():
            buckets = [(str(edge), float(sum(s <= edge for s in seconds))) for edge in DURATION_BUCKETS_S]
            family.add_metric((slot, result), [*buckets, ("+Inf", float(len(seconds)))], sum(seconds))
    return family
