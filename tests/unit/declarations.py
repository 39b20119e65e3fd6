# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration that works, and a table of ways to break it: what a user may get wrong, and the words that must help."""

from __future__ import annotations

import copy

SHOP = {
    "shop": {
        "runtime": "python",
        "source": {"path": "../examples/shop"},
        "migrate": "alembic upgrade head",
        "secrets": ["SECRET_KEY"],
        "database": "postgresql",
        "redis": ["cache", "queue"],
        "env": {"LOG_LEVEL": "info"},
        "processes": {
            "web": {
                "command": "uvicorn shop.main:app --host $HOST --port $PORT",
                "port": 8000,
                "health": {"path": "/health"},
                "readiness": {"path": "/ready", "json": {"status": "healthy"}},
            },
            "worker": {"command": "celery -A shop.tasks worker -c $CELERY_CONCURRENCY", "kind": "celery"},
            "beat": {"command": "celery -A shop.tasks beat", "singleton": True},
            "mailer": {"command": "python -m shop.mailer", "heartbeat": {"file": "mailer.heartbeat", "max_age": 180}},
        },
        "sites": {
            "shop.example.com": {
                "tls": "selfsigned",
                "routes": {"/": {"process": "web"}, "/ws": {"process": "web", "websocket": True, "max_connections": 200}},
                "rate_limit": {"rate": "10r/s", "burst": 20},
            }
        },
        "logs": ["logs/*.log"],
    }
}

BOX = {
    "runtime": "container",
    "source": {"image": "registry.example.com/team/box:1.2"},
    "migrate": "box migrate --all",
    "secrets": ["SECRET_KEY"],
    "env": {"LOG_LEVEL": "info"},
    "volumes": {"uploads": "/app/uploads"},
    "processes": {
        "web": {"port": 8300, "env": {"BOX_LISTEN": "$HOST:$PORT", "RATE": "5%"}},
        "beat": {"command": "celery -A box beat", "singleton": True},
    },
    "sites": {"box.example.com": {"routes": {"/": {"process": "web"}}}},
}

REMOVE = object()

