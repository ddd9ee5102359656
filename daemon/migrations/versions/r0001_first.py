"""The first ledger.

Written out by hand and never edited: a ledger made by this revision must be readable for ever.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("facts", "files", "outcomes", "redelivered", "certifications", "leads")
GENESIS = "0" * 64


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    _record(big)
    _intake(big)
    _running(big)
    _people()
    op.execute(
        sa.text("INSERT INTO head (id, sequence, hash, clock) VALUES (1, 0, :hash, '')").bindparams(hash=GENESIS)
    )
    for table in APPEND_ONLY:
        _refuse_edits(table)


def _record(big: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "facts",
        sa.Column("sequence", big, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
    )
    op.create_index("facts_by_subject", "facts", ["subject", "sequence"])
    op.create_index("facts_by_kind", "facts", ["kind", "sequence"])
    op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", big, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("clock", sa.String(32), nullable=False),
    )
    op.create_table(
        "leads",
        sa.Column("token", big, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )


def _intake(big: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "files",
        sa.Column("id", big, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("code", sa.String(60), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.UniqueConstraint("sha256", "path", "outcome", name="files_once_per_path"),
    )
    accepted = sa.text("outcome = 'accepted'")
    op.create_index(
        "files_taken_once",
        "files",
        ["sha256"],
        unique=True,
        sqlite_where=accepted,
        postgresql_where=accepted,
    )
    op.create_table(
        "outcomes",
        sa.Column("id", big, primary_key=True),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("lumisection", sa.BigInteger, nullable=False),
        sa.Column("result", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("fill", sa.BigInteger),
        sa.Column("pileup", sa.Float(53)),
        sa.Column("certified", sa.Boolean),
        sa.Column("events_path", sa.Text, nullable=False),
        sa.Column("events_sha256", sa.String(64), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.UniqueConstraint("stream", "run", "lumisection", name="outcomes_once"),
    )
    op.create_index("outcomes_by_file", "outcomes", ["file_sha256"])
    op.create_table(
        "redelivered",
        sa.Column("id", big, primary_key=True),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("lumisection", sa.BigInteger, nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("first_file_sha256", sa.String(64), nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.UniqueConstraint("stream", "run", "lumisection", "file_sha256", name="redelivered_once"),
    )
    op.create_table(
        "certifications",
        sa.Column("id", big, primary_key=True),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("lumisection", sa.BigInteger, nullable=False),
        sa.Column("certified", sa.Boolean, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_index("certifications_by_lumisection", "certifications", ["run", "lumisection", "id"])


def _running(big: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "watch_states",
        sa.Column("stream", sa.String(200), primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "work",
        sa.Column("id", big, primary_key=True),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("scheduled_for", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("not_before", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("token", big, nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("lease_until", sa.String(32)),
        sa.Column("closed_at", sa.String(32)),
        sa.Column("error", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "scheduled_for", name="work_once"),
    )
    op.create_index("work_open", "work", ["closed_at", "not_before"])
    op.create_table(
        "counters",
        sa.Column("topic", sa.String(40), primary_key=True),
        sa.Column("stream", sa.String(200), primary_key=True),
        sa.Column("label", sa.String(60), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "status",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("person", sa.String(100), primary_key=True),
        sa.Column("password_hash", sa.String(300), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.String(32)),
    )
    op.create_table(
        "logins",
        sa.Column("person", sa.String(100), sa.ForeignKey("people.person"), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.String(32)),
    )


def _refuse_edits(table: str) -> None:
    message = f"{table} is append-only: append a new row that says what changed"
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            body = f"BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            op.execute(sa.text(f"CREATE TRIGGER {table}_no_{verb.lower()} {body}"))
        return
    function = f"{table}_is_append_only"
    raising = f"BEGIN RAISE EXCEPTION '{message}'; END"
    op.execute(sa.text(f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$"))
    rows = f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    op.execute(sa.text(f"CREATE TRIGGER {table}_no_edit {rows}"))
    whole = f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    op.execute(sa.text(f"CREATE TRIGGER {table}_no_truncate {whole}"))
