"""Makes the calls of the matrix with the official packages, and says what they got in the table's form."""

import inspect
import json

import anthropic
import openai


def call(cell, url, model):
    """Makes the call of a cell at `url`. Returns what the client got, and the response's headers."""
    return {"openai": call_openai, "anthropic": call_anthropic}[cell.client](cell, url, model)


def openai_client(url, key="a caller's key"):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)


def anthropic_client(url, key="a caller's key"):
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)


def call_openai(cell, url, model):
    request = {"model": model} | cell.case.openai
    with openai_client(url) as client:
        if cell.mode == "plain":
            raw = client.chat.completions.with_raw_response.create(**request)
            return seen_completion(raw.parse()), raw.headers
        request["stream_options"] = {"include_usage": True}
        if cell.mode == "helper":
            with client.chat.completions.stream(**request) as stream:
                stream.until_done()
                check_end(stream)
                return seen_completion(stream.current_completion_snapshot), stream._response.headers
        chunks = client.chat.completions.create(**request, stream=True)
        return seen_completion(put_together(list(chunks))), chunks.response.headers


def check_end(stream):
    """The helper raises an exception of its own for an answer that was cut off."""
    cut_off = {"length": openai.LengthFinishReasonError, "content_filter": openai.ContentFilterFinishReasonError}
    expected = cut_off.get(stream.current_completion_snapshot.choices[0].finish_reason)
    try:
        stream.get_final_completion()
    except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
        assert type(error) is expected
    else:
        assert expected is None


def put_together(chunks):
    """A completion out of the chunks of its stream, which have to be in order."""
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1, chunks
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    *spoken, last = chunks
    assert last.choices == [] and last.usage, "the usage comes last, alone"
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in spoken)
    assert spoken[0].choices[0].delta.role == "assistant"
    message = {"role": "assistant"}
    calls = {}
    choice = {"index": 0, "message": message}
    for number, chunk in enumerate(spoken):
        assert "finish_reason" not in choice, "nothing comes after the finish"
        (given,) = chunk.choices
        assert given.index == 0
        assert given.delta.role in (["assistant"] if number == 0 else [None, "assistant"])
        for name, value in given.delta.model_dump(exclude_none=True, exclude={"role", "tool_calls"}).items():
            message[name] = joined(message.get(name), value)
        for piece in given.delta.tool_calls or []:
            if piece.index not in calls:
                assert piece.index == len(calls) and piece.id and piece.function.name, "a call opens with id and name"
                calls[piece.index] = chunk_call(piece)
                continue
            assert not piece.id and not piece.function.name, "id and name are said once"
            calls[piece.index]["function"]["arguments"] += piece.function.arguments or ""
        choice |= given.model_dump(exclude_none=True, exclude={"delta", "index"})
    assert choice.get("finish_reason"), "a stream says why it ended"
    if calls:
        message["tool_calls"] = list(calls.values())
    whole = {"id": last.id, "created": last.created, "model": last.model, "object": "chat.completion"}
    return openai.types.chat.ChatCompletion.construct(
        **whole, choices=[choice], usage=last.usage.model_dump(exclude_none=True)
    )


def joined(before, piece):
    """A field of a message and its next piece: text behind text, and of a list each entry by its index."""
    if before is None:
        return piece
    if isinstance(piece, str):
        return before + piece
    entries = {entry["index"]: entry for entry in before}
    for entry in piece:
        known = entries.setdefault(entry["index"], {})
        for name, value in entry.items():
            known[name] = known.get(name, "") + value if name in ("thinking", "signature") else value
    return list(entries.values())


def chunk_call(piece):
    function = {"name": piece.function.name, "arguments": piece.function.arguments or ""}
    return {"id": piece.id, "type": piece.type, "function": function}


