#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: config_set
short_description: Change a set of configuration files as one transaction
version_added: 1.0.0
description:
  - Brings a whole set of files, links and directories to the declared state, or leaves every one of them as it was.
  - When nothing differs, one shell command finds that out and no Python starts on the host.
  - When something differs, the new set is tested by the service's own checker before anybody else can see it, and then
    put in place with one rename for each path. A refused set leaves the host byte for byte as it was, and the checker's
    own words are the error.
  - The commit runs in a process of its own, with a journal. Killing the module at any point ends in the old or in the
    new set; after a power cut the next run, or the host's recovery at boot, ends what was begun.
options:
  files:
    description:
      - The entries of the set.
      - Every path must be absolute and may appear only once. Missing directories above a path are made, owned by the
        running user, mode V(0755).
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description:
          - The path on the host.
          - A symbolic link at this path is replaced, never written through. Only O(files[].state=directory) accepts a
            link in its place, if root owns the link and it leads to a directory.
        type: str
        required: true
      template:
        description:
          - A template, rendered on the control node as M(ansible.builtin.template) does; looked for in the role's
            C(templates/).
        type: str
      content:
        description:
          - The content itself.
        type: str
      file:
        description:
          - A file that is copied as it is; looked for in the role's C(files/). It may be encrypted with Ansible Vault.
        type: str
      link:
        description:
          - The target of a symbolic link at O(files[].dest).
        type: str
      state:
        description:
          - What is to be at O(files[].dest). V(absent) removes a file, a link or an empty directory.
          - The default is V(link) with O(files[].link), else V(file).
        type: str
        choices: [file, link, directory, absent]
      vars:
        description:
          - Additional variables for the template of this entry.
        type: dict
      owner:
        description:
          - The owner, by name or number. The default is O(owner).
        type: str
      group:
        description:
          - The group, by name or number. The default is O(group).
        type: str
      mode:
        description:
          - The permissions as a quoted octal number. The default is O(mode) for files and V(0755) for directories.
        type: str
      sensitive:
        description:
          - Hide the content everywhere, in the diff and where the checker quotes it. Without any O(files[].mode) and
            O(mode) the file is readable by its owner only (V(0600)).
        type: bool
        default: false
  owner:
    description:
      - The owner of every entry that names none.
    type: str
    default: root
  group:
    description:
      - The group of every entry that names none.
    type: str
    default: root
  mode:
    description:
      - The permissions of every file that names none, as a quoted octal number. The default is V(0644), for sensitive
        files V(0600).
    type: str
  purge:
    description:
      - Patterns of the shell. Every file or symbolic link that matches and is not in the set is removed; directories
        never are.
    type: list
    elements: str
    default: []
  brief:
    description:
      - Patterns of the shell, in which C(*) stands for slashes, too. Of files that match, the diff says only how many are new, changed and gone;
        with C(-v) it shows their lines. It is for programs, which nobody reads at every run.
    type: list
    elements: str
    default: []
  validate:
    description:
      - One command, or a list of commands, that judge the whole set. Each is split like a shell line but runs without a
        shell, with C(LC_ALL=C), from C(/), and sees the new files at their real paths.
      - The commands run in a private mount namespace, where the new files are laid over the old ones. Where the kernel
        allows no namespace, the set is put in place, tested and, if refused, put back.
      - A command whose program is not installed is skipped, and RV(note) says so.
    type: list
    elements: raw
    default: []
  validate_timeout:
    description:
      - How many seconds each command may take.
    type: int
    default: 60
  backup:
    description:
      - Keep what is replaced or removed in a directory of its own below O(backup_dir). The last 20 are kept.
    type: bool
    default: true
  backup_dir:
    description:
      - Where backups go. Only the owner may look into them.
    type: path
    default: /var/backups/mainstay
  state_dir:
    description:
      - Where the journal of a running transaction is. Change it only for a user who is not root.
    type: path
    default: /var/lib/mainstay
author:
  - mainstay contributors (@mainstay)
