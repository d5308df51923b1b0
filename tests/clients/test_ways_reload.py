"""A file that changes while connections run, and directories that people have from Clash."""

import json
import signal
import socket
import threading

import pytest

import counterparts
import rig
from relay import Curl, receive, socks5


class Running:
    """A connection that goes on: an answer of which a line comes every 20 ms."""

    def __init__(self, gateway, origin, protocol, lines=150):
        if protocol == "http":
            self.stream = socket.create_connection(("127.0.0.1", gateway.relay_port), 10)
            target = f"http://{origin.address}"
        else:
            self.stream, code, _ = socks5(gateway.relay_port, 1, "127.0.0.1", origin.port)
            assert code == 0
            target = ""
        request = f"GET {target}/trickle?count={lines}&every=0.02 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        self.stream.sendall(request.encode())
        assert receive(self.stream, 12) == b"HTTP/1.1 200"
        self.got, self.last = b"", f"{lines - 1}\n".encode()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            while more := self.stream.recv(65536):
                self.got += more
        except OSError:
            pass

    def is_whole(self):
        self.thread.join(20)
        self.stream.close()
        return self.last in self.got and self.got.endswith(b"0\r\n\r\n")


def test_connections_that_run_outlive_reloads(relay, origin, squid, tinyproxy):
    proxies = [squid.named("squid"), tinyproxy.named("tiny")]
    group = {"name": "g", "type": "select", "proxies": ["squid", "tiny"]}
    config = {"proxies": proxies, "proxy-groups": [group], "rules": ["MATCH,g"]}
    gateway = relay(**config)
    running = [Running(gateway, origin, protocol) for protocol in ["http", "socks5"]]

    def peer():
        return gateway.curl(origin.url).json()["peer"]

    assert peer() == squid.source
    # Another rule, another group, a proxy less, and in the end a relay on another port.
    gateway.write(config | {"rules": ["MATCH,tiny"]})
    rig.until(lambda: peer() == tinyproxy.source, "the new rule")
    gateway.write({"proxies": [tinyproxy.named("tiny")], "rules": ["MATCH,DIRECT"]})
    rig.until(lambda: peer() == "127.0.0.1", "a file without that proxy")
    old = gateway.relay_port
    gateway.relay_port = gateway.curl.port = rig.free_port()
    gateway.write({"rules": ["MATCH,DIRECT"]})

    def moved():
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", gateway.relay_port)) == 0

    rig.until(moved, "another port")
    assert peer() == "127.0.0.1"

    def closed():
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", old)) != 0

    rig.until(closed, "the old port is open")
    assert all(each.is_whole() for each in running)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rules": ["MATCH,nobody"]}, "nobody"),
        ({"rules": ["FOO,x,DIRECT"]}, "FOO"),
        ({"proxies": [{"name": "a", "type": "http", "server": "x"}]}, "port"),
        ({"proxies": [{"name": "a", "type": "socks5", "server": "x", "port": 1, "dialer-proxy": "a"}]}, "circular"),
        ({"proxy-groups": [{"name": "g", "type": "select", "proxies": ["nobody"]}]}, "nobody"),
        ({"proxy-groups": [{"name": "g", "type": "relay", "proxies": ["DIRECT"]}]}, "relay"),
        ({"authentication": ["no colon"]}, "authentication"),
        ({"networks": [{"name": "n", "match": {}}]}, "networks"),
    ],
    ids=range(8),
)
def test_a_bad_file_changes_nothing(relay, origin, squid, wrong, said):
    config = {"proxies": [squid.named("squid")], "rules": ["MATCH,squid"]}
    gateway = relay(**config)
    running = Running(gateway, origin, "socks5", 30)
    gateway.write(config | wrong)
    gateway.process.send_signal(signal.SIGHUP)
    rig.until(lambda: said in gateway.output(), f"a word about {said}")
    assert gateway.curl(origin.url).json()["peer"] == squid.source
    assert running.is_whole()


def test_a_port_that_is_taken_changes_nothing(relay, origin, squid):
    config = {"proxies": [squid.named("squid")], "rules": ["MATCH,squid"]}
    gateway = relay(**config)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gateway.write(config | {"socks-port": port, "rules": ["MATCH,REJECT"]})
        gateway.process.send_signal(signal.SIGHUP)
        rig.until(lambda: f"127.0.0.1:{port}" in gateway.output(), "a word about the port")
        assert gateway.curl(origin.url).json()["peer"] == squid.source


