# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which release is wanted, asks the host in one shell command, and sends the source where it is missing."""

from __future__ import annotations

import json
import os
import shlex

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.release import identity as release_identity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import refusal
from ansible_collections.mainstay.vps.plugins.module_utils.stack import source as stack_source
from ansible_collections.mainstay.vps.plugins.plugin_utils import images, left_out, sources


class ActionModule(ActionBase):
    _supports_check_mode = True
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        for name in ("app", "source"):
            if not args.get(name):
                raise AnsibleActionFail(f"{name} is required")
        try:
            resolved = sources.resolve(args["source"], **sources.control_node(task_vars or {}))
            identity = args.get("id") or release_identity.release_id(
                resolved["digest"],
                args.get("runtime", "python"),
                args.get("build") or [],
                args.get("public") or [],
                resolved["source"].get("directory", ""),
                args.get("shared") or [],
                args.get("python") or args.get("node"),
            )
        except (refusal.DeclarationError, refusal.ReleaseError) as error:
            raise AnsibleActionFail(f"{args['app']}: {error}") from error

        path = f"{args.get('root') or '/srv/' + args['app']}/releases/{identity}"
        found = self._markers(path)
        if found is not None and release_identity.COMPLETE in found and (not args.get("migrate") or release_identity.MIGRATED in found):
            return {**result, "changed": False, "id": identity, "folder": path, "removed": [], "steps": []}

        source = dict(resolved["source"])
        source[source["kind"]], authorization = stack_source.split_credentials(source[source["kind"]])
        if resolved.get("image", "").startswith("docker://"):
            authorization = images.login(source["image"])
        args.update(id=identity, source=source, commit=resolved.get("commit"), image=resolved.get("image"), authorization=authorization)
        for name in ("environment", "app_environment"):
            # As one text, so that the module can keep all of it out of the log without masking every "1" in its output.
            args[name] = json.dumps(args.get(name) or {})
        try:
            archive = None if found is None or release_identity.COMPLETE in found else sources.archive_for(resolved)
            args["archive_bytes"] = os.path.getsize(archive) if archive else 0
            if archive and not self._task.check_mode:
                args["archive"] = self._send(archive)
            result.update(self._execute_module("mainstay.vps.release", module_args=args, task_vars=task_vars))
        except refusal.ReleaseError as error:
            raise AnsibleActionFail(f"{args['app']}: {error}") from error
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        result.pop("invocation", None)
        if resolved.get("left_out"):
            result.setdefault("warnings", []).append(
                f"{args['app']}: left out of the release, as it looks confidential: {', '.join(resolved['left_out'])}. The app has its "
                f"settings from env and secrets; what it needs in the release all the same gets a line !{resolved['left_out'][0]} in "
                f"{left_out.IGNORE_FILE}."
            )
        return result

    def _markers(self, path):
        """The markers a release has on the host; any other answer leaves the decision to the module.

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
