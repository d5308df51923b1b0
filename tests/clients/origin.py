"""An origin that says who asked it: an HTTP server, also over TLS, that knows enough of chat completions for the models
door, a DNS server, and a certificate for it.

Each of the proxies of counterparts.py calls from an address of its own in 127.0.0.0/8, so that `peer` in an answer is
proof of the way that a call took.
"""

import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

# Names of the certificate; nobody but a proxy knows how to reach the last one.
NAMES = ("localhost", "origin.test", "only.corp.test")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if seconds := query.get("wait"):
            time.sleep(float(seconds))
        if url.path == "/trickle":
            return self.trickle(int(query.get("count", 20)), float(query.get("every", 0.1)))
        status = int(query.get("status", 200))
        if self.server.folder and url.path.startswith("/files/"):
            return self.file(self.server.folder / url.path.removeprefix("/files/"))
        told = self.note()
        self.send(status, "application/json", json.dumps(told).encode())

    do_HEAD = do_GET

    def do_POST(self):
        length = self.headers.get("content-length")
        body = self.rfile.read(int(length)) if length else self.chunked()
        if not self.path.endswith("/chat/completions"):
            return self.do_GET()
        self.note()
        asked = json.loads(body)
        frame = {"id": "c1", "created": 1, "model": asked["model"]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": self.client_address[0]}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = frame | {"object": "chat.completion", "choices": [choice], "usage": usage}
            return self.send(200, "application/json", json.dumps(whole).encode())
        chunks = [
            {"index": 0, "delta": {"role": "assistant", "content": self.client_address[0]}, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        events = [json.dumps(frame | {"object": "chat.completion.chunk", "choices": [chunk]}) for chunk in chunks]
        self.send(200, "text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode())

    def note(self):
        told = {
            "peer": self.client_address[0],
            "port": self.client_address[1],
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self.server.seen.append(told)
        return told

    def chunked(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def file(self, path):
        if not path.is_file():
            return self.send(404, "text/plain", b"not here")
        self.server.fetched.append(self.path)
        kinds = {".pac": "application/x-ns-proxy-autoconfig"}
        self.send(200, kinds.get(path.suffix, "application/octet-stream"), path.read_bytes(), self.server.headers)

    def trickle(self, count, every):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(count):
            line = f"{number}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(every)
        self.wfile.write(b"0\r\n\r\n")

    def send(self, status, kind, body, headers=()):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Origin(http.server.ThreadingHTTPServer):
    """`seen`: what was asked. `folder`: its files are at /files/, sent with `headers`; `fetched`: which of them were."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder=None, certificate=None, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = pathlib.Path(folder) if folder else None
        self.headers, self.seen, self.fetched = {}, [], []
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if certificate else 'http'}://{self.address}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        """Callers that hang up are part of many tests."""

    def close(self):
        self.shutdown()
        self.server_close()


def make_certificate(folder):
    """A certificate for NAMES and 127.0.0.1, with its key, in one file."""
    folder = pathlib.Path(folder)
    key, certificate = folder / "origin.key", folder / "origin.crt"
    names = ",".join([*(f"DNS:{name}" for name in NAMES), "IP:127.0.0.1"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=origin.test", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    whole = folder / "origin.pem"
    whole.write_bytes(certificate.read_bytes() + key.read_bytes())
    return whole


def question(name, number=0x7477):
    """A DNS question for the IPv4 address of `name`, RFC 1035 §4."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def answer_to(question_bytes, address):
    """The answer to a DNS question: `address`, or that there is no such name."""
    number = question_bytes[:2]
    end = question_bytes.index(b"\0", 12) + 5
    asked, kind = question_bytes[12:end], struct.unpack(">H", question_bytes[end - 4 : end - 2])[0]
    if address is None:
        return number + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + asked
    if kind != 1:
        return number + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + asked
    record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
    return number + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + asked + record


def name_in(question_bytes):
    labels, at = [], 12
    while length := question_bytes[at]:
        labels.append(question_bytes[at + 1 : at + 1 + length].decode())
        at += length + 1
    return ".".join(labels)


class Names:
    """A DNS server over UDP with the names that it is given; `asked` are those that it was asked for, `peers` by whom."""

    def __init__(self, known):
        self.known, self.asked, self.peers = known, [], []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                asked, peer = self.socket.recvfrom(4096)
                if not asked:
                    return
                name = name_in(asked)
                self.asked.append(name)
                self.peers.append(peer[0])
                self.socket.sendto(answer_to(asked, self.known.get(name.lower())), peer)

    def close(self):
        # Wakes the thread up, which closing does not.
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()
