"""The append-only record and everything the daemon remembers, on SQLite or PostgreSQL.

The only package that imports SQLAlchemy.  It stores and returns; it decides nothing.
"""

from daemon.ledger.accounts import Account
from daemon.ledger.chain import GENESIS, Head, StoredFact, check_record, link, stored
from daemon.ledger.counting import Figures
from daemon.ledger.history import History, history_of
from daemon.ledger.intake import FileTaken, FillSpan, Outcome, Overlap
from daemon.ledger.lead import Lead
from daemon.ledger.ledger import Ledger, StatusRow, each_fact
from daemon.ledger.offline import verify_export
from daemon.ledger.outbox import Delivery, Waiting
from daemon.ledger.work import Work

__all__ = [
    "GENESIS",
    "Account",
    "Delivery",
    "Figures",
    "FileTaken",
    "FillSpan",
    "Head",
    "History",
    "Lead",
    "Ledger",
    "Outcome",
    "Overlap",
    "StatusRow",
    "StoredFact",
    "Waiting",
    "Work",
    "check_record",
    "each_fact",
    "history_of",
    "link",
    "stored",
    "verify_export",
]
