# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that nobody here wrote: each answers as its authors meant it, is changed, goes back, and is removed."""

from __future__ import annotations

import json
import os
import socket

import pytest
import yaml
from plays import ROOT, changes, play, words

# Packs the host's own Python as uv's makers pack theirs, and lists it.
MIRROR = r"""
set -e
version=$(/usr/bin/python3 -c 'import platform; print(platform.python_version())') line=${version%.*}
mkdir -p /opt/mirror /run/pack/python/bin /run/pack/python/lib
cp /usr/bin/python$line /run/pack/python/bin/
ln -sf python$line /run/pack/python/bin/python3
cp --recursive --dereference /usr/lib/python$line /run/pack/python/lib/
tar --create --gzip --exclude=__pycache__ --directory /run/pack --file /opt/mirror/own.tar.gz python
sum=$(sha256sum /opt/mirror/own.tar.gz | cut -d' ' -f1)
cat >/opt/mirror/downloads.json <<EOF
{"cpython-$version-linux-x86_64-gnu": {"name": "cpython", "arch": {"family": "$(uname -m)", "variant": null}, "os": "linux",
"libc": "gnu", "major": 3, "minor": ${line#3.}, "patch": ${version##*.}, "prerelease": "", "url": "file:///opt/mirror/own.tar.gz",
"sha256": "$sum", "variant": null, "build": "20260101"}}
EOF
echo $version
"""
STACK = yaml.safe_load((ROOT / "molecule/applications/group_vars/all/stack.yml").read_text())
PROVE = bool(os.environ.get("MAINSTAY_PROVE"))
only_proved = pytest.mark.skipif(not PROVE, reason="its build takes minutes; make prove runs it")
PAGES = [
    ("data", "/", "<title>Datasette: data</title>"),
    ("data", "/data.json?sql=select+sqlite_version()&_shape=array", "sqlite_version"),
    ("echo", "/get?it=arrives", '"it":"arrives"'),
    ("echo", "/headers", '"X-Forwarded-Host":"echo.example.com"'),
    ("echo", "/ip", '"origin":"127.0.0.1"'),
    ("echo", "/stream/3", '"id": 2'),
    ("flows", "/", "<title>Node-RED</title>"),
    ("flows", "/settings", '"version":"4.1.1"'),
    *(
        pytest.param(*page, marks=only_proved)
        for page in [
            ("cfp", "/", "<title>Events :: pretalx"),
            ("cfp", "/orga/login/", "csrfmiddlewaretoken"),
            ("tasks", "/", "<title>Flower"),
            ("tasks", "/healthcheck", "OK"),
            ("docs", "/", "<title>Swagger UI</title>"),
            ("docs", "/some/page/of/the/app", "<title>Swagger UI</title>"),
            ("dav", "/.web/", "Radicale"),
            ("feed", "/", "A page of the example."),
        ]
    ),
]


def declared():
    """What is declared, to be changed and given to a run."""
    apps = {**STACK["applications"], **(STACK["more_applications"] if PROVE else {})}
    apps = json.loads(json.dumps(apps))
    for app in apps.values():
        if "path" in app["source"]:
            app["source"]["path"] = str(ROOT / app["source"]["path"].removeprefix("../"))
    return apps


def visit(host, app, path, *options):
    address = f"{app}.example.com"
    command = f"curl --silent --show-error --insecure --max-time 20 --resolve {address}:443:127.0.0.1 https://{address}%s"
    return host.check_output(f"{command} {' '.join(options)}", path)


@pytest.mark.parametrize(("app", "path", "wanted"), PAGES)
def test_it_answers_as_its_authors_meant_it(host, app, path, wanted):
    assert wanted in visit(host, app, path)


def test_a_body_arrives_whole_and_a_status_is_passed_on(host):
    host.check_output("head --bytes=3000000 /dev/zero >/run/body")
    told = json.loads(visit(host, "echo", "/put", "--upload-file", "/run/body", "--output", "/run/answer") or "{}")
    assert told == {} and host.file("/run/answer").size > 3_000_000
    assert visit(host, "echo", "/status/418", "--output", "/dev/null", "--write-out", "%%{http_code}") == "418"


