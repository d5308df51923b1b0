#!/usr/bin/env python3
"""An HTTP proxy that verifies NTLM: it passes nothing on before the connection has logged in with the right password.

    ntlm_proxy.py USERS [--scheme NTLM|Negotiate] [--host NAME=ADDRESS ...] [--source ADDRESS]

USERS holds lines of DOMAIN:user:password. The judge of the messages is pyspnego (NTLMv2, its time and message integrity code
included), nobody's code of ours. Listens on a free port of 127.0.0.1, which is the first line of its output; calls from
`--source`; then one line for each event: `connected`, `accepted WHO METHOD TARGET`, `refused WHY`, and `protest WHY` where a client
does what it must not: a body in a leg before the last, a login on a connection that has one.
"""

import argparse
import base64
import http.client
import os
import select
import socket
import socketserver
import sys
import urllib.parse

options = argparse.ArgumentParser()
options.add_argument("users")
options.add_argument("--scheme", default="NTLM", choices=["NTLM", "Negotiate"])
options.add_argument("--host", action="append", default=[])
options.add_argument("--source")
options = options.parse_args()
os.environ["NTLM_USER_FILE"] = options.users

import spnego  # noqa: E402  it reads the environment

HOSTS = dict(entry.split("=", 1) for entry in options.host)
SOURCE = (options.source, 0) if options.source else None
OFFER = f"Proxy-Authenticate: {options.scheme}\r\n"
# What belongs to one hop and is not passed on.
OWN = {"proxy-authorization", "proxy-connection", "connection", "keep-alive"}


def say(*words):
    print(*words, flush=True)


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        self.login, self.who = None, None
        say("connected")
        while line := self.rfile.readline():
            if not line.strip():
                continue
            method, target, _ = line.decode("latin-1").split(" ", 2)
            headers = {}
            while (line := self.rfile.readline()).strip():
                name, value = line.decode("latin-1").split(":", 1)
                headers[name.strip().lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            said = headers.get("proxy-authorization", "")
            if self.who is not None and said:
                say("protest", "a login on a connection that has one")
            if self.who is None and not self.log_in(method, said, body):
                continue
            say("accepted", self.who, method, target)
            if method == "CONNECT":
                return self.tunnel(target)
            self.forward(method, target, headers, body)

    def answer(self, method, status, extra="", body=b""):
        head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\n{extra}Content-Length: {len(body)}\r\nProxy-Connection: keep-alive\r\n\r\n"
        # RFC 9110 §9.3.2: an answer to HEAD has no body, whatever length it names.
        self.wfile.write(head.encode() + (b"" if method == "HEAD" else body))

    def log_in(self, method, said, body):
        scheme, _, token = said.partition(" ")
        if scheme.lower() != options.scheme.lower():
            self.answer(method, 407, OFFER, b"<html>who are you?</html>")
            return False
        if self.login is None:
            protocol = "ntlm" if options.scheme == "NTLM" else "negotiate"
            flags = spnego.NegotiateOptions.use_ntlm if protocol == "ntlm" else spnego.NegotiateOptions.none
            self.login = spnego.server(protocol=protocol, options=flags)
        try:
            reply = self.login.step(base64.b64decode(token))
        except Exception as error:  # whatever it is, it is no login
            say("refused", type(error).__name__, str(error)[:200].replace("\n", " "))
            self.login = None
            self.answer(method, 407, OFFER, b"<html>no</html>")
            return False
        if not self.login.complete:
            if body:
                say("protest", "a body before the login was complete")
            offer = f"Proxy-Authenticate: {options.scheme} {base64.b64encode(reply or b'').decode()}\r\n"
            self.answer(method, 407, offer, b"<html>go on</html>")
            return False
        self.who = self.login.client_principal
        return True

    def place(self, host, port):
        return HOSTS.get(host, host), int(port)

    def tunnel(self, target):
        try:
            other = socket.create_connection(self.place(*target.rsplit(":", 1)), 10, SOURCE)
        except OSError:
            return self.answer("CONNECT", 502)
        self.wfile.write(b"HTTP/1.1 200 open\r\n\r\n")
        pairs = {self.connection: other, other: self.connection}
        with other:
            while True:
                for ready in select.select(list(pairs), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pairs[ready].sendall(data)

    def forward(self, method, target, headers, body):
        url = urllib.parse.urlsplit(target)
        host, port = self.place(url.hostname, url.port or 80)
        origin = http.client.HTTPConnection(host, port, timeout=10, source_address=SOURCE)
        path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        try:
            origin.request(
                method, path, body or None, {name: value for name, value in headers.items() if name not in OWN}
            )
            response = origin.getresponse()
            whole = response.read()
        except OSError:
            return self.answer(method, 502)
        kind = response.getheader("content-type", "application/octet-stream")
        self.answer(method, response.status, f"Content-Type: {kind}\r\n", whole)


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    # Of more than these at once, some are put off for seconds.
    request_queue_size = 128

    def handle_error(self, request, client_address):
        say("broke", sys.exc_info()[0].__name__)


with Proxy(("127.0.0.1", 0), Client) as proxy:
    say(proxy.server_address[1])
    proxy.serve_forever()
