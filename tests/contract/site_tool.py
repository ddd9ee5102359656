"""A site's own tool for boards, as `daemon.targets.command` asks it: keeps a crate in one JSON file.

``python site_tool.py CRATE [bad habit]``
"""

import hashlib
import json
import sys
import time
from pathlib import Path

NOTHING = {"runs": "", "ways": {}, "token": 0}


def digest_of(folder):
    manifest = folder / "manifest.json"
    for name, expected in json.loads(manifest.read_text()).items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            sys.exit(f"{name} was altered")
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def main(crate, habit=""):
    if habit == "hang":
        time.sleep(60)
    if habit == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    if habit == "babble":
        sys.stdout.write("all is well")
        return 0
    asked = json.loads(sys.stdin.read())
    path = Path(crate)
    state = json.loads(path.read_text()) if path.exists() else NOTHING
    if "token" in asked:
        if asked["token"] < state["token"]:
            sys.stderr.write(f"token {asked['token']} is older than {state['token']}")
            return 3
        state["token"] = asked["token"]
    answer = act(asked, state, habit)
    path.write_text(json.dumps(state))
    sys.stdout.write(json.dumps({"digest": answer}))
    return 0


def act(asked, state, habit):
    verb, digest = asked["verb"], asked.get("digest", "")
    if verb == "read_back":
        return state["runs"]
    if verb == "way_back":
        return state["ways"].get(state["runs"], "")
    if verb == "deploy" and state["runs"] != digest:
        found = digest_of(Path(asked["bundle"]))
        if state["runs"]:
            state["ways"][found] = state["runs"]
        state["runs"] = "0" * 64 if habit == "other bits" else found
    if verb == "roll_back":
        before = state["ways"].get(digest)
        if before is None:
            sys.exit("nothing was replaced; there is no way back")
        if state["runs"] not in {digest, before}:
            sys.exit("something else runs; roll back what runs")
        state["runs"] = before
    return state["runs"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
