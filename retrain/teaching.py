"""One candidate's training from start to evidence: its policy's lesson, the training itself, the first epoch again.

What is learned from, what comes along from the champion's memory and what is handed on meet here.  Nothing here
reads a job or writes a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.bundle import Bundle
from retrain.checkpoint import Arrays, state_arrays
from retrain.contract import Contract
from retrain.dataset import Dataset
from retrain.memory import Memory
from retrain.policies.lesson import lesson_of
from retrain.recipe import Recipe
from retrain.remembrance import after, evidence, rehearsable
from retrain.signals import Signal
from retrain.train import fit

Beat = Callable[[float, str], None]


@dataclass(frozen=True)
class Taught:
    """What training leaves.

    Attributes:
        checkpoint: Every parameter, decoder and variance included.
        memory: What successors may rehearse.
        evidence: Losses, digests, policy and memory, plain JSON values.
    """

    checkpoint: Arrays
    memory: Memory
    evidence: dict[str, Any]


def teach(
    recipe: Recipe,
    contract: Contract,
    dataset: Dataset,
    champion: Bundle | None,
    device: str,
    beat: Beat,
    *,
    signals: Sequence[Signal] = (),
) -> Taught:
    """Train as the policy says, then start over for one epoch and see whether the bits return.

    Args:
        recipe: What to make.
        contract: Fixed-point types at the ports.
        dataset: Events and their split.
        champion: What it starts from or is compared with.
        device: ``cpu`` or ``cuda``.
        beat: Called with a fraction and a line of text.
        signals: What a classifier learns to find, the halves that are not judged; in the order of the recipe.

    Raises:
        DatasetError: The events, the champion or the device are not what the policy needs.
    """
    inputs = contract.network_inputs(dataset.features[:, dataset.mask(held_out=False)])
    before = rehearsable(recipe, dataset, champion)
    old = None if before is None else contract.network_inputs(before.features)
    start = champion.checkpoint if champion is not None and recipe.policy.from_champion else None
    lesson = lesson_of(recipe, contract, start, old, device)
    first = recipe.epochs / (recipe.epochs + 1)

    def begin(part: float, text: str) -> None:
        beat(part * first, text)

    def repeat(part: float, _text: str) -> None:
        beat(first + part / 2, "first epoch again, to compare its bits")

    shown = [contract.network_inputs(one.features) for one in signals]
    trained = fit(recipe, contract, inputs, signals=shown, lesson=lesson, device=device, beat=begin)
    again = fit(recipe, contract, inputs, signals=shown, lesson=lesson, device=device, beat=repeat, stop_after=1)
    memory = after(dataset, before)
    said = {
        **({"signals": [[one.name, [list(each) for each in one.files]] for one in signals]} if signals else {}),
        "policy": recipe.policy.to_json(),
        "device": device,
        "rehearsed": 0 if lesson.remembered is None else len(lesson.remembered),
        "memory": evidence(memory),
        "events": trained.events,
        "epochs": recipe.epochs,
        "losses": list(trained.losses),
        "epoch_digests": list(trained.epoch_digests),
        "first_epoch": trained.epoch_digests[0],
        "first_epoch_again": again.epoch_digests[0],
        "seed": recipe.seed,
    }
    return Taught(state_arrays(trained.model), memory, said)
