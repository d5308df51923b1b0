"""The official `anthropic` package, unmodified, through the gateway."""

import asyncio

import anthropic
import pytest

import rig
from conftest import anthropic_client

HELLO = [{"role": "user", "content": "Tell me a short story about the lighthouse 灯台 🚢 and the naïve crew."}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}


def weather_talk():
    """A conversation that has called the tool four times and is about to again: so that even a tiny model does."""
    messages = []
    for number, city in enumerate(["Paris", "Rome", "Oslo", "Lima"]):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "get_weather", "input": {"city": city}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "sunny"}
        messages += [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": "It is sunny."},
        ]
    return [*messages, {"role": "user", "content": "What is the weather in Aarhus?"}]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.needs("messages")
def test_messages(claude, gateway, upstream):
    raw = claude.messages.with_raw_response.create(model="claude", max_tokens=32, messages=HELLO)
    message = raw.parse()
    assert text_of(message)
    assert message.role == "assistant" and message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert raw.headers["x-tradewind-target"] == f"up-a/{upstream.model}"

    record = gateway.decision(raw.headers["x-tradewind-decision"])
    assert record["outcome"] == "ok" and record["dialect"] == "anthropic"
    assert record["usage"]["output"] == message.usage.output_tokens


@pytest.mark.needs("messages-stream")
def test_messages_stream(claude):
    with claude.messages.stream(model="claude", max_tokens=32, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text and text == text_of(final)
    assert final.stop_reason in ("end_turn", "max_tokens")
    assert final.usage.output_tokens > 0


@pytest.mark.needs("messages-stream")
def test_the_events_of_a_stream_come_in_order(claude):
    events = [
        event.type for event in claude.messages.create(model="claude", max_tokens=16, messages=HELLO, stream=True)
    ]
    assert events[0] == "message_start" and events[-1] == "message_stop"
    assert events.count("message_start") == events.count("message_stop") == 1
    assert "content_block_delta" in events


@pytest.mark.needs("messages-tools", "chooses-tools")
def test_tool_calls(claude):
    question = {"role": "user", "content": "Use the tool: what is the weather in Aarhus?"}
    first = claude.messages.create(model="claude", max_tokens=64, messages=[question], tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert call.name == "get_weather" and isinstance(call.input, dict)

    second = claude.messages.create(
        model="claude",
        max_tokens=64,
        messages=[
            question,
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}],
            },
        ],
    )
    assert text_of(second)


@pytest.mark.needs("messages-tools-stream")
def test_tool_calls_in_a_stream(claude):
    with claude.messages.stream(
        model="claude",
        max_tokens=128,
        messages=weather_talk(),
        tools=[WEATHER],
        tool_choice={"type": "any"},
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    (call, *_) = [block for block in final.content if block.type == "tool_use"]
    assert call.name == "get_weather" and "city" in call.input


@pytest.mark.needs("count-tokens")
def test_count_tokens(claude):
    short = claude.messages.count_tokens(model="claude", messages=HELLO)
    long = claude.messages.count_tokens(
        model="claude", messages=[{"role": "user", "content": "a much longer question, " * 40}]
    )
    assert 0 < short.input_tokens < long.input_tokens


@pytest.mark.needs("messages")
def test_models_come_in_the_shape_of_this_dialect(claude):
    page = claude.models.list()
    assert {"assistant", "claude", "embedder"} <= {model.id for model in page}
    assert all(model.type == "model" and model.display_name for model in page)
    assert claude.models.retrieve("claude").id == "claude"


@pytest.mark.needs("messages")
def test_an_unknown_model_is_not_found_and_the_nearest_is_named(claude):
    with pytest.raises(anthropic.NotFoundError) as refusal:
        claude.messages.create(model="claud", max_tokens=8, messages=HELLO)
    error = refusal.value.body["error"]
    assert (error["type"], error["code"]) == ("not_found_error", "TW1003")
    assert "claude" in error["message"]


@pytest.mark.needs("messages")
def test_a_request_without_messages_is_a_bad_request(claude):
    with pytest.raises(anthropic.BadRequestError) as refusal:
        claude.messages.create(model="claude", max_tokens=8, messages="hello")
    error = refusal.value.body["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "TW1002")


@pytest.mark.needs("messages", "messages-stream")
def test_the_asynchronous_client_with_many_calls_at_once(gateway):
    async def calls():
        async with anthropic.AsyncAnthropic(
            base_url=gateway.url, api_key="a caller's key", max_retries=0, timeout=120
        ) as client:

            async def whole(number):
                message = await client.messages.create(
                    model="claude", max_tokens=8, messages=[{"role": "user", "content": f"number {number}"}]
                )
                return text_of(message)

            async def stream(number):
                async with client.messages.stream(
                    model="claude", max_tokens=8, messages=[{"role": "user", "content": f"number {number}"}]
                ) as events:
                    return text_of(await events.get_final_message())

            return await asyncio.gather(*[ask(number) for number in range(10) for ask in (whole, stream)])

    answers = asyncio.run(calls())
    assert len(answers) == 20 and all(answers)


def test_a_stream_is_passed_on_byte_by_byte(start_sim, start_gateway):
    address = start_sim("--fault", "unknown-fields")
    gateway = start_gateway(
        {"providers": [rig.provider("sim", "anthropic", address)], "models": [rig.model("same", "sim/same")]}
    )
    request = {"model": "same", "max_tokens": 40, "messages": HELLO, "stream": True, "unknown": [1, {"b": 2, "a": 1}]}
    headers = {"anthropic-version": "2023-06-01"}
    direct = rig.http(f"http://{address}/v1/messages", request, headers)
    passed = rig.http(f"{gateway.url}/v1/messages", request, headers)
    assert passed.status == direct.status == 200
    assert passed.body == direct.body
