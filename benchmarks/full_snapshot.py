"""A snapshot with every figure there can be: three models of 57 features, seeds, a candidate and its champion.

What metrics are counted and timed on, and what the simulated week bends until alerts fire.  Numbers are made up, within
what a healthy experiment shows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from daemon.candidate_figures import Evidence
from daemon.lifecycle import Phase
from daemon.lifecycle import facts as f
from daemon.lifecycle.observed import Comparison
from daemon.people_figures import PeopleFigures
from daemon.record_figures import RecordFigures
from daemon.snapshot import (
    FAULTS,
    FILE_OUTCOMES,
    OUTCOMES,
    VERDICTS,
    LoopView,
    SlotFigures,
    Snapshot,
    StreamFigures,
)
from drift.glance import COLUMNS, MOST_SEEDS, ROWS, SHARES, Glance, SeedRate
from drift.schema import AXOL1TL_57

MODELS = (("ZeroBias", "L1_AXO"), ("ZeroBiasNu", "L1_CICADA"), ("ZeroBiasMu", "L1_TOPO"))
CHANNELS = ("alertmanager", "mattermost", "mail", "command", "grafana")
PLACES = ("/mnt/record", "rsync … 3fa9c1")
CODES = ("checksum", "truncated", "schema", "limits", "name", "stale")
START = datetime(2026, 7, 1, tzinfo=UTC)


def full_snapshot(now: datetime = START, models: Sequence[tuple[str, str]] = MODELS) -> Snapshot:
    """Return the figures of one instant of a healthy experiment with these (stream, slot) pairs."""
    streams = [stream for stream, _ in models]
    return Snapshot(
        at=now,
        version="0.1.0",
        loop=_loop(now, models),
        streams={stream: _stream() for stream in streams},
        slots={slot: _slot(now) for _, slot in models},
        audit_head=120_000,
        paused=False,
        frozen=False,
        record=RecordFigures(
            facts=dict.fromkeys(f.KINDS, 10),
            work={"train": 0, "refit": 0},
            messages={(name, state): 0 for name in CHANNELS for state in ("sent", "owed", "given_up")},
            intact=True,
            checked_at=now.timestamp(),
            checked_sequence=120_000,
            exported_at=now.timestamp(),
            exported_sequence=120_000,
        ),
        people=PeopleFigures(caught=7, missed=1, yes_ratio=0.75, reading_s=210.0),
    )


def _loop(now: datetime, models: Sequence[tuple[str, str]]) -> LoopView:
    streams = [stream for stream, _ in models]
    return LoopView(
        started=now - timedelta(days=2),
        last_turn=now,
        stable_beams=True,
        beam_mode="STABLE BEAMS",
        fill=9_876,
        pileup=dict.fromkeys(streams, 54.2),
        evidence=dict.fromkeys(streams, (-1.5, 11.6)),
        rates=dict.fromkeys(streams, (-2.0, 0.1, 1.8)),
        newest=dict.fromkeys(streams, now - timedelta(seconds=60)),
        silent_scores=dict.fromkeys(streams, ""),
        running={slot: "ab" * 32 for _, slot in models},
        board={slot: full_comparison() for _, slot in models},
        places=dict.fromkeys(PLACES, 120_000),
        glances={stream: full_glance(slot) for stream, slot in models},
        exported=120_000,
        missing_seeds=dict.fromkeys(streams, 0),
        disk=dict.fromkeys(("state", "incoming", "quarantine", "board"), (800 * 2**30, 1_000 * 2**30)),
    )


def full_glance(slot: str) -> Glance:
    """Return a healthy lumisection in which every feature, cell, quantile and seed speaks."""
    names = (f"{slot}_Tight", f"{slot}_Loose", *(f"L1_Seed{number}" for number in range(MOST_SEEDS - 2)))
    seeds = tuple(SeedRate(name, 1000.0, 1010.0, 950.0, 1070.0, -0.4) for name in names)
    kinds = ("EG", "JET", "MET", "MU")
    parts = [*(f"{kind} pt scale" for kind in kinds), *(f"{kind} per event" for kind in kinds)]
    return Glance(
        run=401_234,
        lumisection=118,
        prescale_column="2p0E34",
        bunches=2_340,
        dead_time=0.018,
        features=dict.fromkeys(AXOL1TL_57.names, 0.3),
        parts=dict.fromkeys(parts, -0.2),
        empty={"EG": 0.02, "MU": 0.81, "JET": 0.01},
        occupancy=dict.fromkeys(("EG", "MU", "JET"), ((0.4,) * COLUMNS,) * ROWS),
        quantiles={word: 100 * (place + 1) for place, (word, _) in enumerate(SHARES)},
        thresholds={slot: 3_541},
        passing={slot: 0.0005},
        saturated=0.0,
        seeds=seeds,
    )


def full_comparison() -> Comparison:
    """Return what a board and its emulator gave alike in a day."""
    return Comparison(
        lumisections=3_600,
        events=1_080_000,
        mismatches=0,
        mismatch_rate_low=0.0,
        mismatch_rate_high=2.4e-5,
    )


def _stream() -> StreamFigures:
    return StreamFigures(
        lumisections=dict.fromkeys(OUTCOMES, 0) | {"watched": 10_000},
        delivered=10_000,
        watched=10_000,
        files=dict.fromkeys(FILE_OUTCOMES, 0) | {"accepted": 400},
        alarms=dict.fromkeys(VERDICTS, 0),
        fault_open=False,
        faults=dict.fromkeys(FAULTS, 0),
        lag_s=60.0,
        lag_lumisections=0,
        quarantined=dict.fromkeys(CODES, 0),
    )


def _slot(now: datetime) -> SlotFigures:
    signals = {(f"signal{n}", whose): 0.4 for n in range(8) for whose in ("candidate", "champion")}
    return SlotFigures(
        candidates={str(phase): 1 for phase in Phase},
        phase="live",
        retrain_seconds={"built": [4_000.0], "failed": []},
        evidence=Evidence(
            vectors=(1_000_000, 0),
            threshold=3_541,
            target_hz=1_000.0,
            rates={"candidate": (1_000.0, 950.0, 1_050.0), "champion": (1_100.0, 1_040.0, 1_160.0)},
            events={"both": 24.0, "gained": 13.0, "lost": 5.0},
            resources={"lut": 31_240.0, "ff": 9_870.0, "dsp": 0.0, "latency_ticks": 2.0},
            signals=signals,
        ),
        pending_age_s=None,
        pending_left_s=None,
        missing_roles=0,
        running_digest="ab" * 32,
        running_since=now - timedelta(days=3),
        board_agrees=True,
        gates={"pass": 12, "fail": 0, "inconclusive": 0},
        phase_since=now - timedelta(days=3),
        deployments={"deployed": 4, "rolled_back": 1, "failed": 0},
        rolled_back_at=now - timedelta(days=9),
        rehearsal_s=41.0,
    )
