"""What a world of the doctor's rig is made of: certificates, name servers, sites, HTTP proxies, and ports that misbehave.

Everything is bound to the addresses it is given and lives in threads of the process that made it: the process is alone in
its network namespace, so that every port is free, 53, 80 and 443 among them.
"""

import base64
import contextlib
import datetime
import ipaddress
import pathlib
import select
import socket
import ssl
import struct
import sys
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from go_upstream import Answer, Handler, Server, Upstream  # noqa: E402

DAY = datetime.timedelta(days=1)


class Authority:
    """Somebody who signs certificates."""

    def __init__(self, folder, name="Rig Root CA"):
        self.folder = pathlib.Path(folder)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.count = 0
        builder = self.builder(self.name, self.key, -DAY, 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def builder(self, subject, key, start, end):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now + start).not_valid_after(now + end)

    def sign(self, *names, start=-DAY, end=10 * DAY):
        """A file with a certificate for these names and addresses, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self.builder(subject, key, start, end)
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative(name) for name in names]), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        certificate = builder.sign(self.key, hashes.SHA256())
        self.count += 1
        file = self.folder / f"{self.name.rfc4514_string()[3:].replace(' ', '-')}-{self.count}.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + self.pem
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class NameServer:
    """Answers for the names of a table, with `no such name` for others. It sees changes of the table at once."""

    def __init__(self, address, names):
        self.names = names
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, sender = self.socket.recvfrom(4096)
            with contextlib.suppress(IndexError, struct.error):
                self.socket.sendto(self.answer(packet), sender)

    def answer(self, packet):
        labels, place = [], 12
        while packet[place]:
            labels.append(packet[place + 1 : place + 1 + packet[place]].decode())
            place += 1 + packet[place]
        question = packet[12 : place + 5]
        kind = struct.unpack(">H", packet[place + 1 : place + 3])[0]
        found = self.names.get(".".join(labels).lower())
        addresses = [found] if isinstance(found, str) else found or []
        wanted = {1: 4, 28: 16}.get(kind)
        data = [ipaddress.ip_address(address).packed for address in addresses]
        data = [one for one in data if len(one) == wanted]
        code = 0 if found else 3
        head = packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(data), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(one)) + one for one in data)
        return head + question + records


class SiteHandler(Handler):
    """The same, by a clock of the site's own."""

    def date_time_string(self, timestamp=None):
        now = datetime.datetime.now(datetime.timezone.utc) + self.server.upstream.ahead
        return super().date_time_string(now.timestamp())


class Site(Upstream):
    """An upstream at an address and port of its own; with `certificate` over TLS."""

    def __init__(self, address, port, tree, database=None, certificate=None, only=None):
        self.tree, self.database, self.only = tree, database, only
        self.at = {}
        self.ahead = datetime.timedelta()
        self.gate = None
        self.server = Server((address, port), SiteHandler)
        self.server.upstream = self
        self.port = port
        if certificate:
            self.secure(certificate)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def secure(self, certificate):
        """Speaks TLS with this certificate from now on."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        own, context = self.server, self.context

        def accepted():
            connection, sender = socket.socket.accept(own.socket)
            # The handshake is the handler's: who says nothing must not hold up others.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), sender

        own.get_request = accepted

    def note(self, *_):
        """What is asked is not counted here."""

    def answer(self, path, headers):
        told = self.gate and self.gate(path, headers)
        return told or super().answer(path, headers)


class Port:
    """A port that does with every connection what `behave` says."""

    def __init__(self, address, port, behave):
        self.behave = behave
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, port), family=family)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        with contextlib.suppress(OSError):
            self.behave(connection)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def reset(connection):
    """Ends a connection as a firewall does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def join(one, other, most=None):
    """Passes on in both directions until an end, or until `most` bytes have come from the other."""
    with one, other:
        left = most
        while True:
            ready, _, _ = select.select([one, other], [], [], 60)
            if not ready:
                return
            for source in ready:
                data = source.recv(65536)
                if source is other and left is not None:
                    data = data[:left]
                    left -= len(data)
                if not data:
                    return
                (other if source is one else one).sendall(data)


class HttpProxy:
    """A forward proxy with its own idea of names: CONNECT and plain requests.

    `login` is the user:password it wants, `offers` the schemes that it names in 407. `blocked` are hosts that it answers
    403 for. `most` is how many bytes of an answer it lets through.
    """

    def __init__(self, address, port, names, login=None, offers=("Basic realm=proxy",), blocked=(), pages=None, most=None):
        self.names, self.login, self.offers, self.blocked = names, login, offers, set(blocked)
        self.pages = pages or {}
        self.most = most
        self.asked = []
        self.port = Port(address, port, self.behave)

    def close(self):
        self.port.close()

    def behave(self, connection):
        if connection.recv(1, socket.MSG_PEEK) == b"\x16":
            # Somebody speaks TLS, which this does not.
            self.say(connection, "400 Bad Request")
            connection.shutdown(socket.SHUT_RDWR)
            return
        stream = connection.makefile("rb")
        while True:
            words = stream.readline().decode("latin-1").split()
            if len(words) != 3:
                return
            method, target, _ = words
            headers = {}
            while line := stream.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            self.asked.append((method, target))
            if target.startswith("/"):
                page = self.pages.get(target)
                self.say(connection, "200 OK" if page else "404 Not Found", body=page or b"no\n")
                continue
            if self.login is not None:
                wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
                if headers.get("proxy-authorization") != wanted:
                    offers = "".join(f"Proxy-Authenticate: {offer}\r\n" for offer in self.offers)
                    self.say(connection, "407 Proxy Authentication Required", offers)
                    continue
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
            else:
                url = urllib.parse.urlsplit(target)
                host, port = url.hostname, url.port or 80
            if host in self.blocked:
                self.say(connection, "403 Forbidden", body=b"blocked by the company's rules\n")
                continue
            try:
                found = self.names.get(host, host)
                upstream = socket.create_connection((found, int(port)), timeout=20)
            except OSError as error:
                self.say(connection, "502 Bad Gateway", body=f"{host}: {error}\n".encode())
                continue
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                join(connection, upstream, self.most)
                return
            path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
            kept = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if not name.startswith("proxy-"))
            kept += "connection: close\r\n"
            upstream.sendall(f"{method} {path} HTTP/1.1\r\n{kept}\r\n".encode("latin-1"))
            join(connection, upstream)
            return

    def say(self, connection, status, more="", body=b""):
        head = f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


def not_found(words="not found"):
    return Answer(404, words.encode() + b"\n")


def page(
    status=200, text="<!DOCTYPE html><html><title>Please log in</title><body>Please log in to the network</body></html>"
):
    """What a portal or a filter shows."""
    return Answer(status, text.encode(), {"content-type": "text/html; charset=utf-8"})


__all__ = [
    *("Answer", "Authority", "HttpProxy", "NameServer", "Port", "Site"),
    *("http", "join", "not_found", "page", "reset"),
]
