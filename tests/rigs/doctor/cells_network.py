"""Causes on the way: names, connections, TLS, HTTP proxies, answers."""

import base64
import datetime
import pathlib
import socket
import threading
import time

from cell import ByHand, cell, healthy
from servers import Answer, Authority, Port, join, page, reset
from world import BLACK_HOLE, COMPANY, ELSEWHERE, PUBLIC, run


GOPROXY = "https://goproxy.corp.test"
HTTP_PROXY = "http://proxy.corp.test:3128"


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


@cell(4, "i/o timeout")
def firewall_drops(world):
    world.company()
    world.inside["goproxy.corp.test"] = BLACK_HOLE
    return ByHand("", lambda: world.inside.update({"goproxy.corp.test": COMPANY}))


@cell(5, None)
def hangs(world):
    site = world.company()
    site.gate = lambda path, headers: Answer(before=threading.Event())
    world.limit = 15
    return ByHand("", lambda: setattr(site, "gate", None))


@cell(5, None)
def hangs_and_the_next_is_well(world):
    site = world.site("slow.corp.test", ELSEWHERE)
    site.gate = lambda path, headers: Answer(before=threading.Event())
    world.company()
    world.env["GOPROXY"] = f"https://slow.corp.test|{GOPROXY}"
    world.limit = 15


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
    kept = world.bundle.read_bytes()
    world.bundle.unlink()
    return ByHand("ca-certificates", lambda: world.bundle.write_bytes(kept))


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
    return ByHand("", lambda: (port.close(), world.company()))


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


@cell(14, "invalid character '<' looking for beginning of value", quick=True)
def login_page(world):
    site = world.company()
    site.gate = lambda path, headers: page()
    world.command = "go list -m example.com/greet@v1.0.0"
    return ByHand("log in", lambda: setattr(site, "gate", None))


@cell(14, "SECURITY ERROR", alone="the page is taken for a go.mod, and go speaks of its sum")
def login_page_in_place_of_go_mod(world):
    site = world.company()
    site.gate = lambda path, headers: page()
    return ByHand("log in", lambda: setattr(site, "gate", None))


@cell(15, "redirected from secure URL")
def redirect_to_http(world):
    site = world.company()
    world.site("login.corp.test", ELSEWHERE, port=80, secure=False).gate = lambda path, headers: page()
    site.gate = lambda path, headers: Answer(302, b"", {"location": "http://login.corp.test/"})
    return ByHand("log in", lambda: setattr(site, "gate", None))


@cell(16, "stopped after 10 redirects")
def round_and_round(world):
    site = world.company()
    site.gate = lambda path, headers: Answer(302, b"", {"location": f"/x/{path}"})
    return ByHand("reverse proxy", lambda: setattr(site, "gate", None))


@cell(17, "403 Forbidden")
def blocked(world):
    site = world.company()
    site.gate = lambda path, headers: page(403, "<html><title>Access denied</title>Your request was blocked</html>")
    return ByHand("allowed", lambda: setattr(site, "gate", None))


@cell(17, "403 Forbidden")
def blocked_behind_a_redirect(world):
    """Zips come from another host, which nobody thought of."""
    site = world.company()
    storage = world.site("storage.corp.test", ELSEWHERE)
    storage.gate = lambda path, headers: page(403, "<html><title>Access denied</title></html>")

    def gate(path, headers):
        return Answer(302, b"", {"location": f"https://storage.corp.test/{path}"}) if path.endswith(".zip") else None

    site.gate = gate
    return ByHand("storage.corp.test", lambda: setattr(storage, "gate", None))


@cell(18, "403 Forbidden")
def forbidden_by_policy(world):
    site = world.company()
    site.gate = lambda path, headers: (
        Answer(403, b"example.com/greet is not approved, ask the security team\n")
        if path.startswith("example.com/greet")
        else None
    )
    return ByHand("ask", lambda: setattr(site, "gate", None))


@cell(19, "401 Unauthorized", quick=True)
def no_login(world):
    secret = world.secret("tr0mbone-secret")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.company(only=only)

    def add():
        file = world.home / ".netrc"
        file.write_text(f"machine goproxy.corp.test login me password {secret}\n")
        file.chmod(0o600)

    return ByHand("machine goproxy.corp.test login", add)


@cell(19, "401 Unauthorized")
def goauth_is_off(world):
    secret = world.secret("tr0mbone-secret")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.company(only=only)
    (world.home / ".netrc").write_text(f"machine goproxy.corp.test login me password {secret}\n")
    world.env["GOAUTH"] = "off"


@cell(39, "503 Service Unavailable", quick=True, alone="an error of one entry; whether the next is well is not in it")
def comma_where_a_pipe_was_meant(world):
    site = world.site("first.corp.test", ELSEWHERE)
    site.gate = lambda path, headers: Answer(503, b"busy\n")
    world.company()
    world.env["GOPROXY"] = f"https://first.corp.test,{GOPROXY}"


@cell(61, "unexpected EOF")
def truncated_transfer(world):
    site = world.company()
    site.gate = lambda path, headers: cut(site, path) if path.endswith(".zip") else None
    return ByHand("", lambda: setattr(site, "gate", None))


def cut(site, path):
    whole = site.tree.files[path]
    return Answer(body=whole, cut=len(whole) // 2)


@cell(63, "404 Not Found|unknown revision|410")
def no_such_version(world):
    world.company()
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n\nrequire example.com/greet v1.7.0\n")


@cell(64, "404 Not Found|declares its path as")
def wrong_case(world):
    world.company()
    world.tree.add("example.com/upper", "v1.0.0", {"upper.go": 'package upper\n\nfunc Hi() string { return "" }\n'})
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n\nrequire example.com/Upper v1.0.0\n")
    world.write("main.go", 'package main\n\nimport upper "example.com/Upper"\n\nfunc main() { println(upper.Hi()) }\n')
    world.write("go.sum", world.tree.go_sum(("example.com/upper", "v1.0.0")))


@cell(65, "429 Too Many Requests")
def rate_limited(world):
    site = world.company()
    until = {"at": None}

    def gate(path, headers):
        # Two seconds after it was last asked too much, it answers again.
        now = time.monotonic()
        if until["at"] is None or now < until["at"]:
            until["at"] = now + 2
            return Answer(429, b"slow down\n", {"retry-after": "2"})
        return None

    site.gate = gate


@cell(66, "451|410 Gone")
def taken_down(world):
    site = world.company()
    site.gate = lambda path, headers: (
        Answer(451, b"taken down by order of a court\n") if "greet/@v/v1.1.0" in path else None
    )
    return ByHand("version", "go mod edit -require=example.com/greet@v1.0.0")


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
    return ByHand("", lambda: lost.update(now=False)) if site else None


@healthy()
def with_a_login_in_netrc(world):
    secret = world.secret("tr0mbone-secret")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.company(only=only)
    (world.home / ".netrc").write_text(f"machine goproxy.corp.test login me password {secret}\n")
