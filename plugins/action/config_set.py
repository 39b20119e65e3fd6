# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import secrets

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.text.converters import to_bytes
from ansible.plugins.action import ActionBase
from ansible.template import generate_ansible_template_vars, trust_as_template
from ansible_collections.mainstay.vps.plugins.module_utils.files.journal import STATE_DIR
from ansible_collections.mainstay.vps.plugins.module_utils.files.question import agrees, probe
from ansible_collections.mainstay.vps.plugins.module_utils.files.spec import SpecError, parse
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python

# What travels in one piece; larger files belong to other modules.
SIZE_LIMIT = 16 * 1024 * 1024
OVERRIDES = {"trim_blocks": True, "lstrip_blocks": False, "newline_sequence": "\n"}


class ActionModule(ActionBase):
    """Render the set here, ask the host with one shell command whether it has it, and start Python there only if not."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        try:
            spec = parse(self._task.args)
        except SpecError as problem:
            raise AnsibleActionFail(str(problem)) from None
        for source in spec.sources:
            self._fill(source, task_vars)
        size = sum(len(entry.content or b"") for entry in spec.entries)
        if size > SIZE_LIMIT:
            raise AnsibleActionFail(
                f"the set holds {size} bytes, more than the {SIZE_LIMIT} that are sent in one piece. config_set is for "
                "configuration: bring large files with ansible.builtin.copy or unarchive."
            )
        if self._host_agrees(spec):
            result.update(changed=False, changed_files=[], diff=[], backup=None, validated=False, note="", recovered=[])
            return result
        result.update(invocation={"module_args": self._shown_arguments(spec)}, **self._carry_out(spec, task_vars))
        return result

    # --- content ----------------------------------------------------------------------------------------------------

    def _fill(self, source, task_vars):
        """Give an entry its content."""
        try:
            if source.kind == "content":
                source.entry.content = to_bytes(source.value, errors="surrogate_or_strict")
            elif source.kind == "file":
                source.entry.content = self._raw(source.value)
            elif source.kind == "template":
                source.entry.content = self._render(source, task_vars)
        except AnsibleError as problem:
            what = f"{source.entry.label}: {source.kind} {source.value}" if source.value else source.entry.label
            # The message of a filter may quote the value it could not digest.
            if source.entry.sensitive and not isinstance(problem, AnsibleUndefinedVariable):
                raise AnsibleActionFail(
                    f"{what} cannot be rendered ({type(problem).__name__}). The reason may quote what is sensitive: "
                    "set sensitive to false, with harmless values, to see it."
                ) from None
            raise AnsibleActionFail(f"{what}: {problem}") from problem

    def _find(self, folder, name):
        path = self._find_needle(folder, name)
        if os.path.isdir(path):
            raise AnsibleError(f"{path} is a directory; name a file")
        return path

    def _raw(self, name):
        path = self._loader.get_real_file(self._find("files", name))
        with open(to_bytes(path, errors="surrogate_or_strict"), "rb") as handle:
            return handle.read()

    def _render(self, source, task_vars):
        """Render a template just as ansible.builtin.template does."""
        path = self._find("templates", source.value)
        text = self._loader.get_text_file_contents(path)
        variables = {**task_vars, **source.variables}
        generated = generate_ansible_template_vars(source.value, path, source.entry.dest)
        if "ansible_managed" in variables:
            del generated["ansible_managed"]
        variables.update(generated)
        if source.entry.sensitive:
            source.entry.public = f"{text}\n{variables['ansible_managed']}"
        searched = [*task_vars.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(path)]
        searchpath = [item for place in searched for item in (os.path.join(place, "templates"), place)]
        templar = self._templar.copy_with_new_env(searchpath=searchpath, available_variables=variables)
        rendered = templar.template(trust_as_template(text), escape_backslashes=False, overrides=dict(OVERRIDES))
        return to_bytes("" if rendered is None else rendered, errors="surrogate_or_strict")

    # --- the host ---------------------------------------------------------------------------------------------------

    def _host_agrees(self, spec):
        """Ask with one shell command. The script goes through standard input: no length limit, no process list."""
        salt = secrets.token_hex(16)
        script = probe(spec.entries, spec.purge, spec.options.get("state_dir", STATE_DIR), salt)
        answer = self._low_level_execute_command("/bin/sh", in_data=to_bytes(script, errors="surrogate_or_strict"))
        return answer["rc"] == 0 and agrees(answer["stdout"], spec.entries, salt)

    def _carry_out(self, spec, task_vars):
        return bare_python.call(
            self,
            task_vars,
            "files.changeset",
            "carry_out",
            entries=[entry.to_dict() for entry in spec.entries],
            purge=spec.purge,
            validate=spec.validate,
            timeout=spec.timeout,
            backup=spec.backup,
            check=self._task.check_mode,
            diff=self._task.diff,
            brief=[] if self._display.verbosity else spec.brief,
            **spec.options,
        )

    @staticmethod
    def _shown_arguments(spec):
        """The arguments as a reader of the log may see them: without contents."""
        shown = []
        for source in spec.sources:
            entry = source.entry
            item = {"dest": entry.dest, "state": entry.state, "sensitive": entry.sensitive}
            if entry.state != "absent":
                item.update(owner=entry.owner, group=entry.group)
            if entry.state in ("file", "directory"):
                item["mode"] = f"{entry.mode:04o}"
            if source.kind in ("template", "file"):
                item[source.kind] = str(source.value)
            if entry.state == "link":
                item["link"] = entry.target
            shown.append(item)
        return {
            "files": shown,
            "purge": spec.purge,
            "brief": spec.brief,
            "validate": spec.validate,
            "validate_timeout": spec.timeout,
            "backup": spec.backup,
            **spec.options,
        }
