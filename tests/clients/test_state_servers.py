"""State with the gateway as a process and a real server as its store: Redis, NATS JetStream. `make peers` installs them."""

import http.client
import json
import pathlib
import subprocess

import pytest

import rig
from test_state_api import Api, Watch


class Server:
    """A server on a port and in a folder of its own, which outlive its process. `jetstream`: more settings of NATS."""

    def __init__(self, folder, name, jetstream=""):
        self.folder, self.port, self.name, self.jetstream = pathlib.Path(folder), rig.free_port(), name, jetstream
        self.address = f"{name}://127.0.0.1:{self.port}"
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        log = self.folder / f"{self.name}-{self.starts}.log"
        if self.name == "redis":
            fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
            arguments = [debian("redis-server"), *fixed, "--port", self.port, "--dir", self.folder]
            self.program = rig.Program(arguments, log)
            self.program.wait_for_line("Ready to accept connections")
        else:
            file = self.folder / "nats.conf"
            store = json.dumps(str(self.folder / "jetstream"))
            jetstream = f"jetstream {{store_dir: {store}, sync_interval: always{self.jetstream}}}"
            file.write_text(f'listen: "127.0.0.1:{self.port}"\n{jetstream}\n')
            self.program = rig.Program([rig.PEERS / "nats-server", "-c", file], log)
            self.program.wait_for_line("Server is ready")


def debian(name):
    places = [pathlib.Path(folder) / name for folder in ("/usr/sbin", "/usr/bin")]
    found = [place for place in places if place.exists()]
    assert found, f"{name} is not installed; run `make peers`"
    return found[0]


@pytest.fixture(params=["redis", "nats"])
def server(request, tmp_path):
    one = Server(tmp_path, request.param)
    yield one
    one.program.kill()


def test_a_gateway_on_a_server(server, tmp_path):
    settings = {"store": server.address}
    program = rig.Gateway(tmp_path / "gateway", settings)
    api, at = Api(program.url), "/state/agents/planner"

    watch = Watch(program, "/state/agents/watch")
    assert api("PUT", at, {"n": 1}, if_none_match="*").status == 201
    assert api("PUT", at, {"n": 2}, if_match='"1"').headers["etag"] == '"2"'
    lost = api.refused(412, "TW7003", "PUT", at, {"n": 3}, if_match='"1"')
    assert lost.headers["etag"] == '"2"'
    assert [event["rev"] for event in watch.take(2)] == [1, 2]
    place = watch.last

    # Another gateway finds everything there, and a watch goes on.
    assert program.stop() == 0
    program = rig.Gateway(tmp_path / "other", settings)
    api = Api(program.url)
    read = api("GET", at)
    assert (json.loads(read.content), read.headers["etag"]) == ({"n": 2}, '"2"')
    assert json.loads(api("GET", f"{at}?rev=1").content) == {"n": 1}
    assert api("PUT", at, {"n": 3}, if_match='"2"').status == 200
    assert [event["rev"] for event in Watch(program, "/state/agents/watch", last_event_id=place).take(1)] == [3]

    # Without its server nothing is acknowledged, and what is refused has not happened.
    server.program.stop()

    def refused():
        answer = Api(program.url)("PUT", at, {"n": 4}, if_match='"3"')
        assert answer.status == 503, answer.content
        code = json.loads(answer.content)["error"]["code"]
        # A write that was under way when the connection broke may have happened.
        assert code in ("TW7011", "TW7012"), answer.content
        return code == "TW7012" and answer.headers["retry-after"]

    rig.until(refused, "no write is refused as one that has not happened", 60)
    server.start()

    def read_again():
        try:
            answer = Api(program.url)("GET", at)
        except (OSError, http.client.HTTPException):
            return None
        return answer if answer.status == 200 else None

    read = rig.until(read_again, "it does not come back", 60)
    assert (json.loads(read.content), read.headers["etag"]) == ({"n": 3}, '"3"')
    written = rig.until(lambda: after(program.url, at), "nothing is written again", 60)
    assert written.headers["etag"] == '"4"'
    assert program.stop() == 0

    # What is kept there is whole.
    checked = subprocess.run(
        [rig.binary("tradewind"), "state", "check", "--json", "-f", program.file], capture_output=True, timeout=60, check=True
    )
    assert json.loads(checked.stdout)["damaged"] == 0


def after(url, at):
    """A write once the server is back: it is done, or has not happened."""
    answer = Api(url)("PUT", at, {"n": 4}, if_match='"3"')
    assert answer.status in (200, 503), answer.content
    return answer if answer.status == 200 else None
