"""The page where people see what runs, why a candidate exists and what speaks against it, and say yes or no.

It meets the daemon only in the ledger.  It writes facts, each through `daemon.decisions`, and nothing else; while it is
down, nobody can approve on it and everything that runs goes on.
"""

from daemon.web.app import create_app
from daemon.web.serve import serve_page

__all__ = ["create_app", "serve_page"]
