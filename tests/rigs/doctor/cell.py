"""A cell: one cause of the catalogue, made in a world of its own, and what has to come of it.

The loop is closed: the real go command fails with the symptom, the doctor names the cause first, its fix is run, and the
same go command succeeds.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from world import World

# What no fix may ever say, for it switches verification off.
FORBIDDEN = re.compile(
    r"GOSUMDB=['\"]?off|GOINSECURE|GONOSUMDB=['\"]?\*|GONOSUMCHECK|GOFLAGS=\S*-insecure|sslVerify|curl[^\n;|&]* (-k|--insecure)\b"
    r"|rm [^\n]*go\.sum\b|verify=off",
    re.I,
)

CELLS = {}
HEALTHY = {}


@dataclass
class Cell:
    """`make` takes a world, makes the cause in it, and returns what a person would do where no fix can be run."""

    name: str
    cause: int
    symptom: str
    make: object
    quick: bool
    status: int
    alone: str


@dataclass
class ByHand:
    """What the fix tells a person to do: `says` is a word that it has to have, `does` does it, or gives a command."""

    says: str
    does: object


@dataclass
class Result:
    """What came of a cell; a piece that never had its turn is None."""

    name: str
    cause: int
    symptom: bool | None = None
    found: int | None = None
    named: bool = False
    automatic: bool | None = None
    fixed: bool | None = None
    explained: bool | None = None
    seconds: float = 0.0
    problems: list = field(default_factory=list)
    # The user's command, what it said, what the doctor says, and its fix where that can be run.
    transcript: list = field(default_factory=list)

    @property
    def good(self):
        return not self.problems


def cell(cause, symptom, quick=False, status=1, alone=""):
    """`symptom` is a pattern of what go says; `None` when it says nothing until it is killed. `status` 0: go succeeds, and
    the doctor still warns. `alone` is why the text alone does not tell the cause, where it does not."""

    def add(make):
        name = f"{cause:02}-{make.__name__.replace('_', '-')}"
        assert name not in CELLS, name
        CELLS[name] = Cell(name, cause, symptom, make, quick, status, alone)
        return make

    return add


def healthy(quick=False):
    def add(make):
        name = f"healthy-{make.__name__.replace('_', '-')}"
        HEALTHY[name] = Cell(name, 0, "", make, quick, 0, "")
        return make

    return add


def judge(name, folder):
    """Runs a cell in `folder`."""
    if name in HEALTHY:
        return judge_healthy(HEALTHY[name], folder)
    chosen = CELLS[name]
    result = Result(name, chosen.cause)
    problem = result.problems.append
    world = World(folder)
    by_hand = chosen.make(world)
    before = world.go()
    result.seconds = before.seconds
    if chosen.symptom is None:
        result.symptom = before.status is None
    else:
        failed = before.status not in (0, None) if chosen.status else before.status == 0
        result.symptom = failed and re.search(chosen.symptom, before.said) is not None
    if not result.symptom:
        problem(f"go ended with {before.status} and says {before.said.strip()!r}, not {chosen.symptom!r}")
    report, ran = world.report()
    if ran.status != 1:
        problem(f"the doctor ended with {ran.status}: {ran.err.strip()}")
    findings = report["findings"]
    text = world.doctor("--go")
    hide(world, ran.said + text.said, problem)
    for finding in findings:
        for part in ("fix", "check", "title"):
            if part != "title" and (bad := FORBIDDEN.search(finding[part])):
                problem(f"a {part} says {bad.group(0)!r}: {finding[part]}")
    if not findings:
        problem(f"nothing was found; go says {before.said.strip()!r}")
        return result
    first = findings[0]
    result.found, result.automatic = first["cause"], first["automatic"]
    result.named = first["cause"] == chosen.cause
    if not result.named:
        problem(f"found {[(f['cause'], f['title'], f['evidence']) for f in findings]}; go says {before.said.strip()!r}")
    if chosen.symptom and chosen.status:
        explain(world, chosen, before, result)
    typed = first["fix"] if first["automatic"] else None
    result.transcript = [shown(world, part) for part in (world.command, before.said, text.out, typed)]
    if result.named:
        fix(world, first, by_hand, result)
    return result


def shown(world, text):
    """A text as it would be on another day, in somebody's own folders."""
    if text is None:
        return None
    text = text.replace(str(world.home), "/home/me").replace(str(world.app), "/home/me/app")
    text = text.replace(world.env["GOPATH"], "/home/me/go").replace(str(world.folder), "/home/me/world")
    text = re.sub(r"\b20\d\d-\d\d-\d\d\b", "…", text)
    return re.sub(r"127\.0\.0\.1:(?!7890)\d{5}", "127.0.0.1:3128", text).strip()


