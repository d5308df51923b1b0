"""Starts somebody else's proxies: squid, tinyproxy, mihomo, sing-box, px, cntlm, one that checks NTLM, and a KDC.

Each calls origins from an address of its own (`source`), where it can be told to, and knows `only.corp.test`, a name that
nobody else resolves. Those with passwords know the users below. Everything is on a free port of 127.0.0.1.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass

import origin as origins
import rig
from relay import Curl

NAME = "only.corp.test"
USER, PASSWORD = "alice", "s3cret word"
REALM = "CORP.TEST"
# 16 and 32 bytes, as the ciphers of 2022 want them.
KEY_16, KEY_32 = "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def tool(name):
    """The path of a program that tests/peers/install.sh has installed in the system."""
    found = shutil.which(name, path=SYSTEM_PATH)
    assert found, f"{name} is missing; run: tests/peers/install.sh test ways"
    return found


@dataclass
class Proxy:
    """A running proxy. `entry` is what stands for it under `proxies`, without its name; `source` is where it calls from."""

    program: rig.Program
    port: int
    entry: dict
    source: str = "127.0.0.1"

    def named(self, name, **more):
        return {"name": name} | self.entry | more


def listening(program, port):
    """Waits until the program listens; returns it."""

    def answers():
        with socket.socket() as attempt:
            attempt.settimeout(1)
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    program.wait_until(answers, f"listening on {port}")
    return program


def http_entry(port, **more):
    return {"type": "http", "server": "127.0.0.1", "port": port} | more


class Folder:
    """A folder that squid can use, which gives root's rights up; removed at the end."""

    def __init__(self, name):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"tradewind-{name}-"))
        self.path.chmod(0o755)

    def give(self):
        if os.geteuid() == 0:
            for path in [self.path, *self.path.rglob("*")]:
                shutil.chown(path, "proxy", "proxy")

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def start_squid(folder, source, authentication, environment=None):
    """squid with these lines of authentication. `folder` is a Folder."""
    port = rig.free_port()
    path = folder.path
    (path / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
    (path / "squid.conf").write_text(
        f"""
http_port 127.0.0.1:{port}
pid_filename {path}/squid.pid
access_log stdio:{path}/access.log
cache_log {path}/cache.log
coredump_dir {path}
cache deny all
hosts_file {path}/hosts
visible_hostname squid.corp.test
shutdown_lifetime 0 seconds
tcp_outgoing_address {source}
{authentication}
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""
    )
    folder.give()
    program = rig.Program([tool("squid"), "-N", "-f", path / "squid.conf"], path / "squid.log", environment)
    return listening(program, port), port


def start_squid_basic(folder, source="127.0.0.11"):
    users = folder.path / "users"
    hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
    users.write_text(f"{USER}:{hashed.stdout}")
    program, port = start_squid(
        folder,
        source,
        f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}\n"
        "auth_param basic realm corp\nauth_param basic credentialsttl 1 second\nauth_param basic children 2",
    )
    return Proxy(program, port, http_entry(port, username=USER, password=PASSWORD), source)


class Kdc:
    """A KDC of its own realm, with `alice` and the service HTTP/localhost."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        port = rig.free_port()
        (self.path / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n"
            " dns_canonicalize_hostname = false\n udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n"
        )
        (self.path / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {self.path}/db\n  key_stash_file = {self.path}/stash\n"
            f"  acl_file = {self.path}/acl\n }}\n[logging]\n kdc = FILE:{self.path}/kdc.log\n"
        )
        self.environment = {
            "KRB5_CONFIG": str(self.path / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.path / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.path}/tickets",
        }
        self.keytab = self.path / "http.keytab"
        self.run(tool("kdb5_util"), "create", "-s", "-P", "x", "-r", REALM)
        for query in [f"addprinc -pw {USER}-word {USER}", "addprinc -randkey HTTP/localhost",
                      f"ktadd -k {self.keytab} HTTP/localhost"]:  # fmt: skip
            self.run(tool("kadmin.local"), "-r", REALM, "-q", query)
        self.program = rig.Program([tool("krb5kdc"), "-n"], self.path / "krb5kdc.log", self.environment)
        listening(self.program, port)

    def run(self, *arguments, stdin=None):
        environment = os.environ | self.environment
        done = subprocess.run(arguments, env=environment, input=stdin, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"

    def log_in(self):
        self.run(tool("kinit"), USER, stdin=f"{USER}-word\n")

    def log_out(self):
        self.run(tool("kdestroy"))


def start_squid_negotiate(folder, kdc, source="127.0.0.14"):
    # squid gives root's rights up and sees nothing of the KDC's folder.
    shutil.copy(kdc.keytab, folder.path / "http.keytab")
    shutil.copy(kdc.path / "krb5.conf", folder.path / "krb5.conf")
    helper = f"/usr/lib/squid/negotiate_kerberos_auth -k {folder.path}/http.keytab -s HTTP/localhost@{REALM}"
    program, port = start_squid(
        folder,
        source,
        f"auth_param negotiate program {helper}\nauth_param negotiate children 2\nauth_param negotiate keep_alive on",
        {"KRB5_CONFIG": str(folder.path / "krb5.conf"), "KRB5RCACHENAME": "none:"},
    )
    entry = {"type": "http", "server": "localhost", "port": port, "auth": "negotiate"}
    return Proxy(program, port, entry, source)


def start_tinyproxy(folder, source="127.0.0.12"):
    port = rig.free_port()
    file = pathlib.Path(folder) / "tinyproxy.conf"
    # Its passwords cannot have spaces.
    file.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nBind {source}\nBasicAuth {USER} s3cret\n"
    )
    program = rig.Program([tool("tinyproxy"), "-d", "-c", file], pathlib.Path(folder) / "tinyproxy.log")
    entry = http_entry(port, username=USER, password="s3cret", auth="basic")
    return Proxy(listening(program, port), port, entry, source)


def start_ntlm(folder, scheme="NTLM", source="127.0.0.13"):
    """Our own proxy that checks NTLM; its log has a line `accepted WHO METHOD TARGET` for each request."""
    users = pathlib.Path(folder) / "users"
    users.write_text(f"CORP:bob:{PASSWORD}\n")
    program = rig.Program(
        [sys.executable, "-u", rig.ROOT / "tests/rigs/ntlm_proxy.py", users, "--scheme", scheme,
         "--host", f"{NAME}=127.0.0.1", "--source", source],
        pathlib.Path(folder) / f"{scheme}.log",
    )  # fmt: skip
    port = int(program.wait_for_line(r"^(\d+)$").group(1))
    entry = http_entry(port, username="CORP\\bob", password=PASSWORD, auth="ntlm")
    return Proxy(program, port, entry, source)


def takes_callers(program, port):
    """Waits until mihomo lets callers through: it listens before, and ends connections until then."""
    origin = origins.Origin()
    curl = Curl(port)
    login = f"{USER}:{urllib.parse.quote(PASSWORD)}"
    program.wait_until(lambda: curl(origin.url, login=login).status == 200, "letting callers through")
    origin.close()


CIPHERS = {
    "aes-128-gcm": "a word",
    "aes-256-gcm": "a word",
    "chacha20-ietf-poly1305": "a word",
    "2022-blake3-aes-128-gcm": KEY_16,
    "2022-blake3-aes-256-gcm": KEY_32,
}


def start_mihomo(folder):
    """mihomo as a server: a Proxy each for `http`, `socks5`, and every cipher of Shadowsocks."""
    folder = pathlib.Path(folder)
    ports = {kind: rig.free_port() for kind in ["http", "socks5", *CIPHERS]}
    users = [{"username": USER, "password": PASSWORD}]
    listeners = [
        {"name": "http", "type": "http", "users": users},
        {"name": "socks5", "type": "socks", "udp": True, "users": users},
        *({"name": cipher, "type": "shadowsocks", "cipher": cipher, "password": word, "udp": True}
          for cipher, word in CIPHERS.items()),
    ]  # fmt: skip
    for listener in listeners:
        listener |= {"listen": "127.0.0.1", "port": ports[listener["name"]]}
    config = {
        "mode": "direct",
        "log-level": "info",
        "ipv6": False,
        "hosts": {NAME: "127.0.0.1"},
        "listeners": listeners,
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    program = rig.mihomo(folder, folder / "mihomo.log")
    for port in ports.values():
        listening(program, port)
    takes_callers(program, ports["http"])
    login = {"username": USER, "password": PASSWORD}
    proxies = {
        "http": Proxy(program, ports["http"], http_entry(ports["http"], **login)),
        "socks5": Proxy(
            program,
            ports["socks5"],
            {"type": "socks5", "server": "127.0.0.1", "port": ports["socks5"], "udp": True} | login,
        ),
    }
    for cipher, word in CIPHERS.items():
        entry = {
            "type": "ss",
            "server": "127.0.0.1",
            "port": ports[cipher],
            "cipher": cipher,
            "password": word,
            "udp": True,
        }
        proxies[cipher] = Proxy(program, ports[cipher], entry)
    return program, proxies


def start_sing_box(folder, source="127.0.0.15"):
    """sing-box as a server, as `start_mihomo`."""
    folder = pathlib.Path(folder)
    ports = {kind: rig.free_port() for kind in ["http", "socks5", *CIPHERS]}
    users = [{"username": USER, "password": PASSWORD}]
    inbounds = [
        {"type": "http", "tag": "http", "users": users},
        {"type": "socks", "tag": "socks5", "users": users},
        *(
            {"type": "shadowsocks", "tag": cipher, "method": cipher, "password": word}
            for cipher, word in CIPHERS.items()
        ),
    ]
    for inbound in inbounds:
        inbound |= {"listen": "127.0.0.1", "listen_port": ports[inbound["tag"]]}
    config = {
        "log": {"level": "info"},
        "dns": {"servers": [{"type": "hosts", "tag": "own", "predefined": {NAME: "127.0.0.1"}}]},
        "inbounds": inbounds,
        "outbounds": [{"type": "direct", "tag": "out", "inet4_bind_address": source, "domain_resolver": "own"}],
    }
    (folder / "config.json").write_text(json.dumps(config))
    program = rig.Program([rig.PEERS / "sing-box", "run", "-c", folder / "config.json"], folder / "sing-box.log")
    for port in ports.values():
        listening(program, port)
    login = {"username": USER, "password": PASSWORD}
    proxies = {
        "http": Proxy(program, ports["http"], http_entry(ports["http"], **login), source),
        "socks5": Proxy(
            program,
            ports["socks5"],
            {"type": "socks5", "server": "127.0.0.1", "port": ports["socks5"], "udp": True} | login,
            source,
        ),
    }
    for cipher, word in CIPHERS.items():
        entry = {
            "type": "ss",
            "server": "127.0.0.1",
            "port": ports[cipher],
            "cipher": cipher,
            "password": word,
            "udp": True,
        }
        proxies[cipher] = Proxy(program, ports[cipher], entry, source)
    return program, proxies


def start_px(folder, behind):
    """px, which logs in at `behind`, a proxy that wants NTLM, for everybody who asks it."""
    port = rig.free_port()
    program = rig.Program(
        [rig.PEERS / "px/bin/px", f"--server=127.0.0.1:{behind.port}", f"--port={port}", "--username=CORP\\bob",
         "--auth=NTLM", "--noproxy=", "--foreground"],
        pathlib.Path(folder) / "px.log",
        {"PX_PASSWORD": PASSWORD, "HOME": str(folder)},
    )  # fmt: skip
    return Proxy(listening(program, port), port, http_entry(port), behind.source)


def start_cntlm(folder, behind):
    """cntlm, as `start_px`."""
    port = rig.free_port()
    file = pathlib.Path(folder) / "cntlm.conf"
    file.write_text(
        f"Username bob\nDomain CORP\nPassword {PASSWORD}\nAuth NTLMv2\nProxy 127.0.0.1:{behind.port}\n"
        f"Listen 127.0.0.1:{port}\nNoProxy none.test\n"
    )
    file.chmod(0o600)
    program = rig.Program([tool("cntlm"), "-f", "-c", file], pathlib.Path(folder) / "cntlm.log")
    return Proxy(listening(program, port), port, http_entry(port), behind.source)
