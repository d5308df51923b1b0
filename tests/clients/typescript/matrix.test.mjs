// The matrix with the official packages for TypeScript. The table is that of matrix/*.py; test_typescript.py starts what is
// called and hands the cells over in the file that TRADEWIND_CELLS names.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { call } from "./calls.mjs";
import { canonical } from "./seen.mjs";

const { sim, gateway, cells } = JSON.parse(readFileSync(process.env.TRADEWIND_CELLS, "utf8"));

for (const cell of cells) {
  test(cell.name, async () => {
    const { got, headers } = await call(cell, cell.via === "sim" ? sim : gateway);
    const expected = { ...cell.result };
    // The package's helpers forget fields that they do not know.
    if (cell.mode === "helper") for (const name of cell.forgotten) delete expected[name], delete got[name];
    assert.deepEqual(got, expected);

    const seen = await (await fetch(`${sim}/sim/requests?model=${encodeURIComponent(cell.name)}`)).json();
    assert.deepEqual(seen.map((request) => request.path), [cell.path]);
    const expectedBody = { model: cell.name, ...cell.received };
    assert.deepEqual(canonical(JSON.parse(seen[0].body)), canonical(expectedBody));
    if (headers && cell.via === "gateway") {
      const dropped = (headers.get("x-tradewind-dropped") ?? "").split(",").map((name) => name.trim());
      assert.deepEqual(dropped.filter(Boolean).sort(), cell.dropped);
    }
  });
}
