# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that is a container image: it serves within its unit's limits, and is deployed and returned like any other.

It takes the place of the scenario's own app, so these tests are the last ones.
"""

from __future__ import annotations

import pytest
from images import Images
from plays import changes, play

SITE = "box.example.com"
# On the host, so that the secret is in no command, and in no log of one.
SECRET = r"""sed -n 's/^SECRET_KEY="\(.*\)"$/\1/p' /etc/mainstay/box/env"""
SCRIPTS = {
    "state": "cat /proc/self/status /proc/self/cgroup; touch /new || echo 'nothing to write to'; touch /uploads/new && echo kept",
    "small": "dd if=/dev/zero of=/dev/null bs=8M count=1 2>&1",
    "large": "dd if=/dev/zero of=/dev/null bs=200M count=1 2>&1",
}


REPORT = "sh -c 'echo $GREETING; read seconds </uploads/seconds; busybox touch /uploads/began; exec busybox sleep $seconds'"


class Box:
    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        images = Images(host)
        scripts = {f"www/cgi-bin/{name}": f"#!/bin/sh\necho; echo\n{text}\n".encode() for name, text in SCRIPTS.items()}
        started = ["sh", "-c", "exec busybox httpd -f -p $HOST:$PORT -h /www"]
        for version in ("first", "second"):
            files = {"www/health": b"", "www/index.html": version.encode(), "uploads/.keep": b"", **scripts}
            images.write(folder / f"{version}.tar", files, Entrypoint=["/bin/busybox"], Cmd=started)

    def play(self, playbook, version):
        declared = {
            "runtime": "container",
            "source": {"image": str(self.folder / f"{version}.tar")},
            "migrate": "sh -c 'echo $GREETING >>/srv/box/shared/migrations'",
            "env": {"GREETING": 'say "hello" for $5'},
            "secrets": ["SECRET_KEY"],
            "volumes": {"uploads": "/uploads"},
            "processes": {
                "web": {"port": 8300, "instances": 2, "memory": "64M", "drain": 2},
                "worker": {"command": "sh -c 'echo $GREETING; exec sleep 1000'", "memory": "64M"},
                "report": {"command": REPORT, "schedule": "*-01-01 03:00", "time_limit": 5, "memory": "64M"},
            },
            "sites": {SITE: {"routes": {"/": {"process": "web"}}}},
        }
        return play(f"playbooks/{playbook}.yml", variables={"mainstay_apps": {"box": declared}})

    def get(self, path):
        return self.host.check_output("curl --silent --insecure --resolve %s:443:127.0.0.1 https://%s%s", SITE, SITE, path)

    def units(self):
        listed = self.host.check_output("systemctl list-units --plain --no-legend --state=active 'box-*@*.service'")
        return [line.split()[0] for line in listed.splitlines()]


@pytest.fixture(scope="module")
def box(host, tmp_path_factory):
    box = Box(host, tmp_path_factory.mktemp("box"))
    run = box.play("deploy", "first")
    assert run.returncode == 0, run.stdout[-4000:]
    return box


@pytest.fixture(scope="module")
def state(box):
    """What a process in the container finds and may do."""
    return box.get("/cgi-bin/state")


def test_it_answers_through_nginx_and_nowhere_else(host, box):
    assert box.get("/") == "first"
    listening = host.check_output("ss --no-header --listening --numeric --tcp | awk '{print $4}'").split()
    assert {item.rpartition(":")[0] for item in listening if item.rpartition(":")[2].startswith("83")} == {"127.0.0.1"}


def test_it_is_nobody_and_owns_nothing_but_its_folders(host, state):
    uid = host.check_output("id --user box")
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in state
    assert "CapBnd:\t0000000000000000\n" in state and "NoNewPrivs:\t1\n" in state and "Seccomp:\t2\n" in state
    assert state.rstrip().endswith("nothing to write to\nkept"), state
    assert host.file("/srv/box/volumes/uploads/new").user == "box"


def test_the_limits_of_its_unit_are_its_own(box, state):
    assert ".slice/box-web@83" in state, "the container is in its unit's cgroup"
    assert "1+0 records out" in box.get("/cgi-bin/small")
    assert "1+0 records out" not in box.get("/cgi-bin/large"), "200 MB are more than its 64"


def test_its_words_are_its_unit_s(host, box):
    assert 'say "hello" for $5' in host.check_output("journalctl --no-pager --unit=box-worker@1.service --identifier=box-worker")


def test_a_timer_runs_it_and_ends_what_takes_too_long(host, box):
    assert host.check_output("systemctl is-active box-report@1.timer") == "active"
    host.check_output("echo 0 >/srv/box/volumes/uploads/seconds && systemctl start box-report@1.service")
    assert host.file("/srv/box/volumes/uploads/began").user == "box"
    assert 'say "hello" for $5' in host.check_output("journalctl --no-pager --unit=box-report@1.service --identifier=box-report")
    host.check_output("echo 60 >/srv/box/volumes/uploads/seconds")
    assert host.run("systemctl start box-report@1.service").rc != 0
    assert host.check_output("systemctl show --property=Result --value box-report@1.service") == "timeout"
    assert host.check_output("podman ps --all --quiet --filter name=box-report; pgrep -xf 'busybox sleep 60' || true") == ""
    host.check_output("systemctl reset-failed box-report@1.service")


def test_no_secret_where_others_look(host, box):
    places = "ps axww -o args; systemctl show 'box-*@*'; systemctl cat 'box-*@*'; journalctl --no-pager; podman ps --all --no-trunc"
    host.check_output(f"({places}) >/run/seen; podman inspect $(podman ps --quiet) >/run/inside")
    seen, inside = host.run(f"for file in seen inside; do {SECRET} | grep --fixed-strings --count --file=- /run/$file; done").stdout.split()
    host.check_output("rm /run/seen /run/inside")
    assert int(inside) == 3, "each container has it, and only root can look there"
    assert int(seen) == 0


def test_a_second_run_changes_nothing(box):
    run = box.play("deploy", "first")
    assert run.returncode == 0, run.stdout[-4000:]
    assert changes(run) == 0, run.stdout[-4000:]


def test_a_command_runs_in_its_image(host, box):
    done = host.run("mainstay run box -- sh -c 'busybox tail -n 1 /srv/box/shared/migrations; touch /new; exit 3'")
    assert (done.rc, done.stdout.strip()) == (3, 'say "hello" for $5')
    assert "Read-only file system" in done.stderr


def test_a_killed_container_comes_back(host, box):
    killed = "kill -KILL $(systemctl show --property=MainPID --value box-worker@1.service) && sleep 3"
    assert host.check_output(f"{killed} && systemctl is-active box-worker@1.service && podman ps --all --quiet | wc --lines") == "active\n3"


def test_another_image_takes_over_beside_it_and_goes_again(host, box):
    first = box.units()
    for playbook, answer in (("deploy", "second"), ("rollback", "first")):
        run = box.play(playbook, "second")
        assert run.returncode == 0, run.stdout[-4000:]
        assert box.get("/") == answer
        assert (box.units() == first) == (answer == "first"), "the other half of the ports serves"
        assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""
    releases, images = host.check_output("ls /srv/box/releases; echo; podman images --noheading | awk '{print $2}' | sort").split("\n\n")
    assert releases == images, "each release has its image, and no image is left of another one"
