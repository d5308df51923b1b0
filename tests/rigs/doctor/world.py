"""A fresh machine for each cell of the doctor's rig: names, certificates, sites, a user, a Go project.

It lives in namespaces of its own (network, mounts, processes), so that name servers, `/etc/resolv.conf`, the system's
certificates and every port are the cell's, and nothing of it is left behind. It needs root, or sudo without a password.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

RIGS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(RIGS), str(RIGS.parent / "clients")]

import go_tree  # noqa: E402
import rig  # noqa: E402
from go_sumdb import Database  # noqa: E402
from servers import Authority, HttpProxy, NameServer, Site  # noqa: E402

GO = (go_tree.PEERS / "go/go").resolve()
# A go command from before 1.21, with the holes of its time.
OLD_GO = (go_tree.PEERS / "old-go").resolve()
COMPILED = go_tree.PEERS / "go-cache"
# Addresses. All are on the loopback device of the namespace; none is private, for a private one is suspicious.
RESOLVER = "198.51.100.53"
PROXY = "198.51.100.8"
COMPANY = "198.51.100.10"
FORGE = "198.51.100.11"
PUBLIC = "203.0.113.10"
SUMS = "203.0.113.11"
ELSEWHERE = "203.0.113.12"
# Packets to these vanish.
BLACK_HOLE = "192.0.2.66"
NOBODY = 65534
APP = "module example.org/app\n\ngo 1.20\n\nrequire example.com/greet v1.1.0\n"
MAIN = 'package main\n\nimport "example.com/greet"\n\nfunc main() { println(greet.Hi()) }\n'


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@dataclass
class Ran:
    """How a command ended, and what it said; `status` is None when it was killed after its time."""

    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def said(self):
        return self.err + self.out


class World:
    """The machine. It is made in the process's own namespaces: see `run.py`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.lock_the_machine()
        self.user = 0
        self.binary = rig.binary("tradewind")
        self.secrets = []
        self.command = "go mod download"
        self.limit = 60
        self.tree = go_tree.corpus()
        self.database = Database("sum.corp.test").add_tree(self.tree).pad(300)
        self.inside = {}
        self.outside = {}
        self.make_network()
        self.make_system()
        self.make_user()

    # The machine.

    def lock_the_machine(self):
        """Makes everything read-only but the world's folder and what Go has compiled: cells run as root, and run what a
        report says."""
        COMPILED.mkdir(exist_ok=True)
        for own in (self.folder, COMPILED):
            run("mount", "--bind", own, own)
        kept = {str(self.folder), str(COMPILED.resolve())}
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        for target in dict.fromkeys(line.split()[4] for line in lines):
            if target in kept or target.startswith(("/proc", "/sys", "/dev")):
                continue
            run("mount", "-o", "remount,bind,ro", target)
        for place in ("/", str(GO)):
            probe = pathlib.Path(place) / ".written-by-a-cell"
            try:
                probe.touch()
            except OSError:
                continue
            probe.unlink()
            raise AssertionError(f"{place} can be written")

    def make_network(self):
        run("ip", "link", "set", "lo", "up")
        for address in (RESOLVER, PROXY, COMPANY, FORGE, PUBLIC, SUMS, ELSEWHERE):
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        run("ip", "link", "add", "hole", "type", "veth", "peer", "name", "bottom")
        for device in ("hole", "bottom"):
            run("ip", "link", "set", device, "up")
        run("ip", "address", "add", "192.0.2.1/24", "dev", "hole")
        run("ip", "neigh", "add", BLACK_HOLE, "lladdr", "02:00:00:00:00:66", "dev", "hole", "nud", "permanent")

    def make_system(self):
        self.authority = Authority(self.folder)
        NameServer(RESOLVER, self.inside)
        system = self.folder / "etc"
        system.mkdir()
        self.replace("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        self.replace("/etc/hosts", "127.0.0.1 localhost\n")
        for folder in ("/etc/ssl/certs", "/usr/local/share/ca-certificates", "/etc/profile.d"):
            if os.path.isdir(folder):
                run("mount", "-t", "tmpfs", "-o", "mode=755", "rig", folder)
        for file in ("/etc/environment", "/etc/profile", "/etc/gitconfig"):
            if os.path.exists(file):
                self.replace(file, "")
        self.bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        self.trust(self.authority)

    def replace(self, path, text):
        """Another content for a file of the machine, in this world alone."""
        copy = self.folder / "etc" / path.strip("/").replace("/", "-")
        copy.write_text(text)
        run("mount", "--bind", copy, path)
        return copy

    def trust(self, *authorities):
        """The system's root certificates."""
        self.bundle.write_bytes(b"".join(authority.pem for authority in authorities))

    def make_user(self):
        self.home = self.folder / "home"
        self.app = self.folder / "app"
        self.bin = self.folder / "bin"
        for folder in (self.home, self.app, self.bin):
            folder.mkdir()
        # Nothing of the machine's own desktop may speak.
        self.program("gsettings", "exit 1")
        self.program("sudo", 'exec "$@"')
        (self.folder / "tmp").mkdir()
        (self.folder / "tmp").chmod(0o1777)
        self.env = {
            "TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.home),
            "PATH": f"{GO}/bin:{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "GOPATH": str(self.folder / "gopath"),
            "GOCACHE": str(COMPILED),
            "GOFLAGS": "-modcacherw",
            "GOTELEMETRY": "off",
            "SHELL": "/bin/bash",
            "GOSUMDB": self.database.key,
        }
        self.write("go.mod", APP)
        self.write("main.go", MAIN)
        self.write("go.sum", self.tree.go_sum(("example.com/greet", "v1.1.0")))

    def program(self, name, script):
        """A program in front of the machine's own."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def only_programs(self, *names):
        """A machine with these programs and Go's, and no others."""
        bare = self.folder / "bare"
        bare.mkdir()
        for name in (*names, *"sh bash cat cp curl env id ln chmod chown rm mkdir sed grep sleep true".split()):
            (bare / name).symlink_to(shutil.which(name))
        self.env["PATH"] = f"{GO}/bin:{self.bin}:{bare}"

    def write(self, name, text):
        file = self.app / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def go_env(self, **values):
        """What `go env -w` has written."""
        file = self.home / ".config/go/env"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def goroot_env(self, **values):
        """What the image's own go.env says, in GOROOT."""
        lines = (GO / "go.env").read_text().splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in values]
        copy = self.folder / "go.env"
        copy.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in values.items())]) + "\n")
        run("mount", "--bind", copy, GO / "go.env")

    def package_manager(self, package, brings):
        """An apt-get that the machine's own one agrees with, and that brings what the package has."""
        own = shutil.which("apt-get")
        self.program(
            "apt-get",
            f'case "$*" in update) ;; "install -y {package}") {own} -s "$@" >/dev/null && {brings} ;; *) exit 100 ;; esac',
        )

    def secret(self, text):
        """A text that must not be seen in anything the doctor prints."""
        self.secrets.append(text)
        return text

    # What is around it.

    def site(self, host, address, port=443, secure=True, certificate=None, names=None, **more):
        """A module proxy with the world's modules and checksum database, as `host`, which is known inside unless `names`
        says where."""
        if secure and certificate is None:
            certificate = self.authority.sign(host)
        more = {"database": self.database} | more
        site = Site(address, port, more.pop("tree", self.tree), certificate=certificate if secure else None, **more)
        (self.inside if names is None else names)[host] = address
        return site

    def company(self, **more):
        """The company's own module proxy, in GOPROXY."""
        self.env["GOPROXY"] = "https://goproxy.corp.test"
        return self.site("goproxy.corp.test", COMPANY, **more)

    def public(self, **more):
        """The public module proxy, as everybody has it, in GOPROXY: nobody inside knows its name."""
        self.env["GOPROXY"] = "https://proxy.golang.org,direct"
        return self.site("proxy.golang.org", PUBLIC, names=self.outside, **more)

    def http_proxy(self, port=3128, **more):
        """The company's way out: it knows the names inside and outside."""
        self.inside["proxy.corp.test"] = PROXY
        return HttpProxy(PROXY, port, Both(self.inside, self.outside), **more)

    # The user's commands.

    def shell(self, script, limit=None):
        """What a user types."""
        started = time.monotonic()
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.app,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=self.user or None,
            group=self.user or None,
            extra_groups=[] if self.user else None,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=limit or self.limit)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
            status = None
        return Ran(status, out, err, time.monotonic() - started)

    def go(self):
        """The go command that the user is after."""
        return self.shell(self.command)

    def doctor(self, *arguments):
        return self.shell(f"{self.binary} doctor {' '.join(arguments)}", limit=90)

    def report(self):
        ran = self.doctor("--go", "--json")
        try:
            return json.loads(ran.out), ran
        except ValueError:
            raise AssertionError(f"no JSON from the doctor:\n{ran.out}\n{ran.err}") from None

    def start(self, *command, **environment):
        """A program that runs as long as the world does."""
        return Program(self, command, self.env | environment)

    def give_to(self, user):
        """Makes somebody else than root the user."""
        run("chown", "-R", f"{user}:{user}", self.home, self.app)
        # What is below root's home is not for others.
        for name, source in (("go", GO), ("tradewind", pathlib.Path(self.binary))):
            place = self.folder / "shared" / name
            place.parent.mkdir(exist_ok=True)
            place.mkdir() if source.is_dir() else place.touch()
            run("mount", "--bind", source, place)
        self.env["PATH"] = self.env["PATH"].replace(str(GO), str(self.folder / "shared/go"))
        self.binary = self.folder / "shared/tradewind"
        self.user = user
        self.env["GOCACHE"] = str(self.folder / "compiled")
        pathlib.Path(self.env["GOCACHE"]).mkdir()
        run("chown", f"{user}:{user}", self.env["GOCACHE"])
        gopath = pathlib.Path(self.env["GOPATH"])
        gopath.mkdir(exist_ok=True)
        run("chown", f"{user}:{user}", gopath)