def test_several_workers_answer_at_once(host):
    """gunicorn has two workers of four threads each; eight requests that take two seconds each end after little more than two."""
    urls = " ".join(["--output /dev/null https://echo.example.com/delay/2"] * 8)
    told = host.check_output(
        "curl --silent --insecure --parallel --parallel-immediate --resolve echo.example.com:443:127.0.0.1 --max-time 20"
        f" --write-out '%{{http_code}} %{{time_total}}\\n' {urls}"
    )
    answers = [line.split() for line in told.splitlines()]
    assert [status for status, _seconds in answers] == ["200"] * 8
    assert max(float(seconds) for _status, seconds in answers) < 6, told


def test_a_folder_of_the_host_s_is_the_process_s_by_name_and_no_other(host):
    """Tried from within the sandbox of the process that serves."""
    folder = host.file("/mnt/echo")
    assert (folder.user, folder.group, folder.mode) == ("echo", "echo", 0o750)
    pid = host.check_output("systemctl show --property=MainPID --value 'echo-web@*'")
    inside = f"nsenter --target {pid} --mount -- setpriv --reuid=echo --regid=echo --clear-groups sh -c %s"
    assert host.run(inside, "cp /bin/true /mnt/echo/own && echo kept >/mnt/echo/note").rc == 0
    assert host.file("/mnt/echo/note").content_string == "kept\n"
    assert "Permission denied" in host.run(inside, "/mnt/echo/own").stderr
    assert "Read-only file system" in host.run(f"nsenter --target {pid} --mount -- touch /mnt/other").stderr


def test_a_websocket_opens(host):
    head = (
        "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: bWFpbnN0YXktdGVzdC0xMg=='"
    )
    told = host.run(
        "curl --silent --insecure --http1.1 --include --no-buffer --max-time 2 --resolve flows.example.com:443:127.0.0.1"
        f" {head} https://flows.example.com/comms | head --lines=1"  # what follows may be frames, which are no text
    ).stdout
    assert told.startswith("HTTP/1.1 101 "), told


def test_what_listens_for_everybody_is_closed_by_the_firewall(host):
    """As the control node sees it; without the firewall the proof at the end of a run fails."""
    address = host.check_output("hostname -I").split()[0]
    told = host.check_output("ss --no-header --listening --tcp --numeric 'sport >= :8300 and sport <= :8301'")
    port = int(told.split()[3].rpartition(":")[2])
    assert "127.0.0.1" not in told
    with pytest.raises(TimeoutError):
        socket.create_connection((address, port), 2)

    def prove():
        return play("playbooks/site.yml", "--tags", "prove", variables={"mainstay_outside_address": address})

    run = prove()
    assert run.returncode == 0 and changes(run) == 0, run.stdout[-4000:]
    host.check_output("nft insert rule inet mainstay input tcp dport 8300-8301 accept")
    try:
        run = prove()
    finally:
        host.check_output("systemctl reload nftables.service")
    assert run.returncode != 0 and f"{port}/tcp answers the control node" in words(run), run.stdout[-4000:]


@only_proved
def test_a_task_reaches_the_worker_and_the_scheduled_run_ends_well(host):
    host.check_output("systemctl start cfp-periodic@1.service")
    shown = host.check_output("systemctl show --property=Result,ExecMainStatus cfp-periodic@1.service").splitlines()
    assert sorted(shown) == ["ExecMainStatus=0", "Result=success"]
    assert "pong" in host.check_output("mainstay run cfp -- celery -A pretalx.celery_app inspect ping")


def test_another_version_is_deployed_and_taken_back_with_its_data(host):
    flow = json.dumps([{"id": "a1", "type": "tab", "label": "kept"}])
    visit(host, "flows", "/flows", "--request", "POST", "--json", f"'{flow}'")
    apps = declared()
    apps["data"]["source"]["package"] = "datasette==0.65"
    # As if the host had been a Debian 11 when this one was built: it is built anew, beside it.
    built = host.file("/srv/echo/current").linked_to
    host.check_output(f"ln -sfn debian11 {built}/.built-on")
    apps["flows"]["env"] = {"NODE_RED_ENABLE_PROJECTS": "false"}

    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0, run.stdout[-4000:]
    assert json.loads(visit(host, "data", "/-/versions.json"))["datasette"]["version"] == "0.65"
    assert '"label":"kept"' in visit(host, "flows", "/flows")
    assert host.file("/srv/echo/current").linked_to == f"{built}-debian12"
    assert host.check_output(f"readlink {built}-debian12/.built-on") == "debian12"

    run = play("playbooks/rollback.yml", variables={"mainstay_apps": apps, "mainstay_app": "data"})
    assert run.returncode == 0, run.stdout[-4000:]
    assert json.loads(visit(host, "data", "/-/versions.json"))["datasette"]["version"] == "0.65.1"


