"""Where bundles came from: a signed statement beside each one that the daemon verified; its digest is recorded."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from daemon.errors import ProvenanceError
from daemon.ledger import Ledger
from daemon.lifecycle import BundleAttested
from daemon.output import writing
from daemon.record.keys import OwnKey
from daemon.record.statement import check_statement, sign_statement, statement
from retrain.bundle import Bundle
from retrain.digest import digest_of_bytes

log = logging.getLogger("retrigger.record")
SUBJECT = "provenance"


def statement_path(bundle: Path) -> Path:
    """Return where the statement about a bundle's folder lies: beside it, since nothing may be added to a bundle."""
    return bundle.with_name(f"{bundle.name}.intoto.json")


class Provenance:
    """Signs for this daemon's own bundles, and looks at what it signed before a bundle goes on."""

    def __init__(self, ledger: Ledger, key: Callable[[], OwnKey], builder: str) -> None:
        """Prepare.

        Args:
            ledger: Where it is recorded that a statement was signed.
            key: Gives the build key, made when first used.
            builder: URI that names this daemon.
        """
        self._ledger = ledger
        self._key = key
        self._builder = builder

    def attest(self, bundle: Bundle, now: datetime) -> Path:
        """Write the statement about a bundle that was just verified; one that is there and holds stays.

        Raises:
            RecordKeyError: There is no usable build key.
            SetupError: It cannot be written.
        """
        path = statement_path(bundle.path)
        try:
            keyid = self.check(bundle)
        except ProvenanceError as error:
            if path.exists():
                log.warning("%s; it is signed anew, since the bundle itself was just verified", error)
            key = self._key()
            with writing(path, "the statement about a bundle") as sink:
                sink.write(sign_statement(statement(bundle, self._builder, now), key))
            keyid = key.public.keyid
        digest = digest_of_bytes(path.read_bytes())
        stored = self._ledger.facts(subject=SUBJECT, kind=BundleAttested.kind)
        told = {
            (one.fact.bundle_digest, one.fact.statement_digest)
            for one in stored
            if isinstance(one.fact, BundleAttested)
        }
        if (bundle.digest, digest) not in told:
            fact = BundleAttested(
                at=now, actor="daemon", bundle_digest=bundle.digest, statement_digest=digest, keyid=keyid
            )
            self._ledger.append(SUBJECT, (fact,))
        return path

    def check(self, bundle: Bundle) -> str:
        """Make sure that the statement is there, signed by this daemon's build key, and about this very bundle.

        Raises:
            ProvenanceError: It is not; the message says what is wrong.
            RecordKeyError: There is no usable build key.
        """
        path = statement_path(bundle.path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ProvenanceError(
                f"the statement about bundle {bundle.digest[:16]} cannot be read from {path} ({error.strerror}); put "
                "it back, or reject the candidate"
            ) from error
        return check_statement(content, bundle, [self._key().public], self._builder)