def hide(world, text, problem):
    for secret in world.secrets:
        # Also encoded, and its longer pieces.
        forms = {secret, quote(secret, safe=""), *(part for part in re.split(r"\W", secret) if len(part) > 5)}
        for form in forms:
            if form in text:
                problem(f"of the secret {secret!r} {form!r} is shown: {text}")


def explain(world, chosen, before, result):
    """The same cause out of the text alone, in the same world."""
    (world.folder / "said").write_text(before.said)
    ran = world.doctor("--explain", "-", "--json", "<", str(world.folder / "said"))
    hide(world, ran.said, result.problems.append)
    try:
        causes = [finding["cause"] for finding in json.loads(ran.out)["findings"]]
    except ValueError:
        causes = [ran.said]
    result.explained = causes[:1] == [chosen.cause]
    if not result.explained and not chosen.alone:
        result.problems.append(f"the text alone is explained as {causes}: {before.said.strip()}")


def fix(world, first, by_hand, result):
    """Does what the fix says, and runs go again in the same shell."""
    script = world.command
    if first["automatic"]:
        script = f"{first['fix']}\n{world.command}"
    elif by_hand is None:
        result.problems.append(f"no fix that can be run: {first['fix']}")
        return
    elif by_hand.says.lower() not in first["fix"].lower():
        result.problems.append(f"the fix does not say {by_hand.says!r}: {first['fix']}")
        return
    elif isinstance(by_hand.does, str):
        script = f"{by_hand.does}\n{world.command}"
    else:
        by_hand.does()
    after = world.shell(script)
    result.fixed = after.status == 0
    if result.fixed:
        # In the same shell, for that is where some fixes are.
        again = world.shell(script.removesuffix(world.command) + f"{world.binary} doctor --go --json", limit=90)
        try:
            left = [finding["cause"] for finding in json.loads(again.out)["findings"]]
        except ValueError:
            left = [result.cause]
        if result.cause in left:
            result.problems.append(f"the doctor still says {left} after its fix {first['fix']!r}: {again.said}")
    else:
        result.problems.append(f"after the fix {first['fix']!r} go ends with {after.status}: {after.said.strip()}")


def judge_healthy(chosen, folder):
    """A world in which all is well: nothing may be found."""
    result = Result(chosen.name, 0)
    problem = result.problems.append
    world = World(folder)
    chosen.make(world)
    before = world.go()
    result.seconds = before.seconds
    if before.status != 0:
        problem(f"go ended with {before.status}: {before.said.strip()}")
    # As it was before: a full module cache would leave nothing to ask for.
    for _ in range(2):
        report, ran = world.report()
        if ran.status != 0 or report["findings"]:
            problem(f"found {[(f['cause'], f['title'], f['evidence']) for f in report['findings']]}")
        text = world.doctor("--go")
        if text.out.strip() != "nothing is wrong":
            problem(f"more than one line: {text.said.strip()!r}")
        hide(world, ran.said + text.said, problem)
        if not world.env.get("RIG_KEEP_CACHE"):
            world.shell("go clean -modcache")
    result.named = not result.problems
    return result
