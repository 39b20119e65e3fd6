# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds one release on one host: the effects behind the module ``release``, in the order that survives a power cut.

Everything above a release is root's, and so is the release once it is finished. While it is built it belongs to a user who does
nothing else, and root touches nothing in it but through :mod:`sealing`, which follows no link.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time

from ansible.module_utils.urls import open_url

from ..host import snapshot
from ..stack import containers, references, variables
from ..stack import source as stack_source
from ..stack.refusal import ReleaseError
from ..text import mask
from . import confinement, identity, recipes, sealing
from .recipes import Step

TAIL = 30
# Not in the folder of the agent, who is not trusted with what others run.
RUN = "/run/mainstay-release"
FREE_INODES = 20000
# Seconds to wait for another build of the same app, such as one whose control node is gone: it may be the same release.
LOCK_PATIENCE = 120
# Seconds between two steps of a build, at most, in which the lock of the deploy must count, too.
LOCK_SPARE = 300
# What the package managers keep is removed when it grows beyond this; it only saves downloads.
CACHE_LIMIT_MB = 2048
# Files that say what a release needs are read up to here.
READ_LIMIT = 16 << 20
# A migration may take as long as a build; the limits on the app's sessions are not meant for it. It still waits no longer for a
# lock than they do. libpq and node-postgres read this.
MIGRATION_PGOPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"
# What root runs looks for no program in a release.
ROOT_VARIABLES = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/var/tmp"}
# What an app's own environment does not change while its database is migrated.
OWN_VARIABLES = ("HOME", "PATH", "TMPDIR", "VIRTUAL_ENV")
# Variables by which tools find what a build keeps from one release to the next.
CACHES = ("XDG_CACHE_HOME", "npm_config_cache")
# Who may read the files of static routes, besides the app.
WEB_USER = "www-data"
# Where an earlier version kept what is in CACHE now; it was the app's user's.
FORMER_CACHES = ("cache", "repository.git")


class StepFailed(Exception):
    """A command that failed, with what it printed last."""

    def __init__(self, message, output):
        super().__init__(message)
        self.output = output


