"""Causes in settings and files: the list of module proxies, GOENV, GOSUMDB, toolchains, vendor folders, the cache."""

import os
import pathlib
import shutil
import subprocess

from cell import ByHand, cell, healthy
from forge import forge, private
from servers import not_found
from world import COMPANY, GO, NOBODY, OLD_GO, PUBLIC, run

GOPROXY = "https://goproxy.corp.test"


@cell(20, "refusing to pass credentials to insecure URL")
def credentials_over_http(world):
    site = world.company(secure=True)
    secret = world.secret("pass-4711-word")
    import base64

    site.only = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    world.env["GOPROXY"] = f"http://me:{secret}@goproxy.corp.test:443"


@cell(35, "first path segment in URL cannot contain colon", quick=True)
def quotes(world):
    world.company()
    world.env["GOPROXY"] = f"'{GOPROXY},direct'"


@cell(35, "invalid port|invalid character|non-path|no such host")
def semicolon(world):
    world.company()
    world.env["GOPROXY"] = f"{GOPROXY};direct"


@cell(35, "invalid port|invalid character|no such host")
def full_width_comma(world):
    world.company()
    world.env["GOPROXY"] = f"{GOPROXY}\uff0cdirect"


@cell(35, "invalid character|invalid port")
def backslash_in_go_env(world):
    world.company()
    del world.env["GOPROXY"]
    world.go_env(GOPROXY=f"{GOPROXY}\\")


@cell(36, "invalid proxy URL scheme")
def unknown_scheme(world):
    world.company()
    world.env["GOPROXY"] = "htps://goproxy.corp.test"


@cell(37, "GOPROXY list is not the empty string, but contains no entries")
def only_commas(world):
    world.company()
    world.env["GOPROXY"] = ","
    world.go_env(GOPROXY=GOPROXY)


@cell(37, "GOPROXY list is not the empty string, but contains no entries|missing GOPROXY|module lookup disabled")
def no_go_env_in_goroot(world):
    """A GOROOT that a package manager has copied without go.env."""
    world.public(certificate=world.authority.sign("proxy.golang.org"))
    world.inside.update(world.outside)
    del world.env["GOPROXY"]
    copy = world.folder / "go.env"
    copy.write_text("")
    run("mount", "--bind", copy, GO / "go.env")


@cell(38, "module lookup disabled by GOPROXY=off", quick=True)
def off(world):
    world.company()
    world.env["GOPROXY"] = "off"
    world.go_env(GOPROXY=GOPROXY)


@cell(38, "module lookup disabled by GOPROXY=off")
def off_in_go_env(world):
    world.public()
    world.inside.update(world.outside)
    del world.env["GOPROXY"]
    world.go_env(GOPROXY="off")


@cell(40, "no such host")
def environment_hides_go_env(world):
    world.company()
    world.env["GOPROXY"] = "https://old-proxy.corp.test"
    world.go_env(GOPROXY=GOPROXY)


@cell(41, "no such host")
def profile_of_the_shell(world):
    """Started by sudo or a service: the shell's profile was never read."""
    world.public()
    world.http_proxy()
    (world.home / ".profile").write_text("export HTTPS_PROXY=http://proxy.corp.test:3128\n")


@cell(41, "no such host", shows="^https://proxy.golang.org,direct$")
def profile_with_another_goproxy(world):
    world.company()
    del world.env["GOPROXY"]
    (world.home / ".bashrc").write_text(f"export GOPROXY={GOPROXY}\n")


@cell(46, 'exec: "git": executable file not found')
def no_git(world):
    world.env["GOPROXY"] = "direct"
    world.inside["github.com"] = COMPANY
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n\nrequire github.com/Masq/Upper v1.0.0\n")
    world.write("go.sum", world.tree.go_sum(("github.com/Masq/Upper", "v1.0.0")))
    world.only_programs()
    world.site("proxy.golang.org", PUBLIC)


@cell(46, 'exec: "git": executable file not found')
def no_git_for_a_private_module(world):
    world.public()
    world.inside.update(world.outside)
    world.env["GOPRIVATE"] = "git.corp.test"
    world.only_programs()
    private(world)
    world.package_manager("git", f"ln -s {shutil.which('git')} {world.folder}/bare/git")


@cell(49, "GOVCS disallows using git")
def govcs(world):
    world.env["GOPROXY"] = "direct"
    world.env["GOVCS"] = "*:off"
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n\nrequire github.com/Masq/Upper v1.0.0\n")
    world.write("go.sum", world.tree.go_sum(("github.com/Masq/Upper", "v1.0.0")))
    forge(world, "github.com", "github.com/Masq/Upper")


