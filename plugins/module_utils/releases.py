# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what identifies one, what builds one, what confines a build, and which ones may go. Decisions only, no effects."""
from __future__ import annotations

import base64
import hashlib
import json
import re
from urllib.parse import unquote, urlsplit, urlunsplit

COMPLETE = ".complete"
MIGRATED = ".migrated"
FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")

# Never part of a release: history, and what a build makes anew on the host.
EXCLUDED_NAMES = frozenset((
    ".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".DS_Store",
))
EXCLUDED_SUFFIXES = (".pyc", ".pyo")

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
SUPPORTED = ("path", "git", "archive")

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
UV_HOME = "/opt/mainstay/uv"


class ReleaseError(ValueError):
    """A release that cannot be made; the message says what to change."""


# --- identity -------------------------------------------------------------------------------------------------------------

def excluded(name):
    """Whether a path relative to the source stays behind."""
    return name.endswith(EXCLUDED_SUFFIXES) or not EXCLUDED_NAMES.isdisjoint(name.split("/"))


def source_of(source):
    """The source with its kind: exactly one of the supported ones, with what belongs to it."""
    if not isinstance(source, dict):
        raise ReleaseError(f"source: {source!r} cannot be used. Write a mapping such as {{path: ../shop}}.")
    kinds = [key for key in source if key in ("path", "git", "archive", "package", "image")]
    if len(kinds) != 1 or kinds[0] not in SUPPORTED:
        raise ReleaseError(f"source: {', '.join(kinds) or 'nothing'} cannot be used. Name exactly one of {', '.join(SUPPORTED)}.")
    kind, version, checksum = kinds[0], source.get("version"), source.get("checksum")
    if not isinstance(source[kind], str) or not source[kind]:
        raise ReleaseError(f"source.{kind}: {source[kind]!r} cannot be used. Write a text.")
    shown = split_credentials(source[kind])[0]
    if kind == "git" and (not isinstance(version, str) or not version or version.startswith("-")):
        raise ReleaseError(f"source.version: {version!r} cannot be used for {shown}. Pin a tag, a branch or a commit, in quotes.")
    if kind == "archive" and not (isinstance(checksum, str) and CHECKSUM.fullmatch(checksum)):
        raise ReleaseError(f"source.checksum: {checksum!r} cannot be used. Give sha256:<64 hexadecimal digits>.")
    if kind == "archive" and not source[kind].split("?")[0].endswith(ARCHIVE_SUFFIXES):
        raise ReleaseError(f"source.archive: {shown!r} cannot be used. Its name must end in {', '.join(ARCHIVE_SUFFIXES)}.")
    return {**source, "kind": kind}


def is_url(text):
    return re.match(r"[a-z]+://", text) is not None


def release_id(digest, runtime="python", build=()):
    """Twelve digits of what the source is; a recipe other than the plain Python one adds six more of what is done with it."""
    if runtime == "python" and not build:
        return digest[:12]
    recipe = json.dumps([runtime, list(build)])
    return f"{digest[:12]}-{hashlib.sha256(recipe.encode()).hexdigest()[:6]}"


class TreeDigest:
    """The digest of a tree: relative names, whether a file may be executed, contents and link targets, in sorted order."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def _entry(self, kind, name, content):
        for part in (kind, name.encode(errors="surrogateescape"), content):
            self._hash.update(b"%d:" % len(part) + part)

    def file(self, name, executable, content):
        self._entry(b"x" if executable else b"f", name, content)

    def link(self, name, target):
        self._entry(b"l", name, target.encode(errors="surrogateescape"))

    def hexdigest(self):
        return self._hash.hexdigest()


def modified(digest):
    """A time for all files of a release: the same for the same content, another one for another content.

    A constant would let a web server call a changed file of the same size unchanged.
    """
    return 1_000_000_000 + int(digest[:7], 16)


def commit_of(listing, version):
    """The commit a version means, out of what ``git ls-remote`` lists; an annotated tag means the commit behind it."""
    found = {}
    for line in listing.splitlines():
        commit, tab, ref = line.partition("\t")
        if tab and FULL_COMMIT.fullmatch(commit):
            found[ref] = commit
    for ref in (f"refs/tags/{version}^{{}}", f"refs/tags/{version}", f"refs/heads/{version}", version):
        if ref in found:
            return found[ref]
    return None


def git_patterns(version):
    return [f"refs/tags/{version}", f"refs/tags/{version}^{{}}", f"refs/heads/{version}", version]


def split_credentials(url):
    """A web URL without its credentials, and the header that carries them; a process list and a log show the first only."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.username:
        return url, ""
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, "Basic " + base64.b64encode(credentials.encode()).decode()


