"""Edit an exported record in every way we could think of, thousands of times, and count how many edits are found.

    python -m benchmarks.record_edits --edits 10000 --seed 1

Each edit is looked at offline, with public keys alone, once without and once with the head that was kept elsewhere.  A
record that was cut off at a head which the daemon itself once signed is whole in itself: only the kept head tells.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.ledger import GENESIS, Ledger, link
from daemon.lifecycle import HeadSigned
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical, digest, parse
from daemon.record import OwnKey, PublicKey, TreeHead, check_export, own_key, read_head, write_export
from daemon.record.heads import open_head, sign_head
from daemon.record.merkle import Tree
from daemon.record.signing import Cadence, HeadSigner

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Specimen:
    """A whole export, and what an attacker might have besides it.

    Attributes:
        lines: Of the export.
        keys: The public keys a reader has.
        kept: The head a reader kept elsewhere.
        strange: A record key of somebody else.
        build: The daemon's own key for bundles, which must not sign heads.
        foreign: Facts of another record, as lines.
    """

    lines: tuple[bytes, ...]
    keys: tuple[PublicKey, ...]
    kept: TreeHead
    strange: OwnKey
    build: OwnKey
    foreign: tuple[bytes, ...]


def specimen(folder: Path) -> Specimen:
    """Make a record of some sixty facts with signed heads among them, and export it."""
    record, strange, build = (
        own_key(folder / "record.pem", "record"),
        own_key(folder / "strange.pem", "record"),
        own_key(folder / "build.pem", "build"),
    )
    lines = _export(folder / "ours", record, "mila")
    foreign = _export(folder / "theirs", record, "nobody")
    keys = (record.public, build.public)
    return Specimen(lines, keys, read_head(folder / "ours.jsonl", keys), strange, build, foreign)


def _export(base: Path, key: OwnKey, who: str) -> tuple[bytes, ...]:
    with Ledger.open(f"sqlite:///{base}.db") as ledger:
        signer = HeadSigner(ledger, key, Cadence(facts=12, minutes=1e9))
        for number in range(52):
            at = NOON + timedelta(seconds=number)
            fact: f.Fact = f.Paused(at=at, actor=who, reason=f"access {number}")
            if number % 3 == 1:
                request = digest(number)
                fact = f.Approved(
                    at=at, actor=who, request_id=request, person=who, role="ml_expert", reason="looks right"
                )
            ledger.append("daemon" if number % 3 else f"c-{number:04d}", [fact])
            signer.step(at)
        write_export(ledger, base.with_suffix(".jsonl"), key)
    return tuple(base.with_suffix(".jsonl").read_bytes().splitlines(keepends=True))


Edit = Callable[[Specimen, random.Random], bytes]


def _place(spec: Specimen, rng: random.Random) -> int:
    return rng.randrange(len(spec.lines))


def _fact(spec: Specimen, rng: random.Random) -> int:
    return rng.randrange(1, len(spec.lines) - 1)


def flip_a_bit(spec: Specimen, rng: random.Random) -> bytes:
    """One bit of the file."""
    whole = bytearray(b"".join(spec.lines))
    whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return bytes(whole)


def overwrite_a_byte(spec: Specimen, rng: random.Random) -> bytes:
    """One byte becomes another."""
    whole = bytearray(b"".join(spec.lines))
    whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole)


def swap_lines(spec: Specimen, rng: random.Random) -> bytes:
    """Two lines change places."""
    lines, one, other = list(spec.lines), _place(spec, rng), _place(spec, rng)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def remove_lines(spec: Specimen, rng: random.Random) -> bytes:
    """One to three lines in a row are gone."""
    at = _place(spec, rng)
    return b"".join(spec.lines[:at] + spec.lines[at + rng.randint(1, 3) :])


def double_a_line(spec: Specimen, rng: random.Random) -> bytes:
    """A line stands twice, the second time anywhere after."""
    at = _place(spec, rng)
    again = rng.randint(at, len(spec.lines))
    return b"".join((*spec.lines[:again], spec.lines[at], *spec.lines[again:]))


def insert_a_strange_line(spec: Specimen, rng: random.Random) -> bytes:
    """A line of another record of the same daemon is put in, or takes a line's place."""
    at = _place(spec, rng)
    return b"".join((*spec.lines[:at], rng.choice(spec.foreign), *spec.lines[at + rng.randint(0, 1) :]))


def cut_the_end(spec: Specimen, rng: random.Random) -> bytes:
    """Bytes from the end are gone."""
    whole = b"".join(spec.lines)
    return whole[: rng.randrange(len(whole))]


