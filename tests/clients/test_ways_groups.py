"""Groups: chosen by hand, by health, by turns; and lists of proxies that come from elsewhere and change."""

import collections
import json
import time

import pytest

import counterparts
import origin as origins
import rig
from conftest import openai_client


def group(name, kind, *proxies, **more):
    return {"name": name, "type": kind, "proxies": list(proxies)} | {key.replace("_", "-"): more[key] for key in more}


def peer(gateway, origin, **more):
    got = gateway.curl(f"{origin.url}/peer", **more)
    return got.json()["peer"] if got.status == 200 else got.status


@pytest.fixture
def own_tinyproxy(tmp_path):
    """A proxy that the test may stop: `.program.kill()`."""
    started = []

    def start(source):
        folder = tmp_path / f"tiny-{len(started)}"
        folder.mkdir()
        started.append(counterparts.start_tinyproxy(folder, source))
        return started[-1]

    yield start
    for proxy in started:
        proxy.program.kill()


def again(proxy):
    """Starts a proxy that was stopped, on the same port."""
    proxy.program = counterparts.listening(
        rig.Program(proxy.program.arguments, proxy.program.log.with_suffix(".again")), proxy.port
    )


def test_a_hand_chooses(relay, origin, squid, tinyproxy):
    config = {
        "proxies": [squid.named("squid"), tinyproxy.named("tiny")],
        "proxy-groups": [
            group("outer ☂", "select", "inner", "tiny", "DIRECT"),
            group("inner", "select", "squid", "tiny"),
            group("turns", "load-balance", "squid", "tiny"),
        ],
        "rules": ["MATCH,outer ☂"],
        "providers": [rig.provider("out", "openai", origin.address, via="outer ☂")],
        "models": [rig.model("m", "out/any", timeouts=rig.PATIENT)],
    }
    gateway = relay(**config)
    assert peer(gateway, origin) == squid.source, "a new group starts with its first member"
    for name, member, source in [
        ("inner", "tiny", tinyproxy),
        ("inner", "squid", squid),
        ("outer ☂", "tiny", tinyproxy),
    ]:
        reply = gateway.select(name, member)
        assert reply.status == 200 and reply.json() == {"group": name, "selected": member}
        assert peer(gateway, origin) == source.source and gateway.group(name)["now"] == member
        with openai_client(gateway) as client:
            answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
            assert answer.choices[0].message.content == source.source
    for name, member in [
        ("nobody", "tiny"),
        ("inner", "nobody"),
        ("inner", "DIRECT"),
        ("turns", "tiny"),
        ("tiny", "tiny"),
    ]:
        reply = gateway.select(name, member)
        assert reply.status in (400, 404), reply
        assert name in reply.body.decode() or member in reply.body.decode(), reply
    for body in [b"", b"{", b"[]", b'{"selected":1}', b'{"name":"tiny"}']:
        assert rig.http(f"{gateway.url}/api/v1/proxies/inner/selected", body, method="PUT").status == 400
    assert gateway.group("outer ☂")["now"] == "tiny" and gateway.group("inner")["now"] == "squid"
    # It is still so after a restart.
    assert gateway.stop() == 0
    after = relay(folder=gateway.folder, **config)
    assert after.group("outer ☂")["now"] == "tiny" and peer(after, origin) == tinyproxy.source


def test_what_a_hand_chose_outlives_reloads(relay, origin, squid, tinyproxy):
    proxies = [squid.named("squid"), tinyproxy.named("tiny")]
    config = {"proxies": proxies, "proxy-groups": [group("g", "select", "squid", "tiny")], "rules": ["MATCH,g"]}
    gateway = relay(**config)
    assert gateway.select("g", "tiny").status == 200
    gateway.write(config | {"proxy-groups": [group("g", "select", "DIRECT", "squid", "tiny")]})
    rig.until(lambda: len(gateway.group("g")["members"]) == 3, "the reload")
    assert gateway.group("g")["now"] == "tiny" and peer(gateway, origin) == tinyproxy.source
    # What was chosen is gone: the first one it is again.
    gateway.write(config | {"proxy-groups": [group("g", "select", "squid", "DIRECT")]})
    rig.until(lambda: len(gateway.group("g")["members"]) == 2, "the reload")
    assert peer(gateway, origin) == squid.source


def test_fallback_leaves_a_dead_proxy_and_comes_back(relay, origin, own_tinyproxy, squid):
    first = own_tinyproxy("127.0.0.21")
    gateway = relay(
        proxies=[first.named("first"), squid.named("second")],
        **{"proxy-groups": [group("g", "fallback", "first", "second", url=f"{origin.url}/?status=204", interval=1)]},
        rules=["MATCH,g"],
        providers=[rig.provider("out", "openai", origin.address, via="g")],
        models=[rig.model("m", "out/any", timeouts=rig.PATIENT)],
    )
    assert rig.until(lambda: peer(gateway, origin) == first.source, "the first one")
    first.program.kill()
    rig.until(lambda: peer(gateway, origin) == squid.source, "a switch to the second")
    assert gateway.group("g")["now"] == "second"
    with openai_client(gateway) as client:
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert answer.choices[0].message.content == squid.source
    again(first)
    rig.until(lambda: peer(gateway, origin) == first.source, "the first one again")


