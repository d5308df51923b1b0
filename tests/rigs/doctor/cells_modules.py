"""Causes that concern one module: private ones and git, sums and the checksum database."""

import base64

from cell import ByHand, cell, healthy
from forge import SECRET, private
from go_sumdb import varied
from servers import Answer, not_found
from world import ELSEWHERE, SUMS

import go_tree


def without(site, prefix=SECRET):
    """The module proxy does not have these modules."""
    before = site.gate

    def gate(path, headers):
        if path.startswith(prefix):
            return not_found(f"not found: {path}: it is not public")
        return before(path, headers) if before else None

    site.gate = gate
    return site


def public_inside(world):
    site = world.public()
    world.inside.update(world.outside)
    return site


@cell(42, "404 Not Found", quick=True)
def private_module_at_a_public_proxy(world):
    without(public_inside(world))
    private(world)
    world.env["GOPROXY"] = "https://proxy.golang.org"


@cell(43, "verifying .*404 Not Found|verifying .*410 Gone")
def private_module_in_the_sumdb(world):
    public_inside(world)
    private(world)
    (world.app / "go.sum").unlink()
    world.env["GONOPROXY"] = "git.corp.test"


@cell(42, "verifying .*404 Not Found|verifying .*410 Gone")
def private_module_falls_through_to_the_sumdb(world):
    """The public proxy has not got it, git gets it, and then its name is told to the public database."""
    without(public_inside(world))
    private(world)
    (world.app / "go.sum").unlink()


@cell(44, "unrecognized import path|no such host")
def goprivate_bypasses_the_company_proxy(world):
    world.company()
    private(world)
    del world.inside["git.corp.test"]
    world.go_env(GOPRIVATE="git.corp.test")


@cell(45, "404 Not Found")
def pattern_of_the_wrong_form(world):
    without(public_inside(world))
    private(world)
    world.env["GOPROXY"] = "https://proxy.golang.org"
    world.go_env(GOPRIVATE="corp.test")


@cell(45, "404 Not Found")
def pattern_with_a_scheme(world):
    without(public_inside(world))
    private(world)
    world.env["GOPROXY"] = "https://proxy.golang.org"
    world.env["GOPRIVATE"] = "https://git.corp.test/team"


@cell(47, "terminal prompts disabled|could not read Username", quick=True)
def git_has_no_login(world):
    without(public_inside(world))
    secret = world.secret("gl-token-0815-4711")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    private(world, private=only)
    world.env["GOPRIVATE"] = "git.corp.test"

    def log_in():
        (world.home / ".git-credentials").write_text(f"https://me:{secret}@git.corp.test\n")
        (world.home / ".gitconfig").write_text("[credential]\n\thelper = store\n")

    return ByHand("credential helper", log_in)


@cell(47, "terminal prompts disabled|could not read Username")
def login_that_no_helper_reads(world):
    """As it is left by a machine's image, or by an editor."""
    without(public_inside(world))
    secret = world.secret("gl-token-0815-4711")
    private(world, private="Basic " + base64.b64encode(f"me:{secret}".encode()).decode())
    world.env["GOPRIVATE"] = "git.corp.test"
    (world.home / ".git-credentials").write_text(f"https://me:{secret}@git.corp.test\n")


@cell(47, "terminal prompts disabled|could not read Username")
def git_has_a_key_for_ssh(world):
    """The forge knows the user's key; by https nobody has logged in."""
    without(public_inside(world))
    private(world, private="Basic nobody")
    world.env["GOPRIVATE"] = "git.corp.test"
    # The other end of ssh: what it is told to run, where the repositories are.
    world.program("ssh", f'for told; do :; done; cd {world.folder}/repositories/git.corp.test && eval "$told"')


