"""Verbs about the record as proof: audit verify, audit export, audit keys, export-evidence."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import RefusedError
from daemon.lifecycle.codec import time_text
from daemon.output import writable
from daemon.record import (
    Checked,
    EvidenceChecked,
    TreeHead,
    check_evidence,
    check_export,
    own_key,
    pack,
    read_head,
    read_keys,
    write_export,
    write_keys,
)
from daemon.record.archive import is_archive
from daemon.record_figures import EXPORT

audit_app = typer.Typer(help="The hash chain of facts, and checking it elsewhere.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

Keys = Annotated[Path | None, typer.Option(help="Public keys, from `retrigger audit keys`.")]


@audit_app.command("verify")
def audit_verify(
    export: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help="An exported record, a folder of its parts, or a bundle's evidence."),
    ] = None,
    *,
    keys: Keys = None,
    head: Annotated[
        list[Path] | None, typer.Option("--head", help="A head, or another export, that was kept elsewhere.")
    ] = None,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Check the whole record here, or an export offline; exit 1 when anything was edited, dropped or reordered."""
    if export is None:
        with parts(config.load(config_file)) as ready:
            problems = ready.ledger.verify()
            end = ready.ledger.head()
            where = f"{ready.settings.ledger.url}, head {end.sequence} {end.hash[:16]}"
        _answer(where, problems, [] if problems else ["the chain holds"], json=json)
        return
    found = verified(export, keys, head or [])
    _answer(str(export), found.problems, _seen(found), json=json)


def verified(export: Path, keys: Path | None, heads: list[Path], *, tell: bool = False) -> Checked | EvidenceChecked:
    """Return what a check of an export or of a bundle's evidence finds.

    Raises:
        RefusedError: There is no such export, or no keys were given.
    """
    if not export.exists():
        raise RefusedError(f"{export} does not exist; give a record from `retrigger audit export`")
    if keys is None:
        raise RefusedError(
            "an export says nothing without the public keys that its signatures are checked with; give them with "
            "--keys (the daemon's host writes them with `retrigger audit keys`), from a source other than the export's"
        )
    known = read_keys(keys)
    kept: list[TreeHead] = [read_head(path, known) for path in heads]
    if export.is_file() and is_archive(export):
        return check_evidence(export, known, kept)
    return check_export(export, known, kept, tell=tell)


def _seen(found: Checked | EvidenceChecked) -> list[str]:
    if found.problems:
        return []
    if isinstance(found, Checked):
        end = f", the last at {time_text(found.last.at)}" if found.last else ""
        return [f"{found.facts} facts and {found.heads} signed heads hold{end}"]
    agreed = ", ".join(f"{person} as {role}" for person, role in found.approvals) or "nobody"
    return [
        f"bundle {found.bundle} with its statement, and {len(found.told)} facts of the record hold",
        f"approved by {agreed}",
        *found.notes,
    ]


def _answer(where: str, problems: list[str], seen: list[str], *, json: bool) -> None:
    if json:
        say.machine({"type": "audit", "where": where, "problems": list(problems), "seen": seen})
    else:
        say.words(f"{where}: {'; '.join(seen) if not problems else f'{len(problems)} problem(s)'}")
        for problem in problems:
            say.words(f"  {problem}")
    if problems:
        raise typer.Exit(say.BAD_VERDICT)


@audit_app.command("export")
def audit_export(
    out: Annotated[Path, typer.Argument(help="A JSON-lines file.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Write the whole record, closed by a signed head, to a file that verifies offline with public keys."""
    writable(out, "the record")
    settings = config.load(config_file)
    with parts(settings) as ready:
        head = write_export(ready.ledger, out, own_key(settings.record.key, "record"))
        ready.ledger.put_status(EXPORT, {"sequence": head.size}, utc_now())
    if json:
        say.machine({"type": "export", "file": str(out), "facts": head.size, "root": head.root, "hash": head.chain})
    else:
        say.words(f"Wrote {out}: {head.size} facts, Merkle root {head.root}.  Keep a copy somewhere else.")


@audit_app.command("keys")
def audit_keys(
    out: Annotated[Path, typer.Argument(help="Where the public keys go.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Write the daemon's public keys for those who check exports; the private ones are made if there are none."""
    writable(out, "the public keys")
    record = config.load(config_file).record
    keys = [own_key(record.key, "record").public, own_key(record.build_key, "build").public]
    write_keys(out, keys)
    if json:
        say.machine({"type": "keys", "file": str(out), "keys": {key.use: key.keyid for key in keys}})
    else:
        say.words(f"Wrote {out}: " + ", ".join(f"{key.use} {key.keyid[:16]}" for key in keys) + ".")


@app.command("export-evidence")
def export_evidence(
    digest: Annotated[str, typer.Argument(help="Of the bundle, or its beginning.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.tar", help="The archive.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Write everything about one bundle as one archive that `audit verify` checks elsewhere."""
    from retrain.bundle import load  # noqa: PLC0415 each verb pays for its own libraries

    writable(out, "the evidence of a bundle")
    settings = config.load(config_file)
    with parts(settings) as ready:
        known = {one.bundle_digest: one.bundle_path for one in ready.sight.candidates() if one.bundle_digest}
        chosen = [(whole, path) for whole, path in known.items() if whole.startswith(digest.lower())]
        if len(chosen) != 1 or not digest:
            raise RefusedError(
                f"{digest!r} is the digest of {len(chosen)} candidates' bundles, expected one; `retrigger candidates` "
                "lists them"
            )
        whole, path = chosen[0]
        policy = settings.policy.read_text("utf-8") if settings.policy else _shipped_policy()
        packed = pack(ready.ledger, load(Path(path), whole), policy, own_key(settings.record.key, "record"), out)
    if json:
        say.machine(
            {"type": "evidence", "file": str(out), "bundle": whole, "facts": packed.facts, "files": packed.files}
        )
    else:
        say.words(f"Wrote {out}: bundle {whole[:16]}, {packed.facts} facts, {packed.files} files.")


def _shipped_policy() -> str:
    return files("daemon").joinpath("policy.toml").read_text("utf-8")
