"""What a hostile app tries: ``python3 attempts.py build`` in its build, ``python3 attempts.py serve`` as its process.

An attempt that is refused raises; one that returns has crossed a boundary, and says what it got.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

APP, VICTIM = "mole", "shop"


def read(path):
    return Path(path).read_bytes()[:80].decode(errors="replace")


def write(path):
    place = Path(path)
    place.write_text("evil\n")
    return f"wrote {place}"


def first(pattern):
    """A path that matches, whoever may look there; where nobody may, the pattern itself, which is then refused."""
    return next(iter(sorted(glob.glob(pattern))), pattern)


def seen(path, *names):
    """The names of a folder that are not one's own."""
    found = sorted(set(os.listdir(path)) & set(names))
    if not found:
        raise FileNotFoundError(path)
    return found


def connect(address, port, said=b""):
    with socket.create_connection((address, port), timeout=2) as stream:
        stream.sendall(said)
        return f"connected, {stream.recv(80) if said else b''!r}"


def fetch(url):
    with urllib.request.urlopen(url, timeout=2) as answer:
        return answer.read(80).decode(errors="replace")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout[:80]


def environments():
    """The environments of processes of others that can be read, its own app's among them."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        with contextlib.suppress(OSError):
            text = Path(path).read_bytes()
            if b"DATABASE_URL" in text and int(path.split("/")[2]) not in (os.getpid(), os.getppid()):
                found.append(path)
    if not found:
        raise PermissionError("no environment")
    return found


def others():
    """Processes of other users that can be seen at all."""
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and os.stat(f"/proc/{pid}").st_uid != os.getuid()]
    if not found:
        raise ProcessLookupError("nobody else")
    return found[:5]


def call(number, *arguments):
    """A system call that needs more than an app has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "the kernel did it"


def execute(folder):
    """A program of one's own, run from a folder that one may write to."""
    program = Path(folder) / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    return run(str(program)) or "it ran"


def link_to(target, place):
    """A file of root's under a second name."""
    os.link(target, place)
    return f"linked {target}"


SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/private", "/run/mainstay-act.socket", "/run/docker.sock")


def unix(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        return f"connected to {path}"


# What neither a build nor a process may do.
COMMON = {
    "read the victim's environment file": lambda: read(f"/etc/mainstay/{VICTIM}/env"),
    "read the victim's release": lambda: read(f"/srv/{VICTIM}/current/README.md"),
    "list the victim's release": lambda: os.listdir(f"/srv/{VICTIM}/current/"),
    "read the victim's static files past nginx": lambda: read(f"/srv/{VICTIM}/current/shop/static/style.css"),
    "list the victim's shared folder": lambda: os.listdir(f"/srv/{VICTIM}/shared"),
    "list the victim's state": lambda: os.listdir(f"/var/lib/{VICTIM}"),
    "list the victim's caches": lambda: os.listdir(f"/var/cache/mainstay/{VICTIM}"),
    "read the victim's units": lambda: read(first(f"/etc/systemd/system/{VICTIM}-web@.service")),
    "write into the folder of all releases": lambda: write(f"/srv/{APP}/releases/evil"),
    "write beside the releases": lambda: write(f"/srv/{APP}/evil"),
    "write into the victim's run folder": lambda: write(f"/run/{VICTIM}/evil"),
    "put a link at the current release": lambda: os.symlink("/etc", f"/srv/{APP}/current.new") or "linked",
    "write into a shared environment": lambda: write(first(f"/srv/{APP}/environments/*/venv/pyvenv.cfg")),
    "write into /etc": lambda: write("/etc/cron.d/evil"),
    "leave something among the locks of the host": lambda: write("/run/lock/evil"),
    "write into root's home": lambda: write("/root/evil"),
    "read the host's shadow": lambda: read("/etc/shadow"),
    "read the host's keys": lambda: read(first("/etc/ssh/ssh_host_*_key")),
    "read the sites' keys": lambda: read("/etc/mainstay/tls/localhost.key"),
    "read mainstay's records": lambda: (
        seen("/var/lib/mainstay", "backend", "agent", "deploys.jsonl") and os.listdir("/var/lib/mainstay/backend")
    ),
    "read the backups": lambda: os.listdir("/var/backups/mainstay"),
    "list the repository of the backups": lambda: os.listdir("/mnt/backups"),
    "read the agent's state": lambda: os.listdir("/var/lib/mainstay/agent"),
    "read the status page": lambda: read("/run/mainstay-page/index.html"),
    "ask nginx for the status page": lambda: fetch("http://127.0.0.1:8444/"),
    "read an environment out of /proc": environments,
    "see processes of others": others,
    "read the journal": lambda: run("journalctl", "--lines=1", "--output=cat", f"--unit={VICTIM}-web@*") or "an empty one",
    "ask systemd about the victim": lambda: run("systemctl", "show", "--property=Environment", f"{VICTIM}-web@8000.service"),
    "reach the victim's process": lambda: fetch("http://127.0.0.1:8000/health"),
    "ask the cloud's metadata service": lambda: connect("169.254.169.254", 80),
    "ask it by IPv6": lambda: connect("fd00:ec2::254", 80),
    "find PostgreSQL's shared memory, which it could fill": lambda: os.stat(first("/dev/shm/PostgreSQL.*")),
    "mount": lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, None),
    "leave into a namespace": lambda: call(272, 0x10000000),
    "trace a process of root's": lambda: call(101, 16, 1, 0, 0),
    "load a program into the kernel": lambda: call(321, 5, None, 0),
    "become root": lambda: os.setuid(0) or "root",
    "make a program of root's": lambda: os.chmod(sys.argv[0], 0o6755) or "changed",
    "write to the kernel's settings": lambda: write("/proc/sys/kernel/core_pattern"),
    "open the disk": lambda: read(first("/dev/[sv]da")),
    **{f"connect to {path}": lambda path=path: unix(path) for path in SOCKETS},
}

