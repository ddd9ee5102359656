"""Our alert rules as Grafana's own alerting wants them: made from alerts.yml, so that there is one list.

The file beside this module, `provisioning/alerting.json`, is committed; a test holds it to alerts.yml.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.names import FOLDER, GROUP, SOURCE

HOME = Path(__file__).parent
ALERTS, ALERTING = HOME / "alerts.yml", HOME / "provisioning" / "alerting.json"


def rule_group() -> dict[str, Any]:
    """Return the rules of alerts.yml in the form of Grafana's provisioning API."""
    (group,) = json.loads(ALERTING.read_text(encoding="utf-8"))["groups"]
    more = {"ruleGroup": GROUP, "folderUID": FOLDER, "orgID": 1}
    return {
        "title": GROUP,
        "folderUid": FOLDER,
        "interval": 60,
        "rules": [{**one, **more} for one in group["rules"]],
    }


def alerting() -> dict[str, Any]:
    """Return the rules of alerts.yml in the form of a file for Grafana's ``provisioning/alerting``."""
    import yaml  # noqa: PLC0415  # only whoever builds the file pays for it

    tree = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    rules = [_rule(one) for group in tree["groups"] for one in group["rules"]]
    group = {"orgId": 1, "name": GROUP, "folder": "retrigger", "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def _rule(one: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"refId": "A", "expr": one["expr"], "instant": True}
    above = {"refId": "C", "type": "threshold", "expression": "B"}
    condition = {"evaluator": {"type": "gt", "params": [-1e30]}}
    return {
        "uid": f"retrigger-{one['alert'].removeprefix('Retrigger').lower()}",
        "title": one["alert"],
        "condition": "C",
        "for": one.get("for", "0s"),
        "keepFiringFor": one.get("keep_firing_for", "0s"),
        "labels": dict(one["labels"]),
        "annotations": dict(one["annotations"]),
        "noDataState": "OK",
        "execErrState": "Error",
        "data": [
            {
                "refId": "A",
                "datasourceUid": SOURCE,
                "relativeTimeRange": {"from": 600, "to": 0},
                "model": asked,
            },
            {
                "refId": "B",
                "datasourceUid": "__expr__",
                "model": {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"},
            },
            {"refId": "C", "datasourceUid": "__expr__", "model": {**above, "conditions": [condition]}},
        ],
    }
