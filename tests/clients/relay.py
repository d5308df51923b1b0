"""Callers of a relay: curl, and SOCKS by hand."""

import json
import socket
import struct
import subprocess
from dataclasses import dataclass


@dataclass
class Got:
    """What curl got: `status` of the answer, and of the proxy's own for CONNECT; `exit` as in `man curl`."""

    exit: int
    status: int
    connect: int
    body: bytes
    said: str

    def json(self):
        assert self.exit == 0, self
        return json.loads(self.body)


class Curl:
    """curl through the relay at `port` of 127.0.0.1."""

    def __init__(self, port):
        self.port = port

    def __call__(self, url, *arguments, proxy="http", login="", timeout=20):
        at = f"{proxy}://{login + '@' if login else ''}127.0.0.1:{self.port}"
        told = "\n%{http_code} %{http_connect}"
        done = subprocess.run(
            # No .curlrc, and nothing that the environment says of proxies.
            ["curl", "-q", "-sS", "--noproxy", "", "-x", at, "-m", str(timeout), "-w", told, *arguments, url],
            capture_output=True,
            timeout=timeout + 10,
        )
        body, _, last = done.stdout.rpartition(b"\n")
        status, connect = (int(number) for number in last.split())
        return Got(done.returncode, status, connect, body, done.stderr.decode())


def receive(stream, length):
    data = b""
    while len(data) < length:
        more = stream.recv(length - len(data))
        if not more:
            raise EOFError(f"closed after {data!r}")
        data += more
    return data


def address(host, port):
    """An address of SOCKS5, RFC 1928 §5."""
    try:
        return b"\1" + socket.inet_aton(host) + struct.pack(">H", port)
    except OSError:
        return b"\3" + bytes([len(host)]) + host.encode() + struct.pack(">H", port)


def socks5(port, command, host, to, login=None):
    """Asks the relay at `port`; returns the connection, the code of its answer, and the address in that."""
    stream = socket.create_connection(("127.0.0.1", port), 10)
    stream.sendall(b"\5\1\2" if login else b"\5\1\0")
    version, method = receive(stream, 2)
    assert version == 5
    if method == 0xFF:
        return stream, 0xFF, None
    if login:
        name, word = (part.encode() for part in login)
        stream.sendall(b"\1" + bytes([len(name)]) + name + bytes([len(word)]) + word)
        if receive(stream, 2)[1]:
            return stream, 0xFF, None
    stream.sendall(b"\5" + bytes([command]) + b"\0" + address(host, to))
    _, code, _, kind = receive(stream, 4)
    length = {1: 4, 4: 16}[kind]
    raw = receive(stream, length + 2)
    family = socket.AF_INET if kind == 1 else socket.AF_INET6
    return stream, code, (socket.inet_ntop(family, raw[:length]), struct.unpack(">H", raw[length:])[0])


def ask_over_udp(port, host, to, data, login=None, timeout=20):
    """Sends a datagram through the relay by UDP ASSOCIATE (RFC 1928 §7); the answer, or None when there is none."""
    stream, code, bound = socks5(port, 3, "0.0.0.0", 0, login)
    with stream:
        if code:
            raise ConnectionError(f"SOCKS5 says {code}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(timeout)
            datagrams.sendto(b"\0\0\0" + address(host, to) + data, bound)
            try:
                answer = datagrams.recv(65536)
            except TimeoutError:
                return None
    kind = answer[3]
    length = {1: 4, 4: 16, 3: 1 + answer[4]}[kind]
    return answer[4 + length + 2 :]
