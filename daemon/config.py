"""What an operator may set, read once from TOML into frozen settings.

Every mistake in a file is reported together, each with the nearest name for an unknown key.  Nothing here opens a
database, a data file or a socket; paths are resolved against the folder of the configuration file.
"""

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.errors import ConfigurationError

Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[kKMGT]i?B$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StreamSettings(_Section):
    """Which data are watched, and for which slot of the trigger."""

    name: str = "ZeroBias"
    slot: str = "L1_AXO"
    schema_name: str = Field(default="axol1tl_57", alias="schema")


class SourceSettings(_Section):
    """Where run files appear, when they count as whole, and what reading one may cost."""

    url: str = "incoming"
    poll_s: Positive = 5.0
    stable_s: float = Field(default=5.0, ge=0)
    give_up_s: Positive = 3600.0
    gap_grace_s: float = Field(default=600.0, ge=0)
    require_sidecar: bool = False
    quarantine: Path = Path("quarantine")
    memory_mib: int = Field(default=3072, ge=512)
    cpu_s: Positive = 60.0
    wall_s: Positive = 120.0


class ConditionsSettings(_Section):
    """Where conditions, seed counters and the beam mode appear, and how long a lumisection waits for its own."""

    folder: Path = Path("conditions")
    counters: Path = Path("counters")
    grace_s: float = Field(default=900.0, ge=0)
    beam_mode_stale_s: Positive = 900.0


class DriftSettings(_Section):
    """The references in force, what compares with them, and the false alarms we accept."""

    reference: Path = Path("reference.npz")
    rate_reference: Path | None = None
    strata: tuple[Literal["prescale_column", "filling_scheme"], ...] = ()
    detector: Literal["retrigger", "adwin", "page_hinkley", "kswin"] = "retrigger"
    days_between_false_alarms: Positive = 30.0
    lumisection_s: Positive = 23.3104
    quarantine_margin_lumisections: int = Field(default=2, ge=0)

    @property
    def false_alarms_per_lumisection(self) -> float:
        """The budget of the sequential detector, per lumisection."""
        return self.lumisection_s / (self.days_between_false_alarms * 86_400.0)


class RetrainSettings(_Section):
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


class ExecutorSettings(_Section):
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


class DeploySettings(_Section):
    """Where an approved bundle goes."""

    folder: Path = Path("board")


class WebSettings(_Section):
    """The approval page; empty `listen` switches it off in `retrigger run`."""

    listen: str = "127.0.0.1:8080"
    public_url: str = "http://127.0.0.1:8080"


class MetricsSettings(_Section):
    """The Prometheus exposition."""

    listen: str = "127.0.0.1:9108"


