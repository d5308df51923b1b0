"""A cell: one cause of the catalogue, made in a world of its own, and what has to come of it.

The loop is closed: the real go command fails with the symptom, the doctor names the cause first, its check is run and shows the
fault, its fix is run, and the same go command succeeds.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from world import World

# What no fix may ever say: it switches verification off, or go refuses it.
FORBIDDEN = re.compile(
    r"GOSUMDB=['\"]?off|GOINSECURE|GONOSUMDB=['\"]?\*|GONOSUMCHECK|GOFLAGS=\S*-insecure|sslVerify|curl[^\n;|&]* (-k|--insecure)\b"
    r"|rm [^\n]*go\.sum\b|verify=off|GOSUMDB=(['\"]{2}|\s|$)|go env -w ['\"]?(HTTPS?|ALL|NO)_PROXY",
    re.I,
)

# What the check of a cause shows, on either output; a cell may have its own.
WORKS = r"^(200|404)$"
SHOWS = {
    # What is in no catalogue is a server that fails, in these cells.
    0: r"< HTTP/1\.1 5\d\d",
    1: "could not resolve host",
    2: r"trying (0\.0\.0\.0|10\.20\.30\.40):",
    3: "connection refused",
    4: "timed out",
    5: "timed out",
    6: "unable to get local issuer certificate|self-signed certificate in certificate chain",
    7: "error (setting certificate|adding trust)|unable to get local issuer certificate",
    8: "error (setting certificate|adding trust)|unable to get local issuer certificate|self-signed certificate in",
    9: "subject name .*does not match|no alternative certificate subject name",
    10: "certificate is not yet valid|certificate has expired",
    11: "connection reset by peer",
    12: "wrong version number",
    13: "SSL connection using",
    14: "<!doctype html>",
    15: "< location: http://",
    16: "maximum .* redirects",
    17: " 403 ",
    18: "is not approved",
    19: "< HTTP/1.1 401",
    20: "refusing to pass credentials to insecure URL",
    21: "HTTP/1.1 407",
    22: "HTTP/1.1 407",
    23: "HTTP/1.1 407",
    24: "(.|\n)* 502 (.|\n)*no credentials cache",
    25: "wrong version number",
    26: "connection refused|could not resolve proxy",
    27: "unsupported proxy syntax|could not resolve proxy|port number",
    28: "FindProxyForURL|CONNECT tunnel failed",
    29: WORKS,
    30: WORKS,
    31: WORKS,
    32: WORKS,
    33: WORKS,
    34: WORKS,
    35: "[';\uff0c\\\\]",
    36: "htps://",
    37: r"\A,?\s*\Z",
    38: "^off$",
    39: "first.corp.test,",
    40: "old-proxy.corp.test",
    41: WORKS,
    42: "not found: git.corp.test|terminal prompts disabled|verifying (.|\n)*(404 Not Found|410 Gone)",
    43: "verifying (.|\n)*(404 Not Found|410 Gone)",
    44: '"Version"',
    45: "module lookup disabled by GOPROXY=off",
    46: 'exec: "git": executable file not found',
    47: "terminal prompts disabled|could not read username",
    48: WORKS,
    49: r"^\*:off$",
    50: "could not resolve host",
    51: " 503 ",
    52: "^on$",
    53: "checksum database disabled by GOSUMDB=off",
    54: " 404 ",
    55: r"requires go >= 1\.99",
    56: "SECURITY ERROR",
    57: "^example.com/greet v1.1.0 h1:",
    58: "^go.sum database tree",
    59: "missing go.sum entry",
    60: "not a valid zip file|checksum mismatch|has been modified",
    61: "transfer closed|unexpected eof",
    62: "not a directory|permission denied|no space left on device",
    63: "not found",
    64: "not found|module example.com/upper",
    65: " 429 ",
    66: "taken down",
    67: "inconsistent vendoring|vendor",
    68: "^off$",
    69: "timed out",
    70: r"^go version go1\.19\.",
}
# What a check may begin with, behind variables that are set for it.
PROGRAM = re.compile(r"([A-Z0-9]+=\S+ )*(curl|go) ")

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
    shows: str


@dataclass
class ByHand:
    """What the fix tells a person to do: `says` is a word that it has to have, `does` does it, or gives a command."""

    says: str
    does: object

    def __post_init__(self):
        assert self.says, "a fix for a person has to say something"


@dataclass
class Result:
    """What came of a cell; a piece that never had its turn is None."""

    name: str
    cause: int
    symptom: bool | None = None
    found: int | None = None
    named: bool = False
    automatic: bool | None = None
    shown: bool | None = None
    fixed: bool | None = None
    explained: bool | None = None
    seconds: float = 0.0
    problems: list = field(default_factory=list)
    # The user's command, what it said, what the doctor says, and its fix where that can be run.
    transcript: list = field(default_factory=list)

    @property
    def good(self):
        return not self.problems


def cell(cause, symptom, quick=False, status=1, alone="", shows=None):
    """`symptom` is a pattern of what go says; `None` when it says nothing until it is killed. `status` 0: go succeeds, and
    the doctor still warns. `alone` is why the text alone does not tell the cause, where it does not. `shows` is what the
    doctor's own check shows, where that is not what it shows for every such cause."""

    def add(make):
        name = f"{cause:02}-{make.__name__.replace('_', '-')}"
        assert name not in CELLS, name
        CELLS[name] = Cell(name, cause, symptom, make, quick, status, alone, shows or SHOWS[cause])
        return make

    return add


def healthy(quick=False):
    def add(make):
        name = f"healthy-{make.__name__.replace('_', '-')}"
        HEALTHY[name] = Cell(name, 0, "", make, quick, 0, "", "")
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
    if result.named:
        result.shown = all([check(world, chosen, finding, problem) for finding in findings])
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


def check(world, chosen, finding, problem):
    """Runs the check of a finding as it is printed: whether it shows what is wrong."""
    if not PROGRAM.match(finding["check"] + " "):
        problem(f"a check is neither curl nor go: {finding['check']!r}")
    wanted = chosen.shows if finding["cause"] == chosen.cause else SHOWS[finding["cause"]]
    ran = world.shell(finding["check"])
    shown = ran.status is not None and re.search(wanted, ran.said, re.I | re.M) is not None
    if not shown:
        problem(f"the check {finding['check']!r} ends with {ran.status} and does not show {wanted!r}: {ran.said}")
    return shown


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
            # Behind what the fix itself says.
            left = [finding["cause"] for finding in json.loads(again.out[again.out.index("{\n") :])["findings"]]
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
