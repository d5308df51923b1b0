"""A hostile upstream: what it sends in place of the truth is neither given nor kept, the go command's user is told why, and
what was wrong with it can be looked up.

The three attacks of 2026 on the go command's own checks are here, since older go commands are behind the door as well:
CVE-2026-42501 (a record of something else, or of nothing), CVE-2026-56865 (tiles that nobody held against their parents) and
CVE-2026-56864 (lines from outside the record).
"""

from dataclasses import dataclass

import pytest

import go_sumdb
import golang
import rig
from golang import Answer
from hostile import (
    BASE,
    PORTAL,
    TARGET,
    UNPROTECTED,
    VERSION,
    World,
    altered_info,
    altered_mod,
    answers,
    changed_head,
    changed_signature,
    empty_lookup,
    forged_record,
    forged_record_and_tile,
    forged_tree,
    honest_zip,
    html,
    info_of_a_branch,
    lines_as_a_signature,
    lines_behind_the_note,
    lines_in_front_of_the_record,
    lookup_of_another_module,
    lookup_of_another_version,
    not_in_the_database,
    other_zip,
    portal,
    record_beyond_the_head,
    record_without_a_line,
    signature_of_a_stranger,
    stripped_signature,
    swapped_zip,
    wrong_case_inside,
)


@dataclass
class Attack:
    """`texts` are what the user sees of the reason; `why` is what `tradewind modules why` tells, if it has to tell anything."""

    make: object
    status: int
    texts: tuple
    why: str = ""
    settings: dict | None = None


