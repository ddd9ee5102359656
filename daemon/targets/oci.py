"""An OCI registry as a target: one artifact a bundle, and one tag that says which of them runs.

Tag ``<digest>`` is a bundle, one layer with its archive; tag ``current`` is what the slot runs, with what it replaced
in its annotations; tags ``fence-<token>`` are the leads that wrote here.  A registry has no compare-and-swap: a daemon
that lost its lead in the very moment of writing is told so afterwards, and the next read-back shows what it wrote.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from jsonschema import ValidationError
from oras.provider import Registry
from requests.adapters import HTTPAdapter

from daemon.deploy import Verify, bundle_digest, fence, step_back, well_formed
from daemon.errors import DeployError, UntrustedError
from daemon.targets.archive import MOST_BYTES, Packed, believed, checked_archive, unpack

LAYER = "application/vnd.retrigger.bundle.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DIGEST_KEY, REPLACED_KEY, TOKEN_KEY = (f"ch.cern.retrigger.{word}" for word in ("digest", "replaced", "token"))
MOST_MANIFEST_BYTES = 1 << 20
WAYS_KEPT = 50
_BLOCK = 1 << 20
_FENCE = re.compile(r"fence-(\d{1,18})")


class _Impatient(HTTPAdapter):
    """Gives up on a registry that is silent for so long; oras would wait for ever."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def send(self, request: Any, **given: Any) -> requests.Response:  # type: ignore[override]  # passed on as it came
        return super().send(request, **{**given, "timeout": self._seconds})


class _OneTry(Registry):  # type: ignore[misc]  # oras ships no types
    """An oras registry that tries once: the loop tries again by itself, and must not sleep for minutes in between."""

    do_request = Registry.do_request.__wrapped__


