"""Causes on the way: names, connections, TLS. What answers, and how, is in cells_answers."""

import base64
import datetime
import pathlib
import socket
import threading
import time

from cell import ByHand, cell
from servers import Answer, Authority, Port, join, reset
from world import BLACK_HOLE, COMPANY, ELSEWHERE, PUBLIC, run


GOPROXY = "https://goproxy.corp.test"
SIX = "2001:db8::10"


@cell(1, "no such host", quick=True)
def unknown_name(world):
    world.company()
    world.env["GOPROXY"] = "https://goproxie.corp.test"
    return ByHand("GOPROXY", f"export GOPROXY={GOPROXY}")


@cell(1, "no such host")
def name_server_lost_it(world):
    world.company()
    del world.inside["goproxy.corp.test"]
    return ByHand("name", lambda: world.inside.update({"goproxy.corp.test": COMPANY}))


@cell(1, "no such host")
def misspelled_default(world):
    """Two letters of the host that everybody knows have changed places."""
    world.public()
    world.inside.update(world.outside)
    world.env["GOPROXY"] = "https://proxy.golang.rog,direct"


@cell(1, "no such host")
def misspelled_host_of_netrc(world):
    secret = world.secret("tr0mbone-secret")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.company(only=only)
    (world.home / ".netrc").write_text(f"machine goproxy.corp.test login me password {secret}\n")
    world.env["GOPROXY"] = "https://goproxi.corp.test"


@cell(2, "connection refused", shows=r"trying 0\.0\.0\.0:")
def list_against_advertisements(world):
    """A line of the hosts file leads to nobody; the name server knows better."""
    world.public()
    world.inside.update(world.outside)
    world.replace("/etc/hosts", "127.0.0.1 localhost\n0.0.0.0 ads.example.test proxy.golang.org\n")


@cell(2, "connection refused|unknown authority|valid for")
def sinkhole(world):
    """A filter of names answers with nobody's address."""
    world.public()
    world.inside["proxy.golang.org"] = "0.0.0.0"
    return ByHand("name", lambda: world.inside.update({"proxy.golang.org": PUBLIC}))


@cell(2, "connection refused|i/o timeout|no route|unreachable")
def answered_from_inside(world):
    world.public()
    run("ip", "address", "add", "10.20.30.40/32", "dev", "lo")
    world.inside["proxy.golang.org"] = "10.20.30.40"
    return ByHand("name", lambda: world.inside.update({"proxy.golang.org": PUBLIC}))


@cell(3, "connection refused", quick=True)
def nobody_listens(world):
    world.env["GOPROXY"] = GOPROXY
    world.inside["goproxy.corp.test"] = COMPANY
    return ByHand("start", lambda: world.company())


@cell(3, "connection refused")
def old_port(world):
    world.company()
    world.env["GOPROXY"] = "https://goproxy.corp.test:8081"


@cell(4, "i/o timeout")
def port_is_dropped(world):
    """The server has moved to the usual port; packets to the old one get no answer."""
    world.company()
    world.env["GOPROXY"] = "https://goproxy.corp.test:8081"
    # Linux drops packets to a port whose queue is full.
    world.full = [socket.create_server((COMPANY, 8081), backlog=0)]
    for _ in range(4):
        world.full.append(socket.socket())
        world.full[-1].setblocking(False)
        world.full[-1].connect_ex((COMPANY, 8081))


@cell(4, "i/o timeout")
def firewall_drops(world):
    world.company()
    world.inside["goproxy.corp.test"] = BLACK_HOLE
    return ByHand("set HTTPS_PROXY", lambda: world.inside.update({"goproxy.corp.test": COMPANY}))


@cell(5, None)
def hangs(world):
    site = world.company()
    site.gate = lambda path, headers: Answer(before=threading.Event())
    world.limit = 25
    return ByHand("looked at", lambda: setattr(site, "gate", None))


@cell(5, None)
def hangs_and_the_next_is_well(world):
    site = world.site("slow.corp.test", ELSEWHERE)
    site.gate = lambda path, headers: Answer(before=threading.Event())
    world.company()
    world.env["GOPROXY"] = f"https://slow.corp.test|{GOPROXY}"
    world.limit = 25


@cell(6, "certificate signed by unknown authority", quick=True)
def interception(world):
    """Somebody on the way opens TLS; their certificate came with the machine's image, and was never taken in."""
    other = Authority(world.folder, "Corp Inspection CA")
    world.company(certificate=other.sign("goproxy.corp.test"))
    pathlib.Path("/usr/local/share/ca-certificates/corp.crt").write_bytes(other.pem)
    world.program("update-ca-certificates", f"cat /usr/local/share/ca-certificates/*.crt >>{world.bundle}")


@cell(6, "certificate signed by unknown authority")
def interception_by_somebody_unknown(world):
    other = Authority(world.folder, "Corp Inspection CA")
    world.company(certificate=other.sign("goproxy.corp.test"))
    return ByHand("Corp Inspection CA", lambda: world.trust(world.authority, other))


@cell(7, "certificate signed by unknown authority", quick=True)
def no_certificates(world):
    """A container without the package."""
    world.company()
    kept = world.folder / "kept.pem"
    kept.write_bytes(world.bundle.read_bytes())
    world.bundle.unlink()
    world.only_programs()
    world.package_manager("ca-certificates", f"cp {kept} {world.bundle}")


