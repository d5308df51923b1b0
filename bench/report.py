"""Turns the raw numbers of run.py into the page bench/RESULTS.md. No measuring here."""

from statistics import median

BUDGETS = "The budgets are those the project set itself; a missed one stays in the table until it is met."


def render(found):
    """The whole page."""
    machine, versions = found["machine"], found["versions"]
    lines = [
        "# Measured",
        "",
        "Written by `make bench`. Ratios and differences count; absolute numbers are those of one small machine that the",
        "load generator, the party measured and the upstream share.",
        "",
        f"- {found['at']}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; load average before: {machine['load_before']:.2f}",
        *[f"- {name}: {version}" for name, version in versions.items()],
        f"- {found['rounds']} rounds of {found['lasting']} for each party in each scenario, by turns; every figure is the",
        "  median over the rounds, and differences and ratios are taken within a round",
        "",
        "## Budgets",
        "",
        *table(["what", "budget", "measured", ""], budgets(found)),
        "",
        BUDGETS,
        "",
        "## Load",
        "",
        "Each party passes OpenAI chat calls on to the same upstream, which answers from memory. Tradewind decides, records",
        "and journals every call. “Added” is against calling the upstream directly; CPU is the party's own.",
        "",
    ]
    for scenario, by_party in found["load"].items():
        lines += [f"### {scenario}", "", *load_table(by_party), ""]
    if found.get("wrk"):
        lines += ["### 16 connections, plain, by wrk", "", *wrk_table(found["wrk"]), ""]
    lines += ["## Memory", "", *memory(found), ""]
    if "start" in found:
        lines += ["## Start and reload", "", *start_and_reload(found), ""]
    return "\n".join(lines)


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


def middle(rounds, path):
    return median(dig(one, path) for one in rounds)


def dig(one, path):
    for key in path.split("."):
        one = one[key]
    return one


def added(by_party, name, path):
    """How much more than calling directly, the median over the rounds."""
    pairs = zip(by_party[name], by_party["direct"], strict=True)
    return median(dig(party, path) - dig(direct, path) for party, direct in pairs)


def ratio(by_party, name, other, path="per_second"):
    pairs = zip(by_party[name], by_party[other], strict=True)
    return median(dig(one, path) / dig(against, path) for one, against in pairs)


def is_stream(by_party):
    return by_party["direct"][0].get("first_event_ms") is not None


def load_table(by_party):
    stream = is_stream(by_party)
    head = ["", "calls/s", "× direct", "× Envoy", "p50 ms", "p99 ms", "added p50", "added p99"]
    head += ["added to first event p50"] if stream else []
    rows = []
    for name, rounds in by_party.items():
        direct = name == "direct"
        row = [
            name,
            f"{middle(rounds, 'per_second'):,.0f}",
            "" if direct else f"{ratio(by_party, name, 'direct'):.2f}",
            "" if name == "Envoy" else f"{ratio(by_party, name, 'Envoy'):.2f}",
            f"{middle(rounds, 'total_ms.p50'):.3f}",
            f"{middle(rounds, 'total_ms.p99'):.3f}",
            "" if direct else f"{added(by_party, name, 'total_ms.p50'):+.3f}",
            "" if direct else f"{added(by_party, name, 'total_ms.p99'):+.3f}",
        ]
        if stream:
            row.append("" if direct else f"{added(by_party, name, 'first_event_ms.p50'):+.3f}")
        row.append("" if direct else f"{middle(rounds, 'cpu_us_per_call'):.1f}")
        row.append(sum(one["failed"] for one in rounds))
        rows.append(row)
    return table([*head, "CPU µs a call", "failed"], rows)


def wrk_table(by_party):
    envoy = by_party["Envoy"]
    rows = [
        [name, f"{median(rounds):,.0f}", f"{median(a / b for a, b in zip(rounds, envoy, strict=True)):.2f}"]
        for name, rounds in by_party.items()
    ]
    return table(["", "calls/s", "× Envoy"], rows)


def mib(kib):
    return f"{kib / 1024:.1f} MiB"


