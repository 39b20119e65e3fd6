"""An app in no hostile hands that does what apps do: it dies of a request, takes its time, streams, sends large headers, and will not end."""

from __future__ import annotations

import ctypes
import http.server
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

REQUESTS = Path(os.environ["HOME"]) / "requests"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def die(self, _options):
        os._exit(1)

    def silence(self, _options):
        self.close_connection = True

    def stay(self, _options):
        """Ask systemd for more time whenever it would end this process."""
        ctypes.CDLL(None).signal(signal.SIGTERM, 1)  # SIG_IGN, from a thread that is not the main one
        threading.Thread(target=ask_for_more_time, daemon=True).start()
        self.answer(b"stays")

    def slow(self, options):
        time.sleep(float(options["seconds"][0]))
        self.answer(b"slow")

    def cookies(self, options):
        self.answer(b"cookies", Set_Cookie="a" * int(options["size"][0]))

    def framed(self, _options):
        """With headers that nginx adds where an app has none of its own."""
        self.answer(b"framed", X_Frame_Options="DENY", Referrer_Policy="no-referrer")

    def stream(self, _options):
        """Six events, in an answer that says neither its length nor comes in chunks."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(6):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.3)
        self.close_connection = True

    def upload(self, _options):
        """Say how long it took from the head of the request to the end of its body."""
        started = time.monotonic()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(json.dumps({"seconds": time.monotonic() - started}).encode())

    def echo(self, _options):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.answer(json.dumps({"path": self.path, "headers": headers, "client": self.client_address}).encode())

    def keep(self, _options):
        """Write where the release has a folder that outlives it."""
        kept = Path("uploads/kept")
        kept.write_text(kept.read_text() + "x" if kept.exists() else "x")
        self.answer(kept.read_bytes())

    def do(self):
        asked = urlsplit(self.path)
        if asked.path == "/health":
            return self.answer(b"well")
        with REQUESTS.open("a") as record:
            record.write(f"{self.command} {self.path}\n")
        name = asked.path.rpartition("/")[2]
        getattr(self, name if name in ("die", "silence", "slow", "cookies", "stream", "upload", "keep", "framed", "stay") else "echo")(
            parse_qs(asked.query)
        )

    do_GET = do_POST = do_PUT = do_DELETE = do

    def log_message(self, *_arguments):
        pass


def tell_systemd(words):
    """In the words of sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.sendto(words, os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))


def ask_for_more_time():
    while True:
        tell_systemd(b"EXTEND_TIMEOUT_USEC=30000000")
        time.sleep(1)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
    tell_systemd(b"READY=1\nSTATUS=It listens.")
    server.serve_forever()
