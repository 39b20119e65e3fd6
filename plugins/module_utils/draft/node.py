# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Node's frameworks serves, what is only pages, and what a build takes away."""

from __future__ import annotations

import re

from . import commands, supervised
from .data import OWN_ADDRESS
from .page import Said, Todo, short

# What listens where $HOST and $PORT say without being told in the app's own code.
LISTENERS = {"nuxt", "@sveltejs/adapter-node", "@astrojs/node", "@remix-run/serve", "@react-router/serve"}
# Node's frameworks that serve their pages themselves, and what a build leaves to be run.
SERVERS = {
    "next": "next start -H $HOST -p $PORT",
    "nuxt": "node .output/server/index.mjs",
    "@sveltejs/adapter-node": "node build",
    "@astrojs/node": "node dist/server/entry.mjs",
}
# Other runtimes than Node, which the registry has as packages of their names.
RUNTIMES = {"bun", "deno"}
SERVING_SCRIPTS = ("start:prod", "start:production", "serve:prod", "prod", "production", "start")
ADAPTER = re.compile(r"""["']@sveltejs/adapter-[\w-]+["']""")
# What Next leaves to be run with this, without its files: those are for whoever serves them.
STANDALONE = re.compile(r"""\boutput\s*:\s*["']standalone["']""")
STANDALONE_FOLDER = ".next/standalone"
# What Prisma's own settings ask for, also while its client is made.
PRISMA_SETTINGS = re.compile(r"""\benv\(\s*["'](\w+)["']""")
EXPORTED = re.compile(r"""\boutput\s*:\s*["']export["']""")
OUT_FOLDER = re.compile(r"""\boutDir\s*:\s*["'](?:\./)?([\w-]+(?:/[\w-]+)*)/?["']""")
# What builds pages alone, and where they are then.
PAGES = (
    ("@sveltejs/adapter-static", "build"),
    ("@docusaurus/core", "build"),
    ("gatsby", "public"),
    ("@11ty/eleventy", "_site"),
    ("astro", "dist"),
    ("vite", "dist"),
    ("react-scripts", "build"),
    ("@angular/cli", "dist"),
    ("@vue/cli-service", "dist"),
)


