"""What the tests of the ways out have in common: origins, proxies of others, and gateways with a relay."""

import pytest

import counterparts
import origin as origins
import rig
from relay import Curl


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return origins.make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def origin(tmp_path):
    """An HTTP server; the files of `origin.folder` are at /files/."""
    (tmp_path / "served").mkdir()
    server = origins.Origin(tmp_path / "served")
    yield server
    server.close()


@pytest.fixture
def secure(certificate):
    """The same over TLS."""
    server = origins.Origin(certificate=certificate)
    yield server
    server.close()


@pytest.fixture
def names():
    """A DNS server that knows what is put into `names.known`."""
    server = origins.Names({})
    yield server
    server.close()


@pytest.fixture(scope="session")
def squid():
    yield from in_folder("squid", counterparts.start_squid_basic)


@pytest.fixture(scope="session")
def kdc(tmp_path_factory):
    kdc = counterparts.Kdc(tmp_path_factory.mktemp("kdc"))
    yield kdc
    kdc.program.kill()


@pytest.fixture(scope="session")
def squid_negotiate(kdc):
    yield from in_folder("squid-negotiate", lambda folder: counterparts.start_squid_negotiate(folder, kdc))


def in_folder(name, start):
    folder = counterparts.Folder(name)
    try:
        proxy = start(folder)
        yield proxy
        proxy.program.kill()
    finally:
        folder.remove()


@pytest.fixture(scope="session")
def tinyproxy(tmp_path_factory):
    proxy = counterparts.start_tinyproxy(tmp_path_factory.mktemp("tinyproxy"))
    yield proxy
    proxy.program.kill()


@pytest.fixture(scope="session")
def ntlm(tmp_path_factory):
    proxy = counterparts.start_ntlm(tmp_path_factory.mktemp("ntlm"))
    yield proxy
    proxy.program.kill()


@pytest.fixture(scope="session")
def mihomo(tmp_path_factory):
    """mihomo's servers by what they speak."""
    program, proxies = counterparts.start_mihomo(tmp_path_factory.mktemp("mihomo"))
    yield proxies
    program.kill()


@pytest.fixture(scope="session")
def sing_box(tmp_path_factory):
    program, proxies = counterparts.start_sing_box(tmp_path_factory.mktemp("sing-box"))
    yield proxies
    program.kill()


class Relaying(rig.Gateway):
    """A gateway with a relay on `relay_port`."""

    def __init__(self, folder, config, **more):
        self.relay_port = rig.free_port()
        super().__init__(folder, {"mixed-port": self.relay_port} | config, **more)
        self.curl = Curl(self.relay_port)

    def write(self, config):
        super().write({"mixed-port": self.relay_port} | config)

    def select(self, group, member):
        """Selects by hand; returns the reply."""
        path = f"/api/v1/proxies/{rig.urllib.parse.quote(group, safe='')}/selected"
        return rig.http(f"{self.url}{path}", {"selected": member}, method="PUT")

    def group(self, name):
        """A group, as the control API shows it."""
        groups = rig.http(f"{self.url}/api/v1/proxies").json()["groups"]
        return next(group for group in groups if group["name"] == name)


@pytest.fixture
def relay(tmp_path):
    """Starts a gateway of the test's own with a relay."""
    started = []

    def start(folder=None, environment=None, **config):
        folder = folder or tmp_path / f"relay-{len(started)}"
        gateway = Relaying(
            folder, {key.replace("_", "-"): value for key, value in config.items()}, environment=environment
        )
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.kill()
