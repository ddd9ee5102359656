"""Verbs of the rules and of signing keys: policy show, sign, verify, keygen; people keygen, add-key, revoke-key."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import Me, PasswordStdin, authenticate, authenticate_root
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.record import people_app
from daemon.errors import RefusedError
from daemon.key_file import make_key, read_key
from daemon.lifecycle.codec import plain
from daemon.lifecycle.policy_signing import policy_statement, require_signed
from daemon.lifecycle.signing import key_id_of, sign
from daemon.policy_file import add_signature, load_policy, load_root_keys, load_signatures

policy_app = typer.Typer(help="The rules: who must agree, and who signed that.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")
PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, TOML.")]
OutFile = Annotated[Path, typer.Option("--out", help="Where the private key goes; keep it off every shared machine.")]


@policy_app.command("show")
def policy_show(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Show which policy is in force, who signed it, and what it asks for."""
    with parts(config.load(config_file)) as ready:
        rules, path = ready.rules, ready.settings.policy
    tiers = sorted(rules.policy.tiers.items())
    if json:
        told = {"version": rules.policy.version, "policy_id": rules.policy.id, "signers": list(rules.signers)}
        asked = {name: plain(one) for name, one in tiers}
        say.machine({"type": "policy", "file": str(path or ""), "warning": rules.warning, "tiers": asked, **told})
        return
    say.words(f"policy version {rules.policy.version}, {rules.policy.id}")
    say.words(f"  file     {path or 'the one that ships'}")
    say.words(f"  signed   {', '.join(rules.signers) or rules.warning}")
    for name, one in tiers:
        second = f"; again by {', '.join(one.confirm_roles)}" if one.confirm_roles else ""
        say.words(f"  tier {name}  {', '.join(one.roles)}, within {one.ttl_hours:g} h{second}")


@policy_app.command("sign")
def policy_sign(
    file: PolicyFile,
    *,
    key: Annotated[Path, typer.Option("--key", help="Your root key, as `policy keygen` made it.")],
    json: Json = False,
) -> None:
    """Sign these very rules with one root key; the signatures gather in FILE.sig."""
    policy = load_policy(file)
    signature = sign(read_key(key), policy_statement(policy))
    beside = add_signature(file, signature)
    if json:
        told = {"policy_id": policy.id, "version": policy.version, "key_id": signature.key_id, "file": str(beside)}
        say.machine({"type": "policy_signature", **told})
    else:
        say.words(f"version {policy.version}, {policy.id}: signed with {signature.key_id[:16]} into {beside}")


@policy_app.command("verify")
def policy_verify(
    file: PolicyFile,
    *,
    keys: Annotated[Path, typer.Option("--keys", help="The root keys: threshold and [[roots]].")],
    json: Json = False,
) -> None:
    """Check off line that enough root keys signed these very rules."""
    policy, roots = load_policy(file), load_root_keys(keys)
    names = require_signed(policy, load_signatures(file), roots)
    if json:
        told = {"policy_id": policy.id, "version": policy.version, "signers": list(names)}
        say.machine({"type": "policy_verified", "threshold": roots.threshold, **told})
    else:
        say.words(f"version {policy.version}, {policy.id}: signed by {', '.join(names)}; {roots.threshold} suffice")


@policy_app.command("keygen")
def policy_keygen(
    name: Annotated[str, typer.Option("--name", help="Who holds this root key.")], out: OutFile, *, json: Json = False
) -> None:
    """Make one root key and print its entry for the file of root keys."""
    public = make_key(out)
    if json:
        say.machine({"type": "root_key", "name": name, "public": public, "key_id": key_id_of(public)})
    else:
        say.words(f'[[roots]]\nname = "{name}"\npublic = "{public}"')


@people_app.command("keygen")
def people_keygen(out: OutFile, *, json: Json = False) -> None:
    """Make a person's signing key and print its public half, for `people add-key`."""
    public = make_key(out)
    if json:
        say.machine({"type": "signing_key", "public": public, "key_id": key_id_of(public)})
    else:
        say.words(public)


@people_app.command("add-key")
def people_add_key(
    name: str,
    *,
    public: Annotated[str, typer.Option("--public", help="As `people keygen` printed it.")],
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Let a key speak for a person; it takes somebody with the role root, and never that person alone."""
    with parts(config.load(config_file)) as ready:
        me = authenticate_root(ready, person, password_stdin=password_stdin, to="register keys")
        if me.name == name:
            raise RefusedError(f"{name} cannot register a key of their own; another root registers it")
        key = ready.people.add_key(name, public, by=me.name, now=utc_now())
    if json:
        say.machine({"type": "signing_key", "person": key.person, "key_id": key.key_id})
    else:
        say.words(f"{key.key_id} speaks for {key.person}.")


@people_app.command("revoke-key")
def people_revoke_key(
    key_id: Annotated[str, typer.Argument(help="The first characters of its id suffice.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="One sentence; it goes into the record.")],
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Take a key's voice for good: its owner may, and the role root; approvals signed with it go stale."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        theirs = [key for each, key in ready.people.keys().items() if each.startswith(key_id)]
        if "root" not in me.roles and any(key.person != me.name for key in theirs):
            raise RefusedError(f"{me.name} may revoke their own keys only; for others it takes the role root")
        key = ready.people.revoke_key(key_id, reason, by=me.name, now=utc_now())
    if json:
        say.machine({"type": "signing_key_revoked", "person": key.person, "key_id": key.key_id})
    else:
        say.words(f"{key.key_id} speaks for {key.person} no more.")
