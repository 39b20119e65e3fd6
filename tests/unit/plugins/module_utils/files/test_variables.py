# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.files import env_file
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "tr0ub4dor-and-3-horses"


def compose(variables, before=None, **options):
    return env_file.compose(env_file.declared(variables), before, generate=lambda size: "made" * size, **options)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("a b", "str", "a b"), (5, "str", "5"), (True, "str", "true"), ("", "str", ""),
        (8000, "int", "8000"), (" 8000 ", "int", "8000"), ("-007", "int", "-7"),
        ("1.50", "float", "1.50"), (2, "float", "2"), ("1e-3", "float", "1e-3"),
        (True, "bool", "true"), ("no", "bool", "false"), ("ON", "bool", "true"), (0, "bool", "false"),
        ("https://a.example.com:8443/x?y=1", "url", "https://a.example.com:8443/x?y=1"), ("unix:/run/x.sock", "url", "unix:/run/x.sock"),
        ("/srv/x", "path", "/srv/x"), ({"b": [1], "a": "ä"}, "json", '{"a":"ä","b":[1]}'), ("[1, 2]", "json", "[1, 2]"),
    ],
)  # fmt: skip
def test_types(value, kind, text):
    assert env_file.typed(value, kind) == text


@pytest.mark.parametrize(
    ("value", "kind", "remedy"),
    [
        ("eight", "int", "a whole number"), (1.5, "int", "a whole number"), (True, "int", "a whole number"), ("", "int", "a whole number"),
        ("one", "float", "a number"), ("maybe", "bool", "true or false"), ("example.com", "url", "scheme and host"), ("http://", "url", "scheme"),
        ("http://a b/", "url", "scheme"), ("http://a:port/", "url", "scheme"), ("srv/x", "path", "absolute"), ("{", "json", "write JSON"),
        ([1], "str", "type: json"), ({"a": 1}, "int", "not a mapping"),
    ],
)  # fmt: skip
def test_wrong_types_say_what_to_write(value, kind, remedy):
    with pytest.raises(ValueError, match=remedy):
        env_file.typed(value, kind)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("# a comment\n\n  ; another\nA=1\n", {"A": "1"}),
        ("export A=one\nB = two words # said\nC=\n", {"A": "one", "B": "two words", "C": ""}),
        ('A="a \\"b\\" \\$c \\\\ \\`d\\`" # x\n', {"A": 'a "b" $c \\ `d`'}),
        ("A='$x \"y\" # z'\nB=last", {"A": '$x "y" # z', "B": "last"}),
        ('A="two\nlines"\nA=later\n', {"A": "later"}),
        ('A="two\nlines"\n', {"A": "two\nlines"}),
        ("A=a#b\n", {"A": "a#b"}),
        ('A="a \\\nb"\nB="c\\\\\nd"\n', {"A": "a b", "B": "c\\\nd"}),
    ],
)
def test_what_a_file_holds(text, variables):
    assert env_file.parse(text) == variables


@pytest.mark.parametrize(("text", "line"), [("A=1\nno sense\n", 2), ('A="open\n', 1), ("\n\n1A=2\n", 3), ("A='x' y\n", 1)])
def test_what_cannot_be_read_is_named(text, line):
    with pytest.raises(env_file.EnvError, match=f"line {line} is no NAME=value"):
        env_file.parse(text)


TEXT = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs",)) | st.sampled_from("\n\t"))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), TEXT, max_size=5))
def test_what_is_written_is_read_again(variables):
    assert env_file.parse(env_file.render(variables)) == variables


def test_a_shell_reads_the_same(tmp_path):
    value = "a \"b\" $HOME `id` \\ 'c' # d\nsecond line"
    (tmp_path / "env").write_text(env_file.render({"VALUE": value}))
    shell = ["sh", "-c", f'. {tmp_path}/env; printf "%s" "$VALUE"']
    assert subprocess.run(shell, capture_output=True, text=True, check=True).stdout == value


