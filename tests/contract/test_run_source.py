"""What every source of run files promises, asked of a local folder, a real XRootD server and the twin in memory."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drift.errors import QuarantineError, SourceError
from drift.source import Quarantined, Waiting
from drift.source.folder import FakeFolder, LocalFolder
from drift.source.watchlist import Rule
from drift.source.xrootd import XRootDFolder

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
RULE = Rule(stable_s=5.0, give_up_s=60.0)
STRICT = Rule(stable_s=5.0, give_up_s=60.0, require_sidecar=True)
BAD = Quarantined("unreadable", "x.root made the reader say OSError")


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def names(delivered):
    return [one.name for one in delivered]


class Local:
    def __init__(self, folder, rule):
        self.incoming, self.quarantine = folder / "incoming", folder / "quarantine"
        self.incoming.mkdir(exist_ok=True)
        self.source = LocalFolder(self.incoming, self.quarantine, rule)

    def put(self, name, content):
        (self.incoming / name).write_bytes(content)

    def close(self):
        self.source.close()


class Fake:
    def __init__(self, folder, rule):
        self.source = FakeFolder(folder / "spool", rule)
        self.put = self.source.put

    def close(self):
        pass


class Remote(Local):
    def __init__(self, folder, rule, server):
        self.incoming = server.folder / folder.name
        self.incoming.mkdir(exist_ok=True)
        self.incoming.chmod(0o755)
        self.quarantine = folder / "quarantine"
        self.source = XRootDFolder(f"{server.url}/{folder.name}", self.quarantine, rule, list_s=60.0, copy_s=60.0)


class Server:
    def __init__(self, folder):
        self.folder = folder / "served"
        self.folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        work = folder / "work"
        work.mkdir()
        for part in (folder, self.folder, work):
            part.chmod(0o777)
        config = folder / "xrootd.cfg"
        config.write_text(
            f"all.export /\noss.localroot {self.folder}\nxrd.port {port}\nxrd.network nodnr norpipa\n"
            f"all.adminpath {work}\nall.pidpath {work}\n"
        )
        argv = ["xrootd", "-c", str(config), "-I", "v4", "-R", "nobody", "-l", str(work / "log")]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=work)
        self.url = f"root://127.0.0.1:{port}/"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.1)
        self.process.kill()
        raise TimeoutError(f"xrootd did not listen on {port}")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def server():
    """A server that the tests start and stop; its folder is one that the user nobody can reach."""
    if shutil.which("xrootd") is None:
        pytest.skip("no xrootd here; apt-get install xrootd-server")
    with tempfile.TemporaryDirectory(prefix="retrigger-xrootd-test-") as folder:
        one = Server(Path(folder))
        yield one
        one.stop()


@pytest.fixture(params=["local", "fake", "xrootd"])
def place(request, tmp_path):
    """Return a maker of sources by rule, all at one place."""
    made = []

    def make(rule=RULE):
        if request.param == "local":
            made.append(Local(tmp_path, rule))
        elif request.param == "fake":
            made.append(Fake(tmp_path, rule))
        else:
            made.append(Remote(tmp_path, rule, request.getfixturevalue("server")))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_file_is_delivered_once_it_stopped_growing(place):
    one = place()
    one.put("b.root", b"first")
    before = one.source.poll(NOON)
    one.put("b.root", b"first and second")
    grown = one.source.poll(after(4))
    waiting = one.source.poll(after(8))
    ready = one.source.poll(after(9))

    assert [names(found) for found in (before, grown, waiting)] == [[], [], []]
    assert names(ready) == ["b.root"]
    assert ready[0].path.read_bytes() == b"first and second"
    assert ready[0].bytes == 16


def test_files_come_in_name_order_and_again_until_they_are_settled(place):
    one = place()
    for name in ("c.root", "a.root", "b.root"):
        one.put(name, name.encode())
    one.source.poll(NOON)
    first = one.source.poll(after(5))
    again = one.source.poll(after(6))
    one.source.settle(first[1])
    one.source.settle(first[1])

    assert names(first) == names(again) == ["a.root", "b.root", "c.root"]
    assert names(one.source.poll(after(7))) == ["a.root", "c.root"]


def test_what_is_under_way_is_no_run_file(place):
    one = place()
    for name in ("a.root.part", "b.root.tmp", "c.inprogress.root", ".d.root.part", "e.txt", "f.root.sha256", "g.root"):
        one.put(name, b"bytes")
    one.source.poll(NOON)

    assert names(one.source.poll(after(5))) == ["g.root"]


def test_a_settled_file_that_is_written_again_is_delivered_again(place):
    one = place()
    one.put("a.root", b"old")
    one.source.poll(NOON)
    one.source.settle(one.source.poll(after(5))[0])
    one.put("a.root", b"newer")
    one.source.poll(after(6))

    found = one.source.poll(after(11))
    assert names(found) == ["a.root"]
    assert found[0].path.read_bytes() == b"newer"


def test_a_required_sidecar_is_waited_for_but_not_for_ever(place):
    one = place(STRICT)
    one.put("a.root", b"a")
    one.put("b.root", b"b")
    one.put("b.root.sha256", b"00")
    one.source.poll(NOON)
    early = names(one.source.poll(after(5)))

    assert early == ["b.root"]
    assert names(one.source.poll(after(60))) == ["a.root", "b.root"]


def test_a_sidecar_travels_with_its_file(place):
    one = place(STRICT)
    one.put("a.root", b"a")
    one.put("a.root.sha256", b"00")
    one.source.poll(NOON)
    found = one.source.poll(after(5))

    assert found[0].path.with_name("a.root.sha256").read_bytes() == b"00"


def test_waiting_ends_in_quarantine(place):
    one = place()
    one.put("a.root", b"a")
    one.source.poll(NOON)
    delivered = one.source.poll(after(5))[0]
    soon = one.source.defer(delivered, Waiting("it lists no objects"), after(5))
    later = one.source.defer(delivered, Waiting("it lists no objects"), after(64))
    late = one.source.defer(delivered, Waiting("it lists no objects"), after(65))

    assert soon == later == Waiting("it lists no objects")
    assert isinstance(late, Quarantined)
    assert late.code == "never_ready"
    assert "a.root" in late.reason
    assert "it lists no objects" in late.reason


def test_a_quarantined_file_is_not_delivered_again_and_twice_is_once(place):
    one = place()
    one.put("a.root", b"a")
    one.source.poll(NOON)
    delivered = one.source.poll(after(5))[0]
    record = one.source.quarantine(delivered, BAD, after(6))
    if isinstance(one, Local):
        assert json.loads(record.read_text())["code"] == "unreadable"

    assert one.source.poll(after(20)) == []
    assert one.source.quarantine(delivered, BAD, after(7)) == record


def test_the_server_keeps_a_refused_file_and_a_restart_does_not_fetch_it_again(tmp_path, server):
    one = Remote(tmp_path, RULE, server)
    one.put("a.root", b"abc")
    one.source.poll(NOON)
    one.source.quarantine(one.source.poll(after(5))[0], BAD, after(6))
    one.close()
    again = Remote(tmp_path, RULE, server)
    again.source.poll(after(10))

    found = again.source.poll(after(20))
    record = json.loads((tmp_path / "quarantine" / "a.root.reason.json").read_text())
    again.close()
    assert found == []
    assert (one.incoming / "a.root").read_bytes() == b"abc"
    assert not (tmp_path / "quarantine" / "a.root").exists()
    assert record["source"].startswith("root://127.0.0.1")
    assert record["moved"] is False


def test_a_server_that_is_gone_is_an_error_in_time(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        source = XRootDFolder(f"root://127.0.0.1:{silent.getsockname()[1]}//x", tmp_path / "q", RULE, list_s=1.5)
        began = time.monotonic()
        with pytest.raises(SourceError, match="killed"):
            source.poll(NOON)
        took = time.monotonic() - began
        source.close()

    assert took < 60


def test_a_folder_that_does_not_exist_is_said_so(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        LocalFolder(tmp_path / "nowhere", tmp_path / "q").poll(NOON)


def test_a_new_file_ends_the_wait_early(tmp_path):
    source = LocalFolder(tmp_path, tmp_path / "q")
    source.wait(0.01)
    (tmp_path / "a.root").write_bytes(b"a")
    began = time.monotonic()
    source.wait(60)

    assert time.monotonic() - began < 30
    source.close()


def test_the_twin_refuses_what_it_never_had(tmp_path):
    fake = FakeFolder(tmp_path, Rule(stable_s=0))
    fake.put("a.root", b"a")
    delivered = fake.poll(NOON)[0]
    other = FakeFolder(tmp_path)

    with pytest.raises(QuarantineError, match="not there"):
        other.quarantine(delivered, BAD, NOON)
