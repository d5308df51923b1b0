//! Servers that misbehave, and worlds that are pointed at them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tradewind_runtime::SystemClock;

use crate::settings::{Environment, Overrides, Settings};
use crate::{Limits, Report, Shell, System, World, examine, go_checks};

/// A server on a port of this machine, a thread for each connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// One that does `serve` with each connection.
    pub(super) fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, asked: Arc::default() }
    }

    /// One that answers the head of each request with what `answer` says, whole.
    pub(super) fn http(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = asked.clone();
        let mut server = Self::raw(move |mut stream| {
            let Some(head) = head_of(&mut stream) else { return };
            kept.lock().unwrap().push(head.clone());
            end(stream, &answer(&head));
        });
        server.asked = asked;
        server
    }

    /// The same behind TLS.
    pub(super) fn https(tls: &Tls, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let config = tls.config.clone();
        Self::raw(move |mut stream| {
            let Ok(mut connection) = rustls::ServerConnection::new(config.clone()) else { return };
            let mut secure = rustls::Stream::new(&mut connection, &mut stream);
            let Some(head) = head_of(&mut secure) else { return };
            let _ = secure.write_all(&answer(&head));
            secure.conn.send_close_notify();
            let _ = secure.flush();
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// The heads that were asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// The same by name.
    pub(super) fn local(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }
}

pub(super) fn head_of(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}

fn end(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.write_all(answer);
    let _ = stream.shutdown(Shutdown::Write);
    // What was not read would turn the end into a reset.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = stream.read(&mut [0; 64]);
}

/// Closes the connection by a reset.
pub(super) fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// The path of a request.
pub(super) fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// An answer with these headers and this body.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A server's certificate and who signed it.
pub(super) struct Tls {
    config: Arc<rustls::ServerConfig>,
    pub(super) ca: String,
}

impl Tls {
    /// One for these names, valid between two years.
    pub(super) fn made(names: &[&str], from: i32, until: i32) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Inspection CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a server");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &ca).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![own.der().clone(), ca.der().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key.into()).unwrap();
        Self { config: Arc::new(config), ca: ca.pem() }
    }

    pub(super) fn usual() -> Self {
        Self::made(&["localhost", "go.test"], 2020, 2100)
    }
}

/// A folder with a project in it and an environment that has nothing but what is set.
pub(super) struct Rig {
    pub(super) folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    pub(super) limits: Limits,
}

pub(super) const MODULE: &str = "example.com/quote";
pub(super) const VERSION: &str = "v1.5.2";

impl Rig {
    /// One whose go.mod requires [`MODULE`] from these entries.
    pub(super) fn new(goproxy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let limit = Duration::from_secs(3);
        let limits = Limits { connect: limit, handshake: limit, first_byte: limit, body: limit, ..Limits::default() };
        let rig = Self { folder, environment: BTreeMap::new(), limits }
            .set("HOME", &home)
            .set("GOPROXY", goproxy)
            .set("GOSUMDB", "off")
            .set("GOENV", "off")
            .set("GOTOOLCHAIN", "local")
            .set("SHELL", "/bin/sh")
            .set("SSL_CERT_DIR", "/nowhere");
        rig.file("go.mod", format!("module test.example/app\n\ngo 1.20\n\nrequire {MODULE} {VERSION}\n"))
    }

    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        write(&path, text);
        self
    }

    /// Trusts who signed for `tls`.
    pub(super) fn trusting(self, tls: &Tls) -> Self {
        let path = self.folder.path().join("ca.pem").display().to_string();
        self.file("ca.pem", &tls.ca).set("SSL_CERT_FILE", &path)
    }

    pub(super) fn world(&self) -> World {
        let environment = Environment::of(self.environment.clone());
        let settings = Settings::read(environment, self.folder.path(), System::Linux, &Overrides::default());
        World {
            settings,
            limits: self.limits,
            system: System::Linux,
            shell: Shell::Posix,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// What the doctor says of it.
    pub(super) fn report(&self) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = self.world();
        let report = runtime.block_on(examine(&world, &go_checks(&world)));
        runtime.shutdown_background();
        Report { findings: report.findings.into_iter().filter(|finding| !is_no_go(&finding.title)).collect(), ..report }
    }

    /// The numbers of the causes, in order.
    pub(super) fn causes(&self) -> Vec<u8> {
        self.report().findings.iter().map(|finding| finding.cause.number()).collect()
    }
}

/// There is no go in these worlds, and that is not what is looked for.
fn is_no_go(title: &str) -> bool {
    title == "there is no go command in PATH"
}

#[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
pub(super) fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A module proxy that has [`MODULE`], and answers 404 to everything else.
pub(super) fn healthy(head: &str) -> Vec<u8> {
    let path = path(head);
    let path = path.split_once("://").map_or(path, |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
    let base = format!("/{MODULE}/@v/{VERSION}");
    match path {
        _ if path == format!("{base}.info") => answer("200 OK", "", format!("{{\"Version\":\"{VERSION}\"}}")),
        _ if path == format!("{base}.mod") => answer("200 OK", "", go_mod()),
        _ if path == format!("{base}.zip") => answer("200 OK", "", zip()),
        _ if path == format!("/{MODULE}/@v/list") => answer("200 OK", "", format!("{VERSION}\n")),
        _ => answer("404 Not Found", "", "not found"),
    }
}

pub(super) fn go_mod() -> String {
    format!("module {MODULE}\n")
}

/// The module's zip: one file, stored.
pub(super) fn zip() -> Vec<u8> {
    zip_of(&go_mod())
}

/// One with this go.mod in it.
pub(super) fn zip_of(content: &str) -> Vec<u8> {
    let name = format!("{MODULE}@{VERSION}/go.mod");
    let mut crc = flate2::Crc::new();
    crc.update(content.as_bytes());
    let mut fixed = Vec::new();
    fixed.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [crc.sum(), content.len() as u32, content.len() as u32] {
        fixed.extend_from_slice(&number.to_le_bytes());
    }
    fixed.extend_from_slice(&(name.len() as u16).to_le_bytes());
    fixed.extend_from_slice(&[0, 0]);
    let mut out = b"PK\x03\x04".to_vec();
    out.extend_from_slice(&fixed);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(content.as_bytes());
    let place = out.len() as u32;
    let mut list = b"PK\x01\x02\x14\x00".to_vec();
    list.extend_from_slice(&fixed);
    list.extend_from_slice(&[0; 14]);
    list.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&list);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&(list.len() as u32).to_le_bytes());
    out.extend_from_slice(&place.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}
