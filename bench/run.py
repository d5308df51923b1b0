"""Measures Tradewind against the upstream called directly, nginx, Envoy, TensorZero, LiteLLM and mihomo, in one run.

All share one machine.

Rounds alternate between the parties, so that what drifts on the machine hits all alike; every figure is the median over
the rounds, and every ratio is taken within a round. Writes bench/RESULTS.md, and the raw numbers to bench/out.

`run.py` takes about twenty minutes; `--short` three, and writes only to bench/out. `make bench` builds what is
needed.
"""

import argparse
import contextlib
import datetime
import functools
import pathlib
import resource
import sys
import tempfile
import time

import footprint
import loads
import modules
import parties
import report
import rivals
import state
import tradewind
import tunnels
from loads import Scenario

SCENARIOS = [
    Scenario("1 caller, plain", callers=1),
    Scenario("16 callers, plain"),
    Scenario("1 caller, streams", stream=True, callers=1),
    Scenario("16 callers, streams", stream=True),
]
# Who is called with an open loop.
OPEN = ("direct", "Envoy", "TensorZero", "LiteLLM", "Tradewind, keys")


class Measured:
    """One run: what it is made of, short or not."""

    def __init__(self, folder, short, rounds):
        self.folder, self.short = folder, short
        self.rounds = rounds or (2 if short else 9)
        self.seconds = 0.4 if short else 1.0
        self.found = {"machine": parties.machine(), "rounds": self.rounds, "lasting": f"{self.seconds} s"}
        self.found["at"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

    def stopped(self, stack, party):
        """Told, not killed, when the block ends: nginx's and LiteLLM's workers would outlive their master."""
        stack.callback(party.program.stop)
        return party

    def gateways(self, upstream):
        """All parties in the plain scenarios and the open loops."""
        with contextlib.ExitStack() as stack:
            collector, collects = tradewind.start_collector(self.folder)
            stack.callback(collector.kill)
            running = [parties.Party("direct", upstream, upstream)]
            for start in (rivals.start_nginx, rivals.start_envoy, rivals.start_tensorzero):
                running.append(self.stopped(stack, start(self.folder, upstream)))
            running.append(self.stopped(stack, self.litellm(upstream)))
            running.append(self.stopped(stack, tradewind.start(self.folder, upstream)))
            running.append(self.stopped(stack, tradewind.start_keyed(self.folder, upstream)))
            running.append(self.stopped(stack, tradewind.start_full(self.folder, upstream, collector, collects)))
            self.measure_gateways({party.name: party for party in running})

    def litellm(self, upstream):
        """With the server and the workers that are fastest here; the short run takes the last of them untried."""
        servers = rivals.LITELLM_SERVERS[-1:] if self.short else rivals.LITELLM_SERVERS
        starts = [functools.partial(rivals.start_litellm, self.folder, upstream, server) for server in servers]
        party, self.found["litellm"] = loads.fastest(starts, 1.0 if self.short else 3.0)
        return party

    def measure_gateways(self, by_name):
        found, running = self.found, list(by_name.values())
        programs = [party for party in running if party.program]
        found["versions"] = {party.name: party.version for party in running if party.version}
        time.sleep(1)
        found["idle"] = {party.name: parties.sum_memory(party) for party in programs}
        scenarios = [(scenario, running) for scenario in SCENARIOS]
        # Warms everything up: connections, caches, breakers. Thrown away.
        loads.rounds_of(scenarios, 1, self.seconds / 2)
        found["load"] = loads.rounds_of(scenarios, self.rounds, self.seconds)
        most = loads.most_per_second(found["load"]["16 callers, plain"])
        opened = [by_name[name] for name in OPEN]
        found["open"] = loads.open_loops(opened, most, 1 if self.short else 3, self.seconds * 2)
        found["most"] = most
        times, seconds = (1, 1) if self.short else (3, 2)
        # LiteLLM is slow enough for no generator to be in doubt.
        found["wrk"] = {
            party.name: [loads.wrk(party, self.folder, seconds) for _ in range(times)]
            for party in running
            if party.name != "LiteLLM"
        }
        found["after_load"] = {party.name: parties.sum_memory(party) for party in programs}
        keyed, full = by_name["Tradewind, keys"], by_name["Tradewind, all on"]
        found["journal"] = footprint.journal(keyed)
        found["lost"] = footprint.counters(full, "dropped", "exported")

    def translation(self, upstream):
        """Each dialect at its own upstream and at the other's, and the upstream called directly."""
        with contextlib.ExitStack() as stack:
            direct = parties.Party("direct", upstream, upstream)
            to = {}
            for dialect in ("openai", "anthropic"):
                document = tradewind.config(upstream, dialect)
                party = tradewind.start(self.folder, upstream, document, f"to-{dialect}")
                to[dialect] = self.stopped(stack, party)
                to[dialect].name = f"to {dialect}"
            running = [direct, *to.values()]
            scenarios = [
                (Scenario(f"{dialect} client, {scenario.name}", scenario.stream, scenario.callers, None, dialect), running)
                for dialect in to
                for scenario in SCENARIOS
            ]
            loads.rounds_of(scenarios, 1, self.seconds / 2)
            self.found["translation"] = loads.rounds_of(scenarios, max(1, self.rounds // 2), self.seconds * 0.8)

    def footprint(self, upstream):
        found, short = self.found, self.short
        found["held"] = footprint.held_streams(self.folder, [1000] if short else [1000, 4000])
        found["start"] = {
            str(targets): footprint.start_to_ready(self.folder, upstream, targets, 2 if short else 7)
            for targets in (1, 1000)
        }
        found["reload"] = footprint.reload_under_load(self.folder, upstream, 2 if short else 6)

    def relay(self, _):
        """The relay beside mihomo."""
        self.found["relay"] = tunnels.run(self.folder, self.rounds, self.seconds, self.short)

    def modules(self, _):
        """The modules door beside nginx and file://."""
        self.found["modules"] = modules.run(self.folder, self.rounds, self.seconds, self.short)

    def state(self, _):
        """Reads of state beside nginx, and engines of state beside what they are made of."""
        self.found["state"] = state.run(self.folder, self.rounds, self.seconds, self.short)

    def failed(self):
        """Calls that failed in the closed loops."""
        all_rounds = [
            one
            for part in ("load", "translation")
            for by_party in self.found.get(part, {}).values()
            for rounds in by_party.values()
            for one in rounds
        ]
        tunnels = [
            one
            for by_way in self.found.get("relay", {}).get("loads", {}).values()
            for by_party in by_way.values()
            for rounds in by_party.values()
            for one in rounds
        ]
        return sum(one.get("failed", 0) for one in [*all_rounds, *tunnels])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two minutes, to see that all of it works; no RESULTS.md")
    parser.add_argument("--rounds", type=int, help="rounds of each party in each scenario (default 9)")
    parts = ("gateways", "translation", "footprint", "relay", "modules", "state")
    parser.add_argument("--only", choices=parts, help="a part of it: prints what it found, no RESULTS.md")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryDirectory(prefix="tradewind-bench-") as scratch:
        folder = pathlib.Path(scratch)
        run = Measured(folder, arguments.short, arguments.rounds)
        sim, upstream = parties.start_upstream(folder, "--bench")
        try:
            for part in [arguments.only] if arguments.only else parts:
                began = time.monotonic()
                getattr(run, part)(upstream)
                print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        finally:
            sim.kill()

    out = pathlib.Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    parties.dump(out / "last.json", run.found)
    text = report.render(run.found)
    if arguments.short or arguments.only:
        print(text)
    else:
        (pathlib.Path(__file__).parent / "RESULTS.md").write_text(text)
        print("written to bench/RESULTS.md", file=sys.stderr)
    return 1 if run.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
