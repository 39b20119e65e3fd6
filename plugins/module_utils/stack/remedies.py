# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application says before it ends, and what of its declaration helps."""

from __future__ import annotations

import re

# What stands where the app's own files lie; {app} is its name.
RELEASE = r"/srv/{app}/(?:releases|instances|current)/"
# A folder of it, also where a file of it is named.
FOLDER = r"(\.?[\w-]+(?:/\.?[\w-]+)*)(?:/[\w-]*\.[\w.-]+)?"
PACKAGE = r"(?:@[\w.-]+/)?[\w-][\w.-]*"

# Each with the words of tools that it answers, and what helps where an app runs; {0} is what the words name.
REMEDIES = {
    'it wants another Python. The app\'s key python names the version that it wants and that comes with it, such as python: "3.14"': (
        r"does not satisfy Python",
        r"requires a different Python",
    ),
    'it wants another Node. The app\'s key node names the version that it wants and that comes with it, such as node: "22"': (
        r"requires? Node(?:\.js)?(?: version)? *[\d>^~v]",
        r"Node\.js version \">=",
        r"Node\.js v[\d.]+ is not supported",
        r"ERR_PNPM_UNSUPPORTED_ENGINE",
        r"The engine \"node\" is incompatible",
        r"'node:[\w/]+' does not provide an export",
        r"No such built-in module: node:",
        r"ERR_REQUIRE_(?:ESM|CYCLE_MODULE)",  # from Node 22 on these are loaded
        r"Unknown file extension \"\.ts\"",
    ),
    "its list with hashes was made for another Python, which needs other packages: uv pip compile --universal --generate-hashes makes one for all, "
    "or the app's key python brings the Python it was made with": (
        r"no trusted hash was provided for: `",
        r"Hashes are required in --require-hashes mode, but they are missing",
    ),
    "another npm has written its lock file, or package.json was changed without it: npm install --package-lock-only writes it anew, or the app's "
    'key node brings the npm of that Node, such as node: "24" its 11': (r"`npm ci` can only install packages when",),
    "psycopg2 is compiled on the host, which wants packages: [build-essential, python3-dev, libpq-dev]; psycopg2-binary is not": (
        r"pg_config executable not found",
    ),
    "mysqlclient is compiled on the host, which wants packages: [build-essential, python3-dev, pkg-config, default-libmysqlclient-dev]": (
        r"Can not find valid pkg-config name",
        r"mysql_config: (?:command )?not found",
    ),
    "it is compiled on the host, which wants packages: [build-essential, python3-dev, pkg-config] and the libraries that it is made with": (
        r"No such file or directory: '(?:/usr/bin/)?pkg-config'",
        r"[Pp]kg-config(?: probably| for machine [\w ]+)? not (?:installed|found)",
        r"Found pkg-config: NO",
        r"command '[\w./+-]*(?:gcc|cc|clang|g\+\+)' failed: No such file",
        r"No such file or directory: '[\w./+-]*(?:gcc|cc|g\+\+)'",
        r"Python\.h: No such file",
        r"(?:gcc|g\+\+|make|cc): (?:command )?not found",
        r"gyp ERR! stack Error: not found: make",
        r"gyp ERR! find Python",
        r"Unknown compiler\(s\)",
        r"linker `cc` not found",
    ),
    "one of its packages is fetched by git, which the host has not: packages: [git] brings it": (
        r"npm (?:ERR!|error) syscall spawn git",
        r"Cannot find command 'git'",
        r"Git executable not found",
    ),
    "its translations are compiled by a program of GNU gettext: packages: [gettext] brings it": (r"Make sure you have GNU gettext",),
    "the header {0} comes with a package of Debian whose name ends in -dev, which belongs into packages; apt-file search {0} names it": (
        r"fatal error: ([\w./+-]+\.h(?:pp)?): No such file or directory",
    ),
    "the library {0} comes with a package of Debian whose name ends in -dev, which belongs into packages; apt-file search {0}.pc names it": (
        r"Dependency \"([\w.+-]+)\" not found,? \(?tried pkg-?config",
        r"\b([\w.+-]+)\.pc is in PKG_CONFIG_PATH",
        r"No package '([\w.+-]+)' found",
        r"Package '?([\w.+-]+)'? was not found in the pkg-config search path",
    ),
    "it brings packages of its own as files, which npm finds in no dependency: its archive is the source, such as source: {{archive: "
    '"https://registry.npmjs.org/ghost/-/ghost-6.65.0.tgz", checksum: …}}': (r"npm (?:ERR!|error) path \S*/node_modules/\S+\.tgz",),
    "npm finds no versions that fit together, and nobody has locked some that do: a package-lock.json beside package.json, or .npmrc with "
    "legacy-peer-deps=true, which lets them differ": (r"npm (?:ERR!|error) code ERESOLVE",),
    "a release has no .env, for it is confidential: its variables belong into env and secrets": (
        r"(?:open|stat|node:) '?(?:\S*/)?\.env(?:\.\w+)?(?:'|:|$)",
        r"\.env: not found",
    ),
    "{0} is not in the release: what the app needs when it runs belongs into dependencies, for devDependencies are gone after the build": (
        rf"Cannot find (?:module|package) '({PACKAGE})",
    ),
    "{0} is not installed: the app's requirements have to name its package, beside a package of PyPI source.requirements": (
        r"No module named '?([A-Za-z_]\w*)",
    ),
    "the packages of a release are read-only: the app is told to write below /srv/{app}/shared or $HOME, and not beside a package's code": (
        rf"(?:Read-only file system|EROFS|Permission denied|EACCES).*?{RELEASE}[^'\" ]*?/((?:\.venv/lib|node_modules)/[^'\"\n]+)",
    ),
    "a release is read-only: shared: [{0}] makes this folder one that all releases have in common, or the app is told to write below "
    "/srv/{app}/shared or $HOME": (rf"(?:Read-only file system|EROFS: read-only file system).*?{RELEASE}[^/'\" ]+/{FOLDER}['\"]",),
    "a release is read-only: name the folder in shared, which all releases have in common, or let the app write below /srv/{app}/shared "
    "or $HOME": (
        r"EROFS",
        r"Read-only file system",
        r"ENOENT: no such file or directory, mkdir '",  # what Node says of that, asked to make the folders above, too
        r"readonly database",
        r"unable to open database file",
        rf"(?:EACCES: permission|Permission) denied.*{RELEASE}",
    ),
    "{0} is no program of the release, nor of the host: it comes with the app's requirements, in Node with dependencies, for devDependencies "
    "are gone after the build, or with one of Debian's packages in packages": (
        r"(?:^|: )(?:line )?(?:\d+: )?([\w.@-]+): (?:command )?not found$",
        r"(?:Failed to locate|Unable to locate|Failed to find) executable '?([\w.@/-]+)",
    ),
    "the app does not answer under that name, which is its first site's or that of health.host: it belongs into ALLOWED_HOSTS": (
        r"Invalid HTTP_HOST header",
        r"DisallowedHost",
    ),
    "flask is told where its app is: flask --app NAME …, or FLASK_APP in env": (r"Could not locate a Flask application",),
    "it asks for the variable {0}: give it in env, or in secrets where nobody has to know it": (
        r"KeyError: '([A-Z][A-Z0-9_]+)'",
        r"Set the ([A-Z][A-Z0-9_]+) environment variable",
        r"UndefinedValueError: ([A-Z]\w+) not found",
        r"The (SECRET_KEY) setting must not be empty",
        r"Environment variable not found: ([A-Z]\w+)",
    ),
    "it looks for {0}, a name in somebody else's network: it is told where its database and Redis are by its own names in env, such as "
    "DB_HOST: $DATABASE_HOST": (
        r"getaddrinfo \w+ ([\w.-]+)",
        r"could not translate host name \"([^\"]+)\"",
        r"failed to resolve host '([^']+)'",
        r"Unknown (?:MySQL )?server host '([^']+)'",
    ),
    "nothing listens there: it is told where its database and Redis are by DATABASE_URL, REDIS_CACHE_URL and REDIS_QUEUE_URL, or by its own "
    "names in env": (
        r"port 5432 failed: Connection refused",
        r"ECONNREFUSED \S+:(?:5432|3306|6379)\b",
        r"connecting to (?:localhost|127\.0\.0\.1):6379",
    ),
}
# What helps in a build instead, where that is something else.
OF_A_BUILD = {
    "it asks for the variable {0}: give it in env, or in secrets where nobody has to know it": (
        "it asks for the variable {0}, and a build sees those it names alone: build: [{{command: …, env: {{{0}: ${0}}}}}]"
    ),
    "{0} is not in the release: what the app needs when it runs belongs into dependencies, for devDependencies are gone after the build": (
        "{0} is not installed: package.json has to name it, and its lock file, too"
    ),
    "the packages of a release are read-only: the app is told to write below /srv/{app}/shared or $HOME, and not beside a package's code": (
        "other releases have the same file of that package, so a build can replace it and not write into it; a step before takes it away, such as "
        "build: [rm {0}, …]"
    ),
    "a release is read-only: name the folder in shared, which all releases have in common, or let the app write below /srv/{app}/shared "
    "or $HOME": "a build writes in its release alone",
    "a release is read-only: shared: [{0}] makes this folder one that all releases have in common, or the app is told to write below "
    "/srv/{app}/shared or $HOME": "a build writes in its release alone",
    "it looks for {0}, a name in somebody else's network: it is told where its database and Redis are by its own names in env, such as "
    "DB_HOST: $DATABASE_HOST": (
        "no name server of the host knows {0}, or the app's egress keeps it from there: a proxy or a mirror is told by mainstay_environment"
    ),
}


