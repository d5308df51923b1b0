"""What a build is shaped by (pgo.sh): calls of the kinds that a gateway sees all day, and some that it refuses.

Whole answers and streams, small questions and long conversations with tools, in English, Chinese and code, both dialects,
passed on and translated, with a key that has limits and a budget, one caller and many; tunnels through the relay, zips of
the modules door, and state.

What is seen a hundred times less often than the rest is laid out like code that is never run. So each door is asked about as
often as the next.
"""

import json
import pathlib
import re
import socket
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))

import loads  # noqa: E402
import modules  # noqa: E402
import parties  # noqa: E402
import state  # noqa: E402
import tradewind  # noqa: E402
import tunnels  # noqa: E402
from loads import Scenario  # noqa: E402

# Seconds of each load.
LASTING = 2.0
# Mebibytes through the relay in each direction.
MIB = 256
# Requests of one kind that are asked for in a row, by so many callers.
REQUESTS, CALLERS = 120_000, 4
TEXTS = [
    "What is the capital of France? Answer in one word.",
    "请用三句话解释什么是向量数据库，并举一个例子。",
    "Review this:\n```python\ndef f(xs):\n    return {x: i for i, x in enumerate(xs) if x is not None}\n```\n" * 8,
    "The quick brown fox jumps over the lazy dog, number 42 of 1,337; see https://example.com/a?b=c. " * 40,
]
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city, now or on one of the next days",
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "day": {"type": "integer", "minimum": 0, "maximum": 7}},
        "required": ["city"],
    },
}


def bodies(dialect):
    """Requests of a dialect, from one line to a conversation with tools."""
    if dialect == "openai":
        tools = [{"type": "function", "function": {**TOOL, "parameters": TOOL["schema"]}}]
        for tool in tools:
            del tool["function"]["schema"]
        more = {"temperature": 0.2, "user": "someone"}
    else:
        tools = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["schema"]}]
        more = {"max_tokens": 500, "system": "Be brief."}
    for length in (1, 5, 21):
        turns = [
            {"role": ("user", "assistant")[turn % 2], "content": TEXTS[turn % len(TEXTS)]} for turn in range(length)
        ]
        for stream in (False, True):
            body = {"model": "bench", "messages": turns, "stream": stream, **more}
            yield body
            yield body | {"tools": tools}


def ask(party, repeat):
    """Asks all of it, and some that is refused."""
    http = parties.rig.http
    url = f"http://{party.plain}"
    for _ in range(repeat):
        for dialect, path in (("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages")):
            for body in bodies(dialect):
                reply = http(url + path, body, party.headers)
                if reply.status != 200:
                    sys.exit(f"training: {path} was answered {reply.status}: {reply.body[:500]!r}")
        for body in ({"model": "nobody", "messages": []}, {"messages": []}, [1]):
            http(url + "/v1/chat/completions", body, party.headers)
        for path in ("/v1/models", "/metrics", "/api/v1/decisions?limit=20", "/api/v1/spend"):
            http(url + path, headers=party.headers)


def relay(folder):
    """Tunnels by CONNECT and SOCKS5: opened, closed, with much and with little in them."""
    with tunnels.far_end(folder) as far:
        party = tunnels.start_tradewind(folder)
        for by in ("connect", "socks5"):
            for load in tunnels.all_loads(LASTING / 2, MIB):
                tunnels.measure(far, party, by, load)
        party.program.stop()


def drum(address, requests):
    """Asks for each of `requests` in turn, again and again, over connections that stay."""
    host, port = address.rsplit(":", 1)
    wrong = []

    def caller():
        with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
            for request in requests:
                connection.sendall(request)
                head = b"".join(iter(answers.readline, b"\r\n"))
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                answers.read(int(length[1]) if length else 0)
                if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 304")):
                    wrong.append(head)
                    return

    requests = list(requests)
    callers = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    if wrong:
        sys.exit(f"training: a request was answered {wrong[0]!r}")


