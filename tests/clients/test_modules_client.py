"""The go command through the modules door: what its users do with it, and what they see when it is refused something."""

import base64
import datetime
import json
import subprocess
import time

import pytest

import go_tree
import golang
import rig

MAIN = """package main

import (
	greet "example.com/greet/v2"
	"example.com/tip"
	upper "github.com/Masq/Upper"
)

func main() { println(greet.Hi(), upper.Hi(), tip.On) }
"""


def built(go, *more):
    """What the program of the module in `go` prints, built anew."""
    go("build", "-o", "app", *more, ".").ok()
    return subprocess.run([go.module / "app"], capture_output=True, text=True, check=True).stderr


def test_a_program_is_built_from_modules_that_come_through_the_door(go, door, source, tree):
    go.write("main.go", MAIN)
    go("get", "example.com/greet/v2@v2.0.0", "example.com/tip", "github.com/Masq/Upper@latest").ok()
    assert built(go) == "hi2 upper upper true\n"
    written = set((go.module / "go.sum").read_text().splitlines())
    assert written <= set(tree.go_sum().splitlines())
    # What came once is not asked for again, whoever wants it.
    source.forget()
    go.forget()
    assert built(go) == "hi2 upper upper true\n"
    assert not [path for path, _ in source.seen if path.endswith((".zip", ".mod", ".info"))], source.seen
    kept = {(row["module"], row["version"]) for row in golang.stored(door)}
    assert ("github.com/Masq/Upper", "v1.0.0") in kept


def test_sums_are_those_of_the_go_command(go, tree):
    for (path, version), (zip_sum, mod_sum) in tree.sums.items():
        got = go.download(f"{path}@{version}").ok().json()
        assert (got["Sum"], got["GoModSum"]) == (zip_sum, mod_sum)


def test_versions_are_listed_and_found(go):
    listed = go("list", "-m", "-versions", "-json", "example.com/greet@latest").ok().json()
    assert listed["Versions"] == ["v1.0.0", "v1.1.0", "v1.2.0-rc.1"]
    assert listed["Version"] == "v1.1.0", "a prerelease is not the latest"
    assert go("list", "-m", "-json", "example.com/tip@latest").ok().json()["Version"].endswith("0123456789ab")
    assert go("list", "-m", "-json", "example.com/old@latest").ok().json()["Version"] == "v3.0.0+incompatible"


def test_branches_and_commits_are_passed_on_and_not_believed_for_ever(start_gateway, start_go, source, tree, database):
    gateway = start_gateway(golang.settings(source, cache={"fresh": "1s"}))
    go = start_go(gateway, database.key)

    def meant(query):
        return go("list", "-m", "-json", f"example.com/greet@{query}").ok().json()["Version"]

    info = {"Version": "v1.0.0", "Time": go_tree.DAY}
    source.at["example.com/greet/@v/main.info"] = json.dumps(info).encode()
    assert meant("main") == "v1.0.0"
    # The branch goes on, and so does what it means once the answer is no longer fresh.
    source.at["example.com/greet/@v/main.info"] = json.dumps(info | {"Version": "v1.1.0"}).encode()
    rig.until(lambda: meant("main") == "v1.1.0", lambda: meant("main"))
    source.at["example.com/greet/@v/v1.info"] = json.dumps(info | {"Version": "v1.1.0"}).encode()
    asked = rig.http(f"{gateway.url}/go/example.com/greet/@v/v1.info")
    assert (asked.status, asked.json()["Version"]) == (200, "v1.1.0")
    source.at["example.com/tip/@v/0123456789ab.info"] = tree.files["example.com/tip/@latest"]
    assert go("list", "-m", "-json", "example.com/tip@0123456789ab").ok().json()["Version"].startswith("v0.0.0-2024")


def test_retractions_are_seen(go):
    go("get", "example.com/greet/v2@v2.0.1").ok()
    retracted = go("list", "-m", "-u", "-retracted", "-json", "example.com/greet/v2").ok().json()
    assert retracted["Retracted"] == ["sums were wrong"]
    assert retracted["Update"]["Version"] == "v2.0.2"


def test_what_is_not_there_is_not_there(go, source):
    go("get", "example.com/nothing@v1.0.0").refused("404 Not Found", "not found: example.com/nothing/@v/v1.0.0.info")
    # A prefix that is probed is asked for upstream once, not by every go command.
    go("get", "example.com/nothing@v1.0.0").refused("404 Not Found")
    assert source.asked["example.com/nothing/@v/v1.0.0.info"] == 1


