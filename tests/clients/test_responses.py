"""The Responses API, with the official `openai` package: in front of chat completions, of Anthropic's messages, of a
provider that has it, and of one that turns out not to have it.
"""

import json
from dataclasses import dataclass

import openai
import pytest

import rig
from conftest import openai_client
from matrix.case import answer, scripted_call, usage
from matrix.cases_talk import PNG
from matrix.cases_tools import AARHUS, AERO, SCHEMA

# The targets, and what the upstream is then asked for. `direct` has no gateway between: it shows that the tests are right.
WIRES = {
    "direct": "/v1/responses",
    "native": "/v1/responses",
    "without": "/v1/chat/completions",
    "messages": "/v1/messages",
}
TOOL = {"type": "function", "name": "get_wind", "description": "The wind.", "parameters": SCHEMA, "strict": True}
USAGE = usage(prompt=2048, output=30, cached=1536, reasoning=21)
CALLS = [scripted_call("call_1", "get_wind", AARHUS), scripted_call("call_2", "get_wind", AERO)]
INPUT = [
    {"role": "user", "content": [{"type": "input_text", "text": "Where from 灯台?"}]},
    {"role": "assistant", "content": "From the west."},
    {"role": "user", "content": "Sure?"},
]


@pytest.fixture(scope="module")
def sims(tmp_path_factory):
    """A provider with responses, a second one, and one without."""
    folder = tmp_path_factory.mktemp("responses-sims")
    started = {
        "native": rig.start_sim(folder, "--strict", "--name", "native"),
        "other": rig.start_sim(folder, "--strict", "--name", "other"),
        "without": rig.start_sim(folder, "--strict", "--name", "without", "--no-responses"),
    }
    yield {name: address for name, (_, address) in started.items()}
    for program, _ in started.values():
        program.kill()


@pytest.fixture(scope="module")
def gateway(sims, tmp_path_factory):
    config = {
        "providers": [
            *[rig.provider(name, "openai", address, discover=False) for name, address in sims.items()],
            rig.provider("messages", "anthropic", sims["native"], discover=False),
        ],
        "models": [
            *[rig.model(name, f"{name}/{name}") for name in (*sims, "messages")],
            rig.model("two", "native/two", "other/two", strategy="weighted"),
        ],
    }
    gateway = rig.Gateway(tmp_path_factory.mktemp("responses-gateway"), config)
    yield gateway
    gateway.kill()


@pytest.fixture
def oai(gateway):
    with openai_client(gateway) as client:
        yield client


@dataclass(frozen=True)
class Target:
    """A model, the sim behind it, and the path that is asked there."""

    model: str
    sim: str
    path: str
    client: openai.OpenAI


@pytest.fixture(params=WIRES)
def target(request, sims):
    sim = sims.get(request.param, sims["native"])
    rig.script(sim, request.param, answer("From the west 灯台.", usage=USAGE))
    url = f"http://{sim}" if request.param == "direct" else request.getfixturevalue("gateway").url
    with openai.OpenAI(base_url=f"{url}/v1", api_key="a caller's key", max_retries=0, timeout=30) as client:
        yield Target(request.param, sim, WIRES[request.param], client)


def last_body(target):
    """What the upstream has received last, on the path that it should be asked on."""
    last = rig.received(target.sim, target.model)[-1]
    assert last["path"] == target.path
    return json.loads(last["body"])


def check_usage(response):
    counts = response.usage
    assert (counts.input_tokens, counts.output_tokens, counts.total_tokens) == (2048, 30, 2078)
    assert counts.input_tokens_details.cached_tokens == 1536
    assert counts.output_tokens_details.reasoning_tokens == 21


def streamed(oai, **request):
    """The events of a stream and its final response; the sequence is checked."""
    with oai.responses.stream(**request) as stream:
        events = list(stream)
        final = events[-1].response
        # The helper has no final response when one is incomplete.
        if final.status == "completed":
            assert stream.get_final_response().output_text == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete") and kinds.count(kinds[-1]) == 1
    opened = [event.item.id for event in events if event.type == "response.output_item.added"]
    closed = [event.item.id for event in events if event.type == "response.output_item.done"]
    assert opened == closed == [item.id for item in final.output] and len(set(opened)) == len(opened)
    for event in events:
        if hasattr(event, "item_id"):
            assert event.item_id == final.output[event.output_index].id
    assert {event.response.id for event in events if hasattr(event, "response")} == {final.id}
    return events, final


