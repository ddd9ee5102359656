"""`retrigger dashboards`: bring a Grafana to hold ours, or draw them without one."""

import time
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import ConfigurationError, UnfinishedError
from daemon.output import writing

boards_app = typer.Typer(
    help="Bring a Grafana to hold our dashboards and alert rules, or draw them without one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(boards_app, name="dashboards")
MINUTE = 60.0
POINTS = 720


@boards_app.command("push")
def push_boards(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Create or renew folder, data source, dashboards and alert rules in the Grafana of the configuration."""
    from daemon.relay import secret  # noqa: PLC0415  # each verb pays for its own
    from dashboards.grafana import GrafanaError, HttpGrafana  # noqa: PLC0415  # each verb pays for its own
    from dashboards.push import push  # noqa: PLC0415  # each verb pays for its own

    wanted = config.load(config_file).grafana
    if not wanted.url or wanted.token_file is None:
        raise ConfigurationError(
            f"{config_file}: [grafana] names no url and token_file; write them, or use provisioning"
        )
    grafana = HttpGrafana(wanted.url, secret(wanted.token_file, "grafana.token_file"))
    try:
        for one in push(grafana, wanted.prometheus):
            if json:
                say.machine({"type": "pushed", "what": one.what, "how": one.how})
            else:
                say.words(f"{one.how:10s} {one.what}")
    except GrafanaError as error:
        raise UnfinishedError(f"{error}.  What was done before stays; push again once the cause is gone") from error
    finally:
        grafana.close()


@boards_app.command("preview")
def preview_boards(
    out: Annotated[Path, typer.Argument(help="A folder for one HTML page a dashboard.")],
    *,
    prometheus: Annotated[str, typer.Option(help="The Prometheus that scrapes retrigger.")] = "http://127.0.0.1:9090",
    hours: Annotated[float, typer.Option(min=0.01, help="How much time is shown, up to now.")] = 12.0,
    components: Annotated[Path, typer.Option(help="What `make preview` built.")] = Path("build/preview/dist"),
    json: Json = False,
) -> None:
    """Draw every dashboard without Grafana, from a running Prometheus."""
    from dashboards.committed import boards  # noqa: PLC0415  # each verb pays for its own
    from dashboards.numbers import Numbers, Span  # noqa: PLC0415  # each verb pays for its own
    from dashboards.preview import preview  # noqa: PLC0415  # each verb pays for its own

    now = time.time()
    step_s = max(hours * 3600 / POINTS, 1.0)
    numbers = Numbers(prometheus.rstrip("/"), Span(now - hours * 3600, now, step_s), rate_s=int(max(4 * step_s, 60)))
    for board in boards():
        path = out / f"{board['uid']}.html"
        text = preview(board, numbers, components)
        with writing(path, "the preview") as sink:
            sink.write(text.encode())
        if json:
            say.machine({"type": "preview", "dashboard": board["uid"], "file": str(path)})
        else:
            say.words(str(path))
    if not (components / "preview.js").exists():
        say.complaint("drawn plainly; `make preview` builds Grafana's own components, which draw them as Grafana does")
