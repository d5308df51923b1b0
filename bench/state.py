"""Measures reads of state: a warm key of 1 KB over HTTP, beside nginx serving a file of the same bytes.

Only measuring; what follows from the numbers stands in state_report.py.
"""

import contextlib
import json
import re
import subprocess
import sys
import urllib.request

import loads
import rivals
from parties import Party, rig

CONNECTIONS = 16
# JSON of 1,024 bytes.
VALUE = json.dumps({"turn": 7, "text": "x" * 1001}).encode()


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


def run(folder, rounds, seconds):
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
