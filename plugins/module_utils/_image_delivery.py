# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing the runner image to where Pods run: through a registry, or straight into the nodes' containerd.

An engine answers a push with success whatever happens, and says in the stream what went wrong; so every piece of that
is read. An image that was brought to a node has no digest there, and is known by the hash of its configuration.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import typing as t
from http import HTTPStatus
from pathlib import Path

from ._docker import engine_faults, quoted
from ._progress import printable

try:
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    APIError = DockerException = ImageNotFound = RequestException = ImportError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ._caller import Caller

# Where the kubelet's images live in containerd.
CTR = ("ctr", "--namespace=k8s.io")
KIND_CLUSTER = "io.x-k8s.kind.cluster"
KIND_ROLE = "io.x-k8s.kind.role"
# In a kind node /tmp is mounted over: what is put there from outside is not seen inside.
KIND_FOLDER = "/root"
ARCHIVE = "rightsize-whisper-runner.tar"
CTR_SECONDS = 1800
MEBIBYTE = 2**20

Run = t.Callable[[t.Sequence[str]], bytes]


class DeliveryError(Exception):
    """The image did not get there; `kind` is for programs, the message for a person."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Delivered(t.NamedTuple):
    """How Pods get the image: by which name, how it is known there, and whether a registry may be asked for it."""

    image: str
    image_ids: t.List[str]
    pull_policy: str
    changed: bool
    nodes: t.List[str]


@contextlib.contextmanager
def delivery_faults() -> Iterator[None]:
    """Say what an error of the engine, of its client or of this machine means for the delivery."""
    try:
        with engine_faults(DeliveryError):
            yield
    except DockerException as error:
        raise DeliveryError(
            "bad_usage",
            f"the Docker client refused: {quoted(error)}; mend image, repository, or ~/.docker/config.json on this host",
        ) from error
    except OSError as error:
        words = quoted(error.strerror or error)
        raise DeliveryError("archive", f"cannot keep the image on this host: {words}; free some space") from error


def find_image(client: t.Any, name: str) -> t.Any:
    try:
        return client.images.get(name)
    except ImageNotFound as error:
        raise DeliveryError(
            "image_missing", f"the engine has no image {name}; build it with role runner_image"
        ) from error


def share(image: t.Any, name: str) -> Delivered:
    """The kubelet uses the engine that built the image."""
    return Delivered(name, _hashes(image), "Never", False, [])


def push(
    image: t.Any, name: str, repository: str, credentials: t.Optional[t.Dict[str, str]], caller: Caller, check: bool
) -> Delivered:
    """Push the image to a registry, unless that has it; it is then pulled by its digest, which cannot be moved."""
    api = image.client.api
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else "latest"
    there = _digest_in_registry(api, f"{repository}:{tag}", credentials)
    ours = [digest for digest in image.attrs.get("RepoDigests") or [] if digest.startswith(f"{repository}@")]
    known = next((digest for digest in ours if there and digest.endswith(there)), None)
    if known or check:
        return Delivered(known or f"{repository}:{tag}", _hashes(image), "IfNotPresent", not known, [])
    image.tag(repository, tag)
    digest = ""
    for event in api.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials):
        caller.check()
        if "error" in event or "errorDetail" in event:
            raise DeliveryError("push", _refusal(repository, _error_of(event)))
        digest = (event.get("aux") or {}).get("Digest") or digest
        progress = event.get("progressDetail") or {}
        if progress.get("total"):
            caller.say(
                f"pushing to {repository}: layer {event.get('id')}, "
                f"{progress.get('current', 0) // MEBIBYTE} of {progress['total'] // MEBIBYTE} MiB"
            )
    if not digest:
        raise DeliveryError("push", f"the registry took {repository}:{tag} but named no digest; look into its log")
    return Delivered(f"{repository}@{digest}", [digest, *_hashes(image)], "IfNotPresent", True, [])


def save(image: t.Any, name: str, path: Path, caller: Caller) -> None:
    """Write the image into an archive, as `docker save` does."""
    size = 0
    try:
        with path.open("wb") as file:
            for piece in image.save(named=name if image.tags else False):
                caller.check()
                file.write(piece)
                size += len(piece)
                caller.say(f"saving the image, {size // MEBIBYTE} MiB")
    except RequestException:
        # An OSError too, but the engine's.
        raise
    except OSError as error:
        raise DeliveryError(
            "archive", f"cannot write the image to {path}: {error.strerror}; free some space"
        ) from error


@contextlib.contextmanager
def archived(image: t.Any, name: str, caller: Caller) -> Iterator[Path]:
    """The image in a temporary archive."""
    folder = Path(tempfile.mkdtemp(prefix="rightsize-whisper-image-"))
    try:
        save(image, name, folder / ARCHIVE, caller)
        yield folder / ARCHIVE
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_into_kind(client: t.Any, image: t.Any, name: str, cluster: str, caller: Caller, check: bool) -> Delivered:
    """Import the image on every node of a kind cluster that runs on the same engine."""
    nodes = [
        node
        for node in client.containers.list(filters={"label": f"{KIND_CLUSTER}={cluster}"})
        if node.labels.get(KIND_ROLE) != "external-load-balancer"
    ]
    if not nodes:
        raise DeliveryError("no_nodes", f"no node of a kind cluster {cluster!r} runs on this engine; name the cluster")
    lacking = [node for node in nodes if not _has(_runner_in(node), name, _hashes(image))]
    if lacking and not check:
        with archived(image, name, caller) as archive:
            for node in lacking:
                caller.say(f"importing the image on {node.name}")
                _import_in_kind(node, archive)
    names = [node.name for node in nodes]
    return Delivered(name, _hashes(image), "Never", bool(lacking), names)


def load_into_containerd(archive: Path, address: t.Optional[str], caller: Caller, check: bool) -> Delivered:
    """Import an archive of the image into the containerd of this host."""
    name, image_id = described(archive)
    run = _runner_here(address)
    has = _has(run, name, [image_id])
    if not has and not check:
        caller.say("importing the image into containerd")
        run(["images", "import", str(archive)])
        if not _has(run, name, [image_id]):
            raise DeliveryError("ctr", f"containerd imported {archive} but does not have {name} as {image_id} now")
    return Delivered(name, [image_id], "Never", not has, [])


def described(archive: Path) -> t.Tuple[str, str]:
    """The name and the hash of the image in an archive that `docker save` wrote."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            if member is None:
                raise ValueError("manifest.json is no file")
            [entry] = json.load(member)
            # A file name of old engines (HASH.json) or a path of new ones (blobs/sha256/HASH).
            image_id = "sha256:" + Path(entry["Config"]).stem
            return entry["RepoTags"][0], image_id
    except OSError as error:
        raise DeliveryError("archive", f"cannot read the image in {archive}: {error.strerror}") from error
    except (tarfile.TarError, KeyError, ValueError, TypeError, IndexError) as error:
        raise DeliveryError(
            "archive", f"{archive} is no archive of one named image as `docker save` writes it"
        ) from error


