# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guestbook in one WSGI function: read it, write into it, and say how it is."""

from __future__ import annotations

import json
import logging
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs

from sqlalchemy import insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from guestbook.db import engine, entries

log = logging.getLogger(__name__)
BODY_LIMIT = 8192
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Guestbook</title>
<h1>Guestbook</h1>
<form method="post"><input name="name" maxlength="80" placeholder="Name" required>
<input name="message" maxlength="500" placeholder="Message" required><button>Write</button></form>
<dl>{}</dl></html>"""


def app(environ, start_response):
    """Answer one request."""
    route = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    try:
        status, kind, body, headers = ROUTES.get(route, missing)(environ)
    except SQLAlchemyError as error:
        log.error("%s %s: %s", *route, type(error).__name__)  # its text quotes what people wrote
        status, kind, body, headers = *as_json(503, {"status": "unhealthy"}), []
    content = body.encode()
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(content))), *headers]
    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
    return [content]


def as_json(status, value):
    return status, "application/json", json.dumps(value, ensure_ascii=False)


def missing(_environ):
    return *as_json(404, {"error": "there is no such page"}), []


def health(_environ):
    """The process alone: a restart cannot cure a dead database."""
    return *as_json(200, {"status": "healthy"}), []


def ready(_environ):
    """All that a request needs."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return *as_json(200, {"status": "healthy"}), []


def last(number):
    with engine.connect() as connection:
        found = connection.execute(select(entries).order_by(entries.c.id.desc()).limit(number))
        return [(row.name, row.message) for row in found]


def page(_environ):
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(message)}</dd>" for name, message in last(50))
    return 200, "text/html", PAGE.format("\n".join(lines)), []


def listing(_environ):
    return *as_json(200, [{"name": name, "message": message} for name, message in last(50)]), []


def write(environ):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > BODY_LIMIT:
        return *as_json(413, {"error": f"at most {BODY_LIMIT} bytes"}), []
    form = parse_qs(environ["wsgi.input"].read(length).decode("utf-8", "replace"))
    name, message = (form.get(key, [""])[0].strip() for key in ("name", "message"))
    if not (0 < len(name) <= 80 and 0 < len(message) <= 500):
        return *as_json(422, {"error": "name has 1 to 80 characters, message 1 to 500"}), []
    with engine.begin() as connection:
        connection.execute(insert(entries).values(name=name, message=message))
    return 303, "text/plain", "", [("Location", "/")]


ROUTES = {
    ("GET", "/"): page,
    ("POST", "/"): write,
    ("GET", "/entries"): listing,
    ("GET", "/health"): health,
    ("GET", "/ready"): ready,
}
