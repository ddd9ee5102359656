"""What other systems say about a timeline: luminosity, certification, voltages, prescale columns, beam modes.

The forms are those of brilcalc, of the golden and DCS lists, of OMS (JSON:API, attribute names as queried in practice),
and a plain feed of beam modes.  The truth, which no watcher may read, is written apart.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from drift.simulate.scenarios import KINDS, Change
from drift.simulate.timeline import LUMISECTION_SECONDS, Fill, Lumisection

_READY = tuple(
    "bpix fpix tob tecp tecm tibtid esm ebp esp eep ebm eem ho hbhea hbhec hbheb hf gemm gemp gem dt0 dtm dtp rpc cscm "  # noqa: SIM905 reads as OMS lists them
    "cscp rp_sect_45 rp_sect_56 rp_time".split()
)


def write_conditions(folder: Path, fills: Sequence[Fill]) -> None:
    """Write brilcalc.csv, golden.json, dcs.json, oms_lumisections.json and beam_mode.jsonl."""
    everything = [ls for fill in fills for ls in fill.lumisections]
    (folder / "brilcalc.csv").write_text(_brilcalc(fills), encoding="utf-8")
    _write_json(folder / "golden.json", _ranges(everything, lambda ls: ls.certified))
    _write_json(folder / "dcs.json", _ranges(everything, lambda ls: ls.dcs_ok))
    _write_json(folder / "oms_lumisections.json", _oms(fills))
    lines = (json.dumps(mode, sort_keys=True) for fill in fills for mode in _beam_modes(fill))
    (folder / "beam_mode.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_counters(path: Path, rows: Sequence[tuple[int, int, str, int, int, int]]) -> None:
    """Write how many of the simulated events fired each bit, with the crossings they are of: no more is known."""
    header = "run,lumisection,seed,counts,prescale,crossings"
    lines = (",".join(map(str, row)) for row in sorted(rows))
    path.write_text("".join(f"{line}\n" for line in (header, *lines)), encoding="utf-8")


def write_truth(
    path: Path, scenario: str, seed: int, fills: Sequence[Fill], changes: Sequence[Change], settings: Mapping[str, Any]
) -> None:
    """Write what was simulated: every change with its onset, box and the verdict an observer should reach."""
    everything = [ls for fill in fills for ls in fill.lumisections]
    truth = {
        "scenario": scenario,
        "seed": seed,
        "settings": dict(settings),
        "changes": [_change(change, everything) for change in changes],
        "lumisections": [
            {
                "fill": ls.fill,
                "run": ls.run,
                "lumisection": ls.number,
                "pileup": round(ls.pileup, 4),
                "em_wander": round(ls.em_wander, 6),
                "severity": dict(ls.severity),
            }
            for ls in everything
        ],
    }
    _write_json(path, truth)


def _change(change: Change, everything: Sequence[Lumisection]) -> dict[str, Any]:
    kind = KINDS[change.name]

    def at(index: int) -> dict[str, int]:
        ls = everything[min(index, len(everything) - 1)]
        return {"fill": ls.fill, "run": ls.run, "lumisection": ls.number}

    return {
        "name": change.name,
        "sentence": kind.sentence,
        "expected": kind.expected,
        "parameters": dict(change.parameters),
        "onset": at(change.first),
        "full": at(change.full),
        "last": at(change.last),
        "box": kind.box(change.parameters) if kind.box else None,
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")


def _brilcalc(fills: Sequence[Fill]) -> str:
    lines = [
        "#Data tag : 26v1 , Norm tag: None",
        "#run:fill,ls,time,beamstatus,E(GeV),delivered(1e30/cm2s),recorded(1e30/cm2s),avgpu,source",
    ]
    delivered = recorded = 0.0
    everything = [ls for fill in fills for ls in fill.lumisections]
    for ls in everything:
        kept = ls.luminosity_1e30 * (1.0 - ls.dead_time)
        delivered += ls.luminosity_1e30
        recorded += kept
        lines.append(
            f"{ls.run}:{ls.fill},{ls.number}:{ls.number},{ls.start:%m/%d/%y %H:%M:%S},STABLE BEAMS,6800,"
            f"{ls.luminosity_1e30:.9f},{kept:.9f},{ls.measured_pileup:.1f},HFET"
        )
    runs = len({ls.run for ls in everything})
    lines += [
        "#Summary:",
        "#nfill,nrun,nls,ncms,totdelivered(1e30/cm2s),totrecorded(1e30/cm2s)",
        f"#{len(fills)},{runs},{len(everything)},{len(everything)},{delivered:.9f},{recorded:.9f}",
    ]
    return "\n".join(lines) + "\n"


def _ranges(everything: Sequence[Lumisection], good: Callable[[Lumisection], bool]) -> dict[str, list[list[int]]]:
    """Return closed ranges of good lumisections by run."""
    ranges: dict[str, list[list[int]]] = {}
    for ls in everything:
        if not good(ls):
            continue
        of_run = ranges.setdefault(str(ls.run), [])
        if of_run and of_run[-1][1] == ls.number - 1:
            of_run[-1][1] = ls.number
        else:
            of_run.append([ls.number, ls.number])
    return ranges


def _oms(fills: Sequence[Fill]) -> dict[str, Any]:
    """Return one response with the fills, which know the bunches, and their lumisections."""
    entries = [entry for fill in fills for entry in (_oms_fill(fill), *map(_oms_entry, fill.lumisections))]
    return {"data": entries, "meta": {"totalResourceCount": len(entries)}}


def _oms_fill(fill: Fill) -> dict[str, Any]:
    attributes = {
        "fill_number": fill.number,
        "bunches_colliding": fill.lumisections[0].bunches,
        "injection_scheme": f"25ns_{fill.lumisections[0].bunches + 12}b_{fill.lumisections[0].bunches}_2133_2220",
        "start_stable_beam": _iso(fill.stable_from),
        "end_stable_beam": _iso(fill.dumped),
    }
    return {"id": str(fill.number), "type": "fills", "attributes": attributes}


def _oms_entry(ls: Lumisection) -> dict[str, Any]:
    delivered = ls.luminosity_1e30 * LUMISECTION_SECONDS * 1e-6  # 1e30/cm2 is 1e-6 /pb
    attributes: dict[str, Any] = {f"{part}_ready": ls.dcs_ok for part in _READY}
    attributes |= {
        "beams_stable": True,
        "beam_present": True,
        "beam2_stable": True,
        "beam2_present": True,
        "physics_flag": True,
        "cms_active": True,
        "run_number": ls.run,
        "fill_number": ls.fill,
        "lumisection_number": ls.number,
        "start_time": _iso(ls.start),
        "end_time": _iso(ls.start + timedelta(seconds=LUMISECTION_SECONDS)),
        "init_lumi": ls.luminosity_1e30,
        "end_lumi": ls.luminosity_1e30,
        "delivered_lumi_per_lumisection": delivered,
        "recorded_lumi_per_lumisection": delivered * (1.0 - ls.dead_time),
        "pileup": round(ls.measured_pileup, 3),
        "prescale_index": ls.prescale_index,
        "prescale_name": ls.prescale_name,
    }
    return {"id": f"{ls.run}_{ls.number}", "type": "lumisections", "attributes": attributes}


def _beam_modes(fill: Fill) -> list[dict[str, Any]]:
    """Return the steps of a fill from injection to the pit's empty ring, with their times."""
    lead = fill.stable_from - fill.injection
    steps = [
        (fill.injection, "INJECTION PHYSICS BEAM"),
        (fill.injection + 0.55 * lead, "RAMP"),
        (fill.injection + 0.80 * lead, "FLAT TOP"),
        (fill.injection + 0.86 * lead, "SQUEEZE"),
        (fill.injection + 0.93 * lead, "ADJUST"),
        (fill.stable_from, "STABLE BEAMS"),
        (fill.dumped, "BEAM DUMP"),
        (fill.dumped + timedelta(minutes=4), "NO BEAM"),
    ]
    return [{"time": _iso(when), "fill": fill.number, "beam_mode": mode} for when, mode in steps]


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
