"""Without a network: what is kept goes on being given, and a bundle brings modules with their proofs to where there is none."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile

import pytest

import go_suite
import go_tree
import golang
import rig

MAIN = """package main

import greet "example.com/greet/v2"

func main() { println(greet.Hi()) }
"""
NEEDED = {("example.com/greet/v2", "v2.0.0"), ("github.com/Masq/Upper", "v1.0.0")}


def build(go, source=MAIN):
    """Builds a program that needs two modules, with nothing known but its go.mod; returns what it prints."""
    go.write("main.go", source)
    go.write(
        "go.mod",
        "module m\n\ngo 1.20\n\nrequire (\n\texample.com/greet/v2 v2.0.0\n\tgithub.com/Masq/Upper v1.0.0 // indirect\n)\n",
    )
    go("mod", "tidy").ok()
    go("build", "-o", "app", ".").ok()
    return subprocess.run([go.module / "app"], capture_output=True, text=True, check=True).stderr


def without_upstream(database):
    """A gateway's section that nothing is fetched by, and everything checked."""
    return {"modules": {"upstream": "off", "sumdb": database.key, "verify": "required"}}


def test_what_is_kept_is_given_when_the_upstream_is_gone(start_gateway, start_go, source, database):
    gateway = start_gateway(golang.settings(source, cache={"fresh": "1s"}))
    assert build(start_go(gateway, database.key)) == "hi2 upper\n"
    first = rig.http(f"{gateway.url}/go/example.com/greet/@v/list")
    source.close()
    # A go command that knows nothing yet, neither modules nor the database.
    assert build(start_go(gateway, database.key)) == "hi2 upper\n"
    again = rig.http(f"{gateway.url}/go/example.com/greet/@v/list")
    assert (again.status, again.body) == (200, first.body)
    go = start_go(gateway, database.key)
    go.download("example.com/tip@v0.0.0-20240102030405-0123456789ab").refused("server response:", "127.0.0.1")
    # The same after a restart: nothing of it was only in memory.
    gateway.stop()
    restarted = start_gateway(golang.settings(source), folder=gateway.folder)
    assert build(start_go(restarted, database.key)) == "hi2 upper\n"


@pytest.fixture
def bundle(start_gateway, start_go, source, database, tmp_path):
    """What a build needs, as a file."""
    gateway = start_gateway(golang.settings(source))
    go = start_go(gateway, database.key)
    assert build(go) == "hi2 upper\n"
    file = tmp_path / "bundle.tar"
    exported = golang.tradewind(
        *("modules", "export", "--go-sum", go.module / "go.sum", "-o", file, "-f", gateway.file, "--url", gateway.url)
    ).ok()
    assert "2 versions" in exported.err, exported
    gateway.stop()
    source.close()
    return file


def taken_in(gateway, bundle, *more):
    return golang.tradewind("modules", "import", bundle, "--offline", "-f", gateway.file, *more)


def test_a_bundle_builds_behind_a_gateway_without_a_network(bundle, start_gateway, start_go, database):
    gateway = start_gateway(without_upstream(database))
    imported = taken_in(gateway, bundle).ok()
    assert "2 versions imported" in imported.err
    assert build(start_go(gateway, database.key)) == "hi2 upper\n"
    assert {(row["module"], row["version"]) for row in golang.stored(gateway)} == NEEDED
    assert f"against the checksum database {database.name}" in golang.why(gateway, "github.com/Masq/Upper@v1.0.0")
    assert "2 there already" in taken_in(gateway, bundle).ok().err


def test_an_unpacked_bundle_builds_without_a_gateway(bundle, start_go, database, tmp_path):
    with tarfile.open(bundle) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    go = start_go(f"file://{tmp_path / 'unpacked/cache/download'}", database.key)
    assert build(go) == "hi2 upper\n"


