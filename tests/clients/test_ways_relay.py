"""The relay as callers meet it: one port for all protocols, passwords, datagrams, and bytes that mean harm."""

import os
import random
import socket
import threading
import time

import pytest

import counterparts
import rig
from origin import question
from relay import ask_over_udp, receive, socks5

LOGIN = ("ann", "pass:word")


def test_one_port_takes_every_protocol(relay, origin, secure, certificate):
    gateway = relay(rules=["MATCH,DIRECT"])
    for asked in ["http", "socks4", "socks4a", "socks5", "socks5h"]:
        for host in ["127.0.0.1", "localhost"]:
            assert gateway.curl(f"http://{host}:{origin.port}/{asked}", proxy=asked).json()["path"] == f"/{asked}"
            got = gateway.curl(f"https://{host}:{secure.port}/{asked}", "--cacert", certificate, proxy=asked)
            assert got.json()["path"] == f"/{asked}"
    # A name that nobody asked for.
    for asked in ["http", "socks4", "socks4a", "socks5", "socks5h"]:
        assert gateway.curl(f"{origin.url}/named", proxy=asked, login="me:word").status == 200
    # A body each way, and more requests on one connection.
    file = gateway.folder / "body"
    file.write_bytes(os.urandom(1 << 20))
    got = gateway.curl(f"{origin.url}/post", "--data-binary", f"@{file}", "-H", "expect:").json()
    assert got["headers"]["content-length"] == str(1 << 20)
    got = gateway.curl(f"{origin.url}/chunks", "-H", "transfer-encoding: chunked", "-d", "a few").json()
    assert got["method"] == "POST" and got["headers"]["transfer-encoding"] == "chunked"
    assert gateway.curl(f"{origin.url}/?status=418").status == 418
    assert gateway.curl(f"{origin.url}/head", "-I").status == 200


def test_ports_of_one_protocol_take_no_other(relay, origin):
    http_port, socks_port = rig.free_port(), rig.free_port()
    gateway = relay(port=http_port, **{"socks-port": socks_port}, rules=["MATCH,DIRECT"])
    for port, right, wrong in [(http_port, "http", "socks5h"), (socks_port, "socks5h", "http")]:
        gateway.curl.port = port
        assert gateway.curl(f"{origin.url}/x", proxy=right).status == 200
        got = gateway.curl(f"{origin.url}/x", proxy=wrong, timeout=5)
        assert got.exit and got.status == 0, got


def test_a_dead_origin_is_a_502_and_says_so(relay):
    gateway = relay(rules=["MATCH,DIRECT"])
    dead = f"127.0.0.1:{rig.free_port()}"
    got = gateway.curl(f"http://{dead}/")
    assert got.status == 502 and dead.encode() in got.body, got
    assert gateway.curl(f"https://{dead}/").connect == 502
    assert gateway.curl(f"http://{dead}/", proxy="socks5").exit == 97
    got = gateway.curl("http://nowhere.invalid/")
    assert got.status == 502 and b"nowhere.invalid" in got.body, got


@pytest.fixture
def locked(relay):
    return relay(authentication=[":".join(LOGIN), "bob:b"], rules=["MATCH,DIRECT"])


def test_whoever_has_no_password_stays_outside(locked, origin, secure):
    for asked in ["http", "socks4", "socks4a", "socks5", "socks5h"]:
        for login in ["", "ann:", "ann:wrong", "nobody:b", "bob:pass:word"]:
            for url in [origin.url, secure.url]:
                got = locked.curl(f"{url}/x", proxy=asked, login=login)
                assert got.status in (0, 407), got
                if asked == "http":
                    assert 407 in (got.status, got.connect), got
                else:
                    assert got.exit == 97, got
    assert origin.seen == [] and secure.seen == []


def test_whoever_has_one_comes_in(locked, origin, secure, certificate):
    for login in ["ann:pass%3Aword", "bob:b"]:
        for asked in ["http", "socks5", "socks5h"]:
            assert locked.curl(f"{origin.url}/x", proxy=asked, login=login).status == 200
            got = locked.curl(f"{secure.url}/x", "--cacert", certificate, proxy=asked, login=login)
            assert got.status == 200
    # Passwords are for the relay and for nobody behind it.
    assert not any("proxy-authorization" in told["headers"] for told in origin.seen)
    assert "pass:word" not in locked.output()


def test_a_dns_question_goes_through_socks5(relay, names):
    names.known["found.test"] = "192.0.2.7"
    gateway = relay(rules=["MATCH,DIRECT"])
    for name, found in [("found.test", True), ("missing.test", False)]:
        answer = ask_over_udp(gateway.relay_port, "127.0.0.1", names.port, question(name))
        assert answer[:2] == question(name)[:2] and (socket.inet_aton("192.0.2.7") in answer) == found
    # The same by name, and with a password.
    locked = relay(authentication=[":".join(LOGIN)], rules=["MATCH,DIRECT"])
    assert ask_over_udp(locked.relay_port, "localhost", names.port, question("found.test"), LOGIN)
    with pytest.raises(ConnectionError):
        ask_over_udp(locked.relay_port, "127.0.0.1", names.port, question("found.test"), ("ann", "wrong"))
    assert names.asked == ["found.test", "missing.test", "found.test"]


