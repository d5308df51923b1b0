"""What state survives, with the gateway as a process and each of the four stores: kill -9 under writers, a disk or a server
that is full, a server that does not answer. And what whoever is called because of it finds to read."""

import contextlib
import http.client
import json
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading

import pytest
from langgraph.checkpoint.base import empty_checkpoint

import rig
from test_state_api import Api
from test_state_servers import Server

sys.path.insert(0, str(pathlib.Path(rig.ROOT) / "clients/python/src"))

from tradewind_langgraph import TradewindSaver, Transport, Unavailable, UnknownOutcome  # noqa: E402

STORES = ["sqlite", "wal", "redis", "nats"]


@pytest.fixture
def kept_in(tmp_path):
    """Starts what a store needs, and returns what stands in the document for it, and its server, if it has one."""
    servers = []

    def start(store, **more):
        if store in ("sqlite", "wal"):
            return {"store": store}, None
        servers.append(Server(tmp_path, store, **more))
        return {"store": servers[-1].address}, servers[-1]

    yield start
    for server in servers:
        server.program.process.send_signal(signal.SIGCONT)
        server.program.kill()


def value(writer, turn):
    """Some 6 KB that differ a little from turn to turn, and tell whose they are."""
    lines = [f"line {line} of {writer}" * 10 for line in range(32)]
    lines[turn % 32] = f"turn {turn}"
    return {"writer": writer, "turn": turn, "lines": lines}


