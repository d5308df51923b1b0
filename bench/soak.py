"""Keeps a gateway busy for ten minutes and fails when anything of it grows.

Two providers behind one model: one whose calls fail in many ways one time in ten, and a sound one. Plain calls, streams and
callers that go away in the middle, all the time. Afterwards: no call failed at a caller that stayed, memory is where it was
after the first fifth, no connection or file descriptor is left over, and the journal dropped nothing.

`soak.py --seconds 600`; SECONDS has to be at least 30.
"""

import argparse
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "clients"))

import parties  # noqa: E402
import rig  # noqa: E402

FAULTS = ["error-500", "reset-before-response", "truncated-json", "html-200", "error-event-first", "rate-limit-bare"]
# What memory may grow by after the first fifth: the allocator's own ups and downs, measured on runs without a leak.
ALLOWED_GROWTH_KIB = 12 * 1024
GONE = json.dumps({"model": "soak", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()


def start_load(address, stream, rate, seconds):
    command = [rig.binary("tradewind-sim"), "load", "--target", address, "--model", "soak", "--rounds", "1", "--json"]
    command += ["--rate", str(rate), "--lasting", f"{seconds}s", *(["--stream"] if stream else [])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def keep_leaving(address, stop):
    """Callers that go away after the first bytes of a stream."""
    host, port = address.split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(GONE)}\r\n\r\n".encode() + GONE
    while not stop.wait(0.05):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(request)
            connection.recv(200)


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    seconds = max(30, parser.parse_args().seconds)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        faulty_arguments = [part for fault in FAULTS for part in ("--error-fault", fault)]
        faulty, faulty_at = rig.start_sim(folder, "--name", "faulty", "--error-rate", "0.1", *faulty_arguments)
        sound, sound_at = rig.start_sim(folder, "--name", "sound")
        stack.callback(faulty.kill)
        stack.callback(sound.kill)
        config = {
            "providers": [rig.provider("faulty", "openai", faulty_at), rig.provider("sound", "openai", sound_at)],
            "models": [rig.model("soak", "faulty/one", "sound/two", retry={"extra": 0.2})],
            "journal": {"max-size": "8MiB"},
        }
        gateway = rig.Gateway(folder / "gateway", config)
        stack.callback(gateway.kill)
        address = gateway.url.removeprefix("http://")
        before = descriptors(gateway.pid)
        stop = threading.Event()
        leaver = threading.Thread(target=keep_leaving, args=(address, stop), daemon=True)
        leaver.start()
        loads = [start_load(address, stream, rate, seconds) for stream, rate in ((False, 400), (True, 100))]
        samples = []
        began = time.monotonic()
        while any(load.poll() is None for load in loads):
            time.sleep(max(1, seconds / 120))
            samples.append((time.monotonic() - began, parties.memory_kib(gateway.pid, "RssAnon")))
        stop.set()
        leaver.join()
        reports = [json.loads(load.communicate()[0]) for load in loads]
        status = rig.http(f"{gateway.url}/api/v1/status").json()

        def settled():
            return descriptors(gateway.pid) <= before + 300 and status_of(gateway)["connections"] <= 1

        gateway.wait_until(settled, "free of the callers' connections", 30)
        check(samples, reports, status, seconds)
        gateway.stop()


def status_of(gateway):
    return rig.http(f"{gateway.url}/api/v1/status").json()


def check(samples, reports, status, seconds):
    settled = [memory for at, memory in samples if seconds / 5 <= at <= seconds * 2 / 5]
    late = [memory for at, memory in samples if at >= seconds * 4 / 5]
    growth = sorted(late)[len(late) // 2] - sorted(settled)[len(settled) // 2]
    print(f"memory: {sorted(settled)[len(settled) // 2]} KiB early, {sorted(late)[len(late) // 2]} KiB late")
    wrong = []
    if growth > ALLOWED_GROWTH_KIB:
        wrong.append(f"memory grew by {growth} KiB: {samples}")
    for report in reports:
        target = report.get("target", report)
        print(f"calls: {target['ok']} good, {target['failed']} failed {target['failures']}")
        if target["failed"] or target["ok"] < seconds * 50:
            wrong.append(f"calls failed, or too few were made: {target}")
    if status["journal"]["dropped"]:
        wrong.append(f"the journal dropped records: {status}")
    if wrong:
        sys.exit("\n".join(wrong))
    print("soak: passed")


if __name__ == "__main__":
    main()
