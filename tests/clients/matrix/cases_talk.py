"""Rows without tools: text, images, structured output, ends of answers, thinking, usage."""

from matrix.case import Case, answer, assistant, completion, message, usage, user

HELLO = [user("Where does the wind come from?")]
STRANGE = "naïve 灯台 🚢 \u2028 \u0000 \"quoted\" back\\slash \t é e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 عربى"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GIF = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoKdHJhaWxlcgo8PC9Sb290IDEgMCBSPj4KJSVFT0YK"
PORT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "depth": {"type": "number", "minimum": 0.5}},
    "required": ["name", "depth"],
    "additionalProperties": False,
}

TEXT = Case(
    name="text",
    answer=answer("From the west."),
    openai={
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
        "temperature": 0.25,
        "top_p": 0.9,
        "max_completion_tokens": 64,
    },
    to_messages={"system": "Be brief.", "messages": HELLO, "temperature": 0.25, "top_p": 0.9, "max_tokens": 64},
    anthropic={"system": "Be brief.", "messages": HELLO, "temperature": 0.25, "top_p": 0.9, "max_tokens": 64},
    to_chat={
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
        "temperature": 0.25,
        "top_p": 0.9,
        "max_tokens": 64,
    },
    completion=completion("From the west."),
    message=message("From the west."),
)

# No limit was set, and messages demands one; what says the default is not sent.
DEFAULTS = Case(
    name="defaults",
    answer=answer("From the west."),
    openai={"messages": HELLO, "n": 1, "frequency_penalty": 0, "logprobs": False, "response_format": {"type": "text"}},
    to_messages={"messages": HELLO, "max_tokens": 4096},
    completion=completion("From the west."),
)

TALK = [user("One."), assistant("Two."), user("Three.")]
CONVERSATION = Case(
    name="conversation",
    answer=answer("Four."),
    openai={
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "developer", "content": "In English."},
            *TALK[:2],
            user([{"type": "text", "text": "Three,"}, {"type": "text", "text": " and on."}]),
        ]
    },
    to_messages={
        "system": [{"type": "text", "text": "Count."}, {"type": "text", "text": "In English."}],
        "messages": [*TALK[:2], user([{"type": "text", "text": "Three,"}, {"type": "text", "text": " and on."}])],
        "max_tokens": 4096,
    },
    anthropic={
        "system": [{"type": "text", "text": "Count."}, {"type": "text", "text": "In English."}],
        "messages": TALK,
        "max_tokens": 8,
    },
    to_chat={
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Count."}, {"type": "text", "text": "In English."}]},
            *TALK,
        ],
        "max_tokens": 8,
    },
    completion=completion("Four."),
    message=message("Four."),
)

UNICODE = Case(
    name="unicode",
    answer=answer(chunks=list(STRANGE)),
    openai={"messages": [user(STRANGE)], "max_tokens": 64},
    to_messages={"messages": [user(STRANGE)], "max_tokens": 64},
    anthropic={"messages": [user(STRANGE)], "max_tokens": 64},
    to_chat={"messages": [user(STRANGE)], "max_tokens": 64},
    completion=completion(STRANGE),
    message=message(STRANGE),
)

