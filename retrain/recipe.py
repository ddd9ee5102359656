"""Everything that decides the bits of a trained model, and nothing else.

Two jobs with the same recipe and the same data end in the same weights.  Who asked, when and why is not
here; that is the ledger's business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

from retrain.digest import digest_of
from retrain.errors import RecipeError
from retrain.policy import FULL, Policy

MAXIMUM_WIDTH = 1024  # neurons a layer; beyond this no trigger board could hold the network
MAXIMUM_SEED = 2**63
MAXIMUM_SPARSITY = 0.95
LATER: Mapping[str, Any] = MappingProxyType(
    {
        "synthesise": True,
        "rate": "total",
        "signals": [],
        "margin": 0.1,
        "action": "weights",
        "policy": FULL.to_json(),
        "forget": [],
        "sparsity": 0.0,
        "tries": 4,
        "snapshot": None,
        "faults": [],
        "needs_gain": False,
        "learn": [],
        "bit_price": 0.0,
    }
)
"""Fields that older recipes lack, with what they stand for there: left out of the JSON, so that digests stay."""


@dataclass(frozen=True, order=True)
class LumisectionRange:
    """A closed range of lumisections of one run, as certification files write it."""

    run: int
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.run < 1 or not 1 <= self.first <= self.last:
            raise RecipeError(
                f"lumisection range {self.run}:{self.first}-{self.last}: run and lumisections count from 1 and "
                "the last is not before the first"
            )

    def __str__(self) -> str:
        return f"{self.run}:{self.first}-{self.last}"


def ranges(lumisections: Iterable[tuple[int, int]]) -> tuple[LumisectionRange, ...]:
    """Return the shortest list of ranges that covers exactly these (run, lumisection) pairs, sorted."""
    out: list[LumisectionRange] = []
    for run, lumisection in sorted(set(lumisections)):
        if out and out[-1].run == run and out[-1].last == lumisection - 1:
            out[-1] = LumisectionRange(run, out[-1].first, lumisection)
        else:
            out.append(LumisectionRange(run, lumisection, lumisection))
    return tuple(out)


@dataclass(frozen=True)
class Recipe:
    """The complete, frozen instruction for one candidate.

    Attributes:
        slot: The trigger slot the candidate is for, e.g. ``L1_AXO``.
        lumisections: What it learns from and is measured on.
        model: The name under the entry-point group ``retrigger.models``.
        contract: Digest of the frozen firmware contract; None derives one from the data (first champion only).
        champion: Digest of the bundle it is compared with on the same lumisections; None when there is none.
        seed: Seeds the initial weights, the order of events and the sampling of the latent space.
        held_out_fraction: Share of lumisections kept from training, for the working point (0.05 to 0.9).
        hidden: Widths of the encoder's hidden layers.
        latent: Width of the latent space.
        weight_bits: Bits of a weight (2 to 8), sign included.
        epochs: Passes over the training events.
        batch_size: Events a step.
        learning_rate: Of Adam, at its start; it falls along a cosine.
        kl_weight: Weight of the Kullback-Leibler term against the reconstruction.
        target_rate_hz: The total rate the threshold aims at, in Hz.
        bunches: Colliding bunches the rate is quoted for.
        confidence: Of the Clopper-Pearson intervals.
        minimum_passing: Fewer passing zero-bias events than this leave the working point inconclusive.
        proof_vectors: Vectors on which all descriptions of the network must agree.
        rate: Whether the target is a ``total`` rate or ``pure``, what no other seed of the prescale set passes.
        signals: Names of the signal samples that are judged beside the champion.
        margin: Share of the champion's efficiency that a candidate may lose without being worse (0.001 to 0.5).
        action: ``weights`` trains; ``threshold`` keeps the champion's weights, sources and proof, and derives anew
            only where to cut.
        synthesise: Have Yosys count the cells beside da4ml's own count; a few minutes.
        policy: How it learns; all but ``full`` start from the champion's weights.
        tries: Networks that may be trained, each under a tighter recipe than the one before, until one fits the board.
        snapshot: Digest of the state of an online learner that becomes the candidate; of policy ``online`` only.
        forget: Lumisections that the champion's memory may hold and that must no longer be learned from, sorted.
        learn: Names of the signals that a classifier learns from, one half of their events; judged on the other half.
        sparsity: Share of each layer's weights that training makes exactly zero (0 to 0.95), the smallest first;
            what is zero in weights that a policy starts from stays zero, however small this share is.
        faults: Names of the failure modes, each with its size, through which events are replayed for both models.
        needs_gain: Whether a candidate that shows no gain over its champion is refused, not only one that does harm.
        bit_price: Above 0, each layer learns its number of bits, from ``weight_bits`` down to 2; what the mean bit of a
            weight adds to the loss.

    Raises:
        RecipeError: A field is out of its range; the message names it.
    """

    slot: str
    lumisections: tuple[LumisectionRange, ...]
    model: str = "axol1tl"
    contract: str | None = None
    champion: str | None = None
    seed: int = 1
    held_out_fraction: float = 0.4
    hidden: tuple[int, ...] = (32, 16)
    latent: int = 8
    weight_bits: int = 6
    epochs: int = 12
    batch_size: int = 1024
    learning_rate: float = 3e-3
    kl_weight: float = 0.2
    target_rate_hz: float = 150_000.0
    bunches: int = 2460
    confidence: float = 0.95
    minimum_passing: int = 100
    proof_vectors: int = 100_000
    rate: str = "total"
    signals: tuple[str, ...] = ()
    margin: float = 0.1
    action: str = "weights"
    synthesise: bool = True
    policy: Policy = FULL
    snapshot: str | None = None
    forget: tuple[LumisectionRange, ...] = ()
    sparsity: float = 0.0
    tries: int = 4
    faults: tuple[str, ...] = ()
    needs_gain: bool = False
    learn: tuple[str, ...] = ()
    bit_price: float = 0.0

    def __post_init__(self) -> None:
        checks: dict[str, tuple[bool, str]] = {
            "slot": (bool(self.slot) and self.slot.isprintable(), "a printable, non-empty name"),
            "model": (bool(self.model), "a name registered under retrigger.models"),
            "lumisections": (len(self.lumisections) > 0, "at least one range"),
            "seed": (0 <= self.seed < MAXIMUM_SEED, "0 <= seed < 2**63"),
            "held_out_fraction": (0.05 <= self.held_out_fraction <= 0.9, "between 0.05 and 0.9"),
            "hidden": (
                len(self.hidden) > 0 and all(1 <= width <= MAXIMUM_WIDTH for width in self.hidden),
                f"one or more widths of 1 to {MAXIMUM_WIDTH}",
            ),
            "latent": (1 <= self.latent <= MAXIMUM_WIDTH, f"1 to {MAXIMUM_WIDTH}"),
            "weight_bits": (2 <= self.weight_bits <= 8, "2 to 8 bits"),
            "epochs": (1 <= self.epochs <= 10_000, "1 to 10000"),
            "batch_size": (2 <= self.batch_size <= 1_000_000, "2 to 1000000 events"),
            "learning_rate": (0.0 < self.learning_rate <= 1.0, "above 0, at most 1"),
            "kl_weight": (0.0 <= self.kl_weight <= 1000.0, "0 to 1000"),
            "target_rate_hz": (0.0 < self.target_rate_hz < 4.0e7, "above 0 Hz, below 40 MHz"),
            "bunches": (1 <= self.bunches <= 3564, "1 to 3564 bunches"),
            "confidence": (0.5 <= self.confidence < 1.0, "0.5 to below 1"),
            "minimum_passing": (self.minimum_passing >= 1, "at least 1 event"),
            "proof_vectors": (1 <= self.proof_vectors <= 100_000_000, "1 to 100000000"),
            "tries": (1 <= self.tries <= 20, "1 to 20"),
            "rate": (self.rate in {"total", "pure"}, "total or pure"),
            "signals": (tuple(sorted(set(self.signals))) == self.signals, "names in order, each once"),
            "faults": (tuple(sorted(set(self.faults))) == self.faults, "names in order, each once"),
            "action": (
                self.action == "weights" or (self.action == "threshold" and self.champion is not None),
                "weights, or threshold with a champion to inherit from",
            ),
            "margin": (0.001 <= self.margin <= 0.5, "0.001 to 0.5"),
            "learn": (
                tuple(sorted(set(self.learn) & set(self.signals))) == self.learn,
                "names in order, each once, of the field signals",
            ),
            "bit_price": (0.0 <= self.bit_price <= 1000.0, "0 to 1000"),
            "sparsity": (0.0 <= self.sparsity <= MAXIMUM_SPARSITY, f"0 to {MAXIMUM_SPARSITY}"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise RecipeError(f"recipe field {name} is {getattr(self, name)!r}; expected {expected}")
        if tuple(sorted(self.lumisections)) != self.lumisections:
            raise RecipeError("recipe field lumisections is not sorted; build it with retrain.recipe.ranges")
        if tuple(sorted(self.forget)) != self.forget:
            raise RecipeError("recipe field forget is not sorted; build it with retrain.recipe.ranges")
        if self.snapshot is not None and self.policy.name != "online":
            raise RecipeError(f"recipe field snapshot is given with policy {self.policy.name}; expected policy online")
        if self.policy.from_champion and self.champion is None:
            raise RecipeError(f"recipe field policy is {self.policy.name}, which starts from a champion; there is none")

    def covers(self, run: int, lumisection: int) -> bool:
        """Whether the recipe names this lumisection."""
        return any(span.run == run and span.first <= lumisection <= span.last for span in self.lumisections)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the recipe: its identity."""
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values; what came later and has its default is left out.

        So a recipe that was written before keeps its digest, and its bundle its identity.
        """
        value = asdict(self)
        del value["policy"], value["forget"]
        value["lumisections"] = [[span.run, span.first, span.last] for span in self.lumisections]
        value["hidden"] = list(self.hidden)
        value["signals"], value["learn"] = list(self.signals), list(self.learn)
        value["faults"] = list(self.faults)
        value["policy"] = self.policy.to_json()
        value["forget"] = [[span.run, span.first, span.last] for span in self.forget]
        return {name: item for name, item in value.items() if name not in LATER or item != LATER[name]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            RecipeError: A key is unknown or missing, or a value is out of its range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise RecipeError(f"recipe has unknown fields {unknown}; known are {sorted(known)}")
        missing = sorted({"slot", "lumisections"} - set(value))
        if missing:
            raise RecipeError(f"recipe lacks {missing}")
        try:
            given = dict(value)
            for name in ("lumisections", "forget"):
                if name in value:
                    given[name] = tuple(LumisectionRange(*map(int, span)) for span in value[name])
            if "policy" in value:
                given["policy"] = Policy.from_json(value["policy"])
            if "hidden" in value:
                given["hidden"] = tuple(int(width) for width in value["hidden"])
            for name in ("signals", "faults", "learn"):
                if name in value:
                    given[name] = tuple(str(one) for one in value[name])
            return cls(**given)
        except TypeError as error:
            raise RecipeError(f"recipe has a value of the wrong type: {error}") from error
