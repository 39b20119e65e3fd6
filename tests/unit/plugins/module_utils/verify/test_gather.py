# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is gathered of a host: no secret leaves it, and what cannot be read stops nothing."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import gather, gather_answers, gather_files, gather_network

STRONG = "kZ8sV0b1Qy7Xn3LwT5rJ2mGh4PdFa6Ce9UiOoEtB"


@pytest.mark.parametrize(
    "line, weak",
    [
        (f'SECRET_KEY="{STRONG}"', {}),
        ('SECRET_KEY="changeme"', {"SECRET_KEY": "it is a placeholder"}),
        ("SECRET_KEY='abc12345'", {"SECRET_KEY": "it has 10 characters, fewer than 16"}),  # quoted as we never do
        ('EF__DB_PASSWORD="hunter2"', {"EF__DB_PASSWORD": "it has 7 characters, fewer than 16"}),
        ('DATABASE_URL="postgresql://shop:secret@127.0.0.1/shop"', {"DATABASE_URL": "it is a placeholder"}),
        (f'DATABASE_URL="postgresql://shop:{STRONG}@127.0.0.1/shop"', {}),
        ('LOG_LEVEL="info"', {}),
        ('TOKEN_TTL="60"', {}),
    ],
)
def test_of_a_secret_only_what_is_wrong_with_it_is_told(tmp_path, line, weak):
    (tmp_path / "env").write_text(f"# a comment\n{line}\n")
    found = gather_files.environment({"name": "shop", "env_file": "/env", "secrets": []}, str(tmp_path))
    assert found["weak"] == weak
    assert STRONG not in json.dumps(found) and "hunter2" not in json.dumps(found)


def test_a_secret_is_measured_as_the_app_sees_it(tmp_path):
    (tmp_path / "env").write_text('SECRET_KEY="' + STRONG + r"\$\"" + '"\n')
    found = gather_files.environment({"name": "shop", "env_file": "/env", "secrets": ["SECRET_KEY", "OTHER"]}, str(tmp_path))
    assert (found["lengths"], found["missing"]) == ({"SECRET_KEY": len(STRONG) + 2}, ["OTHER"])


@pytest.mark.parametrize(
    "line, told",
    [
        ("EF__API_DEBUG=true", ["EF__API_DEBUG"]),
        ('DEBUG="1"', ["DEBUG"]),
        ('DEBUG="*"', ["DEBUG"]),
        ("NODE_ENV=development", ["NODE_ENV"]),
        ("APP_ENVIRONMENT=dev", ["APP_ENVIRONMENT"]),
        ("FLASK_DEBUG=0", []),
        ("DEBUG=false", []),
        ("NODE_ENV=production", []),
        ("DEBUG_TOOLBAR_PANELS=all", []),
    ],
)
def test_a_developer_s_mode_is_seen(tmp_path, line, told):
    (tmp_path / "env").write_text(line + "\n")
    assert gather_files.environment({"name": "shop", "env_file": "/env", "secrets": []}, str(tmp_path))["developer"] == told


def test_a_switched_off_limit_is_seen(tmp_path):
    (tmp_path / "env").write_text("EF__RATE_LIMIT_ENABLED=false\nRATE_LIMIT_ENABLED=true\n")
    assert gather_files.environment({"name": "x", "env_file": "/env", "secrets": []}, str(tmp_path))["unlimited"] == [
        "EF__RATE_LIMIT_ENABLED"
    ]


def test_nothing_is_nothing_and_no_error(tmp_path):
    root = str(tmp_path)
    assert gather_files.environment({"name": "shop", "env_file": "/env", "secrets": ["A"]}, root)["missing"] == ["A"]
    assert gather_files.modes(gather_files.SECRET_FILES, root) == {}
    assert gather_files.rotation(root) == {"files": [], "looked": None}
    assert gather_files.updates(root, 0) == {"asked_s": None, "reboot_s": None}
    assert gather_answers.agent({}) == gather_answers.agent([]) == gather_answers.agent({"agent": "x"}) == {}
    assert gather_answers.history([]) == {}
    assert gather_files.nginx_site("x", root) == {"there": False, "rate_limits": 0}