CHAT_PARTS = [
    {"type": "text", "text": "Which of these?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    {"type": "image_url", "image_url": {"url": "https://example.com/port.jpg?size=2&x=%20"}},
    {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{GIF}"}},
]
BLOCKS = [
    {"type": "text", "text": "Which of these?"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "source": {"type": "url", "url": "https://example.com/port.jpg?size=2&x=%20"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": GIF}},
]
IMAGES = Case(
    name="images",
    answer=answer("The second."),
    openai={"messages": [user(CHAT_PARTS)], "max_tokens": 64},
    to_messages={"messages": [user(BLOCKS)], "max_tokens": 64},
    anthropic={"messages": [user(BLOCKS)], "max_tokens": 64},
    to_chat={"messages": [user(CHAT_PARTS)], "max_tokens": 64},
    completion=completion("The second."),
    message=message("The second."),
)

CHAT_FILE = {"type": "file", "file": {"filename": "port.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
DOCUMENT = {
    "type": "document",
    "title": "port.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
DOCUMENTS = Case(
    name="documents",
    answer=answer("A port."),
    openai={"messages": [user([CHAT_FILE, {"type": "text", "text": "What?"}])], "max_tokens": 64},
    to_messages={"messages": [user([DOCUMENT, {"type": "text", "text": "What?"}])], "max_tokens": 64},
    anthropic={"messages": [user([DOCUMENT, {"type": "text", "text": "What?"}])], "max_tokens": 64},
    to_chat={"messages": [user([CHAT_FILE, {"type": "text", "text": "What?"}])], "max_tokens": 64},
    completion=completion("A port."),
    message=message("A port."),
)

JSON_TEXT = '{"name": "Ærø", "depth": 4.50}'
CHAT_FORMAT = {"type": "json_schema", "json_schema": {"name": "output", "strict": True, "schema": PORT}}
JSON_OUTPUT = Case(
    name="json-output",
    answer=answer(JSON_TEXT),
    openai={"messages": HELLO, "max_tokens": 64, "response_format": CHAT_FORMAT},
    to_messages={
        "messages": HELLO,
        "max_tokens": 64,
        "output_config": {"format": {"type": "json_schema", "schema": PORT}},
    },
    anthropic={
        "messages": HELLO,
        "max_tokens": 64,
        "output_config": {"format": {"type": "json_schema", "schema": PORT}},
    },
    to_chat={"messages": HELLO, "max_tokens": 64, "response_format": CHAT_FORMAT},
    completion=completion(JSON_TEXT),
    message=message(JSON_TEXT),
)

STOP = Case(
    name="stop",
    answer=answer("so far", finish={"stop_sequence": "END"}),
    openai={"messages": HELLO, "max_tokens": 64, "stop": ["END", "灯"]},
    to_messages={"messages": HELLO, "max_tokens": 64, "stop_sequences": ["END", "灯"]},
    anthropic={"messages": HELLO, "max_tokens": 64, "stop_sequences": ["END", "灯"]},
    to_chat={"messages": HELLO, "max_tokens": 64, "stop": ["END", "灯"]},
    completion=completion("so far", stop_reason="END"),
    message=message("so far", stop="stop_sequence", stop_sequence="END"),
)

LENGTH = Case(
    name="length",
    answer=answer("so far", finish="length"),
    openai={"messages": HELLO, "max_tokens": 2},
    to_messages={"messages": HELLO, "max_tokens": 2},
    anthropic={"messages": HELLO, "max_tokens": 2},
    to_chat={"messages": HELLO, "max_tokens": 2},
    completion=completion("so far", finish="length"),
    message=message("so far", stop="max_tokens"),
)

# A model refuses in words; OpenAI's calls that a stop, Anthropic's a refusal.
REFUSAL = Case(
    name="refusal",
    answer=answer(refusal="I will not steer there.", finish="refusal"),
    openai={"messages": HELLO, "max_tokens": 64},
    to_messages={"messages": HELLO, "max_tokens": 64},
    anthropic={"messages": HELLO, "max_tokens": 64},
    to_chat={"messages": HELLO, "max_tokens": 64},
    completion=completion(refusal="I will not steer there."),
    completion_from_messages=completion(refusal="I will not steer there.", finish="content_filter"),
    # That it was a refusal is said at the end, when the words have long been passed on.
    completion_from_messages_streamed=completion("I will not steer there.", finish="content_filter"),
    message=message("I will not steer there.", stop="refusal"),
)

# A filter cuts the answer off before a word was said.
FILTERED = Case(
    name="filtered",
    answer=answer(finish="refusal"),
    openai={"messages": HELLO, "max_tokens": 64},
    to_messages={"messages": HELLO, "max_tokens": 64},
    anthropic={"messages": HELLO, "max_tokens": 64},
    to_chat={"messages": HELLO, "max_tokens": 64},
    completion=completion(finish="content_filter"),
    message=message(stop="refusal"),
)

THOUGHT = usage(output=30, reasoning=21)
THINKING = Case(
    name="thinking",
    answer=answer(
        "From the west.",
        usage=THOUGHT,
        thinking={"text": "Sails hang to the east 灯台, so …", "signature": "c2lnbmF0dXJlIG9mIHRoZSBtb2RlbA=="},
    ),
    openai={"messages": HELLO, "max_tokens": 2000, "reasoning_effort": "high"},
    to_messages={
        "messages": HELLO,
        "max_tokens": 2000,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    },
    anthropic={"messages": HELLO, "max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 5000}},
    to_chat={"messages": HELLO, "max_tokens": 8000, "reasoning_effort": "medium"},
    dropped={"anthropic": ["thinking.budget_tokens"]},
    completion=completion("From the west.", usage=THOUGHT, reasoning_content="Sails hang to the east 灯台, so …"),
    completion_from_messages=completion(
        "From the west.",
        usage=THOUGHT,
        reasoning_content="Sails hang to the east 灯台, so …",
        thinking_blocks=[
            {
                "type": "thinking",
                "thinking": "Sails hang to the east 灯台, so …",
                "signature": "c2lnbmF0dXJlIG9mIHRoZSBtb2RlbA==",
            }
        ],
    ),
    message=message(
        {
            "type": "thinking",
            "thinking": "Sails hang to the east 灯台, so …",
            "signature": "c2lnbmF0dXJlIG9mIHRoZSBtb2RlbA==",
        },
        "From the west.",
        usage=THOUGHT,
    ),
    message_from_chat=message(
        {"type": "thinking", "thinking": "Sails hang to the east 灯台, so …", "signature": ""},
        "From the west.",
        usage=THOUGHT,
    ),
)

# Earlier thinking goes back to a provider that signed it, and to nobody else.
EARLIER = {"type": "thinking", "thinking": "East.", "signature": "c2ln"}
THINKING_AGAIN = Case(
    name="thinking-again",
    answer=answer("Yes."),
    to_messages={
        "messages": [*HELLO, assistant([EARLIER, {"type": "text", "text": "From the west."}]), user("Sure?")],
        "max_tokens": 64,
    },
    anthropic={
        "messages": [*HELLO, assistant([EARLIER, {"type": "text", "text": "From the west."}]), user("Sure?")],
        "max_tokens": 64,
    },
    to_chat={
        "messages": [*HELLO, assistant("From the west."), user("Sure?")],
        "max_tokens": 64,
    },
    dropped={"anthropic": ["messages[1].content[0]"]},
    message=message("Yes."),
)

CACHED = usage(prompt=2048, output=9, cached=1536, written=256)
CACHED_USAGE = Case(
    name="cached-usage",
    answer=answer("From the west.", usage=CACHED),
    openai={"messages": HELLO, "max_tokens": 64},
    to_messages={"messages": HELLO, "max_tokens": 64},
    anthropic={
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": HELLO,
        "max_tokens": 64,
    },
    to_chat={"messages": [{"role": "system", "content": "Be brief."}, *HELLO], "max_tokens": 64},
    dropped={"anthropic": ["system[0].cache_control"]},
    completion=completion("From the west.", usage=CACHED),
    message=message("From the west.", usage=CACHED),
)

CASES = [
    *(TEXT, DEFAULTS, CONVERSATION, UNICODE, IMAGES, DOCUMENTS, JSON_OUTPUT, STOP, LENGTH, REFUSAL, FILTERED),
    *(THINKING, THINKING_AGAIN, CACHED_USAGE),
]
