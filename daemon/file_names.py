"""What a run file's name says of its place in the stream: ``run{run}_ls{first}-{last}``; other names are welcome."""

import re

IN_NAME = re.compile(r"run(\d+)_ls(\d+)-(\d+)")


def place_named(name: str) -> tuple[int, int, str]:
    """Return run, first lumisection and name, by which files are put in order; a name that says neither comes first."""
    place = IN_NAME.search(name)
    return (int(place[1]), int(place[2]), name) if place else (0, 0, name)
