"""Upstreams that are not what they should be without meaning harm, and callers that ask for what is not of the protocol."""

import base64
import gzip
import threading

import pytest

import go_sumdb
import go_tree
import golang
import rig
from golang import Answer
from hostile import BASE, TARGET, UNPROTECTED, VERSION, html


@pytest.mark.parametrize(
    "path",
    [
        "Example.com/greet/@v/v1.0.0.zip",
        "example.com/greet/@v/V1.0.0.zip",
        "example.com/!Greet/@v/v1.0.0.zip",
        "example.com/greet!/@v/v1.0.0.zip",
        "example.com%2Fgreet/@v/v1.0.0.zip",
        "example.com/%2e%2e/greet/@v/v1.0.0.zip",
        "example.com/../../etc/passwd/@v/v1.0.0.zip",
        "example.com/greet/@v/..%2f..%2fx.zip",
        "example.com/greet/@v/v1.0.0.exe",
        "example.com/greet/@v/v1.0.zip",
        "example.com/greet/@v/v2.0.0.zip",
        "example.com/greet/@v/main.zip",
        "example.com/greet/@v/",
        "example.com/greet/@v",
        "example.com/greet/@x/list",
        "example.com/con/@v/list",
        "example.com//greet/@v/list",
        "example.com/gr%00eet/@v/list",
        "example.com/gr%ffeet/@v/list",
        "example.com/gr%zzeet/@v/list",
        "@v/list",
        "",
        "sumdb/",
        "sumdb/other.example/tile/8/0/00",
        "sumdb/other.example/tile/8/0/x",
        "sumdb/other.example/lookup/nothing",
        "x" * 7000,
    ],
)
def test_a_malformed_path(door, source, path):
    reply = rig.http(f"{door.url}/go/{path}")
    assert reply.status == 404, reply
    assert reply.headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert reply.body.strip() and b"\0" not in reply.body
    assert not source.seen, "it was asked for upstream"


