#!/usr/bin/env python3
"""Asks Go itself about names of modules and about module zips, and keeps questions and answers as test data.

    tests/rigs/go_oracle.py            compares the kept answers with those of the `go` on the path
    tests/rigs/go_oracle.py --write    makes the questions anew and writes crates/doors/modules/tests/data

The questions are hand-picked cases and their mutations, from a fixed seed. They are answered by golang.org/x/mod as it lies
in the installed Go, built for the occasion with go_oracle/main.go. Nothing of Go is kept but its answers.
"""
import base64
import io
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "crates/doors/modules/tests/data"

PATHS = """
example.com example.com/a example.com/a/b/c github.com/Azure/azure-sdk-for-go github.com/BurntSushi/toml rsc.io/quote/v3
gopkg.in/yaml.v2 gopkg.in/yaml.v0 gopkg.in/yaml.v1-unstable gopkg.in/yaml gopkg.in/yaml.v02 gopkg.in/yaml.v gopkg.in/x/y.v3
gopkg.in/yaml.v2-unstable-unstable gopkg.in/v2 gopkg.in/.v2 golang.org/toolchain golang.org/x/text example.com/v1 example.com/v2
example.com/a/v1 example.com/a/v2 example.com/a/v10 example.com/a/v02 example.com/a/v2.1 example.com/a/v0 example.com/a/v example.com/av2
example.com/v2/v3 example.com/a/v2.0.0 example.com/a/2 example.com/a.2 v2 v2.com 1.com a/b ab localhost localhost.localdev/sumdb
-x.com x.com/-y x.com/.y x.com/y. x.com/y.. x.com/... x.com/.. x.com/../y x.com//y x.com/y/ /x.com x.com/ X.com x.com/X x_y.com/z x.y_z/w
x.com/a~b x.com/a~1 x.com/a~1b x.com/a~1.go x.com/a~ x.com/~1 x.com/a~~2 x.com/con x.com/con.x x.com/x.con x.com/CoN x.com/com0 x.com/com1
x.com/LPT9.txt x.com/lpt x.com/aux x.com/nul x.com/prn x.com/conx x.com/clock$ con.com nul.x/y x.com/a+b x.com/a@b x.com/a:b x.com/a%2fb
x.com/a!b x.com/é é.com/a x.com/a*b x.com/a?b x.com/a\\b x.com/a;b x.com/a,b x.com/a=b x.com/a&b x.com/a#b x..com x.com./y .com/x x.-y/z
""".split() + ["", " ", "x.com/a b", "x.com/a\tb", "x.com/a\x00b", "x.com/a\nb", "x.com/☺", "."]

VERSIONS = """
v0.0.0 v1.2.3 v1.2 v1 v v1.2.3.4 1.2.3 V1.2.3 v01.2.3 v1.02.3 v1.2.03 v1.2.3-pre v1.2.3-pre.1 v1.2.3-01 v1.2.3-1 v1.2.3-0 v1.2.3-a.01 v1.2.3-a01
v1.2.3- v1.2.3-. v1.2.3-a. v1.2.3-.a v1.2.3-a..b v1.2.3+meta v1.2.3-pre+meta v1.2.3+ v1.2.3+a..b v1.2.3+a+b v1.2.3+01 v1.2.3+incompatible
v2.0.0+incompatible v2.0.0-pre+incompatible v2.0.0-rc.1+incompatible v1.2.3+incompatible.1 v1.2.3-pre_1 v1.2.3-é v1.2-pre v1-pre v1.2+meta
v0.0.0-20161208181325-20d25e280405 v0.0.0-20060102150405-hash v0.0.0-20060102150405 v0.0.0-20060102150405-hash+incompatible
v0.0.0-20060102150405-hash-more v0.0.0-20061302150405-hash v0.0.0-20060231150405-hash v0.0.0-20060102246060-hash v0.0.0-19691231235959-abc
v0.0.0-2006010215040-hash v0.0.0-200601021504055-hash v1.0.0-20060102150405-hash v1.0.1-20060102150405-hash v1.2.3-0.20060102150405-hash
v1.2.3-pre.0.20060102150405-hash v1.2.3-pre.20060102150405-hash v1.2.3-pre.0.20060102150405-hash+incompatible
v2.0.0-20060102150405-hash+incompatible v2.3.0-pre.0.20060102150405-hash+incompatible v1.2.3-00.20060102150405-hash v1.2.4-0.20060102150405-ABCdef012
v1.2.3-x-0.20060102150405-hash v1.2.3-x.0.20060102150405-ha.sh v0.1.0-20060102150405-hash v0.0.1-go1.21.0.linux-amd64
v0.0.1-go1.999testmod.linux-amd64 v99999999999999999999.0.0 v1.99999999999999999999.100000000000000000000 v1.0.0-RC1 v1.0.0-rC.1 v0.0.0-00010101000000-000000000000
v0.0.0-20060102150405-a_b v0.0.0-0.20060102150405-hash v1.2.3-0.0.20060102150405-hash v1.0.0-0 v1.0.0-alpha v1.0.0-alpha.1 v1.0.0-alpha.beta
v1.0.0-beta v1.0.0-beta.2 v1.0.0-beta.11 v1.0.0-rc.1 v1.0.0 v1.0.0-- v1.0.0--a v1.0.0-1a v1.0.0-9 v1.0.0-10 v1.0.0-a-b v1.0.0-a.b-c
""".split() + ["", "latest", "master", "v1.2.3 ", " v1.2.3", "v1.2.3\n"]

