"""Zips that were made to deceive, from an upstream whose word nobody checks but the rules of zips: none is given or kept."""

import json

import pytest

import go_evil
import go_tree
import golang
import rig

MODULE, VERSION = "example.com/evil", "v1.2.3"
PLACE = f"{MODULE}/@v/{VERSION}.zip"
ZIPS = go_evil.evil(MODULE, VERSION)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An upstream, and a gateway that asks no checksum database; each test puts its zip in the place."""
    tree = go_tree.Tree()
    info = json.dumps({"Version": VERSION, "Time": go_tree.DAY}).encode()
    # Each mount is a tree of its own: what was refused in one is not remembered in the next.
    tree.put(MODULE, VERSION, info, f"module {MODULE}\n".encode(), None, "")
    upstream = golang.Upstream(tree)
    mounts = []
    for number, archive in enumerate(ZIPS.values()):
        mounts.append({"prefix": f"m{number}", "upstream": f"{upstream.url}/m{number}"})
        for ending in (".info", ".mod"):
            tree.files[f"m{number}/{MODULE}/@v/{VERSION}{ending}"] = tree.files[f"{MODULE}/@v/{VERSION}{ending}"]
        tree.files[f"m{number}/{PLACE}"] = archive
    gateway = rig.Gateway(tmp_path_factory.mktemp("zips"), golang.settings(upstream, mounts=mounts))
    yield gateway
    gateway.kill()
    upstream.close()


def test_there_are_more_than_twenty():
    assert len(ZIPS) > 21


@pytest.mark.parametrize("name", [name for name in ZIPS if name != "honest"])
def test_an_evil_zip(hostile, start_go, name):
    number = list(ZIPS).index(name)
    go = start_go(f"{hostile.url}/go/m{number}")
    reply = rig.http(f"{hostile.url}/go/m{number}/{PLACE}")
    assert (reply.status, reply.headers["content-type"].lower()) == (403, "text/plain; charset=utf-8"), reply
    reason = reply.body.decode().splitlines()[0]
    assert reason.startswith(f"verifying {MODULE}@{VERSION}: "), reason
    go.download(f"{MODULE}@{VERSION}").refused(
        "403 Forbidden", "server response:", json.dumps(reason, ensure_ascii=False)[1:-1]
    )
    assert not [row for row in golang.stored(hostile) if row["tree"] == f"m{number}"]
    told = [trace for trace in golang.traces(hostile, f"{MODULE}@{VERSION}") if trace["tree"] == f"m{number}"]
    assert told[0]["refused"]["reason"] == reason and not told[0]["kept"], told


def test_the_honest_one(hostile, start_go):
    number = list(ZIPS).index("honest")
    start_go(f"{hostile.url}/go/m{number}").download(f"{MODULE}@{VERSION}").ok()
    whole = rig.http(f"{hostile.url}/go/m{number}/{PLACE}")
    assert whole.body == ZIPS["honest"]