@pytest.mark.parametrize("name", ["list", "@latest", "main"])
def test_a_portal_has_no_versions(start_gateway, start_go, source, name):
    """The page of a network's login is no empty list: the go command would take it that there are no versions."""
    path = {
        "list": "example.com/greet/@v/list",
        "@latest": "example.com/greet/@latest",
        "main": "example.com/greet/@v/main.info",
    }[name]
    source.at[path] = html()
    gateway = start_gateway(golang.settings(source))
    reply = rig.http(f"{gateway.url}/go/{path}")
    assert (reply.status, reply.headers["content-type"].lower()) == (502, "text/plain; charset=utf-8"), reply
    assert b"web page" in reply.body
    del source.at[path]
    if name != "main":
        assert rig.http(f"{gateway.url}/go/{path}").status == 200, "the failure was kept"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method(door, method):
    reply = rig.http(f"{door.url}/go/{BASE}.info", body=b"x" if method in ("POST", "PUT") else None, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


def test_a_login_does_not_follow_a_redirect(start_gateway, start_go, start_upstream, tree):
    """To another host the credentials of this one are not sent, and from https nothing leads to http."""
    other = start_upstream(tree)
    login = "Basic " + base64.b64encode(b"ci:hunter2").decode()
    first = start_upstream(tree, only=login)
    first.at[f"{BASE}.zip"] = Answer(
        302, headers={"location": f"{other.url.replace('127.0.0.1', 'localhost')}/{BASE}.zip"}
    )
    section = golang.settings(first, auth={"username": "ci", "password": "hunter2"})
    start_go(start_gateway(section)).download(VERSION).ok()
    assert other.asked[f"{BASE}.zip"] == 1
    assert not [headers for _, headers in other.seen if "authorization" in headers]


def test_a_redirect_from_https_to_http_is_not_followed(start_gateway, start_go, start_upstream, tree, tmp_path):
    plain = start_upstream(tree)
    authority, certificate = golang.make_authority(tmp_path)
    secure = start_upstream(tree, certificate=certificate)
    secure.at[f"{BASE}.zip"] = Answer(302, headers={"location": f"{plain.url}/{BASE}.zip"})
    gateway = start_gateway(golang.settings(secure, **{"tls-roots": str(authority)}))
    start_go(gateway).download(VERSION).refused("502 Bad Gateway", "redirects from https to http")
    assert not plain.seen
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").ok()


def test_an_upstream_that_hangs_keeps_nobody_else_waiting(start_gateway, start_go, source):
    go_on = threading.Event()
    source.at[f"{BASE}.zip"] = lambda path: Answer(body=source.tree.files[path], within=go_on)
    gateway = start_gateway(golang.settings(source))
    url = f"{gateway.url}/go/{BASE}.zip"
    with pytest.raises(OSError):
        rig.http(url, timeout=1)
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").ok()
    # Who asks again while it comes in waits for the same fetch.
    waiting = threading.Thread(target=rig.http, args=(url,))
    waiting.start()
    go_on.set()
    waiting.join(20)
    assert rig.http(url).status == 200
    assert source.asked[f"{BASE}.zip"] == 1


@pytest.mark.modules
@pytest.mark.timeout(200)
@pytest.mark.parametrize("where", ["before", "within"])
def test_an_upstream_that_hangs_is_given_up(start_gateway, start_go, source, where):
    source.at[f"{BASE}.zip"] = lambda path: Answer(body=source.tree.files[path], **{where: threading.Event()})
    gateway = start_gateway(golang.settings(source))
    reply = rig.http(f"{gateway.url}/go/{BASE}.zip", timeout=150)
    assert reply.status == 504 and reply.body.startswith(source.url.encode()), reply
    assert not golang.stored(gateway)


@pytest.mark.modules
@pytest.mark.timeout(200)
def test_an_endless_zip_is_given_up(start_gateway, start_go, source):
    """Without a length the limit is found only by counting: 500 MiB, and nothing of it stays."""
    source.at[f"{BASE}.zip"] = Answer(body=bytes(1 << 20), length=-1, endless=520 << 20)
    gateway = start_gateway(golang.settings(source, **UNPROTECTED))
    reply = rig.http(f"{gateway.url}/go/{BASE}.zip", timeout=150)
    assert reply.status == 403 and b"larger than 500MiB" in reply.body, reply
    left = sum(path.stat().st_size for path in (gateway.data / "modules").rglob("*") if path.is_file())
    assert left < 1 << 20


def asked_with(source, path):
    """The headers of the last request for this path."""
    return next(headers for asked, headers in reversed(source.seen) if asked == path)


def pausing(source, ending=".zip"):
    """The honest file, whose first half alone comes; with a strong tag, so that the rest can be asked for."""
    data = source.tree.files[f"{BASE}{ending}"]
    return Answer(body=data, headers={"etag": '"one"'}, cut=len(data) // 2)


def test_a_download_that_broke_off_goes_on_where_it_was(start_gateway, start_go, start_upstream):
    tree = go_tree.Tree()
    tree.add(*TARGET, {"data.bin": bytes(range(256)) * 400}, method=0)
    source = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    data = tree.files[f"{BASE}.zip"]
    half = len(data) // 2

    def answer(path):
        asked = asked_with(source, path)
        if asked.get("range") != f"bytes={half}-":
            return pausing(source)
        assert asked["if-range"] == '"one"'
        where = {"content-range": f"bytes {half}-{len(data) - 1}/{len(data)}", "etag": '"one"'}
        return Answer(206, data[half:], where)

    source.at[f"{BASE}.zip"] = answer
    start_go(start_gateway(golang.settings(source))).download(VERSION).ok()
    assert source.asked[f"{BASE}.zip"] == 2


@pytest.mark.parametrize("settings", [{}, UNPROTECTED], ids=["checked", "unprotected"])
def test_the_rest_of_another_file_is_found_out(start_gateway, start_go, start_upstream, settings):
    """Whoever gives the rest of another zip in place of the rest of this one gives no zip."""
    tree = go_tree.Tree()
    tree.add(*TARGET, {"data.bin": bytes(range(256)) * 400}, method=0)
    source = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    data = tree.files[f"{BASE}.zip"]
    half = len(data) // 2
    evil = data[:half] + bytes(100) + data[half + 100 :]

    def answer(path):
        if "range" not in asked_with(source, path):
            return pausing(source)
        where = {"content-range": f"bytes {half}-{len(data) - 1}/{len(data)}", "etag": '"one"'}
        return Answer(206, evil[half:], where)

    source.at[f"{BASE}.zip"] = answer
    gateway = start_gateway(golang.settings(source, **settings))
    start_go(gateway).download(VERSION).refused("403 Forbidden", "checksum error")
    assert not golang.stored(gateway)


@pytest.mark.parametrize("status", [204, 206, 304, 300, 418])
def test_statuses_that_mean_nothing_here(start_gateway, start_go, source, status):
    source.at[f"{BASE}.zip"] = lambda path: Answer(status, b"" if status in (204, 304) else source.tree.files[path])
    gateway = start_gateway(golang.settings(source))
    reply = rig.http(f"{gateway.url}/go/{BASE}.zip")
    assert reply.status in (502, 418) and reply.headers["content-type"].lower() == "text/plain; charset=utf-8", reply
    assert not golang.stored(gateway)
    source.at.clear()
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").ok()


def test_an_encoding_that_was_not_asked_for(start_gateway, source):
    packed = gzip.compress(source.tree.files[f"{BASE}.mod"])
    source.at[f"{BASE}.mod"] = Answer(body=packed, headers={"content-encoding": "gzip"})
    reply = rig.http(f"{start_gateway(golang.settings(source)).url}/go/{BASE}.mod")
    assert reply.status == 502 and b"encoding" in reply.body, reply


def test_a_zip_that_is_given_while_it_comes_is_no_zip_until_it_is_checked(start_gateway, start_go, start_upstream):
    """`release: streaming`: who was first gets all but the end of what turns out to be forged, and no one else anything."""
    honest, forged = go_tree.Tree(), go_tree.Tree()
    honest.add(*TARGET, {"data.bin": bytes(1 << 20)}, method=0)
    forged.add(*TARGET, {"data.bin": b"x" * (1 << 20)}, method=0)
    source = start_upstream(honest, go_sumdb.Database().add_tree(honest))
    source.at[f"{BASE}.zip"] = forged.files[f"{BASE}.zip"]
    gateway = start_gateway(golang.settings(source, release="streaming"))
    go = start_go(gateway, GOFLAGS="-modcacherw -mod=mod")
    go.download(VERSION).refused("")
    assert not list(go.cache.glob("cache/download/example.com/greet/@v/*.zip")), "the go command took it"
    assert not golang.stored(gateway)
    assert "checksum mismatch" in golang.why(gateway, VERSION)
    reply = rig.http(f"{gateway.url}/go/{BASE}.zip")
    assert reply.status == 403 and b"SECURITY ERROR" in reply.body
    # The honest one comes through the same way.
    fresh = start_gateway(golang.settings(start_upstream(honest, source.database), release="streaming"))
    assert rig.http(f"{fresh.url}/go/{BASE}.zip").body == honest.files[f"{BASE}.zip"]


@pytest.mark.parametrize(
    ("lines", "versions"),
    [
        (b"v1.0.0\r\nv1.1.0\r\n", ["v1.0.0", "v1.1.0"]),
        (b"v1.0.0 2024-01-01T00:00:00Z\n", ["v1.0.0"]),
        (b"main\nv1.0.0\n\n  \n", ["v1.0.0"]),
        (b"v1.0.0\n" * 1000, ["v1.0.0"]),
        (b"\x00\x01\x02v1.0.0\n\xff\xfe\nv1.1.0\n", ["v1.1.0"]),
        (b"v1.0.0", ["v1.0.0"]),
    ],
)
def test_lists_as_they_are_found(start_gateway, start_go, source, lines, versions):
    source.at["example.com/greet/@v/list"] = lines
    go = start_go(start_gateway(golang.settings(source)))
    found = go("list", "-m", "-versions", "-json", "example.com/greet").ok().json()["Versions"]
    assert sorted(set(found)) == versions


def test_an_upstream_that_is_slow_holds_up_nobody_who_wants_something_else(
    start_gateway, start_upstream, tree, database
):
    """Eight zips that do not come leave room for the ninth."""
    slow = go_tree.Tree()
    for number in range(8):
        slow.add(f"example.com/slow{number}", "v1.0.0", {"s.go": "package s\n"})
    slow.add(*TARGET, {"greet.go": "package greet\n"})
    source = start_upstream(slow)
    go_on = threading.Event()
    paths = [f"example.com/slow{number}/@v/v1.0.0.zip" for number in range(8)]
    for path in paths:
        source.at[path] = Answer(body=slow.files[path], before=go_on)
    gateway = start_gateway(golang.settings(source))
    waiting = [
        threading.Thread(target=rig.http, args=(f"{gateway.url}/go/{path}",)) for path in paths
    ]
    for thread in waiting:
        thread.start()
    rig.until(lambda: all(source.asked[path] for path in paths), lambda: source.asked)
    assert rig.http(f"{gateway.url}/go/{BASE}.zip", timeout=10).status == 200
    go_on.set()
    for thread in waiting:
        thread.join(20)


def test_another_document_is_taken_while_downloads_go_on(start_gateway, start_go, source, start_upstream):
    """A mount is added and the upstream is another: what is under way ends as it began."""
    go_on = threading.Event()
    source.at[f"{BASE}.zip"] = lambda path: Answer(body=source.tree.files[path], within=go_on)
    gateway = start_gateway(golang.settings(source))
    got = []
    asking = threading.Thread(target=lambda: got.append(rig.http(f"{gateway.url}/go/{BASE}.zip")))
    asking.start()
    rig.until(lambda: source.asked[f"{BASE}.zip"], "nobody is asked for the zip")
    other = go_tree.Tree()
    other.add("example.com/house", "v1.0.0", {"house.go": "package house\n"})
    house = {"prefix": "house", "upstream": start_upstream(other).url, "sumdb": "off", "verify": "off"}
    gateway.write(golang.settings(source, mounts=[house]))
    info = f"{gateway.url}/go/house/example.com/house/@v/v1.0.0.info"
    rig.until(lambda: rig.http(info).status == 200, "the new document is not in force")
    go_on.set()
    asking.join(20)
    assert got[0].status == 200 and got[0].body == source.tree.files[f"{BASE}.zip"]
    start_go(f"{gateway.url}/go/house").download("example.com/house@v1.0.0").ok()


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"token": "t0ken"}, ("authorization", "Bearer t0ken")),
        ({"username": "ci", "password": "a:b"}, ("authorization", "Basic " + base64.b64encode(b"ci:a:b").decode())),
        ({"headers": {"X-Api-Key": "k3y"}}, ("x-api-key", "k3y")),
    ],
)
def test_a_login_of_every_kind(start_gateway, start_go, source, auth, header):
    gateway = start_gateway(golang.settings(source, auth=auth))
    start_go(gateway).download(VERSION).ok()
    name, value = header
    assert {headers.get(name) for path, headers in source.seen if not path.startswith("sumdb/")} == {value}
    assert value not in gateway.output() and "t0ken" not in str(golang.traces(gateway, VERSION))
