"""What cannot be translated, what may be left out, and what is wrong in itself: the right status in the caller's dialect,
with the field named, and nothing sent to anybody.
"""

import base64
import json

import anthropic
import openai
import pytest

import rig
from conftest import anthropic_client, openai_client
from matrix.cases_talk import GIF, HELLO, PDF, PNG
from matrix.cases_tools import ASK, CHAT_PING, PING, TOOL
from matrix.case import assistant, said_call, use, user

# What messages has nothing for: the field that is named, and a chat request with it.
CHAT_ONLY = {
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 3},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "presence_penalty": {"presence_penalty": -0.5},
    "seed": {"seed": 7},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "modalities": {"modalities": ["text", "audio"]},
    "audio": {"audio": {"voice": "alloy", "format": "wav"}},
    "prediction": {"prediction": {"type": "content", "content": "From the west."}},
    "temperature": {"temperature": 1.5},
    "web_search_options": {"web_search_options": {}},
    "response_format": {"response_format": {"type": "json_object"}},
    "reasoning_effort": {"reasoning_effort": "minimal"},
    "store": {"store": True},
    "functions": {"functions": [{"name": "ping", "parameters": {}}]},
    "function_call": {"function_call": "auto"},
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
    "tools[0]": {"tools": [{"type": "custom", "custom": {"name": "grammar"}}]},
    "tool_choice": {
        "tools": [CHAT_PING],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CHAT_PING]}},
    },
    "messages[0].name": {"messages": [{"role": "user", "content": "hello", "name": "ann"}]},
    "messages[1]": {"messages": [*HELLO, {"role": "system", "content": "Be brief."}, *HELLO]},
    "messages[0].content[0]": {
        "messages": [user([{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}])]
    },
    "vendor_option": {"extra_body": {"vendor_option": 1}},
}
# The same the other way round.
MESSAGES_ONLY = {
    "top_k": {"extra_body": {"top_k": 5}},
    "stop_sequences": {"stop_sequences": ["a", "b", "c", "d", "e"]},
    "container": {"container": "container_1"},
    "inference_geo": {"inference_geo": "eu"},
    "speed": {"speed": "fast"},
    "tools[0]": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "thinking.type": {"extra_body": {"thinking": {"type": "between_tools"}}},
    "messages[0].content[0]": {
        "messages": [
            user([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}])
        ]
    },
    "messages[1]": {"messages": [*HELLO, assistant("The wind comes from")]},
    "vendor_option": {"extra_body": {"vendor_option": 1}},
}


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    program, address = rig.start_sim(tmp_path_factory.mktemp("obstacles-sim"), "--strict")
    yield address
    program.kill()


@pytest.fixture(scope="module")
def gateway(sim, tmp_path_factory):
    """Models with a target of either wire, of both, and one that takes hints seriously."""
    config = {
        "providers": [
            rig.provider("chat", "openai", sim, discover=False),
            rig.provider("messages", "anthropic", sim, discover=False),
        ],
        "models": [
            rig.model("chat-only", "chat/chat-only"),
            rig.model("messages-only", "messages/messages-only"),
            rig.model("chat-first", "chat/chat-first", "messages/chat-first", strategy="fallback"),
            rig.model("messages-first", "messages/messages-first", "chat/messages-first", strategy="fallback"),
            rig.model("strict-chat", "chat/strict-chat", strict=True),
            rig.model("strict-messages", "messages/strict-messages", strict=True),
        ],
    }
    gateway = rig.Gateway(tmp_path_factory.mktemp("obstacles-gateway"), config)
    yield gateway
    gateway.kill()


@pytest.fixture
def oai(gateway):
    with openai_client(gateway) as client:
        yield client


@pytest.fixture
def claude(gateway):
    with anthropic_client(gateway) as client:
        yield client


def chat(client, model, request):
    return client.chat.completions.with_raw_response.create(**({"model": model, "messages": HELLO} | request))


def messages(client, model, request):
    return client.messages.with_raw_response.create(
        **({"model": model, "messages": HELLO, "max_tokens": 64} | request)
    )


def nothing_sent(sim, model):
    return rig.received(sim, model) == []


@pytest.mark.parametrize("field", CHAT_ONLY)
def test_what_messages_cannot_express_is_a_bad_request_that_names_the_field(oai, gateway, sim, field):
    with pytest.raises(openai.BadRequestError) as refusal:
        chat(oai, "messages-only", CHAT_ONLY[field])
    error = refusal.value.body
    assert error["code"] == "TW1014" and field in error["message"], error
    record = gateway.decision(refusal.value.response.headers["x-tradewind-decision"])
    (candidate,) = record["candidates"]
    assert candidate["eligible"] is False and field in candidate["reason"], candidate
    assert record["attempts"] == [] and nothing_sent(sim, "messages-only")


