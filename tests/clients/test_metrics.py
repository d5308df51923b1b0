"""The metrics, as Prometheus sees them: promtool judges the page, a Prometheus of its own scrapes it."""

import json
import re
import subprocess
import time
import urllib.parse

import pytest

import rig

HELLO = [{"role": "user", "content": "hello"}]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def gateway(start_sim, start_gateway):
    price = {"input": 1, "output": 2}
    return start_gateway(
        {
            # What is discovered beside the test's calls would be seen by one look and not by another.
            "providers": [
                rig.provider("sim", "openai", start_sim(), discover=False),
                rig.provider("dead", "openai", "127.0.0.1:9", discover=False),
            ],
            "models": [
                rig.model("assistant", {"use": "sim/any", "price": price}),
                rig.model("broken", {"use": "dead/any", "price": price}),
            ],
        }
    )


def call(gateway, model, headers=None):
    return rig.http(f"{gateway.url}/v1/chat/completions", {"model": model, "messages": HELLO}, headers).status


def page(gateway, accept):
    reply = rig.http(f"{gateway.url}/metrics", headers={"accept": accept})
    assert reply.status == 200, reply
    return reply


def ask(prometheus, path, **query):
    reply = rig.http(f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}").json()
    assert reply["status"] == "success", reply
    return reply["data"]


def value(prometheus, query):
    """The value of a query that has one series; None when it has none yet."""
    result = ask(prometheus, "query", query=query)["result"]
    assert len(result) <= 1, result
    return float(result[0]["value"][1]) if result else None


@pytest.fixture
def prometheus(gateway, tmp_path):
    """A Prometheus that scrapes the gateway each second."""
    rules = [{"record": "tradewind:failures:ratio", "expr": "sum(tradewind_calls_total{status=~'5..'}) / sum(tradewind_calls_total)"}]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "calls", "rules": rules}]}))
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "tradewind", "static_configs": [{"targets": [gateway.url.removeprefix("http://")]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))
    url = f"127.0.0.1:{rig.free_port()}"
    program = rig.Program(
        [
            rig.PEERS / "prometheus/prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address={url}",
            "--enable-feature=exemplar-storage",
        ],
        tmp_path / "prometheus.log",
    )
    program.wait_for_http(f"http://{url}/-/ready")
    yield program, f"http://{url}"
    program.kill()


def test_promtool_has_nothing_to_say(gateway):
    for model, status in [("assistant", 200), ("broken", 503), ("nobody", 404)]:
        assert call(gateway, model, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}) == status
    # A call is counted beside its answer.
    rig.until(lambda: page(gateway, "text/plain").body.count(b"\ntradewind_calls_total{") == 3, "three calls are not counted")
    text = page(gateway, "text/plain")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    judged = subprocess.run(
        [rig.PEERS / "prometheus/promtool", "check", "metrics"], input=text.body, capture_output=True, timeout=60
    )
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b""), judged


def test_both_texts_say_the_same(gateway):
    assert call(gateway, "assistant") == 200
    # A call is counted beside its answer.
    rig.until(lambda: b"tradewind_calls_total{" in page(gateway, "text/plain").body, "the call is not counted")
    text, open_metrics = page(gateway, "text/plain"), page(gateway, OPEN_METRICS)
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.body.endswith(b"# EOF\n")

    def names(body):
        samples = (line for line in body.decode().splitlines() if not line.startswith("#"))
        return sorted(line.split("}")[0].rsplit(" ", 1)[0] if "{" not in line else line.split("} ")[0] for line in samples)

    assert names(text.body) == names(open_metrics.body)


@pytest.mark.timeout(120)
def test_prometheus_scrapes_records_and_keeps_exemplars(gateway, prometheus):
    program, url = prometheus
    for _ in range(9):
        assert call(gateway, "assistant") == 200
    assert call(gateway, "assistant", {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}) == 200
    assert call(gateway, "broken") == 503

    def scraped():
        return value(url, 'sum(tradewind_calls_total{model="assistant",outcome="ok",status="200"})') == 10

    program.wait_until(scraped, "ten calls are scraped")
    program.wait_until(lambda: (value(url, "tradewind:failures:ratio") or 0) > 0, "the rule is evaluated")
    assert value(url, "tradewind:failures:ratio") == pytest.approx(1 / 11)
    assert value(url, 'sum(tradewind_overhead_seconds_count{door="models"})') >= 10
    assert value(url, 'sum(gen_ai_client_operation_duration_seconds_count{gen_ai_provider_name="sim"})') == 10
    assert value(url, 'sum(tradewind_cost_usd_total{model="assistant"})') > 0
    assert value(url, 'sum(tradewind_tokens_total{kind="input",target="sim/any"})') > 0

    def exemplars():
        query = "tradewind_call_duration_seconds_bucket"
        now = time.time()
        found = ask(url, "query_exemplars", query=query, start=now - 600, end=now + 600)
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    seen = program.wait_until(exemplars, "there are exemplars")
    assert seen == [{"trace_id": TRACE}], "only the call whose trace its caller records"


def test_a_callers_own_words_are_no_label(gateway):
    for model in ["unheard-of", 'forged"} 1\ntradewind_calls_total{door="x', "assistant "]:
        assert call(gateway, model) == 404
    counted = re.compile(r'^tradewind_calls_total\{.*model="other".*\} 3$', re.M)
    rig.until(lambda: counted.search(page(gateway, "text/plain").body.decode()), lambda: page(gateway, "text/plain").body)
    body = page(gateway, "text/plain").body.decode()
    assert "unheard-of" not in body and "forged" not in body
