"""Reads a digest out of a board's registers: a process of its own, because uHAL holds the interpreter while it waits.

One JSON object on standard input (``uri``, ``address_table``, ``node``), one on standard output (``digest``).
"""

import json
import sys
from pathlib import Path
from typing import Any

WORDS = 8  # registers of 32 bits, the digest's first eight hex digits in the first


def main() -> int:
    """Read, answer, and return the exit status."""
    import uhal  # noqa: PLC0415  # an optional dependency, paid by this process alone

    asked: dict[str, Any] = json.loads(sys.stdin.read())
    uhal.setLogLevelTo(uhal.LogLevel.ERROR)
    try:
        board = uhal.getDevice("board", asked["uri"], f"file://{Path(asked['address_table']).resolve()}")
        board.setTimeoutPeriod(int(asked["timeout_ms"]))
        words = board.getNode(asked["node"]).readBlock(WORDS)
        board.dispatch()
    except uhal.exception as error:
        sys.stderr.write(str(error))
        return 1
    sys.stdout.write(json.dumps({"digest": "".join(f"{word:08x}" for word in words)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