FILES = """
a a/b a.go .git .gitignore a/.b ..a a.. a. ... .. . a/.. ../a a/../b a/./b ./a /a a/ a//b con con.go a/con a/con.txt/b CON aux.go/x a/NuL.c.d com1 com0 COM9.x
lpt5 lpt0 lptx nul.tar.gz a~1 a~1/b -a -/b a:b a|b a*b a?b a"b a'b a`b a<b a>b a\\b a;b a!b a#b a$b a%b a&b a(b) a+b a,b a=b a@b [a] {a} a^b a_b
é Ω 日本語 ы/я ß ǅ ʰ ª º １ Ⅷ ² ☺ 🐧 a\u0301 \u00a0 \u200b \ufeff \u202e \U00010400 \U0001e900 \U000e0041 \ud7fb ﬁ
""".split() + ["", " ", "a b", " a", "a ", "a\x00", "a\nb", "a\tb", "\x7f", "a/ /b", "con ", "con .x", "a. /b"]

PATTERNS = """
* ** *.com *.corp.example.com example.com example.com/ example.com// example.com/* example.com/*/ */a */*/b *.*/a example.com/a/b/c/d ? ?xample.com e?ample.com
[e]xample.com [a-e]xample.com [^a]xample.com [^e]xample.com [e-a]xample.com [] [^] [a [a- [a-] []a] [-a] [a-b-c]x [\\]]x \\ a\\ exampl\\e.com exampl[\\e].com ex*.com ex*mple.com
ex*a*e.com *x*.com/*a* github.com/[A-Z]* github.com/?zure/* github.com/Azure/azure-*-go none example.com/[/] example.com[/]a [^x]xample.com/a example.com/a*b*c example.com/*a
golang.org/x/* golang.org/x/*/y rsc.io/quote/v3 rsc.io/*/v? é* [é]x [α-ω]* *é example.com\\/a / // *.in/*.v2 gopkg.in/yaml.v? e*e*e*e*e.com ***************x.com [a-z][a-z]*.[a-z]*
example.com/[a]/b exam[p]le.com/a * */* */*/* */*/*/* */*/*/*/* \\*.com [*].com [?]xample.com [a*b].com ex[*
""".split() + ["", " ", "example.com ", "a b*"]


def mutations(texts, alphabet, count, chance):
    """Some texts with a piece changed, left out, doubled, or taken from another."""
    made = []
    for _ in range(count):
        text = list(chance.choice(texts))
        for _ in range(chance.randint(1, 3)):
            place = chance.randint(0, len(text))
            kind = chance.randint(0, 4)
            if kind == 0:
                text[place:place] = chance.choice(alphabet)
            elif kind == 1:
                del text[place:place + chance.randint(1, 3)]
            elif kind == 2:
                text[place:place + 1] = chance.choice(alphabet)
            elif kind == 3:
                other = chance.choice(texts)
                at = chance.randint(0, len(other))
                text[place:] = other[at:]
            else:
                text[place:place] = text[max(0, place - chance.randint(1, 4)):place]
        made.append("".join(text)[:120])
    return made


