"""The sampler of the network, in a network namespace whose other end of the cable is in another: what moves, moves a group.

A namespace needs root; it is made by `ip netns`, by sudo when we are not root.
"""

import json
import os
import subprocess
import sys
import time

import pytest

import counterparts
import rig

# From the last of a change to the switch of the group; a look is taken two seconds after a change.
BOUND = 15.0
# What has not moved the group by then does not move it.
SETTLED = 4.0
SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]
OFFICE, HOME = ("10.77.1.5/24", "10.77.1.1"), ("192.168.177.5/24", "192.168.177.1")


def ip(*arguments, lines=()):
    """Runs `ip`; with `-batch -` it is told `lines`, one command each."""
    done = subprocess.run(
        [*SUDO, counterparts.tool("ip"), *arguments], input="\n".join(lines), capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


class Machine:
    """A namespace with the interface `lan0`, at whose other end another namespace answers as the gateway of both networks."""

    def __init__(self):
        self.here, self.there = f"tradewind-{os.getpid()}-a", f"tradewind-{os.getpid()}-b"
        for name in (self.here, self.there):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "lan0", "netns", self.here, "type", "veth", "peer", "name", "lan0", "netns", self.there)
        for address, gateway in (OFFICE, HOME):
            ip("-n", self.there, "address", "add", f"{gateway}/24", "dev", "lan0")
        ip("-n", self.there, "link", "set", "lan0", "up")

    def ip(self, *arguments, **more):
        return ip("-n", self.here, *arguments, **more)

    def inside(self, *command):
        return [*SUDO, counterparts.tool("ip"), "netns", "exec", self.here, *command]

    def connect(self, network):
        """Moves the machine to a network; returns when that was done."""
        address, gateway = network
        # In one go: nobody shall look while it is half done, however busy the machine is.
        steps = [
            "link set lan0 down",
            "address flush dev lan0",
            "link set lan0 up",
            f"address add {address} dev lan0",
            f"route add default via {gateway} dev lan0",
        ]
        self.ip("-batch", "-", lines=steps)
        return time.monotonic()

    def disconnect(self):
        self.ip("link", "set", "lan0", "down")
        return time.monotonic()

    def remove(self):
        for name in (self.here, self.there):
            subprocess.run([*SUDO, counterparts.tool("ip"), "netns", "delete", name], capture_output=True)


