"""Causes in the HTTP proxy in between, and in the variables that name it."""

import http.server
import json
import shutil
import subprocess
import sys
import threading

from cell import ByHand, cell, healthy
from servers import Site
from world import ELSEWHERE, PROXY, PUBLIC, RIGS, run

import counterparts

HTTP_PROXY = "http://proxy.corp.test:3128"


@cell(21, "Proxy Authentication Required")
def login_on_connect(world):
    world.public()
    secret = world.secret("hunter2hunter2")
    world.http_proxy(login=f"me:{secret}")
    world.env["HTTPS_PROXY"] = HTTP_PROXY
    return ByHand("USER:PASSWORD", f"export HTTPS_PROXY=http://me:{secret}@proxy.corp.test:3128")


@cell(21, "Proxy Authentication Required")
def login_is_in_another_variable(world):
    world.public()
    secret = world.secret("hunter2hunter2")
    world.http_proxy(login=f"me:{secret}")
    world.env["HTTPS_PROXY"] = HTTP_PROXY
    world.env["HTTP_PROXY"] = f"http://me:{secret}@proxy.corp.test:3128"


@cell(22, "407 Proxy Authentication Required")
def login_on_plain(world):
    world.site("modules.test", PUBLIC, port=80, secure=False, names=world.outside)
    world.env["GOPROXY"] = "http://modules.test"
    secret = world.secret("hunter2hunter2")
    world.http_proxy(login=f"me:{secret}")
    world.env["HTTP_PROXY"] = HTTP_PROXY
    return ByHand("USER:PASSWORD", f"export HTTP_PROXY=http://me:{secret}@proxy.corp.test:3128")


@cell(22, "407 Proxy Authentication Required")
def login_of_plain_is_in_another_variable(world):
    world.site("modules.test", PUBLIC, port=80, secure=False, names=world.outside)
    world.env["GOPROXY"] = "http://modules.test"
    secret = world.secret("hunter2hunter2")
    world.http_proxy(login=f"me:{secret}")
    world.env["HTTP_PROXY"] = HTTP_PROXY
    world.env["HTTPS_PROXY"] = f"http://me:{secret}@proxy.corp.test:3128"


@cell(21, "Proxy Authentication Required")
def login_at_squid(world):
    secret = world.secret("squid-s3cret-42")
    users = world.folder / "users"
    hashed = subprocess.run(["openssl", "passwd", "-apr1", secret], check=True, capture_output=True, text=True)
    users.write_text(f"alice:{hashed.stdout}")
    squid(
        world,
        f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}\nauth_param basic realm corp\n"
        "auth_param basic children 2\nacl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all",
    )
    world.public()
    world.env["HTTPS_PROXY"] = "http://squid.corp.test:3129"
    return ByHand("USER:PASSWORD", f"export HTTPS_PROXY=http://alice:{secret}@squid.corp.test:3129")


@cell(17, "Forbidden")
def forbidden_by_squid(world):
    squid(world, "acl go dstdomain .golang.org\nhttp_access deny go !later\nhttp_access allow all", later=True)
    world.public()
    world.env["HTTPS_PROXY"] = "http://squid.corp.test:3129"
    return ByHand(
        "proxy.golang.org", lambda: (world.folder / "later").write_text("0.0.0.0/0\n") and world.squid.again()
    )


@cell(23, "Proxy Authentication Required", quick=True, alone="which logins the proxy offers is not in it")
def proxy_speaks_ntlm_alone(world):
    """The fix is our own gateway, which logs in for go."""
    entry = ntlm(world)
    return ByHand("auth: ntlm", lambda: gateway(world, entry))


@cell(23, "Proxy Authentication Required", alone="which logins the proxy offers is not in it")
def somebody_here_logs_in_already(world):
    """The gateway runs on this machine, and this shell does not go there."""
    entry = ntlm(world)
    outside = world.env["HTTPS_PROXY"]
    gateway(world, entry)
    world.env["HTTPS_PROXY"] = outside


def ntlm(world):
    world.public()
    secret = world.secret("ntlm-s3cret word")
    users = world.folder / "users"
    users.write_text(f"CORP:bob:{secret}\n")
    program = world.start(sys.executable, "-u", RIGS / "ntlm_proxy.py", users, "--host", f"proxy.golang.org={PUBLIC}")
    port = int(program.says(r"^(\d+)$"))
    world.env["HTTPS_PROXY"] = f"http://127.0.0.1:{port}"
    entry = {"name": "corp", "type": "http", "server": "127.0.0.1", "port": port, "auth": "ntlm"}
    return entry | {"username": "CORP\\bob", "password": secret}


