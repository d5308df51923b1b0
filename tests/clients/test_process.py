"""The gateway as a process: reloading under load, stopping, being killed, and finding its journal in a bad state."""

import contextlib
import json
import pathlib
import signal
import sqlite3
import threading

import pytest

import rig
from conftest import openai_client

HELLO = [{"role": "user", "content": "hello"}]


def config_for(address, generation=0):
    """A configuration whose digest depends on `generation`."""
    return {
        "providers": [rig.provider("sim", "openai", address)],
        "models": [rig.model("assistant", "sim/any"), rig.model(f"generation-{generation}", "sim/any")],
    }


def call(gateway, stream=False):
    """One call; returns its decision."""
    reply = rig.http(
        f"{gateway.url}/v1/chat/completions", {"model": "assistant", "messages": HELLO, "stream": stream}
    )
    assert reply.status == 200, reply
    if stream:
        assert reply.body.rstrip().endswith(b"data: [DONE]"), reply.body
    return reply.headers["x-tradewind-decision"]


def knows(gateway, name):
    """Whether the gateway serves a model of this name now."""
    listed = rig.http(f"{gateway.url}/v1/models").json()["data"]
    return name in [model["id"] for model in listed]


class Load:
    """Callers that call without a break until they are told to stop, and note whatever went wrong."""

    def __init__(self, gateway, callers=4):
        self.gateway, self.decisions, self.failures = gateway, [], []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(caller % 2 == 1,)) for caller in range(callers)]

    def run(self, stream):
        while not self.stopping.is_set():
            try:
                self.decisions.append(call(self.gateway, stream))
            except Exception as error:
                self.failures.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.timeout(180)
def test_a_hundred_reloads_under_load_fail_no_call(start_sim, start_gateway):
    address = start_sim()
    gateway = start_gateway(config_for(address))
    with Load(gateway) as load:
        for generation in range(1, 101):
            gateway.write(config_for(address, generation))
            if generation % 2:
                gateway.process.send_signal(signal.SIGHUP)
            rig.until(lambda: knows(gateway, f"generation-{generation}"), f"reload {generation}")
            assert not knows(gateway, f"generation-{generation - 1}")
    assert load.failures == []
    assert len(load.decisions) > 200
    # Nobody's decision was lost either, and different policies were in force.
    policies = {gateway.decision(decision)["policy"] for decision in load.decisions[:: len(load.decisions) // 100]}
    assert len(policies) > 10


def test_a_bad_file_never_replaces_a_good_one(start_sim, start_gateway):
    gateway = start_gateway(config_for(start_sim()))
    before = gateway.decision(call(gateway))["policy"]
    gateway.file.write_text("listen: 127.0.0.1:0\nmodels: [{name: assistant, strategi: fallback}]\n")
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_line(r"strategi")
    assert "strategy" in gateway.output(), "the right name is suggested"
    assert gateway.decision(call(gateway))["policy"] == before


def test_sigterm_lets_a_running_stream_end(start_sim, start_gateway):
    address = start_sim("--tokens-per-second", "20", "--answer-tokens", "30")
    gateway = start_gateway(config_for(address))
    with openai_client(gateway) as client:
        stream = iter(client.chat.completions.create(model="assistant", messages=HELLO, stream=True))
        next(stream)
        gateway.process.terminate()
        finishes = [choice.finish_reason for chunk in stream for choice in chunk.choices if choice.finish_reason]
    assert finishes == ["stop"]
    assert gateway.process.wait(10) == 0


def test_a_stopped_gateway_takes_no_new_calls(start_sim, start_gateway):
    gateway = start_gateway(config_for(start_sim()))
    call(gateway)
    assert gateway.stop() == 0
    with pytest.raises(OSError):
        call(gateway)


def journal_of(gateway):
    return next(pathlib.Path(gateway.data).rglob("journal.db"))


def test_kill_9_leaves_the_journal_intact(start_sim, start_gateway, tmp_path):
    address = start_sim()
    folder = tmp_path / "killed"
    gateway = start_gateway(config_for(address), folder)
    written = [call(gateway) for _ in range(20)]
    for decision in written:
        assert gateway.decision(decision)["outcome"] == "ok"
    with Load(gateway) as load:
        rig.until(lambda: len(load.decisions) > 300, "some load")
        gateway.kill()
        load.stopping.set()

    with contextlib.closing(sqlite3.connect(journal_of(gateway))) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    again = start_gateway(config_for(address), folder)
    # Every block that was written before the kill can be read back, each record whole.
    kept = rig.http(f"{again.url}/api/v1/decisions?limit=1000").json()["decisions"]
    assert len(kept) >= len(written)
    assert all(record["outcome"] in ("ok", "client_gone") for record in kept)
    for decision in written:
        assert again.decision(decision)["outcome"] == "ok"
    assert call(again) > max(written), "ids go on where they were"


def test_a_journal_that_is_no_database_is_put_aside_and_calls_go_on(start_sim, start_gateway, tmp_path):
    address = start_sim()
    folder = tmp_path / "corrupt"
    first = start_gateway(config_for(address), folder)
    call(first)
    assert first.stop() == 0
    path = journal_of(first)
    for file in path.parent.glob("journal.db-*"):
        file.unlink()
    path.write_bytes(b"not a database " * 1000)

    second = start_gateway(config_for(address), folder)
    assert second.decision(call(second))["outcome"] == "ok"
    (aside,) = path.parent.glob("journal.db.aside-*[0-9]")
    assert aside.read_bytes().startswith(b"not a database")
    assert "journal" in second.output(), "and somebody is told"


def test_decisions_are_listed_and_previewed_without_calling_anybody(start_sim, start_gateway):
    gateway = start_gateway(config_for(start_sim()))
    made = [call(gateway) for _ in range(5)]

    def listed(query):
        found = rig.http(f"{gateway.url}/api/v1/decisions?{query}").json()
        return [record["id"] for record in (found["decisions"] if isinstance(found, dict) else found)]

    newest = "model=assistant&outcome=ok&limit=3"
    rig.until(lambda: listed(newest) == made[:-4:-1], lambda: (listed(newest), made))

    preview = rig.http(
        f"{gateway.url}/api/v1/decide",
        {"dialect": "openai", "request": {"model": "assistant", "messages": HELLO}, "headers": {}},
    ).json()
    assert preview["candidates"][0]["target"] == "sim/any"
    assert "attempts" not in preview
    made.append(call(gateway))
    rig.until(lambda: made[-1] in listed("limit=10"), "the last call is not listed")
    assert listed("limit=10") == made[::-1], "a preview is no call"

    missing = rig.http(f"{gateway.url}/api/v1/decisions/0000000000000")
    assert missing.status == 404 and b"TW1013" in missing.body


def test_no_record_holds_the_text_of_prompts_or_answers(start_sim, start_gateway):
    gateway = start_gateway(config_for(start_sim()))
    secret = "the very private words of a prompt"
    with openai_client(gateway) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="assistant", messages=[{"role": "user", "content": secret}]
        )
    answer = raw.parse().choices[0].message.content
    record = json.dumps(gateway.decision(raw.headers["x-tradewind-decision"]), ensure_ascii=False)
    assert secret not in record and answer not in record
    assert gateway.stop() == 0
    for file in pathlib.Path(gateway.folder).rglob("*"):
        if file.is_file() and file != gateway.file:
            content = file.read_bytes()
            assert secret.encode() not in content, file
            assert b"key-of-the-gateway" not in content, file
