"""Measures what Tradewind takes besides time: memory with streams held open, starting, reloading under load."""

import concurrent.futures
import contextlib
import json
import pathlib
import signal
import socket
import sqlite3
import time

import loads
import parties
import tradewind
from parties import rig


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
    head += f"authorization: Bearer {tradewind.SECRET}\r\n"
    connection.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
    seen = b""
    while b"data:" not in seen:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"the stream ended: {seen[:300]!r}")
        seen += piece
    return connection


def held_streams(folder, counts):
    """The gateway's own memory with idle streams held open, KiB; keys on, plain text on both sides."""
    # One token comes at once, the next in a quarter of an hour.
    sim, upstream = parties.start_upstream(folder, "--tokens-per-second", "0.001")
    gateway = tradewind.start_keyed(folder, upstream, "held").program
    measured = [{"streams": 0, **parties.memory(gateway.pid)}]
    streams = []
    try:
        for count in counts:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                more = pool.map(lambda _: open_stream(gateway.url.removeprefix("http://")), range(count - len(streams)))
                streams += list(more)
            # Whatever was needed only for beginning is given back within a moment.
            time.sleep(2)
            measured.append({"streams": count, **parties.memory(gateway.pid)})
    finally:
        for stream in streams:
            stream.close()
        gateway.kill()
        sim.kill()
    return measured


def reload_under_load(folder, upstream, seconds):
    """Sixteen callers while the file changes and SIGHUP is sent every 100 ms; and the same without changes."""
    party = tradewind.start(folder, upstream, name="reload")
    gateway, config = party.program, tradewind.config(upstream)
    scenario = loads.Scenario("reload")
    quiet = loads.load(party, scenario, seconds, warm_up=0.3)
    reloads = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        busy = pool.submit(loads.load, party, scenario, seconds, 0.3)
        while not busy.done():
            reloads += 1
            extra = rig.model(f"generation-{reloads}", "bench/bench")
            gateway.write(config | {"models": [*config["models"], extra]})
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)

    def models():
        return [model["id"] for model in rig.http(f"{gateway.url}/v1/models").json()["data"]]

    # The last change is in force within a moment; were it not, the load would have proved nothing.
    gateway.wait_until(lambda: f"generation-{reloads}" in models(), f"reloaded {reloads} times")
    gateway.stop()
    return {"changes": reloads, "quiet": quiet, "busy": busy.result()}


def journal(party):
    """How many calls are on record; whatever is missing was dropped."""
    time.sleep(1)
    path = next(pathlib.Path(party.program.data).rglob("journal.db"))
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        records = file.execute("SELECT sum(count) FROM blocks").fetchone()[0]
    status = rig.http(f"{party.program.url}/api/v1/status", headers=party.headers).json()
    return {"records": records, "bytes": path.stat().st_size, "dropped": status["journal"]["dropped"]}


def counters(party, *parts):
    """The counters in a party's metrics whose names hold one of `parts`, summed over their labels."""
    reply = rig.http(party.metrics, headers=party.headers)
    found = {}
    for line in reply.body.decode().splitlines():
        if line.startswith("#") or not any(part in line for part in parts):
            continue
        name, value = line.split(" # ")[0].rsplit(" ", 1)
        name = name.split("{")[0]
        found[name] = found.get(name, 0) + float(value)
    return found
