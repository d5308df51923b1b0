"""Every client to every provider: the official packages, unmodified, on each cell of client dialect × upstream wire ×
feature × {whole, streamed}. Checked are what the client got and what the upstream received.

The upstream is the simulated provider in its strict mode: it refuses what the real ones refuse. Cells that need no
translation also run without a gateway between, which shows that the table itself is right.
"""

import json
import urllib.parse

import pytest

import rig
from matrix import clients
from matrix.case import cells
from matrix.cases import CASES

CELLS = cells(CASES)


def dropped(headers):
    """The hints that were left out."""
    return sorted(name.strip() for name in headers.get("x-tradewind-dropped", "").split(",") if name.strip())


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    """A strict simulated provider, for all cells."""
    program, address = rig.start_sim(tmp_path_factory.mktemp("matrix-sim"), "--strict")
    yield address
    program.kill()


@pytest.fixture(scope="module")
def gateway(sim, tmp_path_factory):
    """A gateway with a model of its own for each cell."""
    config = {
        "providers": [
            rig.provider("openai", "openai", sim, discover=False),
            rig.provider("anthropic", "anthropic", sim, discover=False),
        ],
        "models": [rig.model(cell.name, f"{cell.wire}/{cell.name}") for cell in CELLS if cell.via == "gateway"],
    }
    gateway = rig.Gateway(tmp_path_factory.mktemp("matrix-gateway"), config)
    yield gateway
    gateway.kill()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(cell, sim, request):
    rig.script(sim, cell.name, cell.case.answer)
    url = f"http://{sim}" if cell.via == "sim" else request.getfixturevalue("gateway").url
    got, headers = clients.call(cell, url, cell.name)

    expected = cell.case.result(cell.client, cell.wire, cell.mode)
    if (cell.client, cell.mode) == ("openai", "helper"):
        # The package's helper forgets fields of a choice that it does not know.
        expected = {name: value for name, value in expected.items() if name != "stop_reason"}
    assert got == expected

    (received,) = rig.received(sim, cell.name)
    assert received["path"] == ("/v1/chat/completions" if cell.wire == "openai" else "/v1/messages")
    body = clients.canonical(json.loads(received["body"]))
    assert body == clients.canonical(
        json.loads(json.dumps({"model": cell.name} | cell.case.received(cell.client, cell.wire, cell.mode)))
    )
    if cell.via == "gateway":
        assert dropped(headers) == (sorted(cell.case.dropped.get(cell.client, [])) if cell.crosses else [])


def test_the_table_has_every_feature_for_both_clients():
    features = {
        *("text", "one-tool", "parallel-tools", "tool-results", "tool-errors", "choice-tool", "images", "json-output"),
        *("stop", "length", "refusal", "thinking", "cached-usage", "unicode"),
    }
    for client in ("openai", "anthropic"):
        for wire in ("openai", "anthropic"):
            made = {cell.case.name for cell in CELLS if (cell.client, cell.wire) == (client, wire)}
            assert features <= made, (client, wire, features - made)
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert all(urllib.parse.quote(cell.name) == cell.name for cell in CELLS)
