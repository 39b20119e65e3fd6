#!/bin/sh
# Part of the collection mainstay.vps, installed by its role backup.
exec /usr/bin/python3 -I /usr/local/lib/mainstay/backup/launch.py "$@"
