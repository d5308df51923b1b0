"""Rows with tools: definitions, choices, calls alone and in parallel, results, errors, ids."""

from matrix.case import Case, answer, assistant, chat_call, completion, message, said_call, scripted_call, use, user

ASK = [user("Which way does the wind blow in Aarhus and on Ærø?")]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "With its country: \"Ærø, DK\""},
        "days": {"type": "integer", "minimum": 1, "maximum": 12345678901234567890},
        "share": {"type": "number", "multipleOf": 0.05},
    },
    "required": ["city"],
    "additionalProperties": False,
}
ABOUT = "The wind of a place 灯台.\nSays where it comes from."
CHAT_TOOL = {"type": "function", "function": {"name": "get_wind", "description": ABOUT, "parameters": SCHEMA}}
TOOL = {"name": "get_wind", "description": ABOUT, "input_schema": SCHEMA}
CHAT_PING = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}}}
PING = {"name": "ping", "input_schema": {"type": "object", "properties": {}}}

AARHUS = {"city": "Aarhus, DK", "days": 2, "share": 0.05}
AERO = {"city": "Ærø \"north\" 灯台 \\ / 🚢", "days": 12345678901234567890}

ONE_TOOL = Case(
    name="one-tool",
    answer=answer(tool_calls=[scripted_call("call_1", "get_wind", AARHUS)], finish="tool_calls"),
    openai={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL], "tool_choice": "auto"},
    to_messages={"messages": ASK, "max_tokens": 64, "tools": [TOOL]},
    anthropic={"messages": ASK, "max_tokens": 64, "tools": [TOOL], "tool_choice": {"type": "auto"}},
    to_chat={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL]},
    completion=completion(tool_calls=[chat_call("call_1", "get_wind", AARHUS)], finish="tool_calls"),
    message=message(use("call_1", "get_wind", AARHUS), stop="tool_use"),
)

# Each to one is allowed, and the tool has no arguments at all.
STRICT_CHAT_TOOL = {"type": "function", "function": CHAT_TOOL["function"] | {"strict": True}}
ONE_CALL_ONLY = Case(
    name="one-call-only",
    answer=answer("Asking.", tool_calls=[scripted_call("toolu_1", "ping", {})], finish="tool_calls"),
    openai={"messages": ASK, "max_tokens": 64, "tools": [STRICT_CHAT_TOOL, CHAT_PING], "parallel_tool_calls": False},
    to_messages={
        "messages": ASK,
        "max_tokens": 64,
        "tools": [TOOL | {"strict": True}, PING],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    anthropic={
        "messages": ASK,
        "max_tokens": 64,
        "tools": [TOOL | {"strict": True}, PING],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    },
    to_chat={
        "messages": ASK,
        "max_tokens": 64,
        "tools": [STRICT_CHAT_TOOL, CHAT_PING],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    },
    completion=completion("Asking.", tool_calls=[chat_call("toolu_1", "ping", {})], finish="tool_calls"),
    message=message("Asking.", use("toolu_1", "ping", {}), stop="tool_use"),
)


def parallel(name, **more):
    """Three calls behind a text."""
    calls = [("call_1", "get_wind", AARHUS), ("call_2", "ping", {}), ("call_3", "get_wind", AERO)]
    return Case(
        name=name,
        answer=answer("Both.", tool_calls=[scripted_call(*call) for call in calls], finish="tool_calls", **more),
        openai={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL, CHAT_PING]},
        to_messages={"messages": ASK, "max_tokens": 64, "tools": [TOOL, PING]},
        anthropic={"messages": ASK, "max_tokens": 64, "tools": [TOOL, PING]},
        to_chat={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL, CHAT_PING]},
        completion=completion("Both.", tool_calls=[chat_call(*call) for call in calls], finish="tool_calls"),
        message=message("Both.", *[use(*call) for call in calls], stop="tool_use"),
    )


PARALLEL_TOOLS = parallel("parallel-tools")
# The pieces of the calls come by turns, one character at a time.
INTERLEAVED_TOOLS = parallel("interleaved-tools", interleave=True, piece=1)