@cell(52, "invalid GOSUMDB", quick=True)
def sumdb_on(world):
    """People who want it on write `on`."""
    world.company()
    world.go_env(GOSUMDB=world.env["GOSUMDB"])
    world.env["GOSUMDB"] = "on"
    (world.app / "go.sum").unlink()


@cell(53, "checksum database disabled by GOSUMDB=off")
def toolchain_without_sumdb(world):
    toolchain(world)
    world.go_env(GOSUMDB=world.env["GOSUMDB"])
    world.env["GOSUMDB"] = "off"


@cell(54, "toolchain not available")
def toolchain_not_on_the_mirror(world):
    world.company()
    world.write("go.mod", (world.app / "go.mod").read_text().replace("go 1.20\n", "go 1.20\n\ntoolchain go1.99.1\n"))

    return ByHand("toolchain", "export GOTOOLCHAIN=local")


def toolchain(world):
    """A module that asks for a newer go, and a mirror that has it: a script that says so and does what the old one does."""
    site = world.company()
    version = "v0.0.1-go1.99.1.linux-amd64"
    # The same go, which takes the module for one of its own time.
    own = (
        "#!/bin/sh\nunset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOTOOLCHAIN_INTERNAL_SWITCH_COUNT\n"
        "sed 's/^go .*/go 1.20/; /^toolchain/d' go.mod >$TMPDIR/newer.mod && cp go.sum $TMPDIR/newer.sum\n"
        f'GOTOOLCHAIN=local GOFLAGS="$GOFLAGS -modfile=$TMPDIR/newer.mod" exec {GO}/bin/go "$@"\n'
    )
    # A zip of a toolchain has no go.mod of its own.
    inside = [
        (f"golang.org/toolchain@{version}/{name}", data)
        for name, data in (
            ("pkg/tool/linux_amd64/none", b"none\n"),
            ("bin/gofmt", b"#!/bin/sh\n"),
            ("lib/none", b"none\n"),
            ("src/none", b"none\n"),
            ("bin/go", own.encode()),
            ("VERSION", b"go1.99.1\ntime 2026-01-01T00:00:00Z\n"),
        )
    ]
    import go_tree

    info = f'{{"Version": "{version}", "Time": "2026-01-01T00:00:00Z"}}'.encode()
    mod = b"module golang.org/toolchain\n"
    world.tree.put("golang.org/toolchain", version, info, mod, go_tree.zipped(inside), go_tree.h1(inside), listed=False)
    world.database.add("golang.org/toolchain", version, *world.tree.sums["golang.org/toolchain", version])
    world.write("go.mod", (world.app / "go.mod").read_text().replace("go 1.20\n", "go 1.20\n\ntoolchain go1.99.1\n"))
    return site


@cell(55, r"requires go >= 1\.99", quick=True)
def toolchain_too_old(world):
    toolchain(world)
    world.write("go.mod", (world.app / "go.mod").read_text().replace("go 1.20\n\ntoolchain go1.99.1\n", "go 1.99.1\n"))
    world.go_env(GOTOOLCHAIN="local")


@cell(59, "missing go.sum entry", quick=True)
def missing_go_sum_entry(world):
    world.company()
    (world.app / "go.sum").write_text("")
    world.command = "go list -deps ."


@cell(60, "not a valid zip file")
def truncated_zip_in_the_cache(world):
    world.company()
    assert world.go().status == 0
    cache = pathlib.Path(world.env["GOPATH"]) / "pkg/mod"
    with open(cache / "cache/download/example.com/greet/@v/v1.1.0.zip", "r+b") as file:
        file.truncate(100)
    shutil.rmtree(cache / "example.com/greet@v1.1.0")


@cell(60, "checksum mismatch")
def other_hash_in_the_cache(world):
    world.company()
    assert world.go().status == 0
    cache = pathlib.Path(world.env["GOPATH"]) / "pkg/mod"
    (cache / "cache/download/example.com/greet/@v/v1.1.0.ziphash").write_text(
        "h1:AAAAkkD9k7lYzXqCYrwGAf7iNhbk4yCjHmKBN9td4L0="
    )
    shutil.rmtree(cache / "example.com/greet@v1.1.0")


@cell(62, "could not create module cache|not a directory")
def cache_is_a_file(world):
    world.company()
    file = world.folder / "cache"
    file.write_text("a file")
    world.env["GOMODCACHE"] = str(file / "mod")


