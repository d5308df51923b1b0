"""Spans, as a collector sees them that is not ours (rotel), and calls beside collectors that are no good."""

import importlib.util
import pathlib
import re
import socket
import threading
import time

import pytest

import rig

HELLO = [{"role": "user", "content": "hello"}]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def config(sim, endpoint, **otlp):
    return {
        "providers": [rig.provider("sim", "openai", sim), rig.provider("dead", "openai", "127.0.0.1:9")],
        "models": [
            rig.model("assistant", "sim/any"),
            rig.model("rescued", "dead/any", "sim/any", strategy="fallback"),
        ],
        "telemetry": {"otlp": {"endpoint": endpoint} | otlp},
    }


def call(gateway, model="assistant", traceparent=None, stream=False):
    headers = {"traceparent": traceparent} if traceparent else {}
    body = {"model": model, "messages": HELLO, "stream": stream}
    reply = rig.http(f"{gateway.url}/v1/chat/completions", body, headers)
    assert reply.status == 200, reply
    return reply.headers["x-tradewind-decision"]


@pytest.fixture
def rotel(tmp_path):
    """A running rotel and its address. It prints every span that it takes."""
    folder = importlib.util.find_spec("rotel").submodule_search_locations[0]
    http, grpc = rig.free_port(), rig.free_port()
    program = rig.Program(
        [
            *(pathlib.Path(folder) / "rotel-agent", "start", "--exporter", "blackhole"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
            *("--debug-log", "traces", "--debug-log-verbosity", "detailed"),
        ],
        tmp_path / "rotel.log",
    )

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", http)) == 0

    program.wait_until(listens, "listening")
    yield program, f"http://127.0.0.1:{http}"
    program.kill()


def spans(rotel):
    """The spans that rotel has printed: what stands before a colon, and the attributes."""
    found = []
    for block in re.split(r"^Span #\d+$", rotel.output(), flags=re.M)[1:]:
        fields = dict(re.findall(r"^ {4}(\w[\w ]*?) *: ?(.*?) *$", block, re.M))
        fields["attributes"] = dict(re.findall(r"^ *-> ([\w.]+): \w+\((.*)\)$", block, re.M))
        found.append(fields)
    return found


def spans_of(rotel, trace, count):
    """The `count` spans of a trace, once they are there."""
    rotel.wait_until(
        lambda: len([span for span in spans(rotel) if span["Trace ID"] == trace]) >= count, f"{count} spans of {trace}"
    )
    return [span for span in spans(rotel) if span["Trace ID"] == trace]


@pytest.mark.timeout(120)
def test_a_callers_trace_goes_on_through_every_attempt(start_sim, start_gateway, rotel):
    collector, endpoint = rotel
    gateway = start_gateway(config(start_sim(), endpoint))
    decision = call(gateway, "rescued", f"00-{TRACE}-{PARENT}-01", stream=True)
    server, decide, refused, answered = spans_of(collector, TRACE, 4)
    assert [span["Name"] for span in (server, decide, refused, answered)] == [
        "POST /v1/chat/completions",
        "route.decide",
        "chat any",
        "chat any",
    ]
    kinds = [span["Kind"].removeprefix("SPAN_KIND_") for span in (server, decide, refused, answered)]
    assert kinds == ["SERVER", "INTERNAL", "CLIENT", "CLIENT"]
    assert server["Parent ID"] == PARENT, "the caller's own span"
    assert {span["Parent ID"] for span in (decide, refused, answered)} == {server["ID"]}
    assert len({span["ID"] for span in (server, decide, refused, answered)}) == 4
    assert server["attributes"]["tradewind.decision"] == decision
    assert server["attributes"]["http.response.status_code"] == "200"
    assert decide["attributes"]["tradewind.candidates"] == "Str(dead/any), Str(sim/any)"
    assert refused["attributes"]["error.type"] == "connect_refused"
    assert answered["attributes"]["tradewind.attempt.reason"] == "retry"
    for name, expected in {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "sim",
        "gen_ai.request.model": "any",
        "gen_ai.request.stream": "true",
        "server.address": "127.0.0.1",
    }.items():
        assert answered["attributes"][name] == expected, answered
    assert int(answered["attributes"]["gen_ai.usage.output_tokens"]) > 0
    assert "gen_ai.response.time_to_first_chunk" in answered["attributes"]
    record = gateway.decision(decision)
    assert (record["trace_id"], record["span_id"], record["parent_id"]) == (TRACE, server["ID"], PARENT)


@pytest.mark.timeout(120)
def test_the_callers_decision_about_its_trace_stands(start_sim, start_gateway, rotel):
    collector, endpoint = rotel
    gateway = start_gateway(config(start_sim(), endpoint, sample=0))
    unsampled, sampled = TRACE.replace("4", "5"), TRACE
    call(gateway)
    call(gateway, traceparent=f"00-{unsampled}-{PARENT}-00")
    call(gateway, traceparent="not a trace at all")
    call(gateway, traceparent=f"00-{sampled}-{PARENT}-01")
    assert len(spans_of(collector, sampled, 3)) == 3
    assert {span["Trace ID"] for span in spans(collector)} == {sampled}


def hanging():
    """A listener that accepts and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def accept():
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return listener


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["dead", "hanging"])
def test_a_collector_that_is_no_good_costs_no_call(start_sim, start_gateway, kind):
    listener = hanging()
    # A port that was free a moment ago may be somebody's by now, unless it is ours to give.
    port = listener.getsockname()[1] if kind == "hanging" else rig.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    gateway = start_gateway(config(start_sim(), endpoint, timeout="1s"))
    begun = time.monotonic()
    for _ in range(200):
        call(gateway)
    # Each waiting for the collector's second would be 200 s.
    assert time.monotonic() - begun < 60, "a call with a bad collector takes no longer"
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begun < 10, "stopping waits no longer than it says"
    listener.close()
