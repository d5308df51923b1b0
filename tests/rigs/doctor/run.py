"""Judges `tradewind doctor` with the real go command.

    tests/rigs/doctor/run.py                       every cell, and a table of what came of them
    tests/rigs/doctor/run.py 29 44 healthy         the cells of these causes
    tests/rigs/doctor/run.py --transcripts         the transcripts of docs/doctor.md, written there

Each cell runs in a process with network, mounts and processes of its own, made by unshare(1) as root.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cells_answers  # noqa: E402, F401
import cells_modules  # noqa: E402, F401
import cells_network  # noqa: E402, F401
import cells_proxies  # noqa: E402, F401
import cells_settings  # noqa: E402, F401
from cell import CELLS, HEALTHY, Result, judge  # noqa: E402

OWN = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
LIMIT = 240
PASSED_ON = ("TRADEWIND_PEERS", "TRADEWIND_BIN", "CARGO_TARGET_DIR", "HOME")


def in_a_world(*arguments):
    """This program again, alone in its namespaces."""
    return as_root(*OWN, sys.executable, __file__, *arguments, timeout=LIMIT)


@contextlib.contextmanager
def a_folder():
    """A folder for one world. It is removed from outside, where none of the world's mounts are: what was mounted there from
    the machine must not be deleted with it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tradewind-doctor-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        mounted = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        assert not any(target.startswith(str(folder)) for target in mounted), f"something is still mounted in {folder}"
        as_root("rm", "-rf", "--one-file-system", str(folder))


def as_root(*command, **more):
    root = [] if os.geteuid() == 0 else ["sudo", "-n", "--preserve-env=" + ",".join(PASSED_ON)]
    return subprocess.run([*root, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def result_of(name):
    """What came of a cell."""
    try:
        with a_folder() as folder:
            ran = in_a_world("--inside", name, "--folder", str(folder))
        return Result(**json.loads(ran.stdout.splitlines()[-1]))
    except (ValueError, IndexError):
        return Result(
            name, CELLS[name].cause if name in CELLS else 0, problems=[f"the rig failed: {ran.stdout}{ran.stderr}"]
        )
    except subprocess.TimeoutExpired:
        return Result(name, CELLS[name].cause if name in CELLS else 0, problems=[f"not done within {LIMIT} s"])


def results_of(names, workers=4):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield from pool.map(result_of, names)


def table(results):
    """The score."""
    word = {True: "yes", False: "NO", None: "-"}
    rows = [("cell", "symptom", "found", "named", "shown", "automatic", "fixed", "explained", "s")]
    for r in results:
        rows.append(
            (
                r.name,
                word[r.symptom],
                str(r.found or "-"),
                word[r.named],
                word[r.shown],
                word[r.automatic],
                word[r.fixed],
                word[r.explained],
                f"{r.seconds:.1f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def score(results):
    """How many causes are named and repaired; a cause counts when all its cells are good."""
    causes = {}
    for result in results:
        if result.cause:
            causes.setdefault(result.cause, []).append(result.good)
    return sum(all(good) for good in causes.values()), len(causes)


def repaired(results):
    """The causes for which a fix that the doctor printed was run as it stands, and go then succeeded."""
    return sorted({r.cause for r in results if r.cause and r.good and r.automatic and r.fixed})


GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs/doctor.md"
TOLD = [
    "06-interception",
    "14-login-page",
    "19-no-login",
    "23-proxy-speaks-ntlm-alone",
    "27-hash-in-the-password",
    "29-only-all-proxy",
    "32-no-proxy-swallows",
    "39-comma-where-a-pipe-was-meant",
    "42-private-module-at-a-public-proxy",
    "56-proxy-with-a-changed-copy",
]


def transcripts(results):
    """What a user sees in the cells of TOLD, as Markdown."""
    parts = []
    for result in results:
        assert result.good, result.problems
        command, said, report, fix = result.transcript
        title = re.match(r"1\. (.*) \(cause \d+\)", report).group(1)
        lines = [
            f"### {result.cause}: {title}",
            "",
            "```console",
            f"$ {command}",
            said,
            "$ tradewind doctor --go",
            report,
        ]
        if fix:
            lines += [f"$ {fix}", f"$ {command}"]
        parts.append("\n".join([*lines, "```"]))
    return "\n\n".join(parts)


def guide(results):
    """The text of docs/doctor.md with the transcripts of these results in their place."""
    start, end = (
        "<!-- transcripts: written by tests/rigs/doctor/run.py --transcripts -->",
        "<!-- end of transcripts -->",
    )
    head, _, rest = GUIDE.read_text().partition(start)
    tail = rest.partition(end)[2]
    return f"{head}{start}\n\n{transcripts(results)}\n\n{end}{tail}"


def is_asked(name, wanted):
    """Whether a cell is meant by its name, by a beginning of that, or by the number of its cause."""
    return name == wanted or name.startswith(f"{wanted}-") or name.lstrip("0").startswith(f"{wanted}-")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--transcripts", action="store_true")
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(dataclasses.asdict(judge(asked.inside, asked.folder))))
        return 0
    if asked.transcripts:
        GUIDE.write_text(guide(list(results_of(TOLD))))
        return 0
    known = [*sorted(CELLS), *sorted(HEALTHY)]
    names = [name for name in known if not asked.names or any(is_asked(name, wanted) for wanted in asked.names)]
    results = []
    for result in results_of(names, asked.workers):
        results.append(result)
        for problem in result.problems:
            print(f"{result.name}: {problem}\n", flush=True)
    print(table(results))
    good, causes = score(results)
    well = [r for r in results if not r.cause]
    cells, worlds = f"{sum(r.good for r in results)} of {len(results)}", f"{sum(r.good for r in well)} of {len(well)}"
    print(f"{good} of {causes} causes, {cells} cells, among them {worlds} healthy worlds")
    own = repaired(results)
    print(f"{len(own)} causes repaired by running what the doctor printed: {' '.join(map(str, own))}")
    return any(not result.good for result in results)


if __name__ == "__main__":
    sys.exit(main())
