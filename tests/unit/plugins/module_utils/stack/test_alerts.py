# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import alerts
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

MAIL = {"email": ["ops@example.com"], "from": "vps@example.com", "host": "smtp.example.com"}


@pytest.mark.parametrize(
    ("declared", "channel"),
    [
        ({"webhook": "https://a.example/T0"}, {"kind": "webhook", "url": "https://a.example/T0"}),
        ({"ntfy": "https://ntfy.sh/x", "token": "t"}, {"kind": "ntfy", "url": "https://ntfy.sh/x", "token": "t"}),
        ({"apprise": "tgram://hidden/1"}, {"kind": "apprise", "urls": ["tgram://hidden/1"]}),
        ({"apprise": ["mailto://a", "json://b?x=y"]}, {"kind": "apprise", "urls": ["mailto://a", "json://b?x=y"]}),
        (
            {**MAIL, "username": "u", "password": "p"},
            {
                "kind": "email",
                "to": ["ops@example.com"],
                "from": "vps@example.com",
                "host": "smtp.example.com",
                "port": 587,
                "tls": "starttls",
                "username": "u",
                "password": "p",
            },
        ),
    ],
)
def test_channels_are_completed(declared, channel):
    assert alerts.alert_channels([declared]) == [channel]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("https://a.example/hidden", ["monitoring_alerts", "write a list"]),
        ([{"webhook": "hidden"}], ["monitoring_alerts[0].webhook", "https://"]),
        (
            [{"webhook": "https://a/hidden", "ntfy": "https://b/hidden"}],
            ["monitoring_alerts[0]", "exactly one of webhook, ntfy, email, apprise"],
        ),
        ([{"apprise": "include /etc/hidden"}], ["monitoring_alerts[0].apprise", "such as tgram://"]),
        ([{"apprise": ["json://hidden", "json://b\ninclude /etc/hidden"]}], ["monitoring_alerts[0].apprise", "such as tgram://"]),
        ([{"apprise": []}], ["monitoring_alerts[0].apprise", "such as tgram://"]),
        ([{"webhok": "https://a/hidden"}], ["monitoring_alerts[0]", "exactly one of"]),
        ([{"ntfy": "https://a/hidden", "tokn": "hidden"}], ["monitoring_alerts[0].tokn", "no such key"]),
        ([{"ntfy": "https://a/hidden", "token": "hidden\nx"}], ["monitoring_alerts[0].token", "one line"]),
        ([{"email": ["ops@example.com"], "from": "a@b"}], ["monitoring_alerts[0].host", "required"]),
        ([{**MAIL, "email": "ops@example.com"}], ["monitoring_alerts[0].email", "list of texts"]),
        ([{**MAIL, "email": ["a, b"]}], ["monitoring_alerts[0].email[0]", "such as ops@example.com"]),
        ([{**MAIL, "tls": "ssl"}], ["monitoring_alerts[0].tls", "starttls"]),
        ([{**MAIL, "password": "hidden"}], ["monitoring_alerts[0].username", "username and password"]),
    ],
)
def test_what_cannot_work_is_refused_and_no_token_shown(declared, words):
    with pytest.raises(DeclarationError) as refusal:
        alerts.alert_channels(declared)
    said = str(refusal.value)
    assert all(word.lower() in said.lower() for word in words) and "hidden" not in said, said


def test_where_signs_of_life_go():
    assert alerts.ping_settings("https://hc-ping.com/x?create=1", 60) == {"url": "https://hc-ping.com/x?create=1", "interval": 60}
    assert alerts.ping_settings("", "never") == alerts.ping_settings(None) == {}


@pytest.mark.parametrize(
    ("url", "interval", "words"),
    [
        ("hc-ping.com/hidden", 300, ["monitoring_ping_url", "https://hc-ping.com/"]),
        ("ftp://hc-ping.com/hidden", 300, ["monitoring_ping_url"]),
        ("https://hc-ping.com/hidden\x7f", 300, ["monitoring_ping_url"]),
        ("https://hc-ping.com/hidden\nx", 300, ["monitoring_ping_url"]),
        ("https://hc-ping.com/hidden#x", 300, ["monitoring_ping_url"]),
        ("https://hc-ping.com/hïdden", 300, ["monitoring_ping_url"]),
        (["https://hc-ping.com/hidden"], 300, ["monitoring_ping_url"]),
        ("https://hc-ping.com/hidden", 59, ["monitoring_ping_interval", "60"]),
        ("https://hc-ping.com/hidden", "often", ["monitoring_ping_interval"]),
    ],
)
def test_an_address_that_cannot_work_is_refused_and_not_shown(url, interval, words):
    with pytest.raises(DeclarationError) as refusal:
        alerts.ping_settings(url, interval)
    said = str(refusal.value)
    assert all(word in said for word in words) and "hidden" not in said and "hïdden" not in said, said
