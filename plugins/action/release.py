# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which release is wanted, asks the host in one shell command, and sends the source where it is missing."""

from __future__ import annotations

import base64
import os
import shlex
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity as release_identity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import refusal
from ansible_collections.mainstay.vps.plugins.module_utils.stack import source as stack_source
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python, images, left_out, sources

# A folder that packs to no more bytes goes to the host with the program that unpacks it, without a file of its own there.
COMES_ALONG = 4 * 1024 * 1024
NAMES = {"type": "list", "elements": "str", "default": []}
OPTIONS = {
    "app": {"type": "str", "required": True},
    "user": {"type": "str"},
    "build_user": {"type": "str"},
    "root": {"type": "str"},
    "source": {"type": "dict", "required": True},
    "id": {"type": "str"},
    "runtime": {"type": "str", "choices": ["python", "node", "command", "container"], "default": "python"},
    "python": {"type": "str"},
    "node": {"type": "str"},
    "build": {"type": "list", "elements": "raw", "default": []},
    "public": NAMES,
    "migrate": {"type": "str"},
    "shared": NAMES,
    "environment": {"type": "dict", "default": {}},
    "app_environment": {"type": "dict", "default": {}},
    "secrets": {**NAMES, "no_log": False},
    "python_installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
    "uv_version": {"type": "str", "default": "0.13.9"},
    "uv_hashes": NAMES,
    "memory_max_mb": {"type": "int", "default": 1024},
    "timeout": {"type": "int", "default": 900},
    "minimum_free_mb": {"type": "int", "default": 512},
    "keep": {"type": "int", "default": 5},
    "volumes": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    _requires_connection = True
    _supports_check_mode = True
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(OPTIONS)[1]
        app = options["app"]
        try:
            resolved = sources.resolve(options["source"], **sources.control_node(task_vars or {}))
            identity = options["id"] or release_identity.release_id(
                resolved["digest"],
                options["runtime"],
                options["build"],
                options["public"],
                resolved["source"].get("directory", ""),
                options["shared"],
                options["python"] or options["node"],
            )
        except (refusal.DeclarationError, refusal.ReleaseError) as error:
            raise AnsibleActionFail(f"{app}: {error}") from error

        path = f"{options['root'] or '/srv/' + app}/releases/{identity}"
        found = self._markers(path)
        if release_identity.COMPLETE in found and (not options["migrate"] or release_identity.MIGRATED in found):
            return {**result, "changed": False, "id": identity, "folder": path, "removed": [], "steps": []}

        source = dict(resolved["source"])
        source[source["kind"]], authorization = stack_source.split_credentials(source[source["kind"]])
        if resolved.get("image", "").startswith("docker://"):
            authorization = images.login(source["image"])
        options.update(id=identity, source=source, commit=resolved.get("commit"), image=resolved.get("image"), authorization=authorization)
        try:
            archive = None if release_identity.COMPLETE in found else sources.archive_for(resolved)
            options.update(archive=None, packed=None, archive_bytes=os.path.getsize(archive) if archive else 0)
            if archive and not self._task.check_mode:
                comes_along = source["kind"] == "path" and options["archive_bytes"] <= COMES_ALONG
                options.update({"packed": _text(archive)} if comes_along else {"archive": self._send(archive)})
            made = bare_python.call(self, task_vars, "release.builder", "make", params=options, check=self._task.check_mode)
        except refusal.ReleaseError as error:
            raise AnsibleActionFail(f"{app}: {error}") from error
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        result.update(remove_values(made, [authorization] if authorization else []))
        if resolved.get("left_out"):
            result.setdefault("warnings", []).append(
                f"{app}: left out of the release, as it looks confidential: {', '.join(resolved['left_out'])}. The app has its "
                f"settings from env and secrets; what it needs in the release all the same gets a line !{resolved['left_out'][0]} in "
                f"{left_out.IGNORE_FILE}."
            )
        return result

    def _markers(self, path):
        """The markers a release has on the host; any other answer leaves the decision to the program there.

        What is not root's is not finished: whatever its build has left in it says nothing.
        """
        command = "; ".join(
            f"test -f {shlex.quote(f'{path}/{name}')} && echo {name}" for name in (release_identity.COMPLETE, release_identity.MIGRATED)
        )
        answer = self._low_level_execute_command(f"if test -O {shlex.quote(path)}; then {command}; fi; echo asked")
        words = answer.get("stdout", "").split()
        return set(words) if words[-1:] == ["asked"] else set()

    def _send(self, archive):
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        suffix = next(
            (ending for ending in sorted(stack_source.ARCHIVE_SUFFIXES, key=len, reverse=True) if archive.endswith(ending)),
            "",
        )
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, f"source{suffix}")
        return self._transfer_file(archive, remote)


def _text(archive):
    """A file in base64."""
    return base64.b64encode(Path(archive).read_bytes()).decode()