@cell(42, "terminal prompts disabled|could not read Username")
def private_module_falls_through_to_git(world):
    """git has no login either: naming the host in GOPRIVATE is half of what has to be done."""
    without(public_inside(world))
    secret = world.secret("gl-token-0815-4711")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    private(world, private=only)

    def log_in():
        (world.home / ".git-credentials").write_text(f"https://me:{secret}@git.corp.test\n")
        (world.home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
        world.go_env(GOPRIVATE="git.corp.test")

    return ByHand("GOPRIVATE", log_in)


@cell(48, "no such host")
def git_knows_the_proxy(world):
    world.public()
    world.http_proxy()
    (world.home / ".gitconfig").write_text("[http]\n\tproxy = http://proxy.corp.test:3128\n")


@cell(50, "verifying .*no such host", quick=True)
def sumdb_is_not_reached(world):
    """The proxy inside knows nothing of the checksum database; another one, further away, does."""
    no_sums(world)
    return ByHand("passes it on", lambda: world.site("sum.corp.test", SUMS, tree=Sums(world.database)))


@cell(50, "verifying .*no such host")
def sumdb_has_moved(world):
    """GOSUMDB still names where the database was; the module proxy passes it on."""
    world.company()
    (world.app / "go.sum").unlink()
    world.env["GOSUMDB"] = f"{world.env['GOSUMDB']} https://old-sums.corp.test"


def no_sums(world):
    site = world.company()
    site.gate = lambda path, headers: not_found() if path.startswith("sumdb/") else None
    (world.app / "go.sum").unlink()
    return site


class Sums(go_tree.Tree):
    """A database at its own host, without the names in front."""

    def __init__(self, database):
        super().__init__()
        self.files = Answers(database)


class Answers:
    def __init__(self, database):
        self.database = database

    def get(self, path):
        return self.database.answer(f"/{path}")


@cell(51, "503 Service Unavailable|500 Internal Server Error|502")
def sumdb_of_the_proxy_fails(world):
    site = world.company()
    site.gate = lambda path, headers: Answer(503, b"database is down\n") if path.startswith("sumdb/") else None
    (world.app / "go.sum").unlink()
    return ByHand("have the module proxy corrected", lambda: setattr(site, "gate", None))


@cell(51, "503 Service Unavailable")
def sumdb_is_reached_without_the_proxy(world):
    site = world.company()
    site.gate = lambda path, headers: Answer(503, b"database is down\n") if path.startswith("sumdb/") else None
    world.site("sum.corp.test", SUMS, tree=Sums(world.database))
    (world.app / "go.sum").unlink()


def changed(world, path="example.com/greet", version="v1.1.0"):
    """Another zip of the same version."""
    other = go_tree.Tree()
    other.add(path, version, {"greet.go": 'package greet\n\nfunc Hi() string { return "other" }\n'})
    return other


@cell(56, "SECURITY ERROR(.|\n)*go.sum", quick=True)
def go_sum_of_a_moved_tag(world):
    """Proxy and database agree: go.sum was made with what the tag was before."""
    world.company()
    other = changed(world)
    world.write("go.sum", other.go_sum())


@cell(56, "SECURITY ERROR(.|\n)*go.sum")
def proxy_with_a_changed_copy(world):
    """go.sum and database agree: the proxy has something else."""
    site = world.company()
    other = changed(world)
    name = "example.com/greet/@v/v1.1.0.zip"
    site.gate = lambda path, headers: Answer(body=other.files[name]) if path == name else None
    return ByHand("compare with the checksum database", lambda: setattr(site, "gate", None))


@cell(56, "SECURITY ERROR(.|\n)*go.sum")
def first_proxy_with_a_changed_copy(world):
    """The second one has what go.sum has."""
    second_is_right(world)


def second_is_right(world):
    bad = world.site("first.corp.test", ELSEWHERE)
    name = "example.com/greet/@v/v1.1.0.zip"
    other = changed(world)
    bad.gate = lambda path, headers: Answer(body=other.files[name]) if path == name else None
    world.company()
    world.env["GOPROXY"] = "https://first.corp.test,https://goproxy.corp.test"


@cell(57, "does NOT match the one reported by the checksum server")
def proxy_and_database_differ(world):
    site = world.company()
    other = changed(world)
    name = "example.com/greet/@v/v1.1.0.zip"
    site.gate = lambda path, headers: Answer(body=other.files[name]) if path == name else None
    (world.app / "go.sum").unlink()
    return ByHand("dropped from the cache", lambda: setattr(site, "gate", None))


@cell(57, "does NOT match the one reported by the checksum server")
def only_the_first_proxy_differs(world):
    second_is_right(world)
    (world.app / "go.sum").unlink()


@cell(58, "misbehavior detected")
def database_with_another_past(world):
    """What was seen of the database before is not in what it shows now; the module cache was emptied in between."""
    return fork(world, "go clean -modcache", 280)


@cell(58, "inconsistent tile")
def database_contradicts_the_cache(world):
    return fork(world, "true", 200)


def fork(world, between, changed_record):
    site = world.company()
    assert world.shell(f"go mod download example.com/greet/v2@v2.0.0 && {between}").status == 0
    honest = site.database
    size = len(honest.log.records)
    other = varied(honest, lambda number, text: text.replace(b"h1:", b"h1:x") if number == changed_record else text)
    other.add("example.com/later", "v1.0.0", "h1:" + "A" * 43 + "=", "h1:" + "B" * 43 + "=")
    site.database = other

    def gate(path, headers):
        # Who asks for the past alone still gets the honest one.
        past = path.startswith("sumdb/") and path.endswith(f".p/{size - 256}")
        return Answer(body=honest.answer(path.removeprefix("sumdb/sum.corp.test"))) if past else None

    site.gate = gate
    (world.app / "go.sum").unlink()

    def found_out():
        site.database, site.gate = honest, None

    return ByHand("stop", found_out)


@cell(58, "misbehavior detected")
def proxy_passes_on_another_database(world):
    """At its own host the database still is what it was."""
    fork(world, "go clean -modcache", 280)
    world.site("sum.corp.test", SUMS, tree=Sums(world.database))


@cell(57, "does NOT match the one reported by the checksum server")
def empty_gosumdb_checks_all_the_same(world):
    """Somebody has read that this switches the database off; it means the default."""
    second_is_right(world)
    world.goroot_env(GOSUMDB=world.env["GOSUMDB"])
    world.env["GOSUMDB"] = ""
    (world.app / "go.sum").unlink()


@healthy()
def private_modules_by_git(world):
    public_inside(world)
    private(world)
    world.env["GOPRIVATE"] = "git.corp.test"


@healthy()
def private_modules_with_a_login(world):
    public_inside(world)
    secret = world.secret("gl-token-0815-4711")
    only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    private(world, private=only)
    world.env["GOPRIVATE"] = "git.corp.test"
    (world.home / ".netrc").write_text(f"machine git.corp.test login me password {secret}\n")


@healthy()
def database_asked_directly(world):
    site = world.company()
    site.gate = lambda path, headers: not_found() if path.startswith("sumdb/") else None
    world.site("sum.corp.test", SUMS, tree=Sums(world.database))
