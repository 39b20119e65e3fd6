# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot runs after a renewal: the next one is due at a third of the lifetime, whatever that is."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "roles/certificates/files/renewed.py"
SETTINGS = "# renew_before_expiry = 30 days\nversion = 2.1.0\n[renewalparams]\nserver = https://a/dir\n"

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.mark.parametrize(("days", "hours"), [(90, 720), (64, 512), (45, 360), (6, 48)])
def test_a_third_is_left_at_the_next_renewal(tmp_path, monkeypatch, days, hours):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec = spec_from_file_location("renewed", HOOK)
    hook = module_from_spec(spec)
    spec.loader.exec_module(hook)
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=a"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "fullchain.pem")]
    subprocess.run([*request, "-days", str(days), *files], check=True, capture_output=True)
    settings = tmp_path / "a.conf"
    settings.write_text(SETTINGS)
    for _turn in range(2):  # once is enough
        hook.renew_at_a_third(str(tmp_path), str(settings))
        assert settings.read_text() == f"renew_before_expiry = {hours} hours\nversion = 2.1.0\n[renewalparams]\nserver = https://a/dir\n"
    settings.write_text(SETTINGS.replace("# renew_before_expiry = 30 days\n", f"renew_before_expiry = {hours + 1} hours\n"))
    hook.renew_at_a_third(str(tmp_path), str(settings))
    assert settings.read_text().count("renew_before_expiry") == 1