@cell(7, "certificate signed by unknown authority")
def certificates_were_deleted(world):
    """The package is there, what it had made is not: the machine's own program makes it anew."""
    world.company()
    world.bundle.unlink()
    pathlib.Path("/usr/local/share/ca-certificates/rig.crt").write_bytes(world.authority.pem)


@cell(8, "certificate signed by unknown authority", quick=True)
def cert_file_is_missing(world):
    world.company()
    world.env["SSL_CERT_FILE"] = "/nowhere/ca.pem"
    world.env["SSL_CERT_DIR"] = "/nowhere"


@cell(8, "certificate signed by unknown authority", alone="which roots would do is shown by the server's chain")
def cert_file_of_others(world):
    world.company()
    other = Authority(world.folder, "Another CA")
    file = world.folder / "other.pem"
    file.write_bytes(other.pem)
    world.env["SSL_CERT_FILE"] = str(file)
    world.env["SSL_CERT_DIR"] = str(world.folder / "etc")


@cell(9, "certificate is valid for|not valid for any names")
def alias(world):
    world.company()
    world.inside["modules"] = COMPANY
    world.env["GOPROXY"] = "https://modules"


@cell(9, "doesn't contain any IP SANs|certificate is valid for")
def address_for_a_name(world):
    world.company()
    world.env["GOPROXY"] = f"https://{COMPANY}"


@cell(10, "certificate has expired or is not yet valid")
def clock_is_behind(world):
    """The world is forty days ahead of this machine. A namespace cannot have another date: setting the clock brings the
    world's back."""
    ahead = datetime.timedelta(days=40)
    site = world.company(
        certificate=world.authority.sign("goproxy.corp.test", start=ahead - datetime.timedelta(days=1), end=ahead * 2)
    )
    site.ahead = ahead
    mark = world.folder / "set"
    world.program("timedatectl", f"touch {mark}; while [ -e {mark} ]; do sleep 0.05; done")

    def serve():
        while True:
            while not mark.exists():
                time.sleep(0.05)
            site.secure(world.authority.sign("goproxy.corp.test"))
            site.ahead = datetime.timedelta()
            mark.unlink()

    threading.Thread(target=serve, daemon=True).start()


@cell(10, "certificate has expired or is not yet valid")
def certificate_has_expired(world):
    day = datetime.timedelta(days=1)
    site = world.company(certificate=world.authority.sign("goproxy.corp.test", start=-40 * day, end=-day))
    return ByHand("renew", lambda: site.secure(world.authority.sign("goproxy.corp.test")))


@cell(11, "connection reset by peer")
def reset_in_hello(world):
    """A filter resets whoever names the host."""
    world.env["GOPROXY"] = GOPROXY
    world.inside["goproxy.corp.test"] = COMPANY

    def behave(connection):
        connection.recv(4096)
        reset(connection)

    port = Port(COMPANY, 443, behave)
    return ByHand("have the host allowed", lambda: (port.close(), world.company()))


@cell(11, "connection reset by peer")
def reset_and_the_image_knows_better(world):
    """Somebody has set a mirror that is filtered over the module proxy that the image came with."""
    world.company()
    world.goroot_env(GOPROXY=GOPROXY)

    def behave(connection):
        connection.recv(4096)
        reset(connection)

    world.inside["mirror.corp.test"] = ELSEWHERE
    Port(ELSEWHERE, 443, behave)
    world.env["GOPROXY"] = "https://mirror.corp.test"


@cell(12, "server gave HTTP response to HTTPS client|first record does not look like a TLS handshake", quick=True)
def https_to_a_plain_port(world):
    world.company(port=8080, secure=False)
    world.env["GOPROXY"] = "https://goproxy.corp.test:8080"


@cell(13, "EOF", alone="a connection that ends has many causes")
def http_to_a_secure_port(world):
    world.company(port=8443)
    world.env["GOPROXY"] = "http://goproxy.corp.test:8443"


@cell(13, "400 Bad Request")
def http_to_a_secure_port_that_says_so(world):
    """As servers written in Go and nginx answer."""
    world.company(port=8444)
    words = b"Client sent an HTTP request to an HTTPS server.\n"
    answer = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(words) + words

    def behave(connection):
        if connection.recv(1, socket.MSG_PEEK) != b"\x16":
            connection.recv(4096)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
            return
        join(connection, socket.create_connection((COMPANY, 8444)))

    Port(COMPANY, 8443, behave)
    world.env["GOPROXY"] = "http://goproxy.corp.test:8443"


@cell(69, "TLS handshake timeout")
def ipv6_loses_packets(world):
    """Connections by IPv6 come about and hang; IPv4 is well, and go stays with the first that connects."""
    world.company()
    run("ip", "address", "add", f"{SIX}/128", "dev", "lo", "nodad")
    world.inside["goproxy.corp.test"] = [COMPANY, SIX]
    Port(SIX, 443, lambda connection: time.sleep(60))
    # After 0.3 s go tries the next address as well: a busy machine must not decide which it takes.
    world.command = f"nice -n -20 {world.command}"


@cell(69, "TLS handshake timeout")
def large_packets_get_lost(world):
    """Small messages get through, the first one of TLS does not."""
    site = world.company(port=8443)
    world.env["GOPROXY"] = GOPROXY
    lost = {"now": True}

    def behave(connection):
        first = connection.recv(4096)
        if lost["now"] and len(first) > 150:
            time.sleep(60)
            return
        other = socket.create_connection((COMPANY, 8443))
        other.sendall(first)
        join(connection, other)

    Port(COMPANY, 443, behave)
    return ByHand("MTU", lambda: lost.update(now=False)) if site else None
