# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file says on a release whose program knows less than that of Debian 12, as its own packages have shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parents[2] / "roles"
INSTANCE = {
    "name": "shop-cache",
    "port": 6379,
    "durable": False,
    "maxmemory_mb": 64,
    "maxmemory_policy": "allkeys-lru",
    "maxclients": 100,
    "nofile": 132,
    "users": [{"name": "shop", "password_sha256": "0" * 64}],
}


def _trusted(value):
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    return trust_as_template(value) if isinstance(value, str) else value


def _rendered(role, template, codename, packages=None):
    """A template of a role on a host of a release, where the packages are installed already, or not yet."""
    variables = {
        **_trusted(yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())),
        **_trusted(yaml.safe_load((ROLES / role / "vars/main.yml").read_text())),
        "ansible_managed": "managed",
        "inventory_hostname": "web1",
        "redis_bind": ["127.0.0.1"],
        "pgbouncer_plan": {},
        "mainstay_host": {"distribution": {"codename": codename}, "packages": packages or {}},
        "instance": INSTANCE,
    }
    templar = Templar(DataLoader(), variables=variables)
    return str(templar.template(trust_as_template((ROLES / role / "templates" / template).read_text())))


REDIS = [
    ("jammy", {}, False),
    ("jammy", {"redis-server": "5:6.0.16-1ubuntu1"}, False),
    ("jammy", {"redis-server": "5:7.2.4-1"}, True),  # of somebody's own source
    ("bookworm", {}, True),
    ("bookworm", {"redis-server": "5:7.0.15-1~deb12u6"}, True),
    ("noble", {}, True),
    ("trixie", {}, True),
]


@pytest.mark.parametrize(("codename", "packages", "knows"), REDIS)
def test_redis_is_told_of_channels_where_it_knows_them(codename, packages, knows):
    """6.0 takes no file with them: Error in user declaration 'resetchannels': Syntax error."""
    text = _rendered("redis", "redis.conf.j2", codename, packages)
    assert ("resetchannels" in text, " &* " in text) == (knows, knows)
    users = [line for line in text.splitlines() if line.startswith("user ")]
    assert len(users) == 2 and all("-@a" in line for line in users)


@pytest.mark.parametrize(("codename", "packages", "later"), REDIS)
def test_redis_has_the_sandbox_that_its_unit_lacks(codename, packages, later):
    """A unit that has it already is not started anew for it."""
    assert ("SystemCallFilter=" in _rendered("redis", "redis.service.conf.j2", codename, packages)) is not later


@pytest.mark.parametrize(
    ("codename", "packages", "carried"),
    [
        ("jammy", {}, False),
        ("bookworm", {}, False),
        ("bookworm", {"pgbouncer": "1.24.1-1.pgdg12+1"}, True),  # of somebody's own source
        ("noble", {}, True),
        ("trixie", {}, True),
        ("trixie", {"pgbouncer": "1.24.1-1"}, True),
        ("resolute", {}, True),
        ("forky", {}, False),  # of a release that nobody has tried, what every version can
    ],
)
def test_pgbouncer_carries_prepared_statements_from_1_21_on(codename, packages, carried):
    lines = _rendered("pgbouncer", "pgbouncer.ini.j2", codename, packages).splitlines()
    assert ("max_prepared_statements = 200" in lines) is carried


@pytest.mark.parametrize(
    ("codename", "packages", "script"),
    [
        ("jammy", {}, True),
        ("jammy", {"pgbouncer": "1.16.1-1ubuntu1"}, True),
        ("bookworm", {"pgbouncer": "1.18.0-1"}, False),
        ("noble", {}, False),
        ("trixie", {"pgbouncer": "1.24.1-1"}, False),
    ],
)
def test_pgbouncer_starts_as_its_user_where_its_package_has_a_script_that_starts_as_root(codename, packages, script):
    """In a sandbox without capabilities that script ends with status 2."""
    lines = _rendered("pgbouncer", "pgbouncer.service.conf.j2", codename, packages).splitlines()
    assert ("User=postgres" in lines, lines.count("ExecStart="), "Type=simple" in lines) == (script, int(script), script)
