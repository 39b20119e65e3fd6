# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that the lab's hosts start from: made of a distribution's packages, or from a registry's image."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

from lab_basics import LABEL, RELEASES, STATE, LabError, add_file, is_ubuntu, need, run, say, tail
from lab_engine import docker

UBUNTU = "http://archive.ubuntu.com/ubuntu"
# The package with the keys that sign Ubuntu's archive, which Debian does not have: a machine of Debian's takes it from there, and knows it.
UBUNTU_KEYS = (
    "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
    "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
)
PACKAGES = "ca-certificates,dbus,iproute2,openssh-server,procps,python3,sudo,systemd,systemd-sysv"
SETUP = """
update-ca-certificates
useradd --create-home --shell /bin/bash --password '*' admin
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin
rm -f /etc/ssh/ssh_host_* /etc/hostname
: >/etc/machine-id
"""
IMAGE_SETTINGS = ("CMD /lib/systemd/systemd", "ENV container=docker", f"LABEL {LABEL}=image")


def ca_certificates() -> list[Path]:
    """The network's own authorities, as the control machine trusts them."""
    return sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt"))


def packages(release: str) -> str:
    """What a host's image holds: of Ubuntu also what each of its own machines has."""
    return f"{PACKAGES},ubuntu-minimal" if is_ubuntu(release) else PACKAGES


def ubuntu_keyring() -> Path:
    """The keys of Ubuntu's archive: the machine's own, or those of the package that is known here by its checksum."""
    own, kept = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"), STATE / "ubuntu-archive-keyring.gpg"
    if own.exists():
        return own
    if not kept.exists():
        path, digest = UBUNTU_KEYS
        with urllib.request.urlopen(f"{UBUNTU}/{path}", timeout=60) as answer:
            package = answer.read()
        if hashlib.sha256(package).hexdigest() != digest:
            raise LabError(f"{UBUNTU}/{path} is not the package of Ubuntu's keys that is known here.")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "keys.deb").write_bytes(package)
            subprocess.run(["dpkg-deb", "--extract", f"{folder}/keys.deb", folder], check=True)
            shutil.copy(f"{folder}{own}", kept)
    return kept


def apt_sources(release: str) -> list[str]:
    """The mirrors of the machine's own apt configuration, for another release. On a machine that is not Debian there
    are none, and mmdebstrap takes its default."""
    if is_ubuntu(release):
        return [f"deb {UBUNTU} {release}{kind} main universe" for kind in ("", "-updates", "-security")]
    mirror = os.environ.get("MAINSTAY_LAB_MIRROR")
    if mirror:
        return [f"deb {mirror} {release} main"]
    form = "$(REPO_URI) $(SUITE) $(CODENAME) $(COMPONENT)"
    listed = run("apt-get", "indextargets", "--format", form, "Created-By: Packages", check=False).stdout
    suites = {}
    for line in listed.splitlines():
        uri, suite, codename, component = (line.split() + [""] * 4)[:4]
        kind = re.fullmatch(r"(?:[a-z]+)(|-updates|-security)", codename)
        if kind and component == "main" and "debian" in uri and suite:
            suites.setdefault(kind[1], uri)
    return [f"deb {uri} {release}{kind} main" for kind, uri in sorted(suites.items())] if "" in suites else []


def apt_proxies() -> list[str]:
    """The machine's apt proxies."""
    dump = run("apt-config", "dump", check=False).stdout if shutil.which("apt-config") else ""
    return [line for line in dump.splitlines() if re.match(r'Acquire::https?::Proxy\b.*"[^"]+"', line)]


def image(release: str, anew: bool = False) -> str:
    """The name of a release's base image, which is built when it is not there, or anew."""
    base = os.environ.get("MAINSTAY_LAB_FROM", "")
    if base and is_ubuntu(release):
        base = f"{base.removesuffix('debian')}ubuntu"
    sources, proxies = ([], []) if base else (apt_sources(release), apt_proxies())
    authorities = {path.name: path.read_bytes() for path in ca_certificates()}
    recipe = repr((release, base, packages(release), SETUP, IMAGE_SETTINGS, sources, proxies, sorted(authorities.items())))
    name = f"mainstay-lab:{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if anew or docker("image", "inspect", name, check=False).returncode:
        started = time.monotonic()
        say(f"building the base image of {RELEASES[release]} ({release})")
        if base:
            build_from_registry(name, f"{base}:{release}")
        else:
            build_from_packages(name, release, sources, proxies)
        say(f"built {name} in {time.monotonic() - started:.0f} s")
    return name


def build_from_packages(name: str, release: str, sources: list[str], proxies: list[str]) -> None:
    """Bootstrap a release with mmdebstrap, straight into the engine."""
    need("mmdebstrap", "mmdebstrap", ", or set MAINSTAY_LAB_FROM=debian where a registry answers")
    copies = " ".join(shlex.quote(str(path)) for path in ca_certificates())
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages(release)}"]
    command += ["--components=main,universe", f"--keyring={ubuntu_keyring()}"] if is_ubuntu(release) else ["--components=main"]
    command += [f"--aptopt={proxy}" for proxy in proxies]
    if copies:
        command += [f'--customize-hook=cp {copies} "$1/usr/local/share/ca-certificates/"']
    command += ["--customize-hook=chroot \"$1\" sh -eu <<'END'" + SETUP + "END", release, "-", *sources]
    with (STATE / f"image-{release}.log").open("wb") as log:
        bootstrap = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"TMPDIR": "/var/tmp", **os.environ},  # programs run from there, which a hardened /tmp forbids
            start_new_session=True,  # when it fails, it kills its process group
        )
        changes = [word for setting in IMAGE_SETTINGS for word in ("--change", setting)]
        imported = docker("import", *changes, "-", stdin=bootstrap.stdout, check=False)
        bootstrap.stdout.close()
        failed = bootstrap.wait()
    identity = imported.stdout.strip()
    if failed and identity:
        docker("image", "rm", identity, check=False)
    if failed:
        raise LabError(f"mmdebstrap {release} failed:{tail(STATE / f'image-{release}.log')}")
    if imported.returncode:
        raise LabError(f"docker import failed: {imported.stderr.strip()}")
    docker("tag", identity, name)


def build_from_registry(name: str, base: str) -> None:
    """Make the same image from a registry's."""
    lines = [
        f"FROM {base}",
        "COPY ca/ /usr/local/share/ca-certificates/",
        "ENV DEBIAN_FRONTEND=noninteractive",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES.replace(',', ' ')}",
        f"RUN {json.dumps(['sh', '-euc', f'rm -rf /var/lib/apt/lists/* {SETUP}'])}",
        *IMAGE_SETTINGS,
    ]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        add_file(archive, "Dockerfile", "\n".join(lines).encode())
        add_file(archive, "ca/.keep", b"")
        for path in ca_certificates():
            add_file(archive, f"ca/{path.name}", path.read_bytes())
    built = subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=context.getvalue(), capture_output=True, check=False)
    if built.returncode:
        raise LabError(f"docker build from {base} failed: {built.stderr.decode(errors='replace').strip()}")