def test_reloads_under_load_fail_nothing(relay, origin, squid, tinyproxy):
    """Each request leaves by one of the two ways, whatever the file says at the moment."""
    config = {"proxies": [squid.named("squid"), tinyproxy.named("tiny")]}
    gateway = relay(**config, rules=["MATCH,squid"])
    stop, peers, failures = threading.Event(), set(), []

    def ask():
        while not stop.is_set():
            got = gateway.curl(origin.url)
            if got.status == 200:
                peers.add(got.json()["peer"])
            else:
                failures.append(got)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        name = "tiny" if number % 2 else "squid"
        gateway.write(config | {"rules": [f"DOMAIN,n{number}.test,REJECT", f"MATCH,{name}"]})
        gateway.process.send_signal(signal.SIGHUP)
        rig.until(lambda: gateway.curl(f"http://n{number}.test/").status == 403, f"reload {number}")
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == [] and peers == {squid.source, tinyproxy.source}


class Clash(rig.Program):
    """`tradewind run -d DIR`, with what people have in such a directory."""

    def __init__(self, folder, log):
        clean = {"HOME": str(folder.parent), "NO_COLOR": "1", "OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": ""}
        super().__init__([rig.binary("tradewind"), "run", "-d", folder], log, clean)
        self.wait_for_line(r"listening on (http://\S+)|relay +.* on ")


@pytest.fixture
def clash(tmp_path):
    """Starts the gateway on a directory with these files; `{PORT}` in the first is a free port. Returns it and that.

    One line is added to the configuration: the usual address of the control API may be taken on this machine.
    """
    started = []

    def start(files):
        folder = tmp_path / f"clash-{len(started)}"
        port = rig.free_port()
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            own = "listen: 127.0.0.1:0\n" if name == "config.yaml" else ""
            path.write_text(own + text.replace("{PORT}", str(port)))
        program = Clash(folder, tmp_path / f"clash-{len(started)}.log")
        started.append(program)
        return program, port

    yield start
    for program in started:
        program.kill()


AIRPORT = """\
# As it comes from a subscription.
mixed-port: {PORT}
allow-lan: false
bind-address: '*'
mode: rule
log-level: info
external-controller: ''
unified-delay: true
tcp-concurrent: true
dns:
    enable: true
    ipv6: false
    listen: 127.0.0.1:0
    default-nameserver: [223.5.5.5, 119.29.29.29]
    enhanced-mode: fake-ip
    fake-ip-range: 198.18.0.1/16
    use-hosts: true
    nameserver: ['https://doh.pub/dns-query', 'https://dns.alidns.com/dns-query']
    fallback: ['https://doh.dns.sb/dns-query', 'tcp://208.67.222.222:443']
    fallback-filter: { geoip: true, ipcidr: [240.0.0.0/4, 0.0.0.0/32] }
proxies:
    - { name: '剩余流量：100 GB', type: vmess, server: gone.example.com, port: 443, uuid: 11111111-2222-4333-8444-555555555555, alterId: 0, cipher: auto, udp: true, tls: true, network: ws, ws-opts: { path: /a } }
    - { name: '🇭🇰 香港 01', type: trojan, server: hk.example.com, port: 443, password: 'hidden-word-1', udp: true, sni: hk.example.com }
    - { name: '🇯🇵 日本 01', type: vless, server: jp.example.com, port: 443, uuid: 11111111-2222-4333-8444-555555555555, flow: xtls-rprx-vision, reality-opts: { public-key: CrrQSjAG_YkHLwvM2M-7XkKJilgL5upBKCp0od0tLhE } }
    - { name: '🇸🇬 新加坡 01', type: hysteria2, server: sg.example.com, port: 8443, password: 'hidden-word-2' }
proxy-groups:
    - { name: 机场, type: select, proxies: [自动选择, 故障转移, '剩余流量：100 GB', '🇭🇰 香港 01', '🇯🇵 日本 01', '🇸🇬 新加坡 01'] }
    - { name: 自动选择, type: url-test, proxies: ['🇭🇰 香港 01', '🇯🇵 日本 01', '🇸🇬 新加坡 01'], url: 'http://127.0.0.1:1/generate_204', interval: 86400 }
    - { name: 故障转移, type: fallback, proxies: ['🇭🇰 香港 01', '🇯🇵 日本 01'], url: 'http://127.0.0.1:1/generate_204', interval: 7200 }
rules:
    - 'DOMAIN,direct.test,DIRECT'
    - 'DOMAIN-SUFFIX,ad.com,REJECT'
    - 'IP-CIDR,10.0.0.0/8,DIRECT,no-resolve'
    - 'MATCH,机场'
hosts:
    direct.test: 127.0.0.1
"""


