"""Measures the relay beside mihomo and no proxy at all: opening tunnels, bytes through them, a byte there and back, and
many tunnels that say nothing.

Both proxies are given the same document, and are asked by CONNECT and by SOCKS5. Only measuring; what follows from the
numbers stands in tunnels_report.py.
"""

import contextlib
import json
import resource
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import loads
import parties
from parties import Party, rig, version

WAYS = ("connect", "socks5")
# A name that both find in `hosts`: with it the rules about names are asked as well, and those about addresses need an answer.
NAME = "far.bench.test"
RULES = 10_000
TUNNELS = 10_000
# Descriptors that a proxy has open for each tunnel, and besides. mihomo moves bytes by splice(2): for each direction it keeps
# a pipe, which are two descriptors, also while it waits, and it has some pipes in reserve.
DESCRIPTORS, SPARE_DESCRIPTORS = {"mihomo": 7, "Tradewind": 2}, 200
# When memory is read after the last tunnel was opened, and again for a collector of garbage to have had its chance. Seconds.
SETTLED, MUCH_LATER = 3.0, 20.0


@dataclass(frozen=True)
class Load:
    """What is put on a proxy: the arguments of the generator, and whether the proxy is asked for a name."""

    name: str
    arguments: tuple
    named: bool = False


def all_loads(seconds, mib):
    lasting = f"{round(seconds * 1000)}ms"
    return [
        Load("tunnels opened", ("open", "--callers", 16, "--lasting", lasting)),
        Load("one caller", ("open", "--callers", 1, "--lasting", lasting)),
        Load("down", ("flow", "--tunnels", 4, "--mib", mib)),
        Load("up", ("flow", "--tunnels", 4, "--mib", mib, "--up")),
        Load("round trip", ("ping", "--lasting", lasting)),
    ]


def rules_loads(seconds):
    lasting = f"{round(seconds * 1000)}ms"
    return [Load("tunnels opened, 10,000 rules", ("open", "--callers", 16, "--lasting", lasting), named=True)]


