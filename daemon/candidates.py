"""From facts to effects: what `lifecycle.decide` orders is done here, one step of one candidate at a time.

Each step appends its facts first, with the sequence it read, and only then touches the world; a kill in between leaves
an intention that the next daemon completes.  Why a step is taken is decided in `lifecycle`, never here.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import shelf
from daemon.deploy import DeployTarget, renew
from daemon.errors import DeployError, FencedError, LeadershipTakenError, RetriggerError, StaleSequenceError
from daemon.ledger import Lead, Ledger
from daemon.lifecycle import Act, Candidate, Policy, World, decide, fold
from daemon.lifecycle import facts as f
from daemon.measured import evidence_root, outcomes
from daemon.record import Provenance
from daemon.sight import Sight
from daemon.training import JobRunner, write_job
from retrain import bundle as bundles
from retrain.digest import digest_of
from retrain.errors import BundleAlteredError, RetrainError
from retrain.recipe import Recipe

log = logging.getLogger("retrigger.candidates")
ACTOR = "daemon"
STEPS_PER_CYCLE = 20
TOOLCHAIN = "evidence/versions.json"  # interpreter, compiler and libraries that shaped the bits
LOUD = frozenset({"trip", "review_overdue"})


class Candidates:
    """Moves every candidate as far as facts, world and policy allow."""

    def __init__(
        self,
        ledger: Ledger,
        sight: Sight,
        policy: Policy,
        target: DeployTarget,
        runner: JobRunner,
        *,
        jobs: Path,
        job_of: Callable[[Candidate, Path], Mapping[str, Any]],
        lead: Lead,
        provenance: Provenance | None = None,
    ) -> None:
        self._ledger = ledger
        self._sight = sight
        self._policy = policy
        self._target = target
        self._runner = runner
        self._jobs = jobs
        self._job_of = job_of
        self._lead = lead
        self._provenance = provenance
        self._read: dict[str, int] = {}
        self.troubles: dict[str, str] = {}

    def step(self, now: datetime) -> None:
        """Take every step that is due; return when each candidate waits or is done."""
        self._renew()
        for _ in range(STEPS_PER_CYCLE):
            moved = [self._try(subject, now) for subject in self._ledger.subjects("candidate_requested")]
            if not any(moved):
                return

    def _renew(self) -> None:
        """Keep the target's signatures young; what goes wrong with it holds up no candidate."""
        try:
            if renew(self._target, token=self._lead.token):
                log.info("renewed the signatures of %s", self._target.name)
            self.troubles.pop("target", None)
        except FencedError:
            raise
        except DeployError as error:
            self.troubles["target"] = str(error)

    def _try(self, subject: str, now: datetime) -> bool:
        """Advance one candidate; what goes wrong with it holds up no other and is told by `troubles`."""
        try:
            moved = self._advance(subject, now)
        except LeadershipTakenError:
            raise
        except (RetriggerError, RetrainError, OSError) as error:
            log.warning("%s cannot go on: %s", subject, error)
            self.troubles[subject] = str(error)
            return False
        self.troubles.pop(subject, None)
        return moved

    def _advance(self, subject: str, now: datetime) -> bool:
        """Take one step of one candidate; return whether its facts changed."""
        stored = self._ledger.facts(subject=subject)
        candidate = fold(one.fact for one in stored)
        self._read[subject] = stored[-1].sequence  # whatever is appended must still be about these facts
        world = self._sight.world(candidate, self._sight.candidates(), now)
        decision = decide(candidate, world, self._policy, now)
        if not isinstance(decision, Act):
            return False
        if decision.step == "train":
            return self._train(candidate, now)
        if decision.step == "verify":
            return self._verify(candidate, world, now)
        if decision.step == "propose" and self._provenance is not None and not candidate.drill:
            self._provenance.check(bundles.load(Path(candidate.bundle_path), candidate.bundle_digest))
        loud = decision.step in LOUD or (candidate.glass_broken and decision.step == "deploy")
        log.log(
            logging.CRITICAL if loud else logging.INFO, "step %s of %s: %s", decision.step, candidate.id, decision.why
        )
        if decision.facts and not self._append(candidate, decision.facts):
            return True
        if decision.step in {"deploy", "roll_back"}:
            return self._write_board(candidate, decision, now)
        return bool(decision.facts)

    def _append(self, candidate: Candidate, facts: tuple[f.Fact, ...]) -> bool:
        """Append with the sequence that was decided on; return False when somebody was faster."""
        try:
            last = self._ledger.append(candidate.id, facts, expect_sequence=self._read[candidate.id])
        except StaleSequenceError:
            log.info("somebody appended to %s meanwhile; deciding again", candidate.id)
            return False
        self._read[candidate.id] = last
        return True

    # --- training -------------------------------------------------------------------------------------------------

    def folder(self, candidate: Candidate) -> Path:
        """Return the job folder of this attempt; a failed attempt leaves its folder for people to look at."""
        return self._jobs / f"{candidate.id}-{candidate.recipe_digest[:12]}-{candidate.failures + 1}"

    def _train(self, candidate: Candidate, now: datetime) -> bool:
        folder = self.folder(candidate)
        try:
            if not (folder / "job.json").exists():  # certification may change while it trains; `stale` sees to that
                write_job(folder, self._job_of(candidate, folder))
        except (RetriggerError, RetrainError, OSError) as error:
            return self._failed(candidate, str(error), now)
        state = self._runner.look(folder, now)
        if state.phase == "absent":
            log.info("training %s in %s", candidate.id, folder)
            self._runner.start(folder)
            return False
        if state.phase == "running":
            return False
        if state.phase == "dead" or state.result is None:
            return self._failed(candidate, f"the training process ended without a result: {state.text}", now)
        return self._trained(candidate, state.result, now)

    def _trained(self, candidate: Candidate, result: Mapping[str, Any], now: datetime) -> bool:
        if result["verdict"] == "failed":
            return self._failed(candidate, str(result.get("reason", "no reason given")), now)
        certification = self._sight.certification(Recipe.from_json(candidate.recipe).lumisections)
        if certification is None:
            log.info("%s waits: the conditions cannot be read", candidate.id)
            return False
        fact = f.TrainingFinished(
            at=now,
            actor=ACTOR,
            recipe_digest=candidate.recipe_digest,
            bundle_digest=str(result.get("digest") or ""),
            bundle_path=str(result.get("bundle") or ""),
            certification_digest=certification,
        )
        if fact.bundle_digest:
            log.info("trained %s: bundle %s", candidate.id, fact.bundle_digest[:16])
            self._append(candidate, (fact,))
            return True
        log.warning("%s is refused: %s", candidate.id, result["reason"])
        self._append(candidate, (fact, self._refused(result, certification, now)))
        return True

    def _refused(self, result: Mapping[str, Any], certification: str, now: datetime) -> f.GatesEvaluated:
        """The gates of a candidate that was refused before it became a bundle; its evidence stays in the job folder."""
        gates = tuple(
            f.GateOutcome(number=one["number"], name=one["name"], verdict=one["verdict"], summary=one["summary"])
            for one in result["gates"]
        )
        broken = f.GateOutcome(number=1, name="chain", verdict="fail", summary=str(result["reason"]))
        return f.GatesEvaluated(
            at=now,
            actor=ACTOR,
            bundle_digest="",
            gates=gates or (broken,),
            evidence_root=digest_of(dict(result)),
            tier="T1",
            running_digest=self._sight.running() or "",
            certification_digest=certification,
        )

    def _failed(self, candidate: Candidate, reason: str, now: datetime) -> bool:
        log.warning("training of %s failed: %s", candidate.id, reason)
        fact = f.TrainingFailed(at=now, actor=ACTOR, reason=reason, attempt=candidate.failures + 1)
        self._append(candidate, (fact,))
        return True

    def _verify(self, candidate: Candidate, world: World, now: datetime) -> bool:
        try:
            bundle = bundles.load(Path(candidate.bundle_path), candidate.bundle_digest)
        except BundleAlteredError as error:
            return self._failed(candidate, str(error), now)
        certification = self._sight.certification(Recipe.from_json(candidate.recipe).lumisections)
        if world.running is None or certification is None:
            log.info("gates of %s wait: the board or the certification cannot be read", candidate.id)
            return False
        fact = f.GatesEvaluated(
            at=now,
            actor=ACTOR,
            bundle_digest=bundle.digest,
            gates=outcomes(bundle, world.running),
            evidence_root=evidence_root(bundle, world.running),
            tier=self._tier(bundle, world.running),
            running_digest=world.running,
            certification_digest=certification,
        )
        if self._provenance is not None:
            self._provenance.attest(bundle, now)
        self._append(candidate, (fact,))
        return True

    def _tier(self, bundle: bundles.Bundle, running: str) -> str:
        """T0 for a threshold in its band, T1 for new weights in the same types, T2 for anything else (approvals.md)."""
        champion = shelf.whole_champion(self._ledger, running)
        if not isinstance(champion, bundles.Bundle):
            return "T2"
        if self._only_threshold(bundle, champion):
            return "T0"
        same = (
            champion.recipe.model == bundle.recipe.model
            and champion.recipe.hidden == bundle.recipe.hidden
            and champion.recipe.latent == bundle.recipe.latent
            and champion.recipe.weight_bits == bundle.recipe.weight_bits
            and champion.recipe.sparsity == bundle.recipe.sparsity
            and champion.contract.digest == bundle.contract.digest
            and champion.manifest["files"].get(TOOLCHAIN) == bundle.manifest["files"].get(TOOLCHAIN)
        )
        return "T1" if same else "T2"

    def _only_threshold(self, bundle: bundles.Bundle, champion: bundles.Bundle) -> bool:
        """Whether only the threshold of what runs now is renewed, and moves by no more than was agreed."""
        kept = all(
            bundle.manifest["files"][name] == champion.manifest["files"][name]
            for name in (bundles.WEIGHTS, bundles.EMULATOR)
        )
        kept = kept and bundle.contract.digest == champion.contract.digest
        same = kept and bundle.manifest.get("parent") == champion.digest
        moved = abs(bundle.threshold - champion.threshold)
        return same and moved <= self._policy.threshold_band * champion.threshold

    # --- the board ------------------------------------------------------------------------------------------------

    def _write_board(self, candidate: Candidate, act: Act, now: datetime) -> bool:
        if candidate.drill:
            raise DeployError(f"{candidate.id} is a drill; it never reaches a board, and this daemon asked for that")
        if not self._lead.held():
            raise LeadershipTakenError("another daemon took the lead of this ledger; this one must not write the board")
        try:
            if act.step == "deploy":
                self._target.deploy(candidate.bundle_digest, Path(candidate.bundle_path), token=self._lead.token)
            else:
                self._go_back(candidate)
        except (DeployError, BundleAlteredError, OSError) as error:
            log.warning("%s of %s failed: %s", act.step, candidate.id, error)
            request = candidate.request.request_id if candidate.request else ""
            self._append(
                candidate,
                (
                    f.DeploymentFailed(
                        at=now,
                        actor=ACTOR,
                        request_id=request,
                        digest=candidate.bundle_digest,
                        reason=str(error),
                        attempt=candidate.deployment_failures + 1,
                    ),
                ),
            )
        return True

    def _go_back(self, candidate: Candidate) -> None:
        """Roll back and see what runs; what cannot be seen is a failure, after which the next attempt waits."""
        self._target.roll_back(candidate.bundle_digest, token=self._lead.token)
        if self._sight.running() is None:
            raise DeployError(f"went back, but what runs cannot be read: {self._sight.unread}")
