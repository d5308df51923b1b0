"""How values of channels are kept: lists as logs that only grow, everything else whole.

A conversation is a list that gets longer with each step. Kept whole at each step it would cost its square; so its elements go
into a log, and a checkpoint says no more than which log and how many elements of it. A step appends what is new. A list that
is no continuation of the one before (a message was edited, or another branch has gone on in the same log) begins another log.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.serde.base import SerializerProtocol

from tradewind_langgraph.client import Request, Steps, matching

# Elements of one part of a log: what reading one element too many costs, and what one append rewrites at most.
PART = 64
JSON = {"content-type": "application/json"}
APPEND = {**JSON, "tradewind-append": "true"}


def packed(serde: SerializerProtocol, value: Any) -> list[str]:
    """A value as the name of its form and its bytes in base64."""
    form, content = serde.dumps_typed(value)
    return [form, base64.b64encode(content).decode()]


def unpacked(serde: SerializerProtocol, pair: list[str]) -> Any:
    """What `packed` packed."""
    return serde.loads_typed((pair[0], base64.b64decode(pair[1])))


def _digest(digest: str, element: list[str]) -> str:
    """The digest of a list with one element more."""
    return hashlib.sha256(f"{digest}\n{element[0]}\n{element[1]}".encode()).hexdigest()


class Values:
    """Values of channels below one key prefix.

    What is kept of a value, for the checkpoint: `["whole", FORM, BASE64]` for a small one, `["at", KEY]` for any other, and
    `["log", LOG, COUNT, DIGEST]` for a list.
    """

    SMALL = 256

    def __init__(self, serde: SerializerProtocol) -> None:
        self.serde = serde

    def write(self, prefix: str, value: Any, before: list[Any] | None) -> Steps[list[Any]]:
        """Keeps a value; `before` is what is kept of the value that it comes after."""
        if type(value) is list and value:
            return (yield from self._log(prefix, [packed(self.serde, element) for element in value], before))
        pair = packed(self.serde, value)
        if len(pair[1]) <= self.SMALL:
            return ["whole", *pair]
        key = f"{prefix}/{uuid4().hex}"
        content = json.dumps(pair).encode()
        (yield Request("PUT", key, content, {**JSON, **matching(None)})).checked()
        return ["at", key]

    def read(self, kept: list[Any]) -> Steps[Any]:
        """The value of which this is kept."""
        if kept[0] == "whole":
            return unpacked(self.serde, kept[1:])
        if kept[0] == "at":
            return unpacked(self.serde, (yield Request("GET", kept[1])).checked().json())
        _, log, count, _ = kept
        elements: list[list[str]] = []
        for part in range(-(-count // PART)):
            elements += (yield Request("GET", f"{log}/{part:06}")).checked().json()
        return [unpacked(self.serde, element) for element in elements[:count]]

    def _log(self, prefix: str, elements: list[list[str]], before: list[Any] | None) -> Steps[list[Any]]:
        log, count, digest = f"{prefix}/{uuid4().hex}", 0, ""
        if before and before[0] == "log" and before[2] <= len(elements):
            digest = ""
            for element in elements[: before[2]]:
                digest = _digest(digest, element)
            if digest == before[3] and (yield from self._append(before[1], before[2], elements[before[2] :])):
                log, count = before[1], before[2]
        if not count:
            digest = ""
            yield from self._append(log, 0, elements)
        for element in elements[count:]:
            digest = _digest(digest, element)
        return ["log", log, len(elements), digest]

    def _append(self, log: str, count: int, elements: list[list[str]]) -> Steps[bool]:
        """Appends to a log of `count` elements; `False` when another has gone on in it, or removed it."""
        while elements:
            part, there = divmod(count, PART)
            key, now = f"{log}/{part:06}", elements[: PART - there]
            rev = None
            if there:
                # Only who sees the part as it was left may go on in it.
                kept = (yield Request("GET", key)).checked(404, 410)
                if kept.status >= 400 or len(kept.json()) != there:
                    return False
                rev = kept.rev
            content = json.dumps(now).encode()
            answer = yield Request("PATCH", key, content, {**APPEND, **matching(rev)})
            if answer.checked(404, 410, 412).status >= 400:
                return False
            # A namespace that merges takes both of two appends; the elements of the second are not where it counts them.
            if rev is not None and answer.json()["parent"] != rev:
                return False
            count, elements = count + len(now), elements[len(now) :]
        return True
