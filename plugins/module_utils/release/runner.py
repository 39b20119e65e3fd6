# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of a release, each confined and in a unit of its own, and lets one build of an app run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time

from ..output import written
from ..stack import variables
from ..stack.refusal import ReleaseError
from ..text import mask
from . import confinement, identity, recipes, recipes_node

TAIL = 30
# Bytes of what a command has written, of which the last lines are told. A build may write without end, and nothing bounds root's memory.
END = 1 << 16
# Not in the folder of the agent, who is not trusted with what others run.
RUN = "/run/mainstay-release"
# Seconds to wait for another build of the same app, such as one whose control node is gone: it may be the same release.
LOCK_PATIENCE = 120
# Seconds between two steps of a build, at most, in which the lock of the deploy must count, too.
LOCK_SPARE = 300
# What an app's own environment does not change while its database is migrated.
OWN_VARIABLES = ("HOME", "PATH", "TMPDIR", "VIRTUAL_ENV")
# What root runs looks for no program in a release.
ROOT_VARIABLES = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/var/tmp"}
# Variables by which tools find what a build keeps from one release to the next.
CACHES = ("XDG_CACHE_HOME", "npm_config_cache")


class StepFailed(Exception):
    """A command that failed, with what it printed last."""

    def __init__(self, message, output):
        super().__init__(message)
        self.output = output


class Runner:
    """Runs the steps of one job; ``steps`` tells how long each has taken."""

    def __init__(self, job):
        self.job = job
        self.caches = {}
        self.headers = recipes_node.node_headers(job.place, job.params["node"])
        self.steps = []

    def build_step(self, step, *places, stdin=None):
        """Run a step of the build as the user for that, who sees the release and ``places``."""
        env = {
            **recipes.build_environment(self.job.cache, self.job.place, self.job.environment),
            **self.caches,
            **self.headers,
            **step["env"],
        }
        properties = confinement.build(self.job.app, self.job.build_user, self.job.user, [self.job.path, *places])
        if step["unpacks"]:
            properties += confinement.UNPACKING
        return self.run(step, env, properties, self.job.build_user, stdin, self.job.path if step["whole"] else self.job.place)

    def app_step(self, step, environment=None):
        """Run a step as the app's own user, with the app's own environment."""
        env = recipes.build_environment(self.job.cache, self.job.place, self.job.environment)
        # Where its processes have their home, it has its own; what builds keep is closed to it.
        env = {name: value for name, value in env.items() if name not in CACHES}
        # The app's own paths name the current release; here the new one is meant.
        own = {name: value.replace(f"{self.job.root}/current", self.job.path) for name, value in self.job.private.items()}
        env = {**env, **own, **{name: env[name] for name in OWN_VARIABLES}, "HOME": f"/var/lib/{self.job.app}", **(environment or {})}
        return self.run(
            step, env, confinement.migration(self.job.app, self.job.user, self.job.root), self.job.user, directory=self.job.place
        )

    def root_step(self, step, environment):
        """Run a step as root: only programs of the system, and nothing in a release."""
        return self.run(step, environment, (), None)

    def run(self, step, env, properties, user, stdin=None, directory=None):
        """Run a step in a unit of its own; raises StepFailed with its last words."""
        memory, timeout = self.job.params["memory_max_mb"], self.job.params["timeout"]
        self.outlast(timeout)
        began = time.monotonic()
        command = ["/bin/bash", "-euo", "pipefail", "-c", step["script"], step["name"], *step["arguments"]]
        with self._files(env, command, pwd.getpwnam(user).pw_gid if user else 0) as files:
            unit = f"mainstay-release-{self.job.app}"
            argv = confinement.command_line(unit, directory or self.job.path, *files, memory, timeout, properties)
            status, said = ended(argv, stdin or subprocess.DEVNULL)
        words, result = confinement.outcome(said.decode(errors="replace"), status)
        self.steps.append({"name": step["name"], "seconds": round(time.monotonic() - began, 1)})
        if result != "success":
            output = [mask(line, self.job.secrets) for line in words[-TAIL:]]
            said = words[-TAIL:], self.job.app, user == self.job.build_user
            reason = confinement.failure(f"{step['name']!r}", status, result, memory, timeout, *said)
            raise StepFailed(f"{self.job.app}: release {self.job.params['id']}: {reason}.", output)
        return words

    def outlast(self, seconds):
        """Let the lock of this deploy count until a step has ended and the next one can follow; without a lock there is none."""
        until, lock = time.time() + seconds + LOCK_SPARE, f"{identity.LOCKS}/{self.job.app}.deploy"
        with contextlib.suppress(FileNotFoundError):
            if os.stat(lock).st_mtime < until:
                os.utime(lock, (until, until))

    @contextlib.contextmanager
    def _files(self, environment, command, group):
        """Where systemd finds a command's variables, and the command's own group its words."""
        with tempfile.TemporaryDirectory(prefix=f"{self.job.app}@", dir=RUN) as folder:
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

    @contextlib.contextmanager
    def timed(self, name):
        """What takes time without being a step."""
        began = time.monotonic()
        yield
        self.steps.append({"name": name, "seconds": round(time.monotonic() - began, 1)})


def ended(argv, stdin):
    """The status of a command, and the end of what it has written."""
    said = b""
    with subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for _stream, chunk in written(process, [process.stdout]):
            said = (said + chunk)[-END:]
    return process.returncode, said


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
