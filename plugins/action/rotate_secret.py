# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files


class ActionModule(ActionBase):
    """Works on the control node alone."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            {
                "apps": {"type": "dict", "required": True},
                "secret": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["begun", "completed"], "default": "begun"},
                "directory": {"type": "path"},
            }
        )[1]
        directory = options["directory"] or secret_files.default_directory(task_vars or {})
        file = secret_files.path(directory, *chosen(options["apps"], options["secret"]))
        if options["state"] == "completed":
            changed = os.path.exists(secret_files.marker(file))
            return {**result, "changed": changed if self._task.check_mode else secret_files.complete(file)}
        if not os.path.exists(file):
            raise AnsibleActionFail(f"{file} does not exist: there is nothing to replace yet. site.yml makes the secret and deploys it.")
        changed = not secret_files.is_rotating(file)
        if not self._task.check_mode:
            changed = secret_files.rotate(self._loader, file)
        before = secret_files.previous(file)
        said = (
            f"The old secret is kept in {before}."
            if changed
            else (f"The new secret of an earlier run is taken, which was not deployed to its end; the one before is in {before}.")
        )
        return {**result, "changed": changed, "previous": before, "msg": said}


def chosen(apps, text):
    """(app, name) of the secret that was asked for; an unknown one is refused with those there are."""
    try:
        known = {name: secret_files.names(app) for name, app in normalise(apps).items()}
    except DeclarationError as error:
        raise AnsibleActionFail(str(error)) from error
    app, _slash, name = text.partition("/")
    if name not in known.get(app, ()):
        there = ", ".join(f"{owner}/{secret}" for owner, names in known.items() for secret in names)
        raise AnsibleActionFail(f"mainstay_secret: {text!r} cannot be used. Name one of the secrets there are: {there or 'none'}.")
    return app, name
