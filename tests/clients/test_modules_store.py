"""What is kept on disk stays whole: under kill -9, on a full disk, with eviction going on, and with many who ask at once."""

import concurrent.futures
import contextlib
import hashlib
import http.client
import os
import pathlib
import random
import re
import threading
import time
import urllib.request
import zipfile

import pytest

import go_sumdb
import go_tree
import golang
import rig
from golang import Answer


def noise(seed, size):
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def bulky(count, size):
    """A tree of modules with a file of so many bytes each."""
    tree = go_tree.Tree()
    for number in range(count):
        tree.add(f"example.com/b{number:03}", "v1.0.0", {"data.bin": noise(number, size)}, method=zipfile.ZIP_STORED)
    return tree


def files_of(tree):
    return [path for path in tree.files if path.endswith((".info", ".mod", ".zip"))]


def get(url, timeout=30):
    """What is there, or None when the gateway went away meanwhile."""
    try:
        return rig.http(url, timeout=timeout)
    except (OSError, http.client.HTTPException):
        return None


def storm(gateway, tree, chance, stop):
    """Asks for everything in no order, by sixteen at once, until `stop`; returns what was wrong."""
    wrong = []

    def ask():
        own = random.Random(chance.random())
        while not stop.is_set():
            path = own.choice(files_of(tree))
            reply = get(f"{gateway.url}/go/{path}")
            if reply and (reply.status, reply.body) != (200, tree.files[path]):
                wrong.append((path, reply.status, reply.body[:200]))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    return threads, wrong


def killed_over_and_over(start_gateway, start_upstream, rounds, longest):
    tree = bulky(40, 300_000)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    chance = random.Random(7)
    gateway = start_gateway(golang.settings(upstream))
    for number in range(rounds):
        stop = threading.Event()
        threads, wrong = storm(gateway, tree, chance, stop)
        time.sleep(chance.uniform(0.02, longest))
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong, wrong[:3]
        verified = golang.tradewind("modules", "verify", "--json", "-f", gateway.file).ok().json()
        assert not verified["damaged"], f"round {number}: {verified}"
        gateway = start_gateway(golang.settings(upstream), folder=gateway.folder)
    for path in files_of(tree):
        reply = rig.http(f"{gateway.url}/go/{path}")
        assert (reply.status, reply.body) == (200, tree.files[path])
    verified = golang.tradewind("modules", "verify", "--json", "-f", gateway.file).ok().json()
    assert (verified["good"], verified["damaged"]) == (40, [])
    assert not [path for path in (gateway.data / "modules/incoming").rglob("*") if path.is_file()], "left over"
    whole = sum(len(data) for path, data in tree.files.items() if path.endswith(".zip"))
    on_disk = sum(path.stat().st_size for path in golang.blobs(gateway))
    assert on_disk == whole, "what was broken off is still there"


def test_kill_9_in_a_storm_of_downloads(start_gateway, start_upstream):
    killed_over_and_over(start_gateway, start_upstream, rounds=5, longest=0.4)


@pytest.mark.modules
@pytest.mark.timeout(600)
def test_kill_9_fifty_times(start_gateway, start_upstream):
    killed_over_and_over(start_gateway, start_upstream, rounds=50, longest=0.6)


def on_small_disk(size):
    """Words in front of a gateway's command line, by which its data directory is a disk of its own, of this size."""
    script = f'mkdir -p "$0" && mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    return lambda folder: ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder / "data")]


def test_a_full_disk(start_gateway, start_go, start_upstream, tmp_path):
    tree = bulky(12, 2 << 20)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    folder = tmp_path / "small"
    gateway = start_gateway(golang.settings(upstream), folder=folder, through=on_small_disk("16m")(folder))
    # What keeps room for the journal, which lies on the same disk, until its record is looked at; too little for a zip.
    kept = pathlib.Path(f"/proc/{gateway.pid}/root{folder}/kept")
    kept.write_bytes(bytes(500_000))
    given, refused = [], []
    for number in range(12):
        path = f"example.com/b{number:03}/@v/v1.0.0.zip"
        reply = rig.http(f"{gateway.url}/go/{path}")
        (given if reply.status == 200 else refused).append(path)
        if reply.status != 200:
            assert reply.status == 500 and b"the disk of the module proxy is full" in reply.body, reply
            assert reply.headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert len(given) >= 4 and refused, (given, refused)
    last = refused[-1].partition("/@v/")[0]
    start_go(gateway).download(f"{last}@v1.0.0").refused(
        "500 Internal Server Error", "the disk of the module proxy is full"
    )
    # What is there is given all the same, and so are answers that take no room.
    for path in given:
        assert rig.http(f"{gateway.url}/go/{path}").body == tree.files[path]
    assert rig.http(f"{gateway.url}/go/example.com/b000/@v/list").status == 200
    assert rig.http(f"{gateway.url}/livez").status == 200
    kept.unlink()
    # To the caller it is an honest 500; whoever looks after the gateway sees what it is, where, and the system's words.
    record = gateway.decision(rig.http(f"{gateway.url}/go/{refused[-1]}").headers["x-tradewind-decision"])
    assert (record["status"], record["code"], record["fault"]) == (500, "TW6006", "storage"), record
    assert record["detail"].startswith("507 Insufficient Storage: the disk is full: "), record
    assert str(folder / "data/modules") in record["detail"] and "No space left on device" in record["detail"], record


