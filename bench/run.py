"""Measures Tradewind against the upstream called directly, nginx and Envoy, in one run on one machine.

Rounds alternate between the parties, so that what drifts on the machine hits all alike; every figure is the median over
the rounds, and every ratio is taken within a round. Writes bench/RESULTS.md, and the raw numbers to bench/out.

`run.py` takes about seven minutes; `--short` one, and writes only to bench/out. `make bench` builds what is needed.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

import parties
import report
import rig

SCENARIOS = [
    {"name": "1 caller, plain", "callers": 1, "stream": False},
    {"name": "16 callers, plain", "callers": 16, "stream": False},
    {"name": "1 caller, streams", "callers": 1, "stream": True},
    {"name": "16 callers, streams", "callers": 16, "stream": True},
]


def load(address, callers, stream, lasting, warm_up="300ms"):
    """One load by the generator; its report."""
    command = [
        *(rig.binary("tradewind-sim"), "load", "--target", address, "--callers", callers, "--model", "bench"),
        *("--lasting", lasting, "--warm-up", warm_up, "--json", *(["--stream"] if stream else [])),
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"the load generator failed: {done.stderr}")
    return json.loads(done.stdout)


def wrk(address, folder, seconds):
    """Calls a second by wrk with 16 connections: a second opinion by somebody else's generator."""
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1024})
    script = folder / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = {json.dumps(body)}\nwrk.headers['content-type'] = 'application/json'\n"
    )
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(script), f"http://{address}/v1/chat/completions"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"wrk saw errors at {address}:\n{done.stdout}")
    return float(next(line.split()[1] for line in done.stdout.splitlines() if "Requests/sec" in line))


def measure_parties(running, scenarios, rounds, lasting):
    """All rounds of all scenarios; for each scenario and party the list of its rounds."""
    results = {scenario["name"]: {party.name: [] for party in running} for scenario in scenarios}
    for number in range(rounds):
        for scenario in scenarios:
            # Who goes first changes with the round.
            turn = number % len(running)
            for party in running[turn:] + running[:turn]:
                before = party.cpu_seconds()
                address = party.address(scenario["stream"])
                measured = load(address, scenario["callers"], scenario["stream"], lasting, "0ms")
                # The first round is the warm-up of all: connections, caches, breakers.
                cpu = party.cpu_seconds() - before
                calls = measured["ok"] + measured["failed"]
                measured["cpu_us_per_call"] = cpu / max(calls, 1) * 1e6
                if measured["failed"]:
                    print(f"  {party.name}: {measured['failed']} failed: {measured['failures']}", file=sys.stderr)
                results[scenario["name"]][party.name].append(measured)
            print(f"  round {number + 1} of {rounds}: {scenario['name']}", file=sys.stderr)
    return results


def start_to_ready(folder, upstream, targets, times):
    """Milliseconds from starting the process to its first 200 on /readyz, with this many targets."""
    config = {
        "providers": [rig.provider(f"p{number}", "openai", upstream, discover=False) for number in range(10)],
        "models": [rig.model(f"model-{number}", f"p{number % 10}/target-{number}") for number in range(targets)],
    }
    took = []
    for attempt in range(times):
        began = time.monotonic()
        # `Gateway` waits for the line that names the address, polling every 10 ms.
        gateway = rig.Gateway(folder / f"start-{targets}-{attempt}", config)
        listening = time.monotonic() - began
        while rig.http(f"{gateway.url}/readyz").status != 200:
            time.sleep(0.001)
        took.append({"listening_ms": listening * 1e3, "ready_ms": (time.monotonic() - began) * 1e3})
        gateway.stop()
    return took


def open_stream(address):
    """A connection with a stream on it whose first event has come."""
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
    connection.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
    seen = b""
    while b"data:" not in seen:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"the stream ended: {seen[:300]!r}")
        seen += piece
    return connection


def held_streams(folder, counts):
    """The gateway's own memory with idle streams held open, KiB; plain text on both sides."""
    # One token comes at once, the next in a quarter of an hour.
    sim, upstream = parties.start_upstream(folder, "--tokens-per-second", "0.001")
    gateway = parties.start_tradewind(folder, upstream, name="held").program
    measured = [{"streams": 0, **memory(gateway.pid)}]
    streams = []
    try:
        for count in counts:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                more = pool.map(lambda _: open_stream(gateway.url.removeprefix("http://")), range(count - len(streams)))
                streams += list(more)
            # Whatever was needed only for beginning is given back within a moment.
            time.sleep(2)
            measured.append({"streams": count, **memory(gateway.pid)})
    finally:
        for stream in streams:
            stream.close()
        gateway.kill()
        sim.kill()
    return measured


