# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import shutil
import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import nginx, passwords, proof
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken

SECRETS = {"shop": {"auth-anna": "anna's own password", "auth-ben": "b" * 24}}
PLAN = {"hosts": {"web1": {"tiers": ["proxy"], "processes": {}}}}


@pytest.fixture
def apps():
    """A site for anna, with a route for ben and one for everybody."""
    declared = broken(("shop", "sites", "shop.example.com", "auth"), ["anna"])
    declared["shop"]["sites"]["shop.example.com"]["routes"].update(
        {"/b/x": {"process": "web", "auth": ["ben", "anna"]}, "/open": {"directory": "dist", "auth": False}, "/app": {"spa": "dist"}}
    )
    return declared


@pytest.mark.parametrize(
    ("password", "salt", "rounds", "text"),
    [  # of the specification (https://www.akkadia.org/drepper/SHA-crypt.txt)
        (
            "Hello world!",
            "saltstringsaltst",
            10000,
            "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        ),
        (
            "we have a short salt string but not a short password",
            "short",
            77777,
            "WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0",
        ),
    ],
)
def test_the_hash_is_that_of_the_specification(password, salt, rounds, text):
    assert passwords.sha512_crypt(password, salt, rounds) == f"$6$rounds={rounds}${salt}${text}"


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize("password", ["x", "ü" * 40, "p" * 63, "p" * 64, "p" * 65, "p" * 128, "p" * 200])
def test_openssl_computes_the_same(password):
    own = passwords.sha512_crypt(password, "abcdef./01234567")
    command = ["openssl", "passwd", "-6", "-salt", "rounds=1000$abcdef./01234567", "-stdin"]
    said = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=True).stdout.strip()
    assert own == said


def test_each_place_that_asks_has_a_file_of_its_own(apps):
    files = {item["name"]: item["users"] for item in passwords.nginx_password_files(apps, SECRETS)}
    assert {name: sorted(users) for name, users in files.items()} == {
        "shop.example.com": ["anna"],
        "shop.example.com%2Fb%2Fx": ["anna", "ben"],
    }
    assert files == {item["name"]: item["users"] for item in passwords.nginx_password_files(apps, SECRETS)}
    assert len({value for users in files.values() for value in users.values()}) == 2
    (site,) = nginx.nginx_sites(apps)
    assert site["auth"] == "shop.example.com"
    assert {item["path"]: item.get("auth") for item in site["locations"]} == {
        "/": None,
        "/app/": None,
        "/b/x": "shop.example.com%2Fb%2Fx",
        "/open/": "off",
        "/ws": None,
    }


def test_two_who_chose_the_same_password_do_not_show_it(apps):
    app = normalise(apps)["shop"]
    same = {"shop": dict.fromkeys(("auth-anna", "auth-ben"), "the same for both")}
    assert passwords.password_hash(app, same, "anna") != passwords.password_hash(app, same, "ben")


@pytest.mark.parametrize(("password", "words"), [("", "'nothing' cannot be used"), ("hunter2hunt", "at least 12 characters")])
def test_a_password_that_is_missing_or_short_is_refused_and_not_shown(apps, password, words):
    with pytest.raises(DeclarationError, match=words) as refused:
        passwords.nginx_password_files(apps, {"shop": {"auth-anna": password}})
    assert "secrets/shop/auth-anna.txt" in str(refused.value) and "hunter" not in str(refused.value)


def test_the_proof_passes_with_the_password_and_expects_a_refusal_without(apps):
    def probed(**more):
        return {
            probe["name"].partition(".com")[2]: probe for probe in proof.proof_probes(apps, PLAN, "web1", **more) if ".com" in probe["name"]
        }

    login = f"Basic {base64.b64encode(b'anna:anna' + bytes([39]) + b's own password').decode()}"
    known, unknown = probed(secrets=SECRETS), probed()
    assert known["/"]["headers"] == known["/ws"]["headers"] == {"Authorization": login} and known["/"]["status"] == [200]
    assert unknown["/"]["status"] == unknown["/ws"]["status"] == [401] and "headers" not in unknown["/"]
    assert proof.proof_probes(SHOP, PLAN, "web1", secrets={})[-2]["headers"] == {}


def test_the_control_node_keeps_a_password_for_each(apps):
    names = secret_files.names(normalise(apps)["shop"])
    assert names[-2:] == ["auth-anna", "auth-ben"]
    assert (len(secret_files.fresh("/x/auth-anna.txt")), len(secret_files.fresh("/x/SECRET_KEY.txt"))) == (24, 86)