CALLED = [said_call("call_1", "get_wind", AARHUS), said_call("call_2", "get_wind", AERO)]
USED = [use("call_1", "get_wind", AARHUS), use("call_2", "get_wind", AERO)]
TOOL_RESULTS = Case(
    name="tool-results",
    answer=answer("West and north."),
    openai={
        "messages": [
            *ASK,
            assistant(None, tool_calls=CALLED),
            {"role": "tool", "tool_call_id": "call_2", "content": "north 灯台"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "west"}]},
            user("And tomorrow?"),
        ],
        "max_tokens": 64,
        "tools": [CHAT_TOOL],
    },
    to_messages={
        "messages": [
            *ASK,
            assistant(USED),
            user(
                [
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "north 灯台"},
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "west"}]},
                    {"type": "text", "text": "And tomorrow?"},
                ]
            ),
        ],
        "max_tokens": 64,
        "tools": [TOOL],
    },
    anthropic={
        "messages": [
            *ASK,
            assistant([{"type": "text", "text": "Asking."}, *USED]),
            user(
                [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "west"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "north"}]},
                ]
            ),
        ],
        "max_tokens": 64,
        "tools": [TOOL],
    },
    to_chat={
        "messages": [
            *ASK,
            assistant("Asking.", tool_calls=CALLED),
            {"role": "tool", "tool_call_id": "call_1", "content": "west"},
            {"role": "tool", "tool_call_id": "call_2", "content": "north"},
        ],
        "max_tokens": 64,
        "tools": [CHAT_TOOL],
    },
    completion=completion("West and north."),
    message=message("West and north."),
)

TOOL_ERRORS = Case(
    name="tool-errors",
    answer=answer("Nobody knows."),
    openai={
        "messages": [
            *ASK,
            assistant("", tool_calls=CALLED[:1]),
            {"role": "tool", "tool_call_id": "call_1", "content": "[tool error]\nno such city"},
        ],
        "max_tokens": 64,
        "tools": [CHAT_TOOL],
    },
    to_messages={
        "messages": [
            *ASK,
            assistant(USED[:1]),
            user([{"type": "tool_result", "tool_use_id": "call_1", "content": "no such city", "is_error": True}]),
        ],
        "max_tokens": 64,
        "tools": [TOOL],
    },
    anthropic={
        "messages": [
            *ASK,
            assistant(USED[:1]),
            user([{"type": "tool_result", "tool_use_id": "call_1", "content": "no such city", "is_error": True}]),
        ],
        "max_tokens": 64,
        "tools": [TOOL],
    },
    to_chat={
        "messages": [
            *ASK,
            assistant(None, tool_calls=CALLED[:1]),
            {"role": "tool", "tool_call_id": "call_1", "content": "[tool error]\nno such city"},
        ],
        "max_tokens": 64,
        "tools": [CHAT_TOOL],
    },
    completion=completion("Nobody knows."),
    message=message("Nobody knows."),
)


def choice(name, chat, messages):
    """A tool that is forced, or forbidden."""
    calls = [] if name == "choice-none" else [("call_1", "ping", {})]
    ending = {"tool_calls": [scripted_call(*call) for call in calls], "finish": "tool_calls" if calls else "stop"}
    said = None if calls else "Not now."
    tool_calls = {"tool_calls": [chat_call(*call) for call in calls], "finish": "tool_calls"} if calls else {}
    return Case(
        name=name,
        answer=answer(said, **ending),
        openai={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL, CHAT_PING], "tool_choice": chat},
        to_messages={"messages": ASK, "max_tokens": 64, "tools": [TOOL, PING], "tool_choice": messages},
        anthropic={"messages": ASK, "max_tokens": 64, "tools": [TOOL, PING], "tool_choice": messages},
        to_chat={"messages": ASK, "max_tokens": 64, "tools": [CHAT_TOOL, CHAT_PING], "tool_choice": chat},
        completion=completion(said, **tool_calls),
        message=message(use("call_1", "ping", {}), stop="tool_use") if calls else message("Not now."),
    )


FORCED_TOOL = choice("choice-tool", {"type": "function", "function": {"name": "ping"}}, {"type": "tool", "name": "ping"})
FORCED_ANY = choice("choice-any", "required", {"type": "any"})
FORBIDDEN = choice("choice-none", "none", {"type": "none"})

# Ids that Anthropic's pattern refuses are replaced, the same way in call and result; a tool without parameters takes none.
ODD_IDS = Case(
    name="odd-ids",
    answer=answer("Done."),
    openai={
        "messages": [
            *ASK,
            assistant(None, tool_calls=[said_call("call:1/ø", "ping", {}), said_call("fine_1", "ping", {})]),
            {"role": "tool", "tool_call_id": "call:1/ø", "content": "one"},
            {"role": "tool", "tool_call_id": "fine_1", "content": "two"},
        ],
        "tools": [{"type": "function", "function": {"name": "ping"}}],
    },
    to_messages={
        "messages": [
            *ASK,
            assistant([use("call_tw_1", "ping", {}), use("fine_1", "ping", {})]),
            user(
                [
                    {"type": "tool_result", "tool_use_id": "call_tw_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "fine_1", "content": "two"},
                ]
            ),
        ],
        "tools": [PING],
        "max_tokens": 4096,
    },
    completion=completion("Done."),
)

CASES = [
    *(ONE_TOOL, ONE_CALL_ONLY, PARALLEL_TOOLS, INTERLEAVED_TOOLS, TOOL_RESULTS, TOOL_ERRORS),
    *(FORCED_TOOL, FORCED_ANY, FORBIDDEN, ODD_IDS),
]
