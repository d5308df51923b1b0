"""Starts Tradewind as it is measured: without keys, with keys, with everything switched on, and translating."""

import importlib.util
import pathlib
import socket

from parties import Party, rig, version

SECRET = "tradewind-bench-0123456789abcdef"
# Limits and a budget that are kept for every call and that no call reaches.
KEY = {
    "name": "bench",
    "secret": SECRET,
    "tenant": "bench",
    "allow": ["models/*", "control/read"],
    "budget": {"usd": 1_000_000, "per": "month"},
    "rpm": 1_000_000_000,
    "tpm": 1_000_000_000_000,
}
PRICE = {"input": 0.01, "output": 0.02}
TIMEOUTS = {"connect": "2s", "first-token": "600s", "idle": "600s", "total": "3600s"}


def config(upstream, dialect="openai", price=None):
    """One provider, one model, the journal on: what every call pays for."""
    target = {"use": "bench/bench", "max-in-flight": 100_000}
    return {
        "providers": [rig.provider("bench", dialect, upstream)],
        "models": [rig.model("bench", target | ({"price": price} if price else {}), timeouts=TIMEOUTS)],
    }


def start(folder, upstream, document=None, name="tradewind"):
    gateway = rig.Gateway(folder / name, document or config(upstream))
    address = gateway.url.removeprefix("http://")
    return Party("Tradewind", address, address, gateway, version([rig.binary("tradewind"), "--version"]))


def start_keyed(folder, upstream, name="Tradewind, keys", **more):
    """With keys, limits, a budget and prices, its metrics read once a second."""
    document = config(upstream, price=PRICE) | {"keys": [KEY]} | more
    party = start(folder, upstream, document, name.replace(", ", "-").replace(" ", "-"))
    party.name, party.version = name, ""
    party.headers = {"authorization": f"Bearer {SECRET}"}
    party.metrics = f"{party.program.url}/metrics"
    return party


def start_full(folder, upstream, collector, collects):
    """The same, and every call as a line of JSON in a file and as spans at a collector."""
    telemetry = {"otlp": {"endpoint": f"http://{collects}"}, "logs": {"calls": "all", "format": "json"}}
    party = start_keyed(folder, upstream, "Tradewind, all on", telemetry=telemetry)
    party.helpers.append(collector)
    return party


def start_collector(folder):
    """rotel, which takes spans and throws them away. Returns it and its address."""
    package = importlib.util.find_spec("rotel").submodule_search_locations[0]
    http, grpc = rig.free_port(), rig.free_port()
    program = rig.Program(
        [
            *(pathlib.Path(package) / "rotel-agent", "start", "--exporter", "blackhole"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
        ],
        folder / "rotel.log",
    )

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", http)) == 0

    program.wait_until(listens, "listening")
    return program, f"127.0.0.1:{http}"
