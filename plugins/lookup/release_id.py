# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: release_id
short_description: The name of the release that the sources of apps mean right now
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Returns a mapping of each app to the id of its release, computed on the control node without asking a host. All
    hosts and all batches of one run get the same answer, even when the source changes meanwhile.
  - A folder's id is a digest of its names, executable bits and contents, without C(.git), C(.venv), C(node_modules),
    caches and what git ignores. A commit's id is its first twelve digits; a tag or branch is resolved by one
    C(git ls-remote), a full commit by none. An archive's id comes from its checksum, a package's from its name and version.
  - An image's id comes from its digest. What a tag means is asked of the registry; in an archive the image itself tells.
  - Where the recipe is more than the plain Python one (another runtime, or build commands), six digits of the recipe
    follow, because the same source then makes another release.
options:
  _terms:
    description: The declared apps, as in C(mainstay_apps).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would be deployed
  ansible.builtin.debug:
    msg: "{{ lookup('mainstay.vps.release_id', mainstay_apps) }}"
"""

RETURN = r"""
_raw:
  description: A mapping of app to release id.
  type: list
  elements: dict
  sample: [{"shop": "3f9a1c20d4be"}]
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.mainstay.vps.plugins.plugin_utils import sources


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [sources.releases(terms[0] if terms else {}, variables or {})]
        except ValueError as error:
            raise AnsibleLookupError(str(error)) from error