class RecordSettings(_Section):
    """The daemon's own keys, and where the record goes outside this host."""

    key: Path = Path("keys/record.pem")
    build_key: Path = Path("keys/build.pem")
    builder: str = Field(default="urn:retrigger:daemon", pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")
    folders: tuple[Path, ...] = ()
    commands: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    every_facts: int = Field(default=100, ge=1)
    every_minutes: Positive = 10.0
    timeout_s: Positive = 60.0


class LedgerSettings(_Section):
    """The database: SQLite beside the state, or PostgreSQL by URL."""

    url: str = "sqlite:///ledger.db"


class Settings(_Section):
    """The whole configuration, with every path absolute."""

    stream: StreamSettings = StreamSettings()
    source: SourceSettings = SourceSettings()
    conditions: ConditionsSettings = ConditionsSettings()
    drift: DriftSettings = DriftSettings()
    retrain: RetrainSettings = RetrainSettings()
    executor: ExecutorSettings = ExecutorSettings()
    deploy: DeploySettings = DeploySettings()
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    ledger: LedgerSettings = LedgerSettings()
    record: RecordSettings = RecordSettings()
    state: Path = Path("state")
    policy: Path | None = None

    @property
    def explanations(self) -> Path:
        """Where the explanations of alarms are kept."""
        return self.state / "explanations"


def load(path: Path) -> Settings:
    """Read a configuration file; call it once per process.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or breaks any rule; the message lists every problem.
    """
    problems, settings = check(path)
    if settings is None:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigurationError(f"{path}: {len(problems)} problem(s)\n{listing}")
    return settings


def check(path: Path) -> tuple[list[str], Settings | None]:
    """Return every problem of a configuration file, and the settings when there is none."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{path} does not exist; write one with: retrigger init {path.parent}"], None
    except (OSError, UnicodeDecodeError) as error:
        return [f"{path} cannot be read as text: {error}"], None
    except tomllib.TOMLDecodeError as error:
        return [f"{path} is not TOML: {error}"], None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        return [_sentence(one) for one in error.errors(include_url=False)], None
    problems = list(_contradictions(settings))
    return problems, None if problems else _absolute(settings, path.resolve().parent)


def unready(settings: Settings) -> list[str]:
    """Return what stands against running the daemon with good settings; other verbs take them all the same."""
    if settings.drift.detector == "retrigger":
        return []
    problem = (
        f"drift.detector is {settings.drift.detector!r}, which only `retrigger scan` takes yet: it says that something "
        "changed, not whether to call the expert or to retrain; set it to 'retrigger' for the daemon, and use "
        "`retrigger scan --detector` to compare"
    )
    return [problem]


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _names_beside(error["loc"])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where}: unknown key; {advice}"
    return f"{where}: {error['msg']}; found {error['input']!r}"


def _names_beside(location: tuple[Any, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return [field.alias or name for name, field in section.model_fields.items()]


def _contradictions(settings: Settings) -> Iterator[str]:
    retrain = settings.retrain
    if retrain.minimum_lumisections > retrain.maximum_lumisections:
        yield (
            f"retrain.minimum_lumisections is {retrain.minimum_lumisections}, above "
            f"retrain.maximum_lumisections {retrain.maximum_lumisections}; lower the first or raise the second"
        )
    if retrain.cron is not None and len(retrain.cron.split()) != 5:
        yield f"retrain.cron: expected five fields (minute hour day month weekday), found {retrain.cron!r}"
    yield from _misplaced(settings.executor)
    for name, listen in (("web.listen", settings.web.listen), ("metrics.listen", settings.metrics.listen)):
        host, _, port = listen.rpartition(":")
        if listen and not (host and port.isdigit() and int(port) < 65536):
            yield f"{name}: expected host:port such as 127.0.0.1:8080, found {listen!r}"


def _misplaced(executor: ExecutorSettings) -> Iterator[str]:
    batch = executor.kind in {"htcondor", "slurm"}
    if executor.scheduler and executor.kind != "dask":
        yield f"executor.scheduler is for executor.kind 'dask'; kind is {executor.kind!r}; take one of them away"
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


def _absolute(settings: Settings, home: Path) -> Settings:
    def resolve(path: Path) -> Path:
        return path if path.is_absolute() else home / path

    source = settings.source
    if "://" not in source.url:
        source = source.model_copy(update={"url": str(resolve(Path(source.url)))})
    url = settings.ledger.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = "sqlite:///" + str(resolve(Path(url.removeprefix("sqlite:///"))))
    conditions, drift = settings.conditions, settings.drift
    signals = None if settings.retrain.signals is None else resolve(settings.retrain.signals)
    rates = None if drift.rate_reference is None else resolve(drift.rate_reference)
    heard = {"folder": resolve(conditions.folder), "counters": resolve(conditions.counters)}
    return settings.model_copy(
        update={
            "source": source.model_copy(update={"quarantine": resolve(source.quarantine)}),
            "conditions": conditions.model_copy(update=heard),
            "drift": drift.model_copy(update={"reference": resolve(drift.reference), "rate_reference": rates}),
            "retrain": settings.retrain.model_copy(update={"signals": signals}),
            "deploy": settings.deploy.model_copy(update={"folder": resolve(settings.deploy.folder)}),
            "ledger": settings.ledger.model_copy(update={"url": url}),
            "record": settings.record.model_copy(
                update={
                    "key": resolve(settings.record.key),
                    "build_key": resolve(settings.record.build_key),
                    "folders": tuple(resolve(folder) for folder in settings.record.folders),
                }
            ),
            "state": resolve(settings.state),
            "policy": None if settings.policy is None else resolve(settings.policy),
        }
    )