def test_url_test_takes_the_fastest_that_lives(relay, origin, own_tinyproxy, squid, tmp_path):
    """The slow one is a proxy behind which the test takes 200 ms longer."""
    slow, fast = own_tinyproxy("127.0.0.22"), own_tinyproxy("127.0.0.23")
    seen = origins.Origin()
    seen_by = {slow.source: 0.2}
    plain = origins.Handler.do_GET

    class Slower(origins.Handler):
        def do_GET(self):
            time.sleep(seen_by.get(self.client_address[0], 0))
            plain(self)

        do_HEAD = do_GET

    seen.RequestHandlerClass = Slower
    try:
        gateway = relay(
            proxies=[slow.named("slow"), fast.named("fast")],
            **{"proxy-groups": [group("g", "url-test", "slow", "fast", url=f"{seen.url}/t", interval=1, tolerance=50)]},
            rules=["MATCH,g"],
        )
        rig.until(lambda: gateway.group("g")["now"] == "fast", "the fast one")
        # A busy machine may be slow with one test of it, until the next one.
        rig.until(lambda: peer(gateway, origin) == fast.source, "the fast one")
        fast.program.kill()
        rig.until(lambda: peer(gateway, origin) == slow.source, "the one that lives")
        again(fast)
        rig.until(lambda: peer(gateway, origin) == fast.source, "the fast one again")
    finally:
        seen.close()


def test_all_dead_is_a_fault_and_no_direct_connection(relay, origin):
    dead = {"type": "http", "server": "127.0.0.1", "port": rig.free_port()}
    proxies = [{"name": name} | dead for name in "ab"]
    for kind in ["fallback", "url-test", "load-balance", "select"]:
        gateway = relay(
            proxies=proxies,
            **{"proxy-groups": [group("g", kind, "a", "b", url=f"{origin.url}/t", interval=1)]},
            rules=["MATCH,g"],
            providers=[rig.provider("out", "openai", origin.address, via="g")],
            models=[rig.model("m", "out/any", timeouts=rig.PATIENT)],
        )
        assert peer(gateway, origin) == 502, kind
        reply = rig.http(f"{gateway.url}/v1/chat/completions", {"model": "m", "messages": []})
        assert reply.status >= 500, reply
        gateway.kill()
    assert origin.seen == []


def test_load_is_spread(relay, origin, squid, tinyproxy):
    proxies = [squid.named("squid"), tinyproxy.named("tiny")]
    for strategy, spread in [("round-robin", True), ("consistent-hashing", False), ("sticky-sessions", False)]:
        gateway = relay(
            proxies=proxies,
            **{"proxy-groups": [group("g", "load-balance", "squid", "tiny", strategy=strategy, url=f"{origin.url}/t")]},
            rules=["MATCH,g"],
        )
        went = collections.Counter(peer(gateway, origin) for _ in range(8))
        assert (went == {squid.source: 4, tinyproxy.source: 4}) if spread else len(went) == 1, (strategy, went)


def test_a_chain_goes_through_both(relay, origin, squid, mihomo, tinyproxy):
    gateway = relay(
        proxies=[
            squid.named("first"),
            # Its server is found by the name that squid alone knows, and squid reaches it: CONNECT is for every port there.
            mihomo["socks5"].named("last", **{"dialer-proxy": "first", "server": counterparts.NAME}),
            tinyproxy.named("loop-a", **{"dialer-proxy": "first"}),
        ],
        rules=["MATCH,last"],
    )
    assert gateway.curl(f"http://{counterparts.NAME}:{origin.port}/x", proxy="socks5h").json()["path"] == "/x"


@pytest.mark.parametrize(
    ("proxies", "groups"),
    [
        ([("a", "b"), ("b", "a")], []),
        ([("a", "a")], []),
        ([("a", "g")], [("g", ["a"])]),
        ([], [("g", ["h"]), ("h", ["g"])]),
        ([("a", "h")], [("g", ["a"]), ("h", ["DIRECT", "g"])]),
    ],
    ids=range(5),
)
def test_chains_without_end_are_refused_at_load(tmp_path, proxies, groups):
    done = check_chain(tmp_path, proxies, groups)
    assert done.returncode == 1 and ("circular" in done.stderr or "loop" in done.stderr), done


def test_chains_with_an_end_are_taken(tmp_path):
    done = check_chain(tmp_path, [("a", "b"), ("b", "h")], [("g", ["a", "h"]), ("h", ["DIRECT"])])
    assert done.returncode == 0, done