def test_the_next_proxy_is_asked_when_the_door_has_nothing(start_go, door, database, start_upstream):
    own = go_tree.Tree()
    own.add("corp.example/own", "v1.0.0", {"own.go": "package own\n"})
    behind = start_upstream(own)
    go = start_go(f"{door.url}/go,{behind.url}", "off")
    go.download("corp.example/own@v1.0.0").ok()
    go.download("example.com/greet@v1.0.0").ok()
    assert not behind.asked["example.com/greet/@v/v1.0.0.zip"]


@pytest.fixture
def private(start_upstream):
    """A proxy for modules of a company, which wants a login."""
    tree = go_tree.Tree()
    tree.add("git.corp.example/team/tool", "v1.4.0", {"tool.go": 'package tool\n\nconst Name = "tool"\n'})
    return start_upstream(tree, only="Basic " + "Y2k6aHVudGVyMg==")


def test_private_modules_come_from_their_own_upstream_and_no_database_is_asked(
    start_gateway, start_go, source, private, database
):
    section = {
        "patterns": ["*.corp.example"],
        "upstream": private.url,
        "auth": {"username": "ci", "password": "hunter2"},
    }
    gateway = start_gateway(golang.settings(source, private=section))
    go = start_go(gateway, database.key, GONOSUMDB="*.corp.example")
    go.download("git.corp.example/team/tool@v1.4.0").ok()
    go.download("example.com/greet@v1.0.0").ok()
    assert not [path for path, _ in source.seen if "corp" in path], "the public was told of a private module"
    assert not [headers for _, headers in source.seen if "authorization" in headers], (
        "the login went to another upstream"
    )
    assert "it is private" in golang.why(gateway, "git.corp.example/team/tool@v1.4.0")
    reply = rig.http(f"{gateway.url}/go/sumdb/{database.name}/lookup/git.corp.example/team/tool@v1.4.0")
    assert reply.status == 404 and b"private" in reply.body
    assert "hunter2" not in gateway.output()


def test_a_login_comes_from_the_netrc_of_the_gateways_user(start_gateway, start_go, source, private, tmp_path):
    section = {"patterns": ["*.corp.example"], "upstream": private.url, "auth": "netrc"}
    netrc = tmp_path / "netrc"
    netrc.write_text("machine elsewhere.example login a password b\nmachine 127.0.0.1 login ci password hunter2\n")
    gateway = start_gateway(golang.settings(source, private=section), environment={"NETRC": str(netrc)})
    start_go(gateway, "off").download("git.corp.example/team/tool@v1.4.0").ok()


def test_a_wrong_login_is_told_apart_from_a_missing_module(start_gateway, start_go, source, private):
    section = {"patterns": ["*.corp.example"], "upstream": private.url, "auth": {"username": "ci", "password": "wrong"}}
    gateway = start_gateway(golang.settings(source, private=section))
    said = (
        start_go(gateway, "off")
        .download("git.corp.example/team/tool@v1.4.0")
        .refused("502 Bad Gateway", "credentials", "who are you?")
    )
    assert "wrong" not in said.err + said.out


SECRET = "tw-secret-of-ci-0123456789"
NARROW = "tw-secret-of-one-0123456789"


@pytest.fixture
def keyed(start_gateway, source, certificate):
    """A gateway over TLS that wants keys: one that may have every module, one for some."""
    keys = [
        {"name": "ci", "secret": SECRET, "allow": ["modules/*"]},
        {"name": "one", "secret": NARROW, "allow": ["modules/example.com/greet*"]},
    ]
    tls = {"cert": str(certificate), "key": str(certificate)}
    return start_gateway(golang.settings(source) | {"keys": keys, "tls": tls})


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_keys_are_bearer_or_basic(start_gateway, source, scheme):
    keys = [{"name": "ci", "secret": SECRET, "allow": ["modules/*"]}]
    gateway = start_gateway(golang.settings(source) | {"keys": keys})
    url = f"{gateway.url}/go/example.com/greet/@v/list"
    refused = rig.http(url)
    assert refused.status == 401 and refused.headers["content-type"].startswith("text/plain")

    def value(secret):
        return f"{scheme} {secret if scheme == 'Bearer' else base64.b64encode(f'anybody:{secret}'.encode()).decode()}"

    assert rig.http(url, headers={"authorization": value(SECRET)}).body == b"v1.0.0\nv1.1.0\nv1.2.0-rc.1\n"
    refused = rig.http(url, headers={"authorization": value("tw-secret-of-nobody-012345")})
    assert refused.status == 401 and refused.headers["content-type"].startswith("text/plain")
    assert not [headers for _, headers in source.seen if "authorization" in headers], "a caller's key went upstream"


