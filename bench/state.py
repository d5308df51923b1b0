"""Measures state: reads of a warm key of 1 KB over HTTP, beside nginx serving a file of the same bytes; and the engines
beside what they are made of, by the benches of the crate `store`, which compare both sides in one run.

Only measuring; what follows from the numbers stands in state_report.py.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request

import loads
import rivals
from parties import HERE, Party, rig

CONNECTIONS = 16
# JSON of 1,024 bytes.
VALUE = json.dumps({"turn": 7, "text": "x" * 1001}).encode()
# Benches, and what of them a short run does.
COMPARED = {"embedded": ["wal"], "servers": ["redis"]}
# `sqlite, on disk, 64 callers : batches of 64    12345/s    23456/s    0.53  at least 0.8`
COMPARISON = re.compile(r"^(\S.*?)\s+(\d+)/s\s+(\d+)/s\s+([\d.]+)(?:\s+(?:at least|below) ([\d.]+))?", re.M)
# `    the last 50    134 us, 1.08 x (at most 2)`
BOUND = re.compile(r"^    (\S.*?)\s{2,}.*?([\d.]+) x \((?:at most|ABOVE) ([\d.]+)\)", re.M)


def start_nginx(folder):
    folder = folder / "nginx-state"
    (folder / "files").mkdir(parents=True)
    (folder / "files/value").write_bytes(VALUE)
    party = rivals.start_nginx_files(folder, "value")
    party.prefix = "/value"
    return party


def start_gateway(folder):
    program = rig.Gateway(folder / "state", {})
    address = program.url.removeprefix("http://")
    party = Party("Tradewind", address, address, program, prefix="/api/v1/state/bench/value")
    headers = {"if-none-match": "*", "content-type": "application/json"}
    request = urllib.request.Request(f"{program.url}{party.prefix}", VALUE, headers, method="PUT")
    urllib.request.urlopen(request, timeout=10).read()
    return party


def wrk(party, seconds):
    """One round: reads a second, and the processor time of the party for each."""
    before = party.cpu_seconds()
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s", f"http://{party.plain}{party.prefix}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    if re.search(r"Non-2xx or 3xx responses|Socket errors", done.stdout):
        raise AssertionError(f"{party.name}: {done.stdout}")
    used = party.cpu_seconds() - before
    party.settle()
    return {"per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)), "cpu_us": used / count * 1e6}


def read_loads(folder, rounds, seconds):
    found = {}
    with contextlib.ExitStack() as stack:
        nginx = start_nginx(folder)
        stack.callback(nginx.program.stop)
        ours = start_gateway(folder)
        stack.callback(ours.program.stop)
        for turn in range(rounds + 1):
            for party in loads.by_turns([nginx, ours], turn):
                one = wrk(party, seconds)
                # The first round warms up, and is thrown away.
                if turn:
                    found.setdefault(party.name, []).append(one)
            print(f"  state: round {turn} of {rounds}", file=sys.stderr)
        return {"nginx": nginx.version, "bytes": len(VALUE), "reads": found}


def bench(name, words=(), **environment):
    """What a bench of the crate `store` says. It fails where a bound of its own is missed, which the report says too."""
    command = ["cargo", "bench", "--quiet", "-p", "tradewind-store", "--bench", name, "--", *words]
    environment = os.environ | environment
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, timeout=1200, env=environment)
    print(f"  state: {name} done", file=sys.stderr)
    return done.stdout, f"{done.stdout}{done.stderr}"


def compared(name, words, **environment):
    said, everything = bench(name, words, **environment)
    rows = [
        {"what": what, "ours": int(ours), "theirs": int(theirs), "ratio": float(ratio), "least": float(least) if least else None}
        for what, ours, theirs, ratio, least in COMPARISON.findall(said)
    ]
    assert rows, everything
    return rows


def on_a_slow_disk(folder):
    """SQLite on disk again, where a sync takes 4 ms more for either side."""
    library = folder / "slow_sync.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "slow_sync.c", "-ldl"], check=True)
    rows = compared("embedded", ["disk"], LD_PRELOAD=str(library))
    return [row | {"what": row["what"].replace("on disk", "on a disk whose sync takes 4 ms")} for row in rows]


def conversations():
    """For each engine and way to grow: by how much each bound is kept."""
    said, everything = bench("conversation")
    found, name = {}, None
    for line in said.splitlines():
        if line and not line.startswith(" "):
            name = line.strip()
        elif bound := BOUND.match(line):
            what, ratio, most = bound.groups()
            found.setdefault(name, {})[what] = {"ratio": float(ratio), "most": float(most)}
    assert found, everything
    return found


def run(folder, rounds, seconds, short):
    found = read_loads(folder, rounds, seconds)
    found["compared"] = [row for name, few in COMPARED.items() for row in compared(name, few if short else [])]
    if not short:
        found["compared"] += on_a_slow_disk(folder)
    found["conversations"] = conversations()
    return found
