#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: env_file
short_description: A file of environment variables without placeholders, with secrets that are made once
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Brings a dotenv file to the declared variables, in one step that leaves the old file or the new one. systemd's
    C(EnvironmentFile=) and a POSIX shell read the same values from it.
  - Each variable may have a type, so that a wrong value fails here and not when the application starts.
  - A placeholder such as C(changeme), C(your-secret-key), C(xxx) or C(<token>) is refused where a secret belongs, and so is a secret
    that is easy to guess.
  - No value appears in the output, the difference or the log.
options:
  path:
    description: The file.
    type: path
    required: true
  variables:
    description:
      - The variables, each a plain value or a mapping.
      - C(value) is the value. C(type) is V(str), V(int), V(float), V(bool), V(url), V(path) or V(json); the default is V(str).
      - C(generate) set to V(true) makes a random secret of 64 bytes once, and keeps what the file has from then on. To replace it,
        remove its line from the file.
      - C(secret) says whether it is a secret. By default a text is one whose name has SECRET, KEY, PASSWORD or TOKEN in it, unless
        the name says that it is a setting, such as C(TOKEN_TTL) or C(SECRET_KEY_FILE), or public.
      - C(min_length) is the number of characters that a secret must have at least, 16 by default.
    type: dict
    required: true
  required:
    description: Names that must have a value in the end, such as those the application cannot start without.
    type: list
    elements: str
    default: []
  exclusive:
    description: Whether variables that are not declared are removed from the file.
    type: bool
    default: true
  owner:
    description: The owner of the file.
    type: str
    default: root
  group:
    description: The group of the file, usually that of the application's user.
    type: str
    default: root
  mode:
    description: The permissions as a quoted octal number.
    type: str
    default: "0640"
  backup:
    description: Keep the file that is replaced in a directory below O(backup_dir) that only its owner may look into.
    type: bool
    default: true
  backup_dir:
    description: Where backups go.
    type: path
    default: /var/backups/mainstay
  state_dir:
    description: Where the journal of a running transaction is. Change it only for a user who is not root.
    type: path
    default: /var/lib/mainstay
  _payload:
    description: The variables with their values. The action plugin sets it; nothing logs it. Not for use in a task.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and predict what would change.
    support: full
  diff_mode:
    description: Shows the names of the variables and which of them change, and no value.
    support: full
seealso:
  - module: mainstay.vps.config_set
"""

EXAMPLES = r"""
- name: Give the application its environment
  mainstay.vps.env_file:
    path: /etc/shop/env
    group: shop
    variables:
      LOG_LEVEL: info
      PORT: {value: 8000, type: int}
      PUBLIC_URL: {value: "https://shop.example.com", type: url}
      SMTP_PASSWORD: "{{ vault_smtp_password }}"
      SECRET_KEY: {generate: true}
    required: [SECRET_KEY, PUBLIC_URL]

- name: Set one variable and leave the others alone
  mainstay.vps.env_file:
    path: /etc/shop/env
    exclusive: false
    variables:
      DEBUG: {value: false, type: bool}
"""

RETURN = r"""
changed_variables:
  description: Names of the variables that were, or would be, added, changed or removed.
  returned: success
  type: list
  elements: str
  sample: [SECRET_KEY]
generated:
  description: Names of the secrets that were, or would be, made.
  returned: success
  type: list
  elements: str
  sample: [SECRET_KEY]
backup:
  description: The directory with the file that was replaced; null when there is none.
  returned: success
  type: str
  sample: /var/backups/mainstay/20260102T030405Z-1a2b3c4d
"""

import base64
import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mainstay.vps.plugins.module_utils.files import changeset, env_file
from ansible_collections.mainstay.vps.plugins.module_utils.files import spec as files_spec
from ansible_collections.mainstay.vps.plugins.module_utils.files.nodes import look, read
from ansible_collections.mainstay.vps.plugins.module_utils.files.owners import TransactionError

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "variables": {"type": "dict", "required": True},
    "required": {"type": "list", "elements": "str", "default": []},
    "exclusive": {"type": "bool", "default": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0640"},
    "backup": {"type": "bool", "default": True},
    "backup_dir": {"type": "path", "default": "/var/backups/mainstay"},
    "state_dir": {"type": "path", "default": "/var/lib/mainstay"},
    "_payload": {"type": "str", "no_log": True},
}


def present(path):
    """The variables a file has; none where there is no file."""
    if look(path).kind != "file":
        return {}
    try:
        return env_file.parse(read(path).decode())
    except (UnicodeDecodeError, env_file.EnvError) as problem:
        reason = "it is no UTF-8 text. Remove the file." if isinstance(problem, UnicodeDecodeError) else problem
        raise env_file.EnvError(f"{path} cannot be read: {reason}") from None


def entries(options, content):
    """The set of one file, as config_set takes it."""
    file = {key: options[key] for key in ("owner", "group", "mode")}
    spec = files_spec.parse({"files": [{"dest": options["path"], "content": content, "sensitive": True, **file}]})
    spec.entries[0].content = content.encode()
    return spec.entries


def change(options, variables, check):
    """Bring the file to the variables; what the module returns."""
    before = present(options["path"])
    wanted = env_file.declared(variables)
    after, generated = env_file.compose(wanted, before, options["required"], options["exclusive"])
    result = changeset.run(
        entries(options, env_file.render(after)),
        backup=options["backup"],
        check=check,
        diff=True,
        state_dir=options["state_dir"],
        backup_dir=options["backup_dir"],
    )
    texts = dict(zip(("before", "after"), env_file.differences(before, after)))
    return {
        "changed": bool(result.changed_files),
        "changed_variables": sorted(name for name in {*before, *after} if before.get(name) != after.get(name)),
        "generated": generated,
        "backup": result.backup,
        "diff": [{**item, **texts} if item["after_header"] == options["path"] else item for item in result.diff],
    }


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    if not options["_payload"]:
        module.fail_json(msg="env_file runs through its action plugin: call it as a task, mainstay.vps.env_file.")
    variables = json.loads(base64.b64decode(options["_payload"]))
    try:
        module.exit_json(**change(options, variables, module.check_mode))
    except (env_file.EnvError, files_spec.SpecError, TransactionError) as problem:
        module.fail_json(msg=str(problem))


if __name__ == "__main__":
    main()
