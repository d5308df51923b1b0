"""Proxies of offices: Kerberos with a KDC of its own, NTLM by connection, scripts that choose a proxy, px and cntlm."""

import json
import re
import subprocess
import threading
import time

import pytest

import counterparts
import rig
from conftest import openai_client
from relay import Curl

MATCH = ["MATCH,corp"]


@pytest.fixture
def tickets(kdc, tmp_path):
    """A ticket cache of the test's own, empty at first."""
    kdc.environment["KRB5CCNAME"] = f"FILE:{tmp_path}/tickets"
    return kdc


def kerberos(kdc):
    return {name: kdc.environment[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")}


def test_kerberos_by_a_ticket(relay, origin, secure, certificate, squid_negotiate, tickets):
    tickets.log_in()
    gateway = relay(proxies=[squid_negotiate.named("corp")], rules=MATCH, environment=kerberos(tickets))
    for asked in ["http", "socks5h"]:
        assert gateway.curl(f"{origin.url}/plain", proxy=asked).json()["peer"] == squid_negotiate.source
        got = gateway.curl(f"{secure.url}/tls", "--cacert", certificate, proxy=asked)
        assert got.json()["peer"] == squid_negotiate.source
    log = squid_negotiate.program.log.parent / "access.log"
    rig.until(lambda: f"{counterparts.USER}@{counterparts.REALM}" in log.read_text(), log.read_text)


def test_a_ticket_that_comes_after_the_start_is_used(relay, origin, squid_negotiate, tickets):
    gateway = relay(proxies=[squid_negotiate.named("corp")], rules=MATCH, environment=kerberos(tickets))
    got = gateway.curl(origin.url)
    assert got.status == 502 and b"corp" in got.body and b"kinit" in got.body, got.body
    assert origin.seen == []
    tickets.log_in()
    assert gateway.curl(origin.url).json()["peer"] == squid_negotiate.source
    tickets.log_out()
    got = gateway.curl(origin.url)
    assert got.status == 502, got


def test_kerberos_for_the_models_door(relay, origin, squid_negotiate, tickets):
    tickets.log_in()
    gateway = relay(
        proxies=[squid_negotiate.named("corp")],
        providers=[rig.provider("by-proxy", "openai", origin.address, via="corp")],
        models=[rig.model("m", "by-proxy/any", timeouts=rig.PATIENT)],
        environment=kerberos(tickets),
    )
    with openai_client(gateway) as client:
        for _ in range(3):
            answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
            assert answer.choices[0].message.content == squid_negotiate.source


def test_the_second_scheme_is_tried_when_the_first_is_not_taken(relay, origin, squid, ntlm):
    for proxy, more in [(squid, {"auth": ["negotiate", "ntlm", "basic"]}), (ntlm, {"auth": ["basic", "ntlm"]})]:
        gateway = relay(proxies=[proxy.named("corp", **more)], rules=MATCH)
        assert gateway.curl(origin.url).json()["peer"] == proxy.source


def test_a_password_goes_in_the_scheme_that_was_named_alone(relay, origin, squid):
    """`auth: ntlm` for a proxy that takes Basic alone: nothing is sent in the clear."""
    gateway = relay(proxies=[squid.named("corp", auth="ntlm")], rules=MATCH)
    got = gateway.curl(origin.url)
    assert got.status == 502 and b"corp" in got.body, got
    assert origin.seen == []


def test_a_login_belongs_to_one_caller(relay, origin, tmp_path):
    """Each caller has a connection of its own that has logged in; one caller's is used again."""
    proxy = counterparts.start_ntlm(tmp_path)
    try:
        gateway = relay(proxies=[proxy.named("corp")], rules=MATCH)
        for _ in range(3):
            done = gateway.curl(f"{origin.url}/a", f"{origin.url}/b", f"{origin.url}/c")
            assert done.exit == 0
        # The proxy calls the origin anew each time, so its own log counts: no protest, nine requests.
        log = proxy.program.output()
        assert len(re.findall(r"^accepted CORP\\bob GET", log, re.M)) == 9, log
        assert "protest" not in log and "refused" not in log, log
        # Bodies are sent once, after the login.
        big = tmp_path / "big"
        big.write_bytes(b"x" * 300_000)
        got = gateway.curl(f"{origin.url}/post", "--data-binary", f"@{big}", "-H", "expect:").json()
        assert got["headers"]["content-length"] == "300000"
        assert "protest" not in proxy.program.output()
    finally:
        proxy.program.kill()


def test_many_callers_log_in_at_once(relay, origin, ntlm):
    gateway = relay(
        proxies=[ntlm.named("corp")],
        rules=MATCH,
        providers=[rig.provider("by-proxy", "openai", origin.address, via="corp")],
        models=[rig.model("m", "by-proxy/any", timeouts=rig.PATIENT)],
    )
    peers = []

    def ask():
        with openai_client(gateway) as client:
            for _ in range(5):
                answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
                peers.append(answer.choices[0].message.content)
                peers.append(gateway.curl(origin.url).json()["peer"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peers == [ntlm.source] * 60


def script(squid, tinyproxy):
    return f"""
function FindProxyForURL(url, host) {{
  if (isPlainHostName(host) || dnsDomainIs(host, ".direct.test")) return "DIRECT";
  if (shExpMatch(host, "*.squid.test") || host == "{counterparts.NAME}") return "PROXY 127.0.0.1:{squid.port}";
  if (host == "far.test") return "SOCKS5 127.0.0.1:1; PROXY 127.0.0.1:1; DIRECT";
  return "PROXY 127.0.0.1:1";
}}
"""


# A name of this machine: what is on it by its own name or address is never asked of a script.
FAR = {"far.test": "127.0.0.1", "a.direct.test": "127.0.0.1"}


@pytest.fixture
def scripted(relay, origin, squid, tinyproxy):
    """A gateway whose way out is a script."""
    (origin.folder / "wpad.pac").write_text(script(squid, tinyproxy))

    def start(**more):
        entry = {"name": "auto", "type": "pac", "url": f"{origin.url}/files/wpad.pac"} | more
        proxies = [entry, squid.named("squid"), tinyproxy.named("tiny")]
        return relay(proxies=proxies, rules=["MATCH,auto"], hosts=FAR)

    return start


def test_a_script_chooses(scripted, origin, squid, tinyproxy, tmp_path):
    (tmp_path / "own.pac").write_text(script(squid, tinyproxy))
    for more in [{}, {"url": f"file://{tmp_path}/own.pac"}]:
        gateway = scripted(**more)
        assert gateway.curl(f"http://{counterparts.NAME}:{origin.port}/").json()["peer"] == squid.source
        assert gateway.curl(f"http://{counterparts.NAME}:{origin.port}/", "-p").json()["peer"] == squid.source
        assert gateway.curl(f"http://a.direct.test:{origin.port}/").json()["peer"] == "127.0.0.1"
        # The first that it names is dead: the second one.
        assert gateway.curl(f"http://far.test:{origin.port}/dead-then-direct").json()["peer"] == "127.0.0.1"
        # All that it names are dead.
        assert gateway.curl("http://elsewhere.test/").status == 502


def test_a_proxy_that_only_a_script_names_gets_no_password(relay, origin, squid, tinyproxy, tmp_path):
    """The script names squid, the file names tinyproxy alone."""
    (tmp_path / "own.pac").write_text(script(squid, tinyproxy))
    entry = {"name": "auto", "type": "pac", "url": f"file://{tmp_path}/own.pac"}
    gateway = relay(proxies=[entry, tinyproxy.named("tiny")], rules=["MATCH,auto"])
    got = gateway.curl(f"http://{counterparts.NAME}:{origin.port}/")
    assert got.status == 502, got
    assert origin.seen == []


def test_a_script_that_cannot_be_had(scripted, origin):
    away, url = f"http://127.0.0.1:{rig.free_port()}/x.pac", f"http://far.test:{origin.port}/"
    got = scripted(url=away).curl(url)
    assert got.status == 502 and away.encode() in got.body, got
    assert origin.seen == []
    assert scripted(url=away, unreachable="direct").curl(url).json()["peer"] == "127.0.0.1"


@pytest.mark.parametrize("named", [True, False])
def test_the_settings_of_the_system_are_followed(relay, origin, squid, named):
    """The proxy of the environment; where the file names it as well, it gets the file's password, otherwise none."""
    gateway = relay(
        proxies=[squid.named("corp")] if named else [],
        providers=[rig.provider("p", "openai", f"{counterparts.NAME}:{origin.port}", via="system")],
        models=[rig.model("m", "p/any", timeouts=rig.PATIENT)],
        environment={"http_proxy": f"http://127.0.0.1:{squid.port}", "no_proxy": "", "NO_PROXY": ""},
    )
    reply = rig.http(f"{gateway.url}/v1/chat/completions", {"model": "m", "messages": []})
    if named:
        assert reply.status == 200, reply
        assert reply.json()["choices"][0]["message"]["content"] == squid.source
    else:
        assert reply.status >= 500 and origin.seen == [], reply


@pytest.mark.parametrize(
    "body",
    [
        "while (true) {}",
        "var all = []; while (true) all.push(new Array(100000).join('x'));",
        "return FindProxyForURL(url, host);",
        "throw new Error('no');",
        "return 42;",
        "return 'NONSENSE';",
        "var a = 'a'; for (var i = 0; i < 60; i++) a += a; return a;",
        "return /(a+)+$/.test(new Array(60).join('a') + '!') ? 'PROXY 127.0.0.1:1' : 'PROXY 127.0.0.1:1';",
    ],
    ids=range(8),
)
def test_a_script_that_does_harm_is_stopped(scripted, relay, origin, tmp_path, body):
    (tmp_path / "bad.pac").write_text(f"function FindProxyForURL(url, host) {{ {body} }}")
    gateway = scripted(url=f"file://{tmp_path}/bad.pac")
    started = time.monotonic()
    got = gateway.curl(f"http://far.test:{origin.port}/", timeout=30)
    assert time.monotonic() - started < 20
    assert got.status in (502, 504), got
    assert gateway.process.poll() is None
    resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{gateway.pid}/status").read()).group(1))
    assert resident < 400_000, f"{resident} kB"


ORACLE = """
import json, sys, pacparser
pacparser.init()
pacparser.parse_pac_string(sys.stdin.read())
print(json.dumps([pacparser.find_proxy(url, host) for url, host in json.loads(sys.argv[1])]))
"""

TABLE = """
function FindProxyForURL(url, host) {
  var parts = [
    isPlainHostName(host), dnsDomainIs(host, ".corp.test"), dnsDomainIs(host, "corp.test"),
    localHostOrDomainIs(host, "www.corp.test"), localHostOrDomainIs(host, "www"),
    isInNet(host, "10.0.0.0", "255.0.0.0"), isInNet(host, "192.168.1.7", "255.255.255.255"),
    dnsDomainLevels(host) == 0, dnsDomainLevels(host) > 1,
    shExpMatch(url, "*://w*/"), shExpMatch(host, "w?w.*"), shExpMatch(host, "*.corp.test"), shExpMatch(url, "https:*"),
    shExpMatch(host, "*[!]*"), shExpMatch(host, "www.corp.test"), shExpMatch(url, "*.(x)*"),
    url.substring(0, 5) == "https", host.toUpperCase() == "WWW", weekdayRange("SUN", "SAT"), dateRange(1, 31),
    timeRange(0, 0, 0, 23, 59, 59), isResolvable("10.1.2.3"), dnsResolve("10.1.2.3") == "10.1.2.3", host.length > 10
  ];
  var bits = "";
  for (var i = 0; i < parts.length; i++) bits += parts[i] ? "1" : "0";
  return "PROXY " + "b" + bits + ".test:8080";
}
"""

# Without paths: a script is asked about hosts here.
URLS = [
    "http://www/",
    "http://www.corp.test/",
    "https://www.corp.test/",
    "http://corp.test/",
    "http://10.1.2.3/",
    "http://192.168.1.7:8080/",
    "https://a.b.c.d.test/",
    "http://xcorp.test/",
    "http://wiw.corp.test/",
    "http://www.corp.test.example/",
    "http://10.1.2.3.test/",
    "http://w.a.test/",
]


def test_scripts_mean_what_they_mean_to_others(relay, tmp_path):
    """pacparser, and a table of helpers over a table of URLs."""
    (tmp_path / "table.pac").write_text(TABLE)
    pairs = [(url, url.split("/")[2].split(":")[0]) for url in URLS]
    done = subprocess.run(
        ["/usr/bin/python3", "-c", ORACLE, json.dumps(pairs)], input=TABLE, capture_output=True, text=True
    )
    theirs = json.loads(done.stdout)
    gateway = relay(
        proxies=[{"name": "auto", "type": "pac", "url": f"file://{tmp_path}/table.pac"}], rules=["MATCH,auto"]
    )
    for (url, _), there in zip(pairs, theirs, strict=True):
        path = f"/api/v1/way-out?url={rig.urllib.parse.quote(url, safe='')}&via=auto"
        reply = rig.http(f"{gateway.url}{path}")
        assert reply.status == 200, reply
        assert re.search(r"b[01]+\.test", there).group() in reply.body.decode(), (url, there, reply.json())


@pytest.mark.full
@pytest.mark.parametrize("start", [counterparts.start_px, counterparts.start_cntlm], ids=["px", "cntlm"])
def test_somebody_else_logs_in(relay, origin, secure, certificate, ntlm, tmp_path, start):
    """px and cntlm in front of the proxy that wants NTLM: for us they are proxies without a password."""
    proxy = start(tmp_path, ntlm)
    try:
        gateway = relay(proxies=[proxy.named("peer")], rules=["MATCH,peer"])
        assert gateway.curl(f"{origin.url}/plain").json()["peer"] == ntlm.source
        got = gateway.curl(f"{secure.url}/tls", "--cacert", certificate)
        assert got.json()["peer"] == ntlm.source
    finally:
        proxy.program.kill()


@pytest.mark.full
@pytest.mark.parametrize("name", ["px", "cntlm", "curl", "tradewind"])
def test_the_same_requests_as_by_others(relay, origin, secure, certificate, ntlm, tmp_path, name):
    """What a peer gets through the proxy that wants NTLM, we get."""
    if name == "curl":
        arguments = ["--proxy-ntlm", "-U", f"CORP\\bob:{counterparts.PASSWORD}"]
        port = ntlm.port
    elif name == "tradewind":
        arguments, port = [], relay(proxies=[ntlm.named("corp")], rules=MATCH).relay_port
    else:
        arguments, port = [], getattr(counterparts, f"start_{name}")(tmp_path, ntlm).port
    curl = Curl(port)
    for url, more in [(f"{origin.url}/q?a=1&b=%20", []), (f"{secure.url}/tls", ["--cacert", certificate])]:
        told = curl(url, *more, *arguments).json()
        assert told["peer"] == ntlm.source and url.endswith(told["path"])
    told = curl(f"{origin.url}/post", "-d", "a=1", *arguments).json()
    assert told["method"] == "POST" and told["headers"]["content-length"] == "3"
