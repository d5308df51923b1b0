"""What a hostile upstream does: each attack is a function that changes what the upstream of a `World` answers."""

import base64
import hashlib
import json
from dataclasses import dataclass

import go_sumdb
import go_tree
from golang import Answer

TARGET = ("example.com/greet", "v1.0.0")
BASE = "example.com/greet/@v/v1.0.0"
VERSION = "example.com/greet@v1.0.0"
UNPROTECTED = {"sumdb": "off", "verify": "off"}
PORTAL = b"<!DOCTYPE html>\n<html><title>Guest network</title><form action=/login>Accept our terms</form></html>\n"
EVIL = {"greet.go": 'package greet\n\nfunc Hi() string { return "owned" }\n'}


def html(body=PORTAL, status=200):
    return Answer(status, body, {"content-type": "text/html; charset=utf-8"})


def other_zip():
    """A zip of the same version with another content, by all the rules."""
    tree = go_tree.Tree()
    tree.add(*TARGET, EVIL)
    return tree.files[f"{BASE}.zip"], tree.sums[TARGET]


@dataclass
class World:
    """What an attack has to work with."""

    source: object
    database: object
    tree: object

    def lookup(self, body):
        self.source.at[f"sumdb/{self.database.name}/lookup/{VERSION}"] = body

    @property
    def number(self):
        return self.database.ids[TARGET]

    def forged_record(self):
        """A record that says what the attacker's zip is, in the place of the honest one."""
        _, (zip_sum, _) = other_zip()
        self.source.at[f"{BASE}.zip"] = other_zip()[0]
        return self.database.log.records[self.number].replace(self.tree.sums[TARGET][0].encode(), zip_sum.encode())


def swapped_zip(world):
    world.source.at[f"{BASE}.zip"] = other_zip()[0]


def altered_mod(world):
    world.source.at[f"{BASE}.mod"] = world.tree.files[f"{BASE}.mod"] + b"\n"


def altered_info(world):
    world.source.at[f"{BASE}.info"] = json.dumps({"Version": "v1.1.0", "Time": go_tree.DAY}).encode()


def info_of_a_branch(world):
    world.source.at[f"{BASE}.info"] = json.dumps({"Version": "main"}).encode()


def wrong_case_inside(world):
    data = go_tree.zipped([("example.com/GREET@v1.0.0/greet.go", b"package greet\n")])
    world.source.at[f"{BASE}.zip"] = data


def empty_lookup(world):
    swapped_zip(world)
    world.lookup(b"")


def lookup_of_another_module(world):
    swapped_zip(world)
    world.lookup(world.database.lookup("example.com/tip", "v0.0.0-20240102030405-0123456789ab"))


def lookup_of_another_version(world):
    swapped_zip(world)
    world.lookup(world.database.lookup("example.com/greet", "v1.1.0"))


def forged_record(world):
    record = world.forged_record()
    world.lookup(f"{world.number}\n".encode() + record + b"\n" + world.database.latest())


def forged_record_and_tile(world):
    """The leaves' tile fits the forged record; its parents are honest."""
    record, database = world.forged_record(), world.database
    forged_record(world)
    index, place = divmod(world.number, go_sumdb.FULL)
    leaf = go_sumdb.of_leaf(record)

    def tile(path):
        body = bytearray(database.answer(path.removeprefix(f"sumdb/{database.name}")) or b"")
        body[place * 32 : place * 32 + 32] = leaf
        return bytes(body)

    for width in range(1, go_sumdb.FULL + 1):
        ending = "" if width == go_sumdb.FULL else f".p/{width}"
        world.source.at[f"sumdb/{database.name}/tile/8/0/{index:03}{ending}"] = tile


def forged_tree(world):
    """Every tile fits the forged record; only the signed head is honest."""
    record = world.forged_record()
    other = go_sumdb.varied(world.database, lambda number, honest: record if number == world.number else honest)
    name = world.database.name

    def answer(path, headers, honest=world.source.answer):
        if path.startswith(f"sumdb/{name}/tile/"):
            return Answer(body=other.answer(path.removeprefix(f"sumdb/{name}")))
        return honest(path, headers)

    world.source.answer = answer
    world.lookup(f"{world.number}\n".encode() + record + b"\n" + world.database.latest())


def lines_behind_the_note(world):
    record = world.forged_record()
    tip = world.database.lookup("example.com/tip", "v0.0.0-20240102030405-0123456789ab")
    world.lookup(tip + b"\n" + record)


def lines_in_front_of_the_record(world):
    record = world.forged_record()
    world.lookup(record + world.database.lookup(*TARGET))


def lines_as_a_signature(world):
    record = world.forged_record()
    tip = world.database.lookup("example.com/tip", "v0.0.0-20240102030405-0123456789ab")
    world.lookup(tip + b"".join(b"\xe2\x80\x94 " + line + b"\n" for line in record.splitlines()))


def record_without_a_line(world):
    """An honest log that has nothing to say on what was asked: no line is no permission."""
    database = go_sumdb.Database()
    database.pad(20).add_text(
        *TARGET, "example.com/greet v1.0.0-other h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    )
    world.source.database = database
    swapped_zip(world)


def signed(world, note):
    record = world.database.record(world.number)
    swapped_zip(world)
    world.lookup(record + note)


def stripped_signature(world):
    signed(world, world.database.head_text().encode() + b"\n")


def signature_of_a_stranger(world):
    stranger = go_sumdb.Database(world.database.name, seed=b"somebody else")
    signed(world, stranger.sign(world.database.head_text()))


def changed_signature(world):
    text, _, line = world.database.latest().decode().rpartition("\u2014 ")
    name, value = line.split()
    raw = bytearray(base64.b64decode(value))
    raw[-1] ^= 1
    signed(world, f"{text}\u2014 {name} {base64.b64encode(raw).decode()}\n".encode())


def changed_head(world):
    note = world.database.latest()
    head = base64.b64encode(world.database.log.root())
    signed(world, note.replace(head, base64.b64encode(hashlib.sha256(b"else").digest())))


def record_beyond_the_head(world):
    swapped_zip(world)
    world.lookup(world.database.record(world.number) + world.database.latest(size=world.number))


def not_in_the_database(world):
    world.lookup(Answer(410, b"not found\n"))


def portal(*names):
    def attack(world):
        for name in names:
            world.source.at[name.format(name=world.database.name)] = html()

    return attack


def answers(name, answer):
    def attack(world):
        world.source.at[name] = answer(world) if callable(answer) else answer

    return attack


def honest_zip(world):
    return world.tree.files[f"{BASE}.zip"]
