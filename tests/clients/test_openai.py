"""The official `openai` package, unmodified, through the gateway."""

import asyncio
import json
import re

import openai
import pytest

import rig
from conftest import openai_client

HELLO = [{"role": "user", "content": "Tell me a short story about the lighthouse 灯台 🚢 and the naïve crew."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def weather_talk():
    """A conversation that has called the tool four times and is about to again: so that even a tiny model does."""
    messages = []
    for number, city in enumerate(["Paris", "Rome", "Oslo", "Lima"]):
        function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
        messages += [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": f"call_{number}", "content": "sunny"},
            {"role": "assistant", "content": "It is sunny."},
        ]
    return [*messages, {"role": "user", "content": "What is the weather in Aarhus?"}]


DECISION = re.compile(r"[0-9a-hjkmnp-tv-z]{13}")


def collect(stream):
    """The text of a stream, its finish reasons, and its usage; checks that all chunks belong together."""
    text, finishes, usage, ids = "", [], None, set()
    for chunk in stream:
        ids.add(chunk.id)
        if chunk.usage:
            usage = chunk.usage
        for choice in chunk.choices:
            assert not finishes, "nothing comes after the finish"
            text += choice.delta.content or ""
            if choice.finish_reason:
                finishes.append(choice.finish_reason)
    assert len(ids) == 1, f"chunks of {len(ids)} answers in one stream"
    assert len(finishes) == 1, finishes
    return text, finishes[0], usage


@pytest.mark.needs("chat")
def test_chat(oai, gateway, upstream):
    raw = oai.chat.completions.with_raw_response.create(model="assistant", messages=HELLO, max_tokens=32)
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert raw.headers["x-tradewind-target"] == f"up/{upstream.model}"
    assert DECISION.fullmatch(raw.headers["x-tradewind-decision"])

    record = gateway.decision(raw.headers["x-tradewind-decision"])
    assert record["outcome"] == "ok"
    assert record["chosen"] == f"up/{upstream.model}"
    assert record["usage"]["input"] == answer.usage.prompt_tokens
    assert record["usage"]["output"] == answer.usage.completion_tokens


@pytest.mark.needs("chat", "exact-length")
def test_limits_of_the_request_reach_the_upstream(oai):
    answer = oai.chat.completions.create(model="assistant", messages=HELLO, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens <= 3


@pytest.mark.needs("chat-stream")
def test_chat_stream(oai):
    stream = oai.chat.completions.create(model="assistant", messages=HELLO, max_tokens=32, stream=True)
    text, finish, _ = collect(stream)
    assert text and finish in ("stop", "length")


@pytest.mark.needs("chat-stream", "stream-usage")
def test_chat_stream_with_usage(oai, gateway):
    stream = oai.chat.completions.create(
        model="assistant", messages=HELLO, max_tokens=32, stream=True, stream_options={"include_usage": True}
    )
    decision = stream.response.headers["x-tradewind-decision"]
    _, _, usage = collect(stream)
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    record = gateway.decision(decision)
    assert (record["usage"]["input"], record["usage"]["output"]) == (usage.prompt_tokens, usage.completion_tokens)
    assert record["stream"] is True


@pytest.mark.needs("chat-stream")
def test_a_caller_who_leaves_a_stream_is_no_failure_of_the_target(oai, gateway):
    stream = oai.chat.completions.create(model="assistant", messages=HELLO, max_tokens=32, stream=True)
    next(iter(stream))
    stream.close()
    record = gateway.decision(stream.response.headers["x-tradewind-decision"])
    # A short answer may have been sent whole before the caller was gone.
    assert record["outcome"] in ("client_gone", "ok")
    assert all(attempt["outcome"] in ("client_gone", "ok") for attempt in record["attempts"])


@pytest.mark.needs("chat-tools", "chooses-tools")
def test_tool_calls(oai):
    messages = [{"role": "user", "content": "Use the tool: what is the weather in Aarhus?"}]
    first = oai.chat.completions.create(model="assistant", messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments), dict)

    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    second = oai.chat.completions.create(model="assistant", messages=messages)
    assert second.choices[0].message.content


@pytest.mark.needs("chat-tools")
def test_a_tool_call_that_is_asked_for(oai):
    answer = oai.chat.completions.create(
        model="assistant",
        messages=weather_talk(),
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=128,
    )
    (call, *_) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)


@pytest.mark.needs("chat-tools-stream")
def test_tool_calls_in_a_stream(oai):
    stream = oai.chat.completions.create(
        model="assistant",
        messages=weather_talk(),
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=128,
        stream=True,
    )
    name, arguments, finish = "", "", None
    for chunk in stream:
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert name == "get_weather"
    assert "city" in json.loads(arguments)
    assert finish == "tool_calls"


@pytest.mark.needs("completions")
def test_completions(oai):
    answer = oai.completions.create(model="assistant", prompt="Once upon a time", max_tokens=8)
    assert answer.choices[0].text and answer.usage.completion_tokens > 0
    chunks = list(oai.completions.create(model="assistant", prompt="Once upon a time", max_tokens=8, stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices)


@pytest.mark.needs("embeddings")
def test_embeddings(oai, gateway):
    texts = ["a ship in the harbour", "灯台 🚢", "a ship in the harbour"]
    # The client asks for base64 by itself and decodes it.
    decoded = oai.embeddings.create(model="embedder", input=texts)
    vectors = [item.embedding for item in decoded.data]
    assert [item.index for item in decoded.data] == [0, 1, 2]
    assert len({len(vector) for vector in vectors}) == 1 and len(vectors[0]) >= 8
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-3)
    assert decoded.usage.prompt_tokens > 0

    floats = oai.embeddings.with_raw_response.create(model="embedder", input=texts[0], encoding_format="float")
    assert floats.parse().data[0].embedding == pytest.approx(vectors[0], abs=1e-3)
    record = gateway.decision(floats.headers["x-tradewind-decision"])
    assert record["operation"] == "embeddings" and record["outcome"] == "ok"


@pytest.mark.needs("chat")
def test_models(oai):
    names = [model.id for model in oai.models.list()]
    assert {"assistant", "claude", "embedder"} <= set(names)
    assert len(names) == len(set(names))
    assert oai.models.retrieve("assistant").id == "assistant"
    with pytest.raises(openai.NotFoundError) as refusal:
        oai.models.retrieve("asistant")
    assert refusal.value.code == "TW1003"


@pytest.mark.needs("chat")
def test_an_unknown_model_is_not_found_and_the_nearest_is_named(oai):
    with pytest.raises(openai.NotFoundError) as refusal:
        oai.chat.completions.create(model="asistant", messages=HELLO)
    assert refusal.value.code == "TW1003"
    assert "assistant" in refusal.value.message


@pytest.mark.needs("chat")
def test_a_request_without_messages_is_a_bad_request(oai):
    with pytest.raises(openai.BadRequestError) as refusal:
        oai.chat.completions.create(model="assistant", messages="hello")
    assert refusal.value.code == "TW1002"
    assert refusal.value.param == "messages"


@pytest.mark.needs("chat", "chat-stream")
def test_the_asynchronous_client_with_many_calls_at_once(gateway):
    async def calls():
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key="a caller's key", max_retries=0, timeout=120
        ) as client:

            async def whole(number):
                answer = await client.chat.completions.create(
                    model="assistant", messages=[{"role": "user", "content": f"number {number}"}], max_tokens=8
                )
                return answer.choices[0].message.content

            async def stream(number):
                text, finishes = "", []
                async for chunk in await client.chat.completions.create(
                    model="assistant",
                    messages=[{"role": "user", "content": f"number {number}"}],
                    max_tokens=8,
                    stream=True,
                ):
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                        finishes += [choice.finish_reason] if choice.finish_reason else []
                assert len(finishes) == 1
                return text

            return await asyncio.gather(*[ask(number) for number in range(10) for ask in (whole, stream)])

    answers = asyncio.run(calls())
    assert len(answers) == 20 and all(answers)


