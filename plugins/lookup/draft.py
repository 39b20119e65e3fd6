# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: draft
short_description: A declaration of an app, guessed from its source
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Looks at a folder of the control node and returns a file of variables that declares it as an app, with what each line was
    guessed from. What cannot be known is a comment with TODO. Nothing of the source is run.
  - The declaration has passed the checks that a run begins with.
options:
  _terms:
    description: The folder, relative to where Ansible was started.
    type: list
    elements: str
    required: true
  app:
    description: The app's name; the folder's, if it is not given.
    type: str
    default: ''
  file:
    description:
      - The file that the declaration is for. The source is named relative to its inventory.
      - A file that is there with other contents is refused.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Show how an app might be declared
  ansible.builtin.debug:
    msg: "{{ lookup('mainstay.vps.draft', '../shop', app='shop').text }}"
"""

RETURN = r"""
_raw:
  description: For each folder a mapping with the text of a file of variables as C(text), or, as C(refused), why there is none.
  type: list
  elements: dict
"""

import os
import re

from ansible.plugins.lookup import LookupBase
from ansible_collections.mainstay.vps.plugins.module_utils.draft import tree
from ansible_collections.mainstay.vps.plugins.module_utils.draft.guess import draft
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import refuse
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_in_words

SCHEMA = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../docs/variables.schema.json"))


def inventory_of(file):
    """The folder that a relative source begins in: that of the inventory which a file of variables belongs to."""
    folder = os.path.dirname(file)
    while folder != os.path.dirname(folder):
        if os.path.basename(folder) in ("group_vars", "host_vars"):
            return os.path.dirname(folder)
        folder = os.path.dirname(folder)
    return os.path.join(os.getcwd(), "inventory")


def modeline(file):
    """The line by which an editor finds the schema, where it lies near the file."""
    near = os.path.dirname(os.path.dirname(SCHEMA))
    if not file or not os.path.realpath(file).startswith(near + os.sep):
        return ""
    return f"# yaml-language-server: $schema={os.path.relpath(SCHEMA, os.path.dirname(os.path.realpath(file)))}"


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        return [self._draft(str(term)) for term in terms]

    @refused_in_words
    def _draft(self, source):
        root = os.path.abspath(os.path.expanduser(source))
        if not source or not os.path.isdir(root):
            refuse("mainstay_source", source, "name a folder of this machine, such as ../shop")
        file = self.get_option("file") and os.path.abspath(os.path.expanduser(self.get_option("file")))
        app = self.get_option("app") or re.sub(r"[^a-z0-9-]+", "-", os.path.basename(root).lower()).strip("-")
        inventory = inventory_of(file) if file else os.path.join(os.getcwd(), "inventory")
        beside = f"{os.path.relpath(inventory)}/"
        text = draft(app, tree.Tree(tree.read(root)), os.path.relpath(root, inventory), source, beside, modeline(file))
        if file and os.path.lexists(file) and self._content(file) != text:
            remedy = "it is there already, and nothing is written over it; name another file, or none, and paste what is printed"
            refuse("mainstay_app_file", self.get_option("file"), remedy)
        return {"text": text}

    @staticmethod
    def _content(file):
        try:
            with open(file, encoding="utf-8") as opened:
                return opened.read()
        except (OSError, UnicodeDecodeError):
            return None