def checked(program):
    """What `tradewind state check` finds in the store of a gateway that has stopped."""
    done = subprocess.run(
        [rig.binary("tradewind"), "state", "check", "--json", "-f", program.file], capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def write_until_it_ends(url, number, known, unknown):
    """A writer: told of nothing but answers, it goes on until there are none."""
    api, rev = Api(url), known.get(number, 0)
    while True:
        condition = {"if_match": f'"{rev}"'} if rev else {"if_none_match": "*"}
        unknown[number] = rev + 1
        try:
            answer = api("PUT", f"/state/kill/{number}", value(number, rev + 1), **condition)
        except (OSError, http.client.HTTPException):
            return
        assert answer.status in (200, 201), answer.content
        rev = known[number] = rev + 1


@pytest.mark.parametrize("store", STORES)
def test_no_acknowledged_write_is_lost_by_kill(kept_in, start_gateway, tmp_path, store):
    """kill -9 again and again, under 64 writers that go on at once."""
    settings, _ = kept_in(store)
    folder = tmp_path / "gateway"
    program, known, unknown = start_gateway(settings, folder), {}, {}
    for _ in range(3):
        writers = [
            threading.Thread(target=write_until_it_ends, args=(program.url, number, known, unknown)) for number in range(64)
        ]
        before = sum(known.values())
        for writer in writers:
            writer.start()
        rig.until(lambda before=before: sum(known.values()) > before + 500, "nothing is written", 60)
        program.kill()
        for writer in writers:
            writer.join()
        program = start_gateway(settings, folder)
        api = Api(program.url)
        for number, rev in list(known.items()):
            answer = api("GET", f"/state/kill/{number}")
            found = int(answer.headers["etag"].strip('"'))
            assert found in (rev, unknown[number]), (number, rev, found)
            assert json.loads(answer.content) == value(number, found), "no torn read"
            known[number] = found
        # And what came before it, which is kept as differences.
        for number in random.sample(sorted(known), 8):
            for turn in range(max(1, known[number] - 31), known[number]):
                assert json.loads(api("GET", f"/state/kill/{number}?rev={turn}").content) == value(number, turn)
    assert program.stop() == 0
    found = checked(program)
    assert (found["damaged"], found["revisions"] >= sum(min(rev, 32) for rev in known.values())) == (0, True), found


class Thread(threading.Thread):
    """A conversation in LangGraph's checkpointer, which goes on over kills: `turns` are acknowledged."""

    def __init__(self, url, number, stopping):
        super().__init__()
        self.transport = Transport(url, "threads")
        self.name, self.stopping, self.turns, self.broken = f"thread-{number}", stopping, 0, 0

    def last(self):
        """What is there, whole."""
        found = TradewindSaver(self.transport).get_tuple({"configurable": {"thread_id": self.name, "checkpoint_ns": ""}})
        if found is None:
            return None, 0
        messages = found.checkpoint["channel_values"]["messages"]
        assert messages == [f"{self.name} says {turn}" for turn in range(len(messages))], "no torn read"
        return found.config, len(messages)

    def run(self):
        start = {"configurable": {"thread_id": self.name, "checkpoint_ns": ""}}
        while not self.stopping.is_set():
            with contextlib.suppress(Unavailable, UnknownOutcome):
                config, there = self.last()
                assert there >= self.turns, f"{self.turns} were acknowledged, {there} are there"
                saver = TradewindSaver(self.transport)
                while not self.stopping.is_set():
                    checkpoint = empty_checkpoint()
                    checkpoint["channel_values"] = {"messages": [f"{self.name} says {turn}" for turn in range(there + 1)]}
                    versions = checkpoint["channel_versions"] = {"messages": f"{there + 1:032}"}
                    self.broken += 1
                    metadata = {"source": "loop", "step": there, "parents": {}}
                    config = saver.put(config or start, checkpoint, metadata, versions)
                    self.broken -= 1
                    self.turns = there = there + 1


@pytest.mark.parametrize("store", STORES)
def test_conversations_of_a_client_go_on_over_kills(kept_in, start_gateway, tmp_path, store):
    settings, _ = kept_in(store)
    settings |= {"listen": f"127.0.0.1:{rig.free_port()}"}
    program = start_gateway(settings, tmp_path / "gateway")
    stopping = threading.Event()
    threads = [Thread(program.url, number, stopping) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = [thread.turns for thread in threads]
        rig.until(
            lambda before=before: all(thread.turns >= turns + 4 for thread, turns in zip(threads, before, strict=True)),
            lambda: f"they do not go on: {[thread.turns for thread in threads]}",
            60,
        )
        program.kill()
        program = start_gateway(settings, tmp_path / "gateway")
    stopping.set()
    for thread in threads:
        thread.join()
        _, there = thread.last()
        assert thread.turns <= there <= thread.turns + 1, (thread.turns, there)
        thread.transport.close()
    assert sum(thread.broken for thread in threads) > 0, "no write was broken off"
    assert program.stop() == 0
    assert checked(program)["damaged"] == 0


def refused(answer, status, code, words):
    """A refusal: its status and code, and words of what its reader is to know."""
    error = json.loads(answer.content)["error"]
    assert (answer.status, error["code"]) == (status, code), answer.content
    assert words in error["message"], error
    return answer


def told(program, answer):
    """What whoever looks after the gateway finds about a refusal: the record of it."""
    record = program.decision(answer.headers["x-tradewind-decision"])
    assert record["fault"] == "storage", record
    return record["detail"]


def until_full(api, grow):
    """Writes until there is no room; what was written, and the answer then."""
    written = []
    for number in range(5_000):
        answer = grow(api, number)
        if answer.status not in (200, 201):
            return written, answer
        written.append(number)
    raise AssertionError("it is never full")


def noise(number):
    return random.Random(number).randbytes(24_000)


def put(api, number):
    return api("PUT", f"/state/full/{number}", noise(number), if_none_match="*")


FULL = "the store is full; nothing was written, and reads go on"


@pytest.mark.parametrize("store", ["sqlite", "wal"])
def test_a_full_disk(start_gateway, tmp_path, store):
    folder = tmp_path / "small"
    ballast = folder / "data/ballast"
    script = 'mkdir -p "$0" && mount -t tmpfs -o size=20m tmpfs "$0" && head -c 8M /dev/zero > "$0/ballast" && exec "$@"'
    through = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(ballast.parent)]
    program = start_gateway({"store": store}, folder, through=through)
    api = Api(program.url)
    written, answer = until_full(api, put)
    assert len(written) > 50, "it is large enough for some"
    refused(answer, 507, "TW7013", FULL)
    # The journal lies on the same disk, and may have no room for the record; the log has.
    decision = answer.headers["x-tradewind-decision"]
    program.wait_for_line(f"error call .*status=507 door=state operation=put .*code=TW7013 fault=storage .*decision={decision}")
    # Nothing of it is there, and what was there before is read and not written.
    assert api("GET", f"/state/full/{len(written)}").status == 404
    assert all(api("GET", f"/state/full/{number}").content == noise(number) for number in written)
    assert rig.http(f"{program.url}/livez").status == 200
    # Room again, and no restart. The disk is one that only the gateway sees.
    pathlib.Path(f"/proc/{program.pid}/root{ballast}").unlink()
    rig.until(lambda: put(api, len(written)).status == 201, "it does not go on", 30)
    assert api("PUT", "/state/full/0", noise(1), if_match='"1"').status == 200
    assert api("GET", f"/state/full/{len(written)}").content == noise(len(written))
    assert program.stop() == 0


def test_a_full_redis(kept_in, start_gateway, tmp_path):
    settings, server = kept_in("redis")
    program = start_gateway(settings, tmp_path / "gateway")
    api = Api(program.url)
    assert put(api, 0).status == 201

    def limit(size):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(f"CONFIG SET maxmemory {size}\r\n".encode())
            assert connection.recv(64) == b"+OK\r\n"

    limit(1)
    answer = refused(put(api, 1), 507, "TW7013", FULL)
    assert "maxmemory" in told(program, answer)
    assert api("GET", "/state/full/0").content == noise(0)
    assert api("GET", "/state/full/1").status == 404
    limit(0)
    assert put(api, 1).status == 201
    assert program.stop() == 0


def test_a_full_nats(kept_in, start_gateway, tmp_path):
    settings, _ = kept_in("nats", jetstream=", max_file_store: 2MB")
    program = start_gateway(settings, tmp_path / "gateway")
    api = Api(program.url)

    def grow(api, number):
        key, rev = divmod(number, 20)
        condition = {"if_match": f'"{rev}"'} if rev else {"if_none_match": "*"}
        return api("PUT", f"/state/full/{key}", noise(number), **condition)

    written, answer = until_full(api, grow)
    assert len(written) > 40, written
    refused(answer, 507, "TW7013", FULL)
    assert "the store is full: " in told(program, answer)
    assert all(api("GET", f"/state/full/{number // 20}?rev={number % 20 + 1}").content == noise(number) for number in written)
    # What is old makes room.
    assert api("POST", "/state/full/0/prune", {"keep": 1}).status == 200
    rig.until(lambda: grow(api, len(written)).status in (200, 201), "it does not go on", 30)
    assert program.stop() == 0


@pytest.mark.parametrize("store", ["redis", "nats"])
def test_a_server_that_does_not_answer(kept_in, start_gateway, tmp_path, store):
    """A frozen server: the outcome of a write is not known and said to be so; reads are refused; later it goes on."""
    settings, server = kept_in(store)
    program = start_gateway(settings, tmp_path / "gateway")
    api, at = Api(program.url), "/state/frozen/a"
    assert api("PUT", at, value("a", 1), if_none_match="*").status == 201
    freeze(server.program)
    answer = refused(api("PUT", at, value("a", 2), if_match='"1"'), 503, "TW7011", "it may have happened, or may yet; read")
    assert answer.headers["retry-after"] is None, "to write again is not what is to be done"
    detail = told(program, answer)
    assert "whether it was written is not known: " in detail and f"127.0.0.1:{server.port}" in detail, detail
    answer = refused(api("GET", at), 503, "TW7012", "the store cannot be used now")
    assert answer.headers["retry-after"] == "1"
    assert f"127.0.0.1:{server.port}" in told(program, answer)
    server.program.process.send_signal(signal.SIGCONT)

    def read_and_written():
        api = Api(program.url)
        found = api("GET", at)
        if found.status == 503:
            return None
        # Whatever became of the write: it is there whole, or not there, or comes now.
        rev = int(found.headers["etag"].strip('"'))
        assert rev in (1, 2, 3) and json.loads(found.content) == value("a", rev)
        answer = api("PUT", at, value("a", rev + 1), if_match=f'"{rev}"')
        assert answer.status in (200, 503) or (answer.status, rev) == (412, 1), answer.content
        return rev + 1 if answer.status == 200 else None

    written = rig.until(read_and_written, "nothing is written again", 60)
    assert json.loads(api("GET", at).content) == value("a", written)
    assert program.stop() == 0
    assert checked(program)["damaged"] == 0


def freeze(program):
    """Stops all of a program where it is."""
    program.process.send_signal(signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{program.pid}/task")

    def frozen():
        # The state stands behind the name, which is in brackets.
        return {stat.read_text().rpartition(") ")[2][0] for stat in tasks.glob("*/stat")} == {"T"}

    program.wait_until(frozen, "frozen")