def test_a_rollback_passes_over_a_release_that_failed_soon(host):
    """0.65 takes over and crashes again and again a little later; what follows it is taken back to 0.65.1, which was well."""
    apps = declared()
    apps["data"]["source"]["package"] = "datasette==0.65"
    # Else the host would have left it at its third end.
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps, "monitoring_rollback": False})
    assert run.returncode == 0, run.stdout[-4000:]
    failed = host.file("/srv/data/current").linked_to.rpartition("/")[2]
    host.check_output("for kill in 1 2 3 4 5 6 7; do systemctl kill --signal=KILL 'data-web@*.service'; sleep 3; done")
    assert json.loads(host.check_output("mainstay history --json data"))["incidents"][-1]["kind"] == "loop"

    apps["data"]["source"]["requirements"].append("itsdangerous==2.2.0")
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0, run.stdout[-4000:]
    run = play("playbooks/rollback.yml", variables={"mainstay_apps": apps, "mainstay_app": "data"})
    assert run.returncode == 0 and f"data: {failed}, which served before, failed " in words(run), run.stdout[-4000:]
    assert json.loads(visit(host, "data", "/-/versions.json"))["datasette"]["version"] == "0.65.1"

    run = play("playbooks/rollback.yml", variables={"mainstay_apps": apps, "mainstay_app": "data", "mainstay_release": failed})
    assert run.returncode == 0, run.stdout[-4000:]
    assert json.loads(visit(host, "data", "/-/versions.json"))["datasette"]["version"] == "0.65"


def test_an_application_has_a_python_of_its_own(host):
    """No interpreter for every machine is within the lab's reach: the mirror has one that is packed of the host's own files."""
    version = host.check_output(MIRROR).strip()
    environment = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL") if os.environ.get(name)}
    environment["UV_PYTHON_DOWNLOADS_JSON_URL"] = "file:///opt/mirror/downloads.json"
    apps = declared()
    apps["echo"]["python"] = "3.9"  # the mirror has none
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps, "backend_environment": environment})
    assert run.returncode != 0 and "'install Python 3.9' failed" in words(run), run.stdout[-4000:]

    apps["echo"]["python"] = version.rpartition(".")[0]
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps, "backend_environment": environment})
    assert run.returncode == 0, run.stdout[-4000:]
    unit = host.check_output("systemctl list-units --plain --no-legend 'echo-web@*.service'").split()[0]
    program = host.check_output(f"readlink /proc/$(systemctl show --property=MainPID --value {unit})/exe")
    release = host.file("/srv/echo/current").linked_to
    assert program.startswith(f"{release}/.venv/.python/cpython-{version}-"), program
    assert host.run(f"find {release}/.venv/.python -name 'os.cpython-*.pyc'").stdout, "each start compiles the library again"
    assert '"it":"arrives"' in visit(host, "echo", "/get?it=arrives")
    assert host.run(f"find {release}/.venv /srv/echo/environments ! -type l ! -user root -o ! -type l -perm /022").stdout == ""


def test_one_that_lacks_a_package_is_refused_in_words_and_the_others_stay(host):
    apps = declared()
    apps["data"]["source"] = {"package": "datasette==0.64.8"}
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode != 0 and "No module named 'pkg_resources'" in words(run), run.stdout[-4000:]
    assert "What may help data: pkg_resources is not installed" in words(run)
    assert "data: release" in words(run) and "serves, as before" in words(run)
    for app in ("data", "echo", "flows"):
        assert visit(host, app, "/", "--output", "/dev/null", "--write-out", "%%{http_code}") == "200"


def test_one_is_removed_and_the_others_stay(host):
    """Also while another one that nobody declares any more listens for everybody, as Node-RED does: that is told, and is closed by the firewall."""
    apps = declared()
    del apps["echo"], apps["flows"]
    run = play("playbooks/remove.yml", variables={"mainstay_apps": apps, "mainstay_app": "echo", "mainstay_data": True})
    assert run.returncode == 0, run.stdout[-4000:]
    assert "app flows on molecule-applications: flows-web@" in words(run)
    assert not host.file("/srv/echo").exists and not host.user("echo").exists
    run = play("playbooks/site.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0 and changes(run) == 0, run.stdout[-4000:]
    assert "Datasette" in visit(host, "data", "/")
