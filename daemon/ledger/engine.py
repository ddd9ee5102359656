"""How a database is opened so that what was acknowledged stays.

SQLite: write-ahead log, ``synchronous=FULL``, and writers that take the lock when they begin.  PostgreSQL: psycopg 3.
Both are brought to the newest schema here, and a ledger from a newer retrigger is refused untouched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from daemon.errors import LedgerError, NewerSchemaError

MIGRATION_LOCK = 0x7265_7472  # "retr": the advisory lock under which PostgreSQL is migrated
BUSY_SECONDS = 30


def connect(url: str) -> Engine:
    """Return an engine on this URL at the newest schema.

    Args:
        url: ``sqlite:////path/to/ledger.sqlite`` or ``postgresql://user:password@host/name``.

    Raises:
        LedgerError: The URL names no database that retrigger can use, or it cannot be reached.
        NewerSchemaError: A newer retrigger wrote it.
    """
    address = _address(url)
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        _migrate(engine)
    except NewerSchemaError:
        engine.dispose()
        raise
    except (DBAPIError, LedgerError) as error:
        engine.dispose()
        shown, why = address.render_as_string(hide_password=True), getattr(error, "orig", error)
        raise LedgerError(f"cannot open the ledger {shown}: {why}; check path, rights and server") from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that holds the write lock from its first statement."""
    with (
        _speaking("write"),
        engine.connect().execution_options(retrigger_write=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that sees one state of the ledger throughout."""
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with _speaking("read"), engine.connect().execution_options(**level) as connection, connection.begin():
        yield connection


@contextmanager
def _speaking(what: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise LedgerError(
            f"cannot {what} the ledger: {error.orig}; nothing was changed, check space, rights and server"
        ) from error


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise LedgerError(
            f"{url!r} is no database URL; write sqlite:////path/ledger.sqlite or postgresql://…"
        ) from error
    if address.get_backend_name() == "sqlite":
        if not address.database or address.database == ":memory:":
            raise LedgerError("a ledger in memory would forget; write sqlite:////path/to/ledger.sqlite")
        return address.set(drivername="sqlite+pysqlite")
    if address.get_backend_name() in {"postgresql", "postgres"}:
        return address.set(drivername="postgresql+psycopg")
    raise LedgerError(f"{address.get_backend_name()} is no database retrigger uses; take sqlite or postgresql")


def _sqlite(address: URL) -> Engine:
    engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS}000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("retrigger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql(address: URL) -> Engine:
    try:
        return create_engine(address, pool_pre_ping=True, isolation_level="READ COMMITTED")
    except (ImportError, NoSuchModuleError) as error:
        raise LedgerError("PostgreSQL needs psycopg 3; install psycopg[binary]") from error


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("daemon").joinpath("migrations")))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    with reading(engine) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise NewerSchemaError(
            f"the ledger has schema {found}, this retrigger knows up to {newest}; run the newer retrigger that wrote it"
        )
    if found == newest:
        return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        upgrade(config, "head")
