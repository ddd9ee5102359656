"""One suite for both desks: a verb means the same on the ledger's host and over the API of a page that serves."""

import socket
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon import config
from daemon.assemble import Parts, utc_now
from daemon.cli.desk import Word
from daemon.cli.here import Here
from daemon.cli.there import There, remote_at
from daemon.decisions import code_of
from daemon.errors import RefusedError, StalePageError
from daemon.key_file import make_key
from daemon.lifecycle import Phase, signing
from daemon.lifecycle.observed import Comparison, Observed
from daemon.policy_file import InForce
from daemon.web.serve import serve_page
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.test_web_rarer import doubtful
from tests.unit.daemon.web_visitors import application


class Typed(There):
    """Somebody elsewhere who types the password of everybody here."""

    def enter(self, *, password):
        self._password = PASSWORD
        return super().enter(password=password)


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.now = utc_now()  # the host's desk reads the clock itself
    made.beam("NO BEAM")
    made.take_data()
    yield made
    made.ledger.close()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def served(world):
    port = free_port()
    server = serve_page(application(world, public_url=f"http://127.0.0.1:{port}"), f"127.0.0.1:{port}")
    try:
        yield server.url
    finally:
        server.stop()


def near(world, name):
    (world.folder / "retrigger.toml").write_text("")
    ready = Parts(
        settings=config.load(world.folder / "retrigger.toml"),
        ledger=world.ledger,
        people=world.people,
        rules=InForce(world.policy, (), ""),
        target=world.target,
        beam=world.sight._beam,
        sight=world.sight,
        observing=None,
    )
    return Here(ready, lambda: world.people.check_password(name, PASSWORD, world.now))


@pytest.fixture(params=["here", "there"])
def desk_of(request, world):
    """How somebody gets to a desk; the page of the desk elsewhere serves on loopback."""
    if request.param == "here":
        yield lambda name: near(world, name)
        return
    open_ones = []
    with served_lazily(world) as url:

        def far(name):
            remote = remote_at(url())
            open_ones.append(remote)
            return Typed(remote, name, password_stdin=False)

        yield far
        for one in open_ones:
            one.close()


@contextmanager
def served_lazily(world):
    """The page begins at its first visitor, under the policy that the test has set by then."""
    pages, begun = [], {}

    def url():
        key = id(world.policy)
        if key not in begun:
            page = served(world)
            begun[key] = page.__enter__()
            pages.append(page)
        return begun[key]

    try:
        yield url
    finally:
        for page in pages:
            page.__exit__(None, None, None)


def key_of(world, name):
    path = world.folder / f"{name}.pem"
    world.people.add_key(name, make_key(path), by="rita", now=world.now)
    return path


def test_two_people_approve_what_they_saw(world, desk_of):
    name = world.propose()
    code = desk_of("mila").story(name)["code"]
    for person in ("mila", "timo"):
        told = desk_of(person).say(Word(says="approve", candidate=name, reason="convincing", code=code))

    assert told["phase"] == "approved"
    assert [one["person"] for one in told["approvals"]] == ["mila", "timo"]
    assert code == code_of(world.candidate(name))


def test_a_word_about_something_else_than_was_seen_is_refused(world, desk_of):
    name, other = world.propose(), "c-0001-0000"
    doubt, gate = doubtful_beside(world)
    head = world.ledger.head()
    for person, words in (
        ("carla", {"says": "reject", "klass": "rate"}),
        ("timo", {"says": "break-glass"}),
        ("carla", {"says": "waive", "gate": gate, "candidate": doubt}),
    ):
        with pytest.raises(StalePageError, match="look at it again"):
            desk_of(person).say(Word(**{"candidate": name, "reason": "as I saw", "code": other, **words}))

    assert world.ledger.head() == head


def doubtful_beside(world):
    """A second candidate that needs an expert; the first stays as it is."""
    asked, built, judged = (one.fact for one in world.ledger.facts(subject="c-0001")[:3])
    first, *others = judged.gates
    gates = (replace(first, verdict="inconclusive", summary="too few events"), *others)
    facts = [replace(asked, candidate="c-0002", number=2), built, replace(judged, gates=gates)]
    world.ledger.append("c-0002", facts)
    world.step("c-0002")
    return "c-0002", first.name