class OciTarget:
    """A repository of an OCI registry; see `daemon.deploy.DeployTarget` for the contract."""

    def __init__(
        self,
        registry: str,
        repository: str,
        *,
        insecure: bool = False,
        timeout_s: float = 30.0,
        name: str | None = None,
        verify: Verify = bundle_digest,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Name a repository; nothing is asked yet.

        Args:
            registry: ``host:port``.
            repository: Path in it; one for each slot.
            insecure: Speak HTTP; for a registry on the same host.
            timeout_s: Longest silence of the registry.
            name: Of the target, as bound in requests; when None, made from the address.
            verify: Gives the digest of a bundle's folder.
            most_bytes: Longest archive that is fetched.
        """
        self._name = name or f"oci:{registry}/{repository}"
        self._at, self._verify, self._most = f"{registry}/{repository}", verify, most_bytes
        self._registry = _OneTry(registry, insecure=insecure)
        for scheme in ("http://", "https://"):
            self._registry.session.mount(scheme, _Impatient(timeout_s))

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`."""
        well_formed(digest)
        with self._speaking(f"deploy {digest[:16]}"):
            self._claim(token)
            before, running = self._ways(), self._running_or_nothing()
            if running == digest:
                return
            layer = self._stored(digest) or self._store(digest, bundle)
            if running:
                before.pop(digest, None)
                before[digest] = running
            self._point_at(digest, layer, before, token)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        with self._speaking("read back"):
            manifest = self._manifest("current")
            return "" if manifest is None else self._verified(manifest)

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        well_formed(digest)
        with self._speaking(f"roll back {digest[:16]}"):
            self._claim(token)
            ways = self._ways()
            before = ways.get(digest)
            layer = self._stored(before) if before else None
            if before and layer is None:
                raise DeployError(f"{self._name}: {before[:16]} was altered or is gone; deploy another digest")
            running = self._running_or_nothing()
            goal = step_back(self._name, running, digest, before)
            if running != goal and layer is not None:
                self._point_at(goal, layer, ways, token)
            return goal

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        with self._speaking("look for the way back"):
            manifest = self._manifest("current")
            before = None if manifest is None else self._ways().get(_word(manifest, DIGEST_KEY))
            return before if before and self._stored(before) else None

    # --- the registry ---

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, ValidationError, KeyError, TypeError) as error:
            raise DeployError(
                f"{self._name}: cannot {what}: {error}; see that the registry runs and lets this host in"
            ) from error

    def _claim(self, token: int) -> None:
        """Refuse an old token, and leave a newer one as a tag before anything is written."""
        newest = self._newest_token()
        fence(self._name, token, newest)
        if token > newest:
            self._put(f"fence-{token}", self._blob(b"{}", EMPTY), {TOKEN_KEY: str(token)})

    def _newest_token(self) -> int:
        with self._ask("tags/list") as answer:
            if answer.status_code == requests.codes.not_found:
                return 0
        tags = self._registry.get_tags(self._container("current"))
        return max((int(found[1]) for tag in tags if (found := _FENCE.fullmatch(tag))), default=0)

    def _container(self, tag: str) -> Any:
        return self._registry.get_container(f"{self._at}:{tag}")

    def _ask(self, path: str) -> requests.Response:
        container = self._container("current")
        url = f"{self._registry.prefix}://{container.registry}/v2/{container.api_prefix}/{path}"
        answer: requests.Response = self._registry.do_request(url, "GET", headers={"Accept": MANIFEST}, stream=True)
        if answer.status_code != requests.codes.ok:
            answer.close()
        if answer.status_code not in {requests.codes.ok, requests.codes.not_found}:
            raise ValueError(f"{url} answers {answer.status_code} {answer.reason}")
        return answer

    def _manifest(self, tag: str) -> Mapping[str, Any] | None:
        answer = self._ask(f"manifests/{tag}")
        if answer.status_code == requests.codes.not_found:
            return None
        body = b"".join(_limited(answer, MOST_MANIFEST_BYTES, f"the manifest {tag}"))
        found: Mapping[str, Any] = json.loads(body)
        return found

    def _running_or_nothing(self) -> str:
        """What runs, as far as it is whole; an altered artifact counts as nothing and is replaced."""
        try:
            return self.read_back()
        except UntrustedError:
            return ""

    def _ways(self) -> dict[str, str]:
        manifest = self._manifest("current")
        text = _word(manifest, REPLACED_KEY) if manifest else ""
        return {str(key): str(value) for key, value in json.loads(text or "{}").items()}

    def _verified(self, manifest: Mapping[str, Any]) -> str:
        """Fetch the archive that a manifest names and return the digest its bytes give."""
        named = _word(manifest, DIGEST_KEY)
        layers = manifest.get("layers", [])
        if len(layers) != 1 or layers[0].get("mediaType") != LAYER:
            raise UntrustedError(
                "odd_artifact", f"{self._name}: the artifact of {named[:16]} is not one bundle; deploy again"
            )
        with TemporaryDirectory(prefix="retrigger-oci-") as place:
            self._fetch(layers[0], Path(place) / "archive")
            unpack(Path(place) / "archive", Path(place) / "bundle", most_bytes=self._most)
            return believed(self._verify, Path(place) / "bundle", named, self._name, "the artifact says")

    def _fetch(self, layer: Mapping[str, Any], goal: Path) -> None:
        expected, size = str(layer["digest"]), int(layer["size"])
        if size > self._most:
            raise UntrustedError("endless", f"{self._name}: an archive of {size} B is announced, at most {self._most}")
        answer = self._ask(f"blobs/{expected}")
        if answer.status_code == requests.codes.not_found:
            raise UntrustedError("missing_part", f"{self._name}: the archive {expected[:23]} is gone; deploy again")
        hasher = hashlib.sha256()
        with goal.open("xb") as out:
            for block in _limited(answer, size, f"the archive {expected[:23]}"):
                hasher.update(block)
                out.write(block)
        if f"sha256:{hasher.hexdigest()}" != expected:
            raise UntrustedError(
                "altered", f"{self._name}: the archive {expected[:23]} was altered: its bytes give another digest"
            )

    def _stored(self, digest: str) -> Mapping[str, Any] | None:
        """Return the layer of a whole copy that is here already."""
        manifest = self._manifest(digest)
        try:
            if manifest is not None and self._verified(manifest) == digest:
                layer: Mapping[str, Any] = manifest["layers"][0]
                return layer
        except UntrustedError:
            return None
        return None

    def _store(self, digest: str, bundle: Path) -> Mapping[str, Any]:
        with checked_archive(self._verify, bundle, digest) as packed:
            layer = self._upload(packed, LAYER)
        self._put(digest, layer, {DIGEST_KEY: digest})
        if self._stored(digest) is None:
            raise DeployError(f"{self._name}: what was stored of {digest[:16]} does not read back; try again")
        return layer

    def _blob(self, body: bytes, kind: str) -> Mapping[str, Any]:
        with TemporaryDirectory(prefix="retrigger-oci-") as place:
            path = Path(place) / "blob"
            path.write_bytes(body)
            return self._upload(Packed(path, hashlib.sha256(body).hexdigest(), len(body)), kind)

    def _upload(self, packed: Packed, kind: str) -> Mapping[str, Any]:
        layer = {"mediaType": kind, "digest": f"sha256:{packed.sha256}", "size": packed.length}
        answer = self._registry.upload_blob(str(packed.path), self._container("current"), layer)
        if answer.status_code not in {requests.codes.ok, requests.codes.created, requests.codes.accepted}:
            raise ValueError(f"the registry answers {answer.status_code} {answer.reason} to an upload")
        return layer

    def _put(self, tag: str, layer: Mapping[str, Any], annotations: Mapping[str, str]) -> None:
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(b"{}", EMPTY),
            "layers": [dict(layer)],
            "annotations": dict(annotations),
        }
        answer = self._registry.upload_manifest(manifest, self._container(tag))
        if answer.status_code not in {requests.codes.ok, requests.codes.created, requests.codes.accepted}:
            raise ValueError(f"the registry answers {answer.status_code} {answer.reason} to the tag {tag[:16]}")

    def _point_at(self, digest: str, layer: Mapping[str, Any], ways: Mapping[str, str], token: int) -> None:
        kept = dict(list(ways.items())[-WAYS_KEPT:])
        said = {DIGEST_KEY: digest, REPLACED_KEY: json.dumps(kept), TOKEN_KEY: str(token)}
        fence(self._name, token, self._newest_token())
        self._put("current", layer, said)
        fence(self._name, token, self._newest_token())


def _word(manifest: Mapping[str, Any], key: str) -> str:
    return str((manifest.get("annotations") or {}).get(key, ""))


def _limited(answer: requests.Response, most: int, what: str) -> Iterator[bytes]:
    total = 0
    with answer:
        for block in answer.iter_content(_BLOCK):
            total += len(block)
            if total > most:
                raise UntrustedError("endless", f"{what} is longer than the {most} B it may have")
            yield block
