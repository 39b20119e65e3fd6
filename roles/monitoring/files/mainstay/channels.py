# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an alert leaves the host. Each way raises OSError where it could not, in words that hold no token."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import smtplib
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit, urlunsplit

from .core.text import printable

TIMEOUT = 10  # seconds
APPRISE = "/usr/bin/apprise"
APPRISE_TIMEOUT = 60  # seconds; it tries all of its services at once
HERE = "localhost,127.0.0.1,::1"  # what a proxy would take for itself


def take_proxies(environment):
    """Let what is sent by HTTP from now on take the proxies of these variables: `http_proxy`, `https_proxy`, `no_proxy`, in either spelling."""
    found = {name.lower(): value for name, value in environment.items() if value}
    os.environ.update(found)
    os.environ["no_proxy"] = ",".join(filter(None, [found.get("no_proxy"), HERE]))


def key(channel):
    """A name for a channel's queue that tells nothing of it."""
    return hashlib.sha256(json.dumps(channel, sort_keys=True).encode()).hexdigest()[:12]


def send(channel, host, alert):
    """Send one alert, as `alerts.compose` makes it.

    :raises OSError: with the reason.
    """
    with _in_words(channel["kind"]):
        {"webhook": webhook, "ntfy": ntfy, "email": email, "apprise": apprise}[channel["kind"]](channel, host, alert)


@contextlib.contextmanager
def _in_words(kind):
    """Whatever goes wrong as an OSError without an address, which some messages of the library hold whole."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise OSError(f"{kind}: the answer was {error.code}") from None
    except urllib.error.URLError as error:
        raise OSError(printable(f"{kind}: {error.reason}")) from None
    except smtplib.SMTPException as error:
        code = getattr(error, "smtp_code", "")
        raise OSError(f"email: the mail server refused it: {type(error).__name__} {code}".rstrip()) from None
    except OSError as error:
        raise OSError(printable(f"{kind}: {error}")) from None
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{kind}: no end after {error.timeout} s") from None
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(f"{kind}: the answer, or its address, is none of HTTP: {type(error).__name__}") from None


def webhook(channel, host, alert):
    """One JSON object; chats show its ``text`` (Slack, Mattermost) or its ``content`` (Discord)."""
    text = f"{alert['title']}\n{alert['text']}"
    body = {
        "host": host,
        "title": alert["title"],
        "text": text,
        "content": text[:1900],
        "urgent": alert["urgent"],
        "events": alert["events"],
    }
    _post(channel["url"], json.dumps(body).encode(), {"Content-Type": "application/json"})


def ntfy(channel, host, alert):
    headers = {
        "Title": alert["title"].encode("ascii", "replace").decode(),
        "Priority": "high" if alert["urgent"] else "default",
        "Tags": host,
    }
    if channel.get("token"):
        headers["Authorization"] = f"Bearer {channel['token']}"
    _post(channel["url"], alert["text"].encode(), headers)


def apprise(channel, host, alert):
    """By Debian's apprise, which knows a hundred services. Its URLs hold tokens: they go by a file, for everybody sees a command line, and
    what it says of a failure may repeat them, so that its exit status alone is told."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as urls:
        urls.write("\n".join(channel["urls"]) + "\n")
        urls.flush()
        command = [
            APPRISE,
            "--config",
            urls.name,
            "--title",
            alert["title"],
            "--notification-type",
            "failure" if alert["urgent"] else "info",
        ]
        done = subprocess.run(command, input=alert["text"], text=True, capture_output=True, timeout=APPRISE_TIMEOUT, check=False)
    if done.returncode:
        raise OSError(f"not every service took it (exit status {done.returncode})")


def _post(url, body, headers):
    request = urllib.request.Request(url, body, {"User-Agent": "mainstay", **headers})
    with urllib.request.build_opener().open(request, timeout=TIMEOUT) as answer:
        answer.read(1024)


class Unmoved(urllib.request.HTTPRedirectHandler):
    """An address that is a secret is told to nobody else, and not without TLS."""

    def redirect_request(self, *_arguments):
        return None


def ping(url, signal, text, timeout=TIMEOUT):
    """One signal of healthchecks.io's pinging API (https://healthchecks.io/docs/http_api/): `start`, `fail`, `log`, or an empty text for
    success, which stand behind the path of the URL.

    :raises OSError: with the reason.
    """
    handlers = [Unmoved, urllib.request.HTTPSHandler(context=ssl.create_default_context())]
    with _in_words("ping"):
        parts = urlsplit(url)
        target = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{signal}")) if signal else url
        request = urllib.request.Request(target, text.encode(), {"User-Agent": "mainstay", "Content-Type": "text/plain; charset=utf-8"})
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            said = answer.read(200).decode("ascii", "replace")
        # An unknown check of healthchecks.io is answered with status 200.
        if found := re.match(r"OK \(([a-z ]{1,40})\)", said):
            raise OSError(f"the answer was {found[1]}")


def email(channel, host, alert):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = alert["title"], channel["from"], ", ".join(channel["to"])
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=channel["from"].rpartition("@")[2])
    message.set_content(alert["text"])
    context = ssl.create_default_context()
    kind = smtplib.SMTP_SSL if channel["tls"] == "tls" else smtplib.SMTP
    options = {"context": context} if channel["tls"] == "tls" else {}
    with kind(channel["host"], channel["port"], timeout=TIMEOUT, **options) as server:
        if channel["tls"] == "starttls":
            server.starttls(context=context)
        if channel.get("username"):
            server.login(channel["username"], channel["password"])
        server.send_message(message)
