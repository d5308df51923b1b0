"""Through each kind of proxy: curl and git by the relay, the official client by the models door, and wrong passwords."""

import concurrent.futures
import socket
import subprocess
import warnings

import pytest

import counterparts
import rig
from conftest import openai_client

SHADOWSOCKS = list(counterparts.CIPHERS)
KINDS = ["squid", "tinyproxy", "ntlm", "mihomo/http", "mihomo/socks5", *(f"mihomo/{cipher}" for cipher in SHADOWSOCKS)]
FULL = ["sing_box/http", "sing_box/socks5", *(f"sing_box/{cipher}" for cipher in SHADOWSOCKS)]
ALL = [*KINDS, *(pytest.param(kind, marks=pytest.mark.full) for kind in FULL)]


@pytest.fixture
def proxy(request):
    """The proxy that the parameter names: a fixture, and a server of it."""
    fixture, _, server = request.param.partition("/")
    found = request.getfixturevalue(fixture)
    return found[server] if server else found


def knows_names(proxy):
    """tinyproxy alone knows no names but those of the system."""
    return "tinyproxy" not in proxy.program.arguments[0]


def each(kinds):
    return pytest.mark.parametrize("proxy", kinds, indirect=True)


@each(ALL)
def test_curl_goes_through(proxy, relay, origin, secure, certificate):
    gateway = relay(proxies=[proxy.named("corp")], rules=["MATCH,corp"])
    for asked in ["http", "socks5h", "socks4a"]:
        got = gateway.curl(f"{origin.url}/plain?by={asked}", proxy=asked).json()
        assert got["peer"] == proxy.source and got["path"] == f"/plain?by={asked}", got
        got = gateway.curl(f"{secure.url}/tls", "--cacert", certificate, proxy=asked).json()
        assert got["peer"] == proxy.source, got
    tunnelled = gateway.curl(f"{origin.url}/tunnel", "-p")
    assert tunnelled.connect == 200 and tunnelled.json()["peer"] == proxy.source
    if knows_names(proxy):
        # A name that only the proxy resolves: we never try it ourselves.
        url = f"http://{counterparts.NAME}:{origin.port}/name"
        assert gateway.curl(url).json()["headers"]["host"] == f"{counterparts.NAME}:{origin.port}"
        assert gateway.curl(url, proxy="socks5h").json()["peer"] == proxy.source
        url = f"https://{counterparts.NAME}:{secure.port}/name"
        assert gateway.curl(url, "--cacert", certificate).json()["peer"] == proxy.source
    # What is for the proxy is not for the origin.
    for told in [*origin.seen, *secure.seen]:
        assert not {"proxy-authorization", "proxy-connection"} & told["headers"].keys(), told


@each(ALL)
def test_the_models_door_goes_through(proxy, relay, origin):
    gateway = relay(
        proxies=[proxy.named("corp")],
        **{"proxy-groups": [{"name": "out", "type": "select", "proxies": ["corp"]}]},
        providers=[
            rig.provider("by-proxy", "openai", origin.address, via="corp"),
            rig.provider("by-group", "openai", origin.address, via="out"),
            rig.provider("plain", "openai", origin.address),
        ],
        models=[rig.model(name, f"{name}/any", timeouts=rig.PATIENT) for name in ("by-proxy", "by-group", "plain")],
    )
    with openai_client(gateway) as client:
        for model in ["by-proxy", "by-group", "plain"]:
            source = proxy.source if model != "plain" else "127.0.0.1"
            hello = [{"role": "user", "content": "hello"}]
            answer = client.chat.completions.create(model=model, messages=hello)
            assert answer.choices[0].message.content == source
            stream = client.chat.completions.create(model=model, messages=hello, stream=True)
            said = [choice.delta.content or "" for chunk in stream for choice in chunk.choices]
            assert "".join(said) == source
    assert all(told["headers"].get("authorization") == "Bearer key-of-the-gateway" for told in origin.seen)


def git(folder, *arguments, **environment):
    plain = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t.test", *arguments],
        cwd=folder, env=plain | environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.args}: {done.stderr}"
    return done.stdout