@pytest.mark.parametrize("field", MESSAGES_ONLY)
def test_what_chat_cannot_express_is_a_bad_request_that_names_the_field(claude, gateway, sim, field):
    with pytest.raises(anthropic.BadRequestError) as refusal:
        messages(claude, "chat-only", MESSAGES_ONLY[field])
    error = refusal.value.body["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "TW1014")
    assert field in error["message"], error
    record = gateway.decision(refusal.value.response.headers["x-tradewind-decision"])
    (candidate,) = record["candidates"]
    assert candidate["eligible"] is False and field in candidate["reason"], candidate
    assert record["attempts"] == [] and nothing_sent(sim, "chat-only")


def test_another_target_that_can_is_used_instead(oai, claude, gateway):
    raw = chat(oai, "messages-first", {"n": 1, "seed": 7})
    assert raw.headers["x-tradewind-target"] == "chat/messages-first"
    first, second = gateway.decision(raw.headers["x-tradewind-decision"])["candidates"]
    reasons = {one["target"]: one for one in (first, second)}
    assert reasons["messages/messages-first"]["eligible"] is False
    assert "seed" in reasons["messages/messages-first"]["reason"]

    raw = messages(claude, "chat-first", {"extra_body": {"top_k": 5}})
    assert raw.headers["x-tradewind-target"] == "messages/chat-first"
    # Without it, the first target is as good as the other.
    assert messages(claude, "chat-first", {}).headers["x-tradewind-target"] == "chat/chat-first"


CHAT_HINTS = {
    "user": {"user": "ann"},
    "safety_identifier": {"safety_identifier": "ann"},
    "metadata": {"metadata": {"team": "sails"}},
    "service_tier": {"service_tier": "flex"},
    "prompt_cache_key": {"prompt_cache_key": "port"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "store": {"store": False},
    "verbosity": {"verbosity": "low"},
    "messages[0].content[0].image_url.detail": {
        "messages": [
            user([{"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{GIF}", "detail": "low"}}])
        ]
    },
}
MESSAGES_HINTS = {
    "metadata": {"metadata": {"user_id": "ann"}},
    "service_tier": {"service_tier": "standard_only"},
    "tools[0].cache_control": {"tools": [PING | {"cache_control": {"type": "ephemeral"}}]},
    "messages[0].content[0].cache_control": {
        "messages": [user([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}])]
    },
}


@pytest.mark.parametrize("field", CHAT_HINTS)
def test_hints_of_chat_are_left_out_and_listed_unless_they_count(oai, sim, field):
    before = len(rig.received(sim, "messages-only"))
    listed = chat(oai, "messages-only", CHAT_HINTS[field]).headers["x-tradewind-dropped"]
    assert field in listed
    assert len(rig.received(sim, "messages-only")) == before + 1
    with pytest.raises(openai.BadRequestError) as refusal:
        chat(oai, "strict-messages", CHAT_HINTS[field])
    assert refusal.value.body["code"] == "TW1014" and field in refusal.value.body["message"]
    # Towards its own dialect nothing is left out, and nothing is in the way.
    assert "x-tradewind-dropped" not in chat(oai, "strict-chat", CHAT_HINTS[field]).headers


@pytest.mark.parametrize("field", MESSAGES_HINTS)
def test_hints_of_messages_are_left_out_and_listed_unless_they_count(claude, field):
    listed = messages(claude, "chat-only", MESSAGES_HINTS[field]).headers["x-tradewind-dropped"]
    assert field in listed
    with pytest.raises(anthropic.BadRequestError) as refusal:
        messages(claude, "strict-chat", MESSAGES_HINTS[field])
    assert refusal.value.body["error"]["code"] == "TW1014" and field in refusal.value.body["error"]["message"]
    assert "x-tradewind-dropped" not in messages(claude, "strict-messages", MESSAGES_HINTS[field]).headers