def test_a_toolchain_comes_in_a_bundle(start_gateway, start_go, start_upstream, tmp_path):
    """No go.sum names the toolchain that a go.mod wants: it is said, and taken where it is asked for."""
    tree = go_tree.Tree()
    tree.add("example.com/dep", "v1.0.0", {"dep.go": "package dep\n"})
    script = '#!/bin/sh\necho "go version go1.999.9 linux/amd64"\n'
    files = {
        "bin/go": script,
        "bin/gofmt": script,
        "pkg/tool/linux_amd64/asm": script,
        "lib/time/go_linux_exec": script,
        "VERSION": "go1.999.9\n",
        "src/_go.mod": "module std\n",
    }
    tree.add("golang.org/toolchain", "v0.0.1-go1.999.9.linux-amd64", files, go_mod="module golang.org/toolchain\n")
    database = golang.Database().add_tree(tree)
    source = start_upstream(tree, database)
    online = start_gateway(golang.settings(source))
    module = tmp_path / "needs"
    module.mkdir()
    module.joinpath("go.mod").write_text("module needs\n\ngo 1.21.0\n\ntoolchain go1.999.9\n")
    of_dep = [line for line in tree.go_sum().splitlines() if line.startswith("example.com/dep ")]
    module.joinpath("go.sum").write_text("".join(f"{line}\n" for line in of_dep))
    file = tmp_path / "toolchain.tar"

    def export(*more):
        fixed = ("modules", "export", "--go-sum", module / "go.sum", "-o", file, "--force", "-f", online.file)
        return golang.tradewind(*fixed, "--url", online.url, *more).ok().err

    assert "wants go1.999.9, which no go.sum names" in export()
    assert "2 versions, 2 proven" in export("--toolchain", "linux-amd64")
    source.close()
    gateway = start_gateway(without_upstream(database))
    taken_in(gateway, file).ok()
    go = start_go(gateway, database.key, GOTOOLCHAIN="go1.999.9", GOARCH="amd64", GOOS="linux")
    assert go("version").ok().out == "go version go1.999.9 linux/amd64\n"


def tampered(bundle, name, data, admitted):
    """The bundle with another file in the place of one; its list of contents tells of it, where it is `admitted`."""
    target = bundle.with_name(f"tampered-{admitted}.tar")
    with tarfile.open(bundle) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member).read()
            if member.name == name:
                content = data
            elif member.name == "manifest.json" and admitted:
                manifest = json.loads(content)
                manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
                content = json.dumps(manifest).encode()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return target


def test_a_bundle_that_was_tampered_with_is_refused(bundle, start_gateway, start_go, database):
    """Somebody on the way swaps the zip of one module for another good one: the proof that came along is against it."""
    other = go_tree.Tree()
    other.add("github.com/Masq/Upper", "v1.0.0", {"upper.go": 'package upper\n\nfunc Hi() string { return "owned" }\n'})
    name = "github.com/!masq/!upper/@v/v1.0.0.zip"
    swap = (bundle, f"cache/download/{name}", other.files[name])
    gateway = start_gateway(without_upstream(database))
    taken_in(gateway, tampered(*swap, admitted=False)).refused("is not what the bundle's manifest says")
    refused = taken_in(gateway, tampered(*swap, admitted=True)).refused("1 version refused")
    assert "refused github.com/Masq/Upper@v1.0.0" in refused.err
    assert {row["module"] for row in golang.stored(gateway)} == {"example.com/greet/v2"}
    assert f"its zip has another hash than {database.name} has" in golang.why(gateway, "github.com/Masq/Upper@v1.0.0")


