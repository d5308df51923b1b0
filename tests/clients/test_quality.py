"""Quality gates through the official packages: an answer that is not fit to give is another provider's answer to the client,
whole and streamed, in either dialect, translated or not; and where nobody's is fit, an exception with the reason.
"""

import anthropic
import openai
import pytest

import rig
from conftest import anthropic_client, openai_client
from matrix.case import answer, scripted_call, usage
from matrix.cases_talk import HELLO

PACKAGES = {"openai": openai, "anthropic": anthropic}
WIRES = ("openai", "anthropic")
GOOD = "The wind comes from the west today."
USAGE = usage(12, 7)
WIND = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
# What the first provider says, and the gate that refuses it.
UNFIT = {
    "empty": answer("  \n", usage=USAGE),
    "refusal": answer("I'm sorry, but I can't help with that request.", usage=USAGE),
    "finish": answer("The wind comes", finish="length", usage=USAGE),
    "tool-arguments": answer(tool_calls=[scripted_call("call_1", "get_wind", {"town": "Ribe"})], finish="tool_calls", usage=USAGE),
}
GATES = {"empty": True, "refusal": True, "finish": ["stop", "tool-calls"], "tool-arguments": True}
STREAMS = {"hold": {"hold": 64}, "whole": "whole"}


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    program, address = rig.start_sim(tmp_path_factory.mktemp("quality-sim"))
    for gate, unfit in UNFIT.items():
        rig.script(address, f"unfit-{gate}", unfit)
    rig.script(address, "good", answer(GOOD, usage=USAGE))
    yield address
    program.kill()


@pytest.fixture(scope="module")
def gateway(sim, tmp_path_factory):
    """For each gate, wire of the providers and kind of stream: a model with a good target behind the bad one, and one without."""
    config = {"providers": [], "models": []}
    for wire in WIRES:
        config["providers"].append(rig.provider(f"good-{wire}", wire, sim, discover=False))
        for gate in UNFIT:
            # A provider of its own, so that no breaker decides for another one.
            config["providers"].append(rig.provider(f"{gate}-{wire}", wire, sim, discover=False))
            bad = f"{gate}-{wire}/unfit-{gate}"
            for kind, stream in STREAMS.items():
                quality = {gate: GATES[gate], "stream": stream}
                config["models"].append(rig.model(f"{gate}-{wire}-{kind}", bad, f"good-{wire}/good", quality=quality))
            config["models"].append(rig.model(f"{gate}-{wire}-alone", bad, quality={gate: GATES[gate], "stream": "whole"}))
    gateway = rig.Gateway(tmp_path_factory.mktemp("quality-gateway"), config)
    yield gateway
    gateway.kill()


def ask(gateway, client, model, stream):
    """What the client was told: the text, the calls, and why it stopped."""
    if client == "openai":
        tools = [{"type": "function", "function": {"name": "get_wind", "parameters": WIND}}]
        with openai_client(gateway) as caller:
            request = {"model": model, "messages": HELLO, "tools": tools}
            if not stream:
                choice = caller.chat.completions.create(**request).choices[0]
                return choice.message.content, choice.message.tool_calls or [], choice.finish_reason
            chunks = [chunk for chunk in caller.chat.completions.create(stream=True, **request) if chunk.choices]
            deltas = [chunk.choices[0].delta for chunk in chunks]
            text = "".join(delta.content or "" for delta in deltas)
            return text, [delta for delta in deltas if delta.tool_calls], chunks[-1].choices[0].finish_reason
    tools = [{"name": "get_wind", "input_schema": WIND}]
    request = {"model": model, "messages": HELLO, "tools": tools, "max_tokens": 64}
    with anthropic_client(gateway) as caller:
        if stream:
            with caller.messages.stream(**request) as events:
                message = events.get_final_message()
        else:
            message = caller.messages.create(**request)
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, [block for block in message.content if block.type == "tool_use"], message.stop_reason


