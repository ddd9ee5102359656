"""A job as described, and the folders in which its stages leave what they made.

Nothing here decides what a stage does (`retrain.stages`) or in which order they run (`retrain.job`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from retrain import bundle, champion
from retrain.champion import Champion
from retrain.contract import Contract
from retrain.dataset import Dataset, ListedLumisection
from retrain.errors import DatasetError, RecipeError
from retrain.program import IntegerProgram
from retrain.progress import read_whole
from retrain.recipe import Recipe
from retrain.signals import ListedSignal


@dataclass(frozen=True)
class Job:
    """A job description, read and checked.

    Attributes:
        recipe: What to make.
        listed: The lumisections, with their files.
        champion: Bundle to compare with; None when there is none.
        contract: Contract given with the job; None when the champion's, or one from the data, is to be used.
        out: Where bundles are kept.
        exclude_reasons: Why other lumisections were left out, by ``run:lumisection``; kept as evidence.
        signals: Files of the signal samples that the recipe names.
        faults: Files of the same events, healthy and with each fault that the recipe names.
        device: Where to train, ``cpu`` or ``cuda``; no part of the recipe, but told in the evidence.
        snapshot: Folder of the online learner's state that the recipe names; None for other policies.
    """

    recipe: Recipe
    listed: tuple[ListedLumisection, ...]
    champion: Path | None
    contract: Contract | None
    out: Path
    exclude_reasons: Mapping[str, str]
    signals: tuple[ListedSignal, ...] = ()
    faults: tuple[ListedSignal, ...] = ()
    device: str = "cpu"
    snapshot: Path | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Job":
        """Read a job description.

        Raises:
            RecipeError: A key is missing, or contract and recipe do not go together.
        """
        missing = sorted({"recipe", "lumisections", "out"} - set(value))
        if missing:
            raise RecipeError(f"job.json lacks {missing}; expected recipe, lumisections, champion, out")
        recipe = Recipe.from_json(value["recipe"])
        champion, contract = value.get("champion"), value.get("contract")
        if (champion is None) != (recipe.champion is None):
            raise RecipeError(
                f"job.json has champion {champion!r}, its recipe {recipe.champion!r}; give both, the path of the "
                "bundle and its digest, or neither"
            )
        return cls(
            recipe=recipe,
            listed=tuple(ListedLumisection.from_json(one) for one in value["lumisections"]),
            champion=None if champion is None else Path(champion),
            contract=None if contract is None else Contract.from_json(contract),
            out=Path(value["out"]),
            exclude_reasons={str(name): str(reason) for name, reason in (value.get("exclude_reasons") or {}).items()},
            signals=tuple(ListedSignal.from_json(one) for one in value.get("signals") or ()),
            faults=tuple(ListedSignal.from_json(one) for one in value.get("faults") or ()),
            device=str(value.get("device") or "cpu"),
            snapshot=None if value.get("snapshot") is None else Path(value["snapshot"]),
        )


@dataclass(frozen=True)
class Work:
    """A job and the folders of its stages.

    Attributes:
        job: With the recipe that is tried now.
        folders: By name of the stage.
        tries: What tries before this one would have taken, under looser recipes.
    """

    job: Job
    folders: Mapping[str, Path]
    tries: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def contract(self) -> Contract:
        """The contract this job trains for, as its first stage settled it."""
        return Contract.from_json(self.json("dataset", "contract.json"))

    @cached_property
    def dataset(self) -> Dataset:
        """The events, from the copy that the first stage made."""
        kept = self.json("dataset", "index.json")
        features = np.load(self.folders["dataset"] / "features.npy", allow_pickle=False)
        listed = tuple(ListedLumisection.from_json(one) for one in kept["lumisections"])
        pure = self.folders["dataset"] / "pure.npy"
        weights = np.load(pure, allow_pickle=False) if pure.exists() else None
        return Dataset(features, listed, tuple(kept["counts"]), tuple(kept["held_out"]), weights)

    @cached_property
    def program(self) -> IntegerProgram:
        """The integer reference of the trained network."""
        arrays = load_file(self.folders["export"] / bundle.WEIGHTS)
        return IntegerProgram.assemble(self.json("export", "program.json"), arrays)

    @cached_property
    def champion(self) -> Champion | None:
        """What runs now, to compare with, every byte of it checked; for a threshold alone it is the parent."""
        return None if self.job.champion is None else champion.load(self.job.champion, self.job.recipe.champion)

    @cached_property
    def parent(self) -> bundle.Bundle | None:
        """The bundle whose network is kept; None when a network is trained.

        Raises:
            RecipeError: A threshold is asked for a library that was adopted and has no integers of its own.
        """
        if self.job.recipe.action != "threshold":
            return None
        if not isinstance(self.champion, bundle.Bundle):
            raise RecipeError(
                "recipe field action is 'threshold', but the champion is no bundle of ours: an adopted library cannot "
                "be proven with another threshold; ask for weights"
            )
        return self.champion

    def json(self, stage: str, name: str) -> dict[str, Any]:
        """Return a JSON file that a finished stage wrote."""
        value = read_whole(self.folders[stage] / name)
        if value is None:
            raise DatasetError(f"stage {stage} left no {name}; remove {self.folders[stage]} and run the job again")
        return value

    def encoder(self) -> Any:
        """Return the trained, quantised encoder."""
        from retrain.checkpoint import restore  # noqa: PLC0415 - torch is paid by the stages that need it

        arrays = load_file(self.folders["train"] / bundle.CHECKPOINT)
        return restore(self.job.recipe, self.contract, arrays).encoder