def test_a_key_in_the_url_of_goproxy(keyed, start_go, certificate):
    proxy = keyed.url.replace("https://", f"https://ci:{SECRET}@")
    go = start_go(f"{proxy}/go", SSL_CERT_FILE=str(certificate))
    go.download("github.com/Masq/Upper@v1.0.0").ok()


def test_a_key_in_the_netrc_of_the_caller(keyed, start_go, certificate):
    go = start_go(keyed, SSL_CERT_FILE=str(certificate))
    go.download("example.com/greet@v1.0.0").refused("401 Unauthorized")
    # The go command looks for the host as it stands in the URL, with the port.
    machine = keyed.url.removeprefix("https://")
    (go.home / ".netrc").write_text(f"machine {machine} login ci password {SECRET}\n")
    go.download("example.com/greet@v1.0.0").ok()


def test_a_key_has_only_the_modules_that_it_may_have(keyed, start_go, certificate):
    proxy = keyed.url.replace("https://", f"https://one:{NARROW}@")
    go = start_go(f"{proxy}/go", SSL_CERT_FILE=str(certificate))
    go.download("example.com/greet@v1.0.0").ok()
    go.download("github.com/Masq/Upper@v1.0.0").refused("403 Forbidden", "may not use modules/github.com/Masq/Upper")


def test_mounts_are_trees_of_their_own(start_gateway, start_go, source, start_upstream, database):
    """The same version from two places: each mount gives and checks its own."""
    other = go_tree.Tree()
    other.add("example.com/greet", "v1.0.0", {"greet.go": "package greet\n\n// a fork of the house\n"})
    # It passes requests on to the public's database, which has another module under this name.
    fork = start_upstream(other, database)
    mounts = [
        {"prefix": "house", "upstream": fork.url, "sumdb": "off", "verify": "off"},
        {"prefix": "house/strict", "upstream": fork.url},
    ]
    gateway = start_gateway(golang.settings(source, mounts=mounts))
    public = start_go(gateway).download("example.com/greet@v1.0.0").ok().json()
    house = start_go(f"{gateway.url}/go/house").download("example.com/greet@v1.0.0").ok().json()
    assert house["Sum"] == other.sums["example.com/greet", "v1.0.0"][0] != public["Sum"]
    # The longest prefix wins: there the database is asked, and the house's fork is not what it has.
    said = start_go(f"{gateway.url}/go/house/strict").download("example.com/greet@v1.0.0")
    said.refused("403 Forbidden", "server response:", "checksum mismatch")
    trees = {trace["tree"]: bool(trace.get("kept")) for trace in golang.traces(gateway, "example.com/greet@v1.0.0")}
    assert trees == {"go": True, "house": True, "house/strict": False}, trees
    again = start_go(gateway).download("example.com/greet@v1.0.0").ok().json()
    assert again["Sum"] == public["Sum"]


def test_an_address_of_its_own(start_gateway, start_go, source):
    port = rig.free_port()
    start_gateway(golang.settings(source, listen=f"127.0.0.1:{port}"))
    start_go(f"http://127.0.0.1:{port}").download("example.com/greet@v1.0.0").ok()


def test_rules_are_told_to_the_user_of_the_go_command(start_gateway, start_go, source):
    denied = start_go(start_gateway(golang.settings(source, rules={"deny": ["example.com/old"]})))
    denied.download("example.com/old@v3.0.0+incompatible").refused(
        "403 Forbidden", "server response:", "blocked by policy", "is denied by"
    )
    denied.download("example.com/greet@v1.0.0").ok()
    young = start_go(start_gateway(golang.settings(source, rules={"min-age": "30d"})))
    made = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    info = {"Version": "v1.1.0", "Time": made.strftime("%Y-%m-%dT%H:%M:%SZ")}
    source.at["example.com/greet/@v/v1.1.0.info"] = json.dumps(info).encode()
    young.download("example.com/greet@v1.1.0").refused("403 Forbidden", "server response:", "30d")
    young.download("example.com/greet@v1.0.0").ok()
    licence = start_go(start_gateway(golang.settings(source, rules={"leave-out-licences": ["MIT"]})))
    licence.download("github.com/Masq/Upper@v1.0.0").refused("403 Forbidden", "MIT")
    licence.download("example.com/greet@v1.0.0").ok()
    only = start_go(start_gateway(golang.settings(source, rules={"allow": ["example.com/greet/*"]})))
    only.download("github.com/Masq/Upper@v1.0.0").refused("403 Forbidden", "allow")
    only.download("example.com/greet/v2@v2.0.0").ok()


