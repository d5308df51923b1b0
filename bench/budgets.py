"""Sets what was measured against the budgets of the project. No measuring here."""

from statistics import median

TEXT = "The budgets are those the project set itself; a missed one stays in the table until it is met."
# What stands for Tradewind in the budgets: keys, limits, a budget, the journal and metrics that are read each second.
JUDGED = "Tradewind, keys"
# The upstream streams so many tokens; the events around them are left out, so that the figure for each is too high.
TOKENS = 24


def middle(rounds, path):
    return median(dig(one, path) for one in rounds)


def dig(one, path):
    for key in path.split("."):
        one = one[key]
    return one


def added(by_party, name, path, base="direct"):
    """How much more than `base`, the median over the rounds."""
    pairs = zip(by_party[name], by_party[base], strict=True)
    return median(dig(party, path) - dig(other, path) for party, other in pairs)


def ratio(by_party, name, base, path="per_second"):
    pairs = zip(by_party[name], by_party[base], strict=True)
    return median(dig(one, path) / dig(other, path) for one, other in pairs)


def event_cost(plain, streams, name):
    """What a stream costs more than a whole answer, for each of its tokens: µs of the party's CPU."""
    return (middle(streams[name], "cpu_us_per_call") - middle(plain[name], "cpu_us_per_call")) / TOKENS


def translation_cost(found, client, upstream):
    """What an event costs more when it is translated than when it comes from the same upstream dialect as it is, µs."""

    def cost(dialect):
        plain, streams = (found["translation"][f"{dialect} client, 16 callers, {what}"] for what in ("plain", "streams"))
        return event_cost(plain, streams, f"to {upstream}")

    return cost(client) - cost(upstream)


def per_stream(base, one):
    """KiB of its own memory for each stream held open."""
    return (one["anonymous_kib"] - base["anonymous_kib"]) / one["streams"]


def checks(found):
    """What, the limit and its unit, what was measured, and whether more (1) or less (-1) is better."""
    if "load" in found:
        loads = found["load"]
        alone, many = loads["1 caller, plain"], loads["16 callers, plain"]
        alone_streams, streams = loads["1 caller, streams"], loads["16 callers, streams"]
        yield "added latency, one caller, p50", 0.1, "ms", added(alone, JUDGED, "total_ms.p50"), -1
        yield "added latency, one caller, p99", 0.4, "ms", added(alone, JUDGED, "total_ms.p99"), -1
        for rival, limit in (("Envoy", 1.2), ("TensorZero", 3.5), ("LiteLLM", 200)):
            yield f"calls a second, 16 callers, over {rival}'s", limit, "", ratio(many, JUDGED, rival), 1
        first = added(alone_streams, JUDGED, "first_event_ms.p50")
        yield "added to the first event of a stream, p50", 0.2, "ms", first, -1
        yield "CPU for each event of a stream", 20, "µs", event_cost(many, streams, JUDGED), -1
    if "translation" in found:
        cost = max(translation_cost(found, *way) for way in (("openai", "anthropic"), ("anthropic", "openai")))
        yield "CPU for translating an event, the dearer way", 10, "µs", cost, -1
    if "idle" in found:
        yield "resident when idle", 60, "MiB", found["idle"][JUDGED]["rss_kib"] / 1024, -1
    if "held" in found:
        each = per_stream(found["held"][0], found["held"][-1])
        yield "own memory for each idle stream held open", 32, "KiB", each, -1
        ready = median(one["ready_ms"] for one in found["start"]["1000"])
        yield "start to ready, 1,000 targets", 300, "ms", ready, -1
        yield "calls lost by reloading under load", 0, "", found["reload"]["busy"]["failed"], -1


def rows(found, more=()):
    """Each budget with what was measured, and whether it holds; `more` are further checks."""
    for what, limit, unit, value, direction in (*checks(found), *more):
        holds = value >= limit if direction > 0 else value <= limit
        digits = 0 if isinstance(value, int) or value >= 100 else 3 if unit == "ms" and value < 10 else 1 if unit else 2
        sign = "" if limit == 0 else "≥ " if direction > 0 else "≤ "
        yield [what, f"{sign}{limit} {unit}".strip(), f"{value:.{digits}f} {unit}".strip(), "yes" if holds else "**missed**"]