def gateway(world, entry, **environment):
    """Tradewind as the fix says it, and the variable that leads there."""
    config = {
        "listen": "127.0.0.1:0",
        "data-dir": str(world.folder / "gateway"),
        "mixed-port": 7890,
        "proxies": [entry],
        "rules": ["MATCH,corp"],
    }
    file = world.folder / "tradewind.yaml"
    file.write_text(json.dumps(config))
    program = world.start(world.binary, "run", "-f", file, **environment)
    program.listens("127.0.0.1", 7890)
    world.env["HTTPS_PROXY"] = "http://127.0.0.1:7890"


@cell(24, "Bad Gateway", alone="go shows nothing of what the proxy says but the status")
def no_kerberos_ticket(world):
    """The gateway is there and would log in, and nobody has said kinit."""
    return ByHand("kinit", kerberos(world).log_in)


@cell(24, "Bad Gateway", alone="go shows nothing of what the proxy says but the status")
def ticket_of_a_service_has_run_out(world):
    """A machine that builds has a keytab in place of somebody who types a password."""
    kdc = kerberos(world)
    keytab = world.folder / "client.keytab"
    kdc.run(counterparts.tool("kadmin.local"), "-r", counterparts.REALM, "-q", f"ktadd -k {keytab} {counterparts.USER}")
    world.env["KRB5_CLIENT_KTNAME"] = f"FILE:{keytab}"