def name_questions():
    chance = random.Random(20261122)
    questions = [["letters"], ["folds"]]
    paths = PATHS + mutations(PATHS, list("aAv0129.-_~/!+@é%") + ["/v", ".v", "~1", "con", "//", ".."], 500, chance)
    versions = VERSIONS + mutations(VERSIONS, list("v0129.-+aAzZ") + ["-0.", "+incompatible", "20060102150405", ".0."], 500, chance)
    files = FILES + mutations(FILES, list("aZ09./ -_~!$é☺\\:") + ["con", "..", "//", "aux."], 500, chance)
    questions += [["path", text] for text in paths]
    questions += [["version", text] for text in versions]
    questions += [["file", text] for text in files]
    questions += [["unescape-path", text] for text in mutations([p.lower().replace("azure", "!azure") for p in PATHS], list("!aZ./") + ["!a", "!!", "!1"], 250, chance)]
    questions += [["unescape-version", text] for text in VERSIONS + mutations([v.lower() for v in VERSIONS] + ["v1.0.0-!r!c1", "feature!x", "main"], list("!aZ.-") + ["!a", "!!", "!1"], 250, chance)]
    good_paths = [p for p in PATHS if p[:1].isalpha() and " " not in p]
    for _ in range(500):
        questions.append(["fits", chance.choice(good_paths), chance.choice(VERSIONS)])
    canonical = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+incompatible)?$")
    good_versions = [version for version in versions if canonical.match(version)]
    for _ in range(600):
        questions.append(["compare", chance.choice(good_versions), chance.choice(good_versions)])
    patterns = PATTERNS + mutations(PATTERNS, list("*?[]^-\\/ae.") + ["[a-z]", "*/", "/*"], 300, chance)
    targets = [p for p in PATHS if p.isascii() and len(p) > 3]
    for pattern in patterns:
        for target in chance.sample(targets, 3):
            questions.append(["pattern", pattern, target])
    for _ in range(600):
        # Patterns that were made from the path, so that many of them match.
        target = chance.choice(targets)
        pattern = list("/".join(target.split("/")[:chance.randint(1, 3)]))
        for _ in range(chance.randint(0, 3)):
            place = chance.randint(0, len(pattern))
            pattern[place:place + chance.randint(0, 3)] = chance.choice(["*", "?", "[a-z.]", "[^/]", "*", "**", "\\."])
        questions.append(["pattern", "".join(pattern), target])
    # Commas separate patterns in a list, and a pattern here is one of the list.
    seen, unique = set(), []
    for question in questions:
        key = json.dumps(question)
        if key not in seen and not (question[0] == "pattern" and "," in question[1]):
            seen.add(key)
            unique.append(question)
    return unique


# ---- zips

MODULE, VERSION = "example.com/Mod", "v1.2.3"
PREFIX = f"{MODULE}@{VERSION}/"


def plain_zip(files, method=zipfile.ZIP_DEFLATED, comment=b"", attributes=0):
    """A zip as Python writes it; files are (name, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = attributes
            info.compress_type = method
            archive.writestr(info, content)
        archive.comment = comment
    return buffer.getvalue()


def streamed_zip(files):
    """A zip whose sizes follow the data, as everybody writes it who cannot seek."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.bytes = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.bytes += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return bytes(pipe.bytes)


