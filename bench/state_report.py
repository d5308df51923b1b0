"""The part of bench/RESULTS.md about state. No measuring here."""

from statistics import median

TEXT = """\
Reads of a warm key over 16 connections by wrk, beside nginx serving a file of the same {bytes} bytes from its cache of open
files. Each read looks at the head, checks the hash of what it gives and says revision, epoch and hash in its headers. The
engines themselves are measured by `cargo bench -p tradewind-store`.
"""


def ratio(reads):
    pairs = zip(reads["Tradewind"], reads["nginx"], strict=True)
    return median(ours["per_second"] / nginx["per_second"] for ours, nginx in pairs)


def checks(found):
    """As `budgets.checks`."""
    yield "reads of a warm key of state over nginx's of a file", 0.5, "", ratio(found["reads"]), 1


def section(found, table):
    yield from ["## State", "", TEXT.format(bytes=found["bytes"]), f"nginx is {found['nginx']}.", ""]
    rows = [
        [name, f"{median(one['per_second'] for one in rounds):,.0f}", f"{median(one['cpu_us'] for one in rounds):.1f}"]
        for name, rounds in found["reads"].items()
    ]
    yield from table(["1 KB", "reads/s", "CPU µs a read"], rows)
