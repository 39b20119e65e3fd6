# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds one release on one host: the effects behind the module ``release``, in the order that survives a power cut."""

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
import subprocess
import tempfile
import time

from ansible.module_utils.urls import open_url

from . import confinement, containers, recipes, releases
from .recipes import Step
from .releases import ReleaseError

TAIL = 30
# Not in the folder of the agent, who is not trusted with what others run.
RUN = "/run/mainstay-release"
FREE_INODES = 20000
# Seconds to wait for another build of the same app, such as one whose control node is gone: it may be the same release.
LOCK_PATIENCE = 120
# What the package managers keep is removed when it grows beyond this; it only saves downloads.
CACHE_LIMIT_MB = 2048
# A migration may take as long as a build; the limits on the app's sessions are not meant for it. It still waits no longer for a
# lock than they do. libpq and node-postgres read this.
MIGRATION_PGOPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"
# What root runs looks for no program in a release.
ROOT_VARIABLES = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/var/tmp"}
# What an app's own environment does not change while its release is built.
OWN_VARIABLES = ("HOME", "PATH", "TMPDIR", "VIRTUAL_ENV")


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
        self.root = params["root"] or f"/srv/{self.app}"
        self.path = f"{self.root}/releases/{params['id']}"
        self.environment = json.loads(params["environment"])
        self.private = json.loads(params["app_environment"])
        self.secrets = [self.private[name] for name in params["secrets"] if name in self.private]
        self.steps = []

    # --- what is there ---

    def has(self, marker):
        return os.path.isfile(os.path.join(self.path, marker))

    def releases(self):
        """All folders of releases; complete ones with the time they were completed, others with None."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(f"{self.root}/releases"):
                if entry.is_dir(follow_symlinks=False):
                    try:
                        found[entry.name] = os.stat(
                            os.path.join(entry.path, releases.COMPLETE), follow_symlinks=False
                        ).st_mtime_ns
                    except FileNotFoundError:
                        found[entry.name] = None
        return found

    def live(self):
        """The releases that run, or to which a rollback returns."""
        found = set()
        for link in (*(f"{self.root}/{name}" for name in ("current", "previous")), *glob.glob(f"{self.root}/instances/*")):
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
            raise ReleaseError(
                f"{place} has {disk.f_favail} inodes free and a release needs {FREE_INODES}. Remove small files."
            )

    # --- running ---

    def run(self, step, environment=None, stdin=None, writable=None, properties=("UMask=0022",), as_root=False):
        """Run a step as the app's user, confined, or as root; raises StepFailed with its last words."""
        env = recipes.build_environment(self.root, self.path, self.environment)
        if step["private"]:
            # The app's own paths name the current release; here the new one is meant.
            own = {name: value.replace(f"{self.root}/current", self.path) for name, value in self.private.items()}
            env = {**env, **own, **{name: env[name] for name in OWN_VARIABLES}}
        env.update(environment or {})
        memory, timeout = self.params["memory_max_mb"], self.params["timeout"]
        began = time.monotonic()
        command = ["/bin/bash", "-euo", "pipefail", "-c", step["script"], step["name"], *step["arguments"]]
        with self._files(env, command, 0 if as_root else pwd.getpwnam(self.user).pw_gid) as files:
            unit, limits = f"mainstay-release-{self.app}", (*files, memory, timeout)
            if as_root:
                argv = confinement.bounded(unit, self.path, *limits)
            else:
                writable = writable or [self.path, f"{self.root}/cache"]
                argv = confinement.confined(unit, self.user, self.path, writable, *limits, properties)
            done = subprocess.run(
                argv, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
        words, result = confinement.outcome(done.stdout.decode(errors="replace"), done.returncode)
        self.steps.append({"name": step["name"], "seconds": round(time.monotonic() - began, 1)})
        if result != "success":
            output = [releases.mask(line, self.secrets) for line in words[-TAIL:]]
            reason = confinement.failure(f"{step['name']!r}", done.returncode, result, memory, timeout)
            raise StepFailed(f"{self.app}: release {self.params['id']}: {reason}.", output)
        return words

    @contextlib.contextmanager
    def _files(self, environment, command, group):
        """Where systemd finds a command's variables, and the command's own group its words."""
        with tempfile.TemporaryDirectory(prefix=f"{self.app}@", dir=RUN) as folder:
            os.chmod(folder, 0o711)
            env_file, script = f"{folder}/env", f"{folder}/script"
            for path, text, mode in (
                (env_file, releases.env_text(environment), 0o600),
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
        if self.params["id"] in self.live():
            raise ReleaseError(
                f"{self.path} is in use and lost its marker {releases.COMPLETE}. Change the source a little."
            )
        if os.path.lexists(self.path):
            shutil.rmtree(self.path)
        for folder, mode in (
            ("", 0o755),
            ("releases", 0o755),
            ("shared", 0o750),
            ("cache", 0o750),
            ("cache/tmp", 0o700),
            ("cache/environments", 0o755),
            ("repository.git", 0o750),
            (f"releases/{self.params['id']}", 0o755),
        ):
            place = os.path.join(self.root, folder)
            if not os.path.isdir(place):
                os.mkdir(place, mode)
                os.chown(place, owner.pw_uid, owner.pw_gid)
        try:
            self._fetch()
            if self.params["shared"]:
                self.run(
                    Step("link the shared folders", recipes.LINK_SHARED, f"{self.root}/shared", *self.params["shared"]),
                    writable=[self.path, f"{self.root}/cache", f"{self.root}/shared"],
                )
            names = os.listdir(self.path)
            environment = self._python(names) if self.params["runtime"] == "python" else None
            before, after = recipes.node_steps(names) if self.params["runtime"] == "node" else ([], [])
            own = [Step(command, command, private=True) for command in self.params["build"]]
            last = [recipes.COMPILE] if self.params["runtime"] == "python" else []
            for step in [*before, *own, *after, Step("finish", "\n".join([*last, recipes.TIDY]))]:
                self.run(step)
            self._sync(self.path)
            self._mark(self.path, releases.COMPLETE, {"environment": environment})
        except BaseException:
            with contextlib.suppress(OSError):
                self._remove(self.params["id"])
            raise
        finally:
            shutil.rmtree(f"{self.root}/cache/tmp", ignore_errors=True)

    def _fetch(self):
        source = self.params["source"]
        if source["kind"] == "path":
            with open(self.params["archive"], "rb") as archive:
                self.run(Step("unpack", recipes.UNPACK), stdin=archive)
        elif source["kind"] == "git":
            self.run(
                Step(
                    f"fetch {source['git']}",
                    recipes.FETCH_GIT,
                    f"{self.root}/repository.git",
                    source["git"],
                    self.params["commit"],
                ),
                environment=releases.git_credentials(self.params["authorization"]),
                writable=[self.path, f"{self.root}/repository.git", f"{self.root}/cache"],
            )
        elif source["kind"] == "package":
            self.run(recipes.package_step(source["package"], self.params["runtime"]))
        elif source["kind"] == "image":
            self._copy_image(source["image"])
        else:
            with self._archive(source) as archive:
                self.run(Step("unpack", recipes.UNPACK_ARCHIVE, archive))

    @contextlib.contextmanager
    def _archive(self, source):
        """The archive where the app's user can read it: sent by the control node, or downloaded and compared."""
        name = os.path.basename(source["archive"].split("?")[0])
        with tempfile.TemporaryDirectory(prefix="archive-", dir=f"{self.root}/cache") as folder:
            os.chmod(folder, 0o755)
            place = os.path.join(folder, name)
            if self.params["archive"]:
                shutil.copyfile(self.params["archive"], place)
            else:
                self._download(source["archive"], place)
            digest = _sha256(place)
            if f"sha256:{digest}" != source["checksum"]:
                raise ReleaseError(
                    f"source.checksum: {source['checksum']} cannot be used. {source['archive']} has sha256:{digest}."
                )
            os.chmod(place, 0o644)
            yield place

    def _download(self, url, place):
        os.environ.update(self.environment)
        headers = {"Authorization": self.params["authorization"]} if self.params["authorization"] else {}
        try:
            with open_url(url, headers=headers, timeout=60, http_agent="mainstay") as answer, open(place, "wb") as file:
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
            self.run(copy, environment=ROOT_VARIABLES, as_root=True)

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

    def _python(self, names):
        """Give the release its .venv, a copy of what the same requirements made before, and return that one's name."""
        installer = self.params["python_installer"]
        if installer == "uv":
            self._install_uv()
        requirements = recipes.python_requirements(names, installer)
        content = self._read(requirements) if requirements not in (None, "pyproject.toml") else ""
        interpreter = subprocess.run(["/usr/bin/python3", "-VV"], stdout=subprocess.PIPE, check=True, text=True).stdout
        name = recipes.environment_digest(content, interpreter, installer)
        place = f"{self.root}/cache/environments/{name}" if name else None
        pristine = f"{place}/venv" if name else f"{self.path}/.venv"
        if not name or not os.path.isfile(f"{place}/{releases.COMPLETE}"):
            for step in recipes.python_steps(requirements, content, pristine, installer):
                self.run(step)
            if name:
                self._sync(place)
                self._mark(place, releases.COMPLETE, {})
        if name:
            self._copy_environment(pristine)
        project = self._read("pyproject.toml") if "pyproject.toml" in names else ""
        for step in recipes.project_steps(requirements, project, installer):
            self.run(step)
        return name

    def _copy_environment(self, pristine):
        """Outside of the confinement, whose mounts are borders for hard links; as the app's user all the same."""
        began, owner = time.monotonic(), pwd.getpwnam(self.user)
        command = ["/bin/bash", "-euo", "pipefail", "-c", recipes.COPY_ENVIRONMENT, "copy", pristine]
        done = subprocess.run(
            command,
            cwd=self.path,
            env={"PATH": "/usr/bin:/bin"},
            user=owner.pw_uid,
            group=owner.pw_gid,
            extra_groups=[],
            umask=0o022,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise StepFailed(
                f"{self.app}: the environment {pristine} cannot be copied.",
                done.stdout.decode(errors="replace").splitlines()[:TAIL],
            )
        self.steps.append({"name": "copy the environment", "seconds": round(time.monotonic() - began, 1)})

    def _read(self, name):
        descriptor = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read()

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
        began = time.monotonic()
        for command in (
            ["/usr/bin/python3", "-m", "venv", "--clear", *(["--without-pip"] if wheels else []), recipes.UV_HOME],
            [
                f"{recipes.UV_HOME}/bin/python",
                *pip,
                "install",
                "--quiet",
                "--only-binary=:all:",
                "--no-cache-dir",
                "--no-compile",
                f"uv=={version}",
            ],
        ):
            done = subprocess.run(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                text=True,
            )
            if done.returncode:
                output = [releases.mask(line, []) for line in done.stdout.splitlines()[-TAIL:]]
                raise StepFailed(
                    f"{self.app}: uv {version} cannot be installed into {recipes.UV_HOME}. Install python3-venv, check "
                    "the way to PyPI (PIP_INDEX_URL, proxies), or set backend_python_installer to pip.",
                    output,
                )
        self.steps.append({"name": f"install uv {version}", "seconds": round(time.monotonic() - began, 1)})

    def migrate(self):
        if self.params["runtime"] == "container":
            self._migrate_in_container()
        else:
            self._migrate_in_release()
        self._mark(self.path, releases.MIGRATED, {})

    def _migrate_in_container(self):
        owner = pwd.getpwnam(self.user)
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
        self.run(Step(self.params["migrate"], shlex.join(command)), environment=environment, as_root=True)

    def _migrate_in_release(self):
        self.run(
            Step(self.params["migrate"], self.params["migrate"], private=True),
            environment={"PGOPTIONS": self.private.get("PGOPTIONS", MIGRATION_PGOPTIONS)},
            writable=[f"{self.root}/shared"],
            properties=[f"StateDirectory={self.app}", "StateDirectoryMode=0750", "UMask=0027"],
        )

    # --- the disk ---

    def _sync(self, folder):
        subprocess.run(["sync", "--file-system", folder], check=True)

    def _mark(self, folder, name, facts):
        """Write a marker so that it is on the disk, whole, or not there."""
        new = os.path.join(folder, f"{name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"id": self.params["id"], "source": self.params["source"], **facts}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, os.path.join(folder, name))
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    def prune(self):
        """Remove half-built and surplus releases, environments that no release needs, and caches that grew large."""
        found, protected = self.releases(), {self.params["id"], *self.live()}
        complete = {name: when for name, when in found.items() if when is not None}
        removed = [name for name in found if found[name] is None and name not in protected]
        removed += releases.expired(complete, self.params["keep"], protected)
        for name in removed:
            self._remove(name)
        needed = set()
        for name in set(found) - set(removed):
            with (
                contextlib.suppress(OSError, ValueError),
                open(f"{self.root}/releases/{name}/{releases.COMPLETE}", encoding="utf-8") as file,
            ):
                needed.add(json.load(file).get("environment"))
        with contextlib.suppress(FileNotFoundError):
            for name in set(os.listdir(f"{self.root}/cache/environments")) - needed:
                shutil.rmtree(f"{self.root}/cache/environments/{name}")
        for name in ("npm", "pip", "uv"):
            if _megabytes(f"{self.root}/cache/{name}") > CACHE_LIMIT_MB:
                shutil.rmtree(f"{self.root}/cache/{name}")
        return removed

    def _remove(self, name):
        """Remove a release, and first what makes it count, so that one that is cut off is removed by the next run."""
        path = f"{self.root}/releases/{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/{releases.COMPLETE}")
        if os.path.isfile(f"{path}/{containers.RELEASE_FILE}"):
            # Refused where the image was never copied, and while somebody's own container needs it.
            command = ["/usr/bin/podman", "image", "rm", containers.image_name(self.app, name)]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(path)


def _megabytes(folder):
    return (
        sum(os.lstat(os.path.join(place, name)).st_size for place, dummy, names in os.walk(folder) for name in names)
        >> 20
    )


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
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
                    raise ReleaseError(
                        "another run has been building a release for a while. Run again when it has ended."
                    ) from None
                time.sleep(1)
        subprocess.run(["systemctl", "stop", f"mainstay-release-{app}.service"], stderr=subprocess.DEVNULL, check=False)
        for left in glob.glob(f"{RUN}/{app}@*"):
            remove = shutil.rmtree if os.path.isdir(left) else os.unlink
            remove(left)
        yield
