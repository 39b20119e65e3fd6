#!/bin/sh
# Part of the collection mainstay.vps, installed by its role postgresql.
exec /usr/bin/python3 -I /usr/local/lib/mainstay/pitr/launch.py "$@"