class Program:
    """A program beside the user's."""

    def __init__(self, world, command, environment):
        self.world, self.command, self.environment = world, [str(word) for word in command], environment
        self.log = world.folder / f"{pathlib.Path(self.command[0]).name}-{time.monotonic_ns()}.log"
        self.again()

    def again(self):
        """Starts it, or starts it anew."""
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=self.environment
            )
        if hasattr(self, "place"):
            self.listens(*self.place)
        return True

    def until(self, ready, what):
        deadline = time.monotonic() + 30
        while not (result := ready()):
            said = self.log.read_text(errors="replace")
            assert self.process.poll() is None, f"{self.command} ended before {what}: {said}"
            assert time.monotonic() < deadline, f"{self.command} is not {what}: {said}"
            time.sleep(0.02)
        return result

    def listens(self, address, port):
        self.place = (address, port)

        def answers():
            with socket.socket() as attempt:
                attempt.settimeout(1)
                return attempt.connect_ex((address, port)) == 0

        self.until(answers, f"listening on {port}")
        return self

    def says(self, pattern):
        return self.until(
            lambda: re.search(pattern, self.log.read_text(errors="replace"), re.M), f"saying {pattern}"
        ).group(1)


class Both:
    """Names of two tables, as they are when asked."""

    def __init__(self, *tables):
        self.tables = tables

    def get(self, name, default=None):
        for table in self.tables:
            if name in table:
                found = table[name]
                return found if isinstance(found, str) else found[0]
        return default