@pytest.mark.parametrize("server", ["socks5", *counterparts.CIPHERS])
def test_a_dns_question_goes_on_through_a_proxy(relay, names, mihomo, server):
    names.known["found.test"] = "192.0.2.7"
    gateway = relay(proxies=[mihomo[server].named("out")], rules=["MATCH,out"])
    answer = ask_over_udp(gateway.relay_port, "127.0.0.1", names.port, question("found.test"))
    assert answer and socket.inet_aton("192.0.2.7") in answer
    # Only the proxy knows this name.
    assert ask_over_udp(gateway.relay_port, counterparts.NAME, names.port, question("found.test"))


def test_datagrams_go_by_the_next_rule_when_a_way_takes_none(relay, names, squid, mihomo):
    names.known["found.test"] = "192.0.2.7"
    corp, out = squid.named("corp"), mihomo["socks5"].named("out")
    gateway = relay(proxies=[corp, out], rules=["MATCH,corp", "MATCH,REJECT"])
    assert ask_over_udp(gateway.relay_port, "127.0.0.1", names.port, question("found.test"), timeout=2) is None
    assert names.asked == []
    gateway = relay(proxies=[corp, out], rules=["MATCH,corp", "MATCH,out"])
    assert ask_over_udp(gateway.relay_port, counterparts.NAME, names.port, question("found.test"))


def test_the_metadata_service_of_a_cloud_is_nobodys(relay):
    gateway = relay(rules=["MATCH,DIRECT"], hosts={"innocent.test": "169.254.169.254"})
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200", "innocent.test"]:
        started = time.monotonic()
        got = gateway.curl(f"http://{host}/latest/meta-data/")
        assert got.status == 403 and b"TW" in got.body, got
        assert gateway.curl(f"http://{host}/latest/", "-p").connect == 403, host
        assert gateway.curl(f"http://{host}/latest/", proxy="socks5h").exit == 97, host
        assert time.monotonic() - started < 15, "nobody is waited for"
    # Whoever means it says so by a rule that names the address. Nobody is there.
    meant = relay(rules=["IP-CIDR6,fd00:ec2::254/128,DIRECT,no-resolve", "MATCH,REJECT"])
    got = meant.curl("http://[fd00:ec2::254]/", timeout=3)
    assert got.status != 403, got


def exchange(gateway, data, leaves=True, limit=30):
    """Sends bytes and returns all that comes until the end; fails when the end does not come in `limit` seconds. A caller
    that does not leave has to say `Connection: close` in its last request."""
    whole = b""
    with socket.create_connection(("127.0.0.1", gateway.relay_port), 10) as stream:
        stream.settimeout(limit)
        try:
            stream.sendall(data)
            if leaves:
                stream.shutdown(socket.SHUT_WR)
            while more := stream.recv(65536):
                whole += more
        except TimeoutError:
            raise AssertionError(f"not closed in {limit} s, after {whole!r}") from None
        except OSError:
            pass
    return whole


def works(gateway, origin):
    """Whether the gateway still does its work, and is the process that it was."""
    assert gateway.process.poll() is None, gateway.output()
    assert "panicked" not in gateway.output()
    return gateway.curl(f"{origin.url}/still").status == 200


def test_random_bytes_end_nothing_but_their_connection(relay, origin):
    gateway = relay(rules=["MATCH,DIRECT"])
    dice = random.Random(7)
    for number in range(400):
        start = dice.choice([b"", b"\5", b"\5\1\0", b"\5\1\0\5\1\0\3", b"\4\1", b"GET ", b"CONNECT ", b"\x16\3\1"])
        exchange(gateway, start + dice.randbytes(dice.choice([0, 1, 7, 300, 5000])))
    assert works(gateway, origin)
    assert origin.seen[:-1] == []


def test_every_half_of_a_greeting_ends_well(relay, origin):
    gateway = relay(rules=["MATCH,DIRECT"])
    greetings = [
        b"\5\2\0\2\5\1\0\3\x0clocalhost.xx\0\x50",
        b"\4\1\0\x50\0\0\0\1user\0name.test\0",
        b"CONNECT name.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://name.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    for greeting in greetings:
        for end in range(len(greeting)):
            exchange(gateway, greeting[:end])
    assert works(gateway, origin)


def at(origin, *more):
    head = f"POST http://{origin.address}/smuggle HTTP/1.1\r\nHost: {origin.address}\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in more) + b"\r\n"


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Transfer-Encoding: xchunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding : chunked"],
        [b"Content-Length: +5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: 18446744073709551621"],
        [b"X: y\n\tContent-Length: 5", b" Transfer-Encoding: chunked"],
        [b"Content-Length: 5\rTransfer-Encoding: chunked"],
    ],
    ids=range(12),
)
def test_smuggled_requests_arrive_nowhere(relay, origin, headers):
    gateway = relay(rules=["MATCH,DIRECT"])
    for body in [b"0\r\n\r\n" + SMUGGLED, b"12345" + SMUGGLED]:
        told = exchange(gateway, at(origin, *headers) + body)
        assert not told or told.startswith(b"HTTP/1.1 400"), told
    assert origin.seen == []
    assert works(gateway, origin)


