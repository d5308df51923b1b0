"""What the official clients see when a provider fails: an answer from another target, or the right exception.

Every fault is one that the simulated provider makes at byte level; the name behind `!` in a target's model chooses it. Each
fault has providers and models of its own, so that no breaker or key that one test has spoilt decides another.
"""

import time

import anthropic
import openai
import pytest

import rig
from conftest import anthropic_client, openai_client

HELLO = [{"role": "user", "content": "hello"}]
DIALECTS = ("openai", "anthropic")
PORT_OF_NOBODY = "127.0.0.1:1"

# Nothing of the answer has been seen: another target answers, and the caller never knows. The fault as the record names it.
BEFORE_THE_FIRST_EVENT = {
    "reset-before-response": {"reset"},
    "close-before-response": {"reset"},
    "no-headers": {"headers_timeout"},
    "error-500": {"server_error"},
    "error-529": {"server_error"},
    "rate-limit-bare": {"rate_limited"},
    "error-401": {"unauthorized"},
    "html-200": {"wrong_content_type"},
    "empty-body": {"empty_answer", "bad_json", "wrong_content_type", "cut"},
    "empty-choices": {"empty_answer"},
    "truncated-json": {"bad_json", "bad_event"},
    "huge-headers": {"too_large"},
    "redirect": {"redirect"},
}
STREAMS_BEFORE_THE_FIRST_EVENT = {
    "hang-after-headers": {"first_token_timeout"},
    "json-for-stream": {"wrong_content_type"},
    "error-event-first": {"error_event"},
}
# The caller has seen a part: the stream ends with an error that the client raises, never with a success.
AFTER_THE_FIRST_EVENT = {
    "mid-stream-cut": "TW3008",
    "mid-stream-close": "TW3008",
    "mid-stream-reset": "TW3008",
    "chunked-truncated": "TW3008",
    "chunked-bad-size": None,
    "no-terminal": "TW3008",
    "malformed-event": "TW3010",
    "error-event-later": "TW3010",
    "stall": "TW3009",
}
# One target, no way around: the status and code that the caller gets.
REFUSALS = {
    "error-500": (502, "TW3006"),
    "error-503": (502, "TW3006"),
    "rate-limit-seconds": (429, "TW3005"),
    "error-401": (502, "TW3004"),
    "html-200": (502, "TW3007"),
    "no-headers": (504, "TW3003"),
    "redirect": (502, "TW3012"),
    "reset-before-response": (503, "TW3001"),
    "unreachable": (503, "TW3001"),
}
SLOW = "slow-first-token:30s"
# The models of each fault: with that target alone, and with one to fall back to, for whole answers and for streams.
WAYS = ("alone", "or another, whole", "or another, stream")