def test_a_subscription_of_an_airport(clash, origin):
    """Every node is of a type that is not built: named, and never replaced by a direct connection."""
    program, port = clash({"config.yaml": AIRPORT})
    said = program.output()
    for kind in ["vmess", "trojan", "vless", "hysteria2"]:
        assert kind in said, said
    assert "hidden-word" not in said
    ask = Curl(port)
    assert ask(f"http://direct.test:{origin.port}/").status == 200
    assert ask("http://x.ad.com/").status == 403
    for asked in ["http", "socks5h"]:
        got = ask(f"{origin.url}/never", proxy=asked)
        assert got.status == 502 or got.exit == 97, got
    page = ask(f"{origin.url}/never").body.decode()
    assert "not built" in page and "香港" in page, page
    assert [seen["path"] for seen in origin.seen] == ["/"]


def test_a_directory_with_lists_and_anchors(clash, origin, mihomo, tmp_path):
    """Merge keys, a list of nodes with a mixture of types, rule lists, sub-rules, and CRLF."""
    ss = mihomo["aes-256-gcm"].entry
    config = """\
mixed-port: {PORT}
mode: rule
profile: {store-selected: true, store-fake-ip: true}
sniffer: {enable: true, sniff: {HTTP: {ports: [80]}}}
tun: {enable: false, stack: mixed, auto-route: true}
geodata-mode: false
geox-url: {geoip: "https://example.com/geoip.dat"}
p: &p {type: file, health-check: {enable: false, url: "http://127.0.0.1:1/", interval: 300}}
use: &use {type: select, use: [Local]}
proxy-providers:
  Local:
    <<: *p
    path: ./proxies/local.yaml
rule-providers:
  own: {type: file, behavior: classical, format: text, path: ./rules/own.list}
proxy-groups:
  - {<<: *use, name: Proxy, filter: "(?i)ss|vm"}
  - {name: Final, type: select, proxies: [Proxy, DIRECT]}
sub-rules:
  sub: ["NETWORK,tcp,Final"]
rules:
  - RULE-SET,own,REJECT
  - SUB-RULE,(NETWORK,tcp),sub
  - MATCH,REJECT
""".replace("\n", "\r\n")
    nodes = json.dumps(
        {
            "proxies": [
                {"name": "SS-home"} | ss,
                {
                    "name": "VM-1",
                    "type": "vmess",
                    "server": "vm.example.com",
                    "port": 443,
                    "uuid": "x",
                    "cipher": "auto",
                },
                {"name": "other", "type": "tuic", "server": "t.example.com", "port": 443, "token": "x"},
            ]
        }
    )
    program, port = clash(
        {
            "config.yaml": config,
            "proxies/local.yaml": nodes,
            "rules/own.list": "# own\nDOMAIN-SUFFIX,blocked.test\n\nDST-PORT,1\n",
        }
    )
    ask = Curl(port)
    assert ask(f"http://{counterparts.NAME}:{origin.port}/").status == 200, program.output()
    assert ask("http://a.blocked.test/").status == 403
    assert ask("http://127.0.0.1:1/").status == 403


OFFICE = """\
port: {PORT}
allow-lan: false
authentication: ["me:word"]
mode: Rule
log-level: silent
proxies:
- name: corp
  type: http
  server: 127.0.0.1
  port: {SQUID}
  username: alice
  password: s3cret word
- {name: old, type: ssr, server: old.example.com, port: 443, cipher: rc4-md5, password: x, obfs: plain, protocol: origin}
proxy-groups:
- {name: Way, type: fallback, proxies: [old, corp], url: "http://127.0.0.1:{ORIGIN}/t", interval: 1}
rules:
- DOMAIN-SUFFIX,local,DIRECT
- DOMAIN-KEYWORD,internal,DIRECT
- MATCH,Way
"""


def test_an_office_with_a_proxy_and_a_fallback_that_is_not_built(clash, origin, squid):
    text = OFFICE.replace("{SQUID}", str(squid.port)).replace("{ORIGIN}", str(origin.port))
    program, port = clash({"config.yaml": text})
    ask = Curl(port)
    assert ask(origin.url).status == 407
    rig.until(lambda: ask(origin.url, login="me:word").status == 200, "the one that is built")
    assert ask(origin.url, login="me:word").json()["peer"] == squid.source
    assert "ssr" in program.output() and "s3cret" not in program.output()