# 403: it is not what it has to be. 502: what came is no answer at all, so that a further proxy may be tried after `|`.
ATTACKS = {
    "swapped zip": Attack(swapped_zip, 403, ("checksum mismatch", "SECURITY ERROR"), "checksum mismatch"),
    "altered go.mod": Attack(altered_mod, 403, ("checksum mismatch", "/go.mod", "SECURITY ERROR"), "checksum mismatch"),
    "info of another version": Attack(altered_info, 502, ("v1.1.0 instead of requested version",)),
    "info of a branch": Attack(info_of_a_branch, 502, ("main",)),
    "wrong case in the zip": Attack(wrong_case_inside, 403, ("unexpected file",), "unexpected file"),
    "wrong case, unprotected": Attack(wrong_case_inside, 403, ("unexpected file",), "unexpected file", UNPROTECTED),
    "CVE-2026-42501, empty answer": Attack(empty_lookup, 502, ("cannot be asked", "no number"), "answer, 0 bytes"),
    "CVE-2026-42501, another module": Attack(lookup_of_another_module, 403, ("SECURITY ERROR",), "SECURITY ERROR"),
    "CVE-2026-42501, another version": Attack(lookup_of_another_version, 403, ("SECURITY ERROR",), "SECURITY ERROR"),
    "no line in the record": Attack(record_without_a_line, 403, ("SECURITY ERROR",), "SECURITY ERROR"),
    "forged record": Attack(forged_record, 403, ("verifying",), "verifying"),
    "CVE-2026-56865, forged tile": Attack(forged_record_and_tile, 403, ("verifying",), "verifying"),
    "CVE-2026-56865, forged tree": Attack(forged_tree, 403, ("verifying",), "verifying"),
    "CVE-2026-56864, lines behind": Attack(lines_behind_the_note, 403, ("not a signature",), "not a signature"),
    "CVE-2026-56864, lines in front": Attack(
        lines_in_front_of_the_record, 502, ("cannot be asked", "no number"), "example.com/greet v1.0.0 h1:"
    ),
    "CVE-2026-56864, lines as signatures": Attack(lines_as_a_signature, 403, ("not a signature",), "not a signature"),
    "stripped signature": Attack(stripped_signature, 403, ("no signatures",), "no signatures"),
    "a stranger's signature": Attack(signature_of_a_stranger, 403, ("verifying",), "verifying"),
    "changed signature": Attack(changed_signature, 403, ("verifying",), "verifying"),
    "changed head": Attack(changed_head, 403, ("verifying",), "verifying"),
    "record beyond the head": Attack(record_beyond_the_head, 403, ("verifying",), "verifying"),
    "not in the database": Attack(not_in_the_database, 403, ("does not know it",), "does not know it"),
    "portal for info": Attack(portal(f"{BASE}.info"), 502, ("answers with a web page",)),
    "portal for go.mod": Attack(portal(f"{BASE}.mod"), 502, ("answers with a web page",)),
    "portal for go.mod, unprotected": Attack(portal(f"{BASE}.mod"), 502, ("web page",), settings=UNPROTECTED),
    "portal for the zip": Attack(portal(f"{BASE}.zip"), 502, ("answers with a web page",)),
    "portal that claims to be JSON": Attack(
        answers(f"{BASE}.info", Answer(body=PORTAL, headers={"content-type": "application/json"})), 502, ("no JSON",)
    ),
    "portal that claims to be a zip": Attack(
        answers(f"{BASE}.zip", Answer(body=PORTAL, headers={"content-type": "application/zip"})),
        403,
        ("verifying",),
        "verifying",
    ),
    "portal for the database": Attack(portal(f"sumdb/{{name}}/lookup/{VERSION}"), 502, ("cannot be asked",)),
    "portal for everything": Attack(
        lambda world: setattr(world.source, "answer", lambda path, headers: html()), 502, ("answers with a web page",)
    ),
    "truncated zip": Attack(
        answers(f"{BASE}.zip", lambda world: Answer(body=honest_zip(world), cut=100)),
        502,
        ("shorter than its announced length",),
    ),
    "reset in the zip": Attack(
        answers(f"{BASE}.zip", lambda world: Answer(body=honest_zip(world), cut=100, reset=True)),
        502,
        ("shorter than its announced length",),
    ),
    "zip shorter than it says": Attack(
        answers(f"{BASE}.zip", lambda world: Answer(body=honest_zip(world), length=len(honest_zip(world)) + 9)),
        502,
        ("shorter than its announced length",),
    ),
    "zip longer than it says": Attack(
        answers(f"{BASE}.zip", lambda world: Answer(body=honest_zip(world), length=len(honest_zip(world)) - 9)),
        403,
        ("verifying",),
        "verifying",
    ),
    "chunks that break off": Attack(
        answers(f"{BASE}.zip", lambda world: Answer(body=honest_zip(world), length=-1, cut=100)),
        502,
        ("broke off inside the body",),
    ),
    "600 MiB announced": Attack(
        answers(f"{BASE}.zip", Answer(body=b"PK", length=600 << 20, cut=2)),
        403,
        ("it is larger than 500MiB",),
        "it is larger than 500MiB",
        UNPROTECTED,
    ),
    "endless go.mod": Attack(
        answers(f"{BASE}.mod", Answer(body=bytes(1 << 16), length=-1, endless=20 << 20)), 502, ("more than",)
    ),
    "endless info": Attack(
        answers(f"{BASE}.info", Answer(body=b" " * (1 << 16), length=-1, endless=4 << 20)), 502, ("more than",)
    ),
    "500 for the zip": Attack(
        answers(f"{BASE}.zip", Answer(500, b"the disk is on fire\n")), 500, ("the disk is on fire",)
    ),
    "503 for go.mod": Attack(answers(f"{BASE}.mod", Answer(503, b"come back\n")), 503, ("come back",)),
    "429": Attack(answers(f"{BASE}.info", Answer(429, b"slowly\n", {"retry-after": "9"})), 429, ("slowly",)),
    "redirects to itself": Attack(
        answers(f"{BASE}.zip", Answer(302, headers={"location": f"/{BASE}.zip"})), 502, ("stopped after 10 redirects",)
    ),
    "redirect to nowhere": Attack(answers(f"{BASE}.zip", Answer(302)), 502, ("it answered 302 Found",)),
}


def refused(gateway, start_go, attack):
    """The go command is told, in plain text, and nothing is given."""
    answered = {ending: rig.http(f"{gateway.url}/go/{BASE}{ending}") for ending in (".info", ".mod", ".zip")}
    zipped = answered[".zip"]
    assert zipped.status == attack.status, zipped
    for reply in answered.values():
        if reply.status != 200:
            assert reply.headers["content-type"].lower() == "text/plain; charset=utf-8", reply
            assert reply.headers.get("cache-control", "") != "public, max-age=31536000, immutable"
    assert len(zipped.body.splitlines()) <= 8 and len(zipped.body) <= 660, "more than the go command shows"
    said = start_go(gateway).download(VERSION).refused("server response:", *attack.texts)
    assert f": {zipped.status} " in said.out, said.out


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack(start_gateway, start_go, source, database, tree, name):
    attack = ATTACKS[name]
    attack.make(World(source, database, tree))
    gateway = start_gateway(golang.settings(source, **(attack.settings or {})))
    refused(gateway, start_go, attack)
    assert not golang.stored(gateway)
    if attack.why:
        told = golang.why(gateway, VERSION)
        assert "was refused" in told and attack.why in told, told
    if source.database is database:
        # What is honest of the same upstream goes on.
        source.at.clear()
        source.__dict__.pop("answer", None)
        start_go(gateway).download("github.com/Masq/Upper@v1.0.0").ok()


