#!/usr/bin/env python3
"""Runs the script tests of the go command itself with a gateway between them and their module proxy.

    tests/rigs/go_suite.py [--quick | --pattern REGEX] [--without] [--keep FILE]

The tests, built by tests/peers/install.sh, bring a module proxy with a checksum database of its own, and a go command that
asks whatever it is told to. The gateway checks with that database's key. Some scripts ask below other prefixes of the proxy,
where it fails on purpose: each prefix is a mount of the gateway.

Three of these prefixes are no module proxy but the database itself, honest or lying. A go command that is sent there by
GOSUMDB asks for `/lookup/…`, which is not of the protocol; for the scripts that do it, a small server in front of the gateway
puts the path of the database's place below a module proxy in front. The gateway answers for it all the same. One prefix,
`invalid`, has garbage for an answer: a gateway refuses it, so what the go command makes of it can only be seen without one,
and that server sends those requests past it. Of the database's lines those of one module are wrong (it leaves out files
whose names begin with a dot): the gateway has to take that module as private.

Nothing of Go's is part of this project: scripts and proxy are in the installed Go.
"""

import argparse
import contextlib
import http.client
import http.server
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/clients"))

import rig  # noqa: E402

GO = rig.PEERS / "go"
NAME = "localhost.localdev/sumdb"
KEY = f"{NAME}+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"
ALL = r"^(mod_|get_|gotoolchain_|list_|work_|goauth)"
QUICK = (
    r"^(mod_(proxy_errors|proxy_list|proxy_invalid|sumdb|sumdb_proxy|sumdb_cache|sum_absent|download|download_json"
    r"|download_hash|query|get_latest|retract|gonoproxy|download_toolchain_gosum)|gotoolchain_(net|modcmds))$"
)
# Scripts that ask at prefixes that are no module proxy.
FRONTED = (
    "mod_sumdb",
    "mod_sumdb_proxy",
    "mod_sum_absent",
    "mod_download_json",
    "mod_download_toolchain_gosum",
    "mod_gonoproxy",
    "gotoolchain_switch_gosum",
    "mod_proxy_invalid",
    "mod_list_update_nolatest",
)
# The module that the database is wrong about.
MISTAKEN = "example.com/dotname"
# Where the proxy of the tests fails on purpose. What these mounts pass on is a database that cannot be asked.
FAILING = ("200", "403", "404", "410", "500", "sumdb-404", "sumdb-503", "sumdb-504")
REDIRECTING = ("redirect/9", "redirect/11")
# Prefixes of the database itself, the mount that each becomes, and whether what it says is checked.
LYING = {"sumdb-wrong": "wrong", "sumdb-redirect/rsc.io/quote@v1.0.0:": "redirected"}


@dataclass
class Result:
    """What became of the scripts, by name."""

    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    output: str = ""
    seconds: float = 0.0

    def __str__(self):
        counts = f"{len(self.passed)} pass, {len(self.failed)} fail, {len(self.skipped)} skip"
        return f"{counts}, {self.seconds:.0f} s"

    def add(self, other):
        for name in ("passed", "failed", "skipped"):
            getattr(self, name).extend(getattr(other, name))
        self.output += other.output
        self.seconds += other.seconds

    def why(self, script):
        """What the suite printed of one script."""
        found = re.search(
            rf"^    --- FAIL: TestScript/{script} .*?(?=^    --- |^--- |^FAIL|\Z)", self.output, re.M | re.S
        )
        return found.group(0) if found else ""


def settings(upstream):
    """The gateway's section for the proxy of the tests at this address."""
    base = f"http://{upstream}/mod"
    unchecked = [
        {"prefix": f"mod/{prefix}", "upstream": f"{base}/{prefix}", "sumdb": "off", "verify": "off"}
        for prefix in FAILING
    ]
    redirecting = [{"prefix": f"mod/{prefix}", "upstream": f"{base}/{prefix}"} for prefix in REDIRECTING]
    lying = [
        {"prefix": mount, "upstream": base, "sumdb": f"{KEY} {base}/{prefix}", "verify": "off"}
        for prefix, mount in LYING.items()
    ]
    # Scripts expect the path of the proxy to end like this.
    checked = {"prefix": "mod", "upstream": base, "private": {"patterns": [MISTAKEN], "upstream": base}}
    mounts = [checked, *unchecked, *redirecting, *lying]
    return {"modules": {"upstream": "off", "sumdb": KEY, "verify": "required", "mounts": mounts}}