@pytest.fixture
def repository(origin, tmp_path):
    """A repository with a few hundred kilobytes in it, served as plain files by `origin`; its address and last commit."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    for number in range(20):
        (work / f"file-{number}").write_text("".join(f"{number} {line * 7919 % 10007}\n" for line in range(3000)))
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", f"commit {number}")
    git(tmp_path, "clone", "-q", "--bare", work, origin.folder / "repo.git")
    git(origin.folder / "repo.git", "update-server-info")
    return f"{origin.url}/files/repo.git", git(work, "rev-parse", "HEAD")


EACH_PROTOCOL = ["squid", "tinyproxy", "ntlm", "mihomo/socks5", "mihomo/2022-blake3-aes-128-gcm"]


def clone(proxy, gateway, asked, url, folder):
    """A clone by git. It gives up when one connection ends without an answer, whoever ended it: then all know something."""
    at = f"{asked}://127.0.0.1:{gateway.relay_port}"
    trace = folder.with_suffix(".trace")
    try:
        git(folder.parent, "-c", f"http.proxy={at}", "clone", "-q", url, folder, no_proxy="", GIT_TRACE_CURL=str(trace))
    except AssertionError as failed:
        told = [line for line in trace.read_text(errors="replace").splitlines() if "Info:" in line]
        records = rig.http(f"{gateway.url}/api/v1/decisions?limit=12").json()["decisions"]
        ours = [(record["at"], record["elapsed_ms"], record["outcome"], record["notes"]) for record in records]
        theirs = proxy.program.output().splitlines()[-30:]
        raise AssertionError(f"{failed}\nrecords: {ours}\nproxy: {theirs}\ncurl: {told[-60:]}") from failed


@each(EACH_PROTOCOL)
def test_git_clones(proxy, relay, repository, tmp_path):
    url, commit = repository
    gateway = relay(proxies=[proxy.named("corp")], rules=["MATCH,corp"])
    for asked in ["http", "socks5h"]:
        folder = tmp_path / asked
        try:
            clone(proxy, gateway, asked, url, folder)
        except AssertionError as failed:
            # Twice in some hundreds of runs of all tests, a connection of git's had no answer, and its records could be of
            # either side's ending it. Whether we lose answers is for the next test, with more calls than git ever makes.
            warnings.warn(f"git cloned at its second attempt only: {failed}", stacklevel=1)
            clone(proxy, gateway, asked, url, tmp_path / f"{asked}-again")
            folder = tmp_path / f"{asked}-again"
        assert git(folder, "rev-parse", "HEAD") == commit
        git(folder, "fsck", "--strict")


@each(EACH_PROTOCOL)
def test_no_answer_is_lost(proxy, relay, origin):
    """Many tunnels at once, each new, each for one answer."""
    gateway = relay(proxies=[proxy.named("corp")], rules=["MATCH,corp"])
    (origin.folder / "answer").write_bytes(b"whole" * 200)
    asked = f"GET /files/answer HTTP/1.1\r\nHost: {origin.address}\r\nConnection: close\r\n\r\n".encode()
    connect = b"\5\1\0\1\x7f\0\0\1" + origin.port.to_bytes(2, "big")

    def call(_):
        with socket.create_connection(("127.0.0.1", gateway.relay_port), 30) as stream, stream.makefile("rb") as heard:
            stream.sendall(b"\5\1\0")
            greeting = heard.read(2)
            stream.sendall(connect)
            reply = heard.read(10)
            stream.sendall(asked)
            return greeting, reply[:2], heard.read()[-1000:]

    with concurrent.futures.ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(call, range(400)))
    lost = [answer for answer in answers if answer != (b"\5\0", b"\5\0", b"whole" * 200)]
    assert not lost, (len(lost), lost[:3], proxy.program.output().splitlines()[-30:])


def says_407(proxy):
    """tinyproxy says 401 to a wrong password and mihomo 403, as if the origin had."""
    return "tinyproxy" not in proxy.program.arguments[0] and "mihomo" not in proxy.program.arguments[0]


def refusal(gateway, url, tunnel):
    """The status with which the relay refuses, and its words, which curl does not show for CONNECT."""
    if not tunnel:
        got = gateway.curl(url)
        return got.status, got.body.decode()
    at = url.split("/")[2]
    with socket.create_connection(("127.0.0.1", gateway.relay_port), 10) as stream:
        stream.settimeout(10)
        stream.sendall(f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n".encode())
        whole = b""
        while more := stream.recv(65536):
            whole += more
    return int(whole.split()[1]), whole.decode()


@each(["squid", "tinyproxy", "ntlm", "mihomo/http", "mihomo/socks5"])
def test_a_wrong_password_is_said_and_never_gone_around(proxy, relay, origin, secure):
    wrong = proxy.named("corp", password="not the word")
    gateway = relay(
        proxies=[wrong],
        rules=["MATCH,corp"],
        providers=[rig.provider("by-proxy", "openai", origin.address, via="corp")],
        models=[rig.model("by-proxy", "by-proxy/any", timeouts=rig.PATIENT)],
    )
    assert gateway.curl(f"{secure.url}/tls").connect == 502
    for url in [f"{origin.url}/plain", f"{secure.url}/tls"]:
        assert gateway.curl(url, proxy="socks5h").exit == 97
    # Only what is HTTP can say why: the proxy, what is wrong with it, and where to look.
    for tunnel in [True, False] if says_407(proxy) or proxy.entry["type"] == "socks5" else [True]:
        status, said = refusal(gateway, f"{origin.url}/plain", tunnel)
        assert status == 502, said
        assert "corp" in said and "TW" in said and "tradewind explain" in said, said
        assert "not the word" not in said
    reply = rig.http(f"{gateway.url}/v1/chat/completions", {"model": "by-proxy", "messages": []})
    assert reply.status in (502, 503) if says_407(proxy) else reply.status >= 400, reply
    assert "not the word" not in reply.body.decode() + gateway.output()
    assert origin.seen == [] and secure.seen == []


@each(["squid", "ntlm"])
def test_without_a_password_the_proxy_is_named(proxy, relay, origin):
    bare = {key: value for key, value in proxy.entry.items() if key not in ("username", "password", "auth")}
    gateway = relay(proxies=[{"name": "corp"} | bare], rules=["MATCH,corp"])
    got = gateway.curl(f"{origin.url}/plain")
    assert got.status == 502 and b"corp" in got.body, got
    assert origin.seen == []


@each([f"mihomo/{cipher}" for cipher in SHADOWSOCKS])
def test_a_wrong_key_of_shadowsocks_reaches_nobody(proxy, relay, origin):
    other = {
        counterparts.KEY_16: "EBESExQVFhcYGRobHB0eHw==",
        counterparts.KEY_32: "EBESExQVFhcYGRobHB0eHwABAgMEBQYHCAkKCwwNDg8=",
    }
    wrong = proxy.named("corp", password=other.get(proxy.entry["password"], "another word"))
    gateway = relay(proxies=[wrong], rules=["MATCH,corp"])
    got = gateway.curl(f"{origin.url}/plain", timeout=10)
    assert got.status in (0, 502, 504), got
    assert origin.seen == []
