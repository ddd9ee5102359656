"""What an operator may set, read once from TOML into frozen settings.

Every mistake in a file is reported together, each with the nearest name for an unknown key.  Nothing here opens a
database, a data file or a socket; paths are resolved against the folder of the configuration file.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from daemon import target_options
from daemon.errors import ConfigurationError
from daemon.training_settings import (
    ExecutorSettings,
    Positive,
    RetrainSettings,
    Section,
    WorthSettings,
    impossible,
    misplaced,
    priceless,
)


class StreamSettings(Section):
    """Which data are watched, and for which slot of the trigger."""

    name: str = "ZeroBias"
    slot: str = "L1_AXO"
    schema_name: str = Field(default="axol1tl_57", alias="schema")
    board: str = Field(default="", pattern=r"^[A-Za-z0-9_]*$")


class SourceSettings(Section):
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


class ConditionsSettings(Section):
    """Where conditions, seed counters and the beam mode appear, and how long a lumisection waits for its own."""

    folder: Path = Path("conditions")
    counters: Path = Path("counters")
    grace_s: float = Field(default=900.0, ge=0)
    beam_mode_stale_s: Positive = 900.0


class DriftSettings(Section):
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


class TargetSettings(Section):
    """One place where bundles go: a kind of target and its options."""

    name: str = Field(default="rehearsal", pattern=r"^[A-Za-z0-9._-]+$")
    target: str = "filesystem"
    options: dict[str, Any] = Field(default_factory=dict)


class RegisterSettings(Section):
    """A board that shows the digest of its bundle in registers, read over IPbus."""

    name: str
    uri: str = Field(pattern=r"^(ipbusudp-2\.0|ipbustcp-2\.0|chtcp-2\.0|ipbuspcie-2\.0)://\S+$")
    address_table: Path
    node: str = "bundle_digest"
    timeout_s: Positive = 5.0


class DeploySettings(Section):
    """Where an approved bundle goes, the boards that take it, and the crate where the way back is rehearsed."""

    target: str = "filesystem"
    folder: Path = Path("board")
    options: dict[str, Any] = Field(default_factory=dict)
    boards: tuple[TargetSettings, ...] = ()
    registers: tuple[RegisterSettings, ...] = ()
    rehearsal: TargetSettings | None = None


class SignOnSettings(Section):
    """A single sign-on by OpenID Connect: the issuer, our name there, and which role each of its groups gives."""

    issuer: str
    client_id: str
    client_secret_file: Path | None = None
    groups_claim: str = "groups"
    name_claim: str = "preferred_username"
    roles: dict[str, str] = Field(default_factory=dict)
    all_accounts_from_issuer: bool = False


class WebSettings(Section):
    """The approval page; empty `listen` switches it off in `retrigger run`, empty `proxy_header` trusts no header."""

    listen: str = "127.0.0.1:8080"
    public_url: str = "http://127.0.0.1:8080"
    sign_on: SignOnSettings | None = None
    proxy_header: str = ""
    proxy_from: tuple[str, ...] = ("127.0.0.1", "::1")


class MetricsSettings(Section):
    """The Prometheus exposition."""

    listen: str = "127.0.0.1:9108"


class RecordSettings(Section):
    """The daemon's own keys, and where the record goes outside this host."""

    key: Path = Path("keys/record.pem")
    build_key: Path = Path("keys/build.pem")
    builder: str = Field(default="urn:retrigger:daemon", pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")
    folders: tuple[Path, ...] = ()
    commands: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    every_facts: int = Field(default=100, ge=1)
    every_minutes: Positive = 10.0
    timeout_s: Positive = 60.0


class MailSettings(Section):
    """How messages go out by e-mail; empty `server` sends none."""

    server: str = ""
    port: int = Field(default=25, gt=0, lt=65536)
    sender: str = "retrigger@localhost"
    to: tuple[str, ...] = ()
    starttls: bool = False
    user: str = ""
    password_file: Path | None = None


class NotifySettings(Section):
    """Where messages to people go; what is empty is not used.  Secrets stand in files of their own."""

    alertmanager: str = ""
    mattermost_url_file: Path | None = None
    mail: MailSettings = MailSettings()
    command: tuple[str, ...] = ()
    timeout_s: Positive = 10.0
    least: Literal["info", "warn", "page"] = "info"


class GrafanaSettings(Section):
    """The Grafana that `retrigger dashboards push` fills, and that annotations go to; empty `url`: none."""

    url: str = ""
    token_file: Path | None = None
    prometheus: str = "http://127.0.0.1:9090"


class LedgerSettings(Section):
    """The database: SQLite beside the state, or PostgreSQL by URL."""

    url: str = "sqlite:///ledger.db"


class Settings(Section):
    """The whole configuration, with every path absolute."""

    stream: StreamSettings = StreamSettings()
    source: SourceSettings = SourceSettings()
    conditions: ConditionsSettings = ConditionsSettings()
    drift: DriftSettings = DriftSettings()
    retrain: RetrainSettings = RetrainSettings()
    worth: WorthSettings = WorthSettings()
    executor: ExecutorSettings = ExecutorSettings()
    deploy: DeploySettings = DeploySettings()
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    notify: NotifySettings = NotifySettings()
    grafana: GrafanaSettings = GrafanaSettings()
    ledger: LedgerSettings = LedgerSettings()
    record: RecordSettings = RecordSettings()
    state: Path = Path("state")
    policy: Path | None = None
    policy_keys: Path | None = None
    policy_unsigned: bool = False

    @property
    def explanations(self) -> Path:
        """Where the explanations of alarms are kept."""
        return self.state / "explanations"

    @property
    def reports(self) -> Path:
        """Where the reports of fills are kept."""
        return self.state / "reports"


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
    yield from impossible(settings.retrain)
    if retrain.cron is not None and len(retrain.cron.split()) != 5:
        yield f"retrain.cron: expected five fields (minute hour day month weekday), found {retrain.cron!r}"
    yield from misplaced(settings.executor)
    yield from priceless(settings.worth)
    yield from _target_problems(settings.deploy)
    mail = settings.notify.mail
    if mail.server and not mail.to:
        yield "notify.mail.to: expected at least one address beside notify.mail.server, found none"
    for name, url in (("notify.alertmanager", settings.notify.alertmanager), ("grafana.url", settings.grafana.url)):
        if url and not url.startswith(("http://", "https://")):
            yield f"{name}: expected http://… or https://…, found {url!r}"
    if settings.grafana.url and settings.grafana.token_file is None:
        yield "grafana.token_file: expected the path of a file with a service account's token beside grafana.url"
    yield from _web_problems(settings.web)
    for name, listen in (("web.listen", settings.web.listen), ("metrics.listen", settings.metrics.listen)):
        host, _, port = listen.rpartition(":")
        if listen and not (host and port.isdigit() and int(port) < 65536):
            yield f"{name}: expected host:port such as 127.0.0.1:8080, found {listen!r}"


def _web_problems(web: WebSettings) -> Iterator[str]:
    issuer = web.sign_on.issuer if web.sign_on is not None else ""
    if issuer and not issuer.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        yield f"web.sign_on.issuer: {issuer!r} is not reached by https; give its https address"


def _target_problems(deploy: DeploySettings) -> Iterator[str]:
    if deploy.target != "filesystem" and not deploy.boards:
        yield from target_options.problems(deploy.target, deploy.options, "deploy")
    elif deploy.options:
        yield "deploy.options: with target 'filesystem' it is deploy.folder that says where; remove the options"
    named = [(f"deploy.boards.{board.name}", board) for board in deploy.boards]
    for where, one in [*named, *([("deploy.rehearsal", deploy.rehearsal)] if deploy.rehearsal else [])]:
        yield from target_options.problems(one.target, one.options, where)
    for kind, several in (("boards", deploy.boards), ("registers", deploy.registers)):
        names = [one.name for one in several]
        yield from (f"deploy.{kind}: {one!r} is named twice" for one in sorted(set(names)) if names.count(one) > 1)


def _absolute_deploy(deploy: DeploySettings, resolve: Callable[[Path], Path]) -> DeploySettings:
    def one(target: TargetSettings) -> TargetSettings:
        options = target_options.resolved(target.target, target.options, resolve)
        return target.model_copy(update={"options": options})

    bare = deploy.target == "filesystem" or bool(deploy.boards)
    return deploy.model_copy(
        update={
            "folder": resolve(deploy.folder),
            "options": {} if bare else target_options.resolved(deploy.target, deploy.options, resolve),
            "boards": tuple(one(board) for board in deploy.boards),
            "registers": tuple(
                each.model_copy(update={"address_table": resolve(each.address_table)}) for each in deploy.registers
            ),
            "rehearsal": one(deploy.rehearsal) if deploy.rehearsal else None,
        }
    )


def _with_secret_at(web: WebSettings, resolve: Callable[[Path], Path]) -> WebSettings:
    if web.sign_on is None or web.sign_on.client_secret_file is None:
        return web
    where = {"client_secret_file": resolve(web.sign_on.client_secret_file)}
    return web.model_copy(update={"sign_on": web.sign_on.model_copy(update=where)})


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
    notify, grafana = settings.notify, settings.grafana
    mail = notify.mail.model_copy(update={"password_file": _found(notify.mail.password_file, resolve)})
    webhook = _found(notify.mattermost_url_file, resolve)
    signals = None if settings.retrain.signals is None else resolve(settings.retrain.signals)
    rates = None if drift.rate_reference is None else resolve(drift.rate_reference)
    heard = {"folder": resolve(conditions.folder), "counters": resolve(conditions.counters)}
    return settings.model_copy(
        update={
            "source": source.model_copy(update={"quarantine": resolve(source.quarantine)}),
            "conditions": conditions.model_copy(update=heard),
            "drift": drift.model_copy(update={"reference": resolve(drift.reference), "rate_reference": rates}),
            "retrain": settings.retrain.model_copy(update={"signals": signals}),
            "web": _with_secret_at(settings.web, resolve),
            "deploy": _absolute_deploy(settings.deploy, resolve),
            "notify": notify.model_copy(update={"mail": mail, "mattermost_url_file": webhook}),
            "grafana": grafana.model_copy(update={"token_file": _found(grafana.token_file, resolve)}),
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
            "policy_keys": None if settings.policy_keys is None else resolve(settings.policy_keys),
        }
    )


def _found(path: Path | None, resolve: Callable[[Path], Path]) -> Path | None:
    return None if path is None else resolve(path)