def edit_a_field(spec: Specimen, rng: random.Random) -> bytes:
    """A fact says something else, its hash is left."""
    lines, at = list(spec.lines), _fact(spec, rng)
    lines[at] = canonical(_edited(parse(lines[at]), rng)) + b"\n"
    return b"".join(lines)


def add_a_field(spec: Specimen, rng: random.Random) -> bytes:
    """A line says something more than it should."""
    lines, at = list(spec.lines), _place(spec, rng)
    tree = parse(lines[at])
    inner = tree if at in range(1, len(lines) - 1) else next(iter(tree.values()))
    inner[rng.choice(["note", "a", "zz"])] = rng.choice([1, "x", None, []])
    lines[at] = canonical(tree) + b"\n"
    return b"".join(lines)


def edit_and_hash_one(spec: Specimen, rng: random.Random) -> bytes:
    """A fact says something else and gets its right hash; what follows is left."""
    lines, at = list(spec.lines), _fact(spec, rng)
    lines[at] = canonical(_hashed(_edited(parse(lines[at]), rng))) + b"\n"
    return b"".join(lines)


def edit_and_hash_all(spec: Specimen, rng: random.Random) -> bytes:
    """A fact says something else and the whole chain after it is hashed anew; the heads are left."""
    return b"".join((spec.lines[0], *_rewritten(spec, rng, None), spec.lines[-1]))


def edit_and_sign_anew(spec: Specimen, rng: random.Random) -> bytes:
    """As before, and every head is signed anew: with a strange key, or with the key for bundles."""
    key = rng.choice([spec.strange, spec.build])
    facts = _rewritten(spec, rng, key)
    told = parse(spec.lines[0])
    told["record"]["keys"] = [key.public.keyid]
    return b"".join((canonical(told) + b"\n", *facts, _closing(facts, key)))


def cut_and_sign_anew(spec: Specimen, rng: random.Random) -> bytes:
    """The end is cut off, and a strange key, or the one for bundles, closes it anew."""
    key = rng.choice([spec.strange, spec.build])
    facts = list(spec.lines[1 : _fact(spec, rng) + 1])
    return b"".join((spec.lines[0], *facts, _closing(facts, key)))


def cut_back_to_a_signed_head(spec: Specimen, rng: random.Random) -> bytes:
    """The end is cut off and closed by a head that the daemon signed at that size: whole in itself."""
    rows = [parse(line) for line in spec.lines[1:-1]]
    signed = [parse(row["body"]) for row in rows if row["kind"] == HeadSigned.kind]
    chosen = rng.choice(signed)
    return b"".join((*spec.lines[: chosen["size"] + 1], canonical({"head": chosen["envelope"]}) + b"\n"))


def exchange_the_head(spec: Specimen, rng: random.Random) -> bytes:
    """The last line is a head of another size, or of another record of the same daemon."""
    rows = [parse(line) for line in spec.lines[1:-1]]
    signed = [parse(row["body"])["envelope"] for row in rows if row["kind"] == HeadSigned.kind]
    other = rng.choice([*signed, parse(spec.foreign[-1])["head"]])
    return b"".join((*spec.lines[:-1], canonical({"head": other}) + b"\n"))


def edit_the_head(spec: Specimen, rng: random.Random) -> bytes:
    """The last line's envelope is another in one place, written as an envelope is."""
    tree = parse(spec.lines[-1])
    payload = json.dumps({"at": "2026-07-01T12:00:00.000000Z", "size": rng.randrange(99), "root": "0", "chain": "0"})
    envelope = tree["head"]
    (signature,) = envelope["signatures"]
    match rng.randrange(5):
        case 0:
            envelope["payload"] = sign_head(spec.kept, spec.strange)["signatures"][0]["sig"]
        case 1:
            envelope["payloadType"] = rng.choice(["application/json", "", "application/vnd.in-toto+json"])
        case 2:
            signature["keyid"] = rng.choice([spec.strange.public.keyid, spec.build.public.keyid, payload])
        case 3:
            envelope["signatures"] = rng.choice(
                [[], [signature, signature], sign_head(spec.kept, spec.strange)["signatures"]]
            )
        case _:
            signature["sig"] = rng.choice(
                ["", signature["sig"][:-4], signature["sig"][::-1], "A" + signature["sig"][1:]]
            )
    return b"".join((*spec.lines[:-1], canonical(tree) + b"\n"))


EDITS: tuple[Edit, ...] = (
    flip_a_bit,
    overwrite_a_byte,
    swap_lines,
    remove_lines,
    double_a_line,
    insert_a_strange_line,
    cut_the_end,
    edit_a_field,
    add_a_field,
    edit_and_hash_one,
    edit_and_hash_all,
    edit_and_sign_anew,
    cut_and_sign_anew,
    cut_back_to_a_signed_head,
    exchange_the_head,
    edit_the_head,
)


