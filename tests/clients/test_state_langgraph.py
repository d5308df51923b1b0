"""The LangGraph checkpointer of clients/python, against a running gateway: the conformance suite, two writers, growth."""

import asyncio
import itertools
import operator
import pathlib
import sys
from collections import Counter
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
# What the conformance suite knows: what every checkpointer has to do, and what it may leave out.
BASE = {"put", "put_writes", "get_tuple", "list", "delete_thread"}
EXTENDED = {"delete_for_runs", "copy_thread", "prune"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    merging = {"name": "merging", "on-conflict": "merge"}
    program = rig.Gateway(tmp_path_factory.mktemp("langgraph"), {"state": {"durability": "os", "namespaces": [merging]}})
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


def made(config, messages, step, run=None, note=None):
    """What `put` of a saver is given. The note is a value of its own that the first step writes, or one that is asked to."""
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"messages": messages, "step": step, "note": "n" * 1000}
    checkpoint["channel_versions"] = {name: f"{step + 1:032}" for name in checkpoint["channel_values"]}
    fresh = {"messages", "step"} | ({"note"} if note or step == 0 else set())
    versions = {name: version for name, version in checkpoint["channel_versions"].items() if name in fresh}
    return config, checkpoint, {"source": "loop", "step": step, "parents": {}, **({"run_id": run} if run else {})}, versions


def put(saver, config, messages, step, run=None):
    return saver.put(*made(config, messages, step, run))


def messages(found):
    return found.checkpoint["channel_values"]["messages"]


def broken_off(saver, config, messages, step, run=None):
    """A put whose client dies before it moves the head."""
    steps = Halted(saver.transport, saver._put(*made(config, messages, step, run)))
    while not (steps.next.method == "PUT" and steps.next.key.endswith("/head")):
        steps.go(1)


def keys(transport):
    """The keys of the namespace, by what they are."""
    listed = httpx.get(transport.base, params={"limit": 1000}).json()["items"]
    return Counter(item["key"].split("/")[3] for item in listed)


class Halted:
    """What a saver does, request by request."""

    def __init__(self, transport, steps):
        self.transport, self.steps, self.result, self.error = transport, steps, None, None
        self.next = next(steps)

    def go(self, requests=None):
        """Goes on for so many requests, or to the end."""
        while self.next and requests != 0:
            answer = self.transport.run(self.one(self.next))
            try:
                self.next = self.steps.send(answer)
            except StopIteration as done:
                self.next, self.result = None, done.value
            except ThreadMoved as moved:
                self.next, self.error = None, moved
            requests = requests if requests is None else requests - 1
        return self

    @staticmethod
    def one(request):
        return (yield request)


def test_the_conformance_suite_passes_whole(gateway):
    @checkpointer_test(name="TradewindSaver")
    async def ours():
        transport = Transport(gateway.url, f"threads-{next(NUMBERS)}")
        yield TradewindSaver(transport)
        await transport.aclose()

    report = asyncio.run(validate(ours))
    # The level is "FULL" as well when a capability is not there at all.
    whole = {name for name, result in report.results.items() if result.detected and result.passed and result.tests_passed}
    assert whole == BASE | EXTENDED and report.conformance_level() == "FULL", report


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


def test_a_put_that_broke_off_is_not_seen(transport):
    saver = TradewindSaver(transport)
    config = put(saver, thread(), ["whole"], 0)
    broken_off(saver, config, ["whole", "half"], 1)
    assert [messages(one) for one in saver.list(thread())] == [["whole"]]
    again = put(saver, config, ["whole", "again"], 1)
    assert saver.get_tuple(thread()).config == again


def test_prune_keeps_what_the_head_names(transport):
    saver = TradewindSaver(transport)
    put(saver, thread(), ["a"], 0)
    config = put(saver, saver.get_tuple(thread()).config, ["a", "b"], 1)
    saver.put_writes(config, [("messages", "c")], "task")
    broken_off(saver, config, ["a", "b", "half"], 2)
    saver.prune(["one"])
    found = saver.get_tuple(thread())
    assert found.config == config and messages(found) == ["a", "b"] and len(found.pending_writes) == 1
    assert [one.config for one in saver.list(thread())] == [config]
    # What broke off is left for as long as its put might go on, and pruned when the thread has gone on without it.
    assert keys(transport)["c"] == 2
    put(saver, found.config, ["a", "b", "c"], 2)
    saver.prune(["one"])
    assert messages(saver.get_tuple(thread())) == ["a", "b", "c"]
    assert keys(transport) == {"head": 1, "c": 1, "v": 2}, "the messages' log and the note"


def test_the_head_names_the_newest_that_is_left(transport):
    saver = TradewindSaver(transport)
    first = put(saver, thread(), ["a"], 0, "kept")
    config = put(saver, first, ["a", "b"], 1, "unwanted")
    broken_off(saver, config, ["a", "b", "half"], 2, "kept")
    saver.delete_for_runs(["unwanted"])
    assert saver.get_tuple(thread()).config == first and messages(saver.get_tuple(thread())) == ["a"]
    assert [one.config for one in saver.list(thread())] == [first]
    saver.delete_for_runs(["kept"])
    assert saver.get_tuple(thread()) is None and not keys(transport)
    put(saver, thread(), ["again"], 0)
    assert messages(saver.get_tuple(thread())) == ["again"]


