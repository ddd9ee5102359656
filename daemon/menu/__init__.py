"""Prescale tables of a trigger menu, and what must hold in them so that a model can be switched off.

Pure: text in, findings out.  Nothing here opens a file, knows a bundle or decides anything.
"""

from daemon.menu.findings import Finding
from daemon.menu.rules import DEFAULT_MODELS, Rules, changed_columns, check_table
from daemon.menu.table import PrescaleTable, parse_table
from daemon.menu.thresholds import check_thresholds, parse_thresholds

__all__ = [
    "DEFAULT_MODELS",
    "Finding",
    "PrescaleTable",
    "Rules",
    "changed_columns",
    "check_table",
    "check_thresholds",
    "parse_table",
    "parse_thresholds",
]