def timeouts(fault, way):
    """The limit that ends this fault. It counts for the good target as well, which may be slow on a busy machine."""
    patience = "300ms" if way == "alone" else "3s"
    limits = {"no-headers": {"headers": patience}, "hang-after-headers": {"first-token": patience}}
    return (limits | {"stall": {"idle": "3s"}}).get(fault, {})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway with three models for each fault and dialect."""
    folder = tmp_path_factory.mktemp("faults")
    sim, address = rig.start_sim(folder)
    # Events far from each other: what comes in one piece with the first one can still be hidden by falling back, and on a busy
    # machine all that comes within a moment is one piece.
    slow, apart = rig.start_sim(folder, "--tokens-per-second", "1", "--answer-tokens", "3")
    faults = {*BEFORE_THE_FIRST_EVENT, *STREAMS_BEFORE_THE_FIRST_EVENT, *AFTER_THE_FIRST_EVENT, *REFUSALS}
    faults |= {SLOW, "error-400", "context-too-long"}
    config = {"providers": [], "models": []}
    for dialect in DIALECTS:
        for number, (fault, way) in enumerate((fault, way) for fault in sorted(faults) for way in WAYS):
            # Providers for each: a key that one fault makes refused or rate limited rests for all of its provider.
            bad, good = f"bad-{dialect}-{number}", f"good-{dialect}-{number}"
            there = apart if fault in AFTER_THE_FIRST_EVENT else address
            there = PORT_OF_NOBODY if fault == "unreachable" else there
            config["providers"] += [
                rig.provider(bad, dialect, there, discover=False),
                rig.provider(good, dialect, address, discover=False),
            ]
            targets = [f"{bad}/any!{fault}"] if way == "alone" else [f"{bad}/any!{fault}", f"{good}/{fault}"]
            config["models"].append(rig.model(f"{dialect} {fault} {way}", *targets, timeouts=timeouts(fault, way)))
    gateway = rig.Gateway(folder / "gateway", config)
    yield gateway
    gateway.kill()
    sim.kill()
    slow.kill()


def ask(gateway, dialect, model, stream, headers=None):
    """Asks with the dialect's own client. Returns the response's headers, the text, and whether it ended well."""
    if dialect == "openai":
        with openai_client(gateway) as client:
            request = dict(model=model, messages=HELLO, stream=stream, extra_headers=headers)
            if not stream:
                raw = client.chat.completions.with_raw_response.create(**request)
                choice = raw.parse().choices[0]
                return raw.headers, choice.message.content, choice.finish_reason == "stop"
            chunks = client.chat.completions.create(**request)
            seen = Seen(chunks.response.headers)
            for chunk in seen.guard(chunks):
                for choice in chunk.choices:
                    seen.text += choice.delta.content or ""
                    seen.finished |= choice.finish_reason is not None
            return seen.headers, seen.text, seen.finished
    with anthropic_client(gateway) as client:
        request = dict(model=model, messages=HELLO, max_tokens=64, stream=stream, extra_headers=headers)
        if not stream:
            raw = client.messages.with_raw_response.create(**request)
            message = raw.parse()
            return raw.headers, message.content[0].text, message.stop_reason == "end_turn"
        events = client.messages.create(**request)
        seen = Seen(events.response.headers)
        for event in seen.guard(events):
            if event.type == "content_block_delta":
                seen.text += event.delta.text
            seen.finished |= event.type == "message_stop"
        return seen.headers, seen.text, seen.finished


class Seen:
    """What has been seen of a stream; an error that the client raises carries it along."""

    def __init__(self, headers):
        self.headers, self.text, self.finished = headers, "", False

    def guard(self, stream):
        try:
            yield from stream
        except (openai.APIError, anthropic.APIError) as error:
            error.seen = self
            raise


def code_of(error):
    """Our public code in a client's exception, of either dialect."""
    body = error.body.get("error", error.body)
    return body["code"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        *[pytest.param(fault, False, id=f"{fault}-whole") for fault in BEFORE_THE_FIRST_EVENT],
        *[
            pytest.param(fault, True, id=f"{fault}-stream")
            for fault in BEFORE_THE_FIRST_EVENT | STREAMS_BEFORE_THE_FIRST_EVENT
        ],
    ],
)
def test_a_fault_before_the_first_event_is_never_seen(gateway, fault, dialect, stream):
    way = "or another, stream" if stream else "or another, whole"
    headers, text, well = ask(gateway, dialect, f"{dialect} {fault} {way}", stream)
    assert text and well
    good = headers["x-tradewind-target"]
    assert good.startswith("good-") and good.endswith(f"/{fault}")
    record = gateway.decision(headers["x-tradewind-decision"])
    assert record["outcome"] == "ok"
    assert record["chosen"] == good
    # A reset connection may have been tried once more on a new one.
    *failed, last = record["attempts"]
    expected = (BEFORE_THE_FIRST_EVENT | STREAMS_BEFORE_THE_FIRST_EVENT)[fault]
    assert failed and {attempt["fault"] for attempt in failed} <= expected
    assert last["outcome"] == "ok" and last["fault"] is None


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", AFTER_THE_FIRST_EVENT)
def test_a_fault_after_the_first_event_raises_in_the_client(gateway, fault, dialect):
    with pytest.raises((openai.APIError, anthropic.APIError)) as raised:
        ask(gateway, dialect, f"{dialect} {fault} or another, stream", stream=True)
    seen = raised.value.seen
    assert seen.text, "what came before the fault was passed on"
    if fault != "no-terminal":
        assert not seen.finished, "no success marker"
    code = AFTER_THE_FIRST_EVENT[fault]
    if code:
        assert code_of(raised.value) == code
    record = gateway.decision(seen.headers["x-tradewind-decision"])
    assert record["outcome"] == "partial"
    assert record["chosen"] == seen.headers["x-tradewind-target"]
    assert [attempt["outcome"] for attempt in record["attempts"]] == ["partial"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", REFUSALS)
def test_without_a_way_around_the_right_exception_is_raised(gateway, fault, dialect):
    status, code = REFUSALS[fault]
    library = {"openai": openai, "anthropic": anthropic}[dialect]
    expected = library.RateLimitError if status == 429 else library.InternalServerError
    with pytest.raises(expected) as raised:
        ask(gateway, dialect, f"{dialect} {fault} alone", stream=False)
    assert raised.value.status_code == status
    assert code_of(raised.value) == code
    headers = raised.value.response.headers
    if status == 429:
        assert 1 <= int(headers["retry-after"]) <= 2
    record = gateway.decision(headers["x-tradewind-decision"])
    assert record["outcome"] == "failed" and record["code"] == code


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", ["error-400", "context-too-long"])
def test_a_request_that_the_provider_rejects_is_not_tried_elsewhere(gateway, fault, dialect):
    library = {"openai": openai, "anthropic": anthropic}[dialect]
    with pytest.raises(library.BadRequestError) as raised:
        ask(gateway, dialect, f"{dialect} {fault} or another, whole", stream=False)
    record = gateway.decision(raised.value.response.headers["x-tradewind-decision"])
    assert record["outcome"] == "rejected"
    assert len(record["attempts"]) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_callers_deadline_is_kept(gateway, dialect):
    library = {"openai": openai, "anthropic": anthropic}[dialect]
    began = time.monotonic()
    with pytest.raises(library.InternalServerError) as raised:
        ask(
            gateway,
            dialect,
            f"{dialect} {SLOW} alone",
            stream=False,
            headers={"x-tradewind-timeout": "300ms"},
        )
    took = time.monotonic() - began
    assert 0.3 <= took < 15, took
    assert raised.value.status_code == 504
    assert code_of(raised.value) == "TW2005"


def test_the_last_resort_answers_when_no_target_can(start_gateway):
    gateway = start_gateway(
        {
            "providers": [rig.provider("nobody", "openai", PORT_OF_NOBODY, discover=False)],
            "models": [rig.model("assistant", "nobody/any", **{"last-resort": "rules"})],
        }
    )
    for stream in (False, True):
        headers, text, well = ask(gateway, "openai", "assistant", stream)
        assert text and well
        record = gateway.decision(headers["x-tradewind-decision"])
        assert record["outcome"] == "last_resort"
        assert record["attempts"][0]["fault"] == "connect_refused"