def test_prune_leaves_a_thread_alone_that_has_nothing_to_prune(transport):
    saver = TradewindSaver(transport)
    config = put(saver, thread(), ["a"], 0)
    saver.prune(["one", "nobody's"])
    put(saver, config, ["a", "b"], 1)
    assert messages(saver.get_tuple(thread())) == ["a", "b"]


class Thread:
    """A thread of two checkpoints that share no value, in a namespace of its own."""

    def __init__(self, gateway):
        self.transport = Transport(gateway.url, f"threads-{next(NUMBERS)}")
        self.saver = TradewindSaver(self.transport)
        self.first = put(self.saver, thread(), ["a"], 0, "first")
        self.second = self.saver.put(*made(self.first, ["b", "c"], 1, "second", note=True))

    def removal(self, kind):
        if kind == "prune":
            return Halted(self.transport, self.saver._prune(["one"], "keep_latest"))
        return Halted(self.transport, self.saver._delete_for_runs({kind}))

    def put(self, kind):
        """A put of another saver: on from the newest, with other messages or more; or a fork. `None` when there is no such."""
        saver = TradewindSaver(self.transport)
        found = saver.get_tuple(self.first if kind == "fork" else thread())
        if found is None:
            return None
        there = [] if kind == "edit" else messages(found)
        return Halted(self.transport, saver._put(*made(found.config, [*there, "new"], 2)))

    def check(self, put, where):
        """What is listed can be read, the head names the newest of it, and a put that ended well is that."""
        found, listed = self.saver.get_tuple(thread()), list(self.saver.list(thread()))
        assert found and found.config == listed[0].config, where
        assert put.error or found.config == put.result and messages(found)[-1] == "new", where
        for one in listed:
            assert one.checkpoint["channel_values"]["note"] == "n" * 1000, where
            assert messages(one) in (["a"], ["b", "c"], ["a", "new"], ["b", "c", "new"], ["new"]), where


@pytest.mark.parametrize("removal", ["prune", "first", "second"])
@pytest.mark.parametrize("kind", ["on", "edit", "fork"])
def test_a_put_amid_a_removal_is_whole_or_refused(gateway, kind, removal):
    """After each request of the removal a put begins, which the rest of the removal comes into after each request of the put."""
    ended = Counter()
    for begun, halted in itertools.product(range(30), range(7)):
        about = Thread(gateway)
        removing = about.removal(removal).go(begun)
        if not removing.next:
            about.transport.close()
            break
        if adding := about.put(kind):
            adding.go(halted)
            removing.go()
            about.check(adding.go(), (begun, halted))
            ended["refused" if adding.error else "kept"] += 1
        about.transport.close()
    assert not removing.next and ended["kept"] and ended["refused"], ended


def test_a_first_put_keeps_its_values_amid_a_removal(gateway):
    for halted in range(6):
        about = Thread(gateway)
        about.saver.delete_thread("one")
        saver = TradewindSaver(about.transport)
        adding = Halted(about.transport, saver._put(*made(thread(), ["new"], 0))).go(halted)
        about.saver.prune(["one"])
        adding.go()
        about.check(adding, halted)
        assert adding.result, halted


def test_who_reads_amid_a_removal_is_told_of_the_thread(gateway):
    for begun in itertools.count():
        about = Thread(gateway)
        removing = about.removal("second").go(begun)
        assert about.saver.get_tuple(thread()), begun
        if not removing.next:
            break
    # What a reader was told of is gone when it looks: pruned, as another has gone on.
    for begun in itertools.count():
        about = Thread(gateway)
        reading = Halted(about.transport, TradewindSaver(about.transport)._get(thread())).go(begun)
        if not reading.next:
            break
        newest = about.saver.put(*made(about.second, ["new"], 2, note=True))
        about.saver.prune(["one"])
        assert reading.go().result and reading.result.config in (about.second, newest), begun
        assert messages(reading.result) in (["b", "c"], ["new"]), begun


def test_no_two_writers_win_where_a_namespace_merges(gateway):
    transport = Transport(gateway.url, "merging")
    saver = TradewindSaver(transport)
    config = put(saver, thread(), ["a"], 0)
    # A put and a prune, of which one leaves the head's content as it is.
    put(saver, config, ["b"], 1)
    config = saver.get_tuple(thread()).config
    adding = Halted(transport, saver._put(*made(config, ["b", "c"], 2))).go(5)
    saver.prune(["one"])
    assert adding.go().error and messages(saver.get_tuple(thread())) == ["b"]
    # Two appends to one log.
    config = saver.get_tuple(thread()).config
    puts = [Halted(transport, saver._put(*made(config, ["b", name], 2))).go(3) for name in ("one", "other")]
    puts[0].go(1)
    assert puts[1].go().result and puts[0].go().error
    assert messages(saver.get_tuple(thread())) == ["b", "other"]


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
