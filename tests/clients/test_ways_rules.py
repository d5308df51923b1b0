"""Rules as callers of the relay meet them: the first that matches, names against addresses, processes, and lists."""

import subprocess
import sys
import threading
import time

import pytest

import counterparts
import origin as origins
import rig


def dns(names):
    """Names are resolved by our own server alone."""
    return {"enable": True, "nameserver": [f"udp://127.0.0.1:{names.port}"], "ipv6": False}


@pytest.fixture
def three(relay, squid, tinyproxy, ntlm):
    """Starts a gateway with these rules, and the ways `squid` and `tiny`; tells which way a URL went."""

    class Three:
        def __init__(self, rules, **more):
            proxies = [squid.named("squid"), tinyproxy.named("tiny")]
            self.gateway = relay(proxies=proxies, rules=rules, **more)

        def way(self, url, **more):
            got = self.gateway.curl(url, **more)
            if got.status == 403 or got.connect == 403 or (got.exit == 97 and more.get("proxy", "http") != "http"):
                return "REJECT"
            return {squid.source: "squid", tinyproxy.source: "tiny", "127.0.0.1": "DIRECT"}[got.json()["peer"]]

    return Three


def test_the_first_rule_that_matches_counts(three, names, origin):
    names.known |= {"a.one.test": "127.0.0.1", "b.one.test": "127.0.0.1", "b.two.test": "127.0.0.1"}
    at = three(
        [
            "DOMAIN,a.one.test,REJECT",
            "DOMAIN-SUFFIX,one.test,DIRECT",
            "DOMAIN,b.one.test,REJECT",
            "DOMAIN-KEYWORD,two,DIRECT",
            "AND,((DST-PORT,1),(NETWORK,tcp)),DIRECT",
            "IP-CIDR,127.0.0.0/8,tiny,no-resolve",
            "MATCH,REJECT",
        ],
        dns=dns(names),
    )
    port = origin.port
    for asked in ["http", "socks5h"]:
        assert at.way(f"http://a.one.test:{port}/", proxy=asked) == "REJECT"
        assert at.way(f"http://b.one.test:{port}/", proxy=asked) == "DIRECT"
        assert at.way(f"http://B.One.Test:{port}/", proxy=asked) == "DIRECT"
        assert at.way(f"http://b.two.test:{port}/", proxy=asked) == "DIRECT"
        assert at.way(f"http://three.test:{port}/", proxy=asked) == "REJECT"
        assert at.way(f"http://127.0.0.1:{port}/", proxy=asked) == "tiny"
    assert "a.one.test" not in names.asked and "three.test" not in names.asked, "what is refused is not looked up"


def test_rules_of_addresses_resolve_unless_they_say_not_to(three, names, origin):
    names.known |= {"inside.test": "127.0.0.1", "outside.test": "192.0.2.1"}
    url = f"http://inside.test:{origin.port}/"
    lazy = three(["IP-CIDR,127.0.0.0/8,REJECT,no-resolve", "DOMAIN,inside.test,DIRECT", "MATCH,REJECT"], dns=dns(names))
    assert lazy.way(url) == "DIRECT"
    eager = three(["IP-CIDR,127.0.0.0/8,REJECT", "DOMAIN,inside.test,DIRECT", "MATCH,DIRECT"], dns=dns(names))
    assert eager.way(url) == "REJECT" and eager.way(url, proxy="socks5h") == "REJECT"
    # Nothing before the rule of addresses: a name is looked up only when that is reached.
    early = three(["DOMAIN,inside.test,DIRECT", "IP-CIDR,127.0.0.0/8,REJECT", "MATCH,REJECT"], dns=dns(names))
    names.asked.clear()
    assert early.way(f"http://outside.test:{origin.port}/") == "REJECT"
    assert "outside.test" in names.asked


def test_a_name_that_does_not_resolve_goes_on_to_the_next_rule(three, names, origin):
    at = three(["IP-CIDR,10.0.0.0/8,REJECT", "MATCH,squid"], dns=dns(names))
    assert at.way(f"http://{counterparts.NAME}:{origin.port}/") == "squid"
    assert set(names.asked) == {counterparts.NAME}


