"""What a threshold-only candidate takes from its parent unchanged: weights, graph, C++, library and their proof.

Bytes are copied from a bundle that was found whole, and the library is run once more on events of today beside the
integer program, so that what is inherited is also seen to hold.  Nothing here trains, exports or compiles.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load as load_tensors

from retrain.bundle import EMULATOR, PLAIN, WEIGHTS, Bundle, file_digests, write_json
from retrain.contract import Features
from retrain.dataset import Dataset
from retrain.digest import digest_of_bytes
from retrain.errors import BundleAlteredError, DatasetError, MismatchError, RecipeError
from retrain.recipe import LumisectionRange, Recipe, ranges

RECHECKED_EVENTS = 4000
TAKEN: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "train": (
            ("checkpoint.safetensors", "checkpoint.safetensors"),
            ("memory.safetensors", "memory.safetensors"),
            ("evidence/training.json", "training.json"),
        ),
        "export": (
            ("model.qonnx", "model.qonnx"),
            (PLAIN, PLAIN),
            (WEIGHTS, WEIGHTS),
            ("program.json", "program.json"),
        ),
        "module": (("rtl", "rtl"), ("evidence/search.json", "search.json")),
        "firmware": (("hls", "hls"), ("emulator", "emulator")),
        "prove": (("golden.safetensors", "golden.safetensors"), ("evidence/proof.json", "proof.json")),
        "synthesis": (("evidence/resources.json", "resources.json"),),
    }
)
"""What each stage of a job leaves, and where it lies in the parent: name there, name here."""
MEASURING = frozenset(
    {
        "lumisections", "contract", "champion", "action", "target_rate_hz", "bunches", "confidence", "minimum_passing",
        "rate", "signals", "margin", "faults", "needs_gain",
    }
)  # fmt: skip
"""Fields of a recipe that may differ from the parent's: what is measured, on what, beside whom."""


class Heir(Protocol):
    """A job that keeps its parent's network."""

    @property
    def parent(self) -> Bundle | None:
        """The bundle whose network is kept."""

    @property
    def dataset(self) -> Dataset:
        """The events of the job."""


def stage(name: str) -> Callable[[Heir, Path, Callable[[float, str], None]], None]:
    """Return a stage of that name which takes from the parent what the stage would make."""

    def taken(work: Heir, out: Path, beat: Callable[[float, str], None]) -> None:
        parent = work.parent
        assert parent is not None
        beat(0.0, f"{name} of {parent.digest[:12]}")
        take(name, parent, out)
        if name == "prove":
            write_json(out / "proof.json", proof(parent, work.dataset.features))

    return taken


def take(name: str, parent: Bundle, out: Path) -> None:
    """Write what a stage leaves from the parent's files instead of making it.

    Raises:
        RecipeError: The parent is of an earlier form and lacks something that a bundle has now.
        BundleAlteredError: What was copied is not what the parent's manifest says.
    """
    for there, here in TAKEN[name]:
        source = parent.path / there
        if not source.exists():
            raise RecipeError(
                f"parent {parent.digest[:16]} has no {there}; an earlier version made it, ask for weights instead"
            )
        if source.is_dir():
            shutil.copytree(source, out / here)
        else:
            shutil.copyfile(source, out / here)
        _same_bytes(parent, there, out / here)
    if name == "export":
        write_json(out / "export.json", {"graph_again": _graph_again(parent)})


def proof(parent: Bundle, features: Features) -> dict[str, Any]:
    """Return the parent's proof with what was seen again today; it still names weights, library and sources.

    Raises:
        MismatchError: The parent's library answers otherwise than its integers.
        BuildError: The library cannot be loaded on this machine.
    """
    told = parent.evidence("proof")
    return {**told, "inherited_from": parent.digest, "seen_again": recheck(parent, features)}


def held_out(data: Dataset, recipe: Recipe, parent: Bundle) -> Dataset:
    """Return the events with every lumisection held out that the parent's weights have not learned from.

    Raises:
        RecipeError: The recipe asks for another network than the parent's.
        DatasetError: The weights have learned from all of them: nothing is left to measure on.
    """
    check_same(recipe, parent)
    spans = learned_by(parent)
    new = tuple(
        not any(span.run == one.run and span.first <= one.lumisection <= span.last for span in spans)
        for one in data.lumisections
    )
    events = sum(count for count, out in zip(data.counts, new, strict=True) if out)
    if not events:
        raise DatasetError(
            f"the weights of {parent.digest[:16]} have learned from every lumisection of the job; a threshold is "
            "measured on others, list new ones"
        )
    return replace(data, held_out=new)


def set_aside(data: Dataset, champion: Bundle) -> tuple[Dataset, dict[str, Any]]:
    """Return the events less every held-out lumisection that the champion's weights have learned from; and those.

    For weights that start from the champion's: what those know cannot measure them, and what is held out teaches none.

    Args:
        data: With the split of the recipe.
        champion: Where the weights start.

    Raises:
        DatasetError: The champion has learned from all that is held out: nothing is left to measure on.
    """
    before = learned_by(champion)
    rows = zip(data.lumisections, data.counts, data.held_out, strict=True)
    held = [((one.run, one.lumisection), count) for one, count, out in rows if out]
    gone = {
        (run, number): count
        for (run, number), count in held
        if any(span.run == run and span.first <= number <= span.last for span in before)
    }
    if sum(gone.values()) == sum(count for _, count in held):
        raise DatasetError(
            f"all {len(held)} lumisections kept for measuring were learned by the champion {champion.digest[:16]}, "
            "whose weights the candidate starts from; list lumisections that it has not learned, or use policy full"
        )
    said = {
        "lumisections": len(gone),
        "events": sum(gone.values()),
        "ranges": [str(span) for span in ranges(gone)],
        "why": "held out, but the champion's weights have learned from them: neither taught nor measured",
    }
    return data.without(gone), said