def seen_completion(completion):
    """What is in a completion, without what differs from call to call."""
    whole = completion.model_dump(exclude_none=True)
    (choice,) = whole["choices"]
    assert choice["index"] == 0
    assert whole["id"] and whole["model"] and whole["created"] > 0 and whole["object"] == "chat.completion"
    unknown = set(whole) - {"id", "model", "created", "object", "choices", "usage", "system_fingerprint"}
    assert not unknown, f"invented: {unknown}"
    seen = {name: value for name, value in choice.items() if name not in ("index", "message")} | choice["message"]
    # An empty text and none are the same to a reader; a list of no calls is none.
    seen = {name: value for name, value in seen.items() if value not in ("", [])}
    for call in seen.get("tool_calls", []):
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
        call["function"]["arguments"] = json.loads(call["function"]["arguments"] or "{}")
    for block in seen.get("thinking_blocks", []):
        block.pop("index", None)
    return seen | {"usage": seen_usage(whole["usage"])}


def seen_usage(usage):
    """Counts that are not zero, and the totals in any case."""
    totals = {"prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"}
    seen = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            value = {name: count for name, count in value.items() if count}
        if value or name in totals:
            seen[name] = value
    return seen


def call_anthropic(cell, url, model):
    request = {"model": model} | cell.case.anthropic
    with anthropic_client(url) as client:
        if cell.mode == "plain":
            raw = client.messages.with_raw_response.create(**typed(client.messages.create, request))
            return seen_message(raw.parse()), raw.headers
        if cell.mode == "helper":
            with client.messages.stream(**typed(client.messages.stream, request)) as stream:
                return seen_message(stream.get_final_message()), stream.response.headers
        events = client.messages.create(**typed(client.messages.create, request), stream=True)
        return seen_message(replay(list(events))), events.response.headers


def typed(method, request):
    """Arguments of a method; what it does not name (any more) goes as `extra_body`, as its users do."""
    known = inspect.signature(method).parameters
    extra = {name: value for name, value in request.items() if name not in known}
    return {name: value for name, value in request.items() if name in known} | ({"extra_body": extra} if extra else {})


def replay(events):
    """A message out of the events of its stream, which have to be in order."""
    events = [event for event in events if event.type != "ping"]
    assert [event.type for event in (events[0], events[-2], events[-1])] == [
        *("message_start", "message_delta", "message_stop")
    ]
    message = events[0].message.model_dump(exclude_none=True)
    assert message["content"] == [] and "stop_reason" not in message
    blocks, open_block, arguments = message["content"], None, ""
    for event in events[1:-2]:
        if event.type == "content_block_start":
            assert open_block is None and event.index == len(blocks), "one block at a time, counted up"
            open_block, arguments = event.index, ""
            blocks.append(event.content_block.model_dump(exclude_none=True))
        elif event.type == "content_block_delta":
            assert event.index == open_block
            block, delta = blocks[open_block], event.delta
            if delta.type == "text_delta":
                block["text"] += delta.text
            elif delta.type == "thinking_delta":
                block["thinking"] += delta.thinking
            elif delta.type == "signature_delta":
                block["signature"] = delta.signature
            else:
                assert delta.type == "input_json_delta", delta
                arguments += delta.partial_json
        else:
            assert event.type == "content_block_stop" and event.index == open_block, event
            if blocks[open_block]["type"] == "tool_use":
                blocks[open_block]["input"] = json.loads(arguments or "{}")
            open_block = None
    assert open_block is None, "a block was not closed"
    last = events[-2]
    message |= last.delta.model_dump(exclude_none=True)
    message["usage"] |= last.usage.model_dump(exclude_none=True)
    return anthropic.types.Message.construct(**message)


def seen_message(message):
    """What is in a message, without what differs from call to call."""
    whole = message.model_dump(exclude_none=True, warnings=False)
    assert whole.pop("id") and whole.pop("model") and whole.pop("type") == "message"
    for block in whole["content"]:
        block.pop("parsed_output", None)
    return whole | {"usage": seen_usage(whole["usage"])}


def canonical(body):
    """A request as it was received, with the arguments of tool calls as what they denote."""
    for message in body.get("messages", []):
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return body
