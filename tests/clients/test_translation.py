"""What translation means beyond the matrix: faults of a provider of the other wire, usage that was not asked for, counts."""

import anthropic
import openai
import pytest

import rig
from conftest import anthropic_client, openai_client
from matrix.case import answer, usage
from matrix.cases_talk import HELLO

# What a provider of the other wire does in the middle of a stream, and the code that the caller's client raises.
BREAKS = {"mid-stream-cut": "TW3008", "mid-stream-reset": "TW3008", "no-terminal": "TW3008", "malformed-event": "TW3010"}
BREAKS |= {"error-event-later": "TW3010"}
# What it does to a whole answer, or before the first event: another target answers.
BEFORE = ("error-500", "html-200", "truncated-json", "empty-choices", "missing-fields")
PACKAGES = {"openai": openai, "anthropic": anthropic}
OTHER = {"openai": "anthropic", "anthropic": "openai"}


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    program, address = rig.start_sim(tmp_path_factory.mktemp("translation-sim"))
    yield address
    program.kill()


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The same with events far from each other: what comes in one piece with the first one is no broken stream, but none."""
    folder = tmp_path_factory.mktemp("translation-apart")
    program, address = rig.start_sim(folder, "--tokens-per-second", "1", "--answer-tokens", "3")
    yield address
    program.kill()


@pytest.fixture(scope="module")
def gateway(sim, apart, tmp_path_factory):
    """For each client, models whose targets speak the other wire."""
    config = {"providers": [], "models": []}
    for client, wire in OTHER.items():
        config["providers"].append(rig.provider(f"good-{client}", wire, sim, discover=False))
        config["models"].append(rig.model(f"good-{client}", f"good-{client}/good-{client}"))
        for fault in (*BREAKS, *BEFORE, "error-400", "tool-arguments-invalid"):
            bad = f"{fault}-{client}"
            config["providers"].append(rig.provider(bad, wire, apart if fault in BREAKS else sim, discover=False))
            config["models"].append(rig.model(bad, f"{bad}/any!{fault}"))
            config["models"].append(rig.model(f"{bad}-or", f"{bad}/any!{fault}", f"good-{client}/good-{client}"))
    gateway = rig.Gateway(tmp_path_factory.mktemp("translation-gateway"), config)
    yield gateway
    gateway.kill()


@pytest.fixture
def ask(gateway):
    """Asks with one of the packages."""

    def ask(client, model, stream, **more):
        if client == "openai":
            with openai_client(gateway) as caller:
                reply = caller.chat.completions.create(model=model, messages=HELLO, stream=stream, **more)
                return list(reply) if stream else reply
        with anthropic_client(gateway) as caller:
            reply = caller.messages.create(model=model, messages=HELLO, max_tokens=64, stream=stream, **more)
            return list(reply) if stream else reply

    return ask


def code_of(error):
    body = error.body or {}
    return (body.get("error") or body).get("code")


@pytest.mark.parametrize("client", PACKAGES)
@pytest.mark.parametrize("fault", BREAKS)
def test_a_stream_that_breaks_off_ends_with_an_error_of_the_callers_dialect(ask, client, fault):
    with pytest.raises(PACKAGES[client].APIError) as end:
        ask(client, f"{fault}-{client}", stream=True)
    assert code_of(end.value) == BREAKS[fault], end.value.body


@pytest.mark.parametrize("client", PACKAGES)
@pytest.mark.parametrize("fault", BEFORE)
def test_an_answer_that_cannot_be_translated_falls_back(ask, client, fault):
    assert ask(client, f"{fault}-{client}-or", stream=False).model == f"good-{client}"
    with pytest.raises(PACKAGES[client].InternalServerError) as end:
        ask(client, f"{fault}-{client}", stream=False)
    assert code_of(end.value).startswith("TW3")


@pytest.mark.parametrize("client", PACKAGES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_of_the_provider_keeps_its_words(ask, client, stream):
    with pytest.raises(PACKAGES[client].BadRequestError) as end:
        ask(client, f"error-400-{client}", stream=stream)
    body = end.value.body if client == "openai" else end.value.body["error"]
    assert body["type"] == "invalid_request_error" and "simulated" in body["message"], body


def test_arguments_that_are_no_json_are_never_made_up(ask):
    with pytest.raises(anthropic.InternalServerError):
        ask("anthropic", "tool-arguments-invalid-anthropic", stream=False)


def test_usage_that_was_not_asked_for_is_not_shown(ask, gateway, sim):
    rig.script(sim, "good-openai", answer("From the west.", usage=usage(prompt=33, output=4)))
    shown = ask("openai", "good-openai", stream=True, stream_options={"include_usage": True})
    assert (shown[-1].usage.prompt_tokens, shown[-1].usage.completion_tokens) == (33, 4)
    for more in ({}, {"stream_options": {"include_usage": False}}):
        chunks = ask("openai", "good-openai", stream=True, **more)
        assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    # The gateway knows it all the same.
    def known():
        records = rig.http(f"{gateway.url}/api/v1/decisions?model=good-openai&limit=3").json()["decisions"]
        return [record["usage"]["output"] for record in records]

    rig.until(lambda: known() == [4, 4, 4], known)


def test_tokens_are_counted_by_a_provider_that_can_and_estimated_otherwise(start_sim, start_gateway):
    address = start_sim("--strict")
    gateway = start_gateway(
        {
            "providers": [
                rig.provider("messages", "anthropic", address, discover=False),
                rig.provider("chat", "openai", address, discover=False),
                # A server without a path that counts.
                rig.provider("plain", "openai", f"{address}/nowhere", discover=False),
            ],
            "models": [
                rig.model("counts", "messages/counts"),
                rig.model("knows", "chat/counts"),
                rig.model("guesses", "plain/guesses"),
            ],
        }
    )
    rig.script(address, "counts", answer("", usage=usage(prompt=777)))
    with anthropic_client(gateway) as client:
        assert client.messages.count_tokens(model="counts", messages=HELLO).input_tokens == 777
        assert client.messages.count_tokens(model="knows", messages=HELLO).input_tokens == 777
        guess = client.messages.with_raw_response.count_tokens(model="guesses", messages=HELLO)
        assert 3 <= guess.parse().input_tokens <= 30
        assert '"estimated":true' in guess.text() and guess.headers["x-tradewind-estimated"] == "true"