def test_a_code_that_is_wrong_is_refused_and_the_right_one_is_not_given_away(world, desk_of):
    name = world.propose()
    with pytest.raises(RefusedError, match=r"is not that of the open request of c-0001; look at it again") as told:
        desk_of("mila").say(Word(says="approve", candidate=name, reason="convincing", code="c-0001-0000"))

    assert code_of(world.candidate(name)) not in str(told.value)
    assert world.candidate(name).approvals == ()


def test_a_signed_approval_counts_where_the_policy_counts_no_other(world, desk_of):
    world.policy = replace(world.policy, unsigned_approvals=False)
    name, key = world.propose(), key_of(world, "mila")
    code, at = code_of(world.candidate(name)), desk_of("mila")
    with pytest.raises(RefusedError, match="signed words alone"):
        at.say(Word(says="approve", candidate=name, reason="convincing", code=code))

    at.say(Word(says="approve", candidate=name, reason=" convincing\r\nat all pileups ", code=code, key=key))

    (said,) = world.candidate(name).approvals
    message = signing.approval(name, said.request_id, "mila", "ml_expert", said.reason)
    assert signing.trouble(said.signature, "mila", message, world.people.keys()) == ""
    assert said.signature.kind == "ed25519"


def test_a_key_of_somebody_else_signs_nothing(world, desk_of):
    name, key = world.propose(), key_of(world, "timo")
    word = Word(says="approve", candidate=name, reason="convincing", code=code_of(world.candidate(name)), key=key)

    with pytest.raises(RefusedError, match="does not speak for mila"):
        desk_of("mila").say(word)
    assert world.candidate(name).approvals == ()


def test_a_signed_waiver_holds_the_evidence_and_its_end(world, desk_of):
    name, gate = doubtful(world)
    key, story = key_of(world, "mila"), desk_of("mila").story(name)
    word = Word(says="waive", candidate=name, reason="a short fill", code=story["code"], gate=gate, hours=6, key=key)
    desk_of("mila").say(word)

    (said,) = world.candidate(name).waivers
    about = (gate, "mila", said.role, "a short fill", said.expires_at)
    assert said.evidence_root == story["evidence"]
    assert story["code"] == f"{name}-{said.evidence_root[:4]}"
    message = signing.waiver(name, said.evidence_root, *about)
    assert signing.trouble(said.signature, "mila", message, world.people.keys()) == ""
    assert abs(said.expires_at - world.now - timedelta(hours=6)) < timedelta(minutes=5)


@pytest.mark.parametrize("hours", [float("nan"), float("inf"), 1e12])
def test_hours_that_are_no_time_are_refused_in_words(world, desk_of, hours):
    name, gate = doubtful(world)
    code, at = code_of(world.candidate(name)), desk_of("mila")
    for key in (None, key_of(world, "mila")):
        word = Word(says="waive", candidate=name, reason="a short fill", code=code, gate=gate, hours=hours, key=key)
        with pytest.raises(RefusedError, match=r"a waiver for (nan|inf|1e\+12) hours cannot be"):
            at.say(word)
    with pytest.raises(RefusedError, match=r"quiet for .* cannot be asked for"):
        desk_of("timo").silence("a-401002", "until later", hours)


def test_who_confirms_has_looked_at_it_in_shadow(world, desk_of):
    tiers = {**world.policy.tiers, "T1": replace(world.policy.tiers["T1"], confirm_roles=("coordinator",))}
    world.policy = replace(world.policy, shadow_lumisections=5, tiers=tiers)
    world.sight._observer = Agrees()
    name = world.propose()
    before = code_of(world.candidate(name))
    for person in ("mila", "timo"):
        desk_of(person).say(Word(says="approve", candidate=name, reason="convincing", code=before))
    into_shadow(world, name)
    carla = desk_of("carla")
    with pytest.raises(StalePageError, match="as it is now, shadow"):
        carla.say(Word(says="confirm", candidate=name, reason="bits agree", code=before))

    carla.say(Word(says="confirm", candidate=name, reason="bits agree", code=carla.story(name)["code"]))

    assert [one.person for one in world.candidate(name).confirmations] == ["carla"]


