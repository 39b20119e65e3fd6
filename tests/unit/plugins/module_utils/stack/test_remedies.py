# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import remedies


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("  hint: the current Python version (3.11.2) does not satisfy Python>=3.12", 'python: "3.14"'),
        ('You are using Node.js 18.20.4. For Next.js, Node.js version ">=20.9.0" is required.', 'node: "22"'),
        ("You are using Node.js 18.20.4. Vite requires Node.js version 20.19+ or 22.12+.", 'node: "22"'),
        ("SyntaxError: The requested module 'node:util' does not provide an export named 'styleText'", 'node: "22"'),
        ("Error [ERR_REQUIRE_CYCLE_MODULE]: Cannot require() ES Module /srv/a/node_modules/ora/index.js in a cycle.", 'node: "22"'),
        (
            "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.",
            "another npm has written",
        ),
        ("      error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "build-essential"),
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "build-essential"),
        ("      Modules/common.h:15:10: fatal error: lber.h: No such file or directory", "apt-file search lber.h"),
        ("pygraphviz/graphviz_wrap.c:3023:10: fatal error: graphviz/cgraph.h: No such file or directory", "header graphviz/cgraph.h comes"),
        ("npm ERR! code ENOENT\nnpm ERR! syscall spawn git\nnpm ERR! path git", "packages: [git]"),
        ("CommandError: Can't find msgfmt. Make sure you have GNU gettext tools 0.19 or newer installed.", "packages: [gettext]"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'pkg-config'", "python3-dev, pkg-config]"),
        ('Found pkg-config: NO\nERROR: Dependency "cairo" not found (tried pkg-config)', "python3-dev, pkg-config]"),
        ("OSError: pkg-config probably not installed: FileNotFoundError(2, 'No such file or directory')", "python3-dev, pkg-config]"),
        ('../cairo/meson.build:31:12: ERROR: Dependency "cairo" not found (tried pkg-config)', "apt-file search cairo.pc"),
        ('meson.build:8:8: ERROR: Dependency "libfoo-2.0" not found, tried pkgconfig', "apt-file search libfoo-2.0.pc"),
        (
            "Could not find lz4 lib/headers, please set BORG_LIBLZ4_PREFIX or ensure liblz4.pc is in PKG_CONFIG_PATH.",
            "apt-file search liblz4.pc",
        ),
        ("No package 'girepository-2.0' found", "the library girepository-2.0 comes"),
        ("npm error path /srv/blog/releases/2a/node_modules/ghost/components/tryghost-0.2.0.tgz\nnpm error errno -2", "source: {archive: "),
        ("error: Hash-checking is required, but no trusted hash was provided for: `async-timeout`", "uv pip compile --universal"),
        ("ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements.", "uv pip compile --universal"),
        ("npm ERR! code ERESOLVE", "legacy-peer-deps=true"),
        ("npm warn ERESOLVE overriding peer dependency", ""),
        ("      Error: pg_config executable not found.", "libpq-dev"),
        ("Error: Cannot find module 'ts-node/register'", "ts-node is not in the release"),
        ("2026-11-29T20:00:00+0000 a npm[7]: sh: 1: tsx: not found", "tsx is no program"),
        (
            "2026-11-29T20:00:00+0000 a systemd[7]: shop-web@8000.service: Failed to locate executable gunicorn: No such file",
            "gunicorn is no program",
        ),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "pkg_resources is not installed"),
        ("OSError: [Errno 30] Read-only file system: 'logs'", "name the folder in shared"),
        ("ERROR [ExceptionHandler] Error: ENOENT: no such file or directory, mkdir './files'", "name the folder in shared"),
        ("OSError: [Errno 30] Read-only file system: '/srv/shop/releases/3f9a-1/instance'", "shared: [instance] makes"),
        ("[Errno 30] Read-only file system: '/srv/shop/releases/3f9a-1/var/log/app.log'", "shared: [var/log] makes"),
        ("Error: EROFS: read-only file system, mkdir '/srv/shop/releases/3f9a-1/.data'", "shared: [.data] makes"),
        (
            "OSError: [Errno 30] Read-only file system: '/srv/shop/releases/3f9a-1/.venv/lib/python3.11/site-packages/wiki/cache/a'",
            "the packages of a release are read-only",
        ),
        ("Error: EROFS: read-only file system, open '/srv/shop/releases/3f9a-1/node_modules/ghost/core/x.log'", "beside a package's code"),
        ("Read-only file system: '/srv/shop/releases/3f9a-1/db.sqlite3'", "name the folder in shared"),
        ("Error: EACCES: permission denied, mkdir '/srv/shop/releases/3f9a/uploads'", "below /srv/shop/shared"),
        ("django.db.utils.OperationalError: attempt to write a readonly database", "below /srv/shop/shared"),
        ("Invalid HTTP_HOST header: 'shop.example.com'. You may need to add", "ALLOWED_HOSTS"),
        ("KeyError: 'SHOP_TOKEN'", "it asks for the variable SHOP_TOKEN: give it in env"),
        ("Error: getaddrinfo ENOTFOUND postgres", "it looks for postgres"),
        ("node: .env: not found", "a release has no .env"),
        ("Error: connect ECONNREFUSED 127.0.0.1:6379", "REDIS_QUEUE_URL"),
        ("Error: Could not locate a Flask application. Use the 'flask --app' option", "flask --app NAME"),
        ("Node.js v20.19.2 is not supported by Astro!", 'node: "22"'),
        ("KeyError: 'name'", ""),
        ("GET /page not found", ""),
        ("Permission denied: '/etc/shadow'", ""),
        ("", ""),
    ],
)
def test_last_words_are_answered_with_what_helps(said, told):
    found = remedies.remedy("shop", ["Traceback", said])
    assert told in found if told else found == ""


def test_in_a_build_something_else_helps():
    assert "build: [{command: …, env: {SHOP_TOKEN: $SHOP_TOKEN}}]" in remedies.remedy("shop", ["KeyError: 'SHOP_TOKEN'"], is_build=True)
    words = "npm error prebuild-install warn install getaddrinfo ENOTFOUND github.com"
    assert "no name server of the host knows github.com" in remedies.remedy("shop", [words], is_build=True)
    assert "package.json has to name it" in remedies.remedy("shop", ["Error: Cannot find module 'vite'"], is_build=True)
    place = ".venv/lib/python3.11/site-packages/shop/static/js/app.js"
    words = f"PermissionError: [Errno 13] Permission denied: '/srv/shop/releases/3f9a-1/{place}'"
    assert f"build: [rm {place}, …]" in remedies.remedy("shop", [words], is_build=True)


def test_every_answer_of_a_build_is_one_to_the_same_words():
    assert set(remedies.OF_A_BUILD) <= set(remedies.REMEDIES)


@pytest.mark.parametrize(
    ("said", "is_silent"), [("[7] [INFO] Booting worker with pid: 7", True), ("Traceback (most recent call last):", False)]
)
def test_an_app_that_fails_and_says_nothing(said, is_silent):
    assert ("LOGGING has a StreamHandler" in remedies.of_silence([said])) is is_silent
