"""An online learner on disk: states that are whole or absent, each naming the one before; and how one is proposed.

A state is a folder that is renamed when it is on disk, so a kill at any instant costs at most the lumisection in hand,
and the next run takes it again to the same bits.  The last states stay, with the events that led from one to the next,
so that a candidate's last step can be repeated; of older ones the chain of digests stays.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from retrain.bundle import Bundle, load, sync_tree, write_json, write_tensors
from retrain.contract import Contract
from retrain.dataset import Dataset
from retrain.digest import digest_of
from retrain.errors import DatasetError
from retrain.memory import Memory
from retrain.online import Learned, OnlineLearner, Portion
from retrain.progress import read_whole, write_whole
from retrain.recipe import LumisectionRange, Recipe
from retrain.remembrance import evidence
from retrain.teaching import Taught

STATES = 2  # kept whole: the last, and the one before to repeat the last step from
_PARTS = ("parameters", "moments", "memory")
_OWN = frozenset(
    {
        *(
            "snapshot",
            "lumisections",
            "contract",
        ),  # a state and a selection of the job's own; contracts are compared whole
        *("target_rate_hz", "bunches", "rate", "confidence", "minimum_passing", "signals", "margin", "faults"),
        *("needs_gain", "proof_vectors", "synthesise", "tries"),
    }
)
"""Fields of a recipe that say how a state is measured and proven: all others decided what it learned."""


@dataclass(frozen=True)
class OnlineStore:
    """One learner's folder.

    Attributes:
        folder: Holds ``learner.json``, ``states/`` and ``chain/``.
        recipe: Of policy ``online``.
        learner: Made from recipe, contract and champion.
    """

    folder: Path
    recipe: Recipe
    learner: OnlineLearner

    @classmethod
    def open(cls, folder: Path, recipe: Recipe, champion: Bundle) -> "OnlineStore":
        """Take a learner up where it was left, or begin it; a half-written state is forgotten.

        Args:
            folder: Of this learner alone.
            recipe: Of policy ``online``; its champion is the bundle's digest.
            champion: What it starts from.

        Raises:
            DatasetError: Another learner lives in the folder, or the champion is another or has no memory.
        """
        if recipe.champion != champion.digest:
            raise DatasetError(f"the recipe starts from {recipe.champion}; the bundle is {champion.digest}")
        arrays = champion.memory
        if arrays is None:
            raise DatasetError(f"champion {champion.digest[:16]} has no memory; retrain it once with policy full")
        said = {"recipe": recipe.to_json(), "contract": champion.contract.to_json()}
        before = read_whole(folder / "learner.json")
        if before is not None and before != said:
            raise DatasetError(f"{folder} holds another learner; give the new recipe or champion a folder of its own")
        store = cls(folder, recipe, OnlineLearner(recipe, champion.contract, champion.checkpoint))
        (folder / "states").mkdir(parents=True, exist_ok=True)
        (folder / "chain").mkdir(exist_ok=True)
        for partial in (folder / "states").glob("*.partial"):
            shutil.rmtree(partial)
        if before is None:
            write_whole(folder / "learner.json", said)
        if not store.numbers():
            store._keep(store.learner.begin(Memory.from_arrays(arrays).without(_forgets(recipe))), None)
        return store

    def numbers(self) -> list[int]:
        """Return the numbers of the states that are whole, ascending."""
        return sorted(int(path.name) for path in (self.folder / "states").iterdir() if path.name.isdigit())

    def latest(self) -> Learned:
        """Return the last whole state.

        Raises:
            DatasetError: It was altered.
        """
        return read_state(self._place(self.numbers()[-1]))

    def take(self, portion: Portion) -> str:
        """Learn from a lumisection and keep the new state; return why not, or nothing.

        Raises:
            DatasetError: The last state was altered, or the parameters stopped being numbers.
        """
        state = self.latest()
        refusal = self.learner.refusal(state, portion)
        if not refusal:
            self._keep(self.learner.take(state, portion), portion)
        return refusal

    def snapshot(self, out: Path) -> tuple[str, Path]:
        """Copy the last state, and what is needed to repeat its last step, to ``out``; return its digest and folder.

        Raises:
            DatasetError: It has not learned from anything yet.
        """
        numbers = self.numbers()
        if numbers[-1] == 0:
            raise DatasetError(f"{self.folder}: nothing was learned yet; a snapshot would be the champion")
        state = self.latest()
        final = out / state.digest
        if not final.exists():
            partial = out / f".{state.digest[:16]}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(self._place(numbers[-1]), partial / "state")
            shutil.copytree(self._place(numbers[-1] - 1), partial / "before")
            shutil.copyfile(self.folder / "learner.json", partial / "learner.json")
            sync_tree(partial)
            partial.replace(final)
        return state.digest, final

    def _place(self, number: int) -> Path:
        return self.folder / "states" / f"{number:09d}"

    def _keep(self, state: Learned, portion: Portion | None) -> None:
        final = self._place(state.number)
        partial = final.with_name(f"{final.name}.partial")
        write_state(partial, state, portion)
        sync_tree(partial)
        partial.replace(final)
        sync_tree(final.parent)
        write_whole(self.folder / "chain" / f"{final.name}.json", _head(state))
        for old in self.numbers()[:-STATES]:
            shutil.rmtree(self._place(old))


def _head(state: Learned) -> dict[str, Any]:
    return {
        "number": state.number,
        "digest": state.digest,
        "previous": state.previous,
        "steps": state.steps,
        "taken": [[span.run, span.first, span.last] for span in state.taken],
        "events": state.events,
    }


def write_state(folder: Path, state: Learned, portion: Portion | None) -> None:
    """Write a state, and the lumisection that led to it, into an empty folder."""
    folder.mkdir(parents=True)
    write_json(folder / "state.json", _head(state))
    for name, arrays in zip(_PARTS, (state.parameters, state.moments, state.memory.arrays()), strict=True):
        write_tensors(folder / f"{name}.safetensors", arrays)
    if portion is not None:
        write_tensors(folder / "events.safetensors", {"features": portion.features})
        named = {name: value for name, value in vars(portion).items() if name != "features"}
        write_json(folder / "portion.json", named)


def read_state(folder: Path) -> Learned:
    """Read a state back.

    Raises:
        DatasetError: A file is missing, or the contents do not have the state's digest.
    """
    head = read_whole(folder / "state.json")
    try:
        parts = [dict(load_file(folder / f"{name}.safetensors")) for name in _PARTS]
    except OSError as error:
        raise DatasetError(f"online state {folder} cannot be read: {error}; begin again from the champion") from error
    if head is None:
        raise DatasetError(f"online state {folder} has no readable state.json; begin again from the champion")
    parameters, moments, memory = parts
    state = Learned(
        number=head["number"],
        digest=head["digest"],
        previous=head["previous"],
        parameters=parameters,
        moments=moments,
        steps=head["steps"],
        memory=Memory.from_arrays(memory),
        taken=tuple(LumisectionRange(*span) for span in head["taken"]),
        events=head["events"],
    )
    if state.computed_digest() != state.digest:
        raise DatasetError(f"online state {folder} was altered: its contents are not {state.digest[:16]}; begin again")
    return state


def read_portion(folder: Path) -> Portion:
    """Read the lumisection that led to a state.

    Raises:
        DatasetError: It is not there.
    """
    named = read_whole(folder / "portion.json")
    if named is None:
        raise DatasetError(f"online state {folder} does not say which lumisection led to it")
    return Portion(features=load_file(folder / "events.safetensors")["features"], **named)


def adopt(
    recipe: Recipe, contract: Contract, dataset: Dataset, champion: Bundle | None, snapshot: Path | None
) -> Taught:
    """Make an online learner's state a candidate, after repeating its last step to the same bits.

    Args:
        recipe: Names the state by its digest.
        contract: The champion's.
        dataset: What the candidate is measured on, and some of what it learned from.
        champion: What the learner started from.
        snapshot: Folder that `OnlineStore.snapshot` left.

    Raises:
        DatasetError: The snapshot is missing or another, was made under another recipe or contract, or did not learn
            from a lumisection that the job lists for training.
    """
    if champion is None or snapshot is None or recipe.snapshot is None:
        raise DatasetError("policy online needs a snapshot: its digest in the recipe, its folder in job.json")
    made_by = read_whole(snapshot / "learner.json")
    if made_by is None:
        raise DatasetError(f"{snapshot} holds no learner.json; take it with OnlineStore.snapshot")
    own = Recipe.from_json(made_by["recipe"])
    _same_terms(own, recipe, digest_of(made_by["contract"]) == contract.digest)
    state, before = read_state(snapshot / "state"), read_state(snapshot / "before")
    if state.digest != recipe.snapshot:
        raise DatasetError(f"{snapshot} holds state {state.digest[:16]}; the recipe names {recipe.snapshot[:16]}")
    if state.previous != before.digest:
        raise DatasetError(f"{snapshot}: state {state.number} does not follow the state that is beside it")
    for one, out in zip(dataset.lumisections, dataset.held_out, strict=True):
        if not out and not state.has(one.run, one.lumisection):
            raise DatasetError(
                f"the snapshot did not learn from {one.run}:{one.lumisection}; list what it took, or is kept to measure"
            )
    again = OnlineLearner(own, contract, champion.checkpoint).take(before, read_portion(snapshot / "state"))
    said = {
        "policy": recipe.policy.to_json(),
        "device": "cpu",
        "online": {"number": state.number, "steps": state.steps, "taken": [str(span) for span in state.taken]},
        "memory": evidence(state.memory),
        "events": int(np.sum([count for count, out in zip(dataset.counts, dataset.held_out, strict=True) if not out])),
        "epochs": own.epochs,
        "losses": [],
        "epoch_digests": [state.digest],
        "first_epoch": state.digest,
        "first_epoch_again": again.digest,
        "seed": own.seed,
    }
    return Taught(state.parameters, state.memory, said)


def _same_terms(own: Recipe, recipe: Recipe, same_contract: bool) -> None:
    others = [
        f"{one.name} {getattr(own, one.name)!r}, the recipe {getattr(recipe, one.name)!r}"
        for one in fields(Recipe)
        if one.name not in _OWN and getattr(own, one.name) != getattr(recipe, one.name)
    ]
    if not same_contract:
        others.append("another contract")
    if others:
        raise DatasetError(f"the online learner has {'; '.join(others)}; a candidate is named as it was taught")


def _forgets(recipe: Recipe) -> Any:
    return lambda run, lumisection: any(
        span.run == run and span.first <= lumisection <= span.last for span in recipe.forget
    )


def recipe_of_snapshot(store: OnlineStore, digest: str, lumisections: tuple[LumisectionRange, ...]) -> Recipe:
    """Return the recipe under which a snapshot goes through the gates.

    Args:
        store: Of the learner.
        digest: Of the snapshot.
        lumisections: Some that it took and some that are kept for measuring.
    """
    return replace(store.recipe, snapshot=digest, lumisections=lumisections)


def open_from_json(folder: Path, value: Mapping[str, Any]) -> OnlineStore:
    """Open the learner that a description names by ``recipe`` and ``champion``, as `retrain.follow` reads it."""
    recipe = Recipe.from_json(value["recipe"])
    return OnlineStore.open(folder, recipe, load(Path(value["champion"]), recipe.champion))
