"""What is measured: a party answers calls at an address; its processes have a CPU time and a memory.

How each is started stands in rivals.py and tradewind.py.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "clients"))

import rig  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
# A party is quiet when it takes no processor time for so long; how long that is waited for. Seconds.
QUIET_FOR, QUIET_LIMIT = 0.05, 3.0


@dataclass
class Party:
    """Something that answers calls."""

    name: str
    plain: str
    stream: str
    program: rig.Program | None = None
    version: str = ""
    # What stands in front of /v1 in its paths, the model's name there, and the headers that it asks for.
    prefix: str = ""
    model: str = "bench"
    headers: dict = field(default_factory=dict)
    # Read once a second while it is measured, as Prometheus would.
    metrics: str = ""
    # Its rounds last so much of what the others' do: less for one that is slow enough for its figures to be clear soon.
    share: float = 1.0
    # What else works for it, such as a collector.
    helpers: list = field(default_factory=list)

    def address(self, stream):
        return self.stream if stream else self.plain

    def path(self, dialect="openai"):
        return self.prefix + {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[dialect]

    def cpu_seconds(self):
        """Processor time of the party's processes until now."""
        return sum(cpu_seconds(pid) for pid in self.pids())

    def pids(self):
        return family(self.program.pid) if self.program else []

    def settle(self):
        """Waits until nothing is left of its last round: what a party puts off is not to weigh on the next one."""

        def used():
            return sum(map(cpu_seconds, [*self.pids(), *(helper.pid for helper in self.helpers)]))

        deadline, before = time.monotonic() + QUIET_LIMIT, used()
        while time.monotonic() < deadline:
            time.sleep(QUIET_FOR)
            now = used()
            if now <= before:
                return
            before = now
        print(f"  {self.name} is still busy {QUIET_LIMIT} s after its round", file=sys.stderr)

    @contextlib.contextmanager
    def scraped(self):
        """Reads its metrics while the block runs: the first time after 300 ms, then once a second."""
        if not self.metrics:
            yield
            return
        stop, failures = threading.Event(), []

        def scrape():
            pause = 0.3
            while not stop.wait(pause):
                pause = 1.0
                reply = rig.http(self.metrics, headers=self.headers)
                if reply.status != 200 or not reply.body:
                    failures.append(reply)

        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failures:
            raise AssertionError(f"{self.name}: its metrics cannot be read: {failures[0]}")

    def forget_log(self):
        """Gives back the disk under what it has logged: at full speed that is gigabytes."""
        if self.program:
            os.truncate(self.program.log, 0)


def family(pid):
    """A process and all that descend from it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


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


def memory(pid):
    return {"rss_kib": memory_kib(pid), "anonymous_kib": memory_kib(pid, "RssAnon")}


def sum_memory(party):
    """All processes of a party together, in KiB."""
    measured = [memory(pid) for pid in party.pids()]
    return {what: sum(one[what] for one in measured) for what in ("rss_kib", "anonymous_kib")}


def start_upstream(folder, *arguments):
    """The simulator; with `--bench` as fast as it can."""
    return rig.start_sim(folder, *arguments)


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
    total = pathlib.Path("/proc/meminfo").read_text().split()[1]
    return {
        "cores": os.cpu_count(),
        "cpu": cpu[0].split(":", 1)[1].strip() if cpu else "unknown",
        "memory_gib": round(int(total) / 1024 / 1024, 1),
        "kernel": os.uname().release,
        "load_before": os.getloadavg()[0],
    }


def dump(path, value):
    path.write_text(json.dumps(value, indent=1))
