"""Starts the programs that the tests talk to, waits until they listen, and stops them again.

Nothing here knows what is tested. Every program is bound to a free port of 127.0.0.1 and writes its output to a file that
is shown when something goes wrong.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("TRADEWIND_PEERS") or pathlib.Path.home() / ".cache/tradewind/peers")
START_LIMIT = 60.0


def binary(name):
    """The path of one of our own binaries; `make` says where they are."""
    variable = {"tradewind": "TRADEWIND_BIN", "tradewind-sim": "TRADEWIND_SIM_BIN"}[name]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    path = pathlib.Path(os.environ.get(variable) or target / "debug" / name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built; run: cargo build -p tradewind -p tradewind-sim --bins")
    return str(path)


def own_ports():
    """Ports that are given once, and by this process alone: it has a hundred for itself as long as it holds the first of them."""
    held = []
    while True:
        first = socket.socket()
        try:
            first.bind(("127.0.0.1", random.randrange(12_000, 32_000, 100)))
        except OSError:
            first.close()
            continue
        held.append(first)
        start = first.getsockname()[1]
        yield from range(start + 1, start + 100)


PORTS = own_ports()


def free_port():
    """A port that nobody listens on now, for programs that cannot choose one themselves and say so. No call gives it again.

    It lies below those that systems give to connections: none takes it before the program listens.
    """
    while True:
        port = next(PORTS)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


def mihomo(folder, log):
    """mihomo with the configuration of `folder`.

    It closes connections that come from the address of one of its own, port included, although the two may go to different
    places; so it is told not to.
    """
    return Program([PEERS / "mihomo/mihomo", "-d", folder], log, {"DISABLE_LOOPBACK_DETECTOR": "true"})


def until(happened, what, limit=30):
    """Polls `happened` and returns what it says at last; fails after `limit` seconds. `what` may be made then."""
    deadline = time.monotonic() + limit
    while not (found := happened()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.01)
    return found


class Program:
    """A running program, and what it has printed."""

    def __init__(self, arguments, log, environment=None):
        self.log = pathlib.Path(log)
        self.arguments = [str(argument) for argument in arguments]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=(os.environ | environment) if environment else None,
            )

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def failed(self, why):
        return AssertionError(f"{' '.join(self.arguments)}: {why}\n--- its output\n{self.output()}")

    def wait_until(self, ready, what, limit=START_LIMIT):
        """Polls `ready` until it returns something; fails when the program ends or `limit` seconds pass."""
        deadline = time.monotonic() + limit
        while True:
            if self.process.poll() is not None:
                raise self.failed(f"ended with {self.process.returncode} before {what}")
            if result := ready():
                return result
            if time.monotonic() > deadline:
                raise self.failed(f"not {what} after {limit} s")
            time.sleep(0.01)

    def wait_for_line(self, pattern, limit=START_LIMIT):
        """The match of `pattern` in what the program has printed."""
        return self.wait_until(lambda: re.search(pattern, self.output(), re.M), f"saying {pattern!r}", limit)

    def wait_for_http(self, url, limit=START_LIMIT):
        """Waits until `url` answers with 200."""

        def answers():
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    return response.status == 200
            except OSError:
                return False

        self.wait_until(answers, f"answering at {url}", limit)

    def stop(self, limit=15.0):
        """SIGTERM, then its exit status. A program that does not end in time is killed, and that is a failure."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failed(f"did not end within {limit} s after SIGTERM") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def interrupt(self):
        """For programs that only know Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Reply:
    """An HTTP response, whatever its status."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def http(url, body=None, headers=None, method=None, timeout=30):
    """A plain HTTP call with the standard library, as something that is no client of ours would make it."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    if data is not None and not request.has_header("Content-type"):
        request.add_header("content-type", "application/json")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, response.read())


def until_kept(url, headers=None):
    """The reply at `url` once there is one: what is written beside an answer may come after it."""

    def found():
        reply = http(url, headers=headers)
        assert reply.status in (200, 404), reply
        return reply if reply.status == 200 else None

    return until(found, f"nothing is at {url}")


class Gateway(Program):
    """A running gateway with a configuration of its own; `through` are words in front of its command line."""

    def __init__(self, folder, config, environment=None, through=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "tradewind.yaml"
        self.data = self.folder / "data"
        self.settings = {"listen": "127.0.0.1:0", "data-dir": str(self.data)}
        self.write(config)
        # Nothing of the machine that the tests run on may decide what the gateway does.
        clean = {"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "", "NO_COLOR": "1", "HOME": str(self.folder)}
        super().__init__(
            [*through, binary("tradewind"), "run", "-f", self.file], self.folder / "gateway.log", clean | (environment or {})
        )
        self.url = self.wait_for_line(r"listening on (https?://127\.0\.0\.1:\d+)").group(1)

    def write(self, config):
        """Replaces the file in one step, as an editor or a deployment does. JSON is YAML too."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.settings | config, indent=1))
        fresh.replace(self.file)

    def decision(self, decision):
        """The record of a decision. It is written beside the answer, so that it may come after it."""
        return until_kept(f"{self.url}/api/v1/decisions/{decision}").json()