def test_a_secret_is_made_once_and_kept():
    values, generated = compose({"SECRET_KEY": {"generate": True}, "A": "x"})
    assert (len(values["SECRET_KEY"]), generated) == (256, ["SECRET_KEY"])
    again = compose({"SECRET_KEY": {"generate": True}}, {"SECRET_KEY": SECRET, "OLD": "1"})
    assert again == ({"SECRET_KEY": SECRET}, [])
    assert compose({"A": 1}, {"OLD": "1", "A": "2"}, exclusive=False)[0] == {"OLD": "1", "A": "1"}


@pytest.mark.parametrize(
    ("variables", "options", "words"),
    [
        ({"1A": 1}, {}, ["1A: it is no name"]),
        ({"A": {"valeu": 1}}, {}, ["A: unknown key 'valeu'", "type: json"]),
        ({"A": {"value": 1, "type": "integer"}}, {}, ["A: type is 'integer'", "int"]),
        ({"A": {"value": 1, "secret": "yes"}}, {}, ["A: secret and generate are true or false"]),
        ({"A": {"value": 1, "min_length": 0}}, {}, ["A: min_length is 0"]),
        ({"A": None}, {}, ["A: it has no value", "generate: true"]),
        ({"A": {"value": "x", "generate": True}}, {}, ["A: it has a value and generate"]),
        ({"A": {"generate": True, "type": "int"}}, {}, ["A: a generated secret is a text"]),
        ({"A": {"generate": True}}, {"before": {"A": "changeme"}}, ["A: the file has ********", "Remove the line"]),
        ({"PORT": {"value": SECRET, "type": "int"}}, {}, ["PORT: ******** is no int", "whole number"]),
        ({"SECRET_KEY": "changeme"}, {}, ["SECRET_KEY: ******** is no secret: it is a placeholder", "token_urlsafe"]),
        ({"SECRET_KEY": SECRET[:9]}, {}, ["SECRET_KEY: ******** is no secret: it has 9 characters"]),
        ({"ACCESS": {"value": "short", "secret": True}}, {}, ["ACCESS: ******** is no secret"]),
        ({"DATABASE_URL": "postgresql://shop:changeme@db/shop"}, {}, ["DATABASE_URL: the password in ********", "placeholder"]),
        ({"A": "bell\a"}, {}, ["A: its value holds the control character"]),
        ({"A": "x"}, {"required": ["B", "A"]}, ["B: it is required and has no value"]),
        ({"A": ""}, {"required": ["A"]}, ["A: it is required and has no value"]),
        ({"A": None, "B": None}, {}, ["A: it has no value", "B: it has no value"]),
    ],
)
def test_what_is_refused_names_the_variable_and_the_remedy_but_no_value(variables, options, words):
    with pytest.raises(env_file.EnvError) as refusal:
        compose(variables, **options)
    for word in words:
        assert word in str(refusal.value)
    for value in ("changeme", SECRET, "tr0ub", "short"):
        assert value not in str(refusal.value).replace("'valeu'", "")


@pytest.mark.parametrize(
    "variables",
    [
        {"SECRET_KEY": SECRET},
        {"SMTP_PASSWORD": {"value": "tr0ub4dor", "min_length": 8}},
        {"PIN_TOKEN": {"value": "4711", "secret": False}},
        {"TOKENS": {"value": 5, "type": "int"}},
        {"DATABASE_URL": f"postgresql://shop:{SECRET}@db/shop"},
        {"LABEL": "changeme"},
    ],
    ids=str,
)
def test_what_is_good_enough(variables):
    assert list(compose(variables)[0]) == list(variables)


def test_a_difference_shows_names_only():
    before, after = env_file.differences({"A": SECRET, "B": "1", "C": "1"}, {"A": "other", "B": "1", "D": "1"})
    assert before == "A=******** (old)\nB=********\nC=********\n"
    assert after == "A=******** (new)\nB=********\nD=********\n"