def test_an_empty_chunk_ends_a_body_and_the_next_request_is_the_callers_own(relay, origin):
    """What follows a request on the same connection needs a host of its own; it is never the origin's."""
    gateway = relay(rules=["MATCH,DIRECT"])
    own = SMUGGLED.replace(b"Host", b"Connection: close\r\nHost")
    told = exchange(gateway, at(origin, b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + own, leaves=False)
    assert [seen["path"] for seen in origin.seen] == ["/smuggle"]
    assert told.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 400" in told, told


def test_heads_have_a_limit(relay, origin):
    gateway = relay(rules=["MATCH,DIRECT"])
    closing = b"Host: x\r\nConnection: close\r\n"
    for size, fits in [(8_000, True), (200_000, False)]:
        fill = b"x" * size
        heads = [f"GET http://{origin.address}/fill HTTP/1.1\r\nX-Fill: ".encode() + fill]
        heads.append(f"GET http://{origin.address}/".encode() + fill + b" HTTP/1.1")
        for head in heads:
            told = exchange(gateway, head + b"\r\n" + closing + b"\r\n", leaves=False)
            assert told.startswith(b"HTTP/1.1 200") if fits else not told or told[9:12] in (b"400", b"414", b"431"), (
                told[:200]
            )
        tunnel = f"CONNECT {origin.address} HTTP/1.1\r\nX-Fill: ".encode() + fill + b"\r\n\r\n"
        tunnel += b"GET /inside HTTP/1.1\r\n" + closing + b"\r\n"
        told = exchange(gateway, tunnel, leaves=False)
        assert (b'"path": "/inside"' in told) == fits, told[:200]
    many = b"".join(b"X-%d: y\r\n" % number for number in range(5000))
    told = exchange(
        gateway, f"GET http://{origin.address}/many HTTP/1.1\r\n".encode() + closing + many + b"\r\n", False
    )
    assert not told or told[9:12] in (b"400", b"431"), told[:200]
    assert works(gateway, origin)
    assert "/many" not in [seen["path"] for seen in origin.seen]


@pytest.mark.full
def test_whoever_says_nothing_is_closed(relay, origin):
    """Half greetings, and heads of which a byte comes now and then, for 30 s: the promised bound."""
    gateway = relay(rules=["MATCH,DIRECT"])
    begun = [b"", b"\5", b"\5\1", b"\5\1\0\5", b"\4\1\0\x50\0\0", b"GET http://", b"CONNECT a.test:443 HTTP/1.1\r\nX: "]
    streams = [socket.create_connection(("127.0.0.1", gateway.relay_port), 10) for _ in begun]
    for stream, start in zip(streams, begun, strict=True):
        stream.sendall(start)
    stop = threading.Event()

    def drip():
        while not stop.wait(1):
            for stream in streams[-2:]:
                try:
                    stream.sendall(b"x")
                except OSError:
                    return

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        started = time.monotonic()
        for stream, start in zip(streams, begun, strict=True):
            stream.settimeout(max(1, 45 - (time.monotonic() - started)))
            try:
                while stream.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            assert time.monotonic() - started < 45, start
        assert time.monotonic() - started > 5
    finally:
        stop.set()
        dripping.join()
    for stream in streams:
        stream.close()
    assert works(gateway, origin)


def test_a_caller_that_leaves_takes_its_connection_along(relay, origin):
    gateway = relay(rules=["MATCH,DIRECT"])
    for _ in range(20):
        stream, code, _ = socks5(gateway.relay_port, 1, "127.0.0.1", origin.port)
        assert code == 0
        stream.sendall(b"GET /trickle?count=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert receive(stream, 12) == b"HTTP/1.1 200"
        stream.close()
    rig.until(lambda: not established(gateway.pid, origin.port), lambda: established(gateway.pid, origin.port))


def established(pid, port):
    """How many connections to `port` the process has open."""
    inodes = set()
    for file in os.scandir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(file.path))
        except FileNotFoundError:
            continue
    count = 0
    for line in open("/proc/net/tcp").readlines()[1:]:
        words = line.split()
        if words[2].endswith(f":{port:04X}") and f"socket:[{words[9]}]" in inodes:
            count += 1
    return count
