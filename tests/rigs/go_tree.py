"""Trees of Go modules, as a module proxy serves them: made by hand, or out of the test modules of an installed Go.

    tests/rigs/go_tree.py DIR      writes the test modules of the installed Go, and DIR/ALL.sum with their sums

A tree is a dictionary from paths, as they are on the wire, to bytes. What is Go's is read at run time and never kept.
"""

import base64
import collections
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import sys
import zipfile

PEERS = pathlib.Path(os.environ.get("TRADEWIND_PEERS") or pathlib.Path.home() / ".cache/tradewind/peers")
TESTDATA = PEERS / "go/go/src/cmd/go/testdata/mod"
PSEUDO = re.compile(r"^v[0-9]+\.(0\.0-|\d+\.\d+-([^+]*\.)?0\.)\d{14}-[A-Za-z0-9]+(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$")
DAY = "2024-01-01T00:00:00Z"
MIT = """MIT License

Copyright (c) 2024 The Authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def escaped(text):
    """Capitals as the protocol writes them."""
    return "".join("!" + letter.lower() if letter.isupper() else letter for letter in text)


def unescaped(text):
    return re.sub(r"!([a-z])", lambda found: found.group(1).upper(), text)


def h1(files):
    """The sum of named contents: the hash of a list of hashes, sorted by the bytes of the names."""
    lines = (
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files, key=lambda f: f[0].encode())
    )
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def zipped(files, method=zipfile.ZIP_DEFLATED):
    """A zip of named contents, in this order, with whatever names; directories of all zips look alike."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            archive.writestr(entry, data)
    return buffer.getvalue()


class Tree:
    """Modules, and what a proxy answers for them."""

    def __init__(self):
        self.files = {}
        self.sums = {}
        self.versions = collections.defaultdict(list)

    def add(self, path, version, sources, time=DAY, go_mod=None, method=zipfile.ZIP_DEFLATED, listed=True):
        """One version of a module; `sources` are its files by name, `go_mod` the text of its go.mod."""
        go_mod = (go_mod if go_mod is not None else f"module {path}\n\ngo 1.20\n").encode()
        sources = {name: data.encode() if isinstance(data, str) else data for name, data in sources.items()}
        inside = [(f"{path}@{version}/{name}", data) for name, data in {"go.mod": go_mod, **sources}.items()]
        info = json.dumps({"Version": version, "Time": time}).encode()
        self.put(path, version, info, go_mod, zipped(inside, method), h1(inside), listed)

    def put(self, path, version, info, go_mod, archive, zip_sum, listed=True):
        """One version, whatever its files are."""
        base = f"{escaped(path)}/@v/{escaped(version)}"
        for ending, data in ((".info", info), (".mod", go_mod), (".zip", archive)):
            if data is not None:
                self.files[base + ending] = data
        self.sums[path, version] = (zip_sum, h1([("go.mod", go_mod or b"")]))
        if listed:
            self.versions[path].append(version)
        self.relist(path)

    def relist(self, path):
        """The list of versions and the latest one of a module."""
        known = self.versions[path]
        tagged = sorted((version for version in known if not PSEUDO.match(version)), key=precedence)
        self.files[f"{escaped(path)}/@v/list"] = "".join(f"{version}\n" for version in tagged).encode()
        releases = [version for version in tagged if precedence(version)[1]]
        best = (releases or tagged or sorted(known, key=precedence))[-1:]
        info = self.files.get(f"{escaped(path)}/@v/{escaped(best[0])}.info") if best else None
        if info is not None:
            self.files[f"{escaped(path)}/@latest"] = info

    def go_sum(self, *of):
        """The lines of a go.sum: those of the versions `of`, or all."""
        chosen = of or sorted(self.sums)
        lines = [
            f"{path} {version} {self.sums[path, version][0]}\n{path} {version}/go.mod {self.sums[path, version][1]}\n"
            for path, version in chosen
        ]
        return "".join(lines)

    def write(self, folder):
        """The tree as files, for `file://` and for static servers."""
        folder = pathlib.Path(folder)
        for name, data in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return folder


def precedence(version):
    """A sort key by the rules of semantic versions; its second item says whether it is a release."""
    found = re.match(r"^v(\d+)\.(\d+)\.(\d+)(?:-([^+]*))?(\+.*)?$", version)
    if not found:
        return ((-1,), 0, ())
    pre = found.group(4)
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return (tuple(map(int, found.group(1, 2, 3))), 0 if pre else 1, parts)