def check_chain(tmp_path, proxies, groups):
    """Checks a file with these proxies and their `dialer-proxy`, and these groups and their members."""
    server = {"type": "http", "server": "127.0.0.1", "port": 1}
    file = tmp_path / "chain.yaml"
    file.write_text(
        json.dumps(
            {
                "listen": "127.0.0.1:0",
                "proxies": [{"name": name, "dialer-proxy": dialer} | server for name, dialer in proxies],
                "proxy-groups": [group(name, "select", *members) for name, members in groups],
            }
        )
    )
    return rig.subprocess.run([rig.binary("tradewind"), "check", file], capture_output=True, text=True, timeout=20)


def nodes(*named):
    return json.dumps({"proxies": list(named)})


def test_a_list_of_proxies_in_a_file_changes(relay, origin, squid, tinyproxy, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / "nodes.yaml"
    file.write_text(nodes(squid.named("n 1"), tinyproxy.named("skipped")))
    gateway = relay(
        folder=folder,
        **{
            "proxy-providers": {
                "own": {"type": "file", "path": "./nodes.yaml", "filter": "^n", "override": {"additional-prefix": "own "},
                        "health-check": {"enable": True, "url": f"{origin.url}/t", "interval": 1, "lazy": False}}
            },
            "proxy-groups": [{"name": "g", "type": "select", "use": ["own"]}],
        },
        rules=["MATCH,g"],
    )  # fmt: skip

    def names():
        return [member["name"] for member in gateway.group("g")["members"]]

    assert names() == ["own n 1"] and peer(gateway, origin) == squid.source
    rig.until(lambda: any((told["path"], told["peer"]) == ("/t", squid.source) for told in origin.seen), "a health check")
    file.write_text(nodes(tinyproxy.named("n 0"), squid.named("n 1")))
    rig.until(lambda: names() == ["own n 0", "own n 1"], "the change of the file")
    assert gateway.select("g", "own n 0").status == 200 and peer(gateway, origin) == tinyproxy.source
    # A list that cannot be read leaves what is there.
    file.write_text("proxies: [{name: broken")
    rig.until(lambda: rig.http(f"{gateway.url}/api/v1/proxies").json()["providers"][0]["failed"], "the failure is told")
    assert names() == ["own n 0", "own n 1"] and peer(gateway, origin) == tinyproxy.source


def test_a_subscription_is_fetched_kept_and_told_about(relay, origin, squid, tinyproxy, tmp_path):
    file = origin.folder / "sub"
    file.write_text(nodes(squid.named("one")))
    origin.headers = {"subscription-userinfo": "upload=1; download=2; total=10; expire=2000000000"}
    folder = tmp_path / "kept"
    controller = rig.free_port()
    config = {
        "external-controller": f"127.0.0.1:{controller}",
        "proxy-providers": {
            "sub": {"type": "http", "url": f"{origin.url}/files/sub", "path": "./sub.yaml", "interval": 2}
        },
        "proxy-groups": [{"name": "g", "type": "select", "use": ["sub"]}],
        "rules": ["MATCH,g"],
    }
    gateway = relay(folder=folder, **config)
    rig.until(lambda: [member["name"] for member in gateway.group("g")["members"]] == ["one"], "the first fetch")
    assert peer(gateway, origin) == squid.source
    told = rig.http(f"http://127.0.0.1:{controller}/providers/proxies/sub").json()
    assert told["subscriptionInfo"] == {"Upload": 1, "Download": 2, "Total": 10, "Expire": 2000000000}, told
    file.write_text(nodes(tinyproxy.named("two"), squid.named("one")))
    rig.until(lambda: len(gateway.group("g")["members"]) == 2, "the second fetch")
    assert gateway.stop() == 0
    # The server is away: what was fetched last is used.
    file.unlink()
    after = relay(folder=folder, **config)
    rig.until(lambda: [member["name"] for member in after.group("g")["members"]] == ["two", "one"], "what was kept")
    assert peer(after, origin) in (squid.source, tinyproxy.source)


def test_a_group_whose_lists_never_came_is_no_direct_connection(relay, origin):
    """A subscription that was never to be had: a fault, or what `empty-fallback` names."""
    for more, status, says in [({}, 502, b"no member"), ({"empty-fallback": "REJECT"}, 403, b"REJECT")]:
        gateway = relay(
            **{
                "proxy-providers": {
                    "sub": {"type": "http", "url": f"http://127.0.0.1:{rig.free_port()}/sub", "interval": 60}
                },
                "proxy-groups": [{"name": "g", "type": "select", "use": ["sub"]} | more],
            },
            rules=["MATCH,g"],
        )
        rig.until(lambda: rig.http(f"{gateway.url}/api/v1/proxies").json()["providers"][0]["failed"], "the failure is told")
        got = gateway.curl(origin.url)
        assert got.status == status and says in got.body, got
    assert origin.seen == []
