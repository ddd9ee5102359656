"""Whether the models, failure modes and signals that a configuration names are known here.

`daemon.config` knows no model and no failure mode; what is installed on this machine is asked here.
"""

import difflib
from collections.abc import Collection, Iterator

from daemon import fault_samples, signal_list
from daemon.config import Settings
from daemon.errors import RefusedError, SetupError
from drift.errors import DriftError
from drift.schema import schema_named
from retrain.errors import RecipeError
from retrain.models import SOCKETS, names, socket


def unknown(settings: Settings) -> list[str]:
    """Return every name of ``[retrain]`` and ``[stream]`` that is not known, each as one sentence with its remedy."""
    return [*_model(settings), *_faults(settings), *_signals(settings)]


def _model(settings: Settings) -> Iterator[str]:
    wanted, known = settings.retrain.model, names()
    try:
        inputs = len(schema_named(settings.stream.schema_name).features)
    except DriftError as error:
        yield f"stream.schema: {error}"
        return
    if wanted not in known:
        yield f"retrain.model is {wanted!r}, which is not registered under retrigger.models; {_near(wanted, known)}"
        return
    try:
        needed = len(socket(wanted).inputs) if wanted in SOCKETS else inputs  # a model of one's own may load torch
    except RecipeError as error:
        yield f"retrain.model: {error}"
        return
    if needed != inputs:
        yield (
            f"retrain.model {wanted!r} takes {needed} inputs, and stream.schema {settings.stream.schema_name!r} reads "
            f"{inputs}; name a model for these inputs, or a schema for that model"
        )


def _faults(settings: Settings) -> Iterator[str]:
    for one in settings.retrain.faults:
        try:
            fault_samples.names([one])
        except RefusedError as error:
            yield str(error)


def _signals(settings: Settings) -> Iterator[str]:
    try:
        known = signal_list.names(settings.retrain.signals)
    except SetupError as error:
        yield f"retrain.signals: {error}"
        return
    for one in settings.retrain.learn:
        if settings.retrain.signals is not None and one not in known:
            yield f"retrain.learn names {one!r}, which {settings.retrain.signals} does not hold; {_near(one, known)}"


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