def test_create(target):
    oai, model, path = target.client, target.model, target.path
    response = oai.responses.create(
        model=model, instructions="Be brief.", input=INPUT, max_output_tokens=64, temperature=0.25
    )
    assert response.output_text == "From the west 灯台."
    assert (response.status, response.object, response.error) == ("completed", "response", None)
    assert [item.type for item in response.output] == ["message"]
    check_usage(response)
    body = last_body(target)
    if path == "/v1/responses":
        assert body == {
            "model": model,
            "instructions": "Be brief.",
            "input": INPUT,
            "max_output_tokens": 64,
            "temperature": 0.25,
        }
        return
    said = [
        {"role": "user", "content": "Where from 灯台?"},
        {"role": "assistant", "content": "From the west."},
        {"role": "user", "content": "Sure?"},
    ]
    expected = {"model": model, "max_tokens": 64, "temperature": 0.25}
    if path == "/v1/messages":
        said[0]["content"] = [{"type": "text", "text": "Where from 灯台?"}]
        assert body == expected | {"system": "Be brief.", "messages": said}
    else:
        assert body == expected | {"messages": [{"role": "system", "content": "Be brief."}, *said]}


def test_stream(target):
    events, final = streamed(target.client, model=target.model, input="Where from?")
    assert final.output_text == "From the west 灯台."
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    assert len([event for event in events if event.type == "response.output_text.delta"]) > 1
    check_usage(final)
    body = last_body(target)
    assert body["stream"] is True
    if target.path == "/v1/chat/completions":
        assert body["stream_options"] == {"include_usage": True}


def test_tools_and_their_results(target):
    oai, model, sim, path = target.client, target.model, target.sim, target.path
    told = answer("Asking.", tool_calls=CALLS, finish="tool_calls", interleave=True, piece=1)
    rig.script(sim, model, told)
    question = {"role": "user", "content": "Which way?"}
    whole = oai.responses.create(model=model, input=[question], tools=[TOOL], tool_choice="required")
    events, final = streamed(oai, model=model, input=[question], tools=[TOOL])
    for response in (whole, final):
        assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
        calls = [item for item in response.output if item.type == "function_call"]
        assert [(call.call_id, call.name) for call in calls] == [("call_1", "get_wind"), ("call_2", "get_wind")]
        assert [json.loads(call.arguments) for call in calls] == [AARHUS, AERO]
    for index, call in enumerate(final.output):
        if call.type == "function_call":
            pieces = [
                event.delta
                for event in events
                if event.type == "response.function_call_arguments.delta" and event.output_index == index
            ]
            assert len(pieces) > 1 and json.loads("".join(pieces)) == json.loads(call.arguments)

    rig.script(sim, model, answer("West and north."))
    calls = [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
        for call in whole.output[1:]
    ]
    results = [
        {"type": "function_call_output", "call_id": "call_2", "output": "north"},
        {"type": "function_call_output", "call_id": "call_1", "output": "west"},
    ]
    last = oai.responses.create(model=model, input=[question, *calls, *results], tools=[TOOL])
    assert last.output_text == "West and north."
    body = last_body(target)
    if path == "/v1/messages":
        assert body["tools"] == [
            {"name": "get_wind", "description": "The wind.", "input_schema": SCHEMA, "strict": True}
        ]
        assert body["messages"][-1] == {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_2", "content": "north"},
                {"type": "tool_result", "tool_use_id": "call_1", "content": "west"},
            ],
        }
        assert [block["id"] for block in body["messages"][1]["content"]] == ["call_1", "call_2"]
    elif path == "/v1/chat/completions":
        assert body["tools"] == [
            {
                "type": "function",
                "function": {
                    "name": "get_wind",
                    "description": "The wind.",
                    "parameters": SCHEMA,
                    "strict": True,
                },
            }
        ]
        assert body["messages"][-2:] == [
            {"role": "tool", "tool_call_id": "call_2", "content": "north"},
            {"role": "tool", "tool_call_id": "call_1", "content": "west"},
        ]
        made = [call["function"] for call in body["messages"][1]["tool_calls"]]
        assert [json.loads(function["arguments"]) for function in made] == [AARHUS, AERO]
    else:
        assert body["input"] == [question, *calls, *results]


@pytest.mark.parametrize("stream", [False, True])
def test_ends_thinking_and_refusals(target, stream):
    oai, model, sim, path = target.client, target.model, target.sim, target.path

    def ask():
        if stream:
            return streamed(oai, model=model, input="Where from?")[1]
        return oai.responses.create(model=model, input="Where from?")

    rig.script(sim, model, answer("so far", finish="length"))
    cut = ask()
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.output_text == "so far"

    rig.script(sim, model, answer(refusal="I will not.", finish="refusal"))
    refused = ask()
    (item,) = refused.output
    (part,) = item.content
    if path == "/v1/messages":
        # That it was a refusal is said at the end, when a stream has long passed the words on.
        assert (part.type, part.text, refused.status) == ("output_text", "I will not.", "incomplete")
        assert refused.incomplete_details.reason == "content_filter"
    else:
        assert (part.type, part.refusal, refused.status) == ("refusal", "I will not.", "completed")

    rig.script(sim, model, answer("West.", thinking={"text": "Sails hang east.", "signature": "c2ln"}))
    thought = ask()
    assert [item.type for item in thought.output] == ["reasoning", "message"]
    assert [part.text for part in thought.output[0].summary] == ["Sails hang east."]


