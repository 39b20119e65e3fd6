# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/first-app.md as a newcomer takes it: its files are written, its declarations deployed, its commands typed. The Dockerfile alone is not
built, because its base cannot be had here; an image with what it says takes its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from images import Images
from plays import ROOT, changes, play, words
from test_applications import declared

PAGE = (ROOT / "docs/first-app.md").read_text()
# Language, file and text of each block.
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DECLARATIONS = [text for language, file, text in BLOCKS if language == "yaml" and not file]
ASKED = [
    (command, "\n".join(answer))
    for language, _file, text in BLOCKS
    if language == "console"
    for command, *answer in (part.splitlines() for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:])
]


def _starts(host, apps):
    """{unit: the start it runs since} of the apps' processes."""
    shown = host.check_output(
        "systemctl show --state=active --property=Id,InvocationID " + " ".join(f"'{app}-*@*.service'" for app in apps)
    )
    return dict(re.findall(r"^Id=(.*)\nInvocationID=(.*)$", shown, re.MULTILINE))


@pytest.fixture(scope="module")
def deployed(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("apps")
    for _language, file, text in BLOCKS:
        if file:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
    said = re.search(r"echo (.*) >(/www/\S+)$", (folder / "greeter/Dockerfile").read_text(), re.MULTILINE)
    started = yaml.safe_load(re.search(r"^CMD (.*)$", (folder / "greeter/Dockerfile").read_text(), re.MULTILINE)[1])
    started[2] = started[2].replace("httpd", "busybox httpd")  # that image has a link for each of its programs
    Images(host).write(folder / "greeter.tar", {said[2].lstrip("/"): f"{said[1]}\n".encode()}, Cmd=started)
    apps = {}
    for text in DECLARATIONS:
        apps.update(yaml.safe_load(text)["mainstay_apps"])
    for app in apps.values():
        app["source"] = {kind: str(folder / place.removeprefix("../")) for kind, place in app["source"].items()}
    # Those that are here already, for what nobody declares and other hosts reach is refused.
    there = {name: app for name, app in declared().items() if host.file(f"/srv/{name}").exists}
    variables, before = {"mainstay_apps": {**apps, **there}}, _starts(host, there)
    first = play("playbooks/site.yml", variables=variables)
    assert first.returncode == 0, first.stdout[-6000:]
    told = set(re.findall(r"(\S+)\.(\S+) is deployed anew", words(first)))
    kept = {unit for unit in before if not any(unit.startswith(f"{app}-{process}@") for app, process in told)}
    after = _starts(host, there)
    assert kept and {unit: before[unit] for unit in kept} == {unit: after.get(unit) for unit in kept}, told
    return variables


@pytest.mark.parametrize(("command", "answer"), ASKED, ids=[command.split("/", 2)[2] for command, _answer in ASKED])
def test_what_the_page_says_is_answered(host, deployed, command, answer):
    assert host.check_output(command.replace("192.0.2.10", "127.0.0.1")) == answer


def test_a_second_run_changes_nothing(deployed):
    again = play("playbooks/site.yml", variables=deployed)
    assert (again.returncode, changes(again)) == (0, 0), again.stdout[-4000:]


def test_what_runs_and_what_only_nginx_serves_are_taken_back_one_without_the_other(host, deployed):
    """Nothing is on record of a static site but where it is served from."""
    apps = deployed["mainstay_apps"]
    for name, page in (("hello", "main.py"), ("pages", "public/index.html")):
        file = Path(apps[name]["source"]["path"]) / page
        file.write_text(re.sub("hello", "changed", file.read_text(), flags=re.IGNORECASE))
    visits = {
        name: f"curl --silent --insecure --resolve {name}.example.com:443:127.0.0.1 https://{name}.example.com/"
        for name in ("hello", "pages")
    }

    def changed():
        return [name for name, visit in visits.items() if "changed" in host.check_output(visit)]

    run = play("playbooks/deploy.yml", variables=deployed)
    assert run.returncode == 0 and changed() == ["hello", "pages"], run.stdout[-4000:]
    run = play("playbooks/rollback.yml", variables={**deployed, "mainstay_app": "hello"})
    assert run.returncode == 0 and changed() == ["pages"], run.stdout[-4000:]
    run = play("playbooks/rollback.yml", variables={**deployed, "mainstay_app": "pages"})
    assert run.returncode == 0 and changed() == [], run.stdout[-4000:]
