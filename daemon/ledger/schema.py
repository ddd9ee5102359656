"""The tables of the ledger.

Facts, files, outcomes, overlaps and certifications are only ever inserted: triggers refuse to update or delete them.
The rest (counters, watch states, work, status) may change; of it only the counters are ever shown to people, and
`verify` recounts them.  Times are UTC text that sorts as the times do.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
Big = BigInteger().with_variant(Integer, "sqlite")

facts = Table(
    "facts",
    metadata,
    Column("sequence", Big, primary_key=True, autoincrement=False),
    Column("subject", String(200), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Index("facts_by_subject", "subject", "sequence"),
    Index("facts_by_kind", "kind", "sequence"),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Big, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("clock", String(32), nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", Big, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("stream", String(200), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("code", String(60), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    UniqueConstraint("sha256", "path", "outcome", name="files_once_per_path"),
    Index(
        "files_taken_once",
        "sha256",
        unique=True,
        sqlite_where=text("outcome = 'accepted'"),
        postgresql_where=text("outcome = 'accepted'"),
    ),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Big, primary_key=True),
    Column("stream", String(200), nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("lumisection", BigInteger, nullable=False),
    Column("result", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("fill", BigInteger),
    Column("pileup", Float(53)),
    Column("certified", Boolean),
    Column("events_path", Text, nullable=False),
    Column("events_sha256", String(64), nullable=False),
    Column("file_sha256", String(64), nullable=False),
    UniqueConstraint("stream", "run", "lumisection", name="outcomes_once"),
    Index("outcomes_by_file", "file_sha256"),
)

redelivered = Table(
    "redelivered",
    metadata,
    Column("id", Big, primary_key=True),
    Column("stream", String(200), nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("lumisection", BigInteger, nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("first_file_sha256", String(64), nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    UniqueConstraint("stream", "run", "lumisection", "file_sha256", name="redelivered_once"),
)

certifications = Table(
    "certifications",
    metadata,
    Column("id", Big, primary_key=True),
    Column("run", BigInteger, nullable=False),
    Column("lumisection", BigInteger, nullable=False),
    Column("certified", Boolean, nullable=False),
    Column("at", String(32), nullable=False),
    Index("certifications_by_lumisection", "run", "lumisection", "id"),
)

watch_states = Table(
    "watch_states",
    metadata,
    Column("stream", String(200), primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("file_sha256", String(64), nullable=False),
)

work = Table(
    "work",
    metadata,
    Column("id", Big, primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("scheduled_for", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("not_before", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("token", Big, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("lease_until", String(32)),
    Column("closed_at", String(32)),
    Column("error", Text, nullable=False),
    UniqueConstraint("kind", "scheduled_for", name="work_once"),
    Index("work_open", "closed_at", "not_before"),
)

counters = Table(
    "counters",
    metadata,
    Column("topic", String(40), primary_key=True),
    Column("stream", String(200), primary_key=True),
    Column("label", String(60), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

status = Table(
    "status",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", String(32), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("sequence", Big, ForeignKey("facts.sequence"), primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("routed_at", String(32)),
    Index("outbox_unrouted", "routed_at", "sequence"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("sequence", Big, ForeignKey("outbox.sequence"), primary_key=True, autoincrement=False),
    Column("channel", String(80), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", String(32), nullable=False),
    Column("lease_until", String(32)),
    Column("closed_at", String(32)),
    Column("unsure", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Index("deliveries_open", "closed_at", "not_before"),
)

leads = Table(
    "leads",
    metadata,
    Column("token", Big, primary_key=True, autoincrement=False),
    Column("owner", String(200), nullable=False),
    Column("at", String(32), nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("person", String(100), primary_key=True),
    Column("password_hash", String(300), nullable=False),
    Column("roles", Text, nullable=False),
    Column("revoked_at", String(32)),
)

logins = Table(
    "logins",
    metadata,
    Column("person", String(100), ForeignKey("people.person"), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locked_until", String(32)),
)

APPEND_ONLY = ("facts", "files", "outcomes", "redelivered", "certifications", "leads")

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential_id", String(1400), primary_key=True),
    Column("person", String(100), ForeignKey("people.person"), nullable=False),
    Column("key_id", String(64), nullable=False, unique=True),
    Column("public", Text, nullable=False),
    Column("label", String(100), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("added_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", String(300), primary_key=True),
    Column("subject", String(300), primary_key=True),
    Column("person", String(100), ForeignKey("people.person"), nullable=False, unique=True),
)

answers = Table(
    "answers",
    metadata,
    Column("person", String(100), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("asked", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Text, nullable=False),
    Column("at", String(32), nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("id", Big, primary_key=True),
    Column("person", String(100), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Index("readings_by_request", "request_id", "person"),
)