def provider(name, dialect, address, **more):
    """An entry of `providers` for an upstream at `address`."""
    base = f"http://{address}/v1" if dialect == "openai" else f"http://{address}"
    return {"name": name, "dialect": dialect, "base-url": base, "api-key": "key-of-the-gateway"} | more


# For a model behind a proxy: it is connected only when the proxy has let it in, which may be slow on a busy machine.
PATIENT = {"connect": "30s"}


def model(name, *targets, **more):
    """An entry of `models`; a target is what stands behind `use`, or the whole entry."""
    whole = [target if isinstance(target, dict) else {"use": target} for target in targets]
    return {"name": name, "targets": whole} | more


def start_katan(folder):
    """llm-katan with its echo backend: somebody else's idea of both dialects. Returns it and its address."""
    port = free_port()
    program = Program(
        [
            pathlib.Path(sys.executable).with_name("llm-katan"),
            *("--model", "katan-echo", "--backend", "echo", "--providers", "openai,anthropic"),
            *("--host", "127.0.0.1", "--port", port, "--max-concurrent", 64),
            *("--stats-file", pathlib.Path(folder) / "stats.json"),
        ],
        pathlib.Path(folder) / "katan.log",
    )
    program.wait_for_http(f"http://127.0.0.1:{port}/health")
    return program, f"127.0.0.1:{port}"


def start_sim(folder, *arguments):
    """Our own simulated provider. Returns it and its address."""
    log = pathlib.Path(folder) / f"sim-{time.monotonic_ns()}.log"
    program = Program([binary("tradewind-sim"), "serve", *arguments], log)
    return program, program.wait_for_line(r"listening on (127\.0\.0\.1:\d+)").group(1)


def script(sim, model, answer):
    """Tells the simulated provider at `sim` what this model answers, in whichever wire."""
    reply = http(f"http://{sim}/sim/answers/{urllib.parse.quote(model, safe='')}", answer, method="PUT")
    assert reply.status == 200, reply


def received(sim, model=None):
    """The requests that the simulated provider has received, oldest first; those for one model, or all."""
    query = "" if model is None else f"?model={urllib.parse.quote(model, safe='')}"
    return http(f"http://{sim}/sim/requests{query}").json()


def charges(sim):
    """What the simulated provider has charged, by model."""
    return http(f"http://{sim}/sim/stats").json()["stats"]["charges"]


def start_llama(folder, *arguments):
    """llama-server with SmolLM2-135M: a real language model. Returns it and its address."""
    port = free_port()
    program = Program(
        [
            PEERS / "llama-server",
            *("--model", PEERS / "model.gguf", "--alias", "smollm2", "--host", "127.0.0.1", "--port", port),
            *("--ctx-size", 8192, "--parallel", 4, "--threads", 2, "--no-ui", "--seed", 1, "--temp", 0),
            *("--jinja", "--chat-template-file", ROOT / "tests/peers/smollm2-tools.jinja"),
            *arguments,
        ],
        pathlib.Path(folder) / f"llama-{port}.log",
    )
    program.wait_for_http(f"http://127.0.0.1:{port}/health", limit=60)
    return program, f"127.0.0.1:{port}"
