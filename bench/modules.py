"""Measures the modules door: warm zips beside nginx serving the same files, `go mod download` of a large tree beside the same
tree over file://, and many callers of one cold zip.

Every zip is checked against a checksum database before it is stored. Only measuring; what follows from the numbers stands in
modules_report.py.
"""

import concurrent.futures
import contextlib
import hashlib
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile

import loads
import parties
import rivals
from parties import HERE, Party, rig

sys.path.insert(0, str(HERE.parent / "tests" / "rigs"))

import go_sumdb  # noqa: E402
import go_tree  # noqa: E402
import golang  # noqa: E402

# Of a small module, a usual one, and golang.org/x/text; and of the largest that people meet.
SIZES = {"20 KB": 20_000, "200 KB": 200_000, "8 MB": 8_000_000, "50 MiB": 50 << 20}
CONNECTIONS = 16
MODULES = 200
CALLERS = 64


def zips():
    """A tree with one module of each size, of bytes that no compression makes smaller."""
    tree = go_tree.Tree()
    for number, size in enumerate(SIZES.values()):
        files = {"data.bin": random.Random(number).randbytes(size)}
        tree.add(f"example.com/z{number}", "v1.0.0", files, method=zipfile.ZIP_STORED)
    return tree


def path_of(number):
    return f"example.com/z{number}/@v/v1.0.0.zip"


@contextlib.contextmanager
def gateway(folder, tree, name, **settings):
    """A gateway in front of an upstream with this tree and its database."""
    upstream = golang.Upstream(tree, go_sumdb.Database().add_tree(tree))
    program = rig.Gateway(folder / name, golang.settings(upstream, **settings))
    try:
        yield program, upstream
    finally:
        program.stop()
        upstream.close()


def start_nginx(folder, tree):
    folder = folder / "nginx-files"
    tree.write(folder / "files")
    return rivals.start_nginx_files(folder, path_of(0))


def wrk(party, path, seconds):
    """One round: bytes a second, and the processor time of the party for each GiB."""
    before = party.cpu_seconds()
    command = [
        "wrk",
        "-t",
        "1",
        "-c",
        str(CONNECTIONS),
        "-d",
        f"{max(1, round(seconds))}s",
        f"http://{party.plain}{party.prefix}/{path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rate, unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", done.stdout).groups()
    read = re.search(r"([\d.]+)([KMG]?)B read", done.stdout).groups()
    scale = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    gib = float(read[0]) * scale[read[1]] / 2**30
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    socket_errors = re.search(r"Socket errors: .*", done.stdout)
    if failed or socket_errors:
        raise AssertionError(f"{party.name}: {done.stdout}")
    used = party.cpu_seconds() - before
    party.settle()
    return {"mib_per_second": float(rate) * scale[unit] / 2**20, "cpu_ms_per_gib": used / gib * 1e3}


def warm_zips(folder, rounds, seconds):
    tree, found = zips(), {}
    with contextlib.ExitStack() as stack:
        nginx = start_nginx(folder, tree)
        stack.callback(nginx.program.stop)
        program, _ = stack.enter_context(gateway(folder, tree, "warm"))
        address = program.url.removeprefix("http://")
        ours = Party("Tradewind", address, address, program, prefix="/go")
        for number, _ in enumerate(SIZES):
            reply = rig.http(f"{program.url}/go/{path_of(number)}")
            assert reply.body == tree.files[path_of(number)], reply.status
        for turn in range(rounds + 1):
            for number, size in enumerate(SIZES):
                for party in loads.by_turns([nginx, ours], turn):
                    one = wrk(party, path_of(number), seconds)
                    # The first round warms up, and is thrown away.
                    if turn:
                        found.setdefault(size, {}).setdefault(party.name, []).append(one)
            print(f"  zips: round {turn} of {rounds}", file=sys.stderr)
        return found, nginx.version


def download(folder, tree, proxy, name):
    """Seconds that `go mod download` takes with an empty module cache, and the sums known."""
    go = golang.Go(folder / name, proxy)
    requires = "".join(f"\t{path} {version}\n" for path, version in sorted(tree.sums))
    go.write("go.mod", f"module m\n\ngo 1.20\n\nrequire (\n{requires})\n")
    go.write("go.sum", tree.go_sum())
    began = time.monotonic()
    go("mod", "download").ok()
    took = time.monotonic() - began
    shutil.rmtree(go.folder)
    return took


def downloads(folder, rounds):
    """The same tree through the gateway, which has it, and over file://."""
    tree = go_tree.many(MODULES)
    files = tree.write(folder / "tree")
    found = {"file://": [], "Tradewind": []}
    with gateway(folder, tree, "many") as (program, _):
        proxies = {"file://": f"file://{files}", "Tradewind": f"{program.url}/go"}
        cold = download(folder, tree, proxies["Tradewind"], "cold")
        download(folder, tree, proxies["file://"], "warms-up")
        for turn in range(rounds):
            for name in loads.by_turns(list(proxies), turn):
                found[name].append(download(folder, tree, proxies[name], f"d{turn}"))
    return {"modules": len(tree.sums), "bytes": sum(map(len, tree.files.values())), "cold": cold, "seconds": found}


def callers_of_one(folder, release):
    """Many callers of one cold zip of 50 MiB: fetches upstream, and memory above what the gateway had."""
    tree = zips()
    path = path_of(len(SIZES) - 1)
    wanted = hashlib.sha256(tree.files[path]).hexdigest()
    with gateway(folder, tree, f"cold-{release}", release=release) as (program, upstream):
        rig.http(f"{program.url}/go/example.com/z0/@v/list")
        pathlib.Path(f"/proc/{program.pid}/clear_refs").write_text(
            "5"
        )  # the peak counts from here: proc_pid_clear_refs(5)
        before = parties.memory_kib(program.pid)

        def ask(_):
            digest = hashlib.sha256()
            with urllib.request.urlopen(f"{program.url}/go/{path}", timeout=120) as answer:
                while piece := answer.read(1 << 18):
                    digest.update(piece)
            return digest.hexdigest() == wanted

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:
            right = sum(callers.map(ask, range(CALLERS)))
        took = time.monotonic() - began
        peak = parties.memory_kib(program.pid, "VmHWM")
        return {"callers": CALLERS, "right": right, "fetches": upstream.asked[path], "idle_kib": before,
                "above_kib": peak - before, "seconds": took}  # fmt: skip


def run(folder, rounds, seconds, short):
    zips_found, nginx = warm_zips(folder, rounds, seconds)
    return {
        "nginx": nginx,
        "zips": zips_found,
        "downloads": downloads(folder, 2 if short else 7),
        "callers": {release: callers_of_one(folder, release) for release in ("checked", "streaming")},
    }
