# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does on the host: a command as the app, ports freed from strays, a look at what was deployed."""

from __future__ import annotations

import json

import pytest

LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(120)"


@pytest.fixture
def ports(host):
    """The ports of the shop: (those that serve, those of the next release)."""
    known = json.loads(host.file("/etc/mainstay/agent.json").content_string)
    serving = [int(item["instance"]) for item in known["processes"] if item["process"] == "web"]
    return serving, [port for port in known["apps"]["shop"]["ports"]["web"] if port not in serving]


def _listens(host, port):
    return host.run(f"ss --no-header --listening --tcp --numeric 'sport = :{port}' | grep -q .").rc == 0


def test_a_command_runs_as_the_app(host):
    run = host.run("mainstay run shop -- sh -c 'id -un; env; touch /etc/x || echo read-only; exit 7'")
    assert run.rc == 7
    lines = run.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("shop", "read-only")
    assert [line for line in lines if line.startswith("DATABASE_URL=postgresql://shop:")]
    assert host.run("mainstay run shop -- alembic current").stdout.strip().endswith("(head)")
    assert host.run("systemctl list-units --all --no-legend 'mainstay-run-*'").stdout == ""


def test_a_command_arrives_whole_while_systemd_is_reloaded(host):
    """As each installation of a package does; systemd then reads back what it wrote, which is not what it was told."""
    run = "mainstay run shop -- sh -c 'echo \"$PWD;$0\"' '$$;'"
    said = host.check_output(
        f"while systemctl daemon-reload; do :; done & for _ in $(seq 6); do {run} 2>&1; done | sort | uniq -c; kill $!; wait"
    )
    release = host.check_output("readlink -f /srv/shop/current")
    assert said.split(maxsplit=1) == ["6", f"{release};$$;"]


def test_what_an_app_runs_with_is_told_without_a_value(host):
    env = "/etc/mainstay/shop/env"
    secret = host.check_output(f"sed -n 's/^SECRET_KEY=\"\\(.*\\)\"$/\\1/p' {env}")
    length = [line.split()[1:4] for line in host.check_output("mainstay env shop").splitlines() if line.startswith("SECRET_KEY ")]
    assert length == [["file", str(len(secret)), host.check_output(f"printf %s '{secret}' | sha256sum | cut -c1-8")]]
    host.check_output(f"cp -p {env} /run/env && sed -i 's/^SECRET_KEY=.*/SECRET_KEY=\"another\"/; $ a NEW_FLAG=1' {env}")
    try:
        told = host.run("mainstay env shop/web")
        assert told.rc == 1 and "would start with others: NEW_FLAG (not there yet), SECRET_KEY (changed)" in told.stdout
        assert "NEW_FLAG (not there yet), SECRET_KEY (changed)" in host.run("mainstay diagnose").stdout
        assert secret not in told.stdout + host.run("mainstay env shop --json").stdout + host.run("mainstay diagnose --json").stdout
    finally:
        host.check_output(f"cp -p /run/env {env} && rm /run/env")


def test_a_stray_is_shown_and_stopped_and_what_serves_is_left(host, ports):
    serving, (port, *_others) = ports
    listen = LISTEN.format(port=port)
    host.run(f'setsid runuser -u shop -- python3 -c "{listen}" >/dev/null 2>&1 </dev/null & sleep 1')
    assert _listens(host, port)
    shown = host.run("mainstay clean shop </dev/null")
    assert shown.rc == 2 and str(port) in shown.stdout and "--yes" in shown.stderr
    assert host.run("mainstay clean shop --yes").rc == 0
    assert not _listens(host, port) and all(_listens(host, number) for number in serving)


def test_somebody_else_s_process_is_left(host, ports):
    _serving, (port, *_others) = ports
    host.run(f'systemd-run --quiet --unit=operating-foreign python3 -c "{LISTEN.format(port=port)}"; sleep 1')
    refused = host.run("mainstay clean shop --yes")
    left = _listens(host, port)
    host.run("systemctl stop operating-foreign.service")
    assert refused.rc == 2 and left
    assert "It belongs to root, not to shop" in refused.stderr


def test_a_unit_is_started_as_often_as_somebody_asks(host):
    limit = int(host.check_output("systemctl show --property=StartLimitBurst --value shop-mailer@1.service"))
    host.check_output(f"for each in $(seq {limit // 2}); do mainstay restart shop/mailer || exit; done")
    host.check_output(f"for each in $(seq {limit // 2 + 1}); do mainstay stop shop/mailer && mainstay start shop/mailer || exit; done")


def test_programs_are_answered_in_one_shape(host, ports):
    def ask(command, status=0):
        run = host.run(f"mainstay {command} --json")
        told = json.loads(run.stdout)
        assert (run.rc, set(told)) == (status, {"command", "ok", "message", "results"}), run.stderr
        assert told["ok"] is (status == 0) and told["command"] == command.split()[0]
        return told

    for command, verb in (("restart", {"seconds"}), ("stop", set()), ("start", set())):
        (result,) = ask(f"{command} shop/mailer")["results"]
        assert {
            "name": "shop/mailer/1",
            "ok": True,
            "problem": None,
            "unit": "shop-mailer@1.service",
        }.items() <= result.items() and verb <= set(result)
    assert {result["name"] for result in ask("check --running")["results"]} == {"configuration", "agent"}
    assert "No stray process" in ask("clean shop")["message"]
    assert "there is no shp" in ask("stop shp", 2)["message"]
    for whose in ("shop/web", "agent", "nginx"):
        lines = ask(f"logs {whose} -n 5")["results"]
        assert lines and all(isinstance(line["text"], str) for line in lines)


def test_the_deploys_are_told(host):
    deploys = json.loads(host.check_output("mainstay history --json"))["deploys"]
    assert deploys[-1]["app"] == "shop" and deploys[-1]["by"] and deploys[-1]["to"]
