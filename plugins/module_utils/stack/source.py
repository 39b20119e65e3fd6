# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an app comes from: its declared ``source``, and the commands that build it."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

from .containers import IMAGE, usable
from .fields import Field, Items, Keys, Special, Text
from .refusal import exactly_one, mapping, refuse, text_of, texts_of
from .variables import ENV, env_of

# A package with one version, as PyPI and npm write it: datasette==1.0, @scope/name@1.0.0.
PACKAGES = {
    "python": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9.!+_-]+"),
    "node": re.compile(r"(@[a-z0-9._~-]+/)?[a-z0-9][a-z0-9._~-]*@\d[A-Za-z0-9.+-]*"),
}
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
ARCHIVE = re.compile(rf"[^?]*({'|'.join(map(re.escape, ARCHIVE_SUFFIXES))})(\?.*)?")
CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")
# A URL, or user@host:path; a path would be one of the control node's.
GIT = re.compile(r"[^./~\s].*")
# git would take what begins with a dash for an option.
VERSION = re.compile(r"[^-\s].*")


def path_below(value, where):
    """A relative path that stays below the folder it is relative to."""
    text = text_of(value, where)
    if text.startswith("/") or ".." in text.split("/"):
        refuse(where, value, "write a path relative to the app's folder, without '..'")
    return text


class PathBelow(Field):
    """Such a path."""

    def read(self, value, where):
        return path_below(value, where)


DIRECTORY = PathBelow(about="The folder of the source that the app is in, as in a monorepo.")
CHECKSUM_REMEDY = "give the archive's digest as sha256:<64 hexadecimal digits>"
# What belongs to each kind of source, besides the kind itself.
SOURCE_KEYS = {
    "path": Keys(
        {"path": Text(about="A folder of the control node, relative to the inventory, else to the playbook."), "directory": DIRECTORY},
        required=("path",),
    ),
    "git": Keys(
        {
            "git": Text(GIT, about="The repository's URL; a login in it stays on the control node."),
            "version": Text(VERSION, about="A tag, a branch or a commit, in quotes where it is a number."),
            "directory": DIRECTORY,
        },
        required=("git", "version"),
    ),
    "archive": Keys(
        {
            "archive": Text(ARCHIVE, about=f"A URL, or a file of the control node, whose name ends in {', '.join(ARCHIVE_SUFFIXES)}."),
            "checksum": Text(CHECKSUM, CHECKSUM_REMEDY, about="The archive's digest, as sha256sum prints it after sha256:"),
            "directory": DIRECTORY,
        },
        required=("archive", "checksum"),
    ),
    "package": Keys(
        {
            "package": Text(about="A package of PyPI with its version, datasette==1.0, or of npm, http-server@14.1.1."),
            "requirements": Items(Text(), about="Further packages beside it, such as gunicorn==23.0.0."),
        },
        required=("package",),
    ),
    "image": Keys(
        {"image": Text(IMAGE, about="A registry's image with a tag or a digest, or a file that docker save wrote.")},
        required=("image",),
    ),
}
SOURCES = tuple(SOURCE_KEYS)
EXTRAS = ("version", "checksum", "directory", "requirements")
BUILD_KEYS = Keys(
    {"command": Text(about="The command, run in the new release."), "env": ENV},
    required=("command",),
)
BUILD = Items(Special(Text(), BUILD_KEYS))


def source_of(value, where="source", runtime=None):
    """The source with its kind: exactly one of :data:`SOURCES`, with what belongs to it. The result is accepted, too.

    Without a ``runtime`` it is not asked whether that one takes such a source.
    """
    mapping(value, where, ("kind", *SOURCES, *EXTRAS))
    kind = exactly_one(value, where, SOURCES)
    if value.get("kind", kind) != kind:
        refuse(where, value, f"name exactly one of {', '.join(SOURCES)}")
    source = {"kind": kind, kind: text_of(value[kind], f"{where}.{kind}")}
    shown = split_credentials(source[kind])[0]
    if runtime and (kind == "image") != (runtime == "container"):
        refuse(f"{where}.{kind}", shown, "runtime: container takes source: {image: …}, and no other runtime does")
    if kind == "git":
        if not GIT.fullmatch(source["git"]):
            remedy = (
                f"hosts fetch it themselves and see no folder of the control node: write source: {{path: {shown}}} for what is in it, a URL "
                "that they reach, or file:///… for a repository that they have"
            )
            refuse(f"{where}.git", shown, remedy)
        remedy = f"pin a tag, a branch or a commit of {shown}, in quotes; a deploy without a version is a surprise"
        source["version"] = text_of(value.get("version"), f"{where}.version", VERSION, remedy)
    if kind == "archive":
        source["checksum"] = SOURCE_KEYS[kind].take(value, where, "checksum")
        if not ARCHIVE.fullmatch(source[kind]):
            refuse(f"{where}.archive", shown, f"its name must end in {', '.join(ARCHIVE_SUFFIXES)}")
    if kind == "package" and runtime:
        if runtime not in PACKAGES:
            refuse(f"{where}.package", value[kind], "only runtime: python (PyPI) and runtime: node (npm) have packages")
        example = "datasette==1.0" if runtime == "python" else "http-server@14.1.1"
        text_of(value[kind], f"{where}.package", PACKAGES[runtime], f"pin one version, such as {example}")
        for index, item in enumerate(texts_of(value.get("requirements", []), f"{where}.requirements")):
            text_of(item, f"{where}.requirements[{index}]", PACKAGES[runtime], f"pin one version, such as {example}")
    if kind == "package" and value.get("requirements"):
        source["requirements"] = list(value["requirements"])
    if kind == "image" and not usable(source[kind]):
        remedy = (
            "name registry, repository and tag or digest, such as docker.io/library/httpd:2.4, or a file on the control node that "
            "docker save or podman save wrote, such as build/shop.tar"
        )
        refuse(f"{where}.image", value[kind], remedy)
    if value.get("directory") and kind in ("path", "git", "archive"):
        source["directory"] = path_below(value["directory"], f"{where}.directory").strip("/")
    for key in EXTRAS:
        if value.get(key) and key not in source:
            refuse(f"{where}.{key}", value[key], f"it has no meaning for a source of kind {kind}; remove it")
    return source


def build_steps(value, where, known):
    """The commands of a build, each with the variables it declares; those may refer to the app's ``known`` ones."""
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        refuse(where, value, "write a list of commands")
    items = []
    for index, item in enumerate(value):
        place = f"{where}[{index}]"
        item = build_item(text_of(item, place) if isinstance(item, str) else item)
        BUILD_KEYS.checked(item, place)
        env = env_of(item["env"], f"{place}.env", known)
        items.append({"command": text_of(item["command"], f"{place}.command"), "env": env})
    return items


def is_url(text):
    return re.match(r"[a-z]+://", text) is not None


def build_item(item):
    """A command of a build with the variables it declares; a mere text declares none."""
    return {"command": item, "env": {}} if isinstance(item, str) else {"env": {}, **item}


def split_credentials(url):
    """A web URL without its credentials, and the header that carries them; lists and logs show the first only."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.username:
        return url, ""
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, "Basic " + base64.b64encode(credentials.encode()).decode()
