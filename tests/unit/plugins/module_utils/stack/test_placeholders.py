# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
import secrets

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import placeholders


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("SECRET_KEY", "KEY", "API_KEY", "APIKEY", "DB_PASSWORD", "DBPASSWORD", "JWT_SECRET", "SECRET_KEY_BASE",
                                    "EF__SECRET_KEY", "secretKey", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SESSION_SECRETS")),
        *((name, False) for name in ("MONKEY", "KEYBOARD", "TOKENIZER", "TOKEN_TTL", "SECRET_KEY_FILE", "ACCESS_TOKEN_EXPIRE_MINUTES",
                                     "STRIPE_PUBLISHABLE_KEY", "AWS_ACCESS_KEY_ID", "S3_KEY_PREFIX", "MAX_TOKENS", "DATABASE_URL", "LOG_LEVEL")),
    ],
)  # fmt: skip
def test_names_of_secrets(name, secret):
    assert placeholders.is_secret(name) is secret


@pytest.mark.parametrize(
    "value",
    [
        # what the guides print
        "xxx", "your_password", "<token>", "your-domain-secret", "64位随机字符串", "强密码", "数据库密码", "JWT 密钥",
        # what sample files of frameworks and people print
        "changeme", "ChangeMe!", "change-me", "CHANGE_ME_IN_PRODUCTION", "please-change-this-secret", "changeme123", "your-secret-key",
        "your-secret-key-here", "YourSecretKeyHere", "my-secret-key", "supersecret", "secret", "password", "Password123", "replace-with-random",
        "insert your token here", "django-insecure-4$x1z", "dev-secret", "todo", "TBD", "none", "example", "test", "qwerty", "admin",
        "${SECRET_KEY}", "{{ secret }}", "%SECRET%", "<your key>", "aaaaaaaa", "****", "-", "",
    ],
)  # fmt: skip
def test_placeholders(value):
    assert placeholders.placeholder(value)


@pytest.mark.parametrize(
    "value", ["tr0ub4dor", "correct horse battery staple", "sk-live-9f8a7b", "a1b2c3", "your8f7d6s", "the-rain-in-spain", "adda1a602d2f"]
)
def test_what_is_none(value):
    assert not placeholders.placeholder(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("changeme", "placeholder"),
        ("tr0ub4dor", "9 characters, fewer than 16"),
        ("abababbabaababba", "2 different characters"),
        ("1q2w3e4r1q2w3e4r", "repeats itself"),
        ("abcdefghijklmnopqrst", "row of letters"),
        ("1234567890123456", "row of letters or digits"),
        ("correct horse battery staple", ""),
    ],
)
def test_weak_secrets(value, reason):
    found = placeholders.weakness(value)
    assert reason in found and bool(reason) is bool(found)


def test_a_shorter_one_where_that_is_declared():
    assert placeholders.weakness("tr0ub4dor", min_length=8) == ""


def test_random_secrets_are_never_refused():
    source = random.Random(4)
    alphabets = ["0123456789abcdef" * 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"]
    for _turn in range(500):
        assert placeholders.weakness(secrets.token_urlsafe(64)) == ""
        for alphabet in alphabets:
            assert placeholders.weakness("".join(source.choices(alphabet, k=32))) == ""


def test_a_long_value_takes_no_longer():
    assert not placeholders.placeholder("inisinthesecretkeypasswordsome" * 1000 + "q")


@pytest.mark.parametrize(
    ("url", "password"),
    [("https://example.com", None), ("redis://u:p%40ss@h/0", "p@ss"), ("postgresql://u:@h/d", ""), ("http://[", None), ("text", None)],
)
def test_passwords_in_urls(url, password):
    assert placeholders.url_password(url) == password
