"""Kept answers through the official packages: the same request is asked once, whole and streamed, in either dialect, also when
many ask it at once; a question that means the same is answered by the vectors of a provider; and nothing of it is another
tenant's, nor an error.
"""

import concurrent.futures
import http.server
import json
import threading

import anthropic
import openai
import pytest

import rig
from matrix.case import answer, usage

KEYS = {"ann": "harbour", "bob": "harbour", "eve": "elsewhere"}
GOOD = "The wind comes from the west today."
# What is asked, and how near each is to the first: by direction, in degrees.
FIRST = "Which way does the wind blow over Lisbon at 5?"
NEAR = "Which way is the wind blowing over Lisbon at 5?"
QUESTIONS = {FIRST: 0, NEAR: 10, "Which way is the wind not blowing over Lisbon at 5?": 0, "Which way does the train go?": 80}


class Embedder:
    """A server with `/v1/embeddings` that knows what is asked here."""

    def __init__(self):
        self.asked = []
        outer = self

        class Page(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked += body["input"]
                data = [
                    {"object": "embedding", "index": index, "embedding": outer.vector(text)}
                    for index, text in enumerate(body["input"])
                ]
                reply = json.dumps({"object": "list", "data": data, "model": body["model"]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def vector(text):
        # cos 10° is 0.985, cos 80° 0.17.
        return {0: [1.0, 0.0], 10: [0.985, 0.174], 80: [0.174, 0.985]}[QUESTIONS[text]]


@pytest.fixture
def embedder():
    embedder = Embedder()
    yield embedder
    embedder.server.shutdown()
    embedder.server.server_close()


@pytest.fixture
def world(start_sim, start_gateway, embedder):
    """A gateway with keys of two tenants, and its provider in both dialects."""
    sim = start_sim("--first-token", "150ms")
    rig.script(sim, "good", answer(GOOD, usage=usage(12, 7)))
    price = {"input": 1, "output": 2}
    models = [
        rig.model(
            f"exact-{wire}",
            {"use": f"{wire}/good", "price": price},
            cache={"exact": {}, "scope": "tenant"},
            retry={"attempts": 1},
        )
        for wire in ("openai", "anthropic")
    ]
    by_meaning = {"exact": {}, "meaning": {"threshold": 0.95, "embedder": "near"}, "scope": "tenant"}
    models.append(rig.model("meaning", {"use": "openai/good", "price": price}, cache=by_meaning))
    gateway = start_gateway(
        {
            "keys": [{"name": name, "secret": secret(name), "tenant": tenant} for name, tenant in KEYS.items()],
            "providers": [
                rig.provider("openai", "openai", sim, discover=False),
                rig.provider("anthropic", "anthropic", sim, discover=False),
                rig.provider("vectors", "openai", embedder.address, discover=False),
            ],
            "embedders": [{"name": "near", "type": "openai", "provider": "vectors", "model": "any", "timeout": "5s"}],
            "models": models,
        }
    )
    return sim, gateway


def secret(name):
    return f"the-secret-of-{name}-1234"


def by(name):
    return {"authorization": f"Bearer {secret(name)}"}


def ask(gateway, client, model, text=FIRST, key="ann", stream=False):
    """The text that the official client is given, what the gateway says of keeping it, and the decision."""
    messages = [{"role": "user", "content": text}]
    if client == "openai":
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret(key), max_retries=0, timeout=60) as caller:
            raw = caller.chat.completions.with_raw_response.create(model=model, messages=messages, stream=stream)
            got = raw.parse()
            if stream:
                said = "".join(chunk.choices[0].delta.content or "" for chunk in got if chunk.choices)
            else:
                said = got.choices[0].message.content
            return said, raw.headers.get("x-tradewind-cache"), raw.headers["x-tradewind-decision"]
    with anthropic.Anthropic(base_url=gateway.url, api_key=secret(key), max_retries=0, timeout=60) as caller:
        raw = caller.messages.with_raw_response.create(model=model, messages=messages, max_tokens=64, stream=stream)
        got = raw.parse()
        if stream:
            deltas = [event.delta for event in got if event.type == "content_block_delta"]
            said = "".join(delta.text for delta in deltas)
        else:
            said = got.content[0].text
        return said, raw.headers.get("x-tradewind-cache"), raw.headers["x-tradewind-decision"]


def record(gateway, decision, key):
    return rig.until_kept(f"{gateway.url}/api/v1/decisions/{decision}", by(key)).json()


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_same_request_is_asked_once_and_stays_with_its_tenant(world, client, wire, stream):
    sim, gateway = world
    model = f"exact-{wire}"
    said, kept, made = ask(gateway, client, model, stream=stream)
    assert (said, kept) == (GOOD, None)
    for key in ("ann", "bob"):
        said, kept, decision = ask(gateway, client, model, key=key, stream=stream)
        assert said == GOOD and kept.startswith("exact; age="), (said, kept)
        shown = record(gateway, decision, key)
        assert shown["choice"]["cache"]["kind"] == "exact" and shown["choice"]["cache"]["decision"] == made, shown
        assert (shown["cost_usd"], shown["usage"]["input"], shown["usage"]["output"]) == (0, 0, 0), shown
    assert len(rig.received(sim)) == 1
    said, kept, _ = ask(gateway, client, model, key="eve", stream=stream)
    assert (said, kept) == (GOOD, None), "another tenant's answer"
    # Who asks for the other form is given that form, and not this one.
    said, kept, _ = ask(gateway, client, model, stream=not stream)
    assert (said, kept, len(rig.received(sim))) == (GOOD, None, 3)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_of_many_at_once_one_asks(world, client):
    sim, gateway = world
    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(ask, gateway, client, "exact-openai") for _ in range(8)]
        said = [answer.result() for answer in answers]
    assert {text for text, _, _ in said} == {GOOD}
    assert sum(kept is None for _, kept, _ in said) == 1, said
    assert len(rig.received(sim)) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_question_that_means_the_same_is_answered_by_its_vector(world, embedder, stream):
    sim, gateway = world
    _, kept, made = ask(gateway, "openai", "meaning", stream=stream)
    assert kept is None
    said, kept, decision = ask(gateway, "openai", "meaning", NEAR, key="bob", stream=stream)
    assert said == GOOD and kept.startswith("meaning; age=") and kept.endswith("; similarity=0.98"), (said, kept)
    shown = record(gateway, decision, "bob")["choice"]["cache"]
    assert shown["kind"] == "meaning" and shown["decision"] == made and shown["similarity"] > 0.98, shown
    asked = 1
    for text, key in [*((text, "ann") for text in QUESTIONS if text not in (FIRST, NEAR)), (NEAR, "eve")]:
        said, kept, _ = ask(gateway, "openai", "meaning", text, key=key, stream=stream)
        asked += 1
        assert (said, kept, len(rig.received(sim))) == (GOOD, None, asked), text
    assert sorted(embedder.asked) == sorted(QUESTIONS), "each question is embedded once"


def test_what_was_kept_is_seen_in_usage_and_errors_are_not_kept(world):
    sim, gateway = world
    fault = rig.http(f"http://{sim}/sim/fault", b"error-500")
    assert fault.status == 200, fault
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            ask(gateway, "openai", "exact-openai")
    assert len(rig.received(sim)) == 2, "an error is no answer to the next one"
    assert rig.http(f"http://{sim}/sim/fault", b"none").status == 200
    said, kept, _ = ask(gateway, "openai", "exact-openai")
    assert (said, kept) == (GOOD, None)
    assert ask(gateway, "openai", "exact-openai")[1].startswith("exact; age=")

    def kept_calls():
        reply = rig.http(f"{gateway.url}/api/v1/spend?by=target", headers=by("ann"))
        rows = {row["target"]: row for row in reply.json()["rows"]}
        return rows.get("cache")

    row = gateway.wait_until(kept_calls, "the book has the kept answer")
    assert (row["calls"], row["input"], row["output"], row["usd"]) == (1, 0, 0, 0.0), row