def git_credentials(authorization):
    """The environment that gives git the credentials of a URL."""
    if not authorization:
        return {}
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": f"Authorization: {authorization}"}


# --- retention ------------------------------------------------------------------------------------------------------------

def expired(complete, keep, protected):
    """The releases beyond the newest ``keep``, oldest first; those in ``protected`` stay whatever their age.

    ``complete`` maps each complete release to the time it was completed.
    """
    newest = sorted(complete, key=lambda name: (complete[name], name), reverse=True)
    return [name for name in reversed(newest[keep:]) if name not in protected]


# --- environment files ----------------------------------------------------------------------------------------------------

def env_line(name, value):
    """One line of an environment file as systemd and a POSIX shell read it alike."""
    text = str(value)
    bad = sorted({character for character in text if character < " " and character not in "\t\n"} | ({"\x7f"} & set(text)))
    if bad:
        raise ReleaseError(f"{name}: its value holds the control character {bad[0]!r}, which systemd drops silently. Remove it, or encode "
                           "the value (base64).")
    return '{}="{}"'.format(name, re.sub(r'(["\\`$])', r"\\\1", text))


def env_text(variables):
    return "".join(env_line(name, variables[name]) + "\n" for name in sorted(variables))


def mask(text, secrets):
    """The text without any of the secrets, and without the password of any URL."""
    for secret in sorted((item for item in secrets if len(item) >= 6), key=len, reverse=True):
        text = text.replace(secret, "********")
    return re.sub(r"(\w://[^\s:/@]*:)[^\s/@]+@", r"\1********@", text)


# --- confinement ----------------------------------------------------------------------------------------------------------

# What holds for every command of a build or a migration, whatever it is.
CONFINEMENT = (
    "NoNewPrivileges=yes", "CapabilityBoundingSet=", "PrivateTmp=yes", "PrivateDevices=yes", "ProtectSystem=strict", "ProtectHome=yes",
    "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes", "RestrictSUIDSGID=yes", "RestrictRealtime=yes",
    "LockPersonality=yes", "OOMPolicy=kill", "OOMScoreAdjust=500", "CPUWeight=50", "IOWeight=50", "Nice=5",
)


