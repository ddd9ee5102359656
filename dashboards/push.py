"""Bring a Grafana to hold our folder, data source, dashboards, alert rules and annotations; again and again the same.

What is there and equal is left alone, what differs is written over, what somebody else owns is not touched: everything
of ours has a uid that begins with ``retrigger`` or a tag of ours.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dashboards.committed import boards
from dashboards.grafana import Grafana, GrafanaError, path_of, tagged
from dashboards.names import FOLDER, GROUP, SOURCE
from dashboards.provisioned import rule_group

PATIENCE = 6
"""Tries of one step; the waits between them double from one second, unless Grafana says how long."""


@dataclass(frozen=True)
class Note:
    """An annotation: what happened at a time (Unix seconds); the key keeps it from being there twice."""

    key: str
    at: float
    text: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """What one push did: a thing, and ``created``, ``changed`` or ``as it was``."""

    what: str
    how: str


def push(
    grafana: Grafana,
    prometheus: str,
    notes: Sequence[Note] = (),
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Done]:
    """Push everything, and yield what was done as it is done; what fails for a while is tried again.

    Args:
        grafana: Where to.
        prometheus: URL of the Prometheus that scrapes retrigger, as Grafana reaches it; empty: no data source.
        notes: Annotations.
        wait: How to wait between two tries.

    Raises:
        GrafanaError: A step was refused, or failed too often; what was done before it stays, and is not done twice.
    """
    steps: list[Callable[[], Done]] = [lambda: folder(grafana)]
    if prometheus:
        steps.append(lambda: source(grafana, prometheus))
    steps += [partial(dashboard, grafana, one) for one in boards()]
    steps.append(lambda: rules(grafana))
    steps += [partial(annotation, grafana, one) for one in notes]
    for step in steps:
        yield patiently(step, wait)


def patiently(step: Callable[[], Done], wait: Callable[[float], None]) -> Done:
    """Do one step, again after a while where it may then succeed.

    Raises:
        GrafanaError: It was refused for good, or failed too often.
    """
    for attempt in range(PATIENCE):
        try:
            return step()
        except GrafanaError as error:
            if not error.retry or attempt == PATIENCE - 1:
                raise
            wait(error.after_s if error.after_s is not None else 2.0**attempt)
    raise AssertionError("the last try returns or raises")


def folder(grafana: Grafana) -> Done:
    """Have our folder."""
    if grafana.get(path_of("folders", FOLDER)) is not None:
        return Done("folder", "as it was")
    try:
        grafana.post("/folders", {"uid": FOLDER, "title": "retrigger"})
    except GrafanaError as error:  # an answer that was lost, or another push beside this one
        if error.status not in {409, 412} or grafana.get(path_of("folders", FOLDER)) is None:
            raise
        return Done("folder", "as it was")
    return Done("folder", "created")


def source(grafana: Grafana, url: str) -> Done:
    """Have a data source of ours that points at this Prometheus."""
    wanted = {
        "uid": SOURCE,
        "name": "retrigger Prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "isDefault": False,
        "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
    }
    found = grafana.get(path_of("datasources", "uid", SOURCE))
    if found is None:
        grafana.post("/datasources", wanted)
        return Done("data source", "created")
    if all(found.get(name) == value for name, value in wanted.items()):
        return Done("data source", "as it was")
    grafana.put(path_of("datasources", "uid", SOURCE), {**wanted, "version": found.get("version", 0)})
    return Done("data source", "changed")


def dashboard(grafana: Grafana, board: Mapping[str, Any]) -> Done:
    """Have one dashboard of ours, as it is committed."""
    uid, digest = str(board["uid"]), _digest(board)
    found = grafana.get(path_of("dashboards", "uid", uid))
    what = f"dashboard {uid}"
    mark = f"retrigger:{digest}"
    if found is not None and mark in found["dashboard"].get("tags", ()):
        return Done(what, "as it was")
    version = 0 if found is None else int(found["dashboard"].get("version", 0))
    body = {
        "dashboard": {**board, "id": None, "version": version, "tags": [*board["tags"], mark]},
        "folderUid": FOLDER,
        "message": f"pushed by retrigger, {digest}",
        "overwrite": False,
    }
    grafana.post("/dashboards/db", body)
    return Done(what, "created" if found is None else "changed")


def rules(grafana: Grafana) -> Done:
    """Have our alert rules as one group of Grafana's own alerting, beside or instead of Prometheus' rules."""
    wanted = rule_group()
    path = path_of("v1", "provisioning", "folder", FOLDER, "rule-groups", GROUP)
    found = grafana.get(path)
    if found is not None and _digest_of_rules(found) == _digest_of_rules(wanted):
        return Done("alert rules", "as it was")
    grafana.put(path, wanted)
    return Done("alert rules", "created" if found is None else "changed")


def annotation(grafana: Grafana, note: Note) -> Done:
    """Have one annotation; its key is a tag, so it is looked for before it is made."""
    key = f"retrigger:{note.key}"
    found = grafana.get(f"/annotations?tags={key}&limit=10")
    if found and tagged(found, key) is not None:
        return Done("annotation", "as it was")
    tags = ["retrigger", key, *note.tags]
    grafana.post("/annotations", {"time": int(note.at * 1000), "text": note.text, "tags": tags})
    return Done("annotation", "created")


def _digest(tree: object) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def _digest_of_rules(group: Mapping[str, Any]) -> str:
    """Return a digest over what we say of the rules; Grafana adds ids and times of its own."""
    said = ("uid", "title", "condition", "for", "labels", "annotations")
    return _digest(sorted([[str(one.get(name)) for name in said], _exprs(one)] for one in group.get("rules", ())))


def _exprs(rule: Mapping[str, Any]) -> list[str]:
    return [str(one.get("model", {}).get("expr", "")) for one in rule.get("data", ())]
