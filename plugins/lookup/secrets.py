# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: secrets
short_description: The secrets of the declared apps, created once and kept on the control node
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Returns a mapping of each app to its secrets. What the apps declare under C(secrets), the password of the database and one for
    each Redis instance are created at the first run (64 random bytes, URL-safe), and so is the password of each user whom a site or
    route names under C(auth) (18 bytes). They are kept in one file per secret,
    C(<directory>/<app>/<NAME>.txt), readable by the user who runs Ansible only. The directory may lie inside an inventory
    directory, where Ansible takes no C(.txt) file for an inventory.
  - Where a vault password is configured (the default vault identity), new files are encrypted with it; existing ones are read either way.
  - In check mode nothing is written; a secret that does not exist yet is then a random text of this run.
  - M(mainstay.vps.rotate_secret) replaces one.
  - Keep the directory out of version control, or encrypt it, and include it in the control node's backup.
options:
  _terms:
    description: The declared apps, as in C(mainstay_apps).
    type: dict
    required: true
  own:
    description:
      - Names of secrets that are the stack's rather than an app's, such as the password of the backups.
      - They are kept and returned under the name C(mainstay), which no app can have.
    type: list
    elements: str
    default: []
  directory:
    description: Where the secrets are kept. By default C(secrets) beside the inventory.
    type: path
"""

EXAMPLES = r"""
- name: Read or create the secrets
  ansible.builtin.set_fact:
    mainstay_secrets: "{{ lookup('mainstay.vps.secrets', mainstay_apps) }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: A mapping of app to a mapping of secret name to secret.
  type: list
  elements: dict
  sample: [{"shop": {"SECRET_KEY": "…", "DATABASE_PASSWORD": "…"}}]
"""

import os

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        variables = variables or {}
        self.set_options(var_options=variables, direct=kwargs)
        directory = self.get_option("directory") or secret_files.default_directory(variables)
        try:
            declared = normalise(terms[0] if terms else {})
        except DeclarationError as error:
            raise AnsibleLookupError(str(error)) from error
        keep = not variables.get("ansible_check_mode", False)
        wanted = {name: secret_files.names(app) for name, app in declared.items()}
        if self.get_option("own"):
            wanted[secret_files.OWN] = self.get_option("own")
        return [
            {
                name: {secret: self._secret(secret_files.path(directory, name, secret), keep) for secret in secrets}
                for name, secrets in wanted.items()
            }
        ]

    def _secret(self, path, keep):
        try:
            return secret_files.read(self._loader, path)
        except Exception as error:
            if os.path.lexists(path):
                raise AnsibleLookupError(
                    f"The secret in {path} cannot be read: {error}. Repair the file, or give the vault "
                    "password that encrypted it; a new secret would lock the app out of its data."
                ) from error
        secret = secret_files.fresh(path)
        return secret_files.create(self._loader, path, secret) if keep else secret
