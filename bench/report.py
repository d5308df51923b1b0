"""Turns the raw numbers of run.py into the page bench/RESULTS.md. No measuring here."""

from statistics import median

import budgets
import modules_report
import state_report
import tunnels_report
from budgets import added, middle, per_stream, ratio
from loads import SUSTAINED

HEAD = """\
# Measured

Written by `make bench`. Ratios and differences count; absolute numbers are those of one small machine that the
load generator, the party measured and the upstream share.
"""
LOAD = """\
Each party passes OpenAI chat calls on to the same upstream, which answers from memory. nginx and Envoy are plain reverse
proxies. TensorZero is the gateway inside its wheel, without a database, with the allocator that its own program has. LiteLLM is
its proxy after its own checklist for production, without a database, with the server and the workers that were fastest on
this machine. Tradewind decides, records and journals every call; “keys” has in addition a key with limits on requests and
tokens, a budget and prices, and its metrics are read once a second; “all on” also logs each call as JSON to a file and sends
the spans of every call to a collector on the same machine, which takes its share of the two cores. Its binary is the one
that is shipped, shaped by a profile of itself (`make shipped`): the profile is of calls of these kinds and of others, long
conversations with tools among them, and not of this run.

“Added” is against calling the upstream directly; CPU is the party's own. TensorZero's streams take 40 ms because its server
leaves Nagle's algorithm on (no `TCP_NODELAY`): the end of an answer waits until the client acknowledges what came before.
"""
TRANSLATION = """\
The same client and Tradewind (no keys) in front of an upstream of either dialect; “added” is against calling the upstream
directly in the client's own dialect, “× untranslated” against the same client at an upstream of its own dialect. CPU for an
event is what a stream of 24 tokens costs more than a whole answer, divided by 24: reading, judging, translating and passing on.
"""
OPEN = """\
Calls begin at a fixed rate over at most 64 connections whatever becomes of them. A call that was due while no connection was
free counts from the time it was due, so that a stall is not hidden. “Its most” is what the party answered with 16 callers
in a closed loop.
"""


def render(found):
    """The whole page, or what there is of it."""
    machine, versions = found["machine"], found.get("versions", {})
    of_relay = tunnels_report.checks(found["relay"]) if "relay" in found else ()
    of_modules = modules_report.checks(found["modules"]) if "modules" in found else ()
    of_state = state_report.checks(found["state"]) if "state" in found else ()
    lines = [
        HEAD,
        f"- {found['at']}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; load average before: {machine['load_before']:.2f}",
        *[f"- {name}: {version}" for name, version in versions.items()],
        *tried(found),
        f"- {found['rounds']} rounds of {found['lasting']} for each party in each scenario, by turns, LiteLLM's of half that;",
        "  every figure is the median over the rounds, and differences and ratios are taken within a round",
        "",
        "## Budgets",
        "",
        *table(["what", "budget", "measured", ""], budgets.rows(found, (*of_relay, *of_modules, *of_state))),
        "",
        f"Tradewind is judged with keys, journal and metrics on. {budgets.TEXT}",
        "",
    ]
    if "load" in found:
        lines += ["## Load", "", LOAD]
        for scenario, by_party in found["load"].items():
            lines += [f"### {scenario}", "", *load_table(by_party), ""]
        lines += ["### 16 connections, plain, by wrk", "", *wrk_table(found["wrk"]), ""]
        lines += ["## At fixed rates", "", OPEN, *open_tables(found), ""]
    if "translation" in found:
        lines += ["## Translation", "", TRANSLATION, *translation_tables(found), ""]
    if "idle" in found:
        lines += ["## Memory", "", *memory(found), ""]
    if "held" in found:
        lines += [*held(found), "", "## Start and reload", "", *start_and_reload(found), ""]
    if "relay" in found:
        lines += [*tunnels_report.section(found["relay"], table), ""]
    if "modules" in found:
        lines += [*modules_report.section(found["modules"], table), ""]
    if "state" in found:
        lines += [*state_report.section(found["state"], table), ""]
    return "\n".join(lines)