def document(rules):
    """What both are given: so many rules that do not match, half of them about names and half about networks."""
    lines = [f"DOMAIN-SUFFIX,s{number}.example.test,DIRECT" for number in range(rules // 2)]
    lines += [f"IP-CIDR,10.{number // 250}.{number % 250}.0/24,DIRECT" for number in range(rules - len(lines))]
    return {
        "mode": "rule",
        "log-level": "warning",
        "ipv6": False,
        "hosts": {NAME: "127.0.0.1"},
        "rules": [*lines, "MATCH,DIRECT"],
    }


def start_mihomo(folder, rules=0):
    folder = folder / f"mihomo-{rules}-{time.monotonic_ns()}"
    folder.mkdir()
    port = rig.free_port()
    (folder / "config.yaml").write_text(json.dumps(document(rules) | {"mixed-port": port}))
    binary = rig.PEERS / "mihomo/mihomo"
    program = rig.Program([binary, "-d", folder], folder / "log")
    return relaying("mihomo", program, port, version([binary, "-v"]))


def start_tradewind(folder, rules=0):
    port = rig.free_port()
    gateway = rig.Gateway(folder / f"relay-{rules}-{time.monotonic_ns()}", document(rules) | {"mixed-port": port})
    return relaying("Tradewind", gateway, port, "")


def relaying(name, program, port, said):
    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True

    program.wait_until(listens, f"listening on {port}")
    return Party(name, f"127.0.0.1:{port}", f"127.0.0.1:{port}", program, said)


def generator(far, party, by, load):
    """The command of one load."""
    # mihomo takes a caller with the address and port of one of its own ways out for itself, and closes the connection; so
    # callers have an address of their own.
    whole = [rig.binary("tradewind-sim"), "tunnels", "--far", far, "--by", by, "--from", "127.0.0.2"]
    if by != "direct":
        whole += ["--proxy", party.plain, *(["--name", NAME] if load.named else [])]
    return [str(part) for part in (*whole, *load.arguments)]


def measure(far, party, by, load):
    """One round, with the processor time of the proxy: for each tunnel opened, or each GiB."""
    before = party.cpu_seconds()
    done = subprocess.run(generator(far, party, by, load), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"{party.name}, {by}, {load.name}: {done.stderr}")
    measured = json.loads(done.stdout)
    cpu = party.cpu_seconds() - before
    if "per_second" in measured:
        measured["cpu_us"] = cpu / max(measured["ok"], 1) * 1e6
    if "bytes" in measured:
        measured["cpu_ms_per_gib"] = cpu / (measured["bytes"] / 2**30) * 1e3
    if measured.get("failed"):
        print(f"  {party.name}, {by}: {measured['failed']} failed: {measured['failures']}", file=sys.stderr)
    party.settle()
    return measured


def rounds_of(far, running, asked, rounds):
    """{load: {way: {party: rounds}}}; what is called directly is the same in each way."""
    found = {load.name: {by: {} for by in WAYS} for load in asked}
    for number in range(rounds):
        for load in asked:
            direct = None
            for by in WAYS:
                for party in loads.by_turns(running, number):
                    if party.program:
                        one = measure(far, party, by, load)
                    else:
                        one = direct = direct or measure(far, party, "direct", load)
                    found[load.name][by].setdefault(party.name, []).append(one)
        print(f"  relay: round {number + 1} of {rounds}", file=sys.stderr)
    return found


def pss_kib(pid):
    """Resident memory, what is shared with others counted by its share; proc_pid_smaps(5)."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def memory(party):
    return parties.memory(party.program.pid) | {"pss_kib": pss_kib(party.program.pid)}


def tunnels_that_fit(names):
    """10,000, or as many as all of these may have descriptors for."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS
    return min(TUNNELS, limit // max(DESCRIPTORS[name] for name in names))


def hold(folder, far, start, tunnels, later):
    """A fresh proxy without and with idle tunnels; read again after a while when `later`."""
    party = start(folder)
    time.sleep(1)
    found = {"tunnels": tunnels, "idle": memory(party)}
    load = Load("hold", ("hold", "--tunnels", tunnels))
    program = rig.Program(generator(far, party, "connect", load), folder / f"hold-{party.name}.log")
    try:
        program.wait_for_line(r"^holding \d+$", 120)
        time.sleep(SETTLED)
        found["held"] = memory(party)
        if later:
            time.sleep(MUCH_LATER - SETTLED)
            found["later"] = memory(party)
    finally:
        program.kill()
        party.program.stop()
    return found


def held(folder, far, short):
    """Both with as many as both can hold, and Tradewind with as many as it can hold alone."""
    starts = {"mihomo": start_mihomo, "Tradewind": start_tradewind}
    both = 1000 if short else tunnels_that_fit(starts)
    found = {name: [hold(folder, far, start, both, not short)] for name, start in starts.items()}
    most = tunnels_that_fit(["Tradewind"])
    if most > both and not short:
        found["Tradewind"].append(hold(folder, far, start_tradewind, most, later=False))
    return found


@contextlib.contextmanager
def far_end(folder):
    program = rig.Program([rig.binary("tradewind-sim"), "far-end"], folder / "far-end.log")
    try:
        yield program.wait_for_line(r"listening on (127\.0\.0\.1:\d+)").group(1)
    finally:
        program.kill()


def loaded(folder, far, rules, asked, rounds):
    """All loads on fresh proxies with so many rules; their versions, and their memory at the end."""
    with contextlib.ExitStack() as stack:
        running = [Party("direct", far, far)]
        for start in (start_mihomo, start_tradewind):
            running.append(start(folder, rules))
            stack.callback(running[-1].program.stop)
        # Warms everything up, and is thrown away.
        rounds_of(far, running, asked[:1], 1)
        found = rounds_of(far, running, asked, rounds)
        proxies = [party for party in running if party.program]
        return found, {party.name: party.version for party in proxies}, {party.name: memory(party) for party in proxies}


def run(folder, rounds, seconds, short):
    """All of it."""
    found = {"rounds": rounds, "tunnels": TUNNELS, "memory": {}}
    found["descriptors"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with far_end(folder) as far:
        found["loads"], found["versions"], found["memory"]["no rules"] = loaded(
            folder, far, 0, all_loads(seconds, 64 if short else 1024), rounds
        )
        by_rules, _, found["memory"]["10,000 rules"] = loaded(folder, far, RULES, rules_loads(seconds), rounds)
        found["loads"] |= by_rules
        found["held"] = held(folder, far, short)
    return found