class Builder:
    """One release on one host."""

    def __init__(self, params):
        self.params = params
        self.app = params["app"]
        self.user = params["user"] or self.app
        self.build_user = params["build_user"] or f"{self.user}-build"
        self.root = params["root"] or f"/srv/{self.app}"
        self.cache = f"{confinement.CACHE}/{self.app}"
        self.path = f"{self.root}/releases/{params['id']}"
        self.directory = params["source"].get("directory", "")
        self.place = f"{self.path}/{self.directory}".rstrip("/")
        self.environment = json.loads(params["environment"])
        self.private = json.loads(params["app_environment"])
        self.secrets = [self.private[name] for name in params["secrets"] if name in self.private]
        self.caches = {}
        self.headers = recipes.node_headers(self.place, params["node"])
        self.known = frozenset()
        self.steps = []

    # --- what is there ---

    def has(self, marker):
        """Whether the release is finished and has a marker; while it is built, a marker in it is anybody's."""
        return self._is_finished(self.path) and os.path.isfile(os.path.join(self.path, marker))

    def _is_finished(self, path):
        with contextlib.suppress(FileNotFoundError, KeyError):
            return os.lstat(path).st_uid != pwd.getpwnam(self.build_user).pw_uid
        return False

    def releases(self):
        """All folders of releases; complete ones with the time they were completed, others with None."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(f"{self.root}/releases"):
                if entry.is_dir(follow_symlinks=False):
                    found[entry.name] = None
                    with contextlib.suppress(FileNotFoundError):
                        marker = os.stat(os.path.join(entry.path, identity.COMPLETE), follow_symlinks=False)
                        found[entry.name] = marker.st_mtime_ns if self._is_finished(entry.path) else None
        return found

    def live(self):
        """The releases that run, or to which a rollback returns."""
        found = set()
        for link in (
            *(f"{self.root}/{name}" for name in ("current", "previous")),
            *glob.glob(f"{self.root}/instances/*"),
        ):
            with contextlib.suppress(OSError):
                found.add(os.path.basename(os.readlink(link)))
        return found

    def check_space(self):
        place = self.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize >> 20
        needed = max(self.params["minimum_free_mb"], self.params["archive_bytes"] * 4 >> 20)
        if free < needed:
            raise ReleaseError(
                f"{place} has {free} MB free and a release needs {needed} MB. Free some, keep fewer releases "
                "(backend_keep_releases), or lower minimum_free_mb (backend_minimum_free_mb)."
            )
        if disk.f_files and disk.f_favail < FREE_INODES:
            raise ReleaseError(f"{place} has {disk.f_favail} inodes free and a release needs {FREE_INODES}. Remove small files.")

    # --- running ---

    def build_step(self, step, *places, stdin=None):
        """Run a step of the build as the user for that, who sees the release and ``places``."""
        env = {**recipes.build_environment(self.cache, self.place, self.environment), **self.caches, **self.headers, **step["env"]}
        properties = confinement.build(self.app, self.build_user, self.user, [self.path, *places])
        return self._run(step, env, properties, self.build_user, stdin, self.path if step["whole"] else self.place)

    def app_step(self, step, environment=None):
        """Run a step as the app's own user, with the app's own environment."""
        env = recipes.build_environment(self.cache, self.place, self.environment)
        # Where its processes have their home, it has its own; what builds keep is closed to it.
        env = {name: value for name, value in env.items() if name not in CACHES}
        # The app's own paths name the current release; here the new one is meant.
        own = {name: value.replace(f"{self.root}/current", self.path) for name, value in self.private.items()}
        env = {**env, **own, **{name: env[name] for name in OWN_VARIABLES}, "HOME": f"/var/lib/{self.app}", **(environment or {})}
        return self._run(step, env, confinement.migration(self.app, self.user, self.root), self.user, directory=self.place)

    def root_step(self, step, environment):
        """Run a step as root: only programs of the system, and nothing in a release."""
        return self._run(step, environment, (), None)

    def _run(self, step, env, properties, user, stdin=None, directory=None):
        """Run a step in a unit of its own; raises StepFailed with its last words."""
        memory, timeout = self.params["memory_max_mb"], self.params["timeout"]
        self._outlast(timeout)
        began = time.monotonic()
        command = ["/bin/bash", "-euo", "pipefail", "-c", step["script"], step["name"], *step["arguments"]]
        with self._files(env, command, pwd.getpwnam(user).pw_gid if user else 0) as files:
            unit = f"mainstay-release-{self.app}"
            argv = confinement.command_line(unit, directory or self.path, *files, memory, timeout, properties)
            done = subprocess.run(argv, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        words, result = confinement.outcome(done.stdout.decode(errors="replace"), done.returncode)
        self.steps.append({"name": step["name"], "seconds": round(time.monotonic() - began, 1)})
        if result != "success":
            output = [mask(line, self.secrets) for line in words[-TAIL:]]
            said = words[-TAIL:], self.app, user == self.build_user
            reason = confinement.failure(f"{step['name']!r}", done.returncode, result, memory, timeout, *said)
            raise StepFailed(f"{self.app}: release {self.params['id']}: {reason}.", output)
        return words

    def _outlast(self, seconds):
        """Let the lock of this deploy count until a step has ended and the next one can follow; without a lock there is none."""
        until, lock = time.time() + seconds + LOCK_SPARE, f"{identity.LOCKS}/{self.app}.deploy"
        with contextlib.suppress(FileNotFoundError):
            if os.stat(lock).st_mtime < until:
                os.utime(lock, (until, until))

    @contextlib.contextmanager
    def _files(self, environment, command, group):
        """Where systemd finds a command's variables, and the command's own group its words."""
        with tempfile.TemporaryDirectory(prefix=f"{self.app}@", dir=RUN) as folder:
            os.chmod(folder, 0o711)
            env_file, script = f"{folder}/env", f"{folder}/script"
            for path, text, mode in (
                (env_file, variables.env_text(environment), 0o600),
                (script, confinement.script(command), 0o640),
            ):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
                    os.fchmod(file.fileno(), mode)
                    file.write(text)
            os.chown(script, -1, group)
            yield env_file, script

    # --- building ---

    def build(self):
        owner = pwd.getpwnam(self.user)
        builder = pwd.getpwnam(self.build_user)
        if self.params["id"] in self.live():
            raise ReleaseError(f"{self.path} is in use and lost its marker {identity.COMPLETE}. Change the source a little.")
        for folder in ("", "/releases", "/environments"):
            sealing.folder(f"{self.root}{folder}", 0o755)
        sealing.folder(f"{self.root}/shared", 0o750, owner.pw_uid, owner.pw_gid)
        if os.path.lexists(self.path):
            shutil.rmtree(self.path)
        is_image = self.params["runtime"] == "container"
        try:
            sealing.folder(self.path, 0o700, 0 if is_image else builder.pw_uid)
            self._fetch()
            environment = None if is_image else self._make()
            self._seal(self.path, {0 if is_image else builder.pw_uid})
            if not is_image:
                os.symlink(snapshot.system_name(snapshot.distribution()), os.path.join(self.path, identity.BUILT_ON))
            self._sync(self.path)
            self._mark(self.path, identity.COMPLETE, {"environment": environment})
        except BaseException:
            with contextlib.suppress(OSError):
                self._remove(self.params["id"])
            raise

    def _fetch(self):
        source = self.params["source"]
        if source["kind"] == "path":
            with open(self.params["archive"], "rb") as archive:
                self.build_step(Step("unpack", recipes.UNPACK, whole=True), stdin=archive)
        elif source["kind"] == "git":
            name, repository = f"fetch {source['git']}", f"{self.cache}/repository.git"
            credentials = identity.git_credentials(self.params["authorization"])
            self.build_step(Step(name, recipes.FETCH_GIT, repository, source["git"], self.params["commit"], env=credentials, whole=True))
        elif source["kind"] == "package":
            self.build_step(recipes.package_step([source["package"], *source.get("requirements", [])], self.params["runtime"]))
        elif source["kind"] == "image":
            self._copy_image(source["image"])
        else:
            name = os.path.basename(source["archive"].split("?")[0])
            with self._archive(source) as archive:
                self.build_step(Step("unpack", recipes.UNPACK_ARCHIVE, name, whole=True), stdin=archive)

    @contextlib.contextmanager
    def _archive(self, source):
        """The archive, sent by the control node or downloaded, and compared: a file without a name, which only a step is given."""
        with tempfile.TemporaryFile(dir=self.root) as file:
            if self.params["archive"]:
                with open(self.params["archive"], "rb") as sent:
                    shutil.copyfileobj(sent, file)
            else:
                self._download(source["archive"], file)
            digest = _sha256(file)
            if f"sha256:{digest}" != source["checksum"]:
                raise ReleaseError(f"source.checksum: {source['checksum']} cannot be used. {source['archive']} has sha256:{digest}.")
            os.fchmod(file.fileno(), 0o644)
            yield file

    def _download(self, url, file):
        os.environ.update(self.environment)
        headers = {"Authorization": self.params["authorization"]} if self.params["authorization"] else {}
        try:
            with open_url(url, headers=headers, timeout=60, http_agent="mainstay") as answer:
                shutil.copyfileobj(answer, file)
        except OSError as error:  # an error of HTTP is one, too
            plain = re.sub(r"//[^/@]*@", "//", url.partition("?")[0])  # the rest may be a secret
            raise ReleaseError(
                f"source.archive: {plain} could not be fetched: {getattr(error, 'reason', error)}. Check the address, and that this "
                "host reaches it: mainstay_environment is where a proxy is named."
            ) from None

    def _copy_image(self, image):
        """Copy the image to the host under the release's own name, and leave that name in the release."""
        owner, archive = pwd.getpwnam(self.user), self.params["archive"]
        with open(f"{self.path}/{containers.RELEASE_FILE}", "w", encoding="utf-8") as file:
            file.write(containers.release_file(self.app, self.params["id"], owner.pw_uid, owner.pw_gid))
        place = f"{self.params['image']}:{archive}" if archive else self.params["image"]
        name = f"containers-storage:{containers.image_name(self.app, self.params['id'])}"
        with self._login(image) as options:
            copy = Step(f"copy {image}", 'exec /usr/bin/skopeo copy --quiet "$@"', *options, place, name)
            self.root_step(copy, ROOT_VARIABLES)

    @contextlib.contextmanager
    def _login(self, image):
        """What gives skopeo the control node's login to a registry."""
        if not self.params["authorization"]:
            yield []
            return
        registry, secret = image.partition("/")[0], self.params["authorization"].partition(" ")[2]
        with tempfile.NamedTemporaryFile("w", prefix=f"{self.app}@", suffix=".json", dir=RUN) as file:
            json.dump({"auths": {registry: {"auth": secret}}}, file)
            file.flush()
            yield [f"--authfile={file.name}"]

    def _make(self):
        """Make what runs out of the source, and return the name of the Python environment it is made with."""
        shared = self.params["shared"]
        if shared:
            self.build_step(Step("empty the shared folders", recipes.EMPTY_SHARED, *shared))
        for step in recipes.node_runtime_steps(self.params["node"]):
            self.build_step(step)
        names, above = self._names()
        environment = self._python(names, above) if self.params["runtime"] == "python" else None
        before, after = recipes.node_steps(names, above) if self.params["runtime"] == "node" else ([], [])
        own = [
            Step(item["command"], item["command"], env=self._declared(item)) for item in map(stack_source.build_item, self.params["build"])
        ]
        if shared:
            after = [*after, Step("link the shared folders", recipes.LINK_SHARED, f"{self.root}/shared", *shared)]
        last = [recipes.COMPILE] if self.params["runtime"] == "python" else []
        finish = Step("finish", "\n".join([*last, recipes.FINISH]), str(CACHE_LIMIT_MB), environment or "unshared", whole=True)
        for step in [*before, *own, *after, *recipes.node_cleanup_steps(self.params["node"]), finish]:
            self.build_step(step)
        return environment

    @contextlib.contextmanager
    def _opened_places(self):
        """Descriptors of the folders of the source from its top to the one that the app is in, reached through no link."""
        with contextlib.ExitStack() as stack:
            places = [stack.enter_context(sealing.opened(self.path))]
            for name in filter(None, self.directory.split("/")):
                try:
                    places.append(stack.enter_context(sealing.opened(name, parent=places[-1])))
                except OSError:
                    raise ReleaseError(
                        f"source.directory: {self.directory!r} is no folder of the source. Name one relative to its top, such as backend."
                    ) from None
            yield places

    def _names(self):
        """What is in the app's folder of the source, and what in those above it."""
        with self._opened_places() as places:
            *above, own = [os.listdir(place) for place in places]
        return own, {name for names in above for name in names}

    def _declared(self, item):
        """The variables that a command of the build declares; of the app's own it sees those it names, and no other."""
        return {name: references.resolve(value, self.private) for name, value in item["env"].items()}

    def _python(self, names, above):
        """Give the release its .venv, a copy of what the same requirements made before, and return that one's name."""
        installer = self.params["python_installer"]
        if installer == "uv":
            self._install_uv()
        if ".venv" in names:
            self.build_step(Step("remove the environment of the source", "rm -rf .venv"))
        project = self._read("pyproject.toml") if "pyproject.toml" in names else ""
        requirements = recipes.python_requirements(names, installer, above, project)
        content = self._read(requirements) if requirements not in (None, recipes.WORKSPACE, "pyproject.toml", "setup.py") else ""
        debian = subprocess.run(["/usr/bin/python3", "-VV"], stdout=subprocess.PIPE, check=True, text=True).stdout
        interpreter = recipes.interpreter_name(self.params["python"], self.params["uv_version"], debian)
        name = None if requirements == recipes.WORKSPACE else recipes.environment_digest(content, interpreter, installer)
        self.caches = recipes.python_caches(self.cache, name)
        if name:
            place = f"{self.root}/environments/{name}"
            if not os.path.isfile(f"{place}/{identity.COMPLETE}") or not self._is_finished(place):
                self._build_environment(place, requirements, content)
            self._copy_environment(place)
        else:
            for step in recipes.python_steps(requirements, content, f"{self.place}/.venv", installer, self.params["python"]):
                self.build_step(step)
        for step in recipes.project_steps(requirements, project, installer, names):
            self.build_step(step)
        return name

    def _build_environment(self, place, requirements, content):
        """Make an environment that releases share: sealed as they are, so none of them changes it for the others."""
        if os.path.lexists(place):
            shutil.rmtree(place)
        builder = pwd.getpwnam(self.build_user).pw_uid
        try:
            sealing.folder(place, 0o700, builder)
            steps = recipes.python_steps(requirements, content, f"{place}/venv", self.params["python_installer"], self.params["python"])
            for step in [*steps, Step("finish the environment", 'rm -rf "$1" .venv', f"{place}/{identity.COMPLETE}")]:
                self.build_step(step, place)
            self._seal(place, {builder})
            self._sync(place)
            self._mark(place, identity.COMPLETE, {})
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _copy_environment(self, place):
        """Give the release the same files in folders of its own."""
        began, builder = time.monotonic(), pwd.getpwnam(self.build_user)
        with sealing.opened(f"{place}/venv") as model, self._opened_places() as places:
            self.known = sealing.link_tree(model, places[-1], ".venv", builder.pw_uid, pwd.getpwnam(self.user).pw_gid)
        self.steps.append({"name": "copy the environment", "seconds": round(time.monotonic() - began, 1)})
        self.build_step(Step("relocate the environment", recipes.RELOCATE, f"{place}/venv"))

    def _read(self, name):
        """What a file of the source says; of one that is none, or has no end, nothing."""
        with self._opened_places() as places, sealing.opened(name, sealing.FILE, places[-1]) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ReleaseError(f"{name} of the source is no file.")
            with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as file:
                return file.read(READ_LIMIT)

    def _install_uv(self):
        uv, version = f"{recipes.UV_HOME}/bin/uv", self.params["uv_version"]
        with contextlib.suppress(OSError):
            shown = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, check=False, text=True).stdout.split()
            if shown[1:2] == [version]:
                return
        env = recipes.build_environment("/root", "/nonexistent", self.environment)
        env = {**env, "TMPDIR": "/tmp", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_CACHE_HOME": "/root/.cache"}
        # Debian ships pip as a wheel that runs as it is; to unpack it first takes longer than all the rest.
        wheels = sorted(glob.glob(PIP_WHEELS))
        pip = [f"{wheels[-1]}/pip"] if wheels else ["-m", "pip"]
        options = ["--quiet", "--only-binary=:all:", "--no-cache-dir", "--no-compile", "--require-hashes", "--requirement", "/dev/stdin"]
        wanted = " ".join([f"uv=={version}", *(f"--hash=sha256:{digest}" for digest in self.params["uv_hashes"])])
        began = time.monotonic()
        for command in (
            ["/usr/bin/python3", "-m", "venv", "--clear", *(["--without-pip"] if wheels else []), recipes.UV_HOME],
            [f"{recipes.UV_HOME}/bin/python", *pip, "install", *options],
        ):
            done = subprocess.run(
                command,
                env=env,
                input=wanted,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                text=True,
            )
            if done.returncode:
                output = [mask(line, []) for line in done.stdout.splitlines()[-TAIL:]]
                raise StepFailed(
                    f"{self.app}: uv {version} cannot be installed into {recipes.UV_HOME}. Install python3-venv, check "
                    "the way to PyPI (PIP_INDEX_URL, proxies) and that backend_uv_hashes holds what PyPI lists for this version, or set "
                    "backend_python_installer to pip.",
                    output,
                )
        self.steps.append({"name": f"install uv {version}", "seconds": round(time.monotonic() - began, 1)})

    def migrate(self):
        if self.params["runtime"] == "container":
            self._migrate_in_container()
        else:
            folders = [f"{self.root}/shared/{folder}" for folder in self.params["shared"]]
            options = {"PGOPTIONS": self.private.get("PGOPTIONS", MIGRATION_PGOPTIONS)}
            self.app_step(Step(self.params["migrate"], recipes.MAKE_SHARED + self.params["migrate"], *folders), options)
        self._mark(self.path, identity.MIGRATED, {})

    def _migrate_in_container(self):
        owner = pwd.getpwnam(self.user)
        if self.params["volumes"]:
            sealing.folder(f"{self.root}/volumes", 0o755)
        for name in self.params["volumes"]:
            sealing.folder(containers.volume(self.root, name), 0o750, owner.pw_uid, owner.pw_gid)
        command = containers.podman_run(
            containers.COMMAND,
            containers.image_name(self.app, self.params["id"]),
            f"{owner.pw_uid}:{owner.pw_gid}",
            self.root,
            self.params["volumes"],
            sorted({*self.private, "PGOPTIONS"}),
            shlex.split(self.params["migrate"]),
        )
        environment = {**ROOT_VARIABLES, "PGOPTIONS": MIGRATION_PGOPTIONS, **self.private}
        self.root_step(Step(self.params["migrate"], shlex.join(command)), environment)

    # --- the disk ---

    def _seal(self, place, owners):
        """Make what was built root's, for the app to read."""
        reader = None
        with contextlib.suppress(KeyError):
            reader = pwd.getpwnam(WEB_USER).pw_uid
        group = pwd.getpwnam(self.user).pw_gid
        try:
            sealing.Seal(owners, group, self.known, self.params["public"], reader).tree(place)
        except RecursionError:
            raise ReleaseError("its folders lie too deep in each other.") from None

    def _sync(self, folder):
        subprocess.run(["sync", "--file-system", folder], check=True)

    def _mark(self, folder, name, facts):
        """Write a marker so that it is on the disk, whole, or not there."""
        new = os.path.join(folder, f"{name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)
            json.dump({"id": self.params["id"], "source": self.params["source"], **facts}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, os.path.join(folder, name))
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    def prune(self):
        """Remove half-built and surplus releases, and environments that no release needs; seal what an earlier version left open."""
        found, protected = self.releases(), {self.params["id"], *self.live()}
        complete = {name: when for name, when in found.items() if when is not None}
        removed = [name for name in found if found[name] is None and name not in protected]
        removed += identity.expired(complete, self.params["keep"], protected)
        for name in removed:
            self._remove(name)
        needed = set()
        for name in set(complete) - set(removed):
            path = f"{self.root}/releases/{name}"
            owner = os.lstat(path).st_uid
            if owner:
                self._seal(path, {owner, 0})
            with (
                contextlib.suppress(OSError, ValueError),
                open(f"{path}/{identity.COMPLETE}", encoding="utf-8") as file,
            ):
                needed.add(json.load(file).get("environment"))
        for name in set(os.listdir(f"{self.root}/environments")) - needed:
            shutil.rmtree(f"{self.root}/environments/{name}")
        for name in FORMER_CACHES:
            shutil.rmtree(f"{self.root}/{name}", ignore_errors=True)
        return removed

    def _remove(self, name):
        """Remove a release, and first what makes it count, so that one that is cut off is removed by the next run."""
        path = f"{self.root}/releases/{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/{identity.COMPLETE}")
        if self._is_finished(path) and os.path.isfile(f"{path}/{containers.RELEASE_FILE}"):
            # Refused where the image was never copied, and while somebody's own container needs it.
            command = ["/usr/bin/podman", "image", "rm", containers.image_name(self.app, name)]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(path)


def _sha256(file):
    """The digest of an open file, which is at its beginning afterwards."""
    digest = hashlib.sha256()
    file.seek(0)
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(app):
    """Only one build of an app at a time. What a run that was killed has left behind ends here."""
    os.makedirs(RUN, exist_ok=True)
    os.chmod(RUN, 0o755)  # whatever the umask
    with open(f"{RUN}/{app}.lock", "w") as lock:
        for patience in range(LOCK_PATIENCE, -1, -1):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    raise ReleaseError("another run has been building a release for a while. Run again when it has ended.") from None
                time.sleep(1)
        subprocess.run(["systemctl", "stop", f"mainstay-release-{app}.service"], stderr=subprocess.DEVNULL, check=False)
        for left in glob.glob(f"{RUN}/{app}@*"):
            remove = shutil.rmtree if os.path.isdir(left) else os.unlink
            remove(left)
        yield
