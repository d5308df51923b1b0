"""Requests to the state API, and the two ways of sending them.

What the checkpointer does is written once, as generators that yield a `Request` and are sent its `Answer`; `Transport` drives
such a generator with blocking calls or with awaited ones.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

Result = TypeVar("Result")
ABSENT = {"If-None-Match": "*"}
# The code of a write whose outcome is not known.
UNKNOWN = "TW7011"


class StateError(Exception):
    """The state API refused. `status` is HTTP's, `code` is Tradewind's (`TW7…`)."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code or status}: {message}")
        self.status, self.code, self.message = status, code, message


class Unavailable(StateError):
    """The gateway or its store cannot be used at the moment. Nothing was written."""


class UnknownOutcome(StateError):
    """A write was sent and no answer came: it may have happened. Whoever needs to know reads."""


@dataclass(frozen=True)
class Request:
    """One request below `/api/v1/state/NAMESPACE`."""

    method: str
    key: str = ""
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Its answer."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def rev(self) -> int | None:
        """The revision that the answer is about."""
        tag = self.headers.get("etag", "").strip('"')
        return int(tag) if tag.isdigit() else None

    def json(self) -> Any:
        return json.loads(self.content)

    def checked(self, *also: int) -> Answer:
        """Itself when all is well, or when its status is one of `also`.

        Raises:
            StateError: with what the gateway says.
        """
        if self.status < 400 or self.status in also:
            return self
        try:
            said = self.json().get("error") or {}
        except ValueError:
            said = {}
        code = str(said.get("code", self.headers.get("tradewind-code", "")))
        message = str(said.get("message", self.content[:200].decode(errors="replace")))
        if code == UNKNOWN:
            raise UnknownOutcome(self.status, code, message)
        raise (Unavailable if self.status == 503 else StateError)(self.status, code, message)


# A conversation with the API that ends in a result.
Steps = Generator[Request, Answer, Result]


def matching(rev: int | None) -> dict[str, str]:
    """The condition of a write: that the value has this revision, or that there is none."""
    return ABSENT if rev is None else {"If-Match": f'"{rev}"'}


class Transport:
    """Sends requests to one namespace of one gateway.

    Args:
        url: of the gateway, such as `http://127.0.0.1:7080`.
        namespace: of the state; it is made by the first write.
        key: of the caller, where the gateway wants one; it has to allow `state/NAMESPACE/*`.
        timeout: of one request, in seconds.
    """

    def __init__(self, url: str, namespace: str, key: str | None = None, timeout: float = 30.0) -> None:
        self.base = f"{url.rstrip('/')}/api/v1/state/{quote(namespace, safe='')}"
        self.options: dict[str, Any] = {"timeout": timeout, "headers": {"authorization": f"Bearer {key}"} if key else {}}
        self._blocking: httpx.Client | None = None
        self._awaited: httpx.AsyncClient | None = None

    def run(self, steps: Steps[Result]) -> Result:
        """Drives `steps` with blocking calls."""
        client = self._blocking = self._blocking or httpx.Client(**self.options)
        try:
            request = next(steps)
            while True:
                try:
                    got = client.request(**self._sent(request))
                except httpx.HTTPError as error:
                    request = steps.throw(_failed(request, error))
                else:
                    request = steps.send(Answer(got.status_code, got.headers, got.content))
        except StopIteration as done:
            result: Result = done.value
            return result

    async def arun(self, steps: Steps[Result]) -> Result:
        """Drives `steps` with awaited calls."""
        client = self._awaited = self._awaited or httpx.AsyncClient(**self.options)
        try:
            request = next(steps)
            while True:
                try:
                    got = await client.request(**self._sent(request))
                except httpx.HTTPError as error:
                    request = steps.throw(_failed(request, error))
                else:
                    request = steps.send(Answer(got.status_code, got.headers, got.content))
        except StopIteration as done:
            result: Result = done.value
            return result

    def close(self) -> None:
        """Closes the connections of blocking calls."""
        if self._blocking:
            self._blocking.close()
            self._blocking = None

    async def aclose(self) -> None:
        """Closes the connections of awaited calls."""
        if self._awaited:
            await self._awaited.aclose()
            self._awaited = None

    def _sent(self, request: Request) -> dict[str, Any]:
        path = f"/{quote(request.key, safe='')}" if request.key else ""
        return {
            "method": request.method,
            "url": self.base + path,
            "params": request.query or None,
            "content": request.content,
            "headers": request.headers,
        }


def _failed(request: Request, error: httpx.HTTPError) -> StateError:
    never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    if never_sent or request.method == "GET":
        return Unavailable(0, "", f"the gateway cannot be reached: {error}")
    return UnknownOutcome(0, "", f"no answer to a write of {request.key!r}: {error}")
