"""One row of the matrix, and what its cells expect. Plain data, so that other languages can run the same table.

A row says what each client asks, what the model answers, what an upstream of the other wire has to receive, and what the
client has to get. An upstream of the client's own wire has to receive what was asked, unchanged.
"""

import json
from dataclasses import dataclass, field

CLIENTS = ("openai", "anthropic")
# Whole answers, streams read chunk by chunk, and the package's own helper that puts a stream together.
MODES = ("plain", "stream", "helper")


@dataclass(frozen=True)
class Case:
    """A row. `None` for a client's request: the row is not for that client."""

    name: str
    # What the model says: see ScriptedAnswer of the simulated provider.
    answer: dict
    # What each client asks, without `model` and without the fields of streaming.
    openai: dict | None = None
    anthropic: dict | None = None
    # What an upstream of the other wire receives for it, without `model` and without the fields of streaming.
    to_messages: dict | None = None
    to_chat: dict | None = None
    # What each client gets, in the form of `completion` and `message`; `from_*` where the other wire changes it.
    completion: dict | None = None
    completion_from_messages: dict | None = None
    # Where a stream cannot know yet what a whole answer shows.
    completion_from_messages_streamed: dict | None = None
    message: dict | None = None
    message_from_chat: dict | None = None
    # What is listed in x-tradewind-dropped when the request goes to the other wire.
    dropped: dict = field(default_factory=dict)

    def request(self, client):
        return {"openai": self.openai, "anthropic": self.anthropic}[client]

    def result(self, client, wire, mode):
        """What the client gets from an upstream of this wire."""
        if client == "openai":
            if wire == "openai":
                return self.completion
            streamed = self.completion_from_messages_streamed if mode != "plain" else None
            return streamed or self.completion_from_messages or self.completion
        return (self.message_from_chat if wire == "openai" else None) or self.message

    def received(self, client, wire, mode):
        """What an upstream of this wire receives, without `model`."""
        if client == wire:
            body = dict(self.request(client))
            with_usage = client == "openai"
        else:
            body = dict(self.to_messages if wire == "anthropic" else self.to_chat)
            # Usage is always asked for: what the caller did not want to see is kept from it.
            with_usage = wire == "openai"
        if mode != "plain":
            body |= {"stream": True}
            body |= {"stream_options": {"include_usage": True}} if with_usage else {}
        return body


@dataclass(frozen=True)
class Cell:
    """One combination. `via` is `sim` when no gateway is between: that shows that the table is right."""

    case: Case
    client: str
    wire: str
    mode: str
    via: str

    @property
    def name(self):
        return f"{self.case.name}-{self.client}-to-{self.wire}-{self.mode}-via-{self.via}"

    @property
    def crosses(self):
        return self.client != self.wire

    def exported(self):
        """The cell as JSON for a runner in another language."""
        case = self.case
        return {
            "name": self.name,
            "client": self.client,
            "mode": self.mode,
            "via": self.via,
            "path": "/v1/chat/completions" if self.wire == "openai" else "/v1/messages",
            "request": case.request(self.client),
            "received": self.case.received(self.client, self.wire, self.mode),
            "result": self.case.result(self.client, self.wire, self.mode),
            "dropped": sorted(case.dropped.get(self.client, [])) if self.crosses else [],
        }


def cells(cases):
    """Every cell of the table."""
    made = []
    for case in cases:
        for client in CLIENTS:
            if case.request(client) is None:
                continue
            for wire in CLIENTS:
                if client != wire and (case.to_messages if wire == "anthropic" else case.to_chat) is None:
                    continue
                for mode in MODES:
                    made.append(Cell(case, client, wire, mode, "gateway"))
                    if client == wire:
                        made.append(Cell(case, client, wire, mode, "sim"))
    return made


def usage(prompt=20, output=9, cached=0, written=0, reasoning=0):
    """The usage of an answer in the sim's terms, as each client sees it."""
    chat = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    if details := {name: count for name, count in details.items() if count}:
        chat["prompt_tokens_details"] = details
    if reasoning:
        chat["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    messages = {"input_tokens": prompt - cached - written, "output_tokens": output}
    details = {"cache_read_input_tokens": cached, "cache_creation_input_tokens": written}
    messages |= {name: count for name, count in details.items() if count}
    if reasoning:
        messages["output_tokens_details"] = {"thinking_tokens": reasoning}
    sim = {"input": prompt, "output": output, "cached": cached, "cache_creation": written, "reasoning": reasoning}
    return {"sim": sim, "openai": chat, "anthropic": messages}


def answer(text=None, usage=usage(), **more):
    """What the sim is told to say."""
    return ({"text": text} if text is not None else {}) | {"usage": usage["sim"]} | more


def completion(content=None, finish="stop", usage=usage(), **more):
    """A chat completion as the client sees it: everything that is not null, in one object."""
    seen = {"role": "assistant", "finish_reason": finish, "usage": usage["openai"]} | more
    return seen if content is None else seen | {"content": content}


def message(*content, stop="end_turn", usage=usage(), **more):
    """A message as the client sees it."""
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
    return {"role": "assistant", "content": blocks, "stop_reason": stop, "usage": usage["anthropic"]} | more


def chat_call(id, name, arguments):
    """A tool call in a chat completion. Arguments are compared as what they denote."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said_call(id, name, arguments):
    """A tool call in a request of the chat client: the arguments are text."""
    return chat_call(id, name, json.dumps(arguments, ensure_ascii=False))


def use(id, name, arguments):
    """A tool call in a message."""
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def scripted_call(id, name, arguments):
    return {"id": id, "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content} | more