def recheck(parent: Bundle, features: Features) -> dict[str, Any]:
    """Return how many golden vectors and events of today the parent's library answers as its integers do: all of them.

    Args:
        parent: Whose library is run.
        features: Hardware integers of the job's lumisections, shape ``(n_inputs, n_events)``.

    Raises:
        MismatchError: One answer differs, from the integer program or from the golden vectors.
        BuildError: The library cannot be loaded on this machine.
    """
    from retrain.firmware.emulator import Emulator  # noqa: PLC0415 - paid only where it is needed

    golden = load_tensors((parent.path / "golden.safetensors").read_bytes())
    stride = max(features.shape[1] // RECHECKED_EVENTS, 1)
    today = np.ascontiguousarray(features[:, ::stride][:, :RECHECKED_EVENTS])
    emulator = Emulator(parent.path / EMULATOR, len(parent.contract.inputs))
    told = np.concatenate([emulator.run(one)[1] for one in (golden["features"], today)])
    wanted = np.concatenate([golden["score"].astype(np.int64), parent.program.run(parent.contract, today)])
    wrong = np.flatnonzero(told != wanted)
    if len(wrong):
        where = int(wrong[0])
        which = "golden vector" if where < golden["features"].shape[1] else "event of today"
        raise MismatchError(
            f"parent {parent.digest[:16]}: its library answers {int(told[where])} on a {which}, expected "
            f"{int(wanted[where])} ({len(wrong)} of {len(told)} differ); do not inherit its proof, build it again"
        )
    return {"golden": int(golden["features"].shape[1]), "events": int(today.shape[1]), "mismatches": 0}


def learned_by(parent: Bundle) -> tuple[LumisectionRange, ...]:
    """Return the lumisections that the parent's weights have learned from.

    Its own, its forerunners', those in its memory, and all that an online learner took whose state it is.
    """
    told = parent.evidence("dataset")
    spans = [_span(text) for text in told.get("learned", told["training"]["ranges"])]
    places = {(span.run, number) for span in spans for number in range(span.first, span.last + 1)}
    online = parent.evidence("training").get("online", {})  # a job lists but some of what an online learner took
    for span in map(_span, online.get("taken", ())):
        places |= {(span.run, number) for number in range(span.first, span.last + 1)}
    if parent.memory is not None:
        _, _, _, runs, numbers, _ = parent.memory["keys"]
        places |= set(zip(runs.tolist(), numbers.tolist(), strict=True))
    return ranges(places)


def learned(data: Dataset, recipe: Recipe, champion: object) -> list[str]:
    """Return as evidence every lumisection that the job's weights will have learned from.

    A policy that starts from the champion's weights learns what they learned; one that keeps them learns nothing else.

    Args:
        data: The events, with those held out that are held out.
        recipe: Says where the weights start.
        champion: What runs now; only of a bundle is it known what it learned.
    """
    own = () if recipe.action == "threshold" else zip(data.lumisections, data.held_out, strict=True)
    places = {(one.run, one.lumisection) for one, out in own if not out}
    if isinstance(champion, Bundle) and (recipe.action == "threshold" or recipe.policy.from_champion):
        before = learned_by(champion)
        places |= {(span.run, number) for span in before for number in range(span.first, span.last + 1)}
    return [str(span) for span in ranges(places)]


def check_same(recipe: Recipe, parent: Bundle) -> None:
    """See that a recipe asks for the parent's network and nothing else.

    Raises:
        RecipeError: A field that decides the network is not the parent's.
    """
    for name in sorted({field.name for field in fields(Recipe)} - MEASURING):
        found, wanted = getattr(recipe, name), getattr(parent.recipe, name)
        if found != wanted:
            raise RecipeError(
                f"recipe field {name} is {found!r}, its parent {parent.digest[:16]} has {wanted!r}; a threshold is "
                "derived for the network that there is, ask for weights to change it"
            )


def _same_bytes(parent: Bundle, there: str, copy: Path) -> None:
    """The parent was whole when it was read; that it still was when it was copied is seen from the copy."""
    listed: Mapping[str, str] = parent.manifest["files"]
    found = file_digests(copy) if copy.is_dir() else {"": digest_of_bytes(copy.read_bytes())}
    told = {f"{there}/{name}" if name else there: digest for name, digest in found.items()}
    wanted = {name: digest for name, digest in listed.items() if name == there or name.startswith(f"{there}/")}
    if told != wanted:
        wrong = sorted(name for name in {*told, *wanted} if told.get(name) != wanted.get(name))
        raise BundleAlteredError(
            f"parent {parent.digest[:16]}: {wrong[0]} changed while it was copied; refuse it, and rebuild the parent"
        )


def _graph_again(parent: Bundle) -> bool:
    gate = next((one for one in parent.gates if one.name == "reproducibility"), None)
    return gate is not None and gate.verdict == "pass" and gate.evidence.get("graph_again") is True


def _span(text: str) -> LumisectionRange:
    run, _, numbers = text.partition(":")
    first, _, last = numbers.partition("-")
    return LumisectionRange(int(run), int(first), int(last or first))