def test_a_chain_goes_on_as_goproxy_does(start_gateway, start_go, source, start_upstream, tree, database):
    empty, broken = start_upstream(go_tree.Tree()), start_upstream(tree)
    broken.answer = lambda path, headers: golang.Answer(503, b"down for the day\n")
    comma = start_go(start_gateway(golang.settings(source, upstream=f"{empty.url},{broken.url},{source.url}")))
    comma.download("example.com/greet@v1.0.0").refused("down for the day")
    bar = start_go(start_gateway(golang.settings(source, upstream=f"{empty.url},{broken.url}|{source.url}")))
    bar.download("example.com/greet@v1.0.0").ok()
    nobody = f"http://127.0.0.1:{rig.free_port()}"
    gone = start_go(start_gateway(golang.settings(source, upstream=f"{nobody}|{source.url}")))
    gone.download("example.com/greet@v1.0.0").ok()


def test_a_folder_can_be_the_upstream(start_gateway, start_go, tree, tmp_path):
    folder = tree.write(tmp_path / "tree")
    gateway = start_gateway({"modules": {"upstream": f"file://{folder}", "sumdb": "off", "verify": "off"}})
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").ok()
    start_go(gateway).download("example.com/greet@v9.0.0").refused("404 Not Found")


def test_a_toolchain_comes_through_the_door(start_gateway, start_go, start_upstream):
    """The go command fetches another one as a module, and checks it with the database whatever GOSUMDB says."""
    tree, version = go_tree.Tree(), "v0.0.1-go1.999.9.linux-amd64"
    script = '#!/bin/sh\necho "go version go1.999.9 linux/amd64"\n'
    files = {
        "bin/go": script,
        "bin/gofmt": script,
        "pkg/tool/linux_amd64/asm": script,
        "lib/time/go_linux_exec": script,
        "VERSION": "go1.999.9\n",
        "src/_go.mod": "module std\n",
    }
    tree.add("golang.org/toolchain", version, files, go_mod="module golang.org/toolchain\n")
    database = golang.Database().add_tree(tree)
    gateway = start_gateway(golang.settings(start_upstream(tree, database)))
    go = start_go(gateway, database.key, GOTOOLCHAIN="go1.999.9", GOARCH="amd64", GOOS="linux")
    assert go("version").ok().out == "go version go1.999.9 linux/amd64\n"


def test_nothing_is_fetched_for_those_who_say_so(door, source):
    url = f"{door.url}/go/example.com/greet/@v/v1.0.0.zip"
    assert rig.http(url, headers={"disable-module-fetch": "true"}).status == 404
    assert not source.seen
    assert rig.http(url).status == 200
    assert rig.http(url, headers={"disable-module-fetch": "true"}).status == 200


