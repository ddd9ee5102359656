"""What programs send and get: the bodies of the API, closed to fields that nobody knows."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LogIn(_Sent):
    """A name and a password, for a session."""

    name: str = Field(max_length=100)
    password: str = Field(max_length=2000)


class Said(_Sent):
    """A word with its one reason, and what shows that the person is there: a password or a passkey's assertion."""

    reason: str = Field("", max_length=2000)
    password: str = Field("", max_length=2000)
    assertion: dict[str, Any] | None = None


class Yes(Said):
    """An approval, with the code that the page shows."""

    code: str = Field(max_length=200)
    role: str = Field("", max_length=50)


class No(Said):
    """A rejection, with its class."""

    klass: str = Field(max_length=50)
    role: str = Field("", max_length=50)


class Waiver(Said):
    """An inconclusive gate that counts as passed for so many hours."""

    gate: str = Field(max_length=100)
    evidence_root: str = Field(max_length=100)
    hours: float = Field(24.0, gt=0, le=24 * 366)


class Asked(_Sent):
    """Which word a passkey shall be asked to sign."""

    says: str = Field(max_length=30)
    subject: str = Field(max_length=200)
    about: str = Field("", max_length=200)
    role: str = Field("", max_length=50)
    reason: str = Field("", max_length=2000)


class NewPasskey(_Sent):
    """What a browser made, and what its owner calls it."""

    credential: dict[str, Any]
    label: str = Field("passkey", max_length=100)


class Wanted(_Sent):
    """A wish to register a passkey: the password again, or the assertion of one that is registered."""

    password: str = Field("", max_length=2000)
    assertion: dict[str, Any] | None = None


class Session(BaseModel):
    """Who is logged in, and the token that writes must bear in X-Form-Token."""

    person: str
    roles: list[str]
    form_token: str


class Voice(BaseModel):
    """One approval."""

    person: str
    role: str
    reason: str
    signed: str


class Shown(BaseModel):
    """A candidate."""

    id: str
    slot: str
    phase: str
    reason: str
    bundle_digest: str
    code: str
    request: dict[str, Any] | None
    missing_roles: list[str]
    approvals: list[Voice]
    closing: str
    drill: bool