def remedy(app, lines, is_build=False):
    """What helps, for the last lines that something said; an empty text where they are not known."""
    text = "\n".join(lines)
    for sentence, words in REMEDIES.items():
        match = re.search("|".join(words).replace("{app}", re.escape(app)), text, re.MULTILINE)
        if match:
            named = next(filter(None, match.groups()), "what it names")
            return (OF_A_BUILD.get(sentence, sentence) if is_build else sentence).format(named, app=app)
    return ""


def of_status(status):
    """What helps where a health check is answered, but not with the status of a good answer; an empty text where that is not known."""
    if status in (301, 302, 303, 307, 308):
        return f"health: {{path: …}} is to name a page that answers itself, or health: {{status: {status}}} says that this is a good answer"
    if status in (401, 403):
        return (
            f"health: {{path: …}} is to name a page that asks for no login, or health: {{status: {status}}} says that this is a good answer"
        )
    return {
        400: "many answer 400 under a name that they do not know, as Django does where ALLOWED_HOSTS has others; health: {host: …} asks under "
        "another than the first site's",
        404: "health: {path: …} is to name a page that the app has",
    }.get(status, "")


def of_silence(lines):
    """What helps where an app answers 500 and its last words tell of no error; an empty text where they do."""
    if re.search(r"error|exception|traceback", "\n".join(lines), re.IGNORECASE):
        return ""
    return (
        "the app itself fails at that page, and tells the reason elsewhere than on its standard error, as Django does without DEBUG until "
        "LOGGING has a StreamHandler"
    )
