"""The desk at the ledger of this host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from daemon import config, decisions, quieting, rarer_decisions, switches
from daemon.assemble import Parts, parts, places_of, utc_now
from daemon.cli.desk import Desk, Row, Word
from daemon.cli.identity import authenticate, signer
from daemon.decisions import missing_roles
from daemon.errors import RefusedError
from daemon.ledger import History, Outcome
from daemon.lifecycle import Candidate
from daemon.people import Person
from daemon.record.asked import Told, by_digest, by_person
from daemon.standing import standing
from daemon.stories import story


@contextmanager
def here(config_file: Path, *, person: str, password_stdin: bool) -> Iterator[Desk]:
    """Open the ledger of a configuration."""
    with parts(config.load(config_file)) as ready:
        yield Here(ready, lambda: authenticate(ready, person, password_stdin=password_stdin))


class Here:
    """See `Desk`; a password is asked for where something is said, and nothing is read by those who are elsewhere."""

    place = ""

    def __init__(self, ready: Parts, who: Callable[[], Person]) -> None:
        """Take the parts, and what settles who sits at the terminal."""
        self._ready, self._who = ready, who
        self._stream = ready.settings.stream.name

    def rows(self) -> list[Row]:
        """See `Desk.rows`."""
        return [
            Row(one.id, str(one.phase), one.trigger, one.reason, one.bundle_digest, missing_roles(one), one.closing)
            for one in self._ready.sight.candidates()
        ]

    def story(self, candidate_id: str) -> dict[str, Any]:
        """See `Desk.story`."""
        return self._story(self._find(candidate_id))

    def say(self, word: Word) -> dict[str, Any]:
        """See `Desk.say`."""
        me = self._who()
        found = self._find(word.candidate)
        request = found.request.request_id if found.request else ""
        evidence = found.gates.evidence_root if found.gates else ""
        ready, code = self._ready, word.code
        voice = decisions.Voice(
            ledger=ready.ledger,
            looks=ready.sight,
            policy=ready.policy,
            candidate_id=word.candidate,
            person=me.name,
            reason=word.reason,
            now=utc_now(),
            sign=signer(word.key),
        )
        words: dict[str, Callable[[], Candidate]] = {
            "approve": lambda: decisions.approve(voice, request_id=request, role=word.role, code=code),
            "reject": lambda: decisions.reject(voice, request_id=request, role=word.role, klass=word.klass, code=code),
            "revoke": lambda: decisions.revoke(voice, request_id=request),
            "rollback": lambda: decisions.roll_back(voice),
            "waive": lambda: rarer_decisions.waive(
                voice, gate=word.gate, evidence_root=evidence, code=code, hours=word.hours
            ),
            "confirm": lambda: rarer_decisions.confirm(voice, request_id=request, code=code),
            "break-glass": lambda: rarer_decisions.break_glass(voice, request_id=request, code=code),
            "review": lambda: rarer_decisions.review(voice),
        }
        return self._story(words[word.says]())

    def status(self) -> dict[str, Any]:
        """See `Desk.status`."""
        ready = self._ready
        return standing(
            ready.ledger,
            ready.sight,
            stream=self._stream,
            slot=ready.settings.stream.slot,
            places=[place.name for place in places_of(ready.settings)],
            now=utc_now(),
        )

    def alarms(self) -> list[dict[str, Any]]:
        """See `Desk.alarms`."""
        return decisions.alarms_told([one.fact for one in self._ready.ledger.facts(subject=self._stream)])

    def close_alarm(self, alarm_id: str, reason: str) -> None:
        """See `Desk.close_alarm`."""
        me = self._who()
        decisions.close_fault(
            self._ready.ledger,
            self._ready.policy,
            stream=self._stream,
            alarm_id=alarm_id,
            person=me.name,
            roles=me.roles,
            reason=reason,
            now=utc_now(),
        )

    def acknowledge(self, alarm_id: str, reason: str) -> str:
        """See `Desk.acknowledge`."""
        return quieting.acknowledge(
            self._ready.ledger,
            self._ready.policy,
            stream=self._stream,
            alarm_id=alarm_id,
            person=self._who(),
            reason=reason,
            now=utc_now(),
        ).person

    def silence(self, alarm_id: str, reason: str, hours: float) -> str:
        """See `Desk.silence`."""
        return quieting.silence(
            self._ready.ledger,
            self._ready.policy,
            stream=self._stream,
            alarm_id=alarm_id,
            person=self._who(),
            reason=reason,
            hours=hours,
            now=utc_now(),
        ).until.isoformat()

    def train(self, reason: str, action: Literal["weights", "threshold"]) -> str:
        """See `Desk.train`."""
        me = self._who()
        switches.ask_training(
            self._ready.ledger, self._ready.policy, person=me, reason=reason, action=action, now=utc_now()
        )
        return me.name

    def switch(self, what: switches.Switch, reason: str) -> tuple[str, str]:
        """See `Desk.switch`."""
        ready = self._ready
        said = switches.switch(ready.ledger, ready.policy, what, person=self._who(), reason=reason, now=utc_now())
        return said.kind, said.actor

    def ran(self, run: int, lumisection: int, slot: str) -> tuple[History, Outcome | None, str]:
        """See `Desk.ran`."""
        ledger = self._ready.ledger
        found = ledger.history(run, lumisection, slot or self._ready.settings.stream.slot)
        return found, ledger.outcome(self._stream, run, lumisection), self._stream

    def told(self, *, digest: str = "", person: str = "") -> list[Told]:
        """See `Desk.told`."""
        stored = self._ready.ledger.facts()
        return by_digest(stored, digest) if digest else by_person(stored, person)

    def _story(self, one: Candidate) -> dict[str, Any]:
        return story(self._ready.sight, self._ready.policy, one, utc_now())

    def _find(self, candidate_id: str) -> Candidate:
        for one in self._ready.sight.candidates():
            if one.id == candidate_id:
                return one
        raise RefusedError(f"there is no candidate {candidate_id!r}; `retrigger candidates` lists them")
