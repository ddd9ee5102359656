"""The model in a bundle, or an adopted library, as what scores events, with the slot's threshold by name.

A bundle is scored by its exact integer program, a library in a process of its own: when that fails, the inputs are
watched without scores, and it is said why.

For the running daemon the model is whatever champion the board is seen to run; it is read again when that changes, and
scores only where the reference was fitted with scores of that very model.  Nothing here trains, watches or decides.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.errors import SetupError
from drift.events import LumisectionEvents
from drift.profile import LumisectionSummary, Summariser
from drift.schema import FeatureSchema
from retrain.champion import Champion, load
from retrain.errors import EmulatorFailedError

log = logging.getLogger("retrigger.scorer")


class BundleScorer:
    """Scores events as the firmware made from a bundle does, or as an adopted library; see `drift.scorer.Scorer`."""

    def __init__(self, bundle: Champion, schema: FeatureSchema) -> None:
        """Take a whole bundle or adopted library.

        Raises:
            SetupError: Its contract has other inputs than the schema, or in another order.
        """
        inputs = tuple(one.name for one in bundle.contract.inputs)
        if inputs != schema.names:
            raise SetupError(
                f"bundle {bundle.digest[:12]} takes {len(inputs)} inputs, schema {schema.name} reads "
                f"{len(schema.names)}, not the same in the same order; name a bundle made for this schema"
            )
        self._bundle = bundle
        self.digest = bundle.digest
        self.thresholds: tuple[tuple[str, int], ...] = ((str(bundle.manifest["slot"]), bundle.threshold),)

    @classmethod
    def load(cls, path: Path, schema: FeatureSchema) -> "BundleScorer":
        """Return the scorer of the bundle at a path, after checking every byte of it.

        Raises:
            BundleAlteredError: Something is not what its manifest says.
            SetupError: Its contract has other inputs than the schema.
        """
        return cls(load(path), schema)

    def scores(self, features: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return integer scores, shape ``(n_events,)``, of hardware integers, shape ``(n_features, n_events)``.

        Raises:
            EmulatorFailedError: An adopted library crashed, took too long or refused an event.
        """
        return self._bundle.scores(features.astype(np.int16, copy=False))


def summariser_for(schema: FeatureSchema, bundle: Path | None) -> Summariser:
    """Return what counts lumisections, with the scores of a bundle's model if one is named.

    Raises:
        BundleAlteredError: The bundle is not whole.
        SetupError: It was made for other inputs.
    """
    return Summariser(schema, scorer=None if bundle is None else BundleScorer.load(bundle, schema))


class Counts(Protocol):
    """What counts lumisections."""

    def fill(self, events: LumisectionEvents) -> LumisectionSummary:
        """Count one lumisection."""


class ChampionSummariser:
    """Counts lumisections with the scores of the champion on the board, as long as the reference knows that model.

    Attributes:
        silent: Why no scores are counted, in words; empty when they are, None when the reference has none.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        wanted: str,
        running: Callable[[], str | None],
        bundle_of: Callable[[str | None], Champion | None],
    ) -> None:
        """Start without a champion.

        Args:
            schema: What is counted.
            wanted: Digest of the model whose scores the reference was fitted with; empty when it has none.
            running: Says which digest the board runs; None when it cannot be read, empty when it runs nothing.
            bundle_of: Returns the whole bundle of a digest, None when it is unknown or was altered.
        """
        self._schema, self._wanted, self._running, self._bundle_of = schema, wanted, running, bundle_of
        self._plain = Summariser(schema)
        self._scored: Summariser | None = None
        self._failure = ""
        self.silent: str | None = "the board was not looked at yet" if wanted else None

    def now(self) -> Counts:
        """Look at the board, and return what counts lumisections from here on; call it once a file."""
        if not self._wanted:
            return self._plain
        before, self.silent = self.silent, self._look()
        if self.silent and self.silent != before:
            log.warning("scores are not watched: %s", self.silent)
        return self._plain if self.silent or self._scored is None else self

    def fill(self, events: LumisectionEvents) -> LumisectionSummary:
        """Count one lumisection with its scores, or without when what scores it fails; `silent` then says why."""
        if self._scored is None:
            return self._plain.fill(events)
        try:
            summary = self._scored.fill(events)
        except EmulatorFailedError as error:
            self.silent = str(error)
            if self.silent != self._failure:
                log.warning("scores are not watched: %s", error)
            self._failure = self.silent
            return self._plain.fill(events)
        self._failure = ""
        return summary

    def _look(self) -> str:
        digest = self._running()
        if digest != self._wanted:
            seen = "cannot be read" if digest is None else f"runs model {digest[:12]}" if digest else "runs no model"
            return (
                f"the board {seen}, the reference was fitted with scores of {self._wanted[:12]}; fit it anew with "
                "--bundle of what runs"
            )
        if self._scored is None:
            bundle = self._bundle_of(digest)
            if bundle is None:
                return f"bundle {digest[:12]} is not on record or was altered; import it again"
            self._scored = Summariser(self._schema, scorer=BundleScorer(bundle, self._schema))
        return ""