def test_a_refusal_is_a_page_that_says_why(three, origin):
    at = three(["DOMAIN,no.test,REJECT", "MATCH,DIRECT"])
    got = at.gateway.curl("http://no.test/")
    assert got.status == 403 and b"TW" in got.body and b"REJECT" in got.body, got
    assert at.gateway.curl("https://no.test/").connect == 403
    assert at.gateway.curl("https://no.test/", proxy="socks4a").exit == 97


def test_what_is_dropped_is_not_answered_soon(relay):
    gateway = relay(rules=["DOMAIN,no.test,REJECT-DROP", "MATCH,DIRECT"])
    started = time.monotonic()
    got = gateway.curl("http://no.test/", timeout=3)
    assert got.status == 0 and time.monotonic() - started > 2, got


def test_logic_sub_rules_and_inbounds(three, origin):
    at = three(
        [
            "SUB-RULE,(NETWORK,tcp),tcp",
            "MATCH,REJECT",
        ],
        **{
            "sub-rules": {
                "tcp": [
                    "AND,((IN-TYPE,SOCKS),(NOT,((DST-PORT,1)))),tiny",
                    "OR,((DOMAIN,x.test),(IN-TYPE,HTTPS)),squid",
                    "DOMAIN-REGEX,^y[0-9]+\\.test$,REJECT",
                    "SRC-IP-CIDR,127.0.0.1/32,DIRECT",
                ]
            }
        },
    )
    assert at.way(origin.url, proxy="socks5h") == "tiny"
    assert at.way(origin.url) == "DIRECT"
    assert at.gateway.curl(origin.url, "-p").json()["peer"] == "127.0.0.11"
    assert at.way("http://y22.test/") == "REJECT"


