"""The LangGraph checkpointer of clients/python, against a running gateway: the conformance suite, two writers, growth."""

import asyncio
import itertools
import operator
import pathlib
import sys
from typing import Annotated, TypedDict

import httpx
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.graph import END, START, StateGraph

import rig

sys.path.insert(0, str(pathlib.Path(rig.ROOT) / "clients/python/src"))

from tradewind_langgraph import StateError, ThreadMoved, TradewindSaver, Transport, Unavailable  # noqa: E402

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    program = rig.Gateway(tmp_path_factory.mktemp("langgraph"), {"state": {"durability": "os"}})
    yield program
    program.stop()


@pytest.fixture
def transport(gateway):
    """A namespace of the test's own."""
    transport = Transport(gateway.url, f"threads-{next(NUMBERS)}")
    yield transport
    transport.close()


def thread(name="one", **more):
    return {"configurable": {"thread_id": name, "checkpoint_ns": "", **more}}


def put(saver, config, messages, step):
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"messages": messages, "step": step}
    versions = {"messages": f"{step + 1:032}", "step": f"{step + 1:032}"}
    checkpoint["channel_versions"] = versions
    return saver.put(config, checkpoint, {"source": "loop", "step": step, "parents": {}}, versions)


def test_the_conformance_suite_passes_whole(gateway):
    @checkpointer_test(name="TradewindSaver")
    async def ours():
        transport = Transport(gateway.url, f"threads-{next(NUMBERS)}")
        yield TradewindSaver(transport)
        await transport.aclose()

    report = asyncio.run(validate(ours))
    failed = {name: result.failures for name, result in report.results.items() if result.failures}
    assert not failed and report.conformance_level() == "FULL", (failed, report)


def test_of_two_writers_one_is_told(transport):
    one, other = TradewindSaver(transport), TradewindSaver(transport)
    put(one, thread(), ["hello"], 0)
    here, there = one.get_tuple(thread()).config, other.get_tuple(thread()).config
    put(one, here, ["hello", "from one"], 1)
    with pytest.raises(ThreadMoved, match="thread 'one' was at revision 1 when it was read and is at 2 now"):
        put(other, there, ["hello", "from the other"], 1)
    assert one.get_tuple(thread()).checkpoint["channel_values"]["messages"] == ["hello", "from one"]
    assert len(list(one.list(thread()))) == 2, "nothing is left of the other"
    # Two who begin a thread that neither has found.
    assert one.get_tuple(thread("new")) is None and other.get_tuple(thread("new")) is None
    put(one, thread("new"), ["one"], 0)
    with pytest.raises(ThreadMoved):
        put(other, thread("new"), ["other"], 0)
    # One who was given a config, and has read nothing.
    given = one.get_tuple(thread("new")).config
    put(TradewindSaver(transport), given, ["one", "a"], 1)
    with pytest.raises(ThreadMoved):
        put(TradewindSaver(transport), given, ["one", "b"], 1)
    # Within one process as well.
    first = one.get_tuple(thread()).config
    put(one, first, ["hello", "from one", "a"], 2)
    with pytest.raises(ThreadMoved):
        put(one, first, ["hello", "from one", "b"], 2)
    # Who reads again goes on; and a fork on purpose is one.
    put(other, other.get_tuple(thread()).config, ["hello", "from one", "a", "c"], 3)
    old = here["configurable"]["checkpoint_id"]
    forked = put(other, other.get_tuple(thread(checkpoint_id=old)).config, ["hello", "again"], 1)
    found = other.get_tuple(thread())
    assert found.config == forked and found.parent_config["configurable"]["checkpoint_id"] == old
    assert found.checkpoint["channel_values"]["messages"] == ["hello", "again"]
    assert [len(one.checkpoint["channel_values"]["messages"]) for one in other.list(thread())] == [2, 4, 3, 2, 1]


def test_a_put_that_broke_off_is_not_seen(gateway, transport):
    class Dies(Exception):
        pass

    saver = TradewindSaver(transport)
    config = put(saver, thread(), ["whole"], 0)
    real, sent = transport._sent, []

    def dying(request):
        sent.append(request)
        if request.method == "PUT" and request.key.endswith("/head"):
            raise Dies
        return real(request)

    transport._sent = dying
    with pytest.raises(Dies):
        put(saver, config, ["whole", "half"], 1)
    transport._sent = real
    assert [one.checkpoint["channel_values"]["messages"] for one in saver.list(thread())] == [["whole"]]
    again = put(saver, config, ["whole", "again"], 1)
    assert saver.get_tuple(thread()).config == again


def test_a_conversation_costs_what_is_new(gateway, transport):
    saver = TradewindSaver(transport)
    config, messages, turns = thread(), [], 150
    for step in range(turns):
        messages = [*messages, {"role": "user", "content": f"{step} " + "x" * 5000}]
        config = put(saver, config, messages, step)
    assert saver.get_tuple(thread()).checkpoint["channel_values"]["messages"] == messages
    items, after = [], {}
    while True:
        page = httpx.get(transport.base, params={"limit": 1000, **after}).json()
        items += page["items"]
        if "next" not in page:
            break
        after = {"after": page["next"]}
    total = sum(item["size"] for item in items)
    # Base64 and the checkpoints themselves; kept whole at each step it would be 75 times the last.
    assert total < 2 * turns * 5000, total
    earlier = list(saver.list(thread(), limit=2))[1]
    assert earlier.checkpoint["channel_values"]["messages"] == messages[:-1]


def test_a_graph_goes_on_after_a_restart_of_the_gateway(tmp_path):
    class State(TypedDict):
        seen: Annotated[list, operator.add]

    builder = StateGraph(State)
    builder.add_node("count", lambda state: {"seen": [len(state["seen"])]})
    builder.add_edge(START, "count")
    builder.add_edge("count", END)
    for expected in [[0], [0, 1], [0, 1, 2]]:
        program = rig.Gateway(tmp_path, {})
        transport = Transport(program.url, "graphs")
        graph = builder.compile(checkpointer=TradewindSaver(transport))
        assert graph.invoke({"seen": []}, {"configurable": {"thread_id": "a/b.c"}})["seen"] == expected
        history = list(graph.get_state_history({"configurable": {"thread_id": "a/b.c"}}))
        assert history[0].values["seen"] == expected
        transport.close()
        program.stop()


def test_errors_say_what_it_is(gateway, tmp_path):
    nobody = Transport(f"http://127.0.0.1:{rig.free_port()}", "threads")
    with pytest.raises(Unavailable, match="the gateway cannot be reached"):
        TradewindSaver(nobody).get_tuple(thread())
    with pytest.raises(StateError, match="TW7"):
        TradewindSaver(Transport(gateway.url, "No Such Name")).get_tuple(thread())
