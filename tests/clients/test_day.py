"""A day in the life of a gateway with keys: one spends its budget, one calls too often, one is revoked in the middle of a
stream; each sees only its own models, and what was spent adds up to what the provider charged.
"""

import contextlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest

import rig
from matrix.case import answer, usage

HELLO = [{"role": "user", "content": "hello"}]
# USD per million tokens; with the usage below a call costs 0.0255 USD: two are under the budget of 0.06, a third is not.
PRICE = {"input": 10, "cached": 1, "output": 50}
USAGE = usage(prompt=1000, output=400, cached=500)
COST = (500 * 10 + 500 * 1 + 400 * 50) / 1e6
KEYS = [
    {
        "name": "spender",
        "secret": "tw-spender-0123456789abcdef",
        "allow": ["models/assistant"],
        # What is spent before midnight is none of what may be spent after it; months end less often than days.
        "budget": {"usd": 0.06, "per": "month"},
    },
    {"name": "hasty", "secret": "tw-hasty-0123456789abcdef", "allow": ["models/*"], "rpm": 5},
    {"name": "auditor", "secret": "tw-auditor-0123456789abcdef", "allow": ["models/*", "control/*"]},
]
SECRETS = {key["name"]: key["secret"] for key in KEYS}


@pytest.fixture
def sim(start_sim):
    return start_sim()


@pytest.fixture
def slow_sim(start_sim):
    """Some words a second, for a minute: nobody waits for its end."""
    return start_sim("--tokens-per-second", "20", "--answer-tokens", "1200")


@pytest.fixture
def gateway(sim, slow_sim, start_gateway):
    return start_gateway(
        {
            "keys": KEYS,
            "providers": [
                rig.provider("chat", "openai", sim, discover=False),
                rig.provider("messages", "anthropic", sim, discover=False),
                rig.provider("slow", "openai", slow_sim, discover=False),
            ],
            "models": [
                rig.model("assistant", {"use": "chat/assistant", "price": PRICE}),
                rig.model("claude", {"use": "messages/claude", "price": PRICE}),
                rig.model("slow", {"use": "slow/slow", "price": PRICE}),
            ],
        }
    )


def oai(gateway, secret):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0, timeout=60)


def claude(gateway, secret):
    return anthropic.Anthropic(base_url=gateway.url, api_key=secret, max_retries=0, timeout=60)


def api(gateway, path):
    reply = rig.http(f"{gateway.url}/api/v1/{path}", headers={"authorization": f"Bearer {SECRETS['auditor']}"})
    assert reply.status == 200, reply
    return reply.json()


def tradewind(gateway, *arguments):
    """Runs the command line next to the gateway; returns what it prints."""
    done = subprocess.run(
        [rig.binary("tradewind"), *arguments, "-f", gateway.file], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def create_key(gateway, name, *arguments):
    """A key made at run time; its secret stands on stdout, once."""
    secret = tradewind(gateway, "key", "create", name, *arguments).split()[-1]
    assert secret.startswith("tw"), secret
    return secret


def test_each_key_sees_and_uses_its_own_models(gateway):
    for name, models in [("spender", {"assistant"}), ("hasty", {"assistant", "claude", "slow"})]:
        with oai(gateway, SECRETS[name]) as client:
            assert {model.id for model in client.models.list()} == models
        with claude(gateway, SECRETS[name]) as client:
            assert {model.id for model in client.models.list()} == models
    with oai(gateway, SECRETS["spender"]) as client:
        with pytest.raises((openai.NotFoundError, openai.PermissionDeniedError)):
            client.models.retrieve("claude")
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="claude", messages=HELLO)


def test_one_key_spends_its_budget_to_the_cent(gateway, sim):
    rig.script(sim, "assistant", answer("That will be it.", usage=USAGE))
    with oai(gateway, SECRETS["spender"]) as client:
        for stream in (False, True):
            reply = client.chat.completions.create(model="assistant", messages=HELLO, stream=stream, max_tokens=400)
            if stream:
                assert [chunk for chunk in reply]
        with pytest.raises(openai.RateLimitError) as refusal:
            client.chat.completions.create(model="assistant", messages=HELLO, max_tokens=400)
    assert refusal.value.body["code"] == "TW1020"
    assert int(refusal.value.response.headers["retry-after"]) >= 1
    assert len(rig.received(sim, "assistant")) == 2, "what is refused is not sent"

    def spent():
        return [row for row in api(gateway, "spend")["rows"] if row["key"] == "spender"]

    rig.until(lambda: sum(row["calls"] for row in spent()) == 2, spent)
    (row,) = spent()
    assert (row["model"], row["calls"], row["input"], row["output"], row["cached"]) == ("assistant", 2, 2000, 800, 1000)
    assert row["usd"] == pytest.approx(2 * COST, abs=1e-12)
    # Another key is none the poorer.
    with oai(gateway, SECRETS["hasty"]) as client:
        assert client.chat.completions.create(model="assistant", messages=HELLO).choices