class Moving:
    """A gateway on the machine, and who talks to it there."""

    def __init__(self, machine, folder, config):
        self.machine, self.folder = machine, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "tradewind.yaml"
        self.file.write_text(json.dumps({"listen": "127.0.0.1:7080", "data-dir": str(folder / "data")} | config))
        # In a namespace no port is taken.
        command = machine.inside(rig.binary("tradewind"), "run", "-f", self.file)
        self.program = rig.Program(command, folder / "gateway.log", {"HOME": str(folder), "NO_COLOR": "1"})
        self.program.wait_for_line(r"listening on http://127\.0\.0\.1:7080")

    def call(self, method, path, body=None):
        """Status and JSON of the answer of the control API."""
        data = [] if body is None else ["-d", json.dumps(body)]
        done = subprocess.run(
            self.machine.inside("curl", "-q", "-sS", "--noproxy", "*", "-m", "10", "-X", method, *data, "-w", "\n%{http_code}",
                                f"http://127.0.0.1:7080/api/v1{path}"),
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert done.returncode == 0, (done, self.program.output())
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text) if text.startswith(("{", "[")) else text

    def now(self):
        _, listed = self.call("GET", "/proxies")
        return next(group["now"] for group in listed["groups"] if group["name"] == "way")

    def context(self):
        return self.call("GET", "/network/context")[1]

    def source(self):
        return next(row["selection_source"] for row in self.context()["groups"] if row["group"] == "way")

    def becomes(self, member, since, bound=BOUND):
        """Waits until this member is selected; not longer than the bound after `since`."""
        while (now := self.now()) != member:
            passed = time.monotonic() - since
            assert passed < bound, f"{now} after {passed:.1f} s: {self.context()}\n{self.program.output()}"
            time.sleep(0.05)
        return time.monotonic() - since

    def stays(self, member, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.now() == member, self.context()
            time.sleep(0.2)

    def page(self, host="127.0.0.1:1"):
        """The status of a request through the relay."""
        done = subprocess.run(
            self.machine.inside("curl", "-q", "-sS", "--noproxy", "", "-x", "http://127.0.0.1:7890", "-o", "/dev/null",
                                "-w", "%{http_code}", "-m", "10", f"http://{host}/"),
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return int(done.stdout)


CONFIG = {
    "mixed-port": 7890,
    "proxies": [{"name": "corp", "type": "http", "server": OFFICE[1], "port": 3128}],
    "proxy-groups": [
        {
            "name": "way",
            "type": "select",
            "proxies": ["DIRECT", "corp", "REJECT"],
            "network-policy": {"office": "corp", "home": "DIRECT", "default": "REJECT"},
        }
    ],
    "networks": [
        {"name": "office", "match": {"gateway-ip": OFFICE[1], "iface-type": "ethernet"}},
        {"name": "home", "match": {"subnets": "192.168.177.0/24"}},
    ],
    "rules": ["MATCH,way"],
}


@pytest.fixture
def machine():
    machine = Machine()
    yield machine
    machine.remove()


@pytest.fixture
def moving(machine, tmp_path):
    started = []

    def start(**more):
        started.append(Moving(machine, tmp_path / "gateway", CONFIG | more))
        return started[-1]

    yield start
    for gateway in started:
        gateway.program.kill()


def test_the_group_follows_the_cable(machine, moving):
    since = machine.connect(OFFICE)
    gateway = moving()
    gateway.becomes("corp", since)
    assert gateway.context()["matched_network"] == "office"
    took = [
        gateway.becomes("DIRECT", machine.connect(HOME)),
        gateway.becomes("corp", machine.connect(OFFICE)),
        gateway.becomes("REJECT", machine.disconnect()),
    ]
    assert gateway.page() == 403
    took.append(gateway.becomes("DIRECT", machine.connect(HOME)))
    assert gateway.page() == 502, "nobody listens there, and nobody refuses"
    # A route alone, and an address alone.
    machine.ip("route", "delete", "default")
    machine.ip("address", "add", OFFICE[0], "dev", "lan0")
    machine.ip("route", "add", "default", "via", OFFICE[1], "dev", "lan0")
    took.append(gateway.becomes("corp", time.monotonic()))
    machine.ip("route", "delete", "default")
    took.append(gateway.becomes("DIRECT", time.monotonic()))
    print(f"seconds to switch: {', '.join(f'{each:.1f}' for each in took)}")
    status, why = gateway.call("GET", "/network/explain")
    assert status == 200 and "home" in json.dumps(why) and "lan0" in json.dumps(why), why


def test_a_hand_made_choice_stays_until_the_network_changes(machine, moving):
    since = machine.connect(OFFICE)
    gateway = moving()
    gateway.becomes("corp", since)
    assert gateway.source() == "auto"
    assert gateway.call("PUT", "/proxies/way/selected", {"selected": "DIRECT"})[0] == 200
    assert gateway.source() == "manual" and gateway.now() == "DIRECT"
    # The same network, in another dress: another address in it, and gone for a moment that nobody samples.
    machine.ip("address", "add", "10.77.1.9/24", "dev", "lan0")
    gateway.stays("DIRECT", SETTLED)
    machine.connect(("10.77.1.8/24", OFFICE[1]))
    gateway.stays("DIRECT", SETTLED)
    assert gateway.source() == "manual" and gateway.context()["matched_network"] == "office"
    # Really another one; and back.
    gateway.becomes("REJECT", machine.disconnect())
    assert gateway.source() == "auto"
    gateway.becomes("corp", machine.connect(OFFICE))


def test_what_a_host_says_wins_until_it_ends(machine, moving):
    since = machine.connect(OFFICE)
    gateway = moving()
    gateway.becomes("corp", since)
    home = {"version": 1, "interfaces": [{"name": "wlan0", "subnets": ["192.168.177.0/24"]}]}
    status, answer = gateway.call("PUT", "/network/context", home)
    assert status == 200 and answer["matched_network"] == "home", answer
    assert answer["applied"][0]["applied_proxy"] == "DIRECT" and gateway.now() == "DIRECT"
    # The sampler sees a change and keeps it to itself.
    machine.disconnect()
    gateway.stays("DIRECT", SETTLED)
    machine.connect(OFFICE)
    gateway.stays("DIRECT", SETTLED)
    status, _ = gateway.call("DELETE", "/network/context")
    assert status in (200, 204)
    gateway.becomes("corp", time.monotonic())
    # The same with an end: after it the sampler speaks again.
    status, answer = gateway.call("PUT", "/network/context", home | {"ttl": 6})
    assert status == 200 and answer["expires_at"], answer
    assert gateway.now() == "DIRECT"
    gateway.becomes("corp", time.monotonic() + 6)


def test_what_was_decided_outlives_the_process(machine, moving):
    since = machine.connect(OFFICE)
    gateway = moving(profile={"store-selected": True})
    gateway.becomes("corp", since)
    assert gateway.call("PUT", "/proxies/way/selected", {"selected": "DIRECT"})[0] == 200
    gateway.program.stop()
    again = moving(profile={"store-selected": True})
    again.stays("DIRECT", SETTLED)
    assert again.source() == "manual"
    again.becomes("REJECT", machine.disconnect())


def test_the_network_says_which_script(machine, moving, tmp_path):
    """WPAD: the script of whoever is called `wpad` here, and another one after the network has changed."""
    machine.connect(OFFICE)
    pages = tmp_path / "pages"
    pages.mkdir()

    def says(way):
        (pages / "wpad.dat").write_text(f'function FindProxyForURL(url, host) {{ return "{way}"; }}')

    says("PROXY 10.77.1.1:3128")
    server = [sys.executable, "-u", "-m", "http.server", "80", "--bind", "127.0.0.1", "--directory", pages]
    # In a namespace no port is taken.
    program = rig.Program(machine.inside(*server), tmp_path / "wpad.log", dict(os.environ))
    try:
        program.wait_for_line("Serving HTTP")
        auto = {"name": "auto", "type": "pac", "url": "wpad"}
        gateway = moving(proxies=[*CONFIG["proxies"], auto], hosts={"wpad": "127.0.0.1"}, rules=["MATCH,auto"])

        def way():
            return gateway.call("GET", "/way-out?url=https%3A%2F%2Ffar.test%2F")[1]

        assert "10.77.1.1:3128" in way()["proxy"] and "WPAD" in way()["why"], way()
        says("PROXY 192.168.177.1:8080")
        assert "10.77.1.1:3128" in way()["proxy"], "a script is not fetched for each call"
        machine.connect(HOME)
        rig.until(lambda: "192.168.177.1:8080" in way()["proxy"], way)
    finally:
        program.kill()
