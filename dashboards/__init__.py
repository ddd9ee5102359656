"""Dashboards and alert rules as code.

We write Grafana's classic dashboard JSON, because every Grafana reads it; the library warns at its first import that a
newer form exists, and those warnings alone are silenced here.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    import grafana_foundation_sdk.builders.dashboard
    import grafana_foundation_sdk.builders.prometheus  # noqa: F401  # imported for their warnings, once
