# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same where the repository is elsewhere: by SFTP, and in S3."""

from __future__ import annotations

import shlex

from backup_cases import Case
from backup_tools import SEND, SHARED, sql

SERVER = (
    r"""
useradd --create-home --shell /bin/sh --password '*' keeper
install -d -m 0700 -o keeper /home/keeper/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/peer_key; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/far_key
cat > /etc/ssh/far_config <<'C'
Port 2222
ListenAddress 127.0.0.1
HostKey /etc/ssh/far_key
PidFile /run/far.pid
AuthorizedKeysFile /etc/ssh/far_%u
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp /usr/lib/openssh/sftp-server
C
mkdir -p /run/sshd; systemd-run --quiet --unit=far /usr/sbin/sshd -D -f /etc/ssh/far_config
ssh-keygen -q -y -f /root/peer_key > /etc/ssh/far_keeper
sleep 1; ssh-keyscan -p 2222 -t ed25519 127.0.0.1 2>/dev/null > /root/peer_hosts; [ -s /root/peer_hosts ]
python3 - <<'P'
import json
path = '/etc/mainstay/backup/config.json'
found = json.load(open(path))
found['repository'] = 'sftp://keeper@127.0.0.1:2222//home/keeper/restic'
json.dump(found, open(path, 'w'))
P
cp /root/peer_hosts /etc/mainstay/backup/known_hosts
/usr/local/sbin/mainstay-backup open || true
ssh-keygen -y -f /etc/mainstay/backup/ssh_key >> /etc/ssh/far_keeper
/usr/local/sbin/mainstay-backup open
sed -i 's#/mnt/borg#ssh://keeper@127.0.0.1:2222/./borg#' /etc/borgmatic/config.yaml
sed -i 's#^storage:#storage:\n  ssh_command: ssh -i /root/peer_key -o UserKnownHostsFile=/root/peer_hosts#' /etc/borgmatic/config.yaml
HOME=/root borgmatic init --encryption repokey
grep -q rsync /usr/local/bin/backup.sh || cat >> /usr/local/bin/backup.sh <<'E'
"""
    + SEND
    + r"""E
systemctl start mainstay-backup
"""
)
HUGE = f"runuser -u chat -- sh -c 'head --bytes=300M /dev/urandom > {SHARED}/huge'"
# Fifteen minutes are long in a proof; the role's file says one more at its next run.
PATIENT = "sed --in-place 's/^PATIENCE = 900/PATIENCE = 60/' /usr/local/lib/mainstay/backup/mainstay_backup/restic.py"


def until_more(megabytes):
    """Shell that waits until there are forty more of them than now."""
    return f"was=$({megabytes}); for i in $(seq 600); do [ $({megabytes}) -gt $((was + 40)) ] && break; sleep 0.1; done"


