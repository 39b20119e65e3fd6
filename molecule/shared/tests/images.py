# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images for tests: made here, of a host's static busybox and a few files, because no registry can be reached."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile

# What the lab needs: its hosts' own file system is an overlay already, on which podman's cannot lie.
STORAGE = """[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""


class Images:
    """Writes images as `docker save` does."""

    def __init__(self, host):
        host.check_output("mkdir -p /etc/containers && printf %s >/etc/containers/storage.conf", STORAGE)
        host.check_output("apt-get install --yes --quiet --no-install-recommends busybox-static curl")
        self.architecture, program = host.check_output("dpkg --print-architecture && base64 --wrap=0 $(command -v busybox)").split()
        self.busybox = base64.b64decode(program)

    def write(self, path, files, **config):
        """An image with busybox as its shell, and these files, ``{name: content}``."""
        layer = _tar({"bin/busybox": self.busybox, "bin/sh": self.busybox, **files})
        text = json.dumps(
            {
                "os": "linux",
                "architecture": self.architecture,
                "config": {"Env": ["PATH=/bin"], **config},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }
        ).encode()
        name = f"{hashlib.sha256(text).hexdigest()}.json"
        manifest = [{"Config": name, "RepoTags": None, "Layers": ["layer.tar"]}]
        path.write_bytes(_tar({name: text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}))


def _tar(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