# (path into the declaration, the wrong value, words the message must hold: the variable, and the remedy)
WRONG = [
    (("shop", "runtime"), "ruby", ["mainstay_apps.shop.runtime", "'ruby'", "python, node"]),
    (("shop", "runtime"), "container", ["mainstay_apps.shop.source.path", "runtime: container takes source: {image: …}"]),
    (("shop", "source"), {"image": "docker.io/library/httpd:2.4"}, ["mainstay_apps.shop.source.image", "no other runtime does"]),
    (("shop", "volumes"), {"uploads": "/uploads"}, ["mainstay_apps.shop.volumes", "only a container needs them"]),
    *(
        (("shop",), {**BOX, "source": {"image": image}}, ["mainstay_apps.shop.source.image", repr(image), "docker.io/library/httpd:2.4"])
        for image in (
            "httpd:2.4",
            "library/httpd:2.4",
            "docker.io/library/httpd",
            "docker.io/httpd:a b",
            "docker.io/x@sha256:12",
            "shop.zip",
        )
    ),
    (("shop",), {**BOX, "source": {"image": "build/box.tar", "version": "1"}}, ["mainstay_apps.shop.source.version", "remove it"]),
    (("shop",), {**BOX, "build": ["make"]}, ["mainstay_apps.shop.build", "an image is built already"]),
    (("shop",), {**BOX, "volumes": {"../x": "/a"}}, ["mainstay_apps.shop.volumes.../x", "one folder, such as"]),
    (("shop",), {**BOX, "volumes": {"x": "a"}}, ["mainstay_apps.shop.volumes.x", "'a'", "absolute path"]),
    (("shop",), {**BOX, "volumes": {"x": "/a:/etc"}}, ["mainstay_apps.shop.volumes.x", "absolute path"]),
    (("shop",), {**BOX, "sites": {"a": {"routes": {"/": {"spa": "dist"}}}}}, ["sites.a.routes./", "no file of an image"]),
    (("shop",), {**BOX, "sites": {"a": {"routes": {"/": {"directory": "dist"}}}}}, ["sites.a.routes./", "no file of an image"]),
    (("shop", "processes", "web", "env"), {"SECRET_KEY": "debug"}, ["processes.web.env.SECRET_KEY", "***", "keep it in secrets only"]),
    (("shop", "processes", "web", "env"), {"1X": "a"}, ["processes.web.env.1X", "does not begin with a digit"]),
    (("shop", "sorce"), {"path": "x"}, ["mainstay_apps.shop.sorce", "Did you mean 'source'"]),
    (("shop", "source"), REMOVE, ["mainstay_apps.shop.source", "required"]),
    (("shop", "source"), {}, ["mainstay_apps.shop.source", "exactly one of path, git"]),
    (("shop", "source"), {"path": "a", "git": "b"}, ["mainstay_apps.shop.source", "exactly one of"]),
    (("shop", "source"), {"git": "https://example.com/a.git"}, ["mainstay_apps.shop.source.version", "pin a tag"]),
    (("shop", "source"), {"git": "../shop", "version": "v1"}, ["mainstay_apps.shop.source.git", "see no folder of the control node"]),
    (("shop", "source"), {"path": "a", "version": "v1"}, ["mainstay_apps.shop.source.version", "'v1'", "remove it"]),
    (("shop", "source"), {"archive": "https://example.com/a.tar.gz"}, ["mainstay_apps.shop.source.checksum", "sha256:"]),
    (
        ("shop", "source"),
        {"package": "datasette"},
        ["mainstay_apps.shop.source.package", "'datasette'", "one version, such as datasette==1.0"],
    ),
    (("shop", "source"), {"package": "a@1.0"}, ["mainstay_apps.shop.source.package", "'a@1.0'", "such as datasette==1.0"]),
    (
        ("shop", "source"),
        {"package": "a==1.0", "requirements": ["gunicorn"]},
        ["mainstay_apps.shop.source.requirements[0]", "'gunicorn'", "pin one version"],
    ),
    (("shop", "source"), {"path": "a", "requirements": ["b==1"]}, ["shop.source.requirements", "no meaning for a source of kind path"]),
    (("shop", "shared"), ["../x"], ["mainstay_apps.shop.shared[0]", "'../x'", "'..'"]),
    (("shop", "shared"), ["a/b", "a"], ["mainstay_apps.shop.shared", "'a/b'", "a folder above it"]),
    (("shop", "packages"), ["lib pq"], ["mainstay_apps.shop.packages[0]", "'lib pq'", "such as libpq5"]),
    (("shop",), {**BOX, "shared": ["x"]}, ["mainstay_apps.shop.shared", "declare volumes"]),
    (("shop", "build"), "npm run build", ["mainstay_apps.shop.build", "'npm run build'", "list"]),
    (("shop", "build"), [{"env": {}}], ["mainstay_apps.shop.build[0].command", "required"]),
    (("shop", "build"), [{"command": "x", "enf": {}}], ["mainstay_apps.shop.build[0].enf", "Did you mean 'env'"]),
    (("shop", "build"), ["x", {"command": "y", "env": {"A": "$B"}}], ["build[1].env.A", "'$B'", "no variable B", "DATABASE_URL"]),
    (("shop", "egress"), "all", ["mainstay_apps.shop.egress", "'all'", "none, internal"]),
    (("shop", "egress"), ["10.0.0.1/8"], ["mainstay_apps.shop.egress[0]", "'10.0.0.1/8'", "203.0.113.0/24"]),
    (("shop", "migrate"), {"backup": True}, ["mainstay_apps.shop.migrate", "command"]),
    (("shop", "migrate"), {"command": "alembic upgrade head", "backup": "daily"}, ["mainstay_apps.shop.migrate.backup", "'daily'"]),
    (("shop", "processes", "web", "allow"), ["all"], ["processes.web.allow", "'all'", "exec"]),
    (("shop", "processes", "worker", "allow"), ["any_address"], ["processes.worker.allow", "a celery process has no port", "remove it"]),
    (("shop-build",), {"source": {"path": "x"}, "processes": {}}, ["mainstay_apps.shop-build", "builds the releases of shop"]),
    (("shop", "env_prefix"), "E F", ["mainstay_apps.shop.env_prefix", "'E F'", "letters"]),
    (("shop", "env"), {"1X": "a"}, ["mainstay_apps.shop.env.1X", "does not begin with a digit"]),
    (("shop", "env"), {"LIST": [1]}, ["mainstay_apps.shop.env.LIST", "[1]", "write a text"]),
    (("shop", "env"), {"JWT_SECRET": "changeme"}, ["mainstay_apps.shop.env.JWT_SECRET: '********'", "secrets: [JWT_SECRET]"]),
    (("shop", "env"), {"DB_PASSWORD": "your_password"}, ["mainstay_apps.shop.env.DB_PASSWORD: '********'", "placeholder"]),
    (("shop", "env"), {"API_TOKEN": "<token>"}, ["mainstay_apps.shop.env.API_TOKEN: '********'", "placeholder"]),
    (("shop", "env"), {"MAIL_URL": "smtp://shop:xxx@mail/"}, ["mainstay_apps.shop.env.MAIL_URL: '********'", "placeholder"]),
    (("shop", "env"), {"SECRET_KEY": "abc"}, ["mainstay_apps.shop.env.SECRET_KEY", "keep it in secrets only"]),
    (("shop", "secrets"), ["SECRET-KEY"], ["mainstay_apps.shop.secrets", "'SECRET-KEY'", "environment variables"]),
    (("shop", "database"), "oracle", ["mainstay_apps.shop.database", "'oracle'", "postgresql"]),
    (("shop", "pooler"), "pgpool", ["mainstay_apps.shop.pooler", "'pgpool'", "pgbouncer"]),
    (("shop", "processes", "web", "port"), 6432, ["mainstay_apps.shop.processes.web.port", "6432", "PgBouncer listens there"]),
    (("shop", "redis"), ["sessions"], ["mainstay_apps.shop.redis", "'sessions'", "cache, queue"]),
    (("shop", "redis"), "cache", ["mainstay_apps.shop.redis", "'cache'", "list"]),
    (("shop",), {"runtime": "command", "source": {"path": "../pages"}}, ["mainstay_apps.shop.processes", "Nothing would run"]),
    (("shop", "processes", "web", "command"), "", ["mainstay_apps.shop.processes.web.command", "required"]),
    (("shop", "processes", "web", "port"), 80, ["mainstay_apps.shop.processes.web.port", "80", "1024 to 65535"]),
    (("shop", "processes", "web", "port"), "http", ["mainstay_apps.shop.processes.web.port", "'http'", "whole number"]),
    (("shop", "processes", "web", "port"), 6379, ["mainstay_apps.shop.processes.web.port", "6379", "another port"]),
    (("shop", "processes", "web", "port"), 65535, ["mainstay_apps.shop.processes.web.port", "past 65535"]),
    (("shop", "processes", "web", "instances"), 0, ["mainstay_apps.shop.processes.web.instances", "0", "1 to 64"]),
    (("shop", "processes", "web", "instances"), "many", ["mainstay_apps.shop.processes.web.instances", "'many'"]),
    (("shop", "processes", "web", "memory"), "lots", ["mainstay_apps.shop.processes.web.memory", "'lots'", "300M"]),
    (("shop", "processes", "web", "memory"), "4M", ["mainstay_apps.shop.processes.web.memory", "at least 16M"]),
    (("shop", "processes", "web", "pool"), {"size": -1}, ["mainstay_apps.shop.processes.web.pool.size", "-1"]),
    (("shop", "processes", "web", "health"), {"path": "health"}, ["processes.web.health.path", "'health'", "begins with '/'"]),
    (("shop", "processes", "web", "helth"), {"path": "/h"}, ["processes.web.helth", "Did you mean 'health'"]),
    (("shop", "processes", "web", "kind"), "thread", ["processes.web.kind", "'thread'", "celery"]),
    (("shop", "processes", "beat", "instances"), 2, ["processes.beat.instances", "2", "exactly once"]),
    (
        ("shop", "processes", "beat"),
        {"command": "celery -A shop worker -B", "instances": 2},
        ["processes.beat.instances", "Celery's beat sends"],
    ),
    (
        ("shop", "processes", "worker"),
        {"command": "celery -A shop worker -c 8"},
        ["processes.worker.command", "write workers: 8 beside it"],
    ),
    (("shop", "processes", "beat", "singleton"), "yes", ["processes.beat.singleton", "'yes'", "true or false"]),
    (("shop", "processes", "web", "notify"), "yes", ["processes.web.notify", "'yes'", "true or false"]),
    (("shop", "processes", "web", "notify"), "False", ["processes.web.notify", "'False'", "Write false without quotes"]),
    (("shop", "processes", "worker", "health"), {"path": "/"}, ["processes.worker.health", "only a web process"]),
    (("shop", "processes", "mailer", "heartbeat"), {"file": "/tmp/x"}, ["processes.mailer.heartbeat.file", "'/tmp/x'", "relative"]),
    (("shop", "processes", "mailer", "heartbeat"), {"file": "x", "max_age": 1}, ["processes.mailer.heartbeat.max_age", "5 to 86400"]),
    (("shop", "processes", "second"), {"command": "x", "port": 8001}, ["processes", "8001", "move one of them"]),
    (("shop", "sites", "Shop.Example.com"), {"routes": {"/": {"process": "web"}}}, ["sites.Shop.Example.com", "small letters"]),
    (("shop", "sites", "shop.example.com", "routes"), {}, ["sites.shop.example.com.routes", "at least one route"]),
    (("shop", "sites", "shop.example.com", "tls"), "yes", ["sites.shop.example.com.tls", "'yes'", "selfsigned"]),
    (("shop", "sites", "shop.example.com", "tls"), {"certificate": "/a.pem"}, ["sites.shop.example.com.tls.key", "required"]),
    (("shop", "sites", "shop.example.com", "routes", "/"), {"process": "api"}, ["routes./.process", "'api'", "web"]),
    (("shop", "sites", "shop.example.com", "routes", "/"), {"proces": "web"}, ["routes./", "exactly one of process"]),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"directory": "../../etc"}, ["routes./x.directory", "'..'"]),
    (("shop", "sites", "shop.example.com", "rate_limit"), {"rate": "10"}, ["sites.shop.example.com.rate_limit.rate", "'10'", "10r/s"]),
    (("shop", "sites", "shop.example.com", "max_body"), "big", ["sites.shop.example.com.max_body", "'big'", "10M"]),
    (("shop", "sites", "shop.example.com", "headers"), {"X-A": 'a"; deny all'}, ["shop.example.com.headers.X-A", "quotation marks"]),
    (("shop", "sites", "shop.example.com", "headers"), {"X A": "a"}, ["sites.shop.example.com.headers", "'X A'", "name a header"]),
    *(
        (("shop", "sites", "shop.example.com", "extra"), extra, ["sites.shop.example.com.extra", "each ends with ';'"])
        for extra in ("", "gzip off", "} location / { return 200; ", "location / { return 200;", "return 200 ';'", "gzip off; # }\n}")
    ),
    (
        ("shop", "sites", "shop.example.com", "routes", "/", "extra"),
        'if ($arg_x) { add_header X-Own "a"; }',
        ["routes./.extra", "leaves out every other header"],
    ),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"status": 500}, ["routes./x.status", "500", "403, 404, 410"]),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"process": "web", "timeout": 31}, ["routes./x.timeout", "30 s", "drain: 31"]),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"process": "web", "timeout": 0}, ["routes./x.timeout", "from 1 to 86400"]),
    (
        ("shop", "sites", "shop.example.com", "routes", "/x"),
        {"process": "web", "websocket": True, "timeout": 9},
        ["/x.timeout", "nginx_websocket_timeout"],
    ),
    (
        ("shop", "sites", "shop.example.com", "routes", "/"),
        {"process": "web", "strip_prefix": True},
        ["routes./.strip_prefix", "no prefix"],
    ),
    (
        ("shop", "sites", "shop.example.com", "routes", "/x"),
        {"process": "web", "allow": ["10.0.0.1/8"]},
        ["routes./x.allow[0]", "10.0.0.1/8", "host bits set"],
    ),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"spa": "dist", "timeout": 9}, ["routes./x.timeout", "no such key"]),
    (("shop", "sites", "shop.example.com", "auth"), "anna", ["shop.example.com.auth", "'anna'", "such as [anna]"]),
    (("shop", "sites", "shop.example.com", "auth"), [], ["shop.example.com.auth", "list the names"]),
    (("shop", "sites", "shop.example.com", "auth"), False, ["shop.example.com.auth", "False", "list the names"]),
    (("shop", "sites", "shop.example.com", "auth"), ["Anna Li"], ["shop.example.com.auth[0]", "'Anna Li'", "small letters"]),
    (("shop", "sites", "shop.example.com", "auth"), ["a:b"], ["shop.example.com.auth[0]", "'a:b'", "small letters"]),
    (("shop", "sites", "shop.example.com", "routes", "/"), {"process": "web", "auth": True}, ["routes./.auth", "True", "write false"]),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"spa": "dist", "auth": []}, ["routes./x.auth", "write false"]),
    (("shop", "sites", "shop.example.com", "routes", "/x"), {"status": 404, "auth": ["anna"]}, ["routes./x.auth", "no such key"]),
    (("shop", "logs"), ["/var/log/x.log"], ["mainstay_apps.shop.logs[0]", "/var/log/x.log", "relative"]),
    (("Shop",), {"source": {"path": "x"}, "processes": {}}, ["mainstay_apps.Shop", "small letters"]),
    (("postgres",), {"source": {"path": "x"}, "processes": {}}, ["mainstay_apps.postgres", "system account"]),
    (
        ("other",),
        {
            "source": {"path": "x"},
            "processes": {"web": {"command": "x", "port": 9000}},
            "sites": {"shop.example.com": {"routes": {"/": {"process": "web"}}}},
        },
        [
            "shop.example.com",
            "serve a host name once, shop under one of its own such as shop.shop.example.com, or both as routes of one app",
        ],
    ),
    (("shop", "sites", "shop.example.com", "aliases"), ["shop.example.com"], ["aliases[0]", "serve a host name once"]),
    (("shop", "sites", "shop.example.com", "aliases"), ["WWW.example.com"], ["aliases[0]", "'WWW.example.com'", "small letters"]),
    (("shop", "sites", "shop.example.com", "aliases"), "www.example.com", ["aliases", "list of texts"]),
    (("shop", "sites", "*.example.com"), {"routes": {"/": {"process": "web"}}}, ["write wildcards: ['*.example.com']"]),
    (("shop", "sites", "shop.example.com", "wildcards"), ["*.com"], ["wildcards[0]", "such as *.example.com"]),
    (("shop", "sites", "shop.example.com", "wildcards"), ["x.*.example.com"], ["wildcards[0]", "such as *.example.com"]),
    (
        ("shop", "sites", "shop.example.com", "wildcards"),
        ["*.a.example.com", "*.a.example.com"],
        ["wildcards[1]", "serve a host name once"],
    ),
    (
        ("shop", "sites", "shop.example.com"),
        {"tls": "letsencrypt", "wildcards": ["*.example.com"], "routes": {"/": {"process": "web"}}},
        ["wildcards", "DNS-01", "write tls: {certificate"],
    ),
    (("shop",), ["web"], ["mainstay_apps.shop", "write a mapping"]),
    (("shop", "node"), "22", ["mainstay_apps.shop.node", "22", "runtime: python"]),
    (("shop", "processes", "web", "threads"), "many", ["processes.web.threads", "'many'", "1 to 256"]),
    (("shop", "processes", "worker", "threads"), 4, ["processes.worker.threads", "only a web process", "remove it"]),
    (("shop", "processes", "web", "threads"), "auto", ["processes.web.threads", "(uvicorn) takes requests as they come", "remove it"]),
    (("shop", "processes", "web", "command"), "gunicorn -w 4 x:app", ["processes.web.command", "4 workers", "counts 1", "workers: 4"]),
    (("shop", "processes", "web", "writable"), ["/etc/nginx"], ["processes.web.writable", "'/etc/nginx'", "/etc is the host's own"]),
    (("shop", "processes", "web", "writable"), ["/mnt"], ["processes.web.writable", "'/mnt'", "others have mounted"]),
    (("shop", "processes", "web", "writable"), ["uploads"], ["processes.web.writable", "'uploads'", "an absolute path"]),
    (("shop", "processes", "web", "devices"), ["/dev/sda"], ["processes.web.devices", "'/dev/sda'", "a serial line"]),
    (("shop", "python"), 3.14, ["mainstay_apps.shop.python", "3.14", "in quotes"]),
    (("shop", "python"), "2.7", ["mainstay_apps.shop.python", "'2.7'", "3.9"]),
    (("shop", "python"), "python3.12", ["mainstay_apps.shop.python", "'python3.12'", '"3.14"']),
]


def broken(path, value):
    """The working declaration with one thing wrong."""
    apps = copy.deepcopy(SHOP)
    place = apps
    for key in path[:-1]:
        place = place[key]
    if value is REMOVE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return apps
