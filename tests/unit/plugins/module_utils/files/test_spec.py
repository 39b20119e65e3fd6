# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import changes, changeset, owners
from ansible_collections.mainstay.vps.plugins.module_utils.files.question import agrees, probe
from ansible_collections.mainstay.vps.plugins.module_utils.files.spec import SpecError, parse
from ansible_collections.mainstay.vps.tests.unit.kills import GROUP, OWNER

X = {"dest": "/etc/x", "content": "x\n"}


def with_entry(**changes):
    return {"files": [{**X, **changes}]}


# name: (arguments, the words that must help)
WRONG = {
    "no files": ({}, ["files: None is not a list"]),
    "files is a mapping": ({"files": X}, ["is not a list", "each with a dest"]),
    "entry is a text": ({"files": ["/etc/x"]}, ["files[0]: '/etc/x' is not an entry"]),
    "unknown option": (
        {"files": [], "validat": "x"},
        ["config_set: unknown key 'validat'", "Did you mean 'validate'?"],
    ),
    "unknown key": (with_entry(contents="x"), ["files[0] (/etc/x): unknown key 'contents'", "Did you mean 'content'?"]),
    "no dest": ({"files": [{"content": "x"}]}, ["files[0]: has no dest"]),
    "relative dest": (with_entry(dest="etc/x"), ["'etc/x' is not an absolute path", "Begin it with /"]),
    "dest climbs": (with_entry(dest="/etc/../x"), ["goes through '..'", "Write the path it leads to"]),
    "dest is the root": (with_entry(dest="/"), ["is the root directory"]),
    "dest with NUL": (with_entry(dest="/etc/\0"), ["NUL character"]),
    "file ends with a slash": (with_entry(dest="/etc/x/"), ["dest ends with a slash", "Name the file itself"]),
    "two contents": (with_entry(template="x.j2"), ["has template and content", "Keep the one"]),
    "no content": ({"files": [{"dest": "/etc/x"}]}, ["says nothing about its content", "template or content or file"]),
    "unknown state": (with_entry(state="present"), ["state is 'present'", "file, link, directory, absent"]),
    "absent with content": (with_entry(state="absent"), ["has content, but state is absent", "Remove one of the two"]),
    "directory with link": (
        {"files": [{"dest": "/etc/x", "state": "directory", "link": "y"}]},
        ["has link, but state is directory"],
    ),
    "link with a mode": ({"files": [{"dest": "/etc/x", "link": "y", "mode": "0644"}]}, ["a symbolic link has none"]),
    "link to nothing": ({"files": [{"dest": "/etc/x", "link": ""}]}, ["link is '', not the path to point at"]),
    "mode is a number": (with_entry(mode=0o644), ["mode 420 is not a quoted octal mode", '"0644"']),
    "mode is symbolic": (with_entry(mode="u=rw"), ["mode 'u=rw' is not a quoted octal mode", '"0644"']),
    "mode is decimal": (with_entry(mode="0888"), ["mode '0888'"]),
    "set's mode is a number": ({"files": [X], "mode": 420}, ["files[0] (/etc/x): mode 420"]),
    "owner is a list": (with_entry(owner=["root"]), ["owner is ['root']", "name or the number"]),
    "owner and group in one": (with_entry(owner="root:root"), ["owner is 'root:root'"]),
    "content is a mapping": (with_entry(content={"a": 1}), ["content is a dict, not a text", "to_nice_json"]),
    "template is no name": ({"files": [{"dest": "/etc/x", "template": 5}]}, ["template is 5, not the name of a file"]),
    "vars without template": (with_entry(vars={"a": 1}), ["vars goes with a template only"]),
    "vars is a list": ({"files": [{"dest": "/etc/x", "template": "x", "vars": ["a"]}]}, ["vars is ['a']"]),
    "sensitive is a text": (with_entry(sensitive="maybe"), ["sensitive: 'maybe' is neither true nor false"]),
    "twice the same": ({"files": [X, {**X, "dest": "/etc//x"}]}, ["files[1] (/etc//x): the same dest as files[0]"]),
    "below a file": ({"files": [X, {**X, "dest": "/etc/x/y"}]}, ["lies below files[0] (/etc/x), which is file"]),
    "below an absent": (
        {"files": [{"dest": "/etc/x", "state": "absent"}, {**X, "dest": "/etc/x/y/z"}]},
        ["files[1] (/etc/x/y/z): lies below files[0] (/etc/x), which is absent"],
    ),
    "purge too much": ({"files": [X], "purge": ["/etc/*"]}, ["purge[0]: '/etc/*' would remove too much"]),
    "purge relative": ({"files": [X], "purge": "x/*"}, ["purge[0]: 'x/*' is not an absolute path"]),
    "purge with odd brackets": ({"files": [X], "purge": ["/etc/y/[[:alpha:]]*"]}, ["no plain set", "Use * or ?"]),
    "purge is a number": ({"files": [X], "purge": 3}, ["purge: 3 is not a list"]),
    "brief is a number": ({"files": [X], "brief": 3}, ["brief: 3 is not a list"]),
    "brief relative": ({"files": [X], "brief": ["x/*"]}, ["brief[0]: 'x/*' is not an absolute path"]),
    "validate is a number": ({"files": [X], "validate": 3}, ["validate: 3 is not a command"]),
    "validate in pieces": ({"files": [X], "validate": ["nginx", "-t"]}, ["validate[1]: '-t' is an argument", "whole"]),
    "validate unbalanced": ({"files": [X], "validate": "sh -c 'x"}, ["cannot be read as a command"]),
    "validate empty": ({"files": [X], "validate": [""]}, ["validate[0]: is empty"]),
    "timeout of nothing": ({"files": [X], "validate_timeout": 0}, ["validate_timeout: 0 is not a number of seconds"]),
    "backup is a path": ({"files": [X], "backup": "/b"}, ["backup: '/b' is neither true nor false"]),
    "relative state_dir": ({"files": [X], "state_dir": "s"}, ["state_dir: 's' is not an absolute path"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_names_entry_value_and_remedy(name):
    arguments, words = WRONG[name]
    with pytest.raises(SpecError) as problem:
        parse(arguments)
    for word in words:
        assert word in str(problem.value)


def test_every_problem_is_told_at_once():
    with pytest.raises(SpecError) as problem:
        parse({"files": [{"dest": "x"}, {**X, "mode": 420}], "purge": 3})
    assert len(str(problem.value).splitlines()) == 4


def test_defaults_and_what_overrides_them():
    spec = parse(
        {
            "files": [
                X,
                {"dest": "/etc/secret", "content": "x", "sensitive": "yes"},
                {"dest": "/etc/d/", "state": "directory", "owner": 1000},
                {"dest": "/etc/l", "link": "x", "mode": None},
                {"dest": "/etc/m", "file": "m", "mode": "2750", "group": "adm"},
                {"dest": "/etc/gone", "state": "absent"},
            ],
            "owner": "ada",
            "validate": ["nginx -t", ["sh", "-c", "exit 0"]],
            "validate_timeout": "5",
        }
    )
    modes = {entry.dest: (entry.state, entry.owner, entry.group, entry.mode) for entry in spec.entries}
    assert modes["/etc/x"] == ("file", "ada", "root", 0o644)
    assert modes["/etc/secret"] == ("file", "ada", "root", 0o600)
    assert modes["/etc/d"] == ("directory", "1000", "root", 0o755)
    assert modes["/etc/l"][0] == "link"
    assert modes["/etc/m"] == ("file", "ada", "adm", 0o2750)
    assert modes["/etc/gone"][0] == "absent"
    assert spec.validate == [["nginx", "-t"], ["sh", "-c", "exit 0"]]
    assert (spec.timeout, spec.backup, spec.purge, spec.options) == (5, True, [], {})


def test_the_mode_of_the_set_is_for_files():
    spec = parse({"files": [{**X, "sensitive": True}, {"dest": "/etc/d", "state": "directory"}], "mode": "0640"})
    assert [entry.mode for entry in spec.entries] == [0o640, 0o755]


ODD = 'it\'s "odd" $(touch /x)\n* é'


@pytest.fixture
def host(tmp_path):
    """A tree that agrees with a set, and the set."""
    top = f"{tmp_path}/t"
    spec = parse(
        {
            "files": [
                {"dest": f"{top}/{ODD}", "content": "x\n"},
                {"dest": f"{top}/plain", "content": "y\n", "mode": "0600"},
                {"dest": f"{top}/secret", "content": "z\n", "sensitive": True},
                {"dest": f"{top}/link", "link": "../else where"},
                {"dest": f"{top}/other-link", "link": "plain"},
                {"dest": f"{top}/d", "state": "directory", "mode": "2750"},
                {"dest": f"{top}/gone", "state": "absent"},
            ],
            "owner": OWNER,
            "group": GROUP,
            "purge": [f"{top}/*.old", f"{top}/[a-c]?$(touch y)*"],
            "state_dir": f"{tmp_path}/state",
        }
    )
    for source in spec.sources:
        if source.kind:
            source.entry.content = source.value.encode()
    changeset.run(spec.entries, state_dir=f"{tmp_path}/state", backup_dir=f"{tmp_path}/b")
    return top, spec


def ask(spec, salt="pepper"):
    script = probe(spec.entries, spec.purge, spec.options["state_dir"], salt)
    answer = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=True)
    assert answer.stderr == b""
    return answer.stdout.decode()


# What somebody may do to the tree; each must be seen.
DISTURBANCES = {
    "content": lambda top: append(f"{top}/plain"),
    "content of an odd name": lambda top: append(f"{top}/{ODD}"),
    "content of a secret": lambda top: append(f"{top}/secret"),
    "mode": lambda top: os.chmod(f"{top}/plain", 0o640),
    "mode of a directory": lambda top: os.chmod(f"{top}/d", 0o755),
    "missing file": lambda top: os.unlink(f"{top}/plain"),
    "missing secret": lambda top: os.unlink(f"{top}/secret"),
    "missing link": lambda top: os.unlink(f"{top}/link"),
    "missing directory": lambda top: os.rmdir(f"{top}/d"),
    "missing everything": shutil.rmtree,
    "link elsewhere": lambda top: relink(f"{top}/link", "../elsewhere"),
    "link for a file": lambda top: relink(f"{top}/plain", "secret"),
    "file for a link": lambda top: [os.unlink(f"{top}/other-link"), append(f"{top}/other-link")],
    "directory for a file": lambda top: [os.unlink(f"{top}/plain"), os.mkdir(f"{top}/plain")],
    "pipe for a file": lambda top: [os.unlink(f"{top}/plain"), os.mkfifo(f"{top}/plain")],
    "file for a directory": lambda top: [os.rmdir(f"{top}/d"), append(f"{top}/d")],
    "absent came back": lambda top: append(f"{top}/gone"),
    "absent as a dead link": lambda top: os.symlink("nowhere", f"{top}/gone"),
    "something to purge": lambda top: append(f"{top}/a b.old"),
    "an odd thing to purge": lambda top: append(f"{top}/bx$(touch y)"),
    "a dead link to purge": lambda top: os.symlink("nowhere", f"{top}/x.old"),
}


def append(path):
    with open(path, "a", encoding="utf-8") as handle:
        handle.write("more\n")


def relink(path, target):
    os.unlink(path)
    os.symlink(target, path)


def test_the_probe_sees_that_nothing_differs(host):
    _top, spec = host
    assert agrees(ask(spec), spec.entries, "pepper")


@pytest.mark.parametrize("name", DISTURBANCES)
def test_the_probe_sees_what_differs(host, name):
    top, spec = host
    DISTURBANCES[name](top)
    assert not agrees(ask(spec), spec.entries, "pepper")
    try:
        assert changes.make_plan(spec.entries, spec.purge).steps, "the probe and the module disagree"
    except owners.TransactionError as problem:
        assert "Move it away first" in str(problem)


def test_the_probe_sees_another_owner_by_name_and_number(host):
    _top, spec = host
    entry = spec.entries[1]
    for owner, expected in ((str(os.geteuid()), True), ("nobody-else", False)):
        entry.owner = owner
        assert agrees(ask(spec), spec.entries, "pepper") is expected
    entry.owner, entry.group = OWNER, "nobody-else"
    assert not agrees(ask(spec), spec.entries, "pepper")


def test_the_probe_sees_an_unfinished_transaction(host):
    _top, spec = host
    append(f"{spec.options['state_dir']}/transactions/one.json")
    assert not agrees(ask(spec), spec.entries, "pepper")


def test_a_link_to_a_directory_is_a_directory(host, tmp_path):
    top, spec = host
    os.rename(f"{top}/d", tmp_path / "moved")
    os.symlink(tmp_path / "moved", f"{top}/d")
    assert agrees(ask(spec), spec.entries, "pepper")


def test_what_is_kept_may_match_a_purge_pattern(host):
    top, spec = host
    spec.purge.append(f"{top}/pl*")
    assert agrees(ask(spec), spec.entries, "pepper")


def test_directories_are_never_purged(host):
    top, spec = host
    os.mkdir(f"{top}/directory.old")
    assert agrees(ask(spec), spec.entries, "pepper")
    assert changes.make_plan(spec.entries, spec.purge).steps == []


def test_no_secret_and_no_digest_of_one_in_the_probe(host):
    _top, spec = host
    script = probe(spec.entries, spec.purge, "/state", "pepper")
    for digest in (hashlib.sha256(b"z\n").hexdigest(), hashlib.sha256(b"pepperz\n").hexdigest()):
        assert digest not in script
    assert hashlib.sha256(b"z\n").hexdigest() not in ask(spec)


@pytest.mark.parametrize("cut", [0, 1, 20, 200, -1, -5])
def test_an_answer_that_is_not_whole_is_a_difference(host, cut):
    _top, spec = host
    answer = ask(spec)
    assert not agrees(answer[:cut] if cut else "", spec.entries, "pepper")


def test_noise_before_the_answer_does_no_harm(host):
    _top, spec = host
    assert agrees("Welcome!\n" + ask(spec), spec.entries, "pepper")


def test_permission_denied_is_a_difference(host):
    _top, spec = host
    answer = ask(spec).replace("\0purge\0", "\0denied\0purge\0")
    assert not agrees(answer, spec.entries, "pepper")


def test_a_long_set_meets_no_limit(tmp_path):
    entries = [{"dest": f"{tmp_path}/{number:04}-{'x' * 200}", "content": "x"} for number in range(2000)]
    spec = parse({"files": entries, "owner": OWNER, "group": GROUP, "state_dir": f"{tmp_path}/s"})
    for source in spec.sources:
        source.entry.content = b"x"
        with open(source.entry.dest, "wb") as handle:
            handle.write(b"x")
        os.chmod(source.entry.dest, 0o644)
    assert agrees(ask(spec), spec.entries, "pepper")
    append(entries[1999]["dest"])
    assert not agrees(ask(spec), spec.entries, "pepper")
