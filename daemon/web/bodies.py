"""What programs send and get: the bodies of the API, closed to fields that nobody knows."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


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


class Signed(_Sent):
    """An Ed25519 signature of the statement that a word is, by a key that is registered for the person; in hex."""

    key_id: str = Field(pattern="^[0-9a-f]{64}$")
    value: str = Field(pattern="^[0-9a-f]{128}$")


class Coded(Said):
    """A word about what was seen under this code: that of the candidate when it was read."""

    code: str = Field(max_length=200)


class Signable(Coded):
    """A word that may be signed by a key of the person's own, beside the password."""

    signature: Signed | None = None


class Yes(Signable):
    """An approval; the role belongs to what is signed."""

    role: str = Field("", max_length=50)


class No(Coded):
    """A rejection, with its class."""

    klass: str = Field(max_length=50)
    role: str = Field("", max_length=50)


class Waiver(Signable):
    """An inconclusive gate that counts as passed for so many hours; who signs it says when that is over."""

    gate: str = Field(max_length=100)
    evidence_root: str = Field(max_length=100)
    hours: float = Field(24.0, gt=0, le=24 * 366)
    expires_at: AwareDatetime | None = None


class Quiet(_Sent):
    """Who takes an alarm on, and why."""

    reason: str = Field(max_length=2000)


class Silence(Quiet):
    """For how long nobody wants messages about an alarm."""

    hours: float = Field(gt=0, le=72)


class Training(Said):
    """A wish for a candidate: new weights, or a threshold alone."""

    action: Literal["weights", "threshold"] = "weights"


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
    trigger: str
    reason: str
    bundle_digest: str
    code: str
    request: dict[str, Any] | None
    missing_roles: list[str]
    approvals: list[Voice]
    closing: str
    drill: bool


class Told(Shown):
    """A candidate with all that is said of it.

    Attributes:
        roles: In which role the visitor would say which word; it belongs to what is signed.  Empty: they may not.
        story: As `retrigger show --json` says it: what comes next, what speaks against it, its gates.
    """

    roles: dict[str, str]
    story: dict[str, Any]
