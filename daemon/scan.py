"""Files read once, without daemon or ledger: to fit a reference, to train a first champion, or to watch them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from daemon import event_store, explanations
from daemon.config import Settings
from daemon.errors import SetupError
from daemon.file_names import place_named
from daemon.output import folder_writable, saving, writable, writing
from daemon.scan_tally import Tally, notes
from daemon.scorer import summariser_for
from drift.conditions import Conditions, ConditionsTable
from drift.counter_folder import CounterFolder
from drift.counters import SeedCount
from drift.events import LumisectionEvents
from drift.ladder import TRANSIENT
from drift.plug_ins import installed, tried
from drift.profile import LumisectionSummary
from drift.rate_reference import RateReference
from drift.reference import Reference
from drift.reservoir import Reservoir
from drift.schema import schema_named
from drift.second_opinion import second_opinion as ask_events
from drift.sequential import SequentialDetector, Taken, Told
from drift.source import Accepted, FileContents, Limits, Quarantined, Reader, Waiting
from drift.specimens import Specimens
from drift.watch import Alarm, Watch


def run_files(paths: list[Path]) -> list[Path]:
    """Return every .root file below these paths, by run and first lumisection where names say them.

    Raises:
        SetupError: A path does not exist, or there is no run file at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SetupError(f"{path} does not exist; name run files (*.root) or folders of them")
        found += sorted(path.rglob("*.root")) if path.is_dir() else [path]
    if not found:
        raise SetupError(f"no *.root file below {', '.join(map(str, paths))}")
    return sorted(found, key=lambda path: place_named(path.name))


def conditions_for(settings: Settings, chosen: Path | None) -> ConditionsTable:
    """Return the conditions to join: of the folder given, else the configured one."""
    return ConditionsTable.load(chosen or settings.conditions.folder)


@contextmanager
def reading(settings: Settings) -> Iterator["Files"]:
    """Yield what reads run files under the configured schema and limits, while its child lives."""
    schema = schema_named(settings.stream.schema_name)
    limits = Limits(settings.source.memory_mib, settings.source.cpu_s, settings.source.wall_s)
    with Reader(schema, limits) as reader:
        yield Files(reader)


class Files:
    """Run files read one by one; those that cannot be are noted with why."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.quarantined: list[dict[str, str]] = []

    def contents(self, path: Path) -> FileContents | None:
        """Return what is in a file, or None after noting why it was not read."""
        answer = self._reader.read(path)
        if isinstance(answer, Accepted):
            return answer.contents
        assert isinstance(answer, Waiting | Quarantined)
        reason = answer.reason if isinstance(answer, Quarantined) else f"not ready: {answer.reason}"
        self.quarantined.append({"path": str(path), "reason": reason})
        return None


def each_lumisection(
    paths: list[Path], settings: Settings, table: ConditionsTable
) -> Iterator[tuple[LumisectionEvents, Conditions]]:
    """Yield the events and conditions of every lumisection that has conditions, one in memory at a time.

    Raises:
        SetupError: At the end, when a file among them could not be read: what rests on them must rest on all.
    """
    with reading(settings) as files:
        for path in run_files(paths):
            contents = files.contents(path)
            for events in contents.lumisections if contents else ():
                at = table.at(events.run, events.lumisection)
                if at is not None:
                    yield events, at
        if files.quarantined:
            first = files.quarantined[0]
            raise SetupError(
                f"{len(files.quarantined)} of the files cannot be read, first {first['path']}: {first['reason']}; "
                "take them out and try again"
            )


def fit_reference(
    paths: list[Path],
    settings: Settings,
    output: Path,
    *,
    conditions: Path | None = None,
    bundle: Path | None = None,
    strata: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Fit and save a reference from the certified lumisections of these files; return what it rests on.

    Args:
        paths: Run files, or folders of them.
        settings: The configuration.
        output: Where it goes.
        conditions: Folder, when it is not the configured one.
        bundle: The bundle whose model's scores are to be part of it.
        strata: Columns that tell strata apart, when not those of ``drift.strata``.

    Raises:
        ReferenceUnfitError: Too little to fit from; the message says what is missing.
        SetupError: A file among them could not be read: a reference must rest on all that it was given.  Or the
            reference cannot be written where it should go.
    """
    writable(output, "the reference")
    table = conditions_for(settings, conditions)
    schema = schema_named(settings.stream.schema_name)
    summariser = summariser_for(schema, bundle)
    library = installed()
    specimens = Specimens(schema, np.random.default_rng(0))

    def joined() -> Iterator[tuple[LumisectionSummary, Conditions]]:
        for events, at in each_lumisection(paths, settings, table):
            if at.usable and at.certified and at.pileup is not None:
                specimens.add(events, at.pileup)
            yield summariser.fill(events), at

    reference = Reference.fit(joined(), schema, strata=settings.drift.strata if strata is None else strata)
    groups = specimens.groups(reference.pileup_low, reference.pileup_high)
    if groups:
        library = tried(library, groups[0].recorded, schema, groups[0].pileup, np.random.default_rng(0))
    reference = reference.with_library(groups, np.random.default_rng(0), library.modes)
    with saving(output, "the reference"):
        reference.save(output)
    return {
        "path": str(output),
        "digest": reference.digest,
        "lumisections": reference.lumisections,
        "fills": len(reference.fills),
        "pileup_low": reference.pileup_low,
        "pileup_high": reference.pileup_high,
        "scorer": reference.scorer,
        "strata": list(reference.strata.names),
        "advice": [*reference.advice, *library.refused],
        "failure_modes": 0 if reference.signatures is None else len(set(reference.signatures.names)),
    }