def memory(pid):
    return {"rss_kib": parties.memory_kib(pid), "anonymous_kib": parties.memory_kib(pid, "RssAnon")}


def reload_under_load(folder, upstream, seconds):
    """Sixteen callers while the file changes and SIGHUP is sent every 100 ms; and the same without changes."""
    gateway = parties.start_tradewind(folder, upstream, name="reload")
    config = parties.tradewind_config(upstream)
    quiet = load(gateway.plain, 16, False, f"{seconds}s")
    reloads = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        busy = pool.submit(load, gateway.plain, 16, False, f"{seconds}s")
        while not busy.done():
            reloads += 1
            extra = rig.model(f"generation-{reloads}", "bench/bench")
            gateway.program.write(config | {"models": [*config["models"], extra]})
            gateway.program.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
    # The last change is in force within a moment; were it not, the load would have proved nothing.
    gateway.program.wait_until(lambda: f"generation-{reloads}" in models_of(gateway), f"reloaded {reloads} times")
    gateway.program.stop()
    return {"changes": reloads, "quiet": quiet, "busy": busy.result()}


def models_of(gateway):
    return [model["id"] for model in rig.http(f"{gateway.program.url}/v1/models").json()["data"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a minute, to see that all of it works; no RESULTS.md")
    parser.add_argument("--rounds", type=int, help="rounds of each party in each scenario (default 9)")
    parser.add_argument("--only-load", action="store_true", help="no memory, start and reload")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (2 if arguments.short else 9)
    lasting = "500ms" if arguments.short else "2s"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryDirectory(prefix="tradewind-bench-") as scratch:
        folder = pathlib.Path(scratch)
        found = {"machine": parties.machine(), "rounds": rounds, "lasting": lasting}
        found["at"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        sim, upstream = parties.start_upstream(folder, "--bench")
        running = [
            parties.Party("direct", upstream, upstream),
            parties.start_nginx(folder, upstream),
            parties.start_envoy(folder, upstream),
            parties.start_tradewind(folder, upstream),
        ]
        tradewind = running[-1]
        try:
            found["versions"] = {party.name: party.version for party in running if party.version}
            time.sleep(1)
            found["idle"] = {party.name: sum_memory(party) for party in running if party.program}
            measure_parties(running, SCENARIOS, 1, "500ms")  # warms everything up; thrown away
            found["load"] = measure_parties(running, SCENARIOS, rounds, lasting)
            found["wrk"] = {
                party.name: [wrk(party.plain, folder, 1 if arguments.short else 3) for _ in range(min(rounds, 3))]
                for party in running
            }
            found["after_load"] = {party.name: sum_memory(party) for party in running if party.program}
            found["journal"] = journal(tradewind)
        finally:
            for party in running:
                if party.program:
                    # Told, not killed: nginx's workers would outlive their master.
                    party.program.stop()
        if not arguments.only_load:
            found["held"] = held_streams(folder, [1000] if arguments.short else [1000, 4000])
            found["start"] = {
                str(targets): start_to_ready(folder, upstream, targets, 2 if arguments.short else 7)
                for targets in (1, 1000)
            }
            found["reload"] = reload_under_load(folder, upstream, 2 if arguments.short else 6)
        sim.kill()

    out = pathlib.Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    parties.dump(out / "last.json", found)
    text = report.render(found)
    if arguments.short or arguments.only_load:
        print(text)
    else:
        (pathlib.Path(__file__).parent / "RESULTS.md").write_text(text)
        print("written to bench/RESULTS.md", file=sys.stderr)
    failed = sum(r["failed"] for by_party in found["load"].values() for rounds in by_party.values() for r in rounds)
    return 1 if failed else 0


def sum_memory(party):
    """All processes of a party together, in KiB."""
    return {what: sum(memory(pid)[what] for pid in party.pids()) for what in ("rss_kib", "anonymous_kib")}


def journal(tradewind):
    """How many calls are on record; whatever is missing was dropped."""
    import contextlib
    import sqlite3

    time.sleep(1)
    path = next(pathlib.Path(tradewind.program.data).rglob("journal.db"))
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        records = file.execute("SELECT sum(count) FROM blocks").fetchone()[0]
    dropped = rig.http(f"{tradewind.program.url}/api/v1/status").json()["journal"]["dropped"]
    return {"records": records, "bytes": os.path.getsize(path), "dropped": dropped}


if __name__ == "__main__":
    sys.exit(main())