@cell(62, "permission denied")
def cache_of_root(world):
    """After `sudo go build`, somewhere in the cache."""
    world.company()
    world.give_to(NOBODY)
    made = pathlib.Path(world.env["GOPATH"]) / "pkg/mod/cache"
    made.mkdir(parents=True)
    # The world's sudo is a program that root gives orders to.
    orders, socket = world.folder / "orders", world.folder / "answers"
    os.mkfifo(orders)
    os.mkfifo(socket)
    for pipe in (orders, socket):
        pipe.chmod(0o666)
    world.program("sudo", f'printf "%s\\n" "$*" >{orders}; exit "$(cat {socket})"')

    def serve():
        while True:
            command = orders.read_text().strip()
            done = subprocess.run(["sh", "-c", command], env=world.env | {"SUDO_UID": str(NOBODY)}, check=False)
            socket.write_text(str(done.returncode))

    import threading

    threading.Thread(target=serve, daemon=True).start()


@cell(62, "no space left on device")
def disk_full(world):
    world.company()
    disk = world.folder / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "rig", disk)
    (disk / "photos").write_bytes(b"x" * (56 << 10))
    world.env["GOMODCACHE"] = str(disk / "mod")
    return ByHand("room", lambda: (disk / "photos").unlink() or run("mount", "-o", "remount,size=16m", disk))


@cell(67, "inconsistent vendoring", quick=True)
def stale_vendor(world):
    world.company()
    world.write("vendor/modules.txt", "# example.com/greet v1.0.0\n## explicit\nexample.com/greet\n")
    world.write("vendor/example.com/greet/greet.go", "package greet\n")
    world.command = "go list -deps ."


@cell(67, "-mod=vendor|vendor")
def vendor_by_flag(world):
    world.company()
    world.env["GOFLAGS"] = "-modcacherw -mod=vendor"
    world.command = "go list -deps ."


@cell(68, "modules disabled by GO111MODULE=off|GO111MODULE", quick=True)
def modules_off(world):
    world.company()
    world.go_env(GO111MODULE="off")


@cell(70, "invalid go version '1.27.0': must match format", quick=True)
def old_go_at_a_go_mod_of_today(world):
    """The system's own go stands before the one that was installed since."""
    world.company()
    world.write("go.mod", (world.app / "go.mod").read_text().replace("go 1.20\n", "go 1.27.0\n"))
    world.env["PATH"] = f"{OLD_GO}/bin:{world.env['PATH']}"


@cell(70, "", status=0)
def old_go_that_works(world):
    """Nothing fails, and what comes is checked with the holes of its time."""
    world.company()
    world.env["PATH"] = f"{OLD_GO}/bin:{world.env['PATH']}"


@healthy(quick=True)
def company_proxy(world):
    world.company()


@healthy()
def file_proxy(world):
    world.env["GOPROXY"] = f"file://{world.tree.write(world.folder / 'tree')}"


@healthy()
def plain_http(world):
    world.company(port=80, secure=False)
    world.env["GOPROXY"] = "http://goproxy.corp.test"


@healthy()
def several_with_fallback(world):
    world.company()
    world.site("empty.corp.test", "203.0.113.12").gate = lambda path, headers: not_found()
    world.env["GOPROXY"] = "https://empty.corp.test,https://goproxy.corp.test,direct"


@healthy()
def everything_looked_up(world):
    """A project that needs nothing yet: what it gets is looked up in the checksum database."""
    world.company()
    (world.app / "go.sum").unlink()
    world.write("go.mod", "module example.org/app\n\ngo 1.20\n")
    world.write("main.go", "package main\n\nfunc main() {}\n")
    world.command = "go get example.com/greet/v2@v2.0.2"


@healthy()
def offline_with_a_full_cache(world):
    world.company()
    assert world.go().status == 0
    world.env["GOPROXY"] = "off"
    world.env["RIG_KEEP_CACHE"] = "1"


@healthy()
def no_project(world):
    world.company()
    for name in ("go.mod", "go.sum", "main.go"):
        (world.app / name).unlink()
    world.command = "go version"


@healthy()
def vendored(world):
    world.company()
    world.write("vendor/modules.txt", "# example.com/greet v1.1.0\n## explicit; go 1.20\nexample.com/greet\n")
    world.write("vendor/example.com/greet/greet.go", 'package greet\n\nfunc Hi() string { return "" }\n')
    world.command = "go list -deps ."