def keep_events(paths: list[Path], settings: Settings, *, conditions: Path | None = None) -> list[dict[str, Any]]:
    """Store the events of every certified, usable lumisection of these files; return them as a job lists them."""
    table = conditions_for(settings, conditions)
    kept: list[dict[str, Any]] = []
    with reading(settings) as files:
        for path in run_files(paths):
            contents = files.contents(path)
            for events in contents.lumisections if contents else ():
                at = table.at(events.run, events.lumisection)
                if at is None or not at.usable or at.certified is not True or not events.features.size:
                    continue
                stored = event_store.store(settings.state / "events", settings.stream.name, events)
                kept.append(
                    {
                        "run": events.run,
                        "lumisection": events.lumisection,
                        "fill": at.fill,
                        "pileup": at.pileup,
                        "certified": at.certified,
                        "path": str(stored.path),
                        "sha256": stored.sha256,
                        **settings.retrain.era_of(events.run),
                    }
                )
    if not kept:
        raise SetupError("no certified lumisection among these files; is the conditions folder theirs?")
    return kept


def scan(
    paths: list[Path],
    settings: Settings,
    reference: Path,
    *,
    conditions: Path | None = None,
    detector: str | None = None,
    second_opinion: bool = False,
    explain: Path | None = None,
    bundle: Path | None = None,
    counts: list[Path] | None = None,
    rate_reference: Path | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Yield the public JSON lines of a scan: every alarm as it comes, the summary last.

    Args:
        paths: Run files, or folders of them.
        settings: The configuration.
        reference: File of the reference.
        conditions: Folder, when it is not the configured one.
        detector: As in ``drift.detector``, when it is not the configured one.
        second_opinion: Whether every alarm also says what a test on the events themselves finds.
        explain: Folder into which the explanation of every alarm is written; the line names its file.
        bundle: Of the model whose scores are watched too, where the reference was fitted with its scores.
        counts: Files of seed counters, or folders of them, whose rates enter the same evidence.
        rate_reference: File of the rate reference, when it is not the configured one.

    Raises:
        SetupError: There is no reference, no run file, counters without a rate reference or the reverse, no counter
            that can be understood, or a detector is asked for what it does not do.
        DriftError: Counters or their reference cannot be read.
    """
    started = time.perf_counter()
    if not reference.exists():
        raise SetupError(f"there is no reference at {reference}; make one with: retrigger reference fit")
    name = detector or settings.drift.detector
    if explain is not None:
        _explainable(name, explain)
    counters, rates = _counters(name, counts, rate_reference, settings)
    expected = Reference.load(reference)
    watch = _detector(name, expected, settings, rates)
    summariser = summariser_for(schema_named(settings.stream.schema_name), bundle)
    table = conditions_for(settings, conditions)
    other: dict[str, Any] = {} if name == "retrigger" else {"detector": name}
    kept = Reservoir(np.random.default_rng(0)) if second_opinion else None
    tally = Tally(expected, counters=counters is not None)
    with reading(settings) as files:
        for events in _each_once(files, paths):
            at = _at(table, events)
            summary = summariser.fill(events)
            heard = None if counters is None else counters.at(at.run, at.lumisection)
            decision = _take(watch, summary, at, heard)
            if expected.scorer or bundle is not None:
                other["scores"] = _scores_words(expected, summary)
            watched = tally.take(decision, at, events.events, heard=_any_watched(rates, heard))
            if kept is not None and watched and at.usable and at.pileup is not None:
                kept.add(events, at.pileup)
            if decision.alarm is not None:
                tally.alarms += 1
                yield _alarm_line(decision.alarm, settings, kept, explain)
    last = watch.conclude()
    if last is not None:
        tally.alarms += 1
        yield _alarm_line(last, settings, kept, explain)
    told = [] if table.runs() else [f"conditions: {conditions or settings.conditions.folder} holds no conditions"]
    told += notes("conditions", table.faults) + notes("counters", () if counters is None else counters.faults)
    other |= {"quarantined": files.quarantined, "notes": told, "seconds": round(time.perf_counter() - started, 3)}
    yield {"type": "summary", **tally.to_json(), **other}


def _each_once(files: Files, paths: list[Path]) -> Iterator[LumisectionEvents]:
    """Yield every lumisection of these files in order, one that was delivered twice once."""
    seen: set[tuple[int, int]] = set()
    for path in run_files(paths):
        contents = files.contents(path)
        for events in contents.lumisections if contents else ():
            if (events.run, events.lumisection) not in seen:
                seen.add((events.run, events.lumisection))
                yield events


def _scores_words(reference: Reference, summary: LumisectionSummary) -> str:
    """Say whether the scores of a lumisection are watched."""
    if not reference.scorer:
        return "not watched: the reference was fitted without --bundle"
    return f"not watched: {why}" if (why := reference.streams.silence(summary)) else "watched"


def _explainable(detector: str, folder: Path) -> None:
    """Make sure, before any lumisection is read, that a detector explains, and that it can be kept in a folder.

    Raises:
        SetupError: It does not, or cannot.
    """
    if detector != "retrigger":
        raise SetupError(
            f"{detector} explains nothing: it names streams and gives no verdict; use --detector retrigger"
        )
    folder_writable(folder, "explanations")


def _counters(
    name: str, counts: list[Path] | None, rate_reference: Path | None, settings: Settings
) -> tuple[CounterFolder | None, RateReference | None]:
    """Return the counters that are to be heard, and what rates are expected; nothing when none are named."""
    if not counts:
        if rate_reference is not None:
            raise SetupError(
                f"--rate-reference {rate_reference} says what counters are compared with, and there are none; name "
                "them with --counts, or leave it out"
            )
        return None, None
    if name != "retrigger":
        raise SetupError(f"{name} takes no seed counters; use --detector retrigger, or leave --counts out")
    expected = rate_reference or settings.drift.rate_reference
    if expected is None:
        raise SetupError(
            "--counts needs a rate reference; name one with --rate-reference, made by: retrigger reference rates"
        )
    counters = CounterFolder.load(counts)
    if not counters.tables:
        why = counters.faults[0] if counters.faults else "there is no .csv or .json file"
        raise SetupError(
            f"no seed count can be understood in {', '.join(map(str, counts))} ({why}); give counts by lumisection, or "
            "leave --counts out"
        )
    return counters, RateReference.load(expected)


def _any_watched(rates: RateReference | None, heard: Mapping[str, SeedCount] | None) -> bool:
    """Return whether a counter was heard of a seed whose rate is watched."""
    return rates is not None and heard is not None and any(one.seed in heard for one in rates.models)


def _take(
    watch: SequentialDetector, summary: LumisectionSummary, at: Conditions, heard: Mapping[str, SeedCount] | None
) -> Taken:
    return watch.take(summary, at, heard) if isinstance(watch, Watch) else watch.take(summary, at)


def _detector(name: str, reference: Reference, settings: Settings, rates: RateReference | None) -> SequentialDetector:
    budget, stream = settings.drift.false_alarms_per_lumisection, settings.stream.name
    if name == "retrigger":
        return Watch(reference, false_alarms_per_lumisection=budget, stream=stream, rates=rates)
    from drift.alternatives import RiverDetector  # noqa: PLC0415 river is paid for by those who choose it

    return RiverDetector(reference, detector=name, false_alarms_per_lumisection=budget, stream=stream)


def _alarm_line(alarm: Told, settings: Settings, kept: Reservoir | None, explain: Path | None) -> dict[str, Any]:
    """Return the public form of an alarm, with its explanation and what kept events say of it where they are asked."""
    line: dict[str, Any] = {"type": "alarm", **alarm.to_json()}
    told = explanations.document(alarm) if explain is not None and isinstance(alarm, Alarm) else None
    if explain is not None and told is not None:
        line |= _explained(explain / f"alarm-run{line['run']}-ls{line['lumisection']}.json", told)
    if kept is None:
        return line
    onset = (line["onset"]["run"], line["onset"]["lumisection"])
    before, after = kept.split(onset)
    rng = np.random.default_rng([line["run"], line["lumisection"]])
    schema = schema_named(settings.stream.schema_name)
    line["second_opinion"] = ask_events(before, after, schema, rng, time.perf_counter).to_json()
    if line["verdict"] == TRANSIENT:
        kept.forget_since(onset)
    else:
        kept.condemn(onset)
    return line


def _explained(path: Path, told: explanations.Told) -> dict[str, str]:
    """Write an explanation and say where it is, or why there is none: no disk may keep an alarm from being told."""
    try:
        with writing(path, "its explanation") as sink:
            sink.write(explanations.encoded(told))
    except SetupError as error:
        return {"explanation_missing": str(error)}
    return {"explanation": str(path)}


def _at(table: ConditionsTable, events: LumisectionEvents) -> Conditions:
    return table.at(events.run, events.lumisection) or Conditions(events.run, events.lumisection)