class Node:
    """That part of a guess; see guess.py."""

    def _gone(self, command):
        """What a command runs that is no longer there after the build."""
        if self.runtime != "node":
            return ""
        called = commands.words(command, self.tree.scripts())
        gone = sorted({commands.PROGRAMS.get(word, word) for word in called} & self.tree.for_development())
        told = f"; TODO: move {' and '.join(gone)} to dependencies, what is for development is gone after the build" if gone else ""
        for name in sorted(called & RUNTIMES - set(self.packages)):
            told += f"; TODO: {name} is not on a host, its package of npm is in dependencies after npm install {name}"
        if any(word.startswith("--env-file") for word in called):
            told += "; TODO: without --env-file, a release has no such file and its variables already"
        return told

    def _script(self, key, command):
        return command if re.fullmatch(r"node [\w./-]+", command) else f"npm run {key}"

    def _node(self):
        if self._static():
            return {}
        scripts, found = self.tree.scripts(), {}
        web = self._framework() or self._started(scripts) or self._main(scripts)
        if web:
            found["web"] = web
            found |= self._other_members(web.value["command"].value if isinstance(web, Said) else "")
        for key in ("worker", "queue"):
            if key in scripts:
                found[key] = Said({"command": Said(self._script(key, scripts[key]), f'guessed from the script "{key}" of package.json')})
        return found

    def _framework(self):
        """A framework that serves its own pages, unless the app has a server of its own."""
        name = next((name for name in SERVERS if name in self.packages), None)
        start = self.tree.scripts().get("start", "")
        if "@sveltejs/kit" in self.packages and name is None:
            file, _match = self.tree.first(ADAPTER)
            return Todo(
                f"web: {{command: node build, port: 3000}} serves what @sveltejs/adapter-node builds; {file or 'the app'} names another "
                "adapter, and nothing here runs what that one makes: npm install --save-dev @sveltejs/adapter-node, and import it there"
            )
        if name is None or (re.search(r"\bnode (?!\.output|\.next|build|\.?/?dist/server/entry)", start) and name != "nuxt"):
            return None
        standalone = name == "next" and self._standalone()
        if standalone:
            web = self._web(f"node {STANDALONE_FOLDER}/server.js", f"guessed from output: standalone in {standalone}")
            web.value["env"] = Said({"HOSTNAME": "$HOST"}, "where it listens, as it calls that")
            return web
        if name == "@sveltejs/adapter-node":
            # It compares a form's origin with its own address, which it knows of these headers alone.
            for variable, header in (("HOST_HEADER", "x-forwarded-host"), ("PROTOCOL_HEADER", "x-forwarded-proto")):
                self.env.setdefault(variable, Said(header, f"where {name} learns its own address from"))
        return self._web(SERVERS[name], f"guessed from {name} in package.json")

    def _standalone(self):
        return self.tree.first(STANDALONE)[0] if "next" in self.packages else None

    def _beside_the_build(self):
        """The steps before and after the script that builds, each by what it is guessed from."""
        before, after, scripts = {}, {}, self.tree.scripts()
        run = " ".join(scripts.get(name, "") for name in ("preinstall", "install", "postinstall", "prepare", "prebuild", "build"))
        if "prisma" in self.packages and "generate" not in run:
            # Its settings want the variable at each command; the client is made without a database.
            asked = {
                match[1]
                for name in self.tree.files
                if name.startswith("prisma.config.")
                for match in PRISMA_SETTINGS.finditer(self.tree.text(name))
            }
            env = {name: f"${name}" for name in sorted(asked) if name in self.env or name == "DATABASE_URL" and self._database()}
            step = {"command": "prisma generate", "env": env} if env else "prisma generate"
            before["its client is made by prisma generate, which no script runs"] = step
        if self._standalone():
            public = "public " if any(name.startswith("public/") for name in self.tree.files) else ""
            after["Next's files go beside its server"] = f"cp -r --parents {public}.next/static {STANDALONE_FOLDER}/"
        return before, after

    def _started(self, scripts):
        """The script that serves, without what the build has done and what a process manager would do."""
        names = [name for name in SERVING_SCRIPTS if name in scripts]
        serving = [name for name in names if not commands.DEVELOPMENT.search(commands.composed(commands.resolved(name, scripts))[0])]
        if not names:
            return None
        name = next(iter(serving or names))
        line = commands.resolved(name, scripts)
        command, before = commands.composed(line)
        self._keep(before)
        told = f'the script "{name}" of package.json: {short(scripts[name])}'
        member = self._member(command)
        if member:
            command, of_member = member
            return self._web(command, f"guessed from {told}{of_member}{self._listens()}")
        managed = commands.PROCESS_MANAGER.match(command)
        if managed:
            command = self._managed(managed[1].removeprefix("./")) or command
            told += "; systemd does what pm2 did"
        command, notes = self._command(command, is_web=True)
        if not re.match(r"(\S+=\S+ )*node ", command):
            command, notes = ("npm start" if name == "start" else f"npm run {name}"), []
        if not serving:
            notes.append("TODO: it is a server for development; name what serves what the build made")
        return self._web(command, "; ".join([f"guessed from {told}", *notes]) + self._gone(command) + self._listens())

    def _member(self, command):
        """What a script of a workspace's member is without the package manager, which a host has for builds alone, and what it is from."""
        match = next(filter(None, (pattern.match(command) for pattern in commands.MEMBER)), None)
        for folder in self.members if match else ():
            line = self.tree.scripts(folder).get(match["script"])
            if line and match["member"] in (folder, self.tree.table(f"{folder}/package.json").get("name")):
                return self._in_folder(folder, match["script"], line), f", which in {folder} is {short(line)}"
        return None

    @staticmethod
    def _in_folder(folder, script, line):
        program = re.fullmatch(r"node (?:\./)?([\w./-]+)", line)
        return f"node {folder}/{program[1]}" if program else f"npm --prefix {folder} run {script}"

    def _other_members(self, web):
        """What else of a workspace is started, and asks for no port: each such member is a worker."""
        found = {}
        for folder in self.members:
            line, name = self.tree.scripts(folder).get("start"), folder.rpartition("/")[2].lower()
            serves = f" {folder}" in web or any("PORT" in text for file, text in self.tree.code.items() if file.startswith(f"{folder}/"))
            if line and not serves and not commands.DEVELOPMENT.search(line) and re.fullmatch("[a-z][a-z0-9-]{0,24}", name):
                why = f'guessed from the script "start" of {folder}/package.json, where no port is asked for'
                found[name] = Said({"command": Said(self._in_folder(folder, "start", line), why)})
        return found

    def _managed(self, file):
        """What pm2 runs that is told a file: the first that answers requests of those its own file lists, or a program."""
        listed = [program.command for program in supervised.programs(self.tree) if program.file == file]
        if listed:
            return next((command for command in listed if self._serves(command)), listed[0])
        return f"node {file}" if re.search(r"\.[cm]?js$", file) else None

    def _main(self, scripts):
        main = self.tree.table("package.json").get("main")
        names = [main] if isinstance(main, str) else []
        file = self.tree.has(*names, "server.js", "index.js", "app.js", "src/server.js", "src/index.js")
        if not file or file not in self.tree.code or scripts.get("start"):
            return None
        return self._web(f"node {file}", f"guessed from {file}, package.json has no script start{self._listens()}")

    def _listens(self):
        if LISTENERS & set(self.packages):
            return ""
        asked = {*self.asked, *(match[1] for name in self.asked if (match := OWN_ADDRESS.fullmatch(name)))}
        missing = [f"${name}" for name in ("HOST", "PORT") if name not in asked]
        if not missing:
            return ""
        kept = "; where its code is to stay as it is, allow: [any_address]" if missing == ["$HOST"] else ""
        return f"; TODO: it has to listen on $HOST:$PORT, and does not ask for {' and '.join(missing)}{kept}"

    def _static(self):
        """The folder of pages that nginx serves by itself, how, and what says so; nothing for an app that runs."""
        if self.runtime == "command":
            page = self._pages()
            return page and (page.rpartition("/")[0] or ".", "directory", page)
        scripts = self.tree.scripts() if self.runtime == "node" else {}
        serves = any(name in scripts and not commands.DEVELOPMENT.search(scripts[name]) for name in SERVING_SCRIPTS)
        if serves or "build" not in scripts:
            return None
        packages, kind = set(self.packages), "spa"
        exported = "next" in packages and self.tree.first(EXPORTED)[0]
        if exported:
            return "out", "directory", f"output: export in {exported}"
        if packages & {*SERVERS, "@sveltejs/kit", "@nestjs/core"} and "@sveltejs/adapter-static" not in packages:
            return None
        for tool, folder in PAGES:
            if tool in packages:
                if tool == "vite":
                    folder = next((match[1] for _file, match in self.tree.search(OUT_FOLDER)), folder)
                if tool == "@angular/cli":
                    projects = self.tree.table("angular.json").get("projects")
                    folder = f"dist/{next(iter(projects))}/browser" if isinstance(projects, dict) and projects else folder
                return folder, kind, f"{tool} in package.json"
        return None
