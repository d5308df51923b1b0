//! The connection to the servers, and an exact answer to what became of a request.
//!
//! The client makes a lost connection anew by itself, and would keep what is asked meanwhile until there is one, minutes
//! later if need be. A write that happens then surprises everybody: nothing is sent while there is no connection
//! ([`StoreError::Unavailable`]), and what was on its way when it broke may have happened, or may happen over the next one
//! ([`StoreError::Unknown`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::Request;
use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::rustls::pki_types::CertificateDer;
use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::{ClientConfig, RootCertStore};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Message, RequestErrorKind, ServerAddr, Statistics};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::NatsSettings;
use super::leader::Marks;
use crate::error::StoreError;
use crate::servers::Questions;

/// How long a connection may take to be made, TLS and login included; and how long a request waits for one to come back.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take before it counts as lost.
const ANSWER: Duration = Duration::from_secs(5);
/// A silent connection is asked for a sign of life so often; the second that does not come ends it.
const PING: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of a request that failed.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// It was not sent.
    NotSent(StoreError),
    /// It was sent, and no answer came.
    NoAnswer(String),
    /// Nobody takes messages with this subject: there is no such stream, or it has no leader.
    Nobody,
}

impl Fault {
    /// What it means for a request that changes nothing, where there is a stream.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::NotSent(error) => error,
            Self::NoAnswer(why) => StoreError::Unavailable(why),
            Self::Nobody => StoreError::Unavailable("nobody answers for the stream".to_owned()),
        }
    }

    /// What it means for a request that changes something.
    pub(super) fn of_write(self) -> StoreError {
        match self {
            Self::NoAnswer(why) => StoreError::Unknown(why),
            other => other.of_read(),
        }
    }
}

/// What JetStream says instead of what was asked for.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

impl ApiError {
    /// There is no such stream.
    pub(super) const NO_STREAM: u64 = 10_059;
    /// The name of a stream is taken, with other settings.
    pub(super) const STREAM_EXISTS: u64 = 10_058;
    /// The last message of the subject is another than expected.
    pub(super) const WRONG_LAST: [u64; 2] = [10_071, 10_164];
    /// There is no such message.
    pub(super) const NO_MESSAGE: u64 = 10_037;

    pub(super) fn into_error(self) -> StoreError {
        let full = ["insufficient", "exceeded", "no space left", "resource"];
        if full.iter().any(|word| self.description.contains(word)) {
            StoreError::Full(self.description)
        } else {
            StoreError::Unavailable(self.description)
        }
    }
}

/// An answer of JetStream's interface.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Error { error: ApiError },
    Good(T),
}

/// The way to the servers.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) context: Context,
    place: String,
    statistics: Arc<Statistics>,
    /// Counts how often a connection was lost.
    losses: watch::Receiver<u64>,
    /// Counts how often one was made.
    gains: watch::Receiver<u64>,
    /// By which it is known who leads a stream.
    pub(super) marks: Marks,
    /// Where watches begin.
    pub(super) questions: Questions,
    closed: watch::Sender<bool>,
}

impl Link {
    pub(super) async fn open(settings: &NatsSettings) -> Result<Self, StoreError> {
        let mut servers = Vec::new();
        for address in settings.address.expose().split(',') {
            let server: ServerAddr = address
                .trim()
                .parse()
                .map_err(|_| StoreError::Unsupported("the address of NATS is nats://HOST or tls://HOST"))?;
            servers.push(server);
        }
        let login =
            servers.iter().find_map(|server| Some((decoded(server.username()?), server.password().map(decoded))));
        let place =
            servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect::<Vec<_>>().join(",");
        let (loss, losses) = watch::channel(0_u64);
        let (gain, gains) = watch::channel(0_u64);
        let counts = Arc::new((loss, gain));
        let mut options = ConnectOptions::new()
            .name("tradewind")
            .connection_timeout(CONNECT)
            .request_timeout(Some(ANSWER))
            .ping_interval(PING)
            .reconnect_delay_callback(|attempts| PAUSE.min(Duration::from_millis(20 * attempts as u64)))
            .event_callback(move |event| {
                let counts = counts.clone();
                async move {
                    match event {
                        Event::Disconnected | Event::Closed => counts.0.send_modify(|losses| *losses += 1),
                        Event::Connected => counts.1.send_modify(|gains| *gains += 1),
                        _ => {}
                    }
                }
            });
        options = match login {
            Some((user, Some(password))) => options.user_and_password(user, password),
            Some((token, None)) => options.token(token),
            None => options,
        };
        if let Some(roots) = &settings.roots {
            options = options.tls_client_config(trust(roots)?);
        }
        let unavailable = |why: String| StoreError::Unavailable(format!("{place}: {why}"));
        let client = options.connect(servers).await.map_err(|error| unavailable(error.to_string()))?;
        let info = client.server_info();
        if !client.is_server_compatible(2, 11, 0) {
            return Err(unavailable(format!("NATS is {}; 2.11 is the oldest that works", info.version)));
        }
        let context = jetstream::new(client.clone());
        let statistics = client.statistics();
        let (questions, closed) = (Questions::default(), watch::Sender::new(false));
        let marks = Marks::default();
        Ok(Self { client, context, place, statistics, losses, gains, marks, questions, closed })
    }

