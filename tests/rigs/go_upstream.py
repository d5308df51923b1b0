"""An upstream of module proxies that serves a tree and a checksum database, and misbehaves where it is told to.

upstream = Upstream(tree, database)
upstream.at["example.com/a/@v/v1.0.0.zip"] = garbled(b"…")      # one answer, in place of the honest one
upstream.asked["example.com/a/@v/v1.0.0.zip"]                    # how often it was asked for
"""

import collections
import contextlib
import http.server
import socket
import ssl
import struct
import threading
import urllib.parse
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One answer. `length` is what Content-Length claims, when that is not the truth; `-1` leaves it out and sends chunks."""

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    length: int | None = None
    # How many bytes of the body come before the connection is closed, or reset.
    cut: int | None = None
    reset: bool = False
    # Waited for before the headers, and in the middle of the body; None waits for nothing.
    before: threading.Event | None = None
    within: threading.Event | None = None
    # The body is sent over and over, up to so many bytes.
    endless: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        upstream = self.server.upstream
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        upstream.note(path, self.headers, self.client_address[0])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            self.give(upstream.answer(path, self.headers))

    do_HEAD = do_GET

    def give(self, answer):
        if answer.before:
            answer.before.wait()
        self.send_response(answer.status)
        for name, value in ({"content-type": "text/plain; charset=utf-8"} | answer.headers).items():
            self.send_header(name, value)
        chunked = answer.length == -1
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(answer.body) if answer.length is None else answer.length))
        whole = answer.body if answer.cut is None else answer.body[: answer.cut]
        broken = (
            answer.cut is not None
            or answer.reset
            or answer.endless
            or (answer.length not in (None, -1) and answer.length != len(answer.body))
        )
        if broken:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.within:
            half = len(whole) // 2
            self.put(whole[:half], chunked)
            self.wfile.flush()
            answer.within.wait()
            self.put(whole[half:], chunked)
        elif answer.endless:
            sent = 0
            while sent < answer.endless:
                self.put(whole, chunked)
                sent += len(whole)
        else:
            self.put(whole, chunked)
        if chunked and not broken:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if broken:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR) if not answer.reset else self.connection.close()

    def put(self, data, chunked):
        if not data:
            return
        if chunked:
            self.wfile.write(b"%x\r\n" % len(data))
        self.wfile.write(data)
        if chunked:
            self.wfile.write(b"\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, address):
        self.connections.add(request)
        super().process_request(request, address)

    def close_request(self, request):
        self.connections.discard(request)
        super().close_request(request)

    def handle_error(self, *_):
        """Callers that hang up are what some tests are about."""


class Upstream:
    """The server. It listens as soon as it is made; with `certificate`, a file with a key and a certificate, over TLS."""

    def __init__(self, tree, database=None, certificate=None, only=None, port=0):
        self.tree, self.database, self.only = tree, database, only
        self.at = {}
        self.asked = collections.Counter()
        self.seen = []
        self.peers = set()
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.upstream = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if certificate else 'http'}://{'localhost' if certificate else '127.0.0.1'}:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def note(self, path, headers, peer):
        with self.lock:
            self.peers.add(peer)
            self.asked[path] += 1
            self.seen.append((path, {name.lower(): value for name, value in headers.items()}))

    def forget(self):
        with self.lock:
            self.asked.clear()
            self.peers.clear()
            self.seen.clear()

    def answer(self, path, headers):
        """What is said to who asks for `path`. `only` is the Authorization that is wanted, if one is."""
        if self.only and headers.get("authorization") != self.only:
            return Answer(401, b"who are you?\n", {"www-authenticate": "Basic realm=modules"})
        told = self.at.get(path)
        if callable(told):
            told = told(path)
        if isinstance(told, bytes):
            return Answer(body=told)
        if told is not None:
            return told
        if self.database and path.startswith(f"sumdb/{self.database.name}/"):
            body = self.database.answer(path.removeprefix(f"sumdb/{self.database.name}"))
        else:
            body = self.tree.files.get(path)
        if body is None:
            return Answer(404, f"not found: {path}\n".encode())
        kind = {"zip": "application/zip", "info": "application/json"}.get(path.rpartition(".")[2])
        return Answer(body=body, headers={"content-type": kind} if kind else {})

    def close(self):
        """The end, also for connections that are open."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
