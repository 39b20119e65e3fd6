# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Ansible find this collection's plugins by name, as it does in a playbook."""
from __future__ import annotations

import os
import sys

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([path for path in sys.path if os.path.isdir(os.path.join(path, "ansible_collections", "mainstay"))])