FAR = {
    "the server's host key is not known": Case("mv /root/peer_hosts /root/hosts.away; : > /root/peer_hosts; : > /etc/mainstay/backup/known_hosts",
                                           "mv /root/hosts.away /root/peer_hosts; cp /root/peer_hosts /etc/mainstay/backup/known_hosts"),
    "the server refuses the key": Case("mv /etc/ssh/far_keeper /etc/ssh/far_away", "mv /etc/ssh/far_away /etc/ssh/far_keeper"),
    "the server is off": Case("systemctl stop far", "systemd-run --quiet --unit=far /usr/sbin/sshd -D -f /etc/ssh/far_config; sleep 1"),
    "the network drops half-way": Case(
        f"runuser -u chat -- sh -c 'head --bytes=300M /dev/urandom > {SHARED}/huge'; size=$(du -sm /home/keeper | cut -f1)",
        f"nft delete table inet cut; rm {SHARED}/huge; pkill --signal KILL borg; rm -rf /home/keeper/borg/lock.*",
        during="timeout 60 bash -c \"until [ \\$(du -sm /home/keeper | cut -f1) -gt $((size + 5)) ]; do sleep 0.05; done\"; nft 'add table inet cut;"
        " add chain inet cut o { type filter hook output priority -300; }; add rule inet cut o tcp dport 2222 drop; add rule inet cut o tcp sport 2222 drop'",
    ),
    "the run after it": Case(),
    # ssh is gone with it, and says so itself; where only the sftp behind it stands still, ssh's questions are answered.
    "the server stands still half-way": Case(
        HUGE, f"pkill --signal KILL --uid keeper; rm {SHARED}/huge",
        during=f"{until_more('du -sm /home/keeper | cut -f1')}; pkill --signal STOP --uid keeper", only=("mainstay",),
    ),
    "its sftp stands still half-way, and its ssh does not": Case(
        f"{PATIENT}; {HUGE}", f"pkill --signal KILL --uid keeper; rm {SHARED}/huge",
        during=f"{until_more('du -sm /home/keeper | cut -f1')}; pkill --signal STOP --exact sftp-server", only=("mainstay",),
    ),
}  # fmt: skip
# moto, out of PyPI, keeps what it gets in memory: where it starts again, the bucket is gone.
MOTO = "systemd-run --quiet --unit=s3 /opt/moto/bin/moto_server -H 127.0.0.1 -p 9000 -c /etc/s3/cert.pem -k /etc/s3/key.pem; sleep 4"
S3 = f"""
DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends python3-venv openssl >/dev/null
python3 -m venv /opt/moto
PIP_CERT=/etc/ssl/certs/ca-certificates.crt /opt/moto/bin/pip --quiet install 'moto[server]'
mkdir -p /etc/s3; cd /etc/s3
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=s3-ca -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem 2>/dev/null
echo subjectAltName=DNS:localhost > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out cert.pem 2>/dev/null
cp ca.pem /usr/local/share/ca-certificates/s3.crt; update-ca-certificates >/dev/null 2>&1
{MOTO}
python3 - <<'P'
import json
path = '/etc/mainstay/backup/config.json'
found = json.load(open(path))
found['repository'] = 's3:https://localhost:9000/backups'
found['environment'] |= {{'AWS_ACCESS_KEY_ID': 'AKIAEXAMPLE', 'AWS_SECRET_ACCESS_KEY': 'example'}}
json.dump(found, open(path, 'w'))
P
/usr/local/sbin/mainstay-backup open
systemctl start mainstay-backup
"""
GROWN = "awk '/VmRSS/ {print int($2 / 1024)}' /proc/$(systemctl show --property=MainPID --value s3)/status"
STOPPED, GOES_ON = "systemctl kill --signal=STOP s3", "systemctl kill --signal=CONT s3"
SLOW = (
    "nft 'add table inet slow; add chain inet slow o { type filter hook output priority -300; };"
    " add rule inet slow o tcp dport 9000 limit rate over 1 mbytes/second burst 128 kbytes drop'"
)
SCRATCH = sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'mainstay%'", "postgres")
ONLY = ("mainstay",)  # the others keep nothing in S3
CLOUD = {
    "S3": Case(only=ONLY),
    "S3 is slow": Case(
        f"runuser -u chat -- sh -c 'head --bytes=20M /dev/urandom > {SHARED}/more'; {SLOW}", f"nft delete table inet slow; rm {SHARED}/more", only=ONLY,
    ),
    "S3 stands still for twenty seconds": Case(
        HUGE, f"rm {SHARED}/huge", during=f"{until_more(GROWN)}; {STOPPED}; sleep 20; {GOES_ON}", only=ONLY,
    ),
    "S3 stands still half-way": Case(f"{PATIENT}; {HUGE}", f"{GOES_ON}; rm {SHARED}/huge", during=f"{until_more(GROWN)}; {STOPPED}", only=ONLY),
    "S3 stands still": Case(STOPPED, GOES_ON, only=ONLY),
    "S3 stands still in the drill": Case(
        PATIENT, GOES_ON, unit="mainstay-backup-drill", only=ONLY,
        during=f"timeout 60 bash -c {shlex.quote(f'until [ $({SCRATCH}) = 1 ]; do sleep 0.1; done')}; {STOPPED}",
    ),
    "the authority of S3's certificate is not known": Case(
        "mv /usr/local/share/ca-certificates/s3.crt /root; update-ca-certificates --fresh >/dev/null 2>&1",
        "mv /root/s3.crt /usr/local/share/ca-certificates; update-ca-certificates >/dev/null 2>&1", only=ONLY,
    ),
    "S3 is off": Case("systemctl stop s3", MOTO, only=ONLY),
    "S3's bucket is gone": Case(only=ONLY),  # it is, since then
}  # fmt: skip
