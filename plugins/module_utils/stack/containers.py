# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apps that are container images: how an image is named, and the command line that runs one. Decisions, no effects."""

from __future__ import annotations

import re

# A registry is always named, with a dot, a port or as localhost, so that no search list decides whose image this is.
REFERENCE = re.compile(
    r"(?P<registry>localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:))(?P<port>:\d+)?"
    r"/(?P<repository>[a-z0-9]+([._/-]+[a-z0-9]+)*)(:(?P<tag>\w[\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
ARCHIVES = (".tar", ".tar.gz", ".tgz")
# A file of the control node, or a registry's image with a tag or a digest.
IMAGE = re.compile(
    rf".*({'|'.join(map(re.escape, ARCHIVES))})|(?=.*(:[^/@]+|@sha256:[0-9a-f]{{64}})$){REFERENCE.pattern}",
)

# In each release: the image it runs, and the numbers of its user, who is not in the image.
RELEASE_FILE = "container.env"

# Whatever the image says: no network of its own (a published port would pass by the firewall), no cgroup but the unit's, no
# file to write to but the app's own, no privilege, and nobody but the agent asks it how it is.
ISOLATION = (
    "--rm",
    "--pull=never",
    "--network=host",
    "--cgroups=disabled",
    "--ulimit=host",
    "--init",
    "--read-only",
    "--read-only-tmpfs=false",
    "--image-volume=ignore",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--no-healthcheck",
)
# What a container may write to besides its folders, and loses at its end.
IN_MEMORY = ("/tmp", "/run", "/var/tmp")
# For a process of a unit: conmon watches it for systemd, and what it writes is the unit's.
SERVICE = ("--detach", "--replace", "--log-driver=passthrough")
# For a run of a timer: podman waits for its end, hands it what systemd signals, and writes what it says.
SCHEDULED = ("--replace", "--log-driver=none", "--sdnotify=ignore")


def is_archive(image):
    """Whether an image is a file of the control node, as ``docker save`` and ``podman save`` write it."""
    return image.endswith(ARCHIVES)


def usable(image):
    """Whether an image can be found: a file, or a registry's image with a tag or a digest."""
    return IMAGE.fullmatch(image) is not None


def image_name(app, release):
    """The name of a release's image on the host. A host keeps an image as long as it has a name."""
    return f"localhost/mainstay/{app}:{release}"


def release_file(app, release, uid, gid):
    return f"MAINSTAY_IMAGE={image_name(app, release)}\nMAINSTAY_USER={uid}:{gid}\n"


def writable_in_memory(allow=()):
    """The options for the folders in memory; programs in them may run only where the process is allowed that."""
    return [f"--tmpfs={place}:rw,nosuid,nodev,{'exec' if 'exec' in allow else 'noexec'}" for place in IN_MEMORY]


# For one command: what it writes goes to who called it, and to nobody else.
COMMAND = ("--interactive", "--log-driver=none", *writable_in_memory())


def volume(root, name):
    """Where a volume lies on the host. The folder above is root's: podman, who is root, follows no link of the app's to it."""
    return f"{root}/volumes/{name}"


def podman_run(options, image, user, root, volumes, variables, command=()):
    """The command line that runs an image.

    Variables go in by their names: their values are in podman's own environment, and a command line is in every process list.
    podman keeps its own events to itself: in the journal of a unit they would bury the app's last words.
    """
    folders = {f"{root}/shared": f"{root}/shared", **{volume(root, name): place for name, place in volumes.items()}}
    return [
        "/usr/bin/podman",
        "--events-backend=none",
        "run",
        *options,
        *ISOLATION,
        f"--user={user}",
        *(f"--volume={folder}:{place}:rw,nosuid,nodev,noexec" for folder, place in folders.items()),
        *(f"--env={name}" for name in variables),
        image,
        *command,
    ]
