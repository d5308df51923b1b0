"""A slow prior out of a real Prometheus: what it measures moves load between targets, and nothing it does costs a call."""

import http.server
import json
import re
import socket
import threading
import time

import pytest

import rig

HELLO = [{"role": "user", "content": "hello"}]
TARGETS = ["one/any", "two/any"]


class Exporter:
    """A page of metrics that a test changes: how much more each pod can take."""

    def __init__(self):
        self.room = {"one": 1.0, "two": 1.0}
        outer = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                lines = "".join(f'pod_room{{pod="{pod}"}} {room}\n' for pod, room in outer.room.items())
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(b"# TYPE pod_room gauge\n" + lines.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def exporter():
    exporter = Exporter()
    yield exporter
    exporter.server.shutdown()
    exporter.server.server_close()


@pytest.fixture
def start_prometheus(exporter, tmp_path):
    """Starts a Prometheus that scrapes the exporter each second, and waits for what it scraped; always at the same address."""
    settings = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "pods", "static_configs": [{"targets": [exporter.address]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    address = f"127.0.0.1:{rig.free_port()}"
    started = []

    def start():
        program = rig.Program(
            [
                rig.PEERS / "prometheus/prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address={address}",
            ],
            tmp_path / f"prometheus-{len(started)}.log",
        )
        started.append(program)
        program.wait_for_http(f"http://{address}/-/ready")
        scraped = f"http://{address}/api/v1/query?query=pod_room"
        program.wait_until(lambda: len(json.loads(rig.http(scraped).body)["data"]["result"]) == 2, "the first scrape")
        return program, f"http://{address}"

    yield start
    for program in started:
        program.kill()


@pytest.fixture
def gateway(start_sim, start_gateway):
    def start(url, queries=None, **more):
        sim = start_sim()
        queries = queries or {pod: f'avg(pod_room{{pod="{pod}"}})' for pod in ("one", "two")}
        targets = [
            {"use": f"{pod}/any", "prometheus": {"query": query}} if query else f"{pod}/any"
            for pod, query in queries.items()
        ]
        return start_gateway(
            {
                "providers": [rig.provider(pod, "openai", sim) for pod in queries],
                "models": [
                    rig.model("assistant", *targets, strategy="score", score={"meaning": 0, "load": 1, "cost": 0})
                ],
                "prometheus": {"url": url, "interval": "1s", "timeout": "1s"} | more,
            }
        )

    return start


def call(gateway):
    """Makes a call; returns who answered, and the record of its decision."""
    reply = rig.http(f"{gateway.url}/v1/chat/completions", {"model": "assistant", "messages": HELLO})
    assert reply.status == 200, reply
    return reply.headers["x-tradewind-target"], gateway.decision(reply.headers["x-tradewind-decision"])


def prior(candidate):
    """What the record says of a candidate's prior: nothing while it is 1."""
    return (candidate["parts"].get("score") or {}).get("prior")


def priors(gateway):
    """The prior of each target, as the record of a call shows it; 1 where it says nothing."""
    _, record = call(gateway)
    found = {one["target"]: prior(one) or 1.0 for one in record["candidates"]}
    assert sorted(found) == TARGETS, record
    return found


def wait_for(gateway, ready, what, limit=60):
    """Calls until the priors are as wanted. Each of these calls is answered, whatever Prometheus does meanwhile."""
    return gateway.wait_until(lambda: ready(priors(gateway)), what, limit)


def queries_asked(url):
    """How many instant queries a Prometheus has answered, by its own count."""
    page = rig.http(f"{url}/metrics").body.decode()
    counts = re.findall(r'^prometheus_http_requests_total\{.*handler="/api/v1/query".*\} (\S+)$', page, re.M)
    return sum(float(count) for count in counts)


def shares(gateway, calls=60):
    answered = [call(gateway)[0] for _ in range(calls)]
    return {target: answered.count(target) / calls for target in TARGETS}


def led_by(share, target):
    return all(share[target] > share[other] for other in TARGETS if other != target)


@pytest.mark.timeout(240)
def test_what_prometheus_measures_moves_load_slowly_and_its_end_takes_it_back(exporter, start_prometheus, gateway):
    exporter.room = {"one": 0.5, "two": 2.0}
    program, url = start_prometheus()
    before = time.monotonic()
    gateway = gateway(url)
    assert wait_for(gateway, lambda found: found["two/any"] > 1.0, "two being trusted more")
    assert time.monotonic() - before > 8, "a source is only listened to after a while"
    assert wait_for(gateway, lambda found: found["two/any"] > 1.8 and found["one/any"] < 0.6, "the priors at their bounds", 90)
    found = priors(gateway)
    assert 0.5 <= found["one/any"] and found["two/any"] <= 2.0, found
    # One slow answer of a busy machine counts for a while, and more than any prior.
    assert gateway.wait_until(lambda: led_by(shares(gateway), "two/any"), "two having more calls than one", 60)

    # A query that a busy machine answers too late is told as well.
    before = len(said(gateway))
    program.kill()
    assert wait_for(gateway, lambda found: set(found.values()) == {1.0}, "the priors gone with their source")
    lines = said(gateway)
    assert len(lines) - before <= 2 and re.search("cannot be reached|does not answer in time", lines[-1]), lines

    exporter.room = {"one": 2.0, "two": 0.5}
    start_prometheus()
    assert wait_for(gateway, lambda found: found["one/any"] > found["two/any"], "the new measurements", 90)
    assert any("answers again" in line for line in said(gateway)[before:])


def said(gateway):
    """What the gateway has said of Prometheus."""
    return [line for line in gateway.output().splitlines() if line.startswith("prometheus: ")]


@pytest.mark.timeout(120)
def test_queries_that_are_no_good_are_named_and_cost_no_call(start_prometheus, gateway):
    _, url = start_prometheus()
    bad = {
        "one": "pod_room",
        "two": "no_such_metric",
        "three": "0/0",
        "four": "sum(",
        "five": "pod_room[5m]",
        "six": '"a text"',
    }
    # A query that a busy machine answers too late would be one more thing to be said.
    gateway = gateway(url, bad, interval="5s", timeout="5s")
    words = (
        r"has several samples for the query: aggregate them, as in avg\(…\) \(about .*one/any",
        r"has no sample for the query \(about .*two/any",
        r"answers the query with a number that is not finite \(about .*three/any",
        r"refuses the query: .*\(about .*four/any",
        r"does not answer the query with a number \(about .*five/any",
        r"does not answer the query with a number \(about .*six/any",
    )
    gateway.wait_until(lambda: all(re.search(each, gateway.output()) for each in words), "all six are named")
    named = len(said(gateway))
    for _ in range(30):
        assert call(gateway)[0].endswith("/any")
    asked = queries_asked(url)
    gateway.wait_until(lambda: queries_asked(url) >= asked + 3 * len(bad), "three rounds more")
    assert len(said(gateway)) == named, "each is said once"
    _, record = call(gateway)
    for one in record["candidates"]:
        assert prior(one) is None, one


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["dead", "hanging"])
def test_a_prometheus_that_is_not_there_costs_no_call_and_no_time(gateway, kind):
    listener = socket.create_server(("127.0.0.1", 0))
    # A port that was free a moment ago may be somebody's by now, unless it is ours to give.
    port = listener.getsockname()[1] if kind == "hanging" else rig.free_port()
    url = f"http://127.0.0.1:{port}"
    gateway = gateway(url, interval="8s", timeout="8s")
    gateway.wait_for_line(r"^prometheus: .* (cannot be reached|does not answer in time)")
    slowest = 0.0
    for _ in range(50):
        start = time.monotonic()
        call(gateway)
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 6, "a call never waits for the 8 s of a query"
    listener.close()
