//! A Redis of Debian's.

use std::path::PathBuf;
use std::process::Command;

use crate::servers::{Certificate, Server};

/// A Redis that writes each change through to the disk before it answers, with further settings: `--name value`.
pub(crate) fn start(more: &[&str]) -> Server {
    let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
    Server::start(move |folder, port| {
        let mut command = Command::new(debian("redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(folder);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]).args(&more);
        command
    })
}

/// A Redis that speaks TLS alone.
pub(crate) fn start_with_tls(certificate: &Certificate) -> Server {
    let certificate = certificate.clone();
    Server::start(move |folder, port| {
        let (file, key) = certificate.write(folder);
        let mut command = Command::new(debian("redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port.to_string(), "--save", ""]);
        command.args(["--tls-auth-clients", "no", "--dir"]).arg(folder);
        command.arg("--tls-cert-file").arg(file).arg("--tls-key-file").arg(key);
        command
    })
}

/// Sends a command to a Redis, beside the store that is tested.
pub(crate) fn tell(port: u16, command: &[&str]) {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let mut connection = client.get_connection().unwrap();
    let (name, rest) = command.split_first().unwrap();
    let _: redis::Value = redis::cmd(name).arg(rest).query(&mut connection).unwrap();
}

/// Asks a Redis for something, beside the store that is tested. Bytes go as they are.
pub(crate) fn ask<T: redis::FromRedisValue>(port: u16, name: &str, rest: &[&[u8]]) -> T {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd(name).arg(rest).query(&mut connection).unwrap()
}

/// A program of Debian's.
fn debian(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
    let found = places.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed; run `make peers`"))
}
