# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a release: how it gets to the host, and what is in it then.

Once it is unpacked it is in the hands of the build's user, so it is reached through no link.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pwd
import shutil
import stat
import tempfile
import urllib.request

from ..stack import containers
from ..stack.refusal import ReleaseError
from . import identity, recipes, sealing
from . import runner as running
from .recipes import Step

# Files that say what a release needs are read up to here.
READ_LIMIT = 16 << 20


class OwnLogin(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to another host without the login for the first."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following and following.host != req.host:
            following.remove_header("Authorization")
        return following


class Source:
    """The source of one job."""

    def __init__(self, job, runner):
        self.job, self.runner = job, runner

    # --- how it gets there ---

    def fetch(self):
        source = self.job.params["source"]
        if source["kind"] == "path":
            with self._packed() as archive:
                self.runner.build_step(Step("unpack", recipes.UNPACK, unpacks=True), stdin=archive)
        elif source["kind"] == "git":
            name, repository = f"fetch {source['git']}", f"{self.job.cache}/repository.git"
            credentials = identity.git_credentials(self.job.params["authorization"])
            self.runner.build_step(
                Step(name, recipes.FETCH_GIT, repository, source["git"], self.job.params["commit"], env=credentials, unpacks=True)
            )
        elif source["kind"] == "package":
            self.runner.build_step(recipes.package_step([source["package"], *source.get("requirements", [])], self.job.params["runtime"]))
        elif source["kind"] == "image":
            self._copy_image(source["image"])
        else:
            name = os.path.basename(source["archive"].split("?")[0])
            with self._archive(source) as archive:
                self.runner.build_step(Step("unpack", recipes.UNPACK_ARCHIVE, name, unpacks=True), stdin=archive)

    @contextlib.contextmanager
    def _packed(self):
        """What the control node has packed: small, it has come along, else as a file."""
        if self.job.params["packed"] is None:
            with open(self.job.params["archive"], "rb") as file:
                yield file
        else:
            with tempfile.TemporaryFile(dir=self.job.root) as file:
                file.write(base64.b64decode(self.job.params["packed"]))
                file.seek(0)
                yield file

    @contextlib.contextmanager
    def _archive(self, source):
        """The archive, sent by the control node or downloaded, and compared: a file without a name, which only a step is given."""
        with tempfile.TemporaryFile(dir=self.job.root) as file:
            if self.job.params["archive"]:
                with open(self.job.params["archive"], "rb") as sent:
                    shutil.copyfileobj(sent, file)
            else:
                self._download(source["archive"], file)
            digest = _sha256(file)
            if f"sha256:{digest}" != source["checksum"]:
                raise ReleaseError(f"source.checksum: {source['checksum']} cannot be used. {source['archive']} has sha256:{digest}.")
            os.fchmod(file.fileno(), 0o644)
            yield file

    def _download(self, url, file):
        os.environ.update(self.job.environment)
        request = urllib.request.Request(url, headers={"User-Agent": "mainstay"})
        if self.job.params["authorization"]:
            request.add_header("Authorization", self.job.params["authorization"])
        try:
            with urllib.request.build_opener(OwnLogin).open(request, timeout=60) as answer:
                shutil.copyfileobj(answer, file)
        except OSError as error:  # an error of HTTP is one, too
            plain = url.partition("?")[0]  # the rest may be a secret
            raise ReleaseError(
                f"source.archive: {plain} could not be fetched: {getattr(error, 'reason', error)}. Check the address, and that this "
                "host reaches it: mainstay_environment is where a proxy is named."
            ) from None

    def _copy_image(self, image):
        """Copy the image to the host under the release's own name, and leave that name in the release."""
        owner, archive = pwd.getpwnam(self.job.user), self.job.params["archive"]
        with open(f"{self.job.path}/{containers.RELEASE_FILE}", "w", encoding="utf-8") as file:
            file.write(containers.release_file(self.job.app, self.job.params["id"], owner.pw_uid, owner.pw_gid))
        place = f"{self.job.params['image']}:{archive}" if archive else self.job.params["image"]
        name = f"containers-storage:{containers.image_name(self.job.app, self.job.params['id'])}"
        with self._login(image) as options:
            copy = Step(f"copy {image}", 'exec /usr/bin/skopeo copy --quiet "$@"', *options, place, name)
            self.runner.root_step(copy, running.ROOT_VARIABLES)

    @contextlib.contextmanager
    def _login(self, image):
        """What gives skopeo the control node's login to a registry."""
        if not self.job.params["authorization"]:
            yield []
            return
        registry, secret = image.partition("/")[0], self.job.params["authorization"].partition(" ")[2]
        with tempfile.NamedTemporaryFile("w", prefix=f"{self.job.app}@", suffix=".json", dir=running.RUN) as file:
            json.dump({"auths": {registry: {"auth": secret}}}, file)
            file.flush()
            yield [f"--authfile={file.name}"]

    # --- what is in it ---

    @contextlib.contextmanager
    def opened_places(self):
        """Descriptors of the folders of the source from its top to the one that the app is in, reached through no link."""
        with contextlib.ExitStack() as stack:
            places = [stack.enter_context(sealing.opened(self.job.path))]
            for name in filter(None, self.job.directory.split("/")):
                try:
                    places.append(stack.enter_context(sealing.opened(name, parent=places[-1])))
                except OSError:
                    raise ReleaseError(
                        f"source.directory: {self.job.directory!r} is no folder of the source. Name one relative to its top, such as backend."
                    ) from None
            yield places

    def names(self):
        """What is in the app's folder of the source, and what in those above it."""
        with self.opened_places() as places:
            *above, own = [os.listdir(place) for place in places]
        return own, {name for names in above for name in names}

    def read(self, name):
        """What a file of the source says; of one that is none, or has no end, nothing."""
        with self.opened_places() as places, sealing.opened(name, sealing.FILE, places[-1]) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ReleaseError(f"{name} of the source is no file.")
            with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as file:
                return file.read(READ_LIMIT)


def _sha256(file):
    """The digest of an open file, which is at its beginning afterwards."""
    digest = hashlib.sha256()
    file.seek(0)
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()
