"""The go command as its users run it, and the programs around the modules door."""

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import rig

sys.path.insert(0, str(rig.ROOT / "tests/rigs"))

from go_sumdb import Database  # noqa: E402
from go_upstream import Answer, Upstream  # noqa: E402

GO = rig.PEERS / "go/go"
COMPILED = rig.PEERS / "go-cache"


@dataclass
class Ran:
    """How a program ended, and what it said."""

    status: int
    out: str
    err: str

    def ok(self):
        assert self.status == 0, f"ended with {self.status}\n{self.out}\n{self.err}"
        return self

    def refused(self, *texts):
        """It failed, and what it said holds all of these."""
        assert self.status != 0, f"did not fail\n{self.out}\n{self.err}"
        for text in texts:
            assert text in self.err + self.out, f"nothing of {text!r} in\n{self.out}\n{self.err}"
        return self

    def json(self):
        return json.loads(self.out)


class Go:
    """A go command with a home, a module cache and a module of its own; GOPROXY as in `proxy`."""

    def __init__(self, folder, proxy, sumdb="off", **environment):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.module = self.folder / "m"
        self.cache = self.folder / "modcache"
        for made in (self.home, self.module, self.cache):
            made.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": f"{GO / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.home),
            "GOROOT": str(GO.resolve()),
            "GOPATH": str(self.folder / "gopath"),
            "GOMODCACHE": str(self.cache),
            "GOCACHE": str(COMPILED),
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-modcacherw",
            "GOTELEMETRY": "off",
            "GOPROXY": proxy,
            "GOSUMDB": sumdb,
            "GOVCS": "*:off",
        } | environment
        self.write("go.mod", "module m\n\ngo 1.20\n")

    def write(self, name, text):
        (self.module / name).write_text(text)

    def __call__(self, *arguments, timeout=80, **environment):
        done = subprocess.run(
            [str(GO / "bin/go"), *arguments],
            cwd=self.module,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def download(self, what, **environment):
        """`go mod download` of one version; the sums that the go command found."""
        return self("mod", "download", "-json", what, **environment)

    def forget(self):
        """Throws the module cache away, and with it what is known of the checksum database."""
        self("clean", "-modcache").ok()
        subprocess.run(["rm", "-rf", str(self.folder / "gopath")], check=True)


def tradewind(*arguments, timeout=60, **environment):
    """One of our commands."""
    done = subprocess.run(
        [rig.binary("tradewind"), *[str(argument) for argument in arguments]],
        env=os.environ | {"NO_COLOR": "1"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def make_authority(folder):
    """The certificate of an authority, and one for localhost that it signed, with its key, in one file."""
    folder = pathlib.Path(folder)
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    commands = [
        [*new, "-subj", "/CN=authority.test", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext",
         "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "own.key", "-out", "own.crt"],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "own.pem").write_bytes((folder / "own.crt").read_bytes() + (folder / "own.key").read_bytes())
    return folder / "ca.pem", folder / "own.pem"


def why(gateway, version):
    """What `tradewind modules why` tells of a version."""
    return tradewind("modules", "why", version, "-f", gateway.file).ok().out


def traces(gateway, version):
    """The same for programs: one entry for each mount that knows of it."""
    return tradewind("modules", "why", "--json", version, "-f", gateway.file).ok().json()


def stored(gateway):
    """The versions that are kept, with their sizes and how they were checked."""
    if not (gateway.data / "modules").is_dir():
        return []
    return tradewind("modules", "list", "--json", "-f", gateway.file).ok().json()


def blobs(gateway):
    """The files of zips in the store."""
    return [path for path in (gateway.data / "modules/blobs").rglob("*") if path.is_file()]


def settings(source, **more):
    """A gateway's section in front of an upstream with a database, or with none."""
    database = {"sumdb": source.database.key} if source.database else {"sumdb": "off", "verify": "off"}
    return {"modules": {"upstream": source.url} | database | more}


__all__ = ["Answer", "Database", "Upstream"]