def test_answers_may_be_kept_and_parts_of_zips_asked_for(door, tree):
    base = f"{door.url}/go/example.com/greet/@v"
    whole = rig.http(f"{base}/v1.0.0.zip")
    assert whole.body == tree.files["example.com/greet/@v/v1.0.0.zip"]
    assert "immutable" in whole.headers["cache-control"] and whole.headers["accept-ranges"] == "bytes"
    part = rig.http(f"{base}/v1.0.0.zip", headers={"range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.body)}"
    unchanged = rig.http(f"{base}/v1.0.0.zip", headers={"if-none-match": whole.headers["etag"]})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert rig.http(f"{base}/v1.0.0.zip", headers={"range": "bytes=999999999-"}).status == 416
    listed = rig.http(f"{base}/list")
    assert "immutable" not in listed.headers.get("cache-control", "")
    assert listed.headers["content-type"].lower() == "text/plain; charset=utf-8"


def test_calls_have_records_and_metrics(start_gateway, source):
    gateway = start_gateway(golang.settings(source, mounts=[{"prefix": "house"}]))
    for mount, tree in (("", "go"), ("/house", "house")):
        reply = rig.http(f"{gateway.url}/go{mount}/example.com/greet/@v/v1.0.0.zip")
        record = gateway.decision(reply.headers["x-tradewind-decision"])
        told = {name: record[name] for name in ("door", "operation", "model", "resolved", "outcome", "status")}
        assert told == {
            "door": "modules",
            "operation": "zip",
            "model": "example.com/greet@v1.0.0",
            "resolved": tree,
            "outcome": "ok",
            "status": 200,
        }
    assert rig.http(f"{gateway.url}/go/example.com/greet/@v/v1.9.9.mod").status == 404
    wanted = {
        'tradewind_calls_total{door="modules",operation="zip",model="go",outcome="ok",status="200"} 1',
        'tradewind_calls_total{door="modules",operation="zip",model="house",outcome="ok",status="200"} 1',
        'tradewind_calls_total{door="modules",operation="mod",model="go",outcome="rejected",status="404"} 1',
        "tradewind_module_zips_fetched_total 2",
    }

    def lines():
        told = rig.http(f"{gateway.url}/metrics").body.decode().splitlines()
        return [line for line in sorted(told) if line.startswith(("tradewind_calls_", "tradewind_module_"))]

    rig.until(lambda: wanted <= set(lines()), lines)


def test_a_catalog_and_an_index_of_what_is_kept(door, go):
    for version in ("example.com/greet@v1.0.0", "github.com/Masq/Upper@v1.0.0"):
        go.download(version).ok()
    catalog = rig.http(f"{door.url}/go/catalog")
    assert catalog.status == 200 and b"github.com/Masq/Upper" in catalog.body, catalog
    lines = [json.loads(line) for line in rig.http(f"{door.url}/go/index").body.splitlines()]
    assert {(line["Path"], line["Version"]) for line in lines} == {
        ("example.com/greet", "v1.0.0"),
        ("github.com/Masq/Upper", "v1.0.0"),
    }


@pytest.mark.parametrize("fixture", ["squid", "ntlm"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_modules_come_through_a_corporate_proxy(
    request, start_gateway, start_go, start_upstream, tree, database, fixture, tls, tmp_path
):
    """The proxy wants a login, which is the gateway's business; the go command behind it knows nothing of a proxy."""
    proxy = request.getfixturevalue(fixture)
    authority, certificate = golang.make_authority(tmp_path)
    source = start_upstream(tree, database, certificate=certificate if tls else None)
    more = {"tls-roots": str(authority)} if tls else {}
    gateway = start_gateway(golang.settings(source, via="corp", **more) | {"proxies": [proxy.named("corp")]})
    go = start_go(gateway, database.key)
    go.download("github.com/Masq/Upper@v1.0.0").ok()
    assert source.peers == {proxy.source}
    proxy_is_down = golang.settings(source, via="corp", **more) | {
        "proxies": [proxy.named("corp") | {"port": rig.free_port()}]
    }
    said = start_go(start_gateway(proxy_is_down)).download("example.com/greet@v1.0.0").refused("502 Bad Gateway")
    assert "corp" in said.out, said


def test_a_database_at_an_address_of_its_own(start_gateway, start_go, start_upstream, tree, database):
    """Behind a space stands where the database is asked; nobody else hears of it, and what it says counts."""
    modules, beside = start_upstream(tree), start_upstream(go_tree.Tree(), database)
    sumdb = f"{database.key} {beside.url}/sumdb/{database.name}"
    gateway = start_gateway({"modules": {"upstream": modules.url, "sumdb": sumdb}})
    go = start_go(gateway, database.key)
    go.download("github.com/Masq/Upper@v1.0.0").ok()
    assert f"against the checksum database {database.name}" in golang.why(gateway, "github.com/Masq/Upper@v1.0.0")
    assert beside.asked[f"sumdb/{database.name}/lookup/github.com/!masq/!upper@v1.0.0"]
    assert not [path for path, _ in modules.seen if path.startswith("sumdb/")], modules.seen
    modules.at["example.com/greet/@v/v1.0.0.zip"] = tree.files["example.com/greet/@v/v1.1.0.zip"]
    start_go(gateway).download("example.com/greet@v1.0.0").refused("403 Forbidden", "verifying")


def test_where_verification_is_wished_and_not_required(start_gateway, start_go, source, database):
    """What no database knows is given; what one speaks against is not."""
    base = "example.com/greet/@v/v1.0.0"
    source.at[f"sumdb/{database.name}/lookup/example.com/greet@v1.0.0"] = golang.Answer(404, b"not found\n")
    source.at[f"sumdb/{database.name}/lookup/example.com/greet@v1.1.0"] = golang.Answer(500, b"no\n")
    source.at["github.com/!masq/!upper/@v/v1.0.0.zip"] = source.tree.files[f"{base}.zip"]
    gateway = start_gateway(golang.settings(source, verify="when-possible"))
    for version in ("v1.0.0", "v1.1.0"):
        start_go(gateway).download(f"example.com/greet@{version}").ok()
    assert "no checksum database could be asked, or none knows it" in golang.why(gateway, "example.com/greet@v1.0.0")
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").refused("403 Forbidden", "verifying")
    # What was taken on trust is no longer given where it has to be verified.
    gateway.write(golang.settings(source, verify="required"))
    rig.until(lambda: rig.http(f"{gateway.url}/go/{base}.zip").status == 403, "it is still given")
