# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In MariaDB: who restores is who defines, and is nobody who may do more than the app; a server is in molecule/mariadb."""

from __future__ import annotations

import subprocess

import pytest
from mainstay_backup import mariadb


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("CREATE DEFINER=`shop`@`127.0.0.1` PROCEDURE `p`()", "CREATE PROCEDURE `p`()"),
        ("CREATE DEFINER=`a role` FUNCTION `f`() RETURNS int(11)", "CREATE FUNCTION `f`() RETURNS int(11)"),
        ("/*!50013 DEFINER=`o``neill`@`%` SQL SECURITY INVOKER */", "/*!50013  SQL SECURITY INVOKER */"),
        ("/*!50003 CREATE*/ /*!50017 DEFINER=`shop`@`%`*/ /*!50003 TRIGGER `t`", "/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER `t`"),
        ("/*!50106 CREATE*/ /*!50117 DEFINER=`shop`@`%`*/ /*!50106 EVENT `e`", "/*!50106 CREATE*/ /*!50117 */ /*!50106 EVENT `e`"),
        ("INSERT INTO `t` VALUES ('CREATE DEFINER=`shop`@`%`');", "INSERT INTO `t` VALUES ('CREATE DEFINER=`shop`@`%`');"),
    ],
)
def test_a_dump_names_no_definer(line, wanted):
    said = subprocess.run(["sed", "--regexp-extended", mariadb.DEFINERS], input=line, capture_output=True, text=True, check=True)
    assert said.stdout.split() == wanted.split()


@pytest.fixture
def asked(monkeypatch):
    """What the server is asked, and as whom; it knows an account of the app's."""
    found = []

    def run(command, text=None, env=None, **_options):
        found.append((next(word for word in command if word.startswith("--user=")), text, env))
        return "mysql_native_password\t*AB\n" if "global_priv" in text else ""

    monkeypatch.setattr(mariadb.pipes, "run", run)
    return found


def test_what_is_asked_in_an_app_s_database_is_not_asked_by_root(asked):
    assert mariadb.counts("my_shop") == {}
    (made, grants), (asking, question), (_root, gone) = ((who, said) for who, said, _env in asked)
    env = asked[1][2]
    assert (made, asking) == ("--user=root", "--user=mainstay_backup") and "information_schema.tables" in question
    assert "ON `my\\_shop`.* TO 'mainstay_backup'@'localhost'" in grants and "*.*" not in grants
    assert env["MYSQL_PWD"] not in grants and gone == "DROP USER IF EXISTS 'mainstay_backup'@'localhost'"


def test_an_account_of_the_app_s_has_a_second_password_while_it_is_restored(asked):
    with mariadb.as_owner("shop") as (words, env):
        pass
    _found, lent, taken = (said for _who, said, _env in asked)
    account = "ALTER USER 'shop'@'127.0.0.1' IDENTIFIED VIA mysql_native_password USING '*AB'"
    assert words[0] == "--user=shop" and taken == account
    assert lent == f"{account} OR mysql_native_password USING '{mariadb.password_hash(env['MYSQL_PWD'])}'"


@pytest.mark.parametrize(("database", "is_kept"), [("shop", True), ("mainstay_drill_shop", False)])
def test_the_app_keeps_its_rights_in_its_own_database_when_that_is_made_anew(asked, database, is_kept):
    mariadb.drop(database)
    assert any("mysql.db" in text for _user, text, _env in asked) is not is_kept