PYTHON = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": sys.argv[1]}))
print(opener.open(sys.argv[2], timeout=10).read().decode())
"""


def test_processes_are_told_apart(three, origin):
    name = rig.pathlib.Path(sys.executable).resolve().name
    at = three(["PROCESS-NAME,curl,squid", f"PROCESS-NAME,{name},tiny", "MATCH,REJECT"])
    assert at.way(origin.url) == "squid"
    proxy = f"http://127.0.0.1:{at.gateway.relay_port}"
    done = subprocess.run([sys.executable, "-c", PYTHON, proxy, origin.url], capture_output=True, text=True, timeout=20)
    assert '"peer": "127.0.0.12"' in done.stdout, done
    path = subprocess.run(["which", "curl"], capture_output=True, text=True, check=True).stdout.strip()
    by_path = three([f"PROCESS-PATH,{rig.pathlib.Path(path).resolve()},squid", "MATCH,REJECT"])
    assert by_path.way(origin.url) == "squid"


def test_lists_of_rules_come_from_files_and_servers_and_change(three, origin, tmp_path):
    (origin.folder / "names.yaml").write_text("payload: ['+.listed.test', 'exact.test']\n")
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "ranges.txt").write_text("127.0.0.0/8\n# a comment\n10.0.0.0/8\n")
    at = three(
        ["RULE-SET,names,REJECT", "RULE-SET,ranges,tiny,no-resolve", "RULE-SET,inline,REJECT", "MATCH,squid"],
        folder=folder,
        **{
            "rule-providers": {
                "names": {
                    "type": "http",
                    "behavior": "domain",
                    "url": f"{origin.url}/files/names.yaml",
                    "interval": 3600,
                },
                "ranges": {"type": "file", "behavior": "ipcidr", "format": "text", "path": "ranges.txt"},
                "inline": {"type": "inline", "behavior": "classical", "payload": ["DOMAIN-KEYWORD,bad"]},
            }
        },
    )
    name = f"{counterparts.NAME}:{origin.port}"
    rig.until(lambda: at.gateway.curl("http://a.listed.test/").status == 403, "the list from the server")
    assert at.way("http://listed.test/") == "REJECT" and at.way("http://exact.test/") == "REJECT"
    assert at.way("http://very-bad.test/") == "REJECT"
    assert at.way(f"http://{name}/") == "squid" and at.way(origin.url) == "tiny"
    (folder / "ranges.txt").write_text("10.0.0.0/8\n")
    rig.until(lambda: at.way(origin.url) == "squid", "the list has not changed")


def test_ten_thousand_rules_are_asked_by_many_callers_at_once(three, names, origin):
    names.known["last.test"] = "127.0.0.1"
    rules = [f"DOMAIN-SUFFIX,d{number}.example,REJECT" for number in range(5000)]
    rules += [f"IP-CIDR,10.{number // 250}.{number % 250}.0/24,REJECT,no-resolve" for number in range(5000)]
    at = three([*rules, "DOMAIN,last.test,DIRECT", "MATCH,REJECT"], dns=dns(names))
    assert at.way("http://x.d4999.example/") == "REJECT" and at.way("http://10.19.249.7/") == "REJECT"
    ways = []

    def ask():
        for _ in range(5):
            ways.append(at.way(f"http://last.test:{origin.port}/"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ways == ["DIRECT"] * 40


def test_modes(relay, squid, origin):
    for mode, source in [("direct", "127.0.0.1"), ("rule", squid.source), ("global", squid.source)]:
        gateway = relay(mode=mode, proxies=[squid.named("squid")], rules=["MATCH,squid"])
        if mode == "global":
            assert gateway.select("GLOBAL", "squid").status == 200
        assert gateway.curl(origin.url).json()["peer"] == source, mode


def test_hosts_of_the_file_are_the_first_word(relay, origin):
    gateway = relay(hosts={"own.test": "127.0.0.1", "*.wild.test": "127.0.0.1"}, rules=["MATCH,DIRECT"])
    for host in ["own.test", "a.wild.test"]:
        assert gateway.curl(f"http://{host}:{origin.port}/").json()["headers"]["host"] == f"{host}:{origin.port}"


@pytest.fixture
def oracle(squid, tinyproxy, tmp_path):
    """mihomo and Tradewind with the same file; tells which way each of them takes."""

    class Oracle:
        def __init__(self):
            self.port = rig.free_port()

        def start(self, config):
            folder = tmp_path / "oracle"
            folder.mkdir()
            text = rig.json.dumps(config | {"mixed-port": self.port, "log-level": "info"})
            (folder / "config.yaml").write_text(text)
            self.program = rig.mihomo(folder, tmp_path / "oracle.log")
            counterparts.listening(self.program, self.port)
            return self

    oracle = Oracle()
    yield oracle
    oracle.program.kill()


def test_mihomo_takes_the_same_ways(oracle, relay, squid, tinyproxy, names):
    """The same rules and the same questions to both. What is compared is the proxy that was asked. Known to differ:
    names in capital letters or with a dot at the end match here as without, and nothing there."""
    names.known |= {
        "in.test": "127.0.0.1",
        "a.deep.in.test": "127.0.0.1",
        "ten.test": "10.1.2.3",
        "star.test": "127.0.0.1",
    }
    server = origins.Origin()
    try:
        config = {
            "mode": "rule",
            "ipv6": False,
            "dns": dns(names),
            "hosts": {"fixed.test": "127.0.0.1"},
            "proxies": [squid.named("squid"), tinyproxy.named("tiny")],
            "proxy-groups": [{"name": "pick", "type": "select", "proxies": ["tiny", "squid"]}],
            "sub-rules": {"odd": ["DOMAIN-WILDCARD,s?ar.test,REJECT", "DOMAIN,fixed.test,DIRECT"]},
            "rules": [
                "DOMAIN-SUFFIX,deep.in.test,REJECT",
                "SUB-RULE,(OR,((DOMAIN-KEYWORD,tar),(DOMAIN,fixed.test))),odd",
                "AND,((NETWORK,tcp),(DOMAIN,in.test),(IN-TYPE,SOCKS5)),REJECT",
                "DOMAIN,in.test,DIRECT",
                "IP-CIDR,10.0.0.0/8,REJECT",
                f"DST-PORT,{server.port},pick",
                "MATCH,REJECT",
            ],
        }
        gateway = relay(**config)
        other = type(gateway.curl)(oracle.start(config).port)
        hosts = ["in.test", "a.deep.in.test", "deep.in.test", "xdeep.in.test", "ten.test", "star.test",
                 "fixed.test", "localhost", "127.0.0.1", "10.9.9.9"]  # fmt: skip
        # mihomo listens before it takes anybody.
        rig.until(lambda: other(f"http://in.test:{server.port}/").status == 200, oracle.program.output)
        for host in hosts:
            for asked in ["http", "socks5h", "socks4a"]:
                ways = []
                for curl in [gateway.curl, other]:
                    got = curl(f"http://{host}:{server.port}/", proxy=asked, timeout=8)
                    ways.append(got.json()["peer"] if got.status == 200 else "no")
                assert ways[0] == ways[1], (host, asked, ways)
    finally:
        server.close()