def test_of_a_link_what_it_leads_to_is_described(tmp_path):
    folder = tmp_path / "etc/mainstay/tls"
    folder.mkdir(parents=True)
    (folder / "real").write_text("x")
    os.chmod(folder / "real", 0o604)
    (folder / "site.key").symlink_to("real")
    assert gather_files.modes(gather_files.SECRET_FILES, str(tmp_path))["/etc/mainstay/tls/site.key"]["mode"] == "0604"


def test_errors_are_counted_by_unit_and_instances_together():
    entries = [{"_SYSTEMD_UNIT": "shop-web@8000.service"}, {"_SYSTEMD_UNIT": "shop-web@8001.service"}, {}, {"_SYSTEMD_UNIT": [1]}]
    assert gather_answers.errors("\n".join(map(json.dumps, entries)) + "\nno json") == {"shop-web@*.service": 2, "kernel": 2, "unknown": 1}


@pytest.mark.parametrize(
    "text, moment",
    [("", None), ('{"__REALTIME_TIMESTAMP": "1795891527123456"}', 1795891527), ('{"x": 1}', None), ("-- No entries --", None)],
)
def test_the_last_entry_of_a_journal(text, moment):
    assert gather_answers.last_entry(text) == moment


def test_exposure_is_read_from_the_table():
    text = "UNIT EXPOSURE PREDICATE HAPPY\nnginx.service          9.6 UNSAFE    x\nshop-web@8000.service  1.3 OK        y\n"
    assert gather_answers.exposure(text) == {"nginx.service": 9.6, "shop-web@8000.service": 1.3}


def test_what_an_app_says_obeys_no_terminal():
    state = {"agent": {"written": 1}, "processes": [{"unit": "x", "reason": "\x1b[2J" + "a" * 500, "memory": "left out"}], "servers": []}
    told = gather_answers.agent(state)["watched"][0]
    assert told["reason"].startswith("\\x1b[2J") and len(told["reason"]) <= 200 and "memory" not in told


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A TLS server with a certificate for shop.example.com and *.example.org that lasts ten days; its port, and the certificate's file."""
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=DNS:shop.example.com,DNS:*.example.org"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-subj", "/CN=x"]
    subprocess.run([*command, "-addext", names, "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _peer = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], folder / "crt"
    listener.close()


def test_a_certificate_is_read_on_the_wire(served):
    found = gather_network.certificate("shop.example.com", ["shop.example.com", "a.example.org", "www.example.com"], port=served[0])
    assert (found["days_left"], found["missing"]) == (9, ["www.example.com"])
    assert "self-signed" in found["trusted"].replace("self signed", "self-signed")


def test_what_the_host_trusts_is_trusted_whatever_names_it_is_for(served, monkeypatch):
    port, certificate = served
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = gather_network.certificate("www.example.com", ["www.example.com"], port=port)
    assert (found["trusted"], found["missing"]) == ("", ["www.example.com"])


def test_nobody_who_answers_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in gather_network.certificate("x", ["x"], port=port)["error"]


class Program:
    """A program as snapshot.Started runs one; `answers` are what it tells, one for each time it is started."""

    def __init__(self, answers, command):
        self.command, self.process, self.reason = command, None, "it was busy"
        self.text = answers[" ".join(command[:2])].pop(0) if answers.get(" ".join(command[:2])) else None

    def finish(self, _seconds):
        return self.text


def test_a_command_that_was_too_busy_is_asked_once_more(tmp_path):
    answers = {
        "/usr/local/bin/mainstay plan": [None, '{"differs": []}'],
        "ip -json": ['[{"addr_info": [{"scope": "global", "local": "203.0.113.7"}]}]'],
    }
    found = gather.collect({}, str(tmp_path), lambda command: Program(answers, command))
    assert (found["plan"], found["addresses"]) == ({"differs": []}, ["203.0.113.7"])
    assert found["notes"] == ["history: it was busy", "report: it was busy"]


def test_of_the_journal_no_more_is_read_than_the_host_has_memory_for(tmp_path):
    asked = []

    def start(command):
        asked.append(command)
        return Program({}, command)

    gather.collect({"beats": ["shop-beat@1.service"]}, str(tmp_path), start)
    journals = [command for command in asked if command[0] == "journalctl"]
    assert len(journals) == 2 and all(any(word.startswith("--lines=") for word in command) for command in journals)