def memory(found):
    rows = [
        [name, mib(idle["rss_kib"]), mib(found["after_load"][name]["rss_kib"])] for name, idle in found["idle"].items()
    ]
    yield from table(["resident, all processes", "idle after start", "after the load"], rows)
    yield ""
    journal = found["journal"]
    yield (
        f"Decisions on record after the load: {journal['records']:,}, in {mib(journal['bytes'] / 1024)}; "
        f"{journal['dropped']:,} dropped."
    )
    if "held" not in found:
        return
    yield ""
    base = found["held"][0]
    rows = [
        [
            f"{one['streams']:,}",
            mib(one["rss_kib"]),
            mib(one["anonymous_kib"]),
            f"{per_stream(base, one):.1f} KiB" if one["streams"] else "",
        ]
        for one in found["held"]
    ]
    yield from table(["idle streams held open", "resident", "of it its own", "own memory a stream"], rows)


def per_stream(base, one):
    return (one["anonymous_kib"] - base["anonymous_kib"]) / one["streams"]


def start_and_reload(found):
    rows = [
        [
            targets,
            f"{median(one['listening_ms'] for one in times):.0f} ms",
            f"{median(one['ready_ms'] for one in times):.0f} ms",
        ]
        for targets, times in found["start"].items()
    ]
    yield from table(["targets", "listening", "ready"], rows)
    yield ""
    reload = found["reload"]
    rows = [
        [
            name,
            f"{one['per_second']:,.0f}",
            f"{one['total_ms']['p50']:.3f}",
            f"{one['total_ms']['p99']:.3f}",
            f"{one['total_ms']['max']:.1f}",
            one["failed"],
        ]
        for name, one in (("no change", reload["quiet"]), ("a change every 100 ms", reload["busy"]))
    ]
    yield from table(["16 callers", "calls/s", "p50 ms", "p99 ms", "max ms", "failed"], rows)
    yield ""
    yield f"{reload['changes']} changes were made to the file, each with SIGHUP; the last one was in force at the end."


def cpu_of_an_event(loads):
    """What a stream of the upstream's 24 tokens costs more than a whole answer, for each of them, in µs."""
    streams, whole = loads["16 callers, streams"]["Tradewind"], loads["16 callers, plain"]["Tradewind"]
    return (middle(streams, "cpu_us_per_call") - middle(whole, "cpu_us_per_call")) / 24


def budgets(found):
    """Each budget with what was measured, and whether it holds."""
    loads = found["load"]
    alone, many = loads["1 caller, plain"], loads["16 callers, plain"]
    streams = loads["1 caller, streams"]
    checks = [
        ("added latency, one caller, p50", "≤ 0.1 ms", added(alone, "Tradewind", "total_ms.p50"), 0.1, "ms", -1),
        ("added latency, one caller, p99", "≤ 0.4 ms", added(alone, "Tradewind", "total_ms.p99"), 0.4, "ms", -1),
        ("calls a second, 16 callers, over Envoy's", "≥ 1.2", ratio(many, "Tradewind", "Envoy"), 1.2, "", 1),
        (
            "added to the first event of a stream, p50",
            "≤ 0.2 ms",
            added(streams, "Tradewind", "first_event_ms.p50"),
            0.2,
            "ms",
            -1,
        ),
        ("CPU for each event of a stream", "≤ 20 µs", cpu_of_an_event(loads), 20, "µs", -1),
        ("resident when idle", "≤ 60 MiB", found["idle"]["Tradewind"]["rss_kib"] / 1024, 60, "MiB", -1),
    ]
    if "held" in found:
        each = per_stream(found["held"][0], found["held"][-1])
        checks.append(("own memory for each idle stream held open", "≤ 32 KiB", each, 32, "KiB", -1))
    if "start" in found:
        ready = median(one["ready_ms"] for one in found["start"]["1000"])
        checks.append(("start to ready, 1,000 targets", "≤ 300 ms", ready, 300, "ms", -1))
    if "reload" in found:
        checks.append(("calls lost by reloading under load", "0", found["reload"]["busy"]["failed"], 0, "", -1))
    for what, budget, value, limit, unit, direction in checks:
        holds = value >= limit if direction > 0 else value <= limit
        digits = 0 if isinstance(value, int) else 3 if unit == "ms" and value < 10 else 1 if unit else 2
        shown = f"{value:.{digits}f}"
        yield [what, budget, f"{shown} {unit}".strip(), "yes" if holds else "**missed**"]
