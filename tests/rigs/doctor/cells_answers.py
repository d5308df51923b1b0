"""Causes in what answers: pages, redirects, refusals, broken transfers, versions that are not there."""

import base64
import random
import time

from cell import ByHand, cell, healthy
from go_upstream import Upstream
from servers import Answer, page
from world import ELSEWHERE

GOPROXY = "https://goproxy.corp.test"
HTTP_PROXY = "http://proxy.corp.test:3128"


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


def at(site, prefix, otherwise):
    """The module proxy below a path of its server, which has something else everywhere else."""

    def gate(path, headers):
        if path.startswith(prefix):
            return Upstream.answer(site, path.removeprefix(prefix), headers)
        return otherwise(path)

    site.gate = gate
    return site


@cell(14, "invalid character '<' looking for beginning of value")
def page_of_the_repository(world):
    """The address of the repository, as a browser has it."""
    at(world.company(), "artifactory/api/go/go-all/", lambda path: page())
    world.env["GOPROXY"] = f"{GOPROXY}/artifactory/go-all"
    world.command = "go list -m example.com/greet@v1.0.0"


@cell(15, "redirected from secure URL")
def redirect_that_forgets_tls(world):
    """The module proxy has moved on its server, which does not know that there is TLS in front of it."""
    to = "http://goproxy.corp.test/go"
    at(world.company(), "go/", lambda path: Answer(302, b"", {"location": f"{to}/{path}"}))


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


@cell(16, "stopped after 10 redirects")
def round_and_the_image_knows_better(world):
    world.company()
    world.goroot_env(GOPROXY=GOPROXY)
    mirror = world.site("mirror.corp.test", ELSEWHERE)
    mirror.gate = lambda path, headers: Answer(302, b"", {"location": f"/x/{path}"})
    world.env["GOPROXY"] = "https://mirror.corp.test"


@cell(17, "Forbidden")
def proxy_does_not_lead_inside(world):
    """The HTTP proxy is for what is outside, and the module proxy is inside."""
    world.company()
    world.http_proxy(blocked=["goproxy.corp.test"])
    world.env["HTTPS_PROXY"] = HTTP_PROXY


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


def newer(world):
    """A version more of the module that the project needs."""
    version = "v1.1.1"
    world.tree.add("example.com/greet", version, {"greet.go": 'package greet\n\nfunc Hi() string { return "hi" }\n'})
    world.database.add("example.com/greet", version, *world.tree.sums["example.com/greet", version])


@cell(18, "403 Forbidden")
def the_next_version_is_approved(world):
    site = world.company()
    newer(world)
    refused = Answer(403, b"example.com/greet v1.1.0 is not approved\n")
    site.gate = lambda path, headers: refused if "greet/@v/v1.1.0" in path else None


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
    return ByHand("exempted from scanning", lambda: setattr(site, "gate", None))


def cut(site, path):
    whole = site.tree.files[path]
    return Answer(body=whole, cut=len(whole) // 2)


@cell(61, "unexpected EOF")
def proxy_with_a_limit_of_size(world):
    """The HTTP proxy lets the beginning of an answer through; the module proxy can be reached without it."""
    noise = base64.b64encode(random.Random(7).randbytes(200_000)).decode()
    world.tree.add("example.com/big", "v1.0.0", {"big.go": "package big\n", "noise.txt": noise})
    world.company()
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n\nrequire example.com/big v1.0.0\n")
    world.write("main.go", 'package main\n\nimport _ "example.com/big"\n\nfunc main() {}\n')
    world.write("go.sum", world.tree.go_sum(("example.com/big", "v1.0.0")))
    world.http_proxy(most=64 << 10)
    world.env["HTTPS_PROXY"] = HTTP_PROXY


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


@cell(66, "451")
def one_version_was_taken_down(world):
    site = world.company()
    newer(world)
    gone = Answer(451, b"taken down by order of a court\n")
    site.gate = lambda path, headers: gone if "greet/@v/v1.1.0" in path else None


@healthy()
def with_a_login_in_netrc(world):
    secret = world.secret("tr0mbone-secret")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.company(only=only)
    (world.home / ".netrc").write_text(f"machine goproxy.corp.test login me password {secret}\n")