def damaged(data, chance):
    """A zip with some bytes changed, at places where headers are more often than elsewhere."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 2)):
        kind = chance.randint(0, 4)
        marks = [place for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\7\x08") for place in all_places(data, mark)]
        if kind < 3 and marks:
            mark = chance.choice(marks)
            place = min(len(data) - 1, mark + chance.randint(0, 45))
            data[place] = chance.choice([0, 1, 2, 8, 9, 255, data[place] ^ (1 << chance.randint(0, 7))])
        elif kind == 3:
            place = chance.randrange(len(data))
            data[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
        else:
            place = chance.randrange(len(data))
            del data[place:place + chance.randint(1, 20)]
    return bytes(data)


def all_places(data, mark):
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


def zip_questions():
    # Names are there twice on purpose.
    warnings.simplefilter("ignore")
    chance = random.Random(20261123)
    names = [PREFIX + name for name in FILES if "\ud800" > max(name, default="a")]
    names += [PREFIX, PREFIX + "/", PREFIX + "go.mod", PREFIX + "GO.MOD", PREFIX + "Go.mod", PREFIX + "a/go.mod", PREFIX + "vendor/a/go.mod",
              PREFIX + "a/Go.Mod", PREFIX + "LICENSE", PREFIX + "dir/", PREFIX + "dir/x", PREFIX + "vendor/modules.txt", PREFIX + "vendor/x/y.go",
              PREFIX[:-1], PREFIX[:-1] + ".txt", PREFIX.lower() + "a", "/" + PREFIX + "a", "../" + PREFIX + "a", "a", "", PREFIX + "ſ", PREFIX + "s",
              PREFIX + "K", PREFIX + "k", PREFIX + "ς", PREFIX + "σ", PREFIX + "Σ", PREFIX + "ẞ", PREFIX + "ß", PREFIX + "İ", PREFIX + "i", PREFIX + "ı"]
    zips = [plain_zip([(name, b"x" * index)]) for index, name in enumerate(names) if name]
    base = [PREFIX + name for name in ("go.mod", "a.go", "b/c.go", "b/d/e.go", "LICENSE", "B", "b/C.go", "b/d", "dir/", "b/", "É/x", "é/y", "z/É")]
    for _ in range(120):
        chosen = [chance.choice(base) for _ in range(chance.randint(0, 5))]
        files = [(name, b"" if name.endswith("/") else bytes(chance.choice(b"ab\n") for _ in range(chance.randint(0, 40)))) for name in chosen]
        zips.append(chance.choice([plain_zip, streamed_zip])(files))
    good = [(PREFIX + "go.mod", b"module example.com/Mod\n"), (PREFIX + "a.go", b"package a\n" * 9), (PREFIX + "sub/b.go", b"package sub\n")]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        zips.append(plain_zip(good, method))
    zips.append(plain_zip(good, comment=b"a comment"))
    zips.append(plain_zip([]))
    whole = [plain_zip(good), plain_zip(good, zipfile.ZIP_STORED), streamed_zip(good)]
    zips += whole + [b"", b"PK", b"x" + whole[0], whole[0] + b"x", whole[0] + whole[1], whole[1] + whole[0]]
    zips += [damaged(chance.choice(whole), chance) for _ in range(220)]
    encoded = dict.fromkeys(base64.b64encode(data).decode() for data in zips)
    return [["zip", MODULE, VERSION, text] for text in encoded]


# ---- asking

def build(folder):
    """The oracle, built against the x/mod of the installed Go."""
    root = pathlib.Path(subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip())
    library = folder / "mod"
    shutil.copytree(root / "src/cmd/vendor/golang.org/x/mod", library)
    (library / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.25\n")
    (folder / "main.go").write_text((HERE / "go_oracle/main.go").read_text())
    (folder / "go.mod").write_text("module oracle\n\ngo 1.25\n\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ./mod\n")
    subprocess.run(["go", "build", "-o", "oracle", "."], cwd=folder, check=True)
    return folder / "oracle"


def ask(oracle, questions):
    lines = "".join(json.dumps(question, ensure_ascii=True) + "\n" for question in questions)
    done = subprocess.run([oracle], input=lines, check=True, capture_output=True, text=True, encoding="utf-8")
    return [json.loads(line) for line in done.stdout.splitlines()]


def kept(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def main():
    with tempfile.TemporaryDirectory() as folder:
        oracle = build(pathlib.Path(folder))
        wrong = 0
        for name, make in (("go_names.jsonl", name_questions), ("go_zips.jsonl", zip_questions)):
            if sys.argv[1:] == ["--write"]:
                questions = make()
                answers = ask(oracle, questions)
                DATA.mkdir(parents=True, exist_ok=True)
                with (DATA / name).open("w", encoding="utf-8") as file:
                    for question, answer in zip(questions, answers, strict=True):
                        file.write(json.dumps([*question, answer], ensure_ascii=True, separators=(",", ":")) + "\n")
                print(f"{name}: {len(questions)} questions")
                continue
            lines = kept(name)
            answers = ask(oracle, [line[:-1] for line in lines])
            for line, answer in zip(lines, answers, strict=True):
                if line[-1] != answer:
                    wrong += 1
                    print(f"{name}: {str(line[:-1])[:200]}: kept {line[-1]}, Go says {answer}", file=sys.stderr)
            print(f"{name}: {len(lines)} answers compared")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