def test_a_burst_does_not_overspend(gateway, sim):
    rig.script(sim, "assistant", answer("That will be it.", usage=USAGE))
    def ask(_):
        with oai(gateway, SECRETS["spender"]) as client, contextlib.suppress(openai.RateLimitError):
            return client.chat.completions.create(model="assistant", messages=HELLO, max_tokens=400)

    with ThreadPoolExecutor(16) as pool:
        answered = [reply for reply in pool.map(ask, range(32)) if reply]
    assert 1 <= len(answered) <= 2
    assert rig.charges(sim)["assistant"]["calls"] == len(answered)


def test_one_key_calls_too_often(gateway, sim):
    with oai(gateway, SECRETS["hasty"]) as openais, claude(gateway, SECRETS["hasty"]) as anthropics:
        for _ in range(3):
            openais.chat.completions.create(model="assistant", messages=HELLO)
        for _ in range(2):
            anthropics.messages.create(model="claude", messages=HELLO, max_tokens=8)
        with pytest.raises(anthropic.RateLimitError) as refusal:
            anthropics.messages.create(model="claude", messages=HELLO, max_tokens=8)
        assert refusal.value.body["error"]["code"] == "TW1018"
        assert 1 <= int(refusal.value.response.headers["retry-after"]) <= 61
        with pytest.raises(openai.RateLimitError):
            openais.chat.completions.create(model="assistant", messages=HELLO)
    # Across dialects it is one count, and nothing else was sent.
    assert len(rig.received(sim)) == 5


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_key_is_revoked_in_the_middle_of_a_stream(gateway, slow_sim, dialect):
    secret = create_key(gateway, "leaver", "--allow", "models/*")
    package = {"openai": openai, "anthropic": anthropic}[dialect]
    make = {"openai": oai, "anthropic": claude}[dialect]

    def stream(client):
        if dialect == "openai":
            return client.chat.completions.create(model="slow", messages=HELLO, stream=True)
        return client.messages.create(model="slow", messages=HELLO, max_tokens=4000, stream=True)

    with make(gateway, secret) as client:
        rig.until(lambda: allowed(package, lambda: client.models.list()), "the new key is known")
        chunks = stream(client)
        # Another key's stream is not touched by what happens to this one.
        with oai(gateway, SECRETS["auditor"]) as other:
            others = iter(other.chat.completions.create(model="slow", messages=HELLO, stream=True))
            next(others)
            seen = iter(chunks)
            for _ in range(5):
                next(seen)
            tradewind(gateway, "key", "revoke", "leaver")
            revoked = time.monotonic()
            # Left alone it would go on for a minute.
            with pytest.raises(package.APIError) as end:
                for _ in seen:
                    assert time.monotonic() - revoked < 20, "the stream goes on"
            assert "TW1016" in str(end.value.body), end.value.body
            for _ in range(5):
                next(others)
        with pytest.raises(package.AuthenticationError) as refusal:
            stream(client)
    assert "TW1016" in str(refusal.value.body)
    # The provider was told to stop, and both are paid for as far as they came.
    rig.until(lambda: rig.http(f"http://{slow_sim}/sim/stats").json()["stats"]["in_flight"] == 0, "both streams are ended")


def allowed(package, act):
    try:
        act()
    except package.AuthenticationError:
        return False
    return True


def test_what_was_spent_adds_up_to_what_the_provider_charged(gateway, sim):
    """Whole answers and streams, same dialect and translated, of two keys and two models."""
    small = usage(prompt=333, output=77, cached=100, reasoning=11)
    rig.script(sim, "assistant", answer("Small.", usage=small))
    rig.script(sim, "claude", answer("Large.", usage=USAGE))
    calls = {("auditor", "assistant"): 3, ("auditor", "claude"): 4, ("hasty", "claude"): 2}
    for (key, model), count in calls.items():
        with oai(gateway, SECRETS[key]) as openais, claude(gateway, SECRETS[key]) as anthropics:
            for number in range(count):
                stream = number % 2 == 1
                if number < count // 2:
                    reply = openais.chat.completions.create(model=model, messages=HELLO, stream=stream)
                else:
                    reply = anthropics.messages.create(model=model, messages=HELLO, max_tokens=400, stream=stream)
                if stream:
                    assert list(reply)

    def spent():
        return api(gateway, "spend")["rows"]

    rig.until(lambda: sum(row["calls"] for row in spent()) == sum(calls.values()), spent)
    spend = spent()
    by_key = {(row["key"], row["model"]): row for row in spend}
    assert set(by_key) == set(calls)
    charges = rig.charges(sim)
    for model in ("assistant", "claude"):
        rows = [row for row in spend if row["model"] == model]
        for what in ("calls", "input", "output", "cached", "reasoning"):
            assert sum(row[what] for row in rows) == charges[model][what], (model, what)
        charged = charges[model]
        fresh = charged["input"] - charged["cached"]
        usd = (fresh * PRICE["input"] + charged["cached"] * PRICE["cached"] + charged["output"] * PRICE["output"]) / 1e6
        assert sum(row["usd"] for row in rows) == pytest.approx(usd, abs=1e-12)
    assert {row["target"] for row in spend} == {"chat/assistant", "messages/claude"}
    # A key without leave to read sees what it spent itself, whatever it asks for.
    shown = rig.http(f"{gateway.url}/api/v1/spend?key=spender", headers={"authorization": f"Bearer {SECRETS['hasty']}"})
    assert {row["key"] for row in shown.json()["rows"]} <= {"hasty"}
