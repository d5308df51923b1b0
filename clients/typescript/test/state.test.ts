/** Against a running gateway, whose URL is TRADEWIND_URL. */

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { test } from "node:test";
import { Fenced, Lost, State, StateError, type Change } from "../src/index.ts";

const url = process.env.TRADEWIND_URL;
assert(url, "TRADEWIND_URL is not set");
const name = (what: string) => `ts-${what}-${process.pid}`;

test("a write says what it replaces", async () => {
  const state = new State(url, name("writes"));
  assert.equal(await state.get("a/b c"), null);
  const first = await state.putJson("a/b c", null, { turn: 1 }, { schema: "chat@1" });
  assert.deepEqual([first.rev, first.schema, first.key], [1, "chat@1", "a/b c"]);
  const read = await state.get("a/b c");
  assert.deepEqual(read?.json(), { turn: 1 });
  assert.deepEqual([read?.rev, read?.schema, read?.epoch], [1, "chat@1", 0]);
  assert.equal((await state.get("a/b c", undefined, "chat@2"))?.rev, 1);
  await assert.rejects(state.get("a/b c", undefined, "chat@0"), (error: StateError) => error.code === "TW7008");
  await state.putJson("a/b c", 1, { turn: 2 });
  await assert.rejects(state.putJson("a/b c", 1, { turn: "two" }), (error: Lost) => error instanceof Lost && error.rev === 2);
  await assert.rejects(state.putJson("a/b c", null, {}), Lost);
  await state.patch("a/b c", 2, [{ op: "replace", path: "/turn", value: 3 }]);
  assert.deepEqual((await state.get("a/b c"))?.json(), { turn: 3 });
  assert.deepEqual((await state.get("a/b c", 1))?.json(), { turn: 1 });
  const revisions = await Array.fromAsync(state.history("a/b c"));
  assert.deepEqual(revisions.map((one) => one.rev), [3, 2, 1]);
  await state.delete("a/b c", 3);
  assert.equal(await state.get("a/b c"), null);
  await assert.rejects(new State(url, "No Such").put("x", null, "x"), (error: StateError) => error.code === "TW7007");
});

test("what grows is appended to", async () => {
  const state = new State(url, name("grows"));
  for (const word of ["watch", "history", "a/history", "a/watch"]) {
    await state.put(word, null, word);
    assert.equal((await state.get(word))?.text(), word);
  }
  await state.append("log", null, "one\n", { contentType: "text/plain" });
  await state.append("log", 1, "two\n");
  assert.equal((await state.get("log"))?.text(), "one\ntwo\n");
  for (let number = 0; number < 250; number += 1) await state.putJson(`many/${String(number).padStart(3, "0")}`, null, number);
  const keys = await Array.fromAsync(state.list("many/"));
  assert.equal(keys.length, 250);
  assert.equal(keys[249]?.key, "many/249");
});

test("a key that was handed over is fenced", async () => {
  const state = new State(url, name("handoff"));
  await state.putJson("agent", null, { at: "laptop" });
  const token = await state.handoff("agent", 1, { ttl: "30s" });
  assert.ok(Date.parse(token["expires-at"]) > Date.now());
  const taken = await state.redeem(token.token);
  assert.deepEqual([taken.rev, taken.epoch], [2, 1]);
  await assert.rejects(state.putJson("agent", 1, {}, { epoch: 0 }), Fenced);
  await assert.rejects(state.redeem(token.token), (error: StateError) => error.code === "TW7017");
  await state.putJson("agent", 2, { at: "desk" }, { epoch: 1 });
});

test("a watch survives what breaks its connection", { timeout: 60_000 }, async () => {
  // A way to the gateway that breaks as often as we like.
  const gateway = new URL(url);
  const open = new Set<net.Socket>();
  const broken = net.createServer((socket) => {
    const far = net.connect(Number(gateway.port), gateway.hostname);
    for (const one of [socket, far]) {
      open.add(one);
      one.on("error", () => {}).on("close", () => (open.delete(one), socket.destroy(), far.destroy()));
    }
    socket.pipe(far).pipe(socket);
  });
  await new Promise<void>((ready) => broken.listen(0, "127.0.0.1", ready));
  const through = new State(`http://127.0.0.1:${(broken.address() as net.AddressInfo).port}`, name("watch"));
  const state = new State(url, name("watch"));
  await state.putJson("before", null, 0);
  const ending = new AbortController();
  const seen: Change[] = [];
  let wake = () => {};
  const watching = (async () => {
    for await (const change of through.watch({ signal: ending.signal, from: "0" })) {
      seen.push(change);
      wake();
    }
  })();
  const until = async (count: number) => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  await until(1);
  for (let round = 0; round < 5; round += 1) {
    for (const socket of open) socket.destroy();
    for (let number = 0; number < 10; number += 1) await state.putJson(`k${round}-${number}`, null, number);
    await until(1 + (round + 1) * 10);
  }
  ending.abort();
  await watching;
  for (const socket of open) socket.destroy();
  broken.close();
  const wanted = ["before", ...Array.from({ length: 50 }, (_, at) => `k${Math.floor(at / 10)}-${at % 10}`)];
  assert.deepEqual(seen.map((change) => change.revision.key), wanted);
  assert.equal(new Set(seen.map((change) => change.cursor)).size, 51);
});

test("a watch goes on after a place that came without a change", async () => {
  const asked: (string | null)[] = [];
  const ending = new AbortController();
  // A gateway that says where it is, and breaks off.
  const gateway = http.createServer((request, answer) => {
    asked.push(new URL(request.url ?? "", "http://gateway").searchParams.get("from"));
    answer.writeHead(200, { "content-type": "text/event-stream" });
    answer.end(`event: ready\nid: ${asked.length}\ndata: {}\n\n: still here\nid: ${asked.length * 10}\n\n`);
    if (asked.length === 3) ending.abort();
  });
  await new Promise<void>((ready) => gateway.listen(0, "127.0.0.1", ready));
  const state = new State(`http://127.0.0.1:${(gateway.address() as net.AddressInfo).port}`, "quiet");
  for await (const change of state.watch({ signal: ending.signal })) assert.fail(change.cursor);
  gateway.close();
  assert.deepEqual(asked, [null, "10", "20"]);
});