attributes:
  check_mode:
    description: Predicts RV(changed_files) and tests the set, and changes nothing.
    support: full
    details:
      - Owners and groups that do not exist yet, and directories missing directly below C(/etc), show that packages are
        still to come. They are noted, not errors; on such a host a refusal by the checker is noted, too.
      - Where no mount namespace can be made, the set is not tested.
  diff_mode:
    description: Shows what changes in each file. Of sensitive files it shows only that they change.
    support: full
  platform:
    description: Needs Linux with coreutils, findutils and Python 3.9 or newer.
    platforms: linux
    support: full
notes:
  - This is an action plugin; the module of the same name holds its documentation.
  - The security label, access list and user attributes of a replaced file are carried over to the new one.
  - An entry that is a mount point cannot be replaced and is an error.
  - Settle what a power cut left unfinished with C(python3 /usr/local/lib/mainstay/recovery), which the role
    system puts there. The next run does the same.
seealso:
  - module: ansible.builtin.template
  - module: ansible.builtin.copy
  - module: ansible.builtin.file
"""

EXAMPLES = r"""
- name: Configure nginx, or keep the last good configuration
  mainstay.vps.config_set:
    files:
      - {dest: /etc/nginx/nginx.conf, template: nginx.conf.j2}
      - {dest: /etc/nginx/conf.d/mainstay-shop.conf, template: site.conf.j2, vars: {site: shop}}
      - {dest: /etc/nginx/sites-enabled/default, state: absent}
    purge: [/etc/nginx/conf.d/mainstay-*.conf]
    validate: nginx -t
  notify: Reload nginx

- name: Give the application its secrets
  mainstay.vps.config_set:
    files:
      - {dest: /etc/mainstay/shop, state: directory, mode: "0750"}
      - {dest: /etc/mainstay/shop/env, template: env.j2, mode: "0640", sensitive: true}
    group: shop

- name: Change the SSH server's settings only if it will still start
  mainstay.vps.config_set:
    files:
      - {dest: /etc/ssh/sshd_config.d/01-mainstay.conf, template: sshd.conf.j2, mode: "0600"}
    validate:
      - sshd -t
      - sshd -T -C user=root,host=localhost,addr=127.0.0.1
  notify: Reload the SSH server

- name: Keep an own directory in order without root
  mainstay.vps.config_set:
    files:
      - {dest: /home/ada/.config/app/app.ini, content: "[app]\nlevel = info\n"}
    owner: ada
    group: ada
    state_dir: /home/ada/.local/state/mainstay
    backup_dir: /home/ada/.local/state/mainstay/backups
"""

RETURN = r"""
changed_files:
  description: The paths that were created, changed or removed, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/nginx.conf, /etc/nginx/sites-enabled/default]
backup:
  description: The directory with everything that was replaced or removed, below C(files/); null when nothing was.
  returned: always
  type: str
  sample: /var/backups/mainstay/20260102T030405Z-1a2b3c4d
validated:
  description: Whether every command of O(validate) ran and accepted the set.
  returned: always
  type: bool
  sample: true
note:
  description: What a reader should know, such as a checker that is not installed yet; empty when there is nothing.
  returned: always
  type: str
  sample: "not tested with nginx -t: nginx is not installed"
recovered:
  description: Unfinished transactions of earlier runs that were settled first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The name of the transaction.
      type: str
    outcome:
      description: V(completed) when it was brought to its end, V(restored) when it was taken back.
      type: str
    files:
      description: The paths it was about.
      type: list
      elements: str
  sample: []
cmd:
  description: The command that refused the set.
  returned: when the set is refused
  type: str
  sample: nginx -t
rc:
  description: Its exit status.
  returned: when the set is refused
  type: int
  sample: 1
output:
  description: Its own words, what they quote from sensitive files masked.
  returned: when the set is refused
  type: str
  sample: 'nginx: [emerg] unknown directive "lissten" in /etc/nginx/conf.d/mainstay-shop.conf:3'
"""
