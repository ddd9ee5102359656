"""How a slot gets its first champion: by import, once, with its bits checked and read back.

It is a bundle of ours, or an emulator library that runs already: then it is called in a process of its own, its scales
are held against their types and, where events are named, against those.
"""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from daemon.assemble import Parts, owner
from daemon.deploy import is_drill
from daemon.errors import RefusedError, SetupError
from daemon.lifecycle import facts as f
from daemon.scan import reading, run_files
from daemon.shelf import champion_digest
from retrain.adopted import KNOWN, Adopted, Interface
from retrain.champion import Champion, load
from retrain.contract import Contract, Features
from retrain.fixed_point import FixedPoint
from retrain.scales import threshold_of, with_given_scales

MOST_EVENTS = 200_000  # medians are known long before


@dataclass(frozen=True)
class Handed:
    """What comes with an emulator library.

    Attributes:
        scales: The file with offsets and shifts.
        version: Which version in it; empty when it holds one.
        threshold: Integer, or with a point the value of the score.
        interface: One of `retrain.adopted.KNOWN`, or a JSON file with port, latent, latent_values and score.
        events: Run files to hold the scales against.
    """

    scales: Path
    threshold: str
    version: str = ""
    interface: str = "cmssw"
    events: tuple[Path, ...] = ()


def champion_from_library(ready: Parts, library: Path, handed: Handed) -> Adopted:
    """Return the sealed champion made from an emulator library, kept beside the bundles; nothing is recorded yet.

    Raises:
        SetupError: A file that was named cannot be read.
        ContractError: Scales, threshold or types do not go together, or not with the events.
        EmulatorFailedError: The library crashes, hangs, or answers one event in two ways.
    """
    from retrain.firmware.adopt import adopt as seal  # noqa: PLC0415  # hls4ml's headers and a compiler
    from retrain.models import socket  # noqa: PLC0415  # a model that is not shipped imports torch to say its inputs

    settings = ready.settings
    ours: Contract = replace(socket(settings.retrain.model), name=settings.stream.slot)
    contract = with_given_scales(ours, _json(handed.scales, "scales"), handed.version)
    given = KNOWN.get(handed.interface)
    interface = given or Interface.from_json(_json(Path(handed.interface), f"interface (or one of {sorted(KNOWN)})"))
    return seal(
        library,
        contract,
        interface,
        threshold=threshold_of(handed.threshold, FixedPoint.parse(interface.score)),
        out=settings.state / "bundles",
        events=_events(ready, handed.events) if handed.events else None,
    )


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SetupError(f"{what}: {path} cannot be read: {error}; name a JSON file") from error
    if not isinstance(value, dict):
        raise SetupError(f"{what}: {path} holds no JSON object; name another file")
    return value


def _events(ready: Parts, paths: tuple[Path, ...]) -> Features:
    parts: list[Features] = []
    with reading(ready.settings) as files:
        for path in run_files(list(paths)):
            contents = files.contents(path)
            parts += [one.features.astype(np.int16) for one in (contents.lumisections if contents else ())]
            if sum(one.shape[1] for one in parts) >= MOST_EVENTS:
                break
        if not parts:
            raise SetupError(f"no event could be read from {paths[0]}: {files.quarantined}; name other run files")
    return np.ascontiguousarray(np.concatenate(parts, axis=1)[:, :MOST_EVENTS])


def adopt(ready: Parts, bundle: Path, reason: str, now: datetime) -> f.ChampionImported:
    """Put a bundle or adopted library on the board as the champion that ran before retrigger came, and record it.

    Repeating it with the same bundle changes nothing.

    Raises:
        BundleAlteredError: The bundle is not whole.
        RefusedError: The slot has another champion already; from then on only an approval changes it.
        LeadershipTakenError: The daemon is running; stop it first.
    """
    slot = ready.settings.stream.slot
    whole: Champion = load(bundle)
    if is_drill(bundle):
        raise RefusedError(f"{whole.digest[:16]} is a drill, made to be refused; import what the board runs")
    before = champion_digest(ready.ledger, slot)
    if before and before != whole.digest:
        raise RefusedError(
            f"{slot} already runs {before[:16]} by the record; a new model takes a candidate and an approval"
        )
    kept = ready.settings.state / "bundles" / whole.digest
    if kept.resolve() != bundle.resolve() and not kept.exists():
        half = kept.with_name(f".{whole.digest}.part")
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, half)
        half.replace(kept)
    with ready.ledger.lead(owner(), now) as lead:
        ready.target.deploy(whole.digest, kept, token=lead.token)
    read_back = ready.target.read_back()
    if read_back != whole.digest:
        raise RefusedError(
            f"the board was read back as {read_back[:16]}, expected {whole.digest[:16]}; nothing recorded"
        )
    fact = f.ChampionImported(at=now, actor=f"import: {reason}", slot=slot, digest=whole.digest, bundle_path=str(kept))
    if not before:
        ready.ledger.append(slot, (fact,))
    return fact