def test_what_is_honest_later_is_given_later(start_gateway, start_go, source, tree):
    """A refusal is no verdict for ever: the upstream may have been repaired."""
    source.at[f"{BASE}.zip"] = other_zip()[0]
    gateway = start_gateway(golang.settings(source, cache={"missing": "1s"}))
    start_go(gateway).download(VERSION).refused("SECURITY ERROR")
    del source.at[f"{BASE}.zip"]
    rig.until(lambda: rig.http(f"{gateway.url}/go/{BASE}.zip").status == 200, "still refused")
    assert start_go(gateway).download(VERSION).ok().json()["Sum"] == tree.sums[TARGET][0]


def forked(database):
    """Another history under the same key: one record at the beginning is another, and two are new at the end."""
    other = go_sumdb.varied(
        database, lambda number, record: record.replace(b"pad0 ", b"pad0x ") if number == 0 else record
    )
    other.add("example.com/new", "v1.0.0", "h1:" + "A" * 43 + "=", "h1:" + "B" * 43 + "=")
    other.add("example.com/new", "v1.1.0", "h1:" + "A" * 43 + "=", "h1:" + "B" * 43 + "=")
    return other


def test_a_fork_is_proven(start_gateway, start_go, source, database):
    gateway = start_gateway(golang.settings(source))
    start_go(gateway).download(VERSION).ok()
    source.database = forked(database)
    go = start_go(gateway, database.key)
    go.download("github.com/Masq/Upper@v1.0.0").refused("403 Forbidden", "go.sum database server misbehavior detected!")
    told = golang.why(gateway, "github.com/Masq/Upper@v1.0.0")
    for text in ("old database", "new database", "proof of misbehavior", database.name):
        assert text in told, told
    kept = [path for path in (gateway.data / "modules/sumdb").rglob("*") if "evidence" in path.parts and path.is_file()]
    assert kept and "proof of misbehavior" in kept[0].read_text()
    # The honest history is still believed, and so is what was stored by it, also by another process.
    source.database = database
    start_go(gateway, database.key).download("example.com/greet@v1.1.0").ok()
    gateway.stop()
    source.database = forked(database)
    again = start_gateway(golang.settings(source), folder=gateway.folder)
    start_go(again).download("example.com/old@v3.0.0+incompatible").refused("misbehavior detected!")
    start_go(again).download(VERSION).ok()


def test_an_older_head_does_no_harm(start_gateway, start_go, source, database):
    """A lookup may hold a head from before: the log has grown, and nothing goes back."""
    gateway = start_gateway(golang.settings(source))
    start_go(gateway).download(VERSION).ok()
    older = database.lookup("example.com/greet", "v1.1.0", size=database.ids["example.com/greet", "v1.1.0"] + 1)
    source.at[f"sumdb/{database.name}/lookup/example.com/greet@v1.1.0"] = older
    start_go(gateway).download("example.com/greet@v1.1.0").ok()
    source.database = forked(database)
    start_go(gateway).download("github.com/Masq/Upper@v1.0.0").refused("misbehavior detected!")


def test_an_old_go_command_is_safe_behind_the_door(start_gateway, start_go, source, database, tree):
    """Lookups that are passed on hold nothing but the record that was checked here, and tiles belong under a signed head."""
    world = World(source, database, tree)
    gateway = start_gateway(golang.settings(source))
    url = f"{gateway.url}/go/sumdb/{database.name}/lookup"
    for attack, status in (
        (lines_behind_the_note, 403),
        (lines_as_a_signature, 403),
        (lookup_of_another_module, 403),
        (forged_record_and_tile, 403),
        (lines_in_front_of_the_record, 502),
        (empty_lookup, 502),
    ):
        attack(world)
        assert rig.http(f"{url}/{VERSION}").status == status, attack.__name__
        source.at.clear()
    forged = database.answer("/tile/8/0/000").replace(b"\x00", b"\x01", 1)
    source.at[f"sumdb/{database.name}/tile/8/0/000"] = forged
    tile = f"{gateway.url}/go/sumdb/{database.name}/tile/8/0/000"
    assert rig.http(tile).status == 403
    source.at.clear()
    assert rig.http(tile).body == database.answer("/tile/8/0/000")
    honest = rig.http(f"{url}/example.com/greet@v1.1.0")
    assert honest.status == 200 and honest.body.startswith(f"{database.ids['example.com/greet', 'v1.1.0']}\n".encode())
