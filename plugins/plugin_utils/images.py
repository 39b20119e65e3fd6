# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node's side of an image: which one a file holds, and which one a tag means right now."""

from __future__ import annotations

import itertools
import json
import os
import re
import tarfile
from urllib.error import HTTPError
from urllib.parse import urlencode

from ansible_collections.mainstay.vps.plugins.module_utils.stack.containers import REFERENCE
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError

TIMEOUT = 60
LARGEST = 4 << 20  # bytes of an archive's list of images, and of what it says of an entry
MOST_ENTRIES = 10_000  # an image has layers by the dozen
# Docker's registry is called by another name than the one its images have, and its login by yet another.
HOSTS = {"docker.io": "registry-1.docker.io"}
LOGINS = {"docker.io": "https://index.docker.io/v1/"}
LOGIN_FILES = ("$REGISTRY_AUTH_FILE", "$XDG_RUNTIME_DIR/containers/auth.json", "~/.config/containers/auth.json", "~/.docker/config.json")
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


# --- files ------------------------------------------------------------------------------------------------------------


class _Entry(tarfile.TarInfo):
    """An entry of an archive. What is said of one, such as a long name, is read whole, and may be packed to the thousandth part."""

    SAID = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in cls.SAID and entry.size > LARGEST:
            raise ValueError(f"{entry.size} bytes are said of one entry")
        return entry


def in_archive(path):
    """The kind of archive, as skopeo calls it, and the digest of the one image in it."""
    try:
        with tarfile.open(path, tarinfo=_Entry) as archive:
            entries = {entry.name: entry for entry in itertools.islice(archive, MOST_ENTRIES)}
            for kind, name in (("docker-archive", "manifest.json"), ("oci-archive", "index.json")):
                if name in entries:
                    return kind, _only_image(json.loads(archive.extractfile(entries[name]).read(LARGEST)), kind, path)
    except (tarfile.TarError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ReleaseError):
            raise
    raise ReleaseError(f"source.image: {path} cannot be used. It is no image as docker save and podman save write it.")


def _only_image(listed, kind, path):
    images = listed if kind == "docker-archive" else listed["manifests"]
    if len(images) != 1:
        raise ReleaseError(f"source.image: {path} cannot be used. It holds {len(images)} images; save one.")
    return re.search(r"[0-9a-f]{64}", images[0]["Config" if kind == "docker-archive" else "digest"])[0]


# --- registries -------------------------------------------------------------------------------------------------------


def login(image):
    """The header that carries what ``docker login`` or ``podman login`` has left on the control node for an image's registry."""
    registry = _registry(REFERENCE.fullmatch(image))
    for name in LOGIN_FILES:
        try:
            with open(os.path.expanduser(os.path.expandvars(name))) as file:
                known = json.load(file).get("auths", {})
        except (OSError, ValueError):
            continue
        for key in (registry, LOGINS.get(registry)):
            if known.get(key, {}).get("auth"):
                return f"Basic {known[key]['auth']}"
    return ""


def _registry(reference):
    return reference["registry"] + (reference["port"] or "")


def in_registry(image):
    """The digest of an image of a registry: the one declared, else the one its tag means at this moment."""
    reference = REFERENCE.fullmatch(image)
    if reference["digest"]:
        return reference["digest"]
    try:
        digest = _ask(reference, login(image))
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"source.image: {image} cannot be found from the control node: {error}. Check the name and the way there, log in there "
            "(docker login, podman login), or declare its digest (@sha256:…)."
        ) from None
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest or ""):
        raise ReleaseError(f"source.image: {image}: its registry names no digest. Declare it (@sha256:…).")
    return digest


def _ask(reference, authorization):
    registry = _registry(reference)
    scheme = "http" if reference["registry"] in ("localhost", "127.0.0.1") else "https"
    url = f"{scheme}://{HOSTS.get(registry, registry)}/v2/{reference['repository']}/manifests/{reference['tag']}"
    try:
        return _digest(url, authorization)
    except HTTPError as refusal:
        scheme, _blank, words = (refusal.headers.get("WWW-Authenticate") or "").partition(" ")
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', words))
        if refusal.code != 401 or scheme.lower() != "bearer" or "realm" not in challenge:
            raise
    return _digest(url, f"Bearer {_token(challenge, reference, authorization)}")


def _fetch(url, **options):
    """An answer over HTTP; what it takes is loaded when it is needed, a fifth of a second that every run would pay."""
    from ansible.module_utils.urls import open_url

    return open_url(url, timeout=TIMEOUT, http_agent="mainstay", **options)


def _digest(url, authorization):
    headers = {"Accept": MANIFESTS, **({"Authorization": authorization} if authorization else {})}
    with _fetch(url, method="HEAD", headers=headers) as answer:
        return answer.headers.get("Docker-Content-Digest")


def _token(challenge, reference, authorization):
    wanted = {"service": challenge.get("service", ""), "scope": f"repository:{reference['repository']}:pull"}
    headers = {"Authorization": authorization} if authorization else {}
    with _fetch(f"{challenge['realm']}?{urlencode(wanted)}", headers=headers) as answer:
        said = json.load(answer)
    return said.get("token") or said.get("access_token")