def test_images_and_formats(target):
    oai, model, sim, path = target.client, target.model, target.sim, target.path
    rig.script(sim, model, answer('{"city": "Ærø"}'))
    picture = f"data:image/png;base64,{PNG}"
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    response = oai.responses.create(
        model=model,
        input=[{"role": "user", "content": [{"type": "input_image", "image_url": picture, "detail": "auto"}]}],
        text={"format": {"type": "json_schema", "name": "place", "strict": True, "schema": schema}},
    )
    assert json.loads(response.output_text) == {"city": "Ærø"}
    body = last_body(target)
    if path == "/v1/messages":
        (block,) = body["messages"][0]["content"]
        assert block == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    elif path == "/v1/chat/completions":
        (part,) = body["messages"][0]["content"]
        assert (part["type"], part["image_url"]["url"]) == ("image_url", picture)
        form = body["response_format"]["json_schema"]
        assert (form["name"], form["strict"], form["schema"]) == ("place", True, schema)


def test_a_provider_without_responses_is_asked_for_chat_completions(oai, gateway, sims):
    rig.script(sims["without"], "without", answer("From the west."))
    for _ in range(3):
        raw = oai.responses.with_raw_response.create(model="without", input="Where from?")
        assert raw.parse().output_text == "From the west."
        assert gateway.decision(raw.headers["x-tradewind-decision"])["outcome"] == "ok"
    # It is asked for responses at most once in a while, not with each call.
    last = [request["path"] for request in rig.received(sims["without"], "without")[-2:]]
    assert last == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize("model", ["without", "messages"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("background", True), ("conversation", "conv_1"), ("store", True), ("max_tool_calls", 3), ("vendor_option", 1)],
)
def test_what_cannot_be_translated_is_named(oai, model, field, value):
    with pytest.raises(openai.BadRequestError) as refusal:
        oai.responses.create(model=model, input="Where from?", extra_body={field: value})
    # The last is wrong wherever it goes: nobody here could ask for the answer later.
    code = "TW1002" if field == "background" else "TW1014"
    assert refusal.value.body["code"] == code and field in refusal.value.body["message"]


def test_a_previous_response_goes_to_the_target_that_minted_it(oai, sims):
    for name in ("native", "other"):
        rig.script(sims[name], "two", answer(f"I am {name}."))
    minted = {}
    for _ in range(200):
        first = oai.responses.create(model="two", input="Who are you?")
        minted.setdefault(first.output_text, first.id)
        if len(minted) == 2:
            break
    assert set(minted) == {"I am native.", "I am other."}, "both targets answer"
    for said, previous in minted.items():
        for _ in range(5):
            again = oai.responses.create(model="two", input="And now?", previous_response_id=previous)
            assert again.output_text == said
            assert again.previous_response_id == previous
        # Ids of a chain stay usable, streamed or not.
        _, streamed_again = streamed(oai, model="two", input="And then?", previous_response_id=again.id)
        assert streamed_again.output_text == said
    for name in ("native", "other"):
        own = [json.loads(request["body"]) for request in rig.received(sims[name], "two")]
        previous = {body["previous_response_id"] for body in own if "previous_response_id" in body}
        assert previous and all(f"resp-{name}-" in id for id in previous), "the provider sees its own ids"


def test_previous_responses_of_nobody_are_refused(oai, sims):
    rig.script(sims["native"], "native", answer("I am native."))
    good = oai.responses.create(model="native", input="Who are you?").id
    position = len(good) // 2
    forged = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
    own = json.loads(
        rig.http(f"http://{sims['native']}/v1/responses", {"model": "native", "input": "directly"}).body
    )["id"]
    for wrong in (forged, own, "resp_123", "", good[:-1], "x" * 5000):
        before = len(rig.received(sims["native"], "native"))
        with pytest.raises(openai.BadRequestError) as refusal:
            oai.responses.create(model="native", input="And now?", previous_response_id=wrong)
        assert "previous_response_id" in refusal.value.body["message"], refusal.value.body
        assert len(rig.received(sims["native"], "native")) == before
    assert oai.responses.create(model="native", input="And now?", previous_response_id=good).output_text


@pytest.mark.parametrize("model", ["without", "messages", "other"])
def test_a_previous_response_of_another_target_is_refused(oai, sims, model):
    rig.script(sims["native"], "native", answer("I am native."))
    first = oai.responses.create(model="native", input="Who are you?")
    with pytest.raises(openai.BadRequestError) as refusal:
        oai.responses.create(model=model, input="And now?", previous_response_id=first.id)
    assert "previous_response_id" in refusal.value.body["message"], refusal.value.body