def kerberos(world):
    world.public()
    folder = world.folder / "kdc"
    folder.mkdir()
    kdc = counterparts.Kdc(folder)
    for name in ("http.keytab", "krb5.conf"):
        (world.folder / name).write_bytes((folder / name).read_bytes())
        (world.folder / name).chmod(0o644)
    helper = (
        f"/usr/lib/squid/negotiate_kerberos_auth -k {world.folder}/http.keytab -s HTTP/localhost@{counterparts.REALM}"
    )
    squid(
        world,
        f"auth_param negotiate program {helper}\nauth_param negotiate children 2\nauth_param negotiate keep_alive on\n"
        "acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all",
        address="127.0.0.1",
        KRB5_CONFIG=str(world.folder / "krb5.conf"),
        KRB5RCACHENAME="none:",
    )
    names = {name: kdc.environment[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")}
    world.env.update(names)
    gateway(world, {"name": "corp", "type": "http", "server": "localhost", "port": 3129, "auth": "negotiate"}, **names)
    return kdc


def hosts(world):
    """Programs with a resolver of their own find the names outside in the hosts file."""
    names = "".join(f"{address} {name}\n" for name, address in world.outside.items())
    file = world.folder / "hosts"
    file.write_text(f"127.0.0.1 localhost\n{names}")
    return file


def squid(world, rules="http_access allow all", later=False, address=PROXY, **environment):
    """squid as the company's way out; it alone knows the names outside."""
    folder = world.folder / "squid"
    folder.mkdir()
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{PUBLIC} proxy.golang.org\n")
    more = ""
    if later:
        (world.folder / "later").write_text("192.0.2.250/32\n")
        more = f'acl later src "{world.folder}/later"\n'
    (folder / "squid.conf").write_text(
        f"http_port {address}:3129\npid_filename {folder}/squid.pid\naccess_log stdio:{folder}/access.log\n"
        f"cache_log {folder}/cache.log\ncoredump_dir {folder}\ncache deny all\nhosts_file {folder}/hosts\n"
        f"visible_hostname squid.corp.test\nshutdown_lifetime 0 seconds\n{more}{rules}\n"
    )
    # squid gives root's rights up.
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "proxy", "proxy")
    world.inside["squid.corp.test"] = address
    world.squid = world.start(counterparts.tool("squid"), "-N", "-f", folder / "squid.conf", **environment)
    world.squid.listens(address, 3129)


@cell(25, "first record does not look like a TLS handshake|server gave HTTP response")
def https_to_a_plain_proxy(world):
    world.public()
    world.http_proxy()
    world.env["HTTPS_PROXY"] = "https://proxy.corp.test:3128"


@cell(26, "proxyconnect tcp: .*connection refused", quick=True)
def dead_proxy(world):
    world.public()
    world.inside["proxy.corp.test"] = PROXY
    world.env["HTTPS_PROXY"] = HTTP_PROXY
    return ByHand("start", lambda: world.http_proxy())


@cell(26, "proxyconnect tcp")
def proxy_is_not_needed(world):
    """At home, with the settings of the office."""
    world.company()
    world.env["HTTPS_PROXY"] = HTTP_PROXY


@cell(27, "no such host|invalid|proxyconnect", quick=True)
def hash_in_the_password(world):
    world.public()
    secret = world.secret("p#ss/w%rd@9")
    world.http_proxy(login=f"me:{secret}")
    world.env["HTTPS_PROXY"] = f"http://me:{secret}@proxy.corp.test:3128"


@cell(27, "no such host|invalid|proxyconnect")
def at_in_the_password(world):
    world.public()
    secret = world.secret("Sommer#2026!")
    world.http_proxy(login=f"CORP\\me:{secret}")
    world.env["HTTPS_PROXY"] = f"http://CORP\\me:{secret}@proxy.corp.test:3128"


SCRIPT = b'function FindProxyForURL(url, host) { return "PROXY proxy.corp.test:3128; DIRECT"; }\n'


@cell(28, "Unsupported method|Method Not Allowed|Not Implemented|Not Found|Bad Request")
def script_as_proxy(world):
    world.public()
    world.http_proxy()
    world.inside["wpad.corp.test"] = ELSEWHERE

    class Web(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "application/x-ns-proxy-autoconfig")
            self.send_header("content-length", str(len(SCRIPT)))
            self.end_headers()
            self.wfile.write(SCRIPT)

    server = http.server.ThreadingHTTPServer((ELSEWHERE, 80), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world.env["HTTPS_PROXY"] = "http://wpad.corp.test/proxy.pac"


@cell(29, "no such host", quick=True)
def only_all_proxy(world):
    world.public()
    world.http_proxy()
    world.env["ALL_PROXY"] = HTTP_PROXY


@cell(29, "no such host")
def only_all_proxy_with_a_login(world):
    world.public()
    secret = world.secret("quite-a-secret-1")
    world.http_proxy(login=f"me:{secret}")
    world.env["ALL_PROXY"] = f"http://me:{secret}@proxy.corp.test:3128"


@cell(30, "no such host")
def only_http_proxy(world):
    world.public()
    world.http_proxy()
    world.env["HTTP_PROXY"] = HTTP_PROXY


@cell(31, "no such host")
def proxy_of_the_desktop(world):
    world.public()
    world.http_proxy()
    world.program(
        "gsettings",
        "printf \"org.gnome.system.proxy mode 'manual'\\norg.gnome.system.proxy.https host 'proxy.corp.test'\\n"
        'org.gnome.system.proxy.https port 3128\\n"',
    )


@cell(32, "no such host")
def no_proxy_swallows(world):
    world.public()
    world.http_proxy()
    world.env["HTTPS_PROXY"] = HTTP_PROXY
    world.env["NO_PROXY"] = "localhost,.golang.org,10.0.0.0/8"


@cell(33, "connection refused", alone="only trying the proxy shows that it would get there")
def localhost_is_never_proxied(world):
    """In a container, with a proxy outside of it that has the port."""
    world.http_proxy()
    run("hostname", "builder")
    site = Site(PUBLIC, 8081, world.tree, world.database)
    world.outside["localhost"] = PUBLIC
    world.outside["builder"] = PUBLIC
    world.env["GOPROXY"] = "http://localhost:8081"
    world.env["HTTP_PROXY"] = HTTP_PROXY
    return site and None


@cell(34, "no such host|proxyconnect")
def two_spellings(world):
    world.public()
    world.http_proxy()
    world.env["HTTPS_PROXY"] = "http://old.corp.test:3128"
    world.env["https_proxy"] = HTTP_PROXY


@cell(34, "refusing to use HTTP_PROXY value in CGI environment", shows="refusing to use HTTP_PROXY value in CGI")
def in_a_cgi_script(world):
    world.site("modules.test", PUBLIC, port=80, secure=False, names=world.outside)
    world.env["GOPROXY"] = "http://modules.test"
    world.http_proxy()
    world.env["HTTP_PROXY"] = HTTP_PROXY
    world.env["REQUEST_METHOD"] = "GET"


@cell(29, "no such host")
def go_env_refuses_what_would_help(world):
    """A guide has said `go env -w HTTPS_PROXY=…`: go refuses that, and the doctor never says it."""
    only_all_proxy(world)
    refused = world.shell(f"go env -w HTTPS_PROXY={HTTP_PROXY}")
    assert refused.status != 0 and "HTTPS_PROXY" in refused.said, refused


@healthy()
def through_squid(world):
    squid(world)
    world.public()
    world.env["HTTPS_PROXY"] = "http://squid.corp.test:3129"


@healthy()
def through_tinyproxy_with_a_login(world):
    world.public()
    secret = world.secret("tiny-s3cret-42")
    world.inside["tiny.corp.test"] = PROXY
    names = hosts(world)
    file = world.folder / "tinyproxy.conf"
    file.write_text(f"Port 8888\nListen {PROXY}\nTimeout 60\nMaxClients 50\nBasicAuth alice {secret}\n")
    own = f"mount --bind {names} /etc/hosts && exec {counterparts.tool('tinyproxy')} -d -c {file}"
    world.start("unshare", "--mount", "sh", "-c", own).listens(PROXY, 8888)
    world.env["HTTPS_PROXY"] = f"http://alice:{secret}@tiny.corp.test:8888"


@healthy()
def through_the_http_proxy(world):
    world.public()
    world.http_proxy()
    world.env["HTTPS_PROXY"] = HTTP_PROXY