def data_url(media_type, content):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def image(media_type, data):
    return user([{"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}])


def chat_image(url):
    return user([{"type": "image_url", "image_url": {"url": url}}])


PINGED = assistant(None, tool_calls=[said_call("call_1", "ping", {})])
USED = assistant([use("call_1", "ping", {})])
NO_PICTURE = base64.b64encode(b"this is no picture").decode()
HALF = {"name": "ping", "arguments": "{"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "4"}


def block_result(id, **more):
    return {"type": "tool_result", "tool_use_id": id, "content": "4"} | more


# What is wrong in itself: the field that is named, and the conversation.
WRONG_CHAT = {
    "a result without a call": ("messages[1]", [*ASK, RESULT]),
    "the result of another call": ("messages[2]", [*ASK, PINGED, RESULT | {"tool_call_id": "call_2"}]),
    "two results of a call": ("messages[3]", [*ASK, PINGED, RESULT, RESULT]),
    "a call without a result": ("messages[1]", [*ASK, PINGED, *ASK]),
    "arguments that are no JSON": (
        "messages[1].tool_calls[0].function.arguments",
        [*ASK, assistant(None, tool_calls=[said_call("c", "ping", {}) | {"function": HALF}])],
    ),
    "arguments that are no object": (
        "messages[1].tool_calls[0].function.arguments",
        [*ASK, assistant(None, tool_calls=[said_call("c", "ping", [])])],
    ),
    "an image that is none": ("messages[0].content[0]", [chat_image(data_url("image/png", b"this is no picture"))]),
    "an image of another type": ("messages[0].content[0]", [chat_image(f"data:image/png;base64,{GIF}")]),
    "base64 that is none": ("messages[0].content[0]", [chat_image("data:image/png;base64,iVBO*Rw0")]),
    "an unknown role": ("messages[0].role", [{"role": "pilot", "content": "hello"}]),
    "content of the wrong kind": ("messages[0].content", [{"role": "user", "content": 7}]),
}
WRONG_MESSAGES = {
    "a result without a call": ("messages[1].content[0]", [*ASK, user([block_result("call_1")])]),
    "the result of another call": ("messages[2].content[0]", [*ASK, USED, user([block_result("call_2")])]),
    "two results of a call": ("messages[2].content[1]", [*ASK, USED, user([block_result("call_1")] * 2)]),
    "a call without a result": ("messages[1].content[0]", [*ASK, USED, *ASK]),
    "a text before a result": (
        "messages[2].content",
        [*ASK, USED, user([{"type": "text", "text": "well"}, block_result("call_1")])],
    ),
    "an input that is no object": ("messages[1].content[0].input", [*ASK, assistant([use("c", "ping", [1])])]),
    "an image that is none": ("messages[0].content[0]", [image("image/png", NO_PICTURE)]),
    "an image of another type": ("messages[0].content[0]", [image("image/jpeg", PNG)]),
    "a picture as a document": (
        "messages[0].content[0]",
        [image("image/png", PDF)],
    ),
    "an unknown role": ("messages[0].role", [{"role": "pilot", "content": "hello"}]),
    "content of the wrong kind": ("messages[0].content", [{"role": "user", "content": 7}]),
}


@pytest.mark.parametrize("what", WRONG_CHAT)
def test_wrong_chat_requests(oai, sim, what):
    field, conversation = WRONG_CHAT[what]
    before = len(rig.received(sim, "messages-only"))
    with pytest.raises(openai.BadRequestError) as refusal:
        chat(oai, "messages-only", {"messages": conversation})
    assert refusal.value.body["code"].startswith("TW10") and field in refusal.value.body["message"]
    assert len(rig.received(sim, "messages-only")) == before


@pytest.mark.parametrize("what", WRONG_MESSAGES)
def test_wrong_messages_requests(claude, sim, what):
    field, conversation = WRONG_MESSAGES[what]
    before = len(rig.received(sim, "chat-only"))
    with pytest.raises(anthropic.BadRequestError) as refusal:
        messages(claude, "chat-only", {"messages": conversation, "tools": [TOOL, PING]})
    error = refusal.value.body["error"]
    assert error["type"] == "invalid_request_error" and error["code"].startswith("TW10"), error
    assert field in error["message"], error
    assert len(rig.received(sim, "chat-only")) == before


def body(more="", messages='[{"role": "user", "content": "a"}]'):
    """A body as text, so that it can be wrong in any way."""
    return f'{{"model": "MODEL", "max_tokens": 8, "messages": {messages}{more}}}'.encode()


DEEP = '{"a":' * 5000 + "1" + "}" * 5000
BODIES = {
    "no JSON": body()[:-3],
    "a list": b"[1, 2]",
    "over-deep": body(f', "metadata": {DEEP}'),
    "over-deep tools": body(f', "tools": {DEEP}'),
    "the model twice": body(', "model": "other"'),
    "messages twice": body(', "messages": [{"role": "user", "content": "b"}]'),
    "a role twice": body(messages='[{"role": "user", "content": "a", "role": "user"}]'),
    "no UTF-8": body().replace(b'"a"', b'"a\xff\xfe"'),
    "no UTF-8 in a name": body(', "NAME": 1').replace(b"NAME", b"\xc3\x28"),
    "messages of the wrong kind": body(messages='{"role": "user"}'),
    "a message of the wrong kind": body(messages='["hello"]'),
    "a temperature of the wrong kind": body(', "temperature": "0.5"'),
    "a limit of the wrong kind": body().replace(b"8", b'"8"', 1),
    "a limit below zero": body().replace(b"8", b"-8", 1),
    "stream of the wrong kind": body(', "stream": "yes"'),
    "tools of the wrong kind": body(', "tools": {}'),
}


@pytest.mark.parametrize("what", BODIES)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_wrong_bodies(gateway, sim, dialect, what):
    model = {"openai": "messages-only", "anthropic": "chat-only"}[dialect]
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[dialect]
    before = len(rig.received(sim, model))
    reply = rig.http(f"{gateway.url}{path}", BODIES[what].replace(b"MODEL", model.encode()))
    assert reply.status == 400, reply
    body = reply.json()
    assert (body.get("type") == "error") == (dialect == "anthropic")
    assert body["error"]["type"] == "invalid_request_error" and body["error"]["code"].startswith("TW10"), body
    assert len(rig.received(sim, model)) == before
    # And the next one is answered.
    good = {"model": model, "max_tokens": 8, "messages": HELLO}
    assert rig.http(f"{gateway.url}{path}", json.dumps(good).encode()).status == 200
