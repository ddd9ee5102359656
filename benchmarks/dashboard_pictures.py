"""Pictures of every dashboard over half a simulated day, in Chromium, from a real Prometheus: ``make preview``.

A drift builds up and is told, people are asked, a seed goes off its rate, files go bad.  Where Grafana's components
were built they draw; else our own plain drawing does.
"""

import argparse
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.backfill import Script, backfill
from dashboards.committed import boards
from dashboards.numbers import Numbers, Span
from dashboards.preview import preview
from tests.e2e.real_prometheus import free_port, prometheus

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
HOURS = 12.0
STORY: Script = (
    (3.0, "evidence_rising", True),
    (3.6, "shift", True),
    (3.7, "evidence_rising", False),
    (6.5, "approval_waits", True),
    (9.0, "seed_off", True),
    (9.4, "seed_off", False),
    (10.0, "quarantine", True),
    (10.6, "blind", True),
    (11.2, "blind", False),
    (11.7, "detector", True),
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    """Make every picture anew."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--built", type=Path, default=ROOT / "build" / "preview" / "dist")
    asked.add_argument("--out", type=Path, default=PICTURES)
    asked.add_argument("--only", default="")
    words = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        home = Path(folder)
        end = time.time()
        backfill(home, HOURS, STORY, end=datetime.fromtimestamp(end, UTC))
        nobody = f"127.0.0.1:{free_port()}"
        with prometheus(home, nobody) as found:
            _record(home, found.url, int(end))
        with prometheus(home, nobody) as found:
            numbers = Numbers(found.url, Span(end - HOURS * 3600 + 300, end + 5, 60.0), rate_s=240)
            pages = {
                str(board["uid"]): preview(board, numbers, words.built)
                for board in boards()
                if words.only in board["uid"]
            }
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for uid, text in pages.items():
            path = home / f"{uid}.html"
            path.write_text(text, encoding="utf-8")
            page = browser.new_context(viewport={"width": 1480, "height": 900}).new_page()
            page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: print("page:", error))
            page.goto(path.as_uri())
            page.wait_for_timeout(2_500)
            picture = words.out / f"{uid.replace('retrigger-', 'dashboard-')}.png"
            page.screenshot(path=picture, full_page=True)
            print(picture)
        browser.close()


def _record(home: Path, url: str, end: int) -> None:
    """Let promtool evaluate our recording rules over the whole stretch, as Prometheus would have."""
    span = [f"--start={end - int(HOURS * 3600)}", f"--end={end}", f"--url={url}", f"--output-dir={home / 'tsdb'}"]
    rules = str(ROOT / "dashboards" / "rules.yml")
    command = ["promtool", "tsdb", "create-blocks-from", "rules", "--eval-interval=60s", *span, rules]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    main()
