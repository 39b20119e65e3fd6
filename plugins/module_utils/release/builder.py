# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds one release on one host: the effects behind the module ``release``, in the order that survives a power cut.

Everything above a release is root's, and so is the release once it is finished. While it is built it belongs to a user who does
nothing else, and root touches nothing in it but through :mod:`sealing`, which follows no link.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess

from ..host import snapshot
from ..stack import containers
from ..stack import source as stack_source
from ..stack.refusal import ReleaseError
from . import identity, recipes, recipes_node, recipes_python, sealing
from .job import Job
from .python_environment import PythonEnvironment
from .recipes import Step
from .runner import ROOT_VARIABLES, Runner, StepFailed, locked
from .shelf import Shelf
from .source import Source

# What the package managers keep is removed when it grows beyond this; it only saves downloads.
CACHE_LIMIT_MB = 2048
# A migration may take as long as a build; the limits on the app's sessions are not meant for it. It still waits no longer for a
# lock than they do. libpq and node-postgres read this.
MIGRATION_PGOPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"


def make(params, check):
    """Make what of a release is missing, or predict that, and return what the task ``release`` returns; ``params`` are its options."""
    os.umask(0o022)  # root's own may keep what is made here from those who build and run the app
    builder = Builder(params)
    job = builder.job
    result = {"changed": False, "id": params["id"], "folder": job.path, "steps": builder.runner.steps, "removed": []}
    try:
        missing = not builder.shelf.has(identity.COMPLETE)
        if missing:
            builder.shelf.check_space()
        if check:
            return {**result, "changed": missing or (bool(params["migrate"]) and not builder.shelf.has(identity.MIGRATED))}
        with locked(job.app):
            if not builder.shelf.has(identity.COMPLETE):
                builder.build()
                result.update(changed=True, removed=builder.shelf.prune())
            if params["migrate"] and not builder.shelf.has(identity.MIGRATED):
                builder.migrate()
                result["changed"] = True
        return result
    except StepFailed as error:
        words = "\n".join([str(error), *error.output])
    except KeyError:
        words = f"{job.app}: there is no user {job.user}, or no {job.build_user}. Create them first, as the role backend does."
    except (ReleaseError, sealing.SealingError, OSError, subprocess.SubprocessError) as error:
        words = f"{job.app}: {error}"
    return {**result, "failed": True, "msg": words}


class Builder:
    """One release on one host."""

    def __init__(self, params):
        self.job = Job(params)
        self.runner = Runner(self.job)
        self.shelf = Shelf(self.job)
        self.source = Source(self.job, self.runner)
        self.python = PythonEnvironment(self.job, self.runner, self.shelf, self.source)

    def build(self):
        owner = pwd.getpwnam(self.job.user)
        builder = pwd.getpwnam(self.job.build_user)
        if self.job.params["id"] in self.shelf.live():
            raise ReleaseError(f"{self.job.path} is in use and lost its marker {identity.COMPLETE}. Change the source a little.")
        for folder in ("", "/releases", "/environments"):
            sealing.folder(f"{self.job.root}{folder}", 0o755)
        sealing.folder(f"{self.job.root}/shared", 0o750, owner.pw_uid, owner.pw_gid)
        sealing.remove(self.job.path)
        is_image = self.job.params["runtime"] == "container"
        try:
            sealing.folder(self.job.path, 0o700, 0 if is_image else builder.pw_uid)
            self.source.fetch()
            environment = None if is_image else self._make()
            self.shelf.seal(self.job.path, {0 if is_image else builder.pw_uid})
            if not is_image:
                os.symlink(snapshot.system_name(snapshot.distribution()), os.path.join(self.job.path, identity.BUILT_ON))
            self.shelf.sync(self.job.path)
            self.shelf.mark(self.job.path, identity.COMPLETE, {"environment": environment})
        except BaseException:
            with contextlib.suppress(OSError):
                self.shelf.remove(self.job.params["id"])
            raise

    def _make(self):
        """Make what runs out of the source, and return the name of the Python environment it is made with."""
        shared = self.job.params["shared"]
        if shared:
            self.runner.build_step(Step("empty the shared folders", recipes.EMPTY_SHARED, *shared))
        for step in recipes_node.node_runtime_steps(self.job.params["node"]):
            self.runner.build_step(step)
        names, above = self.source.names()
        environment = self.python.provide(names, above) if self.job.params["runtime"] == "python" else None
        before, after = recipes_node.node_steps(names, above) if self.job.params["runtime"] == "node" else ([], [])
        own = [
            Step(item["command"], item["command"], env=self.job.declared(item))
            for item in map(stack_source.build_item, self.job.params["build"])
        ]
        if shared:
            after = [*after, Step("link the shared folders", recipes.LINK_SHARED, f"{self.job.root}/shared", *shared)]
        last = [recipes_python.COMPILE] if self.job.params["runtime"] == "python" else []
        finish = Step("finish", "\n".join([*last, recipes.FINISH]), str(CACHE_LIMIT_MB), environment or "unshared", whole=True)
        for step in [*before, *own, *after, *recipes_node.node_cleanup_steps(self.job.params["node"]), finish]:
            self.runner.build_step(step)
        return environment

    def migrate(self):
        if self.job.params["runtime"] == "container":
            self._migrate_in_container()
        else:
            folders = [f"{self.job.root}/shared/{folder}" for folder in self.job.params["shared"]]
            options = {"PGOPTIONS": self.job.private.get("PGOPTIONS", MIGRATION_PGOPTIONS)}
            self.runner.app_step(Step(self.job.params["migrate"], recipes.MAKE_SHARED + self.job.params["migrate"], *folders), options)
        self.shelf.mark(self.job.path, identity.MIGRATED, {})

    def _migrate_in_container(self):
        owner = pwd.getpwnam(self.job.user)
        if self.job.params["volumes"]:
            sealing.folder(f"{self.job.root}/volumes", 0o755)
        for name in self.job.params["volumes"]:
            sealing.folder(containers.volume(self.job.root, name), 0o750, owner.pw_uid, owner.pw_gid)
        command = containers.podman_run(
            containers.COMMAND,
            containers.image_name(self.job.app, self.job.params["id"]),
            f"{owner.pw_uid}:{owner.pw_gid}",
            self.job.root,
            self.job.params["volumes"],
            sorted({*self.job.private, "PGOPTIONS"}),
            shlex.split(self.job.params["migrate"]),
        )
        environment = {**ROOT_VARIABLES, "PGOPTIONS": MIGRATION_PGOPTIONS, **self.job.private}
        self.runner.root_step(Step(self.job.params["migrate"], shlex.join(command)), environment)