def tried(found):
    """What was tried for LiteLLM."""
    if found.get("litellm"):
        each = "; ".join(f"{server.split(', ', 1)[1]}: {rate:.0f}" for server, rate in found["litellm"].items())
        yield f"- LiteLLM's servers, calls a second with 16 callers: {each}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


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
            "" if direct else figure(ratio(by_party, name, "direct")),
            "" if name == "Envoy" else figure(ratio(by_party, name, "Envoy")),
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


def figure(value):
    """Two digits behind the point, more for what would be nothing."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def wrk_table(by_party):
    envoy = by_party["Envoy"]
    rows = [
        [name, f"{median(rounds):,.0f}", f"{median(a / b for a, b in zip(rounds, envoy, strict=True)):.2f}"]
        for name, rounds in by_party.items()
    ]
    return table(["", "calls/s", "× Envoy"], rows)


def open_tables(found):
    head = ["", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "generator late p99", "CPU µs a call", "failed"]
    for title, by_party in found["open"].items():
        rows = []
        for name, one in by_party.items():
            if not one["rounds"]:
                most = found["most"][name]
                rows.append([name, f"not asked: more than {SUSTAINED:.0%} of its most, {most:,.0f}", *[""] * 7])
                continue
            rows.append([name, *open_figures(one["rounds"], name == "direct")])
        yield from [f"### {title}", "", *table(head, rows), ""]


def open_figures(rounds, direct):
    answered = [one for one in rounds if one["total_ms"]]
    failed = sum(one["failed"] for one in rounds)
    if not answered:
        return ["0", *[""] * 6, failed]
    late = [one["generator_late_ms"]["p99"] for one in answered if one["generator_late_ms"]]
    return [
        f"{middle(rounds, 'per_second'):,.0f}",
        *[f"{middle(answered, f'total_ms.{quantile}'):.3f}" for quantile in ("p50", "p99", "p999")],
        f"{middle(answered, 'total_ms.max'):.1f}",
        f"{median(late):.3f}" if late else "",
        "" if direct else f"{middle(rounds, 'cpu_us_per_call'):.1f}",
        failed,
    ]


def translation_tables(found):
    head = ["client → upstream", "calls/s", "× direct", "× untranslated", "added p50", "added p99"]
    measured = found["translation"]
    for what in ("1 caller, plain", "16 callers, plain", "1 caller, streams", "16 callers, streams"):
        stream = what.endswith("streams")
        more = (["added to first event p50"] if stream else []) + ["CPU µs a call"]
        more += ["CPU µs an event"] if what == "16 callers, streams" else []
        rows = []
        for client in ("openai", "anthropic"):
            by_party = measured[f"{client} client, {what}"]
            plain = measured[f"{client} client, {what.replace('streams', 'plain')}"]
            for upstream in ("openai", "anthropic"):
                name = f"to {upstream}"
                row = [
                    f"{client} → {upstream}",
                    f"{middle(by_party[name], 'per_second'):,.0f}",
                    figure(ratio(by_party, name, "direct")),
                    "" if client == upstream else figure(ratio(by_party, name, f"to {client}")),
                    f"{added(by_party, name, 'total_ms.p50'):+.3f}",
                    f"{added(by_party, name, 'total_ms.p99'):+.3f}",
                ]
                row += [f"{added(by_party, name, 'first_event_ms.p50'):+.3f}"] if stream else []
                row.append(f"{middle(by_party[name], 'cpu_us_per_call'):.1f}")
                if what == "16 callers, streams":
                    row.append(f"{budgets.event_cost(plain, by_party, name):.2f}")
                rows.append([*row, sum(one["failed"] for one in by_party[name])])
        yield from [f"### {what}", "", *table([*head, *more, "failed"], rows), ""]


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
        f"Decisions on record after the load, with keys: {journal['records']:,}, in {mib(journal['bytes'] / 1024)}; "
        f"{journal['dropped']:,} dropped."
    )
    lost = ", ".join(f"`{name}` {value:,.0f}" for name, value in sorted(found["lost"].items()))
    yield f"With all on, at the end of the load: {lost}."


def held(found):
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
    yield from table(["idle streams held open, keys on", "resident", "of it its own", "own memory a stream"], rows)


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
