# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each kind of trouble: why it matters, and what to do about it, as commands. {target} is how the command line names it."""

from __future__ import annotations

ADVICE = {
    "hang": (
        "It accepts connections, or does not, and answers none: its users wait.",
        ["mainstay logs {target} --since '15 min ago'", "mainstay plan    # whether its workers and pools are used up"],
    ),
    "error": ("It answers, and says itself that it is not well.", ["mainstay logs {target} --since '15 min ago'"]),
    "stale": (
        "It has stopped to give its sign of life. One that computes is left alone, as its task would be lost.",
        ["mainstay logs {target} --since '30 min ago'", "mainstay restart {target}    # if its task is not worth waiting for"],
    ),
    "crash": (
        "It ended by itself. systemd has started it again; requests and tasks under way were lost.",
        ["mainstay logs {target} --since '30 min ago'"],
    ),
    "oom": (
        "It needed more memory than its limit, so the kernel ended it. It will again.",
        ["mainstay plan    # what it has and what it uses", "raise memory: of the process in mainstay_apps, then run site.yml"],
    ),
    "failed": (
        "It does not start, so systemd has given up. The agent tries again, ever more rarely.",
        [
            "mainstay logs {target} -n 50",
            "mainstay env {target}    # its variables and packages, against those of before",
            "mainstay restart {target}    # when the cause is gone",
            "ansible-playbook playbooks/rollback.yml",
        ],
    ),
    "loop": (
        "It is well for seconds and ends again; each time its users lose what they were doing.",
        ["mainstay logs {target} -n 200", "ansible-playbook playbooks/rollback.yml    # where it began with a release"],
    ),
    "flapping": (
        "It is well and not well in turns, as something overloaded is.",
        ["mainstay logs {target} --since '30 min ago'", "mainstay plan"],
    ),
    "deaf": ("It refuses connections on the port it is declared with.", ["mainstay logs {target}", "ss -ltnp"]),
    "full": (
        "Somebody holds all its connections, so it lets nobody in, and its apps fail.",
        [
            "mainstay top    # who holds how many",
            "ss -tnp; ss -xp    # also from elsewhere",
            "end whoever holds them, or restart the server",
        ],
    ),
    "refuses": (
        "It refuses what writes, or all but its script: new tasks and sessions are lost.",
        ["mainstay logs {target} -n 50", "df -h /var/lib /tmp    # whether it can save its data"],
    ),
    "read-only": (
        "Whatever an app wants to keep is refused.",
        [
            "mainstay logs {target} -n 50",
            "undo what made it so: a replica, or default_transaction_read_only of the server, the database or the role",
        ],
    ),
    "locks": (
        "Behind a lock that is held for long, one request after the other waits, until all connections are taken.",
        [
            "mainstay plan    # whose they are",
            "runuser -u postgres -- psql -c 'SELECT pg_terminate_backend(PID)'    # ends who holds it, and its transaction",
        ],
    ),
    "dns": (
        "Who asks for the site by its name may not find it; where nothing is resolved, the host reaches nobody: no API, no e-mail, no update.",
        ["getent ahosts {target}", "cat /etc/resolv.conf; resolvectl status", "dig +trace {target}    # where the name ends"],
    ),
    "port": (
        "What is to listen there cannot, and its visitors meet whoever does.",
        ["mainstay clean {target}    # shows and stops what the app has left behind", "ss -ltnp"],
    ),
    "unasked": ("Whether anything is wrong within it cannot be seen.", ["mainstay logs {target} -n 50", "mainstay status {target}"]),
    "packages": (
        "What it imports may be missing, or behave as its authors never saw it.",
        ["mainstay env {target}    # and what differs from the release before", "ansible-playbook playbooks/rollback.yml"],
    ),
    "environment": (
        "It runs with what was declared before. The next start, whoever asks for it, brings the difference.",
        ["mainstay env {target}", "mainstay restart {target}"],
    ),
    "disk": (
        "A full disk stops the database first, and then everything that writes.",
        ["du -xh --max-depth=2 {path} | sort -h | tail -20", "journalctl --vacuum-size=100M", "apt-get clean"],
    ),
    "inodes": (
        "Without inodes no file can be created, whatever space is free.",
        ["du -x --inodes --max-depth=3 {path} | sort -n | tail -20"],
    ),
    "memory": (
        "At its limit the kernel takes memory back all the time, which makes it slow.",
        ["mainstay plan", "raise memory: of the process in mainstay_apps, then run site.yml"],
    ),
    "scarce": (
        "When it is used up, everything waits for the disk, and the kernel ends what it finds largest.",
        ["mainstay plan    # who uses more than was planned", "systemd-cgtop --order=memory --iterations=1    # also what no plan knows"],
    ),
    "leak": (
        "It will meet its limit and be killed; a restart in a quiet moment loses nothing.",
        ["mainstay logs {target}", "mainstay restart {target}"],
    ),
    "connections": (
        "When the last one is taken, requests fail that need the database.",
        ["mainstay plan    # pools and limits", "mainstay queries    # of PostgreSQL: statements that hold connections for long"],
    ),
    "files": (
        "At its limit it opens no file and takes no connection any more, so it answers nobody.",
        [
            "mainstay top {target}",
            "mainstay restart {target}    # gives them back, until the leak is mended",
            "ls -l /proc/PID/fd    # what they are",
        ],
    ),
    "tasks": (
        "At its limit it can start neither a thread nor a child any more.",
        [
            "mainstay top {target}",
            "ps -eLo pid,ppid,lwp,stat,args    # a Z has ended: its parent has to wait for it",
            "mainstay restart {target}",
        ],
    ),
    "site": (
        "Visitors are kept out, although nginx and the processes behind it are well.",
        ["nginx -t", "tail -n 20 /var/log/nginx/error.log", "ansible-playbook playbooks/site.yml --tags nginx --check --diff"],
    ),
    "certificate": (
        "Browsers refuse a site whose certificate has ended, or is for another name.",
        ["systemctl status certbot.timer", "journalctl -u certbot", "ansible-playbook playbooks/site.yml --tags certificates"],
    ),
    "backup": ("What is not backed up, or never proved, cannot be restored.", ["mainstay backups", "journalctl -u mainstay-backup"]),
    "recovery": (
        "Moments whose log is not kept cannot be restored, and a log that cannot be handed over fills the disk up to its limit.",
        ["systemctl start mainstay-pitr", "journalctl -u mainstay-pitr", "sudo -u postgres pgbackrest --stanza=main check"],
    ),
    "reboot": (
        "The running kernel and libraries are those of before their update, with their faults.",
        ["mainstay maintenance on --for 15m --reason reboot", "reboot"],
    ),
    "stuck": (
        "Tasks wait and nobody takes them. The workers run, but have lost their queue, or wait for something else.",
        ["mainstay logs {target} --since '30 min ago'", "mainstay restart {target}"],
    ),
    "stopped": ("Somebody stopped it, so it stays stopped.", ["mainstay start {target}"]),
    "restarts": ("Something ends it again and again, though it is well between.", ["mainstay history {target}", "mainstay logs {target}"]),
    "agent": (
        "Nothing that hangs is seen, and nobody is told.",
        ["systemctl status mainstay-agent.service", "mainstay logs agent -n 50"],
    ),
    "unit": ("Something of the host does not run.", ["systemctl status {target}", "journalctl -u {target} -n 50"]),
    "pool": (
        "Sessions that hold a transaction open and do nothing keep locks and connections from others.",
        ["mainstay plan    # whose they are", "set a timeout for transactions in the app, and end them before it waits for something else"],
    ),
    "slow": (
        "Each call keeps a connection and a processor busy; an index often helps.",
        ["mainstay queries {target} --by mean", "EXPLAIN (ANALYZE, BUFFERS) the statement"],
    ),
    "n+1": (
        "A short statement that runs so often is mostly one query for each row of another.",
        ["mainstay queries {target} --by calls", "fetch the rows together: selectinload or joinedload in SQLAlchemy"],
    ),
    "redis-clients": (
        "At maxclients Redis refuses connections.",
        ["mainstay plan", "use one connection pool for each process"],
    ),
    "redis-memory": (
        "A queue that is full refuses new tasks.",
        ["mainstay plan", "start more workers, or take results out of Redis: result_expires, ignore_result"],
    ),
    "backlog": (
        "Tasks come faster than they are done.",
        ["mainstay logs {target}", "raise the concurrency or the instances of the worker"],
    ),
}


def advice(kind, target="", path="/"):
    """(why it matters, [what to do, …]) of a kind of trouble."""
    why, commands = ADVICE.get(kind, ("", ["mainstay logs {target}"]))
    return why, [command.format(target=target or "APP", path=path) for command in commands]


def named(incident):
    """How the command line names what an incident is about: the app and process, the server, or nothing where it is the host."""
    if incident.get("server"):
        return incident["server"]
    return "/".join(incident[key] for key in ("app", "process", "instance") if key in incident)


def folder(incident):
    """The folder that an incident of a disk is about."""
    name = incident.get("resource", "")
    return name.partition(" ")[2] if name.startswith(("disk ", "inodes ")) else "/"
