# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a refusal of the shared core reaches the user of a filter or a lookup."""

from __future__ import annotations

import functools

from ansible.errors import AnsibleFilterError


def refused_as_filter_error(function):
    """The function, with every ``ValueError`` (a refused declaration, a plan that does not fit) as Ansible's own error."""

    @functools.wraps(function)
    def filtered(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return filtered


def refused_in_words(function):
    """The function, whose mapping says as ``refused`` why there is none: a task of its own fails with that sentence alone."""

    @functools.wraps(function)
    def filtered(*args, **kwargs):
        try:
            return {**function(*args, **kwargs), "refused": ""}
        except ValueError as error:
            return {"refused": str(error)}

    return filtered
