"""The checkpointer.

Below `t/THREAD/NAMESPACE` in the state's namespace:

- `head`: which checkpoint is the newest. Each put moves it by compare-and-set: the one point where of two writers one wins. Who
  removes something writes it too, so that a put that began before is refused. Of a thread whose last checkpoint was removed it
  names none (`""`), until the values are removed as well.
- `c/ID`: a checkpoint, with what is kept of each channel's value. Ids grow: one beyond the head's is of a put that has not
  ended, or never will.
- `w/ID/TASK`: the writes of a task on top of a checkpoint.
- `v/CHANNEL/…`: values, kept as `values.py` says.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from tradewind_langgraph.client import Answer, Request, StateError, Steps, Transport, matching
from tradewind_langgraph.values import JSON, Values, packed, unpacked

# What was seen of a thread is remembered for so many checkpoints.
SEEN = 10_000
# Keys of one page of a list.
PAGE = 1000
# How often a write of the same task is tried that another write came before.
TRIES = 8

# Keys of a list, as the gateway describes them, and the prefixes and ids of checkpoints. Named here because `list` is a method
# inside the class.
Items = list[dict[str, Any]]
Ids = list[tuple[str, str]]


class ThreadMoved(Exception):
    """Another writer has gone on in the thread since this one looked at it; its checkpoint was not kept.

    Whoever is told so reads the thread again and decides: go on from what is there now, or fork on purpose from an earlier
    checkpoint by its id.
    """

    def __init__(self, thread: str, namespace: str, seen: int | None, now: int | None) -> None:
        where = f"thread {thread!r}" + (f", namespace {namespace!r}" if namespace else "")
        super().__init__(f"{where} was at revision {seen or 0} when it was read and is at {now or 0} now")
        self.thread, self.namespace, self.seen, self.now = thread, namespace, seen, now


def _word(text: str) -> str:
    """A text as one word of a key."""
    return quote(str(text), safe="").replace(".", "%2E") or "%"


def _text(word: str) -> str:
    return "" if word == "%" else unquote(word)


class TradewindSaver(BaseCheckpointSaver[str]):
    """Keeps checkpoints in the state of a Tradewind gateway. Safe to share between threads and tasks.

    Two writers that both go on from one checkpoint do not both succeed: the second is refused with `ThreadMoved`. A fork from
    an earlier checkpoint is made by naming its id in the config, as LangGraph's time travel does.
    """

    def __init__(self, transport: Transport, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.transport = transport
        self.values = Values(self.serde)
        # The revision of a thread's head when a checkpoint was read as the one to go on from.
        self._seen: OrderedDict[tuple[str, str], int | None] = OrderedDict()

    # The methods of LangGraph, blocking and awaited: `self.transport` drives what is written below.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.transport.run(self._get(config))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self.transport.arun(self._get(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        for prefix, found in self.transport.run(self._ids(config, before)):
            if limit is not None and limit <= 0:
                return
            if (one := self.transport.run(self._load(prefix, found, filter))) is not None:
                limit = limit if limit is None else limit - 1
                yield one

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for prefix, found in await self.transport.arun(self._ids(config, before)):
            if limit is not None and limit <= 0:
                return
            if (one := await self.transport.arun(self._load(prefix, found, filter))) is not None:
                limit = limit if limit is None else limit - 1
                yield one

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self.transport.run(self._put(config, checkpoint, metadata, new_versions))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await self.transport.arun(self._put(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.transport.run(self._put_writes(config, writes, task_id, task_path))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self.transport.arun(self._put_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        self.transport.run(self._delete_all(f"t/{_word(thread_id)}/"))

    async def adelete_thread(self, thread_id: str) -> None:
        await self.transport.arun(self._delete_all(f"t/{_word(thread_id)}/"))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        self.transport.run(self._delete_for_runs(set(run_ids)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self.transport.arun(self._delete_for_runs(set(run_ids)))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.transport.run(self._copy(source_thread_id, target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self.transport.arun(self._copy(source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        self.transport.run(self._prune(thread_ids, strategy))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await self.transport.arun(self._prune(thread_ids, strategy))

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Versions that sort as texts."""
        return f"{int(str(current).split('.')[0] or 0) + 1 if current else 1:032}"

    # What they do.

    def _get(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        prefix, wanted, rev = _prefix(config), get_checkpoint_id(config), None
        while True:
            head = (yield Request("GET", f"{prefix}/head")).checked(404, 410)
            if head.status >= 400:
                # That there was nothing is what the first checkpoint builds on.
                self._remember(prefix, "", None)
                return None
            found = wanted or head.json()["latest"]
            self._remember(prefix, found, head.rev)
            one = yield from self._load(prefix, found, None)
            # The newest may have become an earlier one and been pruned since; then the head has been written again.
            if one is not None or wanted or head.rev == rev:
                return one
            rev = head.rev

    def _load(self, prefix: str, found: str, filter: dict[str, Any] | None) -> Steps[CheckpointTuple | None]:
        key = f"{prefix}/c/{_word(found)}"
        answer = (yield Request("GET", key)).checked(404, 410)
        if answer.status >= 400:
            return None
        kept = answer.json()
        metadata = unpacked(self.serde, kept["metadata"])
        if filter and any(metadata.get(name) != wanted for name, wanted in filter.items()):
            return None
        checkpoint = unpacked(self.serde, kept["checkpoint"])
        checkpoint["channel_values"] = {}
        try:
            for channel, value in kept["values"].items():
                checkpoint["channel_values"][channel] = yield from self.values.read(value)
        except StateError as error:
            # Values go after their checkpoint: one that was removed while it was read is no error.
            if error.status in (404, 410) and (yield Request("GET", key)).checked(404, 410).status >= 400:
                return None
            raise
        writes = []
        for item in (yield from self._items(f"{prefix}/w/{_word(found)}/")):
            task = _text(item["key"].rsplit("/", 1)[1])
            answer = (yield Request("GET", item["key"])).checked(404, 410)
            for number, write in answer.json()["writes"].items() if answer.status < 400 else ():
                order = writes_sort_key(write["path"], task, int(number))
                writes.append((order, (task, write["channel"], unpacked(self.serde, write["value"]))))
        writes.sort(key=lambda write: write[0])
        return CheckpointTuple(
            config=_config(prefix, found),
            checkpoint=checkpoint,
            metadata=metadata,
            parent_config=_config(prefix, kept["parent"]) if kept["parent"] else None,
            pending_writes=[write for _, write in writes],
        )

    def _ids(self, config: RunnableConfig | None, before: RunnableConfig | None) -> Steps[Ids]:
        """Prefixes and ids of checkpoints, the newest of each namespace first."""
        wanted = get_checkpoint_id(config) if config else None
        limit = get_checkpoint_id(before) if before else None
        within = "t/"
        if config:
            within = f"t/{_word(config['configurable']['thread_id'])}/"
            if "checkpoint_ns" in config["configurable"]:
                within = f"{_prefix(config)}/c/"
        found: Ids = []
        for item in (yield from self._items(within)):
            prefix, kind, word = _parts(item["key"])
            if kind == "c" and (not wanted or _text(word) == wanted) and (not limit or _text(word) < limit):
                found.append((prefix, _text(word)))
        latest: dict[str, str] = {}
        for prefix in {prefix for prefix, _ in found}:
            answer = (yield Request("GET", f"{prefix}/head")).checked(404, 410)
            latest[prefix] = answer.json()["latest"] if answer.status < 400 else ""
        found = [(prefix, name) for prefix, name in found if name <= latest[prefix]]
        found.sort(key=lambda one: one[1], reverse=True)
        found.sort(key=lambda one: one[0])
        return found

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        prefix, parent = _prefix(config), get_checkpoint_id(config)
        head = (yield Request("GET", f"{prefix}/head")).checked(404, 410)
        now = head.rev if head.status < 400 else None
        before: dict[str, Any] = {}
        seen = self._seen.get((prefix, ""), now)
        if parent:
            answer = (yield Request("GET", f"{prefix}/c/{_word(parent)}")).checked(404, 410)
            kept_before = answer.json() if answer.status < 400 else {}
            before = kept_before.get("values", {})
            # A checkpoint that this saver has not read itself says where the thread was when it was put.
            seen = self._seen.get((prefix, parent), kept_before.get("head") or now)
        if seen != now:
            raise self._moved(prefix, seen, now)
        plain: dict[str, Any] = {**checkpoint}
        values = plain.pop("channel_values")
        kept = {}
        for channel, value in values.items():
            if channel in before and channel not in new_versions:
                kept[channel] = before[channel]
            else:
                within = f"{prefix}/v/{_word(channel)}"
                kept[channel] = yield from self.values.write(within, value, before.get(channel))
        content = {
            "parent": parent,
            # The revision of the head that names it. The first one's is known afterwards: those of a deleted thread go on.
            "head": now + 1 if now else None,
            "checkpoint": packed(self.serde, plain),
            "metadata": packed(self.serde, get_checkpoint_metadata(config, metadata)),
            "values": kept,
        }
        yield from self._replace(f"{prefix}/c/{_word(checkpoint['id'])}", content)
        latest = max(checkpoint["id"], head.json()["latest"]) if now else checkpoint["id"]
        moved = yield from self._point(prefix, now, latest)
        if moved.status == 412:
            yield from self._delete(f"{prefix}/c/{_word(checkpoint['id'])}")
            raise self._moved(prefix, now, moved.rev)
        if now is None:
            yield from self._replace(f"{prefix}/c/{_word(checkpoint['id'])}", {**content, "head": moved.rev})
        self._remember(prefix, checkpoint["id"], moved.rev)
        return _config(prefix, checkpoint["id"])

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        key = f"{_prefix(config)}/w/{_word(config['configurable']['checkpoint_id'])}/{_word(task_id)}"
        fresh = {
            str(WRITES_IDX_MAP.get(channel, number)): {
                "channel": channel,
                "path": task_path,
                "value": packed(self.serde, value),
            }
            for number, (channel, value) in enumerate(writes)
        }
        for _ in range(TRIES):
            answer = (yield Request("GET", key)).checked(404, 410)
            there = answer.json()["writes"] if answer.status < 400 else {}
            # A write that is there stays, as a task that is run again writes the same; errors and interrupts are newer.
            merged = {**fresh, **there, **{number: write for number, write in fresh.items() if int(number) < 0}}
            if merged == there:
                return
            rev = answer.rev if answer.status < 400 else None
            content = json.dumps({"writes": merged}).encode()
            if (yield Request("PUT", key, content, {**JSON, **matching(rev)})).checked(412).status != 412:
                return
        raise StateError(412, "", f"the writes of task {task_id!r} were overtaken {TRIES} times")

    def _delete_for_runs(self, runs: set[str]) -> Steps[None]:
        going: dict[str, set[str]] = {}
        for item in (yield from self._items("t/")):
            prefix, kind, word = _parts(item["key"])
            if kind != "c":
                continue
            answer = (yield Request("GET", item["key"])).checked(404, 410)
            if answer.status < 400 and unpacked(self.serde, answer.json()["metadata"]).get("run_id") in runs:
                going.setdefault(prefix, set()).add(_text(word))
        for prefix, ids in going.items():
            yield from self._drop(prefix, ids)
            yield from self._sweep(prefix)

    def _prune(self, threads: Sequence[str], strategy: str) -> Steps[None]:
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"strategy is 'keep_latest' or 'delete', not {strategy!r}")
        for thread in threads:
            within = f"t/{_word(thread)}/"
            if strategy == "delete":
                yield from self._delete_all(within)
                continue
            items = yield from self._items(within)
            for prefix in sorted({_parts(item["key"])[0] for item in items}):
                yield from self._drop(prefix, None)
                yield from self._sweep(prefix)

    def _drop(self, prefix: str, ids: set[str] | None) -> Steps[None]:
        """Removes checkpoints and the writes on top of them: those of these ids, or (`None`) all before the newest.

        The head is written first: it never names a checkpoint that is gone, not even by a put that is under way, as that is
        refused. What is beyond the head is never the newest, and goes only by its id.
        """
        for _ in range(TRIES):
            head = (yield Request("GET", f"{prefix}/head")).checked(404, 410)
            latest = head.json()["latest"] if head.status < 400 else ""
            checkpoints = yield from self._items(f"{prefix}/c/")
            ended = {name for item in checkpoints if (name := _id(item)) <= latest}
            newest = max(ended - (ids or set()), default="")
            # Writes before their checkpoint: who is cut off in between finds it again by its checkpoint.
            items = [*(yield from self._items(f"{prefix}/w/")), *checkpoints]
            if ids is None:
                going = [item for item in items if _id(item) <= latest and _id(item) != newest]
            else:
                going = [item for item in items if _id(item) in ids]
            if head.status < 400 and (going or newest != latest):
                if (yield from self._point(prefix, head.rev, newest)).status == 412:
                    continue
            yield from self._delete_listed(going)
            return
        raise StateError(412, "", f"{prefix!r} was overtaken {TRIES} times")

    def _sweep(self, prefix: str) -> Steps[None]:
        """Removes the values that no checkpoint needs, and the head that names none.

        The order is what makes it safe. A put that has looked at the head before it is written here is refused, whatever it has
        kept or relies on; one that looks at it afterwards relies on checkpoints that are here, whose values are needed, and
        what it keeps itself is not in the list, or has another revision than there.
        """
        for _ in range(TRIES):
            head = (yield Request("GET", f"{prefix}/head")).checked(404, 410)
            if head.status >= 400:
                # A thread's first put may be under way, and without a head nothing would refuse it.
                return
            latest, rev = head.json()["latest"], head.rev
            values = yield from self._items(f"{prefix}/v/")
            needed = yield from self._needed(prefix)
            # A part of a log has its number behind the log's key.
            waste = [item for item in values if not {item["key"], item["key"].rpartition("/")[0]} & needed]
            if waste:
                moved = yield from self._point(prefix, rev, latest)
                if moved.status == 412:
                    continue
                rev = moved.rev
                yield from self._delete_listed(waste)
            if not latest:
                (yield Request("DELETE", f"{prefix}/head", headers=matching(rev))).checked(404, 410, 412)
            return
        raise StateError(412, "", f"{prefix!r} was overtaken {TRIES} times")

    def _needed(self, prefix: str) -> Steps[set[str]]:
        """The keys of values that checkpoints name, those of puts that have not ended among them."""
        needed: set[str] = set()
        for item in (yield from self._items(f"{prefix}/c/")):
            answer = (yield Request("GET", item["key"])).checked(404, 410)
            for value in answer.json()["values"].values() if answer.status < 400 else ():
                if value[0] != "whole":
                    needed.add(value[1])
        return needed

    def _copy(self, source: str, target: str) -> Steps[None]:
        here, there = f"t/{_word(source)}/", f"t/{_word(target)}/"
        items = yield from self._items(here)
        # Heads last: until then nobody sees a copy that is not whole.
        for item in sorted(items, key=lambda item: item["key"].endswith("/head")):
            answer = (yield Request("GET", item["key"])).checked(404, 410)
            if answer.status >= 400:
                continue
            content = answer.json()
            if _parts(item["key"])[1] == "c":
                # Values are named by their keys, which begin with the thread's.
                for value in content["values"].values():
                    if value[0] != "whole":
                        value[1] = there + value[1].removeprefix(here)
            yield from self._replace(there + item["key"].removeprefix(here), content)

    # Small steps.

    def _point(self, prefix: str, rev: int | None, latest: str) -> Steps[Answer]:
        """Lets the head name a checkpoint; 412 when it has not this revision any more."""
        # No two writes of it are alike: where one changes nothing, a namespace that merges would refuse neither.
        content = json.dumps({"latest": latest, "write": uuid4().hex}).encode()
        return (yield Request("PUT", f"{prefix}/head", content, {**JSON, **matching(rev)})).checked(412)

    def _items(self, prefix: str) -> Steps[Items]:
        """The keys that begin with `prefix`."""
        items: Items = []
        query = {"prefix": prefix, "limit": str(PAGE)}
        while True:
            page = (yield Request("GET", query=query)).checked(404).json()
            items += page.get("items", [])
            if not page.get("next"):
                return items
            query["after"] = page["next"]

    def _replace(self, key: str, content: Any) -> Steps[None]:
        """Writes what only one writer ever has a reason to write."""
        rev = None
        for _ in range(TRIES):
            answer = yield Request("PUT", key, json.dumps(content).encode(), {**JSON, **matching(rev)})
            if answer.checked(412).status != 412:
                return
            rev = answer.rev
        raise StateError(412, "", f"{key!r} was overtaken {TRIES} times")

    def _delete(self, key: str) -> Steps[None]:
        for _ in range(TRIES):
            answer = (yield Request("GET", key)).checked(404, 410)
            if answer.status >= 400:
                return
            if (yield Request("DELETE", key, headers=matching(answer.rev))).checked(404, 410, 412).status != 412:
                return
        raise StateError(412, "", f"{key!r} was overtaken {TRIES} times")

    def _delete_listed(self, items: Sequence[dict[str, Any]]) -> Steps[None]:
        """Deletes what has not been written again since it was listed."""
        for item in items:
            (yield Request("DELETE", item["key"], headers=matching(item["rev"]))).checked(404, 410, 412)

    def _delete_all(self, prefix: str) -> Steps[None]:
        items = yield from self._items(prefix)
        # Heads first: from then on nobody sees a thread that is not whole.
        for item in sorted(items, key=lambda item: not item["key"].endswith("/head")):
            if (yield Request("DELETE", item["key"], headers=matching(item["rev"]))).checked(404, 410, 412).status == 412:
                yield from self._delete(item["key"])

    def _remember(self, prefix: str, found: str, rev: int | None) -> None:
        self._seen[prefix, found] = rev
        self._seen.move_to_end((prefix, found))
        while len(self._seen) > SEEN:
            self._seen.popitem(last=False)

    def _moved(self, prefix: str, seen: int | None, now: int | None) -> ThreadMoved:
        thread, namespace = prefix.split("/")[1:]
        return ThreadMoved(_text(thread), _text(namespace), seen, now)


def _prefix(config: RunnableConfig) -> str:
    settings = config["configurable"]
    return f"t/{_word(settings['thread_id'])}/{_word(settings.get('checkpoint_ns', ''))}"


def _parts(key: str) -> tuple[str, str, str]:
    """The prefix of a key, the kind of what it is, and the word behind that."""
    words = key.split("/")
    return "/".join(words[:3]), words[3] if len(words) > 3 else "", words[4] if len(words) > 4 else ""


def _id(item: dict[str, Any]) -> str:
    """Of which checkpoint a listed key is, or on top of which."""
    return _text(_parts(item["key"])[2])


def _config(prefix: str, found: str) -> RunnableConfig:
    _, thread, namespace = prefix.split("/")
    ids = {"thread_id": _text(thread), "checkpoint_ns": _text(namespace), "checkpoint_id": found}
    return {"configurable": ids}