def request(method, path, body=b"", **headers):
    """One request as it goes over the wire."""
    named = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    length = [f"content-length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *named, *length, "", ""]).encode() + body


def zips(folder):
    """Zips of usual sizes that are stored, and one that comes in; and the small files beside them."""
    tree = modules.zips()
    with modules.gateway(folder, tree, "zips") as (program, _):
        address = program.url.removeprefix("http://")
        for number, size in enumerate(modules.SIZES.values()):
            path = f"/go/{modules.path_of(number)}"
            times = max(3, REQUESTS // CALLERS * 20_000 // max(size, 20_000))
            drum(address, [request("GET", path)] * times)
            for other in (".info", ".mod"):
                drum(address, [request("GET", path.removesuffix(".zip") + other)] * (REQUESTS // 20))


def states(folder):
    """Values that are read, and written by turns, changed, listed and told of."""
    party = state.start_gateway(folder)
    read = request("GET", party.prefix)
    drum(party.plain, [read] * (REQUESTS // CALLERS))
    tag = f'"{state.rig.http(f"http://{party.plain}{party.prefix}").headers["etag"].strip(chr(34))}"'
    drum(party.plain, [request("GET", party.prefix, if_none_match=tag)] * (REQUESTS // 20))
    drum(party.plain, [request("GET", "/api/v1/state/bench")] * (REQUESTS // 40))
    writers = [threading.Thread(target=write, args=(party.plain, number)) for number in range(CALLERS)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    party.program.stop()


def write(address, number):
    """Puts, appends and patches of a key of one's own."""
    host, port = address.rsplit(":", 1)
    path = f"/api/v1/state/bench/written/{number}"
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        rev = 0
        for turn in range(REQUESTS // 40):
            if turn % 8 == 5:
                patch = json.dumps([{"op": "add", "path": "/turn", "value": turn}]).encode()
                text = request("PATCH", path, patch, if_match=f'"{rev}"', content_type="application/json-patch+json")
            else:
                condition = {"if_match": f'"{rev}"'} if rev else {"if_none_match": "*"}
                text = request("PUT", path, state.VALUE, content_type="application/json", **condition)
            connection.sendall(text)
            head = b"".join(iter(answers.readline, b"\r\n"))
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = answers.read(int(length[1]) if length else 0)
            if not head.startswith(b"HTTP/1.1 2"):
                sys.exit(f"training: a write was answered {head!r} {body!r}")
            rev += 1


def main():
    with tempfile.TemporaryDirectory(prefix="tradewind-train-") as scratch:
        folder = pathlib.Path(scratch)
        sim, upstream = parties.start_upstream(folder, "--bench")
        answered = 0
        try:
            for dialect in ("openai", "anthropic"):
                for name, more in ((f"{dialect}, keys", {}), (f"{dialect}, all", {"telemetry": {"logs": {"calls": "all"}}})):
                    document = tradewind.config(upstream, dialect, tradewind.PRICE) | {"keys": [tradewind.KEY]} | more
                    party = tradewind.start(folder, upstream, document, name.replace(", ", "-"))
                    party.headers = {"authorization": f"Bearer {tradewind.SECRET}"}
                    for client in ("openai", "anthropic"):
                        for stream in (False, True):
                            for callers in (1, 16):
                                scenario = Scenario(name, stream=stream, callers=callers, dialect=client)
                                answered += loads.load(party, scenario, LASTING / 2)["ok"]
                    ask(party, 20)
                    party.program.stop()
            # Most calls are of the kind that needs no translation and has a key.
            party = tradewind.start_keyed(folder, upstream)
            answered += loads.load(party, Scenario("usual"), 4 * LASTING)["ok"]
            party.program.stop()
            relay(folder)
            zips(folder)
            states(folder)
        finally:
            sim.kill()
    print(json.dumps({"calls": answered}), file=sys.stderr)


if __name__ == "__main__":
    main()
