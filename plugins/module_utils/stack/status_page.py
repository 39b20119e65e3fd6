# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be declared of the status page: where nginx serves it."""

from __future__ import annotations

from .fields import Keys, Whole
from .processes import RESERVED_PORTS, port_range
from .refusal import refuse

VARIABLE = "mainstay_status_page"
STATUS_PAGE = Keys(
    {"port": Whole(1024, 65535, about="Port of 127.0.0.1 at which the host itself finds it, such as 8444.")},
    required=("port",),
    about="A page of each host that shows how everything on it is and was; {} is none.",
)


def status_page(value):
    """The declaration in its normal form, ``{port}``; empty where nobody wants a page.

    :raises DeclarationError: the first thing that cannot work.
    """
    if value in (None, False) or value == {}:
        return {}
    found = STATUS_PAGE.read(value, VARIABLE)
    if found["port"] in RESERVED_PORTS:
        refuse(f"{VARIABLE}.port", found["port"], f"{RESERVED_PORTS[found['port']]} listens there; take another one, such as 8444")
    return found


def refuse_port_of_app(settings, apps, instances):
    """Refuse a port that a process owns.

    :param settings: as :func:`status_page` gives them.
    :param apps: in their normal form.
    :param instances: of a process of an app on the host, ``(app, process) -> number``.
    """
    for app in apps.values() if settings else ():
        for process in app["processes"].values():
            if settings["port"] in port_range(process, instances(app, process)):
                owner = f"{app['name']}/{process['name']}"
                refuse(f"{VARIABLE}.port", settings["port"], f"it is one of the ports that {owner} owns; take another one, such as 8444")