def confined(unit, user, directory, writable, env_file, command, memory_max_mb, timeout, properties=("UMask=0022",)):
    """The command line that runs one command of a build as the app's user in a transient unit.

    The environment comes from a file only root can read: a command line is in every process list, and ``Environment=`` of a unit
    is shown to everybody.
    """
    wanted = [
        f"User={user}", f"Group={user}", f"WorkingDirectory={directory}", f"ReadWritePaths={' '.join(writable)}",
        f"EnvironmentFile={env_file}", f"MemoryMax={memory_max_mb}M", "TasksMax=1024", f"RuntimeMaxSec={timeout}", *CONFINEMENT, *properties,
    ]
    argv = ["systemd-run", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    argv += [f"--property={item}" for item in wanted]
    proven = ["/bin/sh", "-c", f'"$@" && printf "\\n%s\\n" "{ENDED_WELL}"', "sh", *command]
    # systemd itself would expand a variable in the command; that is the shell's part, which knows quotes.
    return [*argv, "--", *(word.replace("$", "$$") for word in proven)]


# systemd-run calls a unit that somebody stopped a success, so a command proves its own end with a last line.
KILLED = 128 + 9
ENDED_WELL = "mainstay: ended well"
RUNNER_LINES = re.compile(
    r"(Running as unit: |Press \^\] three times|Finished with result: |Main processes terminated with: |"
    r"Service runtime: |CPU time consumed: |Memory peak: |Memory swap peak: |IO Bytes |IP traffic ).*"
)


def outcome(output, returncode):
    """What the command itself printed, and how it ended: ``success``, ``stopped``, or systemd's word such as ``signal``."""
    words, result, ended_well = [], "exit-code", False
    for line in output.splitlines():
        if line == ENDED_WELL:
            ended_well = True
        elif RUNNER_LINES.match(line):
            result = line.partition("Finished with result: ")[2] or result
        else:
            words.append(line)
    if returncode == 0:
        result = "success" if ended_well else "stopped"
    return words, result


def failure(what, returncode, result, memory_max_mb, timeout):
    """Why a command failed, in words, with the remedy where there is a known one."""
    if result == "stopped":
        return f"{what} was stopped before its end, by a shutdown or by somebody"
    if result == "timeout":
        return f"{what} did not end within {timeout} s and was stopped"
    if result in ("oom-kill", "signal", "core-dump") or returncode == KILLED:
        return (f"{what} was killed; it may use {memory_max_mb} MB and probably needed more. Raise memory_max_mb "
                "(backend_build_memory_mb), or build elsewhere and deploy an archive")
    return f"{what} failed with exit status {returncode}"


# --- recipes --------------------------------------------------------------------------------------------------------------

class Step(dict):
    """A step of a build: ``name``, ``script`` for bash, its ``arguments``, and whether it sees the app's own environment."""

    def __init__(self, name, script, *arguments, private=False):
        super().__init__(name=name, script=script, arguments=list(arguments), private=private)


def build_environment(root, release, environment):
    """What every command of a build finds: caches that outlive it, a place for temporary programs, the host's certificates."""
    base = {
        "HOME": root,
        "LANG": "C.UTF-8",
        "PATH": f"{release}/.venv/bin:{release}/node_modules/.bin:{UV_HOME}/bin:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": f"{root}/cache/tmp",
        "XDG_CACHE_HOME": f"{root}/cache",
        "VIRTUAL_ENV": f"{release}/.venv",
        "PYTHONPATH": release,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_CACHE_DIR": f"{root}/cache/uv",
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "npm_config_cache": f"{root}/cache/npm",
        "npm_config_update_notifier": "false",
        "GIT_TERMINAL_PROMPT": "0",
    }
    # The bundle of Debian's ca-certificates knows the authorities the administrator added; the tools' own bundles do not.
    base.update(dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"), CERTIFICATES))
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        # Some tools read the one spelling, some the other.
        proxy = environment.get(name) or environment.get(name.upper())
        base.update({name: proxy, name.upper(): proxy} if proxy else {})
    if "PIP_INDEX_URL" in environment:
        base["UV_DEFAULT_INDEX"] = environment["PIP_INDEX_URL"]
    if "PIP_EXTRA_INDEX_URL" in environment:
        base["UV_INDEX"] = environment["PIP_EXTRA_INDEX_URL"]
    return {**base, **environment}


UNPACK = "tar --extract --gzip --no-same-owner --file -"

UNPACK_ARCHIVE = """
mkdir .unpack
case "$1" in
  *.zip) /usr/bin/python3 -m zipfile -e "$1" .unpack ;;
  *) tar --extract --no-same-owner --file "$1" --directory .unpack ;;
esac
shopt -s dotglob nullglob
entries=(.unpack/*)
if [ ${#entries[@]} -eq 1 ] && [ -d "${entries[0]}" ]; then mv "${entries[0]}" .top; rmdir .unpack; mv .top .unpack; fi
mv .unpack/* .
rmdir .unpack
"""

# A commit is asked for by itself first; a server that only gives branches and tags is asked for those.
FETCH_GIT = """
[ -f "$1/HEAD" ] || git init --quiet --bare "$1"
if ! git -C "$1" cat-file -e "$3^{commit}" 2>/dev/null; then
  git -C "$1" fetch --quiet --no-tags --depth=1 "$2" "$3" ||
    git -C "$1" fetch --quiet --force --no-tags "$2" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*'
fi
git -C "$1" update-ref "refs/mainstay/$3" "$3"
git -C "$1" archive --format=tar "$3" | tar --extract --file -
"""

LINK_SHARED = """
shared=$1; shift
for folder in "$@"; do
  mkdir -p "$shared/$folder"
  rm -f "$folder/.gitkeep" "$folder/.gitignore"
  if [ -d "$folder" ] && [ ! -L "$folder" ] && ! rmdir "$folder" 2>/dev/null; then
    echo "$folder holds files of the source, so it cannot be linked to $shared/$folder; move them" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$folder")"
  ln -sfn "$shared/$folder" "$folder"
done
"""

# Files are hard-linked from the pristine environment; what holds its path gets a file of its own with the new one.
COPY_ENVIRONMENT = """
cp --archive --link "$1" .venv
grep --recursive --files-with-matches --binary-files=without-match --fixed-strings -- "$1" .venv/bin .venv/pyvenv.cfg |
  xargs --no-run-if-empty --delimiter='\\n' sed --in-place "s|$1|$PWD/.venv|g"
"""

# A lock file of uv may be written by everybody; nothing in a release should.
TIDY = "find . ! -type l -perm /o+w -exec chmod o-w {} +"
COMPILE = ".venv/bin/python -m compileall -q -x '(^|/)(\\.venv|node_modules)/' . || true"

# What a list of requirements may hold that its text alone does not tell: other files of the source.
UNSHAREABLE = re.compile(
    r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:)|@\s*file:|\b(editable|directory|path) = \"(?!\.\")", re.MULTILINE)


def python_requirements(names, installer):
    """Which file says what a Python release needs: the strictest one that is there and that the installer reads."""
    for name in ("requirements.lock", "uv.lock", "requirements.txt", "pyproject.toml"):
        if name in names and (name != "uv.lock" or (installer == "uv" and "pyproject.toml" in names)):
            return name
    return None


def environment_digest(content, interpreter, installer):
    """Names a Python environment by what makes it; None where it depends on other files, so that it is made for one release only."""
    if UNSHAREABLE.search(content):
        return None
    return hashlib.sha256(f"{content}\0{interpreter}\0{installer}".encode()).hexdigest()[:16]


def python_steps(requirements, content, environment, installer):
    """The steps that make a Python environment in its final place."""
    hashes = ["--require-hashes"] if requirements == "uv.lock" or re.search(r"--hash[= ]", content) else []
    steps = []
    if installer == "uv":
        steps.append(Step("create the environment", 'rm -rf "$1"; mkdir -p "$(dirname "$1")"; uv venv --quiet --no-project --python /usr/bin/python3 "$1"', environment))
        install = 'uv pip install --link-mode hardlink --python "$1/bin/python" --compile-bytecode "${@:2}"'
    else:
        steps.append(Step("create the environment", 'rm -rf "$1"; mkdir -p "$(dirname "$1")"; /usr/bin/python3 -m venv "$1"', environment))
        install = '"$1/bin/python" -m pip install "${@:2}"'
    if requirements == "uv.lock":
        export = 'uv export --frozen --no-dev --no-emit-project --format requirements-txt --quiet --output-file "$TMPDIR/uv.lock.txt"'
        steps.append(Step("read uv.lock", export))
        steps.append(Step("install uv.lock", install.replace('"${@:2}"', '--require-hashes --requirement "$TMPDIR/uv.lock.txt"'), environment))
    elif requirements in ("requirements.lock", "requirements.txt"):
        steps.append(Step(f"install {requirements}", install, environment, *hashes, "--requirement", requirements))
    return steps


def project_steps(requirements, content, installer):
    """Install the project itself where its own metadata says how and no list of requirements stands in its place."""
    if requirements == "pyproject.toml":
        chosen = []
    elif requirements == "uv.lock" and "[build-system]" in content:
        chosen = ["--no-deps"]
    else:
        return []
    if installer == "uv":
        return [Step("install the project", 'uv pip install --python .venv/bin/python --compile-bytecode "$@" .', *chosen)]
    return [Step("install the project", '.venv/bin/python -m pip install "$@" .', *chosen)]


def node_steps(names):
    """The steps before and after an own build of a Node release."""
    if "package.json" not in names:
        return [], []
    for lock in ("pnpm-lock.yaml", "yarn.lock"):
        if lock in names and "package-lock.json" not in names:
            raise ReleaseError(f"{lock}: only npm's lock file is understood so far. Add a package-lock.json (npm install --package-lock-only).")
    locked = {"package-lock.json", "npm-shrinkwrap.json"} & set(names)
    install = f"npm {'ci' if locked else 'install'} --include=dev --no-audit --no-fund"
    return [Step("install the packages", install)], [Step("remove the build's packages", "npm prune --omit=dev --no-audit --no-fund")]
