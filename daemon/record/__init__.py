"""The record outside the database: signed heads, exports, where bundles came from, and checking all of it offline.

Everything here reads facts and signs or checks texts about them; nothing here decides what may happen next.
"""

from daemon.record.checked import Checked, check_export, read_head
from daemon.record.evidence import pack
from daemon.record.evidence_check import EvidenceChecked, check_evidence
from daemon.record.heads import TreeHead
from daemon.record.keys import OwnKey, PublicKey, is_machine, own_key, public_half, read_keys, write_keys
from daemon.record.places import CommandPlace, FolderPlace, Place
from daemon.record.provenance import Provenance, statement_path
from daemon.record.shipping import Sent, Shipping, sent, short_name
from daemon.record.signing import Cadence, HeadSigner
from daemon.record.written import write_export

__all__ = [
    "Cadence",
    "Checked",
    "CommandPlace",
    "EvidenceChecked",
    "FolderPlace",
    "HeadSigner",
    "OwnKey",
    "Place",
    "Provenance",
    "PublicKey",
    "Sent",
    "Shipping",
    "TreeHead",
    "check_evidence",
    "check_export",
    "is_machine",
    "own_key",
    "pack",
    "public_half",
    "read_head",
    "read_keys",
    "sent",
    "short_name",
    "statement_path",
    "write_export",
    "write_keys",
]