@pytest.mark.parametrize("damage", ["cut", "no tar", "empty"])
def test_a_bundle_that_is_none(bundle, start_gateway, database, damage):
    data = bundle.read_bytes()
    bundle.write_bytes({"cut": data[: len(data) // 2], "no tar": b"this is no bundle" * 100, "empty": b""}[damage])
    gateway = start_gateway(without_upstream(database))
    said = taken_in(gateway, bundle)
    assert said.status != 0 and "error" in said.err, said
    assert golang.tradewind("modules", "verify", "-f", gateway.file).status == 0


def test_a_module_cache_is_taken_in(start_gateway, start_go, source, database):
    """GOMODCACHE of a machine that has a network, as it is."""
    first = start_gateway(golang.settings(source))
    go = start_go(first, database.key)
    build(go)
    source.close()
    first.stop()
    gateway = start_gateway(without_upstream(database))
    taken_in(gateway, go.cache, "--go-sum", go.module / "go.sum").ok()
    assert {(row["module"], row["version"]) for row in golang.stored(gateway)} >= NEEDED
    assert build(start_go(gateway, "off")) == "hi2 upper\n"


def test_the_storage_of_athens_is_taken_in(start_gateway, start_go, tree, database, tmp_path):
    """Athens keeps `path/version/{go.mod,version.info,source.zip}`."""
    for path, version in NEEDED:
        base = f"{go_tree.escaped(path)}/@v/{go_tree.escaped(version)}"
        folder = tmp_path / "athens" / go_tree.escaped(path) / version
        folder.mkdir(parents=True)
        for ending, name in ((".info", f"{version}.info"), (".mod", "go.mod"), (".zip", "source.zip")):
            (folder / name).write_bytes(tree.files[base + ending])
    go_sum = tmp_path / "trusted.sum"
    go_sum.write_text(tree.go_sum(*NEEDED))
    gateway = start_gateway(without_upstream(database))
    arguments = (
        "modules",
        "import",
        "athens",
        tmp_path / "athens",
        "--offline",
        "--go-sum",
        go_sum,
        "-f",
        gateway.file,
    )
    golang.tradewind(*arguments).ok()
    assert {(row["module"], row["version"]) for row in golang.stored(gateway)} == NEEDED
    assert build(start_go(gateway, "off")) == "hi2 upper\n"


def test_goes_own_modules_and_database_without_a_network(start_gateway, start_go, tmp_path):
    """The module proxy and the database of Go's own tests: a bundle of rsc.io/quote, and a build from it elsewhere."""
    port = rig.free_port()
    suite = rig.Program(
        ["env", "-C", go_suite.GO / "go/src/cmd/go", go_suite.GO / "cmdgo.test", f"-proxy=127.0.0.1:{port}"],
        tmp_path / "suite.log",
        go_suite.environment(tmp_path, TP_ADDR=f"127.0.0.1:{port}", TP_URL=f"http://127.0.0.1:{port}/mod"),
    )
    try:
        suite.wait_for_http(f"http://127.0.0.1:{port}/mod/rsc.io/quote/@v/list")
        first = start_gateway({"modules": {"upstream": f"http://127.0.0.1:{port}/mod", "sumdb": go_suite.KEY}})
        go = start_go(first, go_suite.KEY)
        quote = 'package main\n\nimport "rsc.io/quote"\n\nfunc main() { println(quote.Hello()) }\n'
        go.write("main.go", quote)
        go("get", "rsc.io/quote@v1.5.2").ok()
        go("build", "-o", "app", ".").ok()
        bundle = tmp_path / "quote.tar"
        golang.tradewind(
            *("modules", "export", "--go-sum", go.module / "go.sum", "-o", bundle, "-f", first.file, "--url", first.url)
        ).ok()
    finally:
        suite.kill()
    first.stop()
    gateway = start_gateway({"modules": {"upstream": "off", "sumdb": go_suite.KEY}})
    taken_in(gateway, bundle).ok()
    away = start_go(gateway, go_suite.KEY)
    away.write("main.go", quote)
    for name in ("go.mod", "go.sum"):
        shutil.copy(go.module / name, away.module / name)
    away("build", "-o", "app", ".").ok()
    # Also where go.sum is not there yet, so that the database has to say.
    (away.module / "go.sum").unlink()
    away.forget()
    away("mod", "download", "all").ok()
    away("build", "-mod=mod", "-o", "app", ".").ok()
    assert set((away.module / "go.sum").read_text().splitlines()) >= set(
        (go.module / "go.sum").read_text().splitlines()
    )
