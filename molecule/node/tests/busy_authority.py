# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority at its limit: it knows everybody, and answers each order as Let's Encrypt answers who has had enough (RFC 8555, section 6.6)."""

import http.server
import json
import ssl
import sys

PORT, CERTIFICATE, KEY, ASKED = int(sys.argv[1]), *sys.argv[2:]
HERE = f"https://localhost:{PORT}"
LIMIT = (
    "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2030-01-02 03:04:05 UTC: "
    "see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers"
)


class Authority(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=None, kind="application/json", **headers):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Replay-Nonce": "bm9uY2U", "Content-Type": kind, "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def do_HEAD(self):
        self.answer(200)

    def do_GET(self):
        self.answer(200, {name: f"{HERE}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/newOrder":
            return self.answer(201, {"status": "valid"}, Location=f"{HERE}/account")
        with open(ASKED, "a", encoding="ascii") as asked:
            asked.write("order\n")
        problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": LIMIT, "status": 429}
        return self.answer(429, problem, "application/problem+json", **{"Retry-After": 86400})


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Authority)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
