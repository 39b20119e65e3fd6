# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail queue: takes due mails from the outbox table one by one and sends them.

Without SMTP_URL (smtp://user:password@host:587 or smtps://…:465) a mail only is marked as sent.
"""

from __future__ import annotations

import logging
import signal
import smtplib
import ssl
import threading
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from shop import log
from shop.config import APP, settings
from shop.db import Mail, engine

logger = logging.getLogger("shop.mailer")

POLL_SECONDS = 1
DATABASE_RETRY_SECONDS = 5
SMTP_TIMEOUT_SECONDS = 30
MAX_ATTEMPTS = 6


def deliver(mail: Mail) -> None:
    if settings.smtp_url is None:
        return
    url = urlsplit(settings.smtp_url)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"{APP}@{url.hostname}", mail.recipient, mail.subject
    message.set_content(mail.body)
    tls = ssl.create_default_context()
    if url.scheme == "smtps":
        smtp = smtplib.SMTP_SSL(url.hostname, url.port or 465, timeout=SMTP_TIMEOUT_SECONDS, context=tls)
    else:
        smtp = smtplib.SMTP(url.hostname, url.port or 25, timeout=SMTP_TIMEOUT_SECONDS)
    with smtp:
        if url.username:
            if url.scheme != "smtps":
                smtp.starttls(context=tls)
            smtp.login(unquote(url.username), unquote(url.password or ""))
        smtp.send_message(message)


def send_one() -> bool:
    """Send the oldest due mail; several mailers never take the same one. False when nothing is due."""
    due = (
        select(Mail)
        .where(Mail.status == "queued", Mail.due_at <= func.now())
        .order_by(Mail.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with Session(engine("mailer")) as session, session.begin():
        mail = session.scalars(due).first()
        if mail is None:
            return False
        mail.attempts += 1
        try:
            deliver(mail)
        except (OSError, smtplib.SMTPException) as error:
            mail.due_at = func.now() + timedelta(seconds=30 * 2**mail.attempts)
            mail.status = "failed" if mail.attempts >= MAX_ATTEMPTS else "queued"
            logger.warning("mail not sent", extra={"mail": mail.id, "attempts": mail.attempts, "error": str(error)})
        else:
            mail.status, mail.sent_at = "sent", func.now()
            logger.info("mail sent", extra={"mail": mail.id, "order": mail.order_id})
        return True


def main() -> None:
    log.setup()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logger.info("mailer started", extra={"delivery": "smtp" if settings.smtp_url else "outbox"})
    pause = 0
    while not stop.wait(pause):
        settings.heartbeat()
        try:
            pause = 0 if send_one() else POLL_SECONDS
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("database not available", extra={"error": type(error).__name__})
            pause = DATABASE_RETRY_SECONDS
    engine("mailer").dispose()
    logger.info("mailer stopped")


if __name__ == "__main__":
    main()
