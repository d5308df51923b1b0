"""Who is measured: the upstream called directly, nginx, Envoy and Tradewind, each started with its own configuration.

The configurations are files beside this one; nothing here weakens a rival.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "clients"))

import rig  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Party:
    """Something that answers calls."""

    name: str
    plain: str
    stream: str
    program: rig.Program | None = None
    version: str = ""

    def address(self, stream):
        return self.stream if stream else self.plain

    def cpu_seconds(self):
        """Processor time of the party's processes until now."""
        return sum(cpu_seconds(pid) for pid in self.pids())

    def pids(self):
        if self.program is None:
            return []
        children = pathlib.Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children").read_text().split()
        return [self.program.pid, *map(int, children)]


def cpu_seconds(pid):
    """User and system time: fields 14 and 15 of proc_pid_stat(5)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kib(pid, what="VmRSS"):
    """A line of proc_pid_status(5), in KiB. `RssAnon` is what the process itself allocated."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    raise KeyError(what)


def start_upstream(folder, *arguments):
    """The simulator; with `--bench` as fast as it can."""
    return rig.start_sim(folder, *arguments)


def start_nginx(folder, upstream):
    folder = folder / "nginx"
    folder.mkdir()
    plain, stream = rig.free_port(), rig.free_port()
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    text = (HERE / "nginx.conf.in").read_text().format(upstream=upstream, plain=plain, stream=stream, folder=folder)
    (folder / "nginx.conf").write_text(text)
    program = rig.Program([binary, "-p", folder, "-c", folder / "nginx.conf"], folder / "log")
    program.wait_for_http(f"http://127.0.0.1:{plain}/v1/models")
    return Party("nginx", f"127.0.0.1:{plain}", f"127.0.0.1:{stream}", program, version([binary, "-v"]))


def start_envoy(folder, upstream):
    folder = folder / "envoy"
    folder.mkdir()
    port = rig.free_port()
    binary = rig.PEERS / "envoy"
    text = (HERE / "envoy.yaml.in").read_text()
    text = text.replace("@UPSTREAM_PORT@", upstream.rsplit(":")[-1]).replace("@LISTEN_PORT@", str(port))
    (folder / "envoy.yaml").write_text(text)
    program = rig.Program(
        [
            *(binary, "--config-path", folder / "envoy.yaml", "--concurrency", 2, "--disable-hot-restart"),
            *("--log-level", "error"),
        ],
        folder / "log",
    )
    program.wait_for_http(f"http://127.0.0.1:{port}/v1/models")
    address = f"127.0.0.1:{port}"
    return Party("Envoy", address, address, program, version([binary, "--version"]))


def tradewind_config(upstream):
    """One provider, one model, the journal on: what every call pays for."""
    return {
        "providers": [rig.provider("bench", "openai", upstream)],
        "models": [
            rig.model(
                "bench",
                {"use": "bench/bench", "max-in-flight": 100_000},
                timeouts={"connect": "2s", "first-token": "600s", "idle": "600s", "total": "3600s"},
            )
        ],
    }


def start_tradewind(folder, upstream, config=None, name="tradewind"):
    gateway = rig.Gateway(folder / name, config or tradewind_config(upstream))
    address = gateway.url.removeprefix("http://")
    return Party("Tradewind", address, address, gateway, version([rig.binary("tradewind"), "--version"]))


def version(command):
    """The first line of what a program says about itself."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    line = next((line.strip() for line in lines if any(letter.isdigit() for letter in line)), "unknown")
    # Envoy begins with the path of its own file, which says nothing about it.
    return line.split("version:")[-1].strip()


def machine():
    """What the numbers were measured on."""
    cpu = [line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = pathlib.Path("/proc/meminfo").read_text().split()[1]
    return {
        "cores": os.cpu_count(),
        "cpu": cpu[0].split(":", 1)[1].strip() if cpu else "unknown",
        "memory_gib": round(int(memory) / 1024 / 1024, 1),
        "kernel": os.uname().release,
        "load_before": os.getloadavg()[0],
    }


def dump(path, value):
    path.write_text(json.dumps(value, indent=1))
