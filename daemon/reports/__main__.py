"""``python -m daemon.reports ORDER OUTPUT``: make one report in a process of its own; the loop draws nothing."""

import sys
from pathlib import Path

from daemon.output import writing
from daemon.reports.content import content_of, load
from daemon.reports.written import written


def main(order: str, output: str) -> None:
    """Make the report of an order."""
    report = written(content_of(load(Path(order))))
    with writing(Path(output), "the report") as sink:
        sink.write(report)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