BUILD = {
    **COMMON,
    "read its own app's environment": lambda: read(f"/etc/mainstay/{APP}/env"),
    "find the app's variables in its own": lambda: os.environ["DATABASE_URL"],
    "list other apps": lambda: seen("/srv", VICTIM),
    "list its own app's shared folder": lambda: os.listdir(f"/srv/{APP}/shared"),
    "list its own app's state": lambda: os.listdir(f"/var/lib/{APP}"),
    "reach its own app's process": lambda: read(f"/run/{APP}/note"),
    "write into a file that releases share": lambda: write(first(".venv/lib/python3*/site-packages/_virtualenv.py")),
    "give a file of root's a second name": lambda: link_to("/etc/passwd", "stolen"),
    "reach the server of the systemd user": lambda: unix(f"/run/user/{os.getuid()}/systemd/private"),
}

PROCESS = {
    **COMMON,
    "write into its own release": lambda: write("README.md"),
    "add to its own release": lambda: write("evil.py"),
    "write into its own environment": lambda: write(first(".venv/pyvenv.cfg")),
    "replace its own link": lambda: os.unlink(first(f"/srv/{APP}/instances/*")) or "gone",
    "read what the build may cache": lambda: os.listdir(f"/var/cache/mainstay/{APP}"),
    "run a program in /tmp": lambda: execute("/tmp"),
    "run a program in /var/tmp": lambda: execute("/var/tmp"),
    "run a program in /dev/shm": lambda: execute("/dev/shm"),
    "run a program in its shared folder": lambda: execute(f"/srv/{APP}/shared"),
    "run a program in its state": lambda: execute(f"/var/lib/{APP}"),
    "run a program in its run folder": lambda: execute(f"/run/{APP}"),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) and "open",
    "give the host an address": lambda: add_address("127.9.9.9"),
}


def add_address(address):
    """What the kernel answers, asked over netlink for one more address of the loopback device: an error, or done."""
    body = struct.pack("=BBBBI", socket.AF_INET, 8, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton(address))  # ifaddrmsg, IFA_LOCAL
    header = struct.pack("=IHHII", 16 + len(body), 20, 0x405, 1, 0)  # RTM_NEWADDR: a request to create, with an answer
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        sock.settimeout(5)
        sock.send(header + body)
        (error,) = struct.unpack_from("=i", sock.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))
    return "it has one more"


def outcome(attempt):
    """What an attempt got, or None where it was refused."""
    try:
        return str(attempt())
    except (OSError, subprocess.SubprocessError, KeyError, ValueError):
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers ``/health``; below ``/echo`` it tells what has reached it, and what else is posted to it runs as this process may."""

    def answer(self, body):
        self.send_response(200)
        if self.path.startswith("/echo/accel"):
            self.send_header("X-Accel-Redirect", "/files/index.html")
            self.send_header("X-Accel-Limit-Rate", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self, body=b""):
        words = [[name.lower(), value] for name, value in self.headers.items()]
        said = {"method": self.command, "path": self.path, "headers": words, "body": body.decode(errors="replace")}
        self.answer(json.dumps(said).encode())

    def do_GET(self):
        if self.path.startswith("/echo"):
            return self.echo()
        self.answer(b'{"status": "\x1b]0;owned\x07"}')

    def do_POST(self):
        code = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith("/echo"):
            return self.echo(code.encode())
        names = {**globals(), "result": None}
        try:
            exec(code, names)
            self.answer(json.dumps({"result": names["result"]}).encode())
        except Exception as error:
            self.answer(json.dumps({"error": repr(error)}).encode())

    def log_message(self, *_arguments):
        pass


def serve():
    """Listen where told, and say something that moves a terminal's cursor."""
    print("\x1b[2J\x1b[31mowned\x1b]0;owned\x07", flush=True)
    place = (os.environ["HOST"], int(os.environ["PORT"]))
    server = http.server.ThreadingHTTPServer(place, Handler)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    if sys.argv[1] == "build":
        results = {name: outcome(attempt) for name, attempt in BUILD.items()}
        results["declared"] = len(os.environ.get("DECLARED", ""))
        Path("public/attempts.json").write_text(json.dumps(results))
        Path("public/.hidden").write_text("hidden")
        Path("public/passwd").symlink_to("/etc/passwd")
        Path("public/above").symlink_to("..")
        Path("run-me").symlink_to("/bin/true")
        for marker in (".complete", ".migrated", "container.env"):
            Path(marker).write_text("{}")
    else:
        serve()