def archive_members(text):
    """The files of a text archive as Go's tests have them: lines `-- name --`, each followed by a content."""
    members, name, lines = [], None, []
    for line in text.splitlines(keepends=True):
        found = re.match(rb"^-- (.+?) --\r?\n?$", line)
        if not found:
            lines.append(line)
            continue
        if name is not None:
            members.append((name, b"".join(lines)))
        name, lines = found.group(1).strip().decode(), []
    if name is not None:
        members.append((name, b"".join(lines)))
    return members


@functools.cache
def of_go(testdata=TESTDATA):
    """The modules that Go's own tests use: about 110 with 269 versions, some of them broken on purpose."""
    tree = Tree()
    for file in sorted(pathlib.Path(testdata).glob("*_v*.txt")):
        path, _, version = file.stem.rpartition("_v")
        path, version = unescaped(path.replace("_", "/")), unescaped("v" + version)
        members = archive_members(file.read_bytes())
        own = dict(members)
        # A name with a slash in front is the raw name in the zip.
        inside = [
            (name[1:] if name.startswith("/") else f"{path}@{version}/{name}", data)
            for name, data in members
            if name not in (".info", ".mod", ".zip")
        ]
        tree.put(path, version, own.get(".info"), own.get(".mod"), zipped(inside), h1(inside))
    return tree


def corpus():
    """A handful of modules with what makes modules difficult: capitals, a major version in the path, a retraction, a
    prerelease, a pseudo-version, a module inside another, versions without a go.mod of their own, dependencies."""
    tree = Tree()
    tree.add("example.com/greet", "v1.0.0", {"greet.go": 'package greet\n\nfunc Hi() string { return "hi" }\n'})
    tree.add("example.com/greet", "v1.1.0", {"greet.go": 'package greet\n\nfunc Hi() string { return "hi 1.1" }\n'})
    tree.add("example.com/greet", "v1.2.0-rc.1", {"greet.go": 'package greet\n\nfunc Hi() string { return "rc" }\n'})
    both = "module example.com/greet/v2\n\ngo 1.20\n\nrequire github.com/Masq/Upper v1.0.0\n\nretract v2.0.1 // sums were wrong\n"
    source = (
        'package greet\n\nimport upper "github.com/Masq/Upper"\n\nfunc Hi() string { return "hi2 " + upper.Hi() }\n'
    )
    for version in ("v2.0.0", "v2.0.1", "v2.0.2"):
        tree.add("example.com/greet/v2", version, {"greet.go": source}, go_mod=both)
    tree.add(
        "github.com/Masq/Upper",
        "v1.0.0",
        {"upper.go": 'package upper\n\nfunc Hi() string { return "upper" }\n', "LICENSE": MIT},
    )
    tree.add("example.com/tip", "v0.0.0-20240102030405-0123456789ab", {"tip.go": "package tip\n\nconst On = true\n"})
    tree.add(
        "example.com/old",
        "v3.0.0+incompatible",
        {"old.go": "package old\n\nconst Age = 3\n"},
        go_mod="module example.com/old\n",
    )
    tree.add("example.com/greet/inner", "v0.1.0", {"inner.go": "package inner\n\nconst Deep = true\n"})
    return tree


def many(count):
    """A tree of modules, each of which needs some of those behind it; the first is `example.com/m000`."""
    tree = Tree()
    for number in range(count):
        needs = sorted({2 * number + 1, 2 * number + 2} & set(range(count)))
        requires = "".join(f"require example.com/m{need:03} v1.0.0\n" for need in needs)
        imports = "".join(f'import _ "example.com/m{need:03}"\n' for need in needs)
        path = f"example.com/m{number:03}"
        text = "".join(f"// {hashlib.sha256(f'{number} {line}'.encode()).hexdigest()}\n" for line in range(300))
        files = {"m.go": f"package m\n\n{imports}\n{text}"} | {
            f"f{part}.go": f"package m\n\n{text}" for part in range(9)
        }
        tree.add(path, "v1.0.0", files, go_mod=f"module {path}\n\ngo 1.20\n\n{requires}")
    return tree


if __name__ == "__main__":
    everything = of_go()
    target = everything.write(sys.argv[1])
    (target / "ALL.sum").write_text(everything.go_sum())
    print(f"{len(everything.versions)} modules, {len(everything.sums)} versions in {target}")
