# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python environment of a release: made once for the same requirements, and then shared by copies that cost no room."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import subprocess

from ..text import mask
from . import identity, recipes, recipes_python, sealing
from .recipes import Step
from .runner import TAIL, StepFailed

PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"


class PythonEnvironment:
    """The environment of one job's release."""

    def __init__(self, job, runner, shelf, source):
        self.job, self.runner, self.shelf, self.source = job, runner, shelf, source

    def provide(self, names, above):
        """Give the release its .venv, a copy of what the same requirements made before, and return that one's name."""
        installer = self.job.params["python_installer"]
        if installer == "uv":
            self._install_uv()
        if ".venv" in names:
            self.runner.build_step(Step("remove the environment of the source", "rm -rf .venv"))
        project = self.source.read("pyproject.toml") if "pyproject.toml" in names else ""
        requirements = recipes_python.python_requirements(names, installer, above, project)
        content = (
            self.source.read(requirements) if requirements not in (None, recipes_python.WORKSPACE, "pyproject.toml", "setup.py") else ""
        )
        debian = subprocess.run(["/usr/bin/python3", "-VV"], stdout=subprocess.PIPE, check=True, text=True).stdout
        interpreter = recipes_python.interpreter_name(self.job.params["python"], self.job.params["uv_version"], debian)
        name = None if requirements == recipes_python.WORKSPACE else recipes_python.environment_digest(content, interpreter, installer)
        self.runner.caches = recipes_python.python_caches(self.job.cache, name)
        if name:
            place = f"{self.job.root}/environments/{name}"
            if not os.path.isfile(f"{place}/{identity.COMPLETE}") or not self.shelf.is_finished(place):
                self._build(place, requirements, content)
            self._copy(place)
        else:
            for step in recipes_python.python_steps(requirements, content, f"{self.job.place}/.venv", installer, self.job.params["python"]):
                self.runner.build_step(step)
        for step in recipes_python.project_steps(requirements, project, installer, names):
            self.runner.build_step(step)
        return name

    def _build(self, place, requirements, content):
        """Make an environment that releases share: sealed as they are, so none of them changes it for the others."""
        sealing.remove(place)
        builder = pwd.getpwnam(self.job.build_user).pw_uid
        try:
            sealing.folder(place, 0o700, builder)
            steps = recipes_python.python_steps(
                requirements, content, f"{place}/venv", self.job.params["python_installer"], self.job.params["python"]
            )
            for step in [*steps, Step("finish the environment", 'rm -rf "$1" .venv', f"{place}/{identity.COMPLETE}")]:
                self.runner.build_step(step, place)
            self.shelf.seal(place, {builder})
            self.shelf.sync(place)
            self.shelf.mark(place, identity.COMPLETE, {})
        except BaseException:
            with contextlib.suppress(OSError):
                sealing.remove(place)
            raise

    def _copy(self, place):
        """Give the release the same files in folders of its own."""
        builder = pwd.getpwnam(self.job.build_user)
        copying = self.runner.timed("copy the environment")
        with copying, sealing.opened(f"{place}/venv") as model, self.source.opened_places() as places:
            self.shelf.known = sealing.link_tree(model, places[-1], ".venv", builder.pw_uid, pwd.getpwnam(self.job.user).pw_gid)
        self.runner.build_step(Step("relocate the environment", recipes_python.RELOCATE, f"{place}/venv"))

    def _install_uv(self):
        uv, version = f"{recipes.UV_HOME}/bin/uv", self.job.params["uv_version"]
        with contextlib.suppress(OSError):
            shown = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, check=False, text=True).stdout.split()
            if shown[1:2] == [version]:
                return
        env = recipes.build_environment("/root", "/nonexistent", self.job.environment)
        env = {**env, "TMPDIR": "/tmp", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_CACHE_HOME": "/root/.cache"}
        # Debian ships pip as a wheel that runs as it is; to unpack it first takes longer than all the rest.
        wheels = sorted(glob.glob(PIP_WHEELS))
        pip = [f"{wheels[-1]}/pip"] if wheels else ["-m", "pip"]
        options = ["--quiet", "--only-binary=:all:", "--no-cache-dir", "--no-compile", "--require-hashes", "--requirement", "/dev/stdin"]
        wanted = " ".join([f"uv=={version}", *(f"--hash=sha256:{digest}" for digest in self.job.params["uv_hashes"])])
        with self.runner.timed(f"install uv {version}"):
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
                        f"{self.job.app}: uv {version} cannot be installed into {recipes.UV_HOME}. Install python3-venv, check "
                        "the way to PyPI (PIP_INDEX_URL, proxies) and that backend_uv_hashes holds what PyPI lists for this version, or set "
                        "backend_python_installer to pip.",
                        output,
                    )