    /// `host:port` of each server, without passwords.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Which connection this is, counted: the number is another before anything is sent over the next one.
    pub(super) fn connection(&self) -> u64 {
        self.statistics.connects.load(Ordering::Acquire)
    }

    /// Lets go of the connection, for good.
    pub(super) async fn close(&self) {
        self.closed.send_replace(true);
        // Fails when the connection is gone already.
        let _ = self.client.drain().await;
    }

    /// Told when the link is closed.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Waits for a connection, not for long. What comes back is told when it is lost.
    pub(super) async fn connected(&self) -> Result<watch::Receiver<u64>, StoreError> {
        if let Some(losses) = self.connected_now()? {
            return Ok(losses);
        }
        let mut gains = self.gains.clone();
        let begun = tokio::time::sleep(CONNECT);
        tokio::pin!(begun);
        loop {
            gains.borrow_and_update();
            if let Some(losses) = self.connected_now()? {
                return Ok(losses);
            }
            tokio::select! {
                gained = gains.changed() => {
                    gained.map_err(|_| StoreError::Unavailable(format!("{}: the client has ended", self.place)))?;
                }
                () = &mut begun => {
                    return Err(StoreError::Unavailable(format!("{}: no connection", self.place)));
                }
            }
        }
    }

    fn connected_now(&self) -> Result<Option<watch::Receiver<u64>>, StoreError> {
        if *self.closed.borrow() {
            return Err(StoreError::Unavailable("the store was closed".to_owned()));
        }
        let mut losses = self.losses.clone();
        losses.mark_unchanged();
        Ok((self.client.connection_state() == State::Connected).then_some(losses))
    }

    /// Asks, and waits for one answer, for [`ANSWER`] at most and not longer than the connection lasts.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, Fault> {
        let mut losses = self.connected().await.map_err(Fault::NotSent)?;
        let mut request = Request::new().payload(payload);
        request.headers = headers;
        let size = request.payload.as_ref().map_or(0, Bytes::len) as u64;
        let answer = tokio::select! {
            biased;
            answer = self.client.send_request(subject, request) => answer,
            _ = losses.changed() => return Err(Fault::NoAnswer(format!("{}: the connection broke", self.place))),
        };
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Fault::Nobody,
            RequestErrorKind::MaxPayloadExceeded => {
                Fault::NotSent(StoreError::TooLarge { size, limit: self.client.max_payload() as u64 })
            }
            _ => Fault::NoAnswer(format!("{}: {error}", self.place)),
        })
    }

    /// Asks JetStream's interface; the inner error is what it refuses with.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        what: &str,
        request: &Value,
    ) -> Result<Result<T, ApiError>, Fault> {
        let payload = if request.is_null() { Bytes::new() } else { Bytes::from(request.to_string()) };
        let answer = self.ask(["$JS.API.", what].concat(), None, payload).await?;
        read(&answer.payload).map_err(|error| Fault::NotSent(StoreError::damaged(error)))
    }
}

/// Reads an answer in JSON.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<Result<T, ApiError>, String> {
    match serde_json::from_slice(payload) {
        Ok(Answer::Error { error }) => Ok(Err(error)),
        Ok(Answer::Good(good)) => Ok(Ok(good)),
        Err(error) => Err(format!("NATS answers with what cannot be read: {error}")),
    }
}

/// A part of an address without its `%` and digits (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// TLS that trusts these certificates alone.
fn trust(roots: &[u8]) -> Result<ClientConfig, StoreError> {
    let wrong = |error: String| StoreError::Unavailable(format!("the certificates to trust cannot be used: {error}"));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        store.add(certificate.map_err(|error| wrong(error.to_string()))?).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(ClientConfig::builder().with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::commit::taken;

    #[test]
    fn logins_are_decoded() {
        for (text, plain) in [("plain", "plain"), ("p%40ss%3aw%C3%BC", "p@ss:wü"), ("100%", "100%"), ("%zz%4", "%zz%4")]
        {
            assert_eq!(decoded(text), plain);
        }
    }

    #[derive(serde::Deserialize)]
    struct Numbered {
        #[serde(rename = "seq")]
        _seq: u64,
    }

    #[test]
    fn answers_of_others_are_errors_and_no_panic() {
        for payload in [&b""[..], b"{", b"null", b"[]", b"{\"seq\":\"1\"}", b"{\"error\":1}", b"\xff"] {
            assert!(taken(payload).is_err(), "{payload:?}");
            assert!(read::<Numbered>(payload).is_err(), "{payload:?}");
        }
        let refused = taken(b"{\"error\":{\"code\":400,\"err_code\":10071}}");
        assert!(matches!(refused, Ok(Err(error)) if ApiError::WRONG_LAST.contains(&error.err_code)));
    }
}