@pytest.mark.parametrize("client", PACKAGES)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("gate", UNFIT)
@pytest.mark.parametrize("kind", ["whole-answer", *STREAMS])
def test_an_unfit_answer_is_another_providers_answer(gateway, client, wire, gate, kind):
    stream = kind in STREAMS
    model = f"{gate}-{wire}-{kind if stream else 'hold'}"
    text, calls, finish = ask(gateway, client, model, stream)
    assert text == GOOD, "of the unfit answer nothing is seen"
    assert calls == []
    assert finish in ("stop", "end_turn")


@pytest.mark.parametrize("client", PACKAGES)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("gate", UNFIT)
@pytest.mark.parametrize("stream", [False, True])
def test_where_nobodys_answer_is_fit_the_client_raises(gateway, client, wire, gate, stream):
    with pytest.raises(PACKAGES[client].APIStatusError) as refusal:
        ask(gateway, client, f"{gate}-{wire}-alone", stream)
    error = refusal.value
    body = error.body or {}
    assert (body.get("error") or body).get("code") == "TW3014"
    record = gateway.decision(error.response.headers["x-tradewind-decision"])
    assert gate in str(record["attempts"]), "the record says which gate"


QUESTION = [{"role": "user", "content": "Which way does the wind blow over the harbour today, and will it be strong, please?"}]
LONG = "The wind comes from the west today, and it will be rather strong over the harbour until the evening."
SCHEMA = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"], "additionalProperties": False}
# Gates that look at more than the text: what the first provider says, what the second one does, and what the request adds.
LOOKED_INTO = {
    "confidence": (
        answer(LONG, usage=USAGE) | {"probability": 40},
        answer(f"Surely: {LONG}", usage=USAGE) | {"probability": 90},
        {"logprobs": True},
    ),
    "json-schema": (
        answer('{"to": "east"}', usage=USAGE),
        answer('{"from": "west"}', usage=USAGE),
        {"response_format": {"type": "json_schema", "json_schema": {"name": "wind", "strict": True, "schema": SCHEMA}}},
    ),
    "language": (answer("今天的风从西边吹来，到晚上为止港口上空的风会相当大，请大家注意安全。", usage=USAGE), answer(LONG, usage=USAGE), {}),
    "repetition": (answer("The wind blows. " * 60, usage=USAGE), answer(LONG, usage=USAGE), {}),
    "length": (answer(LONG * 9, usage=USAGE), answer(LONG, usage=USAGE), {}),
}
LOOKED_INTO_BY = {"confidence": True, "json-schema": True, "language": "same", "repetition": True, "length": {"max": 200}}


@pytest.mark.parametrize("gate", LOOKED_INTO)
@pytest.mark.parametrize("stream", [False, True])
def test_each_gate_looks_into_what_it_is_for(sim, start_gateway, gate, stream):
    unfit, fit, more = LOOKED_INTO[gate]
    rig.script(sim, f"looked-unfit-{gate}", unfit)
    rig.script(sim, f"looked-fit-{gate}", fit)
    targets = [f"one/looked-unfit-{gate}", f"two/looked-fit-{gate}"]
    quality = {gate: LOOKED_INTO_BY[gate], "stream": "whole"}
    gateway = start_gateway(
        {
            "providers": [rig.provider(name, "openai", sim, discover=False) for name in ("one", "two")],
            "models": [rig.model("judged", *targets, quality=quality), rig.model("plain", *targets)],
        }
    )
    with openai_client(gateway) as caller:
        for model, expected in (("plain", unfit), ("judged", fit)):
            raw = caller.chat.completions.with_raw_response.create(model=model, messages=QUESTION, stream=stream, **more)
            said = raw.parse()
            if stream:
                said = "".join(chunk.choices[0].delta.content or "" for chunk in said if chunk.choices)
            else:
                said = said.choices[0].message.content
            assert said == expected["text"], model
    assert gate in str(gateway.decision(raw.headers["x-tradewind-decision"])["attempts"][0]), "the record says which gate"