class Agrees:
    """A board that agrees with its emulator so far."""

    def observed(self, candidate, now):
        seen = {"mismatches": 0, "mismatch_rate_low": 0.0, "mismatch_rate_high": 1e-4}
        return Observed(comparison=Comparison(lumisections=2, events=40_000, **seen))


def into_shadow(world, name):
    for _ in range(2):
        world.step(name, utc_now())
    made = world.candidate(name)
    world.target.deploy(made.bundle_digest, world.folder / "bundles" / made.bundle_digest, token=2)
    world.step(name, utc_now())
    assert world.candidate(name).phase is Phase.SHADOW


def test_taking_back_breaking_the_glass_and_its_review_go_by_both(world, desk_of):
    name = world.propose()
    code = code_of(world.candidate(name))
    for person in ("timo", "carla"):
        desk_of(person).say(Word(says="break-glass", candidate=name, reason="half of all jets are lost", code=code))
    assert world.candidate(name).glass_broken
    with pytest.raises(RefusedError, match="did not approve"):
        desk_of("mila").say(Word(says="revoke", candidate=name, reason="I did not mean it"))
    with pytest.raises(RefusedError, match="nothing to roll back"):
        desk_of("timo").say(Word(says="rollback", candidate=name, reason="the rate"))
    with pytest.raises(RefusedError, match=r"broke the glass|nothing to review"):
        desk_of("carla").say(Word(says="review", candidate=name, reason="seen"))


def test_alarms_are_taken_on_silenced_and_closed(world, desk_of):
    world.open_fault()
    at = desk_of("timo")
    assert at.acknowledge("a-401002", "HCAL is on it") == "timo"
    until = at.silence("a-401002", "until the access is over", 8)
    at.close_alarm("a-401002", "the crate is back")

    kinds = [one.fact.kind for one in world.ledger.facts(subject="ZeroBias")][-3:]
    assert kinds == ["alarm_acknowledged", "alarm_silenced", "fault_closed"]
    assert until.startswith(str((world.now + timedelta(hours=8)).date()))
    assert [(one["id"], one["standing"], one["fault"]) for one in at.alarms()] == [
        ("a-401002", False, False),
        ("a-401003", True, False),
    ]
    with pytest.raises(RefusedError, match="no open alarm"):
        at.acknowledge("a-401002", "again")


def test_the_daemon_is_paused_frozen_and_asked_to_train(world, desk_of):
    timo = desk_of("timo")
    for what, kind in (("pause", "paused"), ("resume", "resumed"), ("freeze", "freeze_started")):
        assert timo.switch(what, "a test of the trigger") == (kind, "timo")
    assert timo.switch("unfreeze", "over") == ("freeze_ended", "timo")
    assert desk_of("mila").train("a new menu", "threshold") == "mila"
    with pytest.raises(RefusedError, match="say why"):
        timo.switch("pause", " ")
    with pytest.raises(RefusedError, match="vera"):
        desk_of("vera").switch("pause", "because")
    with pytest.raises(RefusedError, match="vera"):
        desk_of("vera").train("because", "weights")

    asked = world.ledger.claim_work(world.now + timedelta(minutes=5), 60.0, "test", ["train"])
    assert asked.payload == {"trigger": "manual", "initiator": "mila", "reason": "a new menu", "action": "threshold"}


def test_a_candidate_that_is_not_there_is_said(desk_of):
    for word in ("c-9999", "../people"):
        with pytest.raises(RefusedError, match=r"no (candidate|name)"):
            desk_of("mila").story(word)


def test_what_is_read_is_the_same_at_both_desks(world):
    name = world.propose()
    world.open_fault()
    here = near(world, "mila")
    with served(world) as url, closing(remote_at(url)) as remote:
        there = Typed(remote, "mila", password_stdin=False)
        digest = world.candidate(name).bundle_digest

        assert there.rows() == here.rows()
        assert there.story(name) == here.story(name)
        assert there.alarms() == here.alarms()
        assert there.ran(401_003, 20, "") == here.ran(401_003, 20, "")
        assert there.told(digest=digest) == here.told(digest=digest)
        assert there.told(person="mila") == here.told(person="mila")
        ours, theirs = here.status(), there.status()
        assert {**theirs, "turned_s_ago": 0} == {**ours, "turned_s_ago": 0}
        with pytest.raises(RefusedError, match="at least 8"):
            there.told(digest="ab")
        there.leave()
