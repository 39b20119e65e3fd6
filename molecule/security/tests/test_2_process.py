# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process under an attacker's control reaches, and what of the host and of the other app it can spoil."""

from __future__ import annotations

import pytest
from attempts import PROCESS
from plays import changes, play

ESCAPES = ("\x1b", "\x07", "\x9b")


@pytest.fixture(scope="module")
def results(host):
    from conftest import Mole

    code = "result = {name: outcome(attempt) for name, attempt in PROCESS.items()}"
    return Mole(host).does(code)["result"]


@pytest.mark.parametrize("attempt", PROCESS)
def test_a_process_crosses_no_boundary(results, attempt):
    assert results[attempt] is None


def test_its_own_folder_in_run_fills_nothing_else(host, mole, shop):
    said = mole.does(
        """
        try:
            with open("/run/mole/filler", "wb") as file:
                for _ in range(1000):
                    file.write(bytes(1 << 20))
        except OSError as error:
            result = error.errno
        """
    )
    assert said == {"result": 28}
    assert host.run("systemd-run --wait --collect true").rc == 0 and shop() == "healthy"
    mole.does("os.unlink('/run/mole/filler')")


def test_it_takes_no_more_than_its_connections_to_the_proxy(mole, shop):
    said = mole.does(
        """
        kept, result = [], 0
        for _ in range(200):
            with contextlib.suppress(OSError):
                kept.append(socket.create_connection(("127.0.0.1", 443), timeout=2))
        result = len(kept)
        """
    )
    assert said["result"] <= 64 and shop() == "healthy"


def test_nginx_serves_a_shared_folder_and_follows_no_link_there(host, mole):
    def page(path):
        return host.check_output(
            "curl --silent --insecure --max-time 5 --write-out ' %{http_code}' --resolve mole.example.com:443:127.0.0.1 "
            f"https://mole.example.com/media/{path}"
        )

    mole.does(
        """
        media = Path("/srv/mole/shared/media")
        (media / "2026/11").mkdir(parents=True)
        for name in ("photo", "2026/11/photo"):
            (media / name).write_text("a photo")
        (media / "file").symlink_to("/etc/hostname")
        (media / "folder").symlink_to("/etc")
        """
    )
    try:
        assert [page(path) for path in ("photo", "2026/11/photo")] == ["a photo 200"] * 2
        assert [page(path)[-3:] for path in ("file", "folder/hostname")] == ["403", "404"]
        mole.does("os.rename('/srv/mole/shared/media', '/srv/mole/shared/kept'); os.symlink('/etc', '/srv/mole/shared/media')")
        assert page("hostname")[-3:] == "404", "what leads to the folder is the app's, too"
        assert host.run("systemctl restart 'mole-web@*.service'").rc == 0
        assert host.check_output("getfacl --omit-header --skip-base /etc") == "", "a link leads the app's own hand nowhere else"
        host.check_output(f"timeout 30 sh -c 'until curl --silent --fail 127.0.0.1:{mole.port}/health; do sleep 0.2; done'")
    finally:
        mole.does(
            """
            if os.path.islink("/srv/mole/shared/media"):
                os.unlink("/srv/mole/shared/media")
                os.rename("/srv/mole/shared/kept", "/srv/mole/shared/media")
            """
        )
    assert page("photo") == "a photo 200"
    assert host.check_output("stat --format='%a %U' /srv/mole/shared") == "750 mole"


TRAPS = {
    "/srv/mole/shared/logs": "/etc",
    "/run/mole/note": "/etc/shadow",
    "/var/lib/mole/celerybeat-schedule": "/etc/passwd",
}


def test_root_follows_no_link_of_its_own(host, mole, shop):
    """Links where root's programs pass by; then all of those."""
    before = host.check_output("stat -c '%n %U:%G %a %s' /etc /etc/shadow /etc/passwd /etc/hosts; ls /etc")
    for place, target in TRAPS.items():
        said = mole.does(
            f"""
            import shutil
            shutil.rmtree({place!r}, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.unlink({place!r})
            os.symlink({target!r}, {place!r})
            """
        )
        assert "error" not in said, said
    run = play("playbooks/site.yml")
    assert run.returncode == 0 and changes(run) == 0, run.stdout[-3000:]
    for command in (
        "logrotate --force /etc/logrotate.d/mainstay-mole",
        "mainstay run mole -- true",
        "mainstay clean mole --yes",
        "mainstay restart mole",
        "systemd-tmpfiles --create --remove /etc/tmpfiles.d/mainstay.conf",
    ):
        host.run(command)
    assert host.check_output("stat -c '%n %U:%G %a %s' /etc /etc/shadow /etc/passwd /etc/hosts; ls /etc") == before
    assert shop() == "healthy"
    mole.does("\n".join(f"os.unlink({place!r})" for place in TRAPS))
    host.check_output("mainstay restart mole")


def test_no_escape_sequence_of_its_own_reaches_a_terminal(host):
    for command in ("status", "history", "plan", "logs mole", "logs mole/web", "clean mole --yes"):
        said = host.run(f"script --quiet --return --command 'mainstay {command}' /dev/null | cat -v").stdout
        assert "^[" not in said and "^G" not in said, said
