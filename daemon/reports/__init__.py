"""The report of each fill: a page that needs nothing else, made when the fill is over and kept in the record.

The loop imports `keeping` and `shelf`; matplotlib is paid for by the child process that `keeping` starts.
"""

from daemon.reports.keeping import FillReports
from daemon.reports.shelf import Listed, listed, read

__all__ = ["FillReports", "Listed", "listed", "read"]