class Front:
    """Puts the paths of the database itself below a module proxy, and passes on everything else as it is."""

    def __init__(self, gateway, upstream):
        gateway = gateway.removeprefix("http://")
        places = {"sumdb-direct": "/mod", **{prefix: f"/{mount}" for prefix, mount in LYING.items()}}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                asked, path = gateway, f"/go{self.path}"
                if self.path.startswith("/mod/invalid/"):
                    asked, path = upstream, self.path
                for prefix, mount in places.items():
                    if self.path.startswith(f"/mod/{prefix}/"):
                        path = f"/go{mount}/sumdb/{NAME}{self.path.removeprefix(f'/mod/{prefix}')}"
                        break
                behind = http.client.HTTPConnection(asked, timeout=60)
                behind.request("GET", path)
                answer = behind.getresponse()
                body = answer.read()
                behind.close()
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers.get("content-type", "text/plain"))
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(body)  # a go command that has seen enough

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            # Of more than these at once, some are put off for seconds.
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def environment(home, **more):
    """What the suite runs with: of the user's own there is only what finds programs."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    own = {
        "HOME": str(home),
        "PATH": f"{GO / 'go/bin'}:{kept.pop('PATH', '/usr/bin:/bin')}",
        "GOROOT": str((GO / "go").resolve()),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(rig.PEERS / "go-cache"),
    }
    return kept | own | more


def run(upstream, url, pattern, home, skip="", limit=900):
    """Runs the scripts that `pattern` names and `skip` does not; the proxy of the tests is at `upstream`, the go command asks
    `url`."""
    began = time.monotonic()
    arguments = [
        GO / "cmdgo.test",
        "-test.short",
        "-test.v",
        f"-test.timeout={limit}s",
        f"-test.run=TestScript/{pattern}",
    ]
    if skip:
        arguments.append(f"-test.skip=TestScript/{skip}")
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=GO / "go/src/cmd/go",
        env=environment(home, TP_ADDR=upstream, TP_URL=url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=limit + 60,
    )
    verdicts = re.findall(r"^    --- (PASS|FAIL|SKIP): TestScript/(\S+)", done.stdout, re.M)
    result = Result(output=done.stdout, seconds=time.monotonic() - began)
    lists = {"PASS": result.passed, "FAIL": result.failed, "SKIP": result.skipped}
    for verdict, name in verdicts:
        lists[verdict].append(name)
    if not verdicts or (done.returncode != 0 and not result.failed):
        raise AssertionError(f"the suite did not run to its end: {done.returncode}\n{done.stdout[-4000:]}")
    return result


def suite(gateway, upstream, pattern, home):
    """All scripts of `pattern`: those that need it behind [`Front`], the others at the gateway itself."""
    names = [
        path.stem for path in (GO / "go/src/cmd/go/testdata/script").glob("*.txt") if re.search(pattern, path.stem)
    ]
    behind_front = "^(" + "|".join(FRONTED) + ")$"
    result = Result()
    if any(name not in FRONTED for name in names):
        result.add(run(upstream, f"{gateway}/go/mod", pattern, home, skip=behind_front))
    fronted = [name for name in names if name in FRONTED]
    if fronted:
        front = Front(gateway, upstream)
        try:
            result.add(run(upstream, f"{front.url}/mod", "^(" + "|".join(fronted) + ")$", home))
        finally:
            front.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the scripts that ask most of a module proxy")
    parser.add_argument("--pattern", help="the scripts whose names match")
    parser.add_argument("--without", action="store_true", help="no gateway: what the suite scores by itself")
    parser.add_argument("--keep", help="a file for the output of the suite")
    arguments = parser.parse_args()
    pattern = arguments.pattern or (QUICK if arguments.quick else ALL)
    upstream = f"127.0.0.1:{rig.free_port()}"
    with tempfile.TemporaryDirectory(prefix="go-suite-") as folder:
        home = pathlib.Path(folder) / "home"
        home.mkdir()
        if arguments.without:
            result = run(upstream, f"http://{upstream}/mod", pattern, home)
        else:
            gateway = rig.Gateway(pathlib.Path(folder) / "gateway", settings(upstream))
            try:
                result = suite(gateway.url, upstream, pattern, home)
            finally:
                gateway.kill()
    if arguments.keep:
        pathlib.Path(arguments.keep).write_text(result.output)
    for name in result.failed:
        print(result.why(name))
    print(result)
    for name in result.failed:
        print(f"FAIL {name}")
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
