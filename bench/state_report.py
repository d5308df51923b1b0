"""The part of bench/RESULTS.md about state. No measuring here."""

from statistics import median

TEXT = """\
Reads of a warm key over {connections} connections by wrk, beside nginx serving a file of the same {bytes} bytes from its cache of
open files. Each read looks at the head, gives what was checked when it came into memory, and says revision, epoch and hash in its headers.
nginx is {nginx}.
"""
COMPARED = """\
Compare-and-sets of 1 KiB by an engine, which keeps 32 revisions of each key and prunes one with every write, and by the bare
thing that it is made of, which keeps the last value alone; where it says so, either side keeps as much as the other. Both
sides take turns in one run, on files or servers of their own with the same settings; each number is the median of the turns.
Those on a disk are shown twice: on this machine's, whose sync is nearly free, and with 4 ms added to each sync of either side,
as on a disk that has to turn.
"""
CONVERSATIONS = """\
A conversation of 2,000 turns that grows by 5 KB a turn to 10 MB: how much is stored at most while it grows and after the
store was closed, in sizes of the conversation, in files, and of Redis in its memory; and what the last 50 writes take, in
median writes.
"""
# The bound that the project has set for the engines over servers, with each of their settings.
SERVERS = 0.9


def ratio(reads):
    pairs = zip(reads["Tradewind"], reads["nginx"], strict=True)
    return median(ours["per_second"] / nginx["per_second"] for ours, nginx in pairs)


def least(row):
    """The bound of a comparison; none is for comparison only."""
    return SERVERS if row["what"].startswith(("redis, ", "nats, ")) else row["least"]


def worst(conversations, what):
    """The largest of what is bounded so, over all engines but the tests' own in memory, and the bound."""
    ratios = [bounds[what] for name, bounds in conversations.items() if what in bounds and not name.startswith("memory")]
    return max(one["ratio"] for one in ratios), ratios[0]["most"]


def kinds(conversations):
    return list(dict.fromkeys(what for bounds in conversations.values() for what in bounds))


def checks(found):
    """As `budgets.checks`."""
    yield "reads of a warm key of state over nginx's of a file", 0.5, "", ratio(found["reads"]), 1
    for row in found["compared"]:
        if bound := least(row):
            yield f"state: {row['what']}", bound, "", row["ratio"], 1
    for what in kinds(found["conversations"]):
        reached, most = worst(found["conversations"], what)
        yield f"a growing conversation, the worst engine: {what}", most, "", reached, -1


def section(found, table):
    yield from ["## State", "", TEXT.format(connections=16, bytes=found["bytes"], nginx=found["nginx"])]
    rows = [
        [name, f"{median(one['per_second'] for one in rounds):,.0f}", f"{median(one['cpu_us'] for one in rounds):.1f}"]
        for name, rounds in found["reads"].items()
    ]
    yield from table(["1 KB", "reads/s", "CPU µs a read"], rows)
    yield from ["", COMPARED]
    rows = [
        [row["what"].replace(" : ", " against "), f"{row['ours']:,}", f"{row['theirs']:,}", f"{row['ratio']:.2f}", least(row) or ""]
        for row in found["compared"]
    ]
    yield from table(["engine against bare", "engine, writes/s", "bare, writes/s", "ratio", "at least"], rows)
    yield from ["", CONVERSATIONS]
    columns = kinds(found["conversations"])
    rows = [
        [name, *(f"{bounds[what]['ratio']:.2f}" if what in bounds else "" for what in columns)]
        for name, bounds in found["conversations"].items()
    ]
    yield from table(["engine", *columns], rows)