def test_a_stream_is_passed_on_byte_by_byte(start_sim, start_gateway):
    """What comes out is what the upstream sent: fields that nobody knows, their order, blanks and all."""
    address = start_sim("--fault", "unknown-fields")
    gateway = start_gateway(
        {"providers": [rig.provider("sim", "openai", address)], "models": [rig.model("same", "sim/same")]}
    )
    request = {"model": "same", "messages": HELLO, "stream": True, "unknown": [1, {"b": 2, "a": 1}]}
    direct = rig.http(f"http://{address}/v1/chat/completions", request)
    passed = rig.http(f"{gateway.url}/v1/chat/completions", request)
    assert passed.status == direct.status == 200
    assert passed.headers["content-type"].startswith("text/event-stream")
    assert passed.body == direct.body

    request["stream"] = False
    direct = rig.http(f"http://{address}/v1/chat/completions", request)
    passed = rig.http(f"{gateway.url}/v1/chat/completions", request)
    assert passed.body == direct.body


def test_the_callers_own_key_never_reaches_the_upstream(start_sim, start_gateway):
    """The upstream takes only the gateway's key, and the caller sends another one."""
    address = start_sim("--key", "key-of-the-gateway")
    gateway = start_gateway(
        {"providers": [rig.provider("sim", "openai", address)], "models": [rig.model("guarded", "sim/any")]}
    )
    with openai_client(gateway) as client:
        assert client.chat.completions.create(model="guarded", messages=HELLO).choices[0].message.content
