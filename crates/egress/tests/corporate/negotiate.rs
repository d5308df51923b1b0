//! Negotiate: MIT's key centre, squid as the judge.
//!
//! The Kerberos library reads its settings from the environment of the process, so that each test runs once more, as a process of its
//! own with that environment.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tradewind_core::{FaultKind, Secret};
use tradewind_egress::{Destination, HttpHop, Outbound};
use tradewind_policy::ways::{HttpProxy, ProxyAuth, ProxyKind};

use crate::processes::{Peer, debian, exchange, folder, local, run, squid};
use crate::support::{PATIENCE, dialing, echo, http_proxy, mirror, talk, way};

/// Set in the process that has the environment: the port of squid.
const INSIDE: &str = "TRADEWIND_TEST_SQUID";
const REALM: &str = "CORP.TEST";

/// A realm with `alice` and the service HTTP/localhost.
fn realm(folder: &Path) -> Peer {
    let (at, port) = (folder.display(), tradewind_sim::free_port());
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write(
        "krb5.conf",
        format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n \
             dns_canonicalize_hostname = false\n udp_preference_limit = 1\n[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        ),
    );
    write(
        "kdc.conf",
        format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n[logging]\n \
             kdc = STDERR\n[realms]\n {REALM} = {{\n  \
             database_name = {at}/db\n  key_stash_file = {at}/stash\n  acl_file = {at}/acl\n }}\n"
        ),
    );
    run(with_realm(&mut debian("kdb5_util"), folder).args(["create", "-s", "-P", "x", "-r", REALM]));
    for query in
        ["addprinc -pw pw alice", "addprinc -randkey HTTP/localhost", &format!("ktadd -k {at}/keytab HTTP/localhost")]
    {
        run(with_realm(&mut debian("kadmin.local"), folder).args(["-r", REALM, "-q", query]));
    }
    let kdc = Peer::start(with_realm(&mut debian("krb5kdc"), folder).arg("-n"));
    kdc.until("commencing operation");
    kdc
}

fn with_realm<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .env("KRB5_CONFIG", folder.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", folder.join("kdc.conf"))
        .env("KRB5CCNAME", format!("FILE:{}", folder.join("tickets").display()))
}

/// squid, which takes tickets as well.
fn squid_of_realm(folder: &Path) -> (Peer, u16) {
    // Its helper reads the keys as another user when root starts it.
    run(Command::new("chmod").arg("644").arg(folder.join("keytab")));
    let logins = format!(
        "auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k {}/keytab -s HTTP/localhost@{REALM}\n\
         auth_param negotiate children 2\nauth_param negotiate keep_alive on\n",
        folder.display()
    );
    squid(folder, &logins, |command| {
        with_realm(command, folder).env("KRB5RCACHENAME", "none:");
    })
}

fn corp(server: &str, port: u16, auth: &[ProxyAuth], spn: Option<&str>) -> Arc<Outbound> {
    let spec = HttpProxy {
        server: server.into(),
        username: Some("alice".into()),
        password: Some(Secret::new("s3cret".to_owned())),
        auth: auth.to_vec(),
        spn: spn.map(Into::into),
        ..http_proxy(local(port))
    };
    way("corp", ProxyKind::Http(spec))
}

#[test]
fn squid_with_negotiate() {
    if let Some(port) = std::env::var(INSIDE).ok().and_then(|port| port.parse().ok()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(inside(port));
    }
    let folder = folder();
    let _kdc = realm(folder.path());
    let (_squid, port) = squid_of_realm(folder.path());
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "negotiate::squid_with_negotiate", "--nocapture"]).env(INSIDE, port.to_string());
    let said = run(with_realm(&mut again, folder.path()));
    assert!(said.contains("1 passed"), "{said}");
}

/// With the environment of the realm.
async fn inside(port: u16) {
    let (echo, mirror) = (echo().await, mirror().await);
    let to = Destination::new("only.the.proxy.knows", echo.address.port());
    let dialing = dialing(&[], PATIENCE);
    let negotiate = corp("localhost", port, &[ProxyAuth::Negotiate], None);
    assert!(negotiate.is_login_bound());

    // Before there is a ticket.
    let fault = negotiate.connect(&to, &dialing).await.err().unwrap();
    assert_eq!((fault.kind, fault.status, fault.never_sent), (FaultKind::ProxyLogin, Some(407), true), "{fault}");
    assert!(fault.detail.contains("it takes Negotiate, Basic; negotiate: there is no Kerberos ticket"), "{fault}");
    // The next scheme of the order.
    let either = corp("localhost", port, &[ProxyAuth::Negotiate, ProxyAuth::Basic], None);
    talk(&mut either.connect(&to, &dialing).await.unwrap()).await;

    // A ticket that comes later is used: nothing is begun anew.
    let mut kinit = debian("kinit");
    let mut kinit =
        kinit.arg("alice").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut kinit.stdin.take().unwrap(), b"pw\n").unwrap();
    assert!(kinit.wait().unwrap().success());
    talk(&mut negotiate.connect(&to, &dialing).await.unwrap_or_else(|fault| panic!("{fault}"))).await;
    talk(&mut either.connect(&to, &dialing).await.unwrap()).await;

    // Plain HTTP, in the absolute form.
    let to_mirror = Destination::new("only.the.proxy.knows", mirror.address.port());
    let HttpHop::Proxy { mut stream, headers } = negotiate.connect_http(&to_mirror, &dialing).await.unwrap() else {
        panic!("the proxy takes the absolute form")
    };
    for login in [headers.once, None] {
        let login =
            login.map(|value| format!("proxy-authorization: {}\r\n", value.to_str().unwrap())).unwrap_or_default();
        let request = format!("GET http://{to_mirror}/ HTTP/1.1\r\nhost: {to_mirror}\r\n{login}\r\n");
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
    }

    // A service of another name: the realm does not know the one that follows from the address.
    let by_address = corp("127.0.0.1", port, &[ProxyAuth::Negotiate], None);
    let fault = by_address.connect(&to, &dialing).await.err().unwrap();
    assert!(fault.detail.contains("; negotiate: no Kerberos ticket for HTTP/127.0.0.1: "), "{fault}");
    for spn in ["HTTP/localhost", "HTTP/localhost@CORP.TEST"] {
        let named = corp("127.0.0.1", port, &[ProxyAuth::Negotiate], Some(spn));
        talk(&mut named.connect(&to, &dialing).await.unwrap_or_else(|fault| panic!("{spn}: {fault}"))).await;
    }
    for (spn, why) in [
        ("HTTP/nobody.example", "no Kerberos ticket for HTTP/nobody.example: "),
        ("HTTP/localhost@OTHER.TEST", "no Kerberos ticket for HTTP/localhost@OTHER.TEST: "),
    ] {
        let fault =
            corp("localhost", port, &[ProxyAuth::Negotiate], Some(spn)).connect(&to, &dialing).await.err().unwrap();
        assert!(fault.detail.contains(why), "{fault}");
    }
}