def test_the_oldest_goes_and_pins_stay(start_gateway, start_upstream):
    tree = bulky(20, 500_000)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    cache = {"max-size": "4MB", "pins": ["example.com/b000", "example.com/b001@v1.0.0"]}
    gateway = start_gateway(golang.settings(upstream, cache=cache))
    for number in range(20):
        assert rig.http(f"{gateway.url}/go/example.com/b{number:03}/@v/v1.0.0.zip").status == 200
    rig.until(lambda: sum(row["size"] for row in sizes(gateway)) <= 4_000_000, lambda: sizes(gateway), 20)
    names = {row["module"] for row in golang.stored(gateway)}
    assert {"example.com/b000", "example.com/b001", "example.com/b019"} <= names and "example.com/b002" not in names
    # What went comes again.
    assert rig.http(f"{gateway.url}/go/example.com/b002/@v/v1.0.0.zip").status == 200
    assert upstream.asked["example.com/b002/@v/v1.0.0.zip"] == 2
    assert upstream.asked["example.com/b000/@v/v1.0.0.zip"] == 1


def sizes(gateway):
    found = []
    for path in golang.blobs(gateway):
        # The gateway may remove it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            found.append({"size": path.stat().st_size})
    return found


def test_the_commands_look_after_the_store(start_gateway, start_upstream, tmp_path):
    tree = bulky(6, 100_000)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    gateway = start_gateway(golang.settings(upstream))
    go_sum = tmp_path / "go.sum"
    go_sum.write_text(tree.go_sum())
    warmed = golang.tradewind("modules", "warm", "--go-sum", go_sum, "--url", gateway.url).ok()
    assert "6 versions" in warmed.err
    assert len(golang.stored(gateway)) == 6
    listed = golang.tradewind("modules", "list", "example.com/b00[0-2]", "-f", gateway.file).ok()
    assert listed.out.count("example.com/b00") == 3
    # One bit of one zip.
    damaged = golang.blobs(gateway)[0]
    os.chmod(damaged, 0o600)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    said = golang.tradewind("modules", "verify", "-f", gateway.file).refused("1 version damaged")
    broken = re.search(r"(example\.com/b\d+)@v1\.0\.0", said.out).group(1)
    # It was put aside, and comes anew from upstream, when the second is over for which memory is believed.
    path = f"{broken}/@v/v1.0.0.zip"

    def comes_anew():
        assert rig.http(f"{gateway.url}/go/{path}").body == tree.files[path]
        return upstream.asked[path] == 2

    rig.until(comes_anew, "the gateway goes on giving what was put aside")
    golang.tradewind("modules", "verify", "-f", gateway.file).ok()
    pruned = golang.tradewind("modules", "prune", "--to", "250KB", "-f", gateway.file).ok()
    assert sum(row["size"] for row in sizes(gateway)) <= 250_000, pruned


def memory(pid, name):
    """A number of kibibytes from the status of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1))


@pytest.mark.parametrize("release", ["checked", "streaming"])
def test_64_callers_of_one_cold_zip_make_one_fetch(start_gateway, start_upstream, release):
    """50 MiB, asked for by 64 at once: one request upstream, and no more than 40 MiB above what the gateway had."""
    tree = bulky(1, 50 << 20)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    gateway = start_gateway(golang.settings(upstream, release=release))
    path = "example.com/b000/@v/v1.0.0.zip"
    wanted = hashlib.sha256(tree.files[path]).hexdigest()
    rig.http(f"{gateway.url}/go/example.com/b000/@v/list")
    pathlib.Path(f"/proc/{gateway.pid}/clear_refs").write_text("5")
    before = memory(gateway.pid, "VmRSS")

    def ask(_):
        digest = hashlib.sha256()
        with urllib.request.urlopen(f"{gateway.url}/go/{path}", timeout=80) as answer:
            while piece := answer.read(1 << 18):
                digest.update(piece)
        return digest.hexdigest()

    with concurrent.futures.ThreadPoolExecutor(64) as callers:
        assert set(callers.map(ask, range(64))) == {wanted}
    assert upstream.asked[path] == 1
    above = memory(gateway.pid, "VmHWM") - before
    assert above <= 40 << 10, f"{above / 1024:.1f} MiB above {before / 1024:.1f} MiB"


def test_many_prefixes_that_are_not_there_are_cheap(start_gateway, start_upstream, tree):
    """The go command probes every prefix of a path: what was not there a moment ago is not asked for again."""
    upstream = start_upstream(tree)
    gateway = start_gateway(golang.settings(upstream))
    probes = ["github.com", "github.com/a", "github.com/a/b", "github.com/a/b/c"]
    for _ in range(5):
        for probe in probes:
            assert rig.http(f"{gateway.url}/go/{probe}/@v/list").status == 404
    assert sum(upstream.asked.values()) == len(probes)


def test_several_files_of_a_version_are_one_fetch_each(start_gateway, start_upstream):
    """All three come together when one is asked for, and by whoever asks."""
    tree = bulky(1, 1000)
    upstream = start_upstream(tree, go_sumdb.Database().add_tree(tree))
    gateway = start_gateway(golang.settings(upstream))
    with concurrent.futures.ThreadPoolExecutor(24) as callers:
        urls = [f"{gateway.url}/go/{path}" for path in files_of(tree)] * 8
        assert {reply.status for reply in callers.map(rig.http, urls)} == {200}
    assert [upstream.asked[path] for path in files_of(tree)] == [1, 1, 1]
    gateway.stop()
    upstream.at = {path: Answer(500) for path in files_of(tree)}
    again = start_gateway(golang.settings(upstream), folder=gateway.folder)
    assert {rig.http(f"{again.url}/go/{path}").status for path in files_of(tree)} == {200}
