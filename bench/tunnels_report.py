"""Turns what tunnels.py measured into its part of the page, and into budgets. No measuring here."""

from budgets import added, middle, ratio

TEXT = """\
The relay and mihomo with the same document (rules, and `MATCH,DIRECT`), asked by CONNECT and by SOCKS5 for tunnels to a far
end on the same machine. Each tunnel that is opened is used for one byte there and back and seen to end; Tradewind decides,
records and journals each. “Down” and “up” are four tunnels at once; a round trip is one byte there and back over one open
tunnel. CPU is the proxy's own.
"""
HELD = """\
Idle tunnels, each proved with a byte there and back: {tunnels:,} of them, which is as many as both can hold with
the {limit:,} descriptors that a process may have here; mihomo keeps two pipes open for each.
"""
HELD_ALL = "Idle tunnels, {tunnels:,} of them, each proved with a byte there and back."
RIVAL, OURS = "mihomo", "Tradewind"


def against(by_party, path):
    """Ours over mihomo's, the median over the rounds."""
    return ratio(by_party, OURS, RIVAL, path)


def own(measured, what):
    """Memory of a proxy with its tunnels, KiB, at the lower of the times that it was read."""
    return min(measured[when][what] for when in ("held", "later") if when in measured)


def for_each(measured):
    """KiB of its own memory for each tunnel."""
    return (own(measured, "anonymous_kib") - measured["idle"]["anonymous_kib"]) / measured["tunnels"]


def with_most(measured, tunnels):
    """KiB with so many tunnels, counted on from those that were held."""
    return measured["idle"]["pss_kib"] + for_each(measured) * tunnels


def checks(found):
    """As `budgets.checks`."""
    loads = found["loads"]
    for by, name in (("connect", "CONNECT"), ("socks5", "SOCKS5")):
        opened = against(loads["tunnels opened"][by], "per_second")
        yield f"{name}: tunnels a second over mihomo's", 1.0, "", opened, 1
        for way in ("down", "up"):
            flow = against(loads[way][by], "mib_per_second")
            yield f"{name}: throughput {way} over mihomo's", 1.0, "", flow, 1
        for quantile in ("p50", "p99"):
            more = added(loads["round trip"][by], OURS, f"round_trip_ms.{quantile}", RIVAL)
            yield f"{name}: round trip {quantile}, more than through mihomo", 0, "µs", more * 1e3, -1
    tunnels = found["tunnels"]
    ours, rival = (found["held"][name][-1 if name == OURS else 0] for name in (OURS, RIVAL))
    ratio = with_most(ours, tunnels) / with_most(rival, tunnels)
    yield f"memory with {tunnels:,} idle tunnels over mihomo's", 0.5, "", ratio, -1


def mib(kib):
    return f"{kib / 1024:.1f} MiB"


def section(found, table):
    """The lines of the part; `table` makes one."""
    versions = "; ".join(version for version in found["versions"].values() if version)
    yield from ["## Relay", "", TEXT, f"{found['rounds']} rounds of each, by turns. {versions}", ""]
    for load, by_way in found["loads"].items():
        yield from [f"### {load.capitalize()}", "", *table(*load_table(by_way)), ""]
    held = found["held"]
    both = held[RIVAL][0]["tunnels"]
    whole = both >= found["tunnels"]
    yield from ["### Idle tunnels", "", (HELD_ALL if whole else HELD).format(tunnels=both, limit=found["descriptors"]), ""]
    rows = [
        [
            name,
            f"{one['tunnels']:,}",
            mib(one["idle"]["pss_kib"]),
            mib(one["held"]["rss_kib"]),
            mib(one["held"]["pss_kib"]),
            mib(one["later"]["pss_kib"]) if "later" in one else "",
            f"{for_each(one):.1f} KiB",
        ]
        for name, measured in held.items()
        for one in measured
    ]
    head = ["", "tunnels", "none: PSS", "RSS after 3 s", "PSS after 3 s", "PSS after 20 s", "own memory a tunnel"]
    yield from [*table(head, rows), ""]
    rows = [[name, *(mib(found["memory"][rules][name]["pss_kib"]) for rules in found["memory"])] for name in held]
    yield from table(["PSS after the loads", *found["memory"]], rows)


# What a column is called, where it stands, how many digits, and whether there is a ratio to mihomo's to show.
COLUMNS = (
    ("a second", "per_second", 0, True),
    ("open p50 ms", "open_ms.p50", 3, False),
    ("to its end p50 ms", "total_ms.p50", 3, False),
    ("p99 ms", "total_ms.p99", 3, False),
    ("CPU µs a tunnel", "cpu_us", 1, True),
    ("MiB/s", "mib_per_second", 0, True),
    ("CPU ms a GiB", "cpu_ms_per_gib", 0, True),
    ("p50 ms", "round_trip_ms.p50", 4, True),
    ("p99 ms", "round_trip_ms.p99", 4, True),
    ("failed", "failed", 0, False),
)


def has(one, path):
    for key in path.split("."):
        if not isinstance(one, dict) or one.get(key) is None:
            return False
        one = one[key]
    return True


def load_table(by_way):
    sample = by_way["connect"][OURS][0]
    columns = [column for column in COLUMNS if has(sample, column[1])]
    head = [""]
    for title, _, _, compared in columns:
        head += [title, "× mihomo"] if compared else [title]
    rows = []
    for by, by_party in by_way.items():
        for name, rounds in by_party.items():
            if name == "direct" and by != "connect":
                continue
            row = [name if name == "direct" else f"{name}, {by}"]
            for _, path, digits, compared in columns:
                failed = path == "failed"
                value = sum(one[path] for one in rounds) if failed else middle(rounds, path)
                row.append("" if name == "direct" and path.startswith("cpu") else f"{value:,.{digits}f}")
                if compared:
                    row.append(f"{against(by_party, path):.2f}" if name == OURS else "")
            rows.append(row)
    return head, rows
