"""Module zips that were made to deceive, by name, byte by byte: no library writes them.

`evil(path, version)` makes them all; each is the honest module with one thing changed, and the honest one is `honest`.
"""

import struct
import zlib
from dataclasses import dataclass, replace


@dataclass
class Entry:
    """One file of a zip; what the directory says of it, and what its local header says where that is something else."""

    name: bytes
    data: bytes = b""
    method: int = 8
    size: int | None = None
    crc: int | None = None
    packed: bytes | None = None
    attributes: int = 0o100644 << 16
    made_by: int = 3
    flags: int = 0
    local_name: bytes | None = None
    local_method: int | None = None
    offset: int | None = None
    behind: bytes = b""

    def compressed(self):
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()


def archive(entries, before=b"", behind=b"", comment=b"", count=None, disk=0, shift=0):
    """The bytes of a zip with these entries (APPNOTE.TXT 4.3)."""
    body, directory = before, b""
    for entry in entries:
        packed = entry.compressed()
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        at = len(body) if entry.offset is None else entry.offset
        local = entry.name if entry.local_name is None else entry.local_name
        method = entry.method if entry.local_method is None else entry.local_method
        body += struct.pack(
            "<IHHHHHIIIHH", 0x04034B50, 20, entry.flags, method, 0, 33, crc, len(packed), size, len(local), 0
        )
        body += local + packed + entry.behind
        directory += struct.pack("<IBBHHHHHIIIHHHHHII", 0x02014B50, 20, entry.made_by, 20, entry.flags, entry.method, 0, 33,
                                 crc, len(packed), size, len(entry.name), 0, 0, 0, 0, entry.attributes, at)  # fmt: skip
        directory += entry.name
    entries_said = len(entries) if count is None else count
    end = struct.pack("<IHHHHIIH", 0x06054B50, disk, disk, entries_said, entries_said, len(directory), len(body) + shift,
                      len(comment))  # fmt: skip
    return body + directory + end + comment + behind


def evil(path, version):
    """Each zip by what is wrong with it."""

    def at(name):
        return f"{path}@{version}/{name}".encode()

    go_mod = Entry(at("go.mod"), f"module {path}\n".encode())
    source = Entry(at("evil.go"), b"package evil\n")
    below = Entry(at("sub/a.go"), b"package sub\n")

    def named(name, data=b""):
        return archive([go_mod, source, below, Entry(name if isinstance(name, bytes) else at(name), data)])

    def changed(**fields):
        return archive([go_mod, replace(source, **fields), below])

    honest = [go_mod, source, below]
    megabyte = bytes(1 << 20)
    return {
        "honest": archive(honest),
        # Names.
        "path traversal": named("../../.bashrc"),
        "path traversal in the middle": named("a/../../b"),
        "absolute": named(b"/etc/passwd"),
        "drive letter": named("C:/x"),
        "backslash": named("..\\..\\x"),
        "another module": named(b"example.net/other@v1.0.0/a.go"),
        "another version": named(f"{path}@v9.9.9/a.go".encode()),
        "capitals in the prefix": named(f"{path.upper()}@{version}/a.go".encode()),
        "nul byte": named("a.go\0.txt"),
        "line break": named("a\nb"),
        "not UTF-8": named(at("") + b"\xff\xfe"),
        "right to left": named("a\u202eog.exe"),
        "device of Windows": named("aux.go"),
        "trailing dot": named("a.go."),
        "names that fold": named("EVIL.go"),
        "folders that fold": named("SUB/b.go"),
        "file in a file": named("evil.go/x"),
        "the same name twice": named("evil.go"),
        "go.mod below": named("sub/go.mod"),
        "Go.mod": archive([Entry(at("Go.mod"), b"module x\n")]),
        # Kinds.
        "symbolic link": changed(attributes=0o120777 << 16),
        "device": changed(attributes=0o060666 << 16),
        # Sizes.
        "bomb: more than it says": changed(data=megabyte, size=10),
        "less than it says": changed(size=14),
        "bomb: 501 MiB": changed(size=501 << 20),
        "bombs together": archive([Entry(at(f"{number}.go"), size=100 << 20) for number in range(6)]),
        "large go.mod": archive([Entry(at("go.mod"), size=(16 << 20) + 1)]),
        "large LICENSE": archive([go_mod, Entry(at("LICENSE"), size=(16 << 20) + 1)]),
        # The archive.
        "encrypted": changed(flags=1),
        "unknown method": changed(method=12),
        "two names": changed(local_name=at("good.go")),
        "two methods": changed(local_method=0),
        "wrong checksum": changed(crc=1),
        "corrupt": changed(packed=b"\xff\xff\xff\xff"),
        "hidden between": changed(behind=b"hidden"),
        "hidden in front": archive(honest, before=b"#!/bin/sh\nexit\n"),
        "hidden behind": archive(honest, behind=b"hidden"),
        "overlapping": archive([*honest, Entry(at("again.go"), offset=0)]),
        "fewer entries than it says": archive(honest, count=7),
        "more entries than it says": archive(honest, count=1),
        "several disks": archive(honest, disk=1),
        "directory elsewhere": archive(honest, shift=100),
        "no zip": b"this is no zip\n",
        "empty": b"",
    }
