"""Files and beam modes as the experiment hands them over: conditions, then closed files one by one, then the dump."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from daemon.demo.stage import Act


class Delivery:
    """Hands staged files to a daemon's folders.  Every hand-over may be repeated."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def beam_mode(self, fill: int, mode: str, now: datetime) -> None:
        """Say what the machine does now."""
        line = json.dumps({"time": now.isoformat(), "fill": fill, "beam_mode": mode})
        with (self._folder / "conditions" / "beam_mode.jsonl").open("a", encoding="utf-8") as feed:
            feed.write(line + "\n")

    def conditions(self, act: Act) -> None:
        """Publish the conditions of a stretch, under names of their own."""
        staged = self._folder / "staged" / act.name / "conditions"
        for source in sorted(staged.iterdir()):
            if source.suffix == ".jsonl":
                continue
            self._place(source, self._folder / "conditions" / f"{source.stem}-{act.name}{source.suffix}")

    def files(self, act: Act) -> Iterator[Path]:
        """Hand over the files of a stretch in order, each with its sidecar first; yield each once it is there."""
        for source in sorted((self._folder / "staged" / act.name / "incoming").glob("*.root")):
            for one in (source.with_name(source.name + ".sha256"), source):
                if one.exists():
                    self._place(one, self._folder / "incoming" / one.name)
            yield self._folder / "incoming" / source.name

    @staticmethod
    def _place(source: Path, goal: Path) -> None:
        if goal.exists():
            return
        half = goal.with_name(goal.name + ".part")
        shutil.copyfile(source, half)
        half.replace(goal)