def full_name(name: str) -> str:
    """The name with the registry and the folder that an engine leaves out."""
    registry, slash, _rest = name.partition("/")
    if slash and ("." in registry or ":" in registry or registry == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _hashes(image: t.Any) -> t.List[str]:
    """Every hash by which a node may call the image."""
    digests = [digest.rpartition("@")[2] for digest in image.attrs.get("RepoDigests") or []]
    return list(dict.fromkeys([*digests, image.id]))


def _digest_in_registry(api: t.Any, reference: str, credentials: t.Optional[t.Dict[str, str]]) -> t.Optional[str]:
    """The digest that the registry has under this name; None where it has none or does not tell."""
    try:
        found = api.inspect_distribution(reference, auth_config=credentials)
    except APIError as error:
        # The engine itself refuses what can be no name, so that no push could succeed either.
        if error.status_code == HTTPStatus.BAD_REQUEST:
            raise
        return None
    return t.cast("t.Optional[str]", found["Descriptor"]["digest"])


def _error_of(event: t.Dict[str, t.Any]) -> str:
    detail = event.get("errorDetail")
    return str(event.get("error") or (detail.get("message") if isinstance(detail, dict) else detail))


def _refusal(repository: str, words: str) -> str:
    said = printable(" ".join(words.split()))[:500]
    lowered = said.lower()
    if any(word in lowered for word in ("unauthorized", "denied", "authentication", "no basic auth")):
        return f"the registry refused the push to {repository} ({said}); log in to it, or give username and password"
    return f"the push to {repository} failed ({said})"


def _has(run: Run, name: str, hashes: t.List[str]) -> bool:
    """Whether containerd has the image under its name, as the very one."""
    for line in run(["images", "list", f"name=={full_name(name)}"]).decode("utf-8", "replace").splitlines()[1:]:
        digest = next((word for word in line.split() if word.startswith("sha256:")), None)
        if digest is not None:
            return bool({digest, _config_of(run, digest)}.intersection(hashes))
    return False


def _config_of(run: Run, digest: str) -> t.Optional[str]:
    """The hash of the configuration that a manifest names."""
    try:
        manifest = json.loads(run(["content", "get", digest]))
        return t.cast("t.Optional[str]", (manifest.get("config") or {}).get("digest"))
    except (ValueError, AttributeError):
        return None


def _runner_here(address: t.Optional[str]) -> Run:
    def run(arguments: t.Sequence[str]) -> bytes:
        command = [*CTR, *([f"--address={address}"] if address else []), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=CTR_SECONDS)
        except OSError as error:
            raise DeliveryError(
                "ctr", f"cannot run ctr on this host: {error.strerror}; deliver on the nodes"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DeliveryError("ctr", f"ctr did not end within {CTR_SECONDS} s; look after containerd") from error
        if done.returncode:
            raise _ctr_failed("this host", done.stderr)
        return done.stdout

    return run


def _runner_in(node: t.Any) -> Run:
    def run(arguments: t.Sequence[str]) -> bytes:
        code, (out, err) = node.exec_run([*CTR, *arguments], demux=True)
        if code:
            raise _ctr_failed(node.name, err or out or b"")
        return out or b""

    return run


def _import_in_kind(node: t.Any, archive: Path) -> None:
    # The tar that the engine unpacks in the node, around the archive that stays one file.
    with tempfile.TemporaryFile(dir=archive.parent) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(archive, ARCHIVE)
        file.seek(0)
        node.put_archive(KIND_FOLDER, t.cast(io.BufferedReader, file))
    try:
        _runner_in(node)(["images", "import", f"{KIND_FOLDER}/{ARCHIVE}"])
    finally:
        node.exec_run(["rm", "-f", f"{KIND_FOLDER}/{ARCHIVE}"])


def _ctr_failed(where: str, words: bytes) -> DeliveryError:
    said = printable(" ".join(words.decode("utf-8", "replace").split()))[-400:]
    return DeliveryError("ctr", f"ctr failed on {where}: {said}")
