"""What an operator may set about training: what a candidate is, when it pays, and where it is trained.

The sections themselves, and what in one of them contradicts itself; `daemon.config` reads the file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from retrain.errors import RecipeError
from retrain.policy import PARAMETERS, Policy
from retrain.recipe import LumisectionRange, Recipe

Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[kKMGT]i?B$")]


class Section(BaseModel):
    """A table of the configuration file: frozen, without unknown keys, with finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RetrainSettings(Section):
    """When a candidate is trained, on how much, and what it must deliver."""

    model: str = "axol1tl"
    target_rate_hz: Positive = 1_000.0
    bunches: int = Field(default=2345, gt=0)
    cron: str | None = None
    minimum_lumisections: int = Field(default=500, gt=0)
    maximum_lumisections: int = Field(default=5000, gt=0)
    epochs: int = Field(default=20, gt=0)
    batch_events: int = Field(default=4096, gt=0)
    vectors: int = Field(default=1_000_000, ge=100_000)
    synthesise: bool = True
    seed: int = Field(default=1, ge=0)
    stalled_s: Positive = 600.0
    threshold_first: bool = False
    hidden: tuple[int, ...] | None = None
    latent: int | None = None
    weight_bits: int | None = None
    sparsity: float = 0.0
    bit_price: float = 0.0
    tries: int = 4
    learning_rate: float | None = None
    kl_weight: float | None = None
    held_out_fraction: float = 0.4
    learn: tuple[str, ...] = ()
    policy: Literal["full", "naive", "replay", "ewc", "lwf", "replay_lwf", "online"] = "full"
    memory_share: float | None = None
    stiffness: float | None = None
    distillation: float | None = None
    per_fill: int | None = Field(default=None, gt=0)
    online_every: int | None = Field(default=None, gt=0)
    eras: tuple[tuple[int, str], ...] = ()
    signals: Path | None = None
    margin: float = Field(default=0.1, ge=0.001, le=0.5)
    faults: tuple[str, ...] = (
        "gain=0.1",
        "gain_eg=0.2",
        "gain_jet=0.1",
        "hot_tower=0.05",
        "loss_jet=0.5",
        "loss_region=1",
        "met_noise=20",
        "stuck_jet_pt_6_1=1",
    )

    def era_of(self, run: int) -> dict[str, str]:
        """Return the era of a run as a job tells it; nothing where no era was declared."""
        begun = [name for first, name in sorted(self.eras) if first <= run]
        return {"era": begun[-1]} if begun else {}

    @property
    def way(self) -> Policy:
        """How candidates learn; a first champion has nothing to start from and learns with `full`.

        Raises:
            RecipeError: A parameter is out of its range.
        """
        return self._learning(self.policy)

    @property
    def followed(self) -> Policy:
        """How the learner learns that follows each lumisection.

        Raises:
            RecipeError: A parameter is out of its range.
        """
        return self._learning("online")

    def _learning(self, name: str) -> Policy:
        return Policy(name, **{one: getattr(self, one) for one in PARAMETERS[name] if getattr(self, one) is not None})

    @property
    def network(self) -> dict[str, Any]:
        """The fields of a recipe that say which network is trained, and how; what is not set is left to the recipe."""
        names = ("hidden", "latent", "weight_bits", "learning_rate", "kl_weight")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        always = ("model", "seed", "epochs", "sparsity", "bit_price", "tries", "held_out_fraction")
        renamed = {"batch_size": self.batch_events, "learn": tuple(sorted(set(self.learn)))}
        return {**given, **{name: getattr(self, name) for name in always}, **renamed}


class ExecutorSettings(Section):
    """Where training jobs run: beside the daemon, or on workers of Dask, here or under a batch system.

    With anything but `subprocess` the state folder, and what a job names, must lie on a disk that all workers share.
    """

    kind: Literal["subprocess", "dask", "htcondor", "slurm"] = "subprocess"
    workers: int = Field(default=2, ge=1, le=10_000)
    starts: int = Field(default=3, ge=1, le=100)
    device: Literal["cpu", "cuda"] = "cpu"
    gpus: tuple[str, ...] = ()
    scheduler: str = ""
    cores: int = Field(default=1, ge=1)
    memory: Amount = "4 GiB"
    disk: Amount = "8 GiB"
    walltime: str = Field(default="04:00:00", pattern=r"^\d+:[0-5]\d:[0-5]\d$")
    queue: str = ""
    account: str = ""
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()


class WorthSettings(Section):
    """What a retrain costs and saves; with `cost` an alarm alone is no reason for one.  Pairs are least and most."""

    cost: tuple[float, float] | None = None
    price_per_hz_hour: Positive = 1.0
    threshold_share: tuple[float, float] = (0.0, 1.0)
    model_share: tuple[float, float] = (0.0, 1.0)
    hours_to_model: tuple[float, float] = (2.0, 72.0)
    until: tuple[AwareDatetime, AwareDatetime] | None = None
    look_again_hours: Positive = 1.0
    lumisections: int = Field(default=200, gt=0)