def _edited(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return the record with one thing about it changed."""
    body = parse(row["body"])
    match rng.randrange(4):
        case 0:
            body["actor"] = body["actor"] + "x"
        case 1:
            body["at"] = (
                datetime.fromisoformat(body["at"]) + timedelta(microseconds=rng.randint(1, 10**9))
            ).isoformat()
            body["at"] = body["at"].replace("+00:00", "Z")
        case 2:
            row["subject"] = row["subject"] + rng.choice("abc")
        case _:
            body["reason"] = f"reason {rng.random()}"
    row["body"] = canonical(body).decode()
    return row


def _hashed(row: dict[str, Any]) -> dict[str, Any]:
    row["hash"] = link(row["sequence"], row["subject"], parse(row["body"]), row["previous"])
    return row


def _rewritten(spec: Specimen, rng: random.Random, key: OwnKey | None) -> list[bytes]:
    """Return every fact after one was edited, hashed anew; with a key, heads among them are signed anew too."""
    rows = [parse(line) for line in spec.lines[1:-1]]
    at, previous, tree = rng.randrange(len(rows)), GENESIS, Tree()
    out: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        if number == at:
            _edited(row, rng)
        if key is not None and row["kind"] == HeadSigned.kind:
            body = parse(row["body"])
            old, _ = open_head(body["envelope"], spec.keys)
            head = TreeHead(size=old.size, root=tree.root(old.size).hex(), chain=out[old.size - 1]["hash"], at=old.at)
            proof = [one.hex() for one in tree.consistency(body["earlier"], old.size)]
            body |= {"root": head.root, "envelope": sign_head(head, key), "consistency": proof}
            row["body"] = canonical(body).decode()
        row["previous"] = previous
        previous = _hashed(row)["hash"]
        tree.add(bytes.fromhex(previous))
        out.append(row)
    return [canonical(row) + b"\n" for row in out]


def _closing(facts: list[bytes], key: OwnKey) -> bytes:
    hashes = [parse(line)["hash"] for line in facts]
    tree = Tree(bytes.fromhex(one) for one in hashes)
    head = TreeHead(size=len(tree), root=tree.root().hex(), chain=hashes[-1], at=NOON)
    return canonical({"head": sign_head(head, key)}) + b"\n"


@dataclass
class Tally:
    """Edits of each kind: how many were made, found by the export alone, and found with the kept head."""

    made: Counter[str]
    alone: Counter[str]
    found: Counter[str]
    missed: list[tuple[str, bytes]]


def campaign(spec: Specimen, edits: int, seed: int, scratch: Path) -> Tally:
    """Make so many edits, kind after kind, and check each one offline."""
    rng, tally = random.Random(seed), Tally(Counter(), Counter(), Counter(), [])
    whole = b"".join(spec.lines)
    while tally.made.total() < edits:
        edit = EDITS[tally.made.total() % len(EDITS)]
        changed = edit(spec, rng)
        if changed == whole:  # two equal lines changed places, or a byte became itself: no edit
            continue
        scratch.write_bytes(changed)
        tally.made[edit.__name__] += 1
        alone = bool(check_export(scratch, spec.keys).problems)
        tally.alone[edit.__name__] += alone
        if alone or check_export(scratch, spec.keys, [spec.kept]).problems:
            tally.found[edit.__name__] += 1
        else:
            tally.missed.append((edit.__name__, changed))
    return tally


def main() -> None:
    """Run the campaign and leave with 1 when an edit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        spec = specimen(Path(name))
        whole = Path(name) / "whole.jsonl"
        whole.write_bytes(b"".join(spec.lines))
        good = check_export(whole, spec.keys, [spec.kept])
        print(f"unedited: {good.facts} facts, {good.heads} heads, {len(good.problems)} problems")
        tally = campaign(spec, chosen.edits, chosen.seed, Path(name) / "edited.jsonl")
    for edit in EDITS:
        kind = edit.__name__
        print(
            f"{kind:28s} {tally.made[kind]:6d} made, {tally.alone[kind]:6d} found alone, {tally.found[kind]:6d} found"
        )
    print(
        f"seed {chosen.seed}: {tally.made.total()} edits, {tally.alone.total()} found by the export and public keys, "
        f"{tally.found.total()} with the head kept elsewhere, {len(tally.missed)} missed"
    )
    sys.exit(bool(tally.missed or good.problems))


if __name__ == "__main__":
    main()
