"""The part of bench/RESULTS.md about the modules door. No measuring here."""

from statistics import median

OURS = "Tradewind"
TEXT = """\
Zips that are stored, over {connections} connections by wrk, beside nginx serving the same files with sendfile; every zip was checked
against a checksum database before it was stored, and each request is decided, recorded and journalled. `go mod download`
begins with an empty module cache each time and has the sums in go.sum.
"""


def ratio(by_party):
    pairs = zip(by_party[OURS], by_party["nginx"], strict=True)
    return median(ours["mib_per_second"] / nginx["mib_per_second"] for ours, nginx in pairs)


def download_ratio(found):
    seconds = found["downloads"]["seconds"]
    return median(ours / files for ours, files in zip(seconds[OURS], seconds["file://"], strict=True))


def checks(found):
    """As `budgets.checks`."""
    for size, by_party in found["zips"].items():
        yield f"warm zip of {size} over nginx's", 0.8, "", ratio(by_party), 1
    yield (
        f"`go mod download` of {found['downloads']['modules']} modules over file://'s time",
        1.3,
        "",
        download_ratio(found),
        -1,
    )
    for release, one in found["callers"].items():
        what = f"{one['callers']} callers of a cold zip of 50 MiB, release: {release}"
        yield f"{what}: fetches", 1, "", one["fetches"], -1
        yield f"{what}: memory above idle", 40, "MiB", one["above_kib"] / 1024, -1


def section(found, table):
    yield from ["## Modules", "", TEXT.format(connections=16), f"nginx is {found['nginx']}.", ""]
    rows = [
        [
            size,
            *(f"{median(one['mib_per_second'] for one in by_party[name]):,.0f}" for name in ("nginx", OURS)),
            f"{ratio(by_party):.2f}",
            *(f"{median(one['cpu_ms_per_gib'] for one in by_party[name]):,.0f}" for name in ("nginx", OURS)),
        ]
        for size, by_party in found["zips"].items()
    ]
    yield from table(
        ["warm zip", "nginx MiB/s", "Tradewind MiB/s", "ratio", "nginx CPU ms a GiB", "Tradewind CPU ms a GiB"], rows
    )
    downloads = found["downloads"]
    yield ""
    rows = [[name, f"{median(seconds):.2f} s"] for name, seconds in downloads["seconds"].items()]
    head = f"`go mod download`, {downloads['modules']} modules, {downloads['bytes'] / 1e6:.1f} MB"
    yield from table([head, "time"], [*rows, ["Tradewind, nothing stored yet", f"{downloads['cold']:.2f} s"]])
    yield ""
    rows = [
        [release, one["right"], one["fetches"], f"{one['idle_kib'] / 1024:.1f} MiB", f"{one['above_kib'] / 1024:.1f} MiB",
         f"{one['seconds']:.2f} s"]
        for release, one in found["callers"].items()
    ]  # fmt: skip
    yield from table(["64 callers of a cold zip of 50 MiB", "got it", "fetches", "idle", "peak above", "time"], rows)
