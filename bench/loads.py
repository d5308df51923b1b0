"""Puts load on parties, in rounds that alternate between them: closed loop, open loop, and by wrk.

Only measuring; what follows from the numbers stands in report.py and budgets.py.
"""

import json
import math
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

from parties import rig

# Shares of what a party answers in a closed loop at most, at which it is then measured in an open loop.
SHARES = (0.5, 0.8)
# Fixed rates, in calls a second. A party that would need more than SUSTAINED of its own most for one is not asked to.
RATES = (1_000, 5_000, 10_000)
SUSTAINED = 0.9


@dataclass(frozen=True)
class Scenario:
    """What is asked for: by how many callers in a closed loop, or at which rate, in calls a second."""

    name: str
    stream: bool = False
    callers: int = 16
    rate: float | None = None
    dialect: str = "openai"


def load(party, scenario, seconds, warm_up=0.0):
    """One load by the generator; its report."""
    command = [
        *(rig.binary("tradewind-sim"), "load", "--target", party.address(scenario.stream), "--json"),
        *("--path", party.path(scenario.dialect), "--dialect", scenario.dialect, "--model", party.model),
        *("--lasting", f"{round(seconds * 1000)}ms", "--warm-up", f"{round(warm_up * 1000)}ms"),
        *(["--stream"] if scenario.stream else []),
        *(["--rate", scenario.rate] if scenario.rate else ["--callers", scenario.callers]),
        *(part for name, value in party.headers.items() for part in ("--header", f"{name}: {value}")),
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"the load generator failed: {done.stderr}")
    return json.loads(done.stdout)


def measure(party, scenario, seconds, warm_up=0.0):
    """One round of a party, with the processor time that it took for each call."""
    before = party.cpu_seconds()
    with party.scraped():
        measured = load(party, scenario, seconds * party.share, warm_up)
    cpu = party.cpu_seconds() - before
    calls = measured["ok"] + measured["failed"]
    measured["cpu_us_per_call"] = cpu / max(calls, 1) * 1e6
    if measured["failed"]:
        print(f"  {party.name}: {measured['failed']} failed: {measured['failures']}", file=sys.stderr)
    party.settle()
    party.forget_log()
    return measured


def by_turns(running, number):
    """The parties in the order of this round: another one in each, so that nobody always follows the same neighbour."""
    return random.Random(number).sample(running, len(running))


def rounds_of(scenarios, rounds, seconds):
    """All rounds of all scenarios, each a pair of a scenario and its parties; for each the rounds of each party.

    There is no warm-up inside a round: what runs before all of them is thrown away.
    """
    results = {scenario.name: {party.name: [] for party in running} for scenario, running in scenarios}
    for number in range(rounds):
        for scenario, running in scenarios:
            for party in by_turns(running, number):
                results[scenario.name][party.name].append(measure(party, scenario, seconds))
            print(f"  round {number + 1} of {rounds}: {scenario.name}", file=sys.stderr)
    return results


def open_loops(running, most, rounds, seconds):
    """Each party at fixed rates, and at shares of what it answered at most: {party: calls a second} in `most`.

    Returns for each rate and share the rate and the rounds of each party; none for one that cannot keep the rate.
    """
    asked = [(f"{rate:,} calls/s", lambda _, rate=rate: rate) for rate in RATES]
    asked += [(f"{share:.0%} of its most", lambda name, share=share: share * most[name]) for share in SHARES]
    results = {}
    for title, rate_for in asked:
        results[title] = {}
        for party in running:
            rate = rate_for(party.name)
            results[title][party.name] = {"rate": rate, "rounds": []}
    for number in range(rounds):
        for title, by_party in results.items():
            for party in by_turns(running, number):
                one = by_party[party.name]
                if one["rate"] > SUSTAINED * most[party.name]:
                    continue
                scenario = Scenario(title, rate=one["rate"])
                one["rounds"].append(measure(party, scenario, seconds, warm_up=0.2))
            print(f"  open loop, round {number + 1} of {rounds}: {title}", file=sys.stderr)
    return results


def most_per_second(by_party):
    """The median over the rounds of a closed loop."""
    return {name: median(one["per_second"] for one in rounds) for name, rounds in by_party.items()}


def fastest(candidates, seconds):
    """Starts each candidate, measures it with sixteen callers, and keeps the one that answers most. Stops the others.

    Returns it, and what each answered.
    """
    best, most, tried = None, -math.inf, {}
    for start in candidates:
        party = start()
        measured = load(party, Scenario("tried"), seconds, warm_up=1.0)
        tried[party.version] = measured["per_second"]
        if measured["per_second"] > most and not measured["failed"]:
            best, most, party = party, measured["per_second"], best
        if party:
            party.program.stop()
    if not best:
        sys.exit(f"none of {list(tried)} answered without failures")
    return best, tried


def wrk(party, folder, seconds):
    """Calls a second by wrk with 16 connections: a second opinion by somebody else's generator."""
    messages = [{"role": "user", "content": "hello"}]
    body = json.dumps({"model": party.model, "messages": messages, "max_tokens": 1024})
    script = folder / f"post-{os.getpid()}.lua"
    headers = {"content-type": "application/json"} | party.headers
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    script.write_text("\n".join(["wrk.method = 'POST'", f"wrk.body = {json.dumps(body)}", *lines]) + "\n")
    url = f"http://{party.plain}{party.path()}"
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(script), url]
    with party.scraped():
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"wrk saw errors at {url}:\n{done.stdout}")
    party.settle()
    party.forget_log()
    return float(next(line.split()[1] for line in done.stdout.splitlines() if "Requests/sec" in line))
