#!/bin/sh
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The folder in which the agent's figures are.
#   metrics-folder.sh make TMPFILES          make it, as the file of systemd-tmpfiles says
#   metrics-folder.sh remove FOLDER SHARE    take it away, and the folders of the role's files that are empty now
set -u

# Its writer may have begun before the folder was there. Without the role monitoring there is none.
make() {
    getent passwd mainstay >/dev/null || return 0
    systemd-tmpfiles --create "$1" || return 1
    ! systemctl --quiet is-active mainstay-history.timer || systemctl restart mainstay-history.service || :
}

remove() {
    rm -rf -- "$1"
    cd /etc/systemd/system && rmdir --ignore-fail-on-non-empty -- prometheus-*-exporter.service.d 2>/dev/null
    rmdir --ignore-fail-on-non-empty -- "$2" 2>/dev/null || :
}

case "${1:-}" in
    make) make "$2" ;;
    remove) remove "$2" "$3" ;;
    *) sed -n '6,8s/^# //p' "$0" >&2; exit 2 ;;
esac