def impossible(retrain: RetrainSettings) -> Iterator[str]:
    """Say what of [retrain] no recipe can have, in the words of the recipe."""
    try:
        way, _ = retrain.way, retrain.followed
        stated = {**retrain.network, "target_rate_hz": retrain.target_rate_hz, "bunches": retrain.bunches}
        signals = tuple(sorted({*retrain.learn})) if retrain.learn else ()
        champion = "a champion" if way.from_champion else None
        spans = (LumisectionRange(1, 1, 1),)
        Recipe("slot", spans, champion=champion, policy=way, signals=signals, **stated)
    except RecipeError as error:
        yield str(error).replace("recipe field ", "retrain.").replace("batch_size", "batch_events")
    taken = {*PARAMETERS[retrain.policy], *(PARAMETERS["online"] if retrain.online_every else ())}
    for name in ("memory_share", "stiffness", "distillation"):
        if getattr(retrain, name) is not None and name not in taken:
            yield f"retrain.{name} is set, and policy {retrain.policy!r} takes no {name}; take one of them away"
    by_run = [name for _, name in sorted(retrain.eras)]
    if by_run != sorted(set(by_run)):
        yield f"retrain.eras: {by_run} by first run; expected names that differ and sort in time, such as 2026A, 2026B"
    if retrain.policy == "online":
        yield (
            "retrain.policy 'online' is for the learner that follows each lumisection: set retrain.online_every for "
            "it, and here the policy of all other candidates"
        )
    if retrain.learn and retrain.model != "topology":
        yield f"retrain.learn is for model 'topology', and retrain.model is {retrain.model!r}; take one of them away"
    if retrain.learn and retrain.signals is None:
        yield "retrain.learn names signals, but retrain.signals names no folder of them; see `retrigger signal`"
    if retrain.model == "topology" and retrain.online_every is not None:
        yield "retrain.online_every is for an autoencoder; a classifier has no online learner (docs/learning.md)"
    if retrain.per_fill is not None and retrain.per_fill > retrain.maximum_lumisections:
        yield (
            f"retrain.per_fill is {retrain.per_fill}, above retrain.maximum_lumisections "
            f"{retrain.maximum_lumisections}, so that no fill would ever ask; lower the first or raise the second"
        )
    if retrain.model == "topology" and retrain.policy != "full":
        yield f"retrain.policy is {retrain.policy!r}; a classifier is trained with 'full' (docs/retrain.md)"


def priceless(asked: WorthSettings) -> Iterator[str]:
    """Say what of [worth] is no interval, or leaves no retrain that could pay."""
    pairs = ("cost", "threshold_share", "model_share", "hours_to_model", "until")
    for name in pairs:
        pair = getattr(asked, name)
        if pair is not None and pair[0] > pair[1]:
            yield f"worth.{name}: expected the least and the most, found {list(map(str, pair))}; swap them"
    for name in ("cost", "hours_to_model"):
        if (pair := getattr(asked, name)) is not None and pair[0] < 0.0:
            yield f"worth.{name} is {list(pair)}; expected nothing below 0"
    for name in ("threshold_share", "model_share"):
        pair = getattr(asked, name)
        if not (pair[0] >= 0.0 and pair[1] <= 1.0):
            yield f"worth.{name} is {list(pair)}; expected shares between 0 and 1"
    if (asked.cost is None) != (asked.until is None):
        yield "worth.cost and worth.until belong together: what a retrain costs, and when the model is replaced anyway"
    if asked.cost is not None and (asked.threshold_share[1] >= 1.0 or asked.model_share[0] <= 0.0):
        yield (
            "worth.threshold_share reaches 1 or worth.model_share 0, so that no retrain could ever surely pay; give "
            "the shares that your own candidates or docs/benchmarks/continual.md showed"
        )


def over(asked: WorthSettings, now: datetime) -> Iterator[str]:
    """Say that the last date of use is past: then costs decide nothing until somebody gives the next one."""
    if asked.cost is not None and asked.until is not None and asked.until[1] <= now:
        last = asked.until[1].astimezone(UTC)
        yield f"worth.until ({last:%Y-%m-%d %H:%M} UTC) is over; set the next one or take worth.cost away"


def misplaced(executor: ExecutorSettings) -> Iterator[str]:
    """Say which keys of [executor] belong to another kind of it."""
    batch = executor.kind in {"htcondor", "slurm"}
    if executor.scheduler and executor.kind != "dask":
        yield f"executor.scheduler is for executor.kind 'dask'; kind is {executor.kind!r}; take one of them away"
    if executor.scheduler and not executor.scheduler.startswith("tls://"):
        yield (
            f"executor.scheduler is {executor.scheduler!r}; expected tls://HOST:PORT, since a scheduler runs whatever "
            "it is sent; start it with certificates, and name the client's in Dask's configuration (docs/retrain.md)"
        )
    if executor.gpus and (executor.device != "cuda" or batch):
        yield (
            f"executor.gpus names devices of this machine, with executor.device 'cuda'; device is {executor.device!r} "
            f"and kind {executor.kind!r} (a batch system places its jobs itself); take executor.gpus away"
        )
    given = [name for name in ("queue", "account", "directives", "prologue") if getattr(executor, name)]
    if given and not batch:
        yield f"executor.{given[0]} is for a batch system; executor.kind is {executor.kind!r}; take it away"
    if executor.queue and executor.kind == "htcondor":
        yield "executor.queue is a Slurm partition; HTCondor has none; take it away"
    if executor.kind == "htcondor":
        yield from (
            f"executor.directives has {one!r}; expected NAME = VALUE as in a submit file"
            for one in executor.directives
            if not all(part.strip() for part in one.partition("="))
        )
