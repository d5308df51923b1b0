//! A NATS server from the folder of peers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::{Certificate, Server, free_port};

/// When a NATS server writes through to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before it answers.
    Always,
    /// Every two minutes, as it does by itself.
    Seldom,
}

/// A NATS server with JetStream.
pub(crate) fn start(sync: Sync) -> Server {
    let sync = if sync == Sync::Always { ", sync_interval: always" } else { "" };
    start_with(sync, |_| String::new())
}

/// A NATS server that writes through at once, into a folder that the test has its hands in.
pub(crate) fn start_in(store: &Path) -> Server {
    let store = store.to_owned();
    Server::start(move |folder, port| {
        let file = folder.join("nats.conf");
        std::fs::write(&file, settings(port, &store, ", sync_interval: always")).unwrap();
        let mut command = Command::new(installed("nats-server"));
        command.arg("-c").arg(file);
        command
    })
}

fn settings(port: u16, store: &Path, jetstream: &str) -> String {
    format!("listen: \"127.0.0.1:{port}\"\njetstream {{store_dir: {store:?}{jetstream}}}\n")
}

/// A NATS server with further settings of JetStream, and lines that are made for its folder.
pub(crate) fn start_with(jetstream: &str, lines: impl Fn(&Path) -> String + Send + 'static) -> Server {
    let jetstream = jetstream.to_owned();
    Server::start(move |folder, port| {
        let file = folder.join("nats.conf");
        let text = settings(port, &folder.join("jetstream"), &jetstream) + &lines(folder);
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(installed("nats-server"));
        command.arg("-c").arg(file);
        command
    })
}

/// Three NATS servers that know each other.
pub(crate) fn cluster() -> [Server; 3] {
    let own = [(); 3].map(|()| free_port());
    let all = own.map(|port| format!("\"nats://127.0.0.1:{port}\"")).join(", ");
    own.map(|port| {
        let all = all.clone();
        start_with("", move |_| {
            format!("server_name: at-{port}\ncluster {{name: three, listen: \"127.0.0.1:{port}\", routes: [{all}]}}\n")
        })
    })
}

/// A NATS server that only passes messages on.
pub(crate) fn start_without_jetstream() -> Server {
    Server::start(|_, port| {
        let mut command = Command::new(installed("nats-server"));
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        command
    })
}

/// A NATS server that speaks TLS alone.
pub(crate) fn start_with_tls(certificate: &Certificate) -> Server {
    let certificate = certificate.clone();
    start_with("", move |folder| {
        let (file, key) = certificate.write(folder);
        format!("tls {{cert_file: {file:?}, key_file: {key:?}}}")
    })
}

/// A program of the folder of peers.
fn installed(name: &str) -> PathBuf {
    let folder = std::env::var_os("TRADEWIND_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
        cache.join("tradewind/peers")
    });
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; run `make peers`", path.display());
    path
}
