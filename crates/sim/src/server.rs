//! The running sim: the listener and its connections, and the handle that a test holds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tradewind_core::Dialect;

use crate::answer::Composed;
use crate::ask::{Ask, Endpoint};
use crate::connection::{Connection, Io};
use crate::fault::Needs;
use crate::network::{BlackHole, RefusedPort, UNRESOLVABLE_HOST};
use crate::shared::Shared;
use crate::stats::{Recorder, SeenRequest, SimStats};
use crate::tls::Certificates;
use crate::{Injection, ScriptedAnswer, SimFault, SimOptions, TlsOptions, http1, http2};

/// Why a sim could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address cannot be bound.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[from] io::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// No more answers can be registered.
    #[error("more than {0} answers are registered")]
    TooManyAnswers(usize),
    /// The fault is a matter of how the sim was started.
    #[error("`{0}` can only be the fault that a sim is started with")]
    OnlyAtStart(SimFault),
}

/// Where clients are sent.
enum Door {
    Open,
    Refused(RefusedPort),
    BlackHole(BlackHole),
    NoSuchHost,
}

/// A running simulated provider. Stops when it is dropped.
pub struct Sim {
    shared: Arc<Shared>,
    address: SocketAddr,
    door: Door,
    tasks: JoinSet<()>,
}

impl Sim {
    /// Starts a sim on 127.0.0.1, on the present tokio runtime. A fault that needs TLS or HTTP/2 turns these on.
    ///
    /// # Errors
    /// When the port is taken or no certificate can be made.
    pub async fn start(mut options: SimOptions) -> Result<Self, SimError> {
        let fault = options.fault.as_ref().map(Injection::fault);
        match fault.map(SimFault::needs) {
            Some(Needs::Tls) => drop(options.tls.get_or_insert_default()),
            Some(Needs::Http2) => options.tls = Some(TlsOptions { http2: true }),
            _ => {}
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let mut address = listener.local_addr()?;
        let door = match fault {
            Some(SimFault::Dns) => Door::NoSuchHost,
            Some(SimFault::ConnectRefused) => Door::Refused(RefusedPort::bind()?),
            Some(SimFault::ConnectBlackHole) => {
                let bound = tokio::task::spawn_blocking(BlackHole::bind).await;
                Door::BlackHole(bound.map_err(io::Error::other)??)
            }
            _ => Door::Open,
        };
        match &door {
            Door::Refused(port) => address = port.address(),
            Door::BlackHole(hole) => address = hole.address()?,
            Door::Open | Door::NoSuchHost => {}
        }
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let elsewhere = format!("{scheme}://localhost:{}/sim/redirected", listener.local_addr()?.port());
        let certificates = options.tls.map(Certificates::new).transpose()?;
        let shared = Arc::new(Shared::new(options, certificates, elsewhere));
        shared.recorder.count(|stats| stats.name.clone_from(&shared.options.name));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, door, tasks })
    }

    /// Where it listens, or, for the faults of the listener, where nobody answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT` without a slash at the end; `https` with TLS; a host that does not resolve for `dns`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.shared.options.tls.is_some() { "https" } else { "http" };
        match &self.door {
            Door::NoSuchHost => format!("{scheme}://{UNRESOLVABLE_HOST}:{}", self.address.port()),
            _ => format!("{scheme}://{}", self.address),
        }
    }

    /// The sim's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// The certificate of the authority that signed the right certificate, in PEM; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.shared.certificates.as_ref().map(Certificates::ca_pem)
    }

    /// Sets the standing fault.
    ///
    /// # Errors
    /// When the fault is a matter of the listener, or of TLS or HTTP/2 and the sim does not speak it.
    pub fn set_fault(&self, fault: impl Into<Injection>) -> Result<(), SimError> {
        self.shared.set_fault(Some(fault.into()))
    }

    /// Takes the standing fault away.
    pub fn clear_fault(&self) {
        *self.shared.standing.lock() = None;
    }

    /// Lets `model` answer with this, whatever it is asked and in whichever wire.
    ///
    /// # Errors
    /// When answers for 10,000 other models are registered.
    pub fn script(&self, model: &str, answer: ScriptedAnswer) -> Result<(), SimError> {
        self.shared.script(model, Some(answer))
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> SimStats {
        self.shared.recorder.stats()
    }

    /// The requests so far, oldest first; at most [`crate::KEPT_REQUESTS`].
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.recorder.requests()
    }

    /// Waits until `holds` is true of the counts; false when it was not within `within`.
    pub async fn wait_until(&self, within: Duration, holds: impl Fn(&SimStats) -> bool) -> bool {
        self.shared.recorder.wait_until(within, holds).await
    }

    /// Waits until a request has come that `is_it`; false when none was within `within`.
    pub async fn wait_for(&self, within: Duration, is_it: impl Fn(&SeenRequest) -> bool) -> bool {
        self.shared.recorder.wait_for(within, is_it).await
    }

    /// The text that a whole or streamed answer to this JSON body of a chat or messages request has; `None` when it
    /// would be refused, or answered with a tool call.
    #[must_use]
    pub fn expected_text(&self, dialect: Dialect, body: &[u8]) -> Option<String> {
        let endpoint = match dialect {
            Dialect::OpenAi => Endpoint::ChatCompletions,
            Dialect::Anthropic => Endpoint::Messages,
        };
        let (ask, _) = Ask::read(endpoint, body).ok()?;
        let options = &self.shared.options;
        let script = self.shared.scripted(&ask.model);
        let composed = Composed::new(&ask, &options.name, options.seed, options.answer_tokens, script.as_deref());
        composed.calls.is_empty().then(|| composed.text())
    }

    /// Stops: the listener and all connections are closed when this returns.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Accepts connections; owns them, so that they end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    number += 1;
                    connections.spawn(serve(stream, number, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts an open connection for as long as it lives.
struct OpenConnection<'a>(&'a Recorder);

impl<'a> OpenConnection<'a> {
    fn new(recorder: &'a Recorder) -> Self {
        recorder.count(|stats| {
            stats.connections += 1;
            stats.open_connections += 1;
        });
        Self(recorder)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.count(|stats| stats.open_connections -= 1);
    }
}

async fn serve(stream: TcpStream, number: u64, shared: Arc<Shared>) {
    let _open = OpenConnection::new(&shared.recorder);
    // Fails only on a connection that is gone, which the first read finds out.
    drop(stream.set_nodelay(true));
    let io = match &shared.certificates {
        None => Io::Plain(stream),
        Some(certificates) => {
            let fault = shared.standing_fault();
            if fault == Some(SimFault::TlsHang) {
                hang(stream).await;
                return;
            }
            match certificates.acceptor(fault).accept(stream).await {
                Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    http2::serve(stream, number, &shared).await;
                    return;
                }
                Ok(stream) => Io::Tls(Box::new(stream)),
                Err(_) => {
                    shared.recorder.count(|stats| stats.failed_handshakes += 1);
                    return;
                }
            }
        }
    };
    http1::serve(Connection::new(io), number, &shared).await;
}

/// Reads and never answers, until the client goes away.
async fn hang(stream: TcpStream) {
    let mut connection = Connection::new(Io::Plain(stream));
    while connection.readable().await {
        if connection.read_some_body().await.is_err() {
            return;
        }
        connection.forget();
    }
}
