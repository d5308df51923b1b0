"""Upstreams and gateways for the tests.

A test that takes `upstream` runs once for each upstream that has all the abilities its `needs` mark names. Upstreams and
the gateways in front of them live as long as the session; a test that breaks something starts its own by `start_gateway`.
"""

from dataclasses import dataclass

import anthropic
import openai
import pytest

import rig

pytest_plugins = ["ways_fixtures", "modules_fixtures"]

EVERYTHING = frozenset(
    {
        *("chat", "chat-stream", "stream-usage", "chat-tools", "chat-tools-stream", "completions", "embeddings"),
        *("messages", "messages-stream", "messages-tools", "messages-tools-stream", "count-tokens"),
        *("exact-length", "chooses-tools"),
    }
)
ABILITIES = {
    # Streams of tool calls come as plain JSON in its OpenAI dialect, and neither usage in streams nor the rest is there.
    "katan": EVERYTHING
    - {"stream-usage", "chat-tools-stream", "completions", "embeddings", "count-tokens", "exact-length"},
    "sim": EVERYTHING,
    # A model of 135 million parameters calls a tool when it must, and says what it wants.
    "llama": EVERYTHING - {"chooses-tools"},
}


@dataclass(frozen=True)
class Upstream:
    """Whatever answers behind the gateway."""

    name: str
    address: str
    model: str
    embedder: str
    can: frozenset

    def config(self):
        """A gateway's configuration with this upstream in both dialects."""
        return {
            "providers": [
                rig.provider("up", "openai", self.address),
                rig.provider("embed", "openai", self.embedder),
                rig.provider("up-a", "anthropic", self.address),
            ],
            "models": [
                rig.model("assistant", f"up/{self.model}"),
                rig.model("claude", f"up-a/{self.model}"),
                rig.model("embedder", f"embed/{self.model}"),
            ],
        }


def pytest_generate_tests(metafunc):
    if "upstream" not in metafunc.fixturenames:
        return
    needed = {ability for mark in metafunc.definition.iter_markers("needs") for ability in mark.args}
    assert needed <= EVERYTHING, f"{metafunc.function.__name__} needs abilities that nobody has: {needed - EVERYTHING}"
    marks = {"llama": [pytest.mark.real_model, pytest.mark.timeout(300)]}
    able = [pytest.param(name, marks=marks.get(name, [])) for name, can in ABILITIES.items() if needed <= can]
    metafunc.parametrize("upstream", able, indirect=True)


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """What was started for the session, by name; stopped at its end."""
    programs = {}
    yield programs
    for program in reversed([program for program, _ in programs.values()]):
        program.kill()


@pytest.fixture
def upstream(request, running, tmp_path_factory):
    name = request.param
    starters = {"katan": rig.start_katan, "sim": rig.start_sim, "llama": rig.start_llama}
    if name not in running:
        running[name] = starters[name](tmp_path_factory.mktemp(name))
    address = embedder = running[name][1]
    if name == "llama":
        # A server of this kind either talks or embeds.
        if "llama-embed" not in running:
            folder = tmp_path_factory.mktemp("llama-embed")
            running["llama-embed"] = rig.start_llama(folder, "--embeddings", "--pooling", "mean")
        embedder = running["llama-embed"][1]
    models = {"katan": "katan-echo", "sim": "sim-small", "llama": "smollm2"}
    return Upstream(name, address, models[name], embedder, ABILITIES[name])


@pytest.fixture(scope="session")
def gateways():
    """The gateways in front of upstreams, by the upstream's name. Each has to end well when the session does."""
    gateways = {}
    yield gateways
    statuses = {name: gateway.stop() for name, gateway in gateways.items()}
    assert set(statuses.values()) <= {0}, statuses


@pytest.fixture
def gateway(upstream, gateways, tmp_path_factory):
    """A gateway in front of `upstream`, with the models `assistant`, `claude` and `embedder`."""
    if upstream.name not in gateways:
        gateways[upstream.name] = rig.Gateway(tmp_path_factory.mktemp("gateway"), upstream.config())
    return gateways[upstream.name]


@pytest.fixture
def start_gateway(tmp_path):
    """Starts a gateway of the test's own."""
    started = []

    def start(config, folder=None, **more):
        gateway = rig.Gateway(folder or tmp_path / f"gateway-{len(started)}", config, **more)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.kill()


@pytest.fixture
def start_sim(tmp_path):
    """Starts a simulated provider of the test's own; returns its address."""
    started = []

    def start(*arguments):
        program, address = rig.start_sim(tmp_path, *arguments)
        started.append(program)
        return address

    yield start
    for program in started:
        program.kill()


def openai_client(gateway, **more):
    """The official client as its users make it, but for its own retries: each fault has to show."""
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="a caller's key", max_retries=0, timeout=60, **more)


def anthropic_client(gateway, **more):
    return anthropic.Anthropic(base_url=gateway.url, api_key="a caller's key", max_retries=0, timeout=60, **more)


@pytest.fixture
def oai(gateway):
    with openai_client(gateway) as client:
        yield client


@pytest.fixture
def claude(gateway):
    with anthropic_client(gateway) as client:
        yield client
