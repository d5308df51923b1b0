//! The connection to the server: one for all callers, made anew when it is lost, and with an exact answer to what became of
//! a command.
//!
//! A command that could not be sent has not happened ([`StoreError::Unavailable`]): there was no connection and none could
//! be made. A command that was sent and whose answer did not come may have happened ([`StoreError::Unknown`]); it is not sent
//! again. Reads have no effects and are sent once more. What the server itself refuses has not happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::RedisSettings;
use super::script::Script;
use crate::error::StoreError;
use crate::name::Namespace;
use crate::servers::Questions;

/// How long a connection may take to be made, TLS and login included.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take before it counts as lost. A server that writes each change through to a slow disk takes
/// tens of milliseconds.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes that may wait to be sent before callers are held up; several records of usual size go out at once.
const WRITE_AHEAD: usize = 64 << 10;

/// How long the server holds back the answer to a watch when nothing happens.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// Connections for waiting that are kept between two waits.
const SPARE: usize = 8;

/// What became of a command that failed.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// It was not sent.
    NotSent(StoreError),
    /// It was sent, and no answer came.
    NoAnswer(String),
    /// The server refused it: the code and the whole text.
    Refused(String, String),
}

impl Fault {
    /// What it means for a command that changes something.
    pub(super) fn of_write(self) -> StoreError {
        match self {
            Self::NotSent(error) => error,
            Self::NoAnswer(why) => StoreError::Unknown(why),
            Self::Refused(code, text) => refusal(&code, text),
        }
    }

    /// What it means for a command that changes nothing.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::NotSent(error) => error,
            Self::NoAnswer(why) => StoreError::Unavailable(why),
            Self::Refused(code, text) => refusal(&code, text),
        }
    }
}

/// What a refusal means. A script that the server refuses, it refuses before the first command that writes.
pub(super) fn refusal(code: &str, text: String) -> StoreError {
    match code {
        "OOM" => StoreError::Full(text),
        // It cannot write its snapshots, for want of room as a rule, or its log for that very reason.
        "MISCONF" if text.contains("snapshot") || text.contains("No space left") => StoreError::Full(text),
        "BUSY" => StoreError::Busy,
        // A script that fails says so behind a code of its own.
        _ if text.contains("WRONGTYPE") => StoreError::damaged(text),
        _ if text.contains("OOM ") => StoreError::Full(text),
        _ => StoreError::Unavailable(text),
    }
}

/// A connection that was made.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Set when it is found to be lost.
    lost: Arc<AtomicBool>,
}

impl Live {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

/// A wait that all watches of a namespace share.
pub(super) type Waiting = Shared<BoxFuture<'static, Result<(), StoreError>>>;
type Attempt = Shared<BoxFuture<'static, Result<Live, StoreError>>>;

enum Now {
    Down,
    Opening(Attempt),
    Up(Live),
}

/// The way to one server.
pub(super) struct Link {
    client: Client,
    /// `host:port/database`, without a password.
    place: String,
    now: Mutex<Now>,
    /// Connections that wait for nothing at the moment, see [`Link::wait_for`].
    spare: Mutex<Vec<Live>>,
    /// What watches wait for: the place after which there is to be a change.
    pub(super) waits: Mutex<FxHashMap<Namespace, (u64, Waiting)>>,
    /// Where watches begin.
    pub(super) questions: Questions,
    closed: watch::Sender<bool>,
}

impl Link {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        let wrong = |_| StoreError::Unsupported("the address of a Redis is redis://HOST or rediss://HOST");
        let info = settings.address.expose().as_str().into_connection_info().map_err(wrong)?;
        // Only the third version of the protocol tells of a connection's end before the next command is sent.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let place = format!("{}/{}", info.addr(), redis.db());
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
        let client = match &settings.roots {
            None => Client::open(info),
            Some(roots) => {
                let trust = TlsCertificates { client_tls: None, root_cert: Some(roots.clone()) };
                Client::build_with_tls(info, trust)
            }
        };
        let client = client.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            client,
            place,
            now: Mutex::new(Now::Down),
            spare: Mutex::default(),
            waits: Mutex::default(),
            questions: Questions::default(),
            closed: watch::Sender::new(false),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Lets go of the connection, for good.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        *self.now.lock() = Now::Down;
        self.spare.lock().clear();
        self.waits.lock().clear();
    }

    /// Told when the link is closed.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Sends a command that changes nothing; twice, when the first answer does not come because the connection is lost.
    pub(super) async fn read(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.ask(command).await.map_err(Fault::of_read)
    }

    /// The same, with what became of it.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        match self.send(command).await {
            Err(Fault::NoAnswer(_)) => self.send(command).await,
            other => other,
        }
    }

    /// Runs a script that changes nothing.
    pub(super) async fn read_script(
        &self,
        script: Script,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Value, StoreError> {
        match self.run(script, keys, args).await {
            Err(Fault::NoAnswer(_)) => self.run(script, keys, args).await.map_err(Fault::of_read),
            other => other.map_err(Fault::of_read),
        }
    }

    /// Runs a script that changes something, once.
    pub(super) async fn write_script(
        &self,
        script: Script,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Value, StoreError> {
        self.run(script, keys, args).await.map_err(Fault::of_write)
    }

    pub(super) async fn run(&self, script: Script, keys: &[&[u8]], args: &[&[u8]]) -> Result<Value, Fault> {
        match self.send(&script.by_digest(keys, args)).await {
            // Nothing ran: the server does not know it yet, or was restarted.
            Err(Fault::Refused(code, _)) if code == "NOSCRIPT" => self.send(&script.by_source(keys, args)).await,
            other => other,
        }
    }

    /// Runs a script behind a command, both or none; the script's answer.
    pub(super) async fn run_behind(
        &self,
        first: Cmd,
        script: Script,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Value, Fault> {
        let both = transaction(first, script.by_digest(keys, args));
        match self.send_both(&both).await {
            // The command is done already. It comes again all the same: by now this may be another server.
            Err(Fault::Refused(code, _)) if code == "NOSCRIPT" => {
                let first = both.cmd_iter().next().expect("there are two").clone();
                self.send_both(&transaction(first, script.by_source(keys, args))).await
            }
            other => other,
        }
    }

    async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut live = self.live().await.map_err(Fault::NotSent)?;
        match live.connection.send_packed_command(command).await {
            // An error within a list is the answer to one of several commits.
            Ok(Value::ServerError(error)) => Err(self.fault(&live, &error.into())),
            Ok(value) => Ok(value),
            Err(error) => Err(self.fault(&live, &error)),
        }
    }

    /// Sends a transaction of two commands; the answer to the second one.
    async fn send_both(&self, both: &Pipeline) -> Result<Value, Fault> {
        let mut live = self.live().await.map_err(Fault::NotSent)?;
        // Behind the answers that say that it has begun and that two commands wait comes the one to all of it.
        let answers = live.connection.send_packed_commands(both, 3, 1).await;
        match answers.map(|mut answers| answers.pop()) {
            Ok(Some(Value::Array(answers))) => match <[Value; 2]>::try_from(answers) {
                Ok([Value::ServerError(error), _] | [_, Value::ServerError(error)]) => {
                    Err(self.fault(&live, &error.into()))
                }
                Ok([_, answer]) => Ok(answer),
                Err(_) => Err(Fault::NoAnswer(format!("{}: another list", self.place))),
            },
            Ok(Some(Value::ServerError(error))) => Err(self.fault(&live, &error.into())),
            Ok(_) => Err(Fault::NoAnswer(format!("{}: no list", self.place))),
            Err(error) => Err(match error.clone().into_server_errors().as_deref() {
                // It was called off: why, the command says that could not wait.
                Some([(0 | 1, why), ..]) => self.fault(&live, &why.clone().into()),
                // It never began, so that each was done for itself, or not.
                Some([(_, why), ..]) => Fault::NoAnswer(format!("{}: {why}", self.place)),
                _ => self.fault(&live, &error),
            }),
        }
    }

    fn fault(&self, live: &Live, error: &RedisError) -> Fault {
        if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            // A server that answers so will not answer otherwise on this connection.
            if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                live.lost.store(true, Ordering::Release);
            }
            return Fault::Refused(error.code().unwrap_or_default().to_owned(), error.to_string());
        }
        live.lost.store(true, Ordering::Release);
        Fault::NoAnswer(format!("{}: {error}", self.place))
    }

    /// The connection that there is, or one that is being made for all who ask.
    async fn live(&self) -> Result<Live, StoreError> {
        let attempt = {
            let mut now = self.now.lock();
            if *self.closed.borrow() {
                return Err(StoreError::Unavailable("the store was closed".to_owned()));
            }
            match &*now {
                Now::Up(live) if !live.is_lost() => return Ok(live.clone()),
                Now::Opening(attempt) if !is_over(attempt) => attempt.clone(),
                Now::Opening(_) | Now::Up(_) | Now::Down => {
                    let attempt = connect_and_teach(self.client.clone(), self.place.clone()).boxed().shared();
                    *now = Now::Opening(attempt.clone());
                    attempt
                }
            }
        };
        let outcome = attempt.clone().await;
        let mut now = self.now.lock();
        match &*now {
            Now::Opening(current) if current.ptr_eq(&attempt) => *now = outcome.clone().map_or(Now::Down, Now::Up),
            // Another attempt took the place of one that nobody drove.
            Now::Up(live) if outcome.is_err() && !live.is_lost() => return Ok(live.clone()),
            _ => {}
        }
        outcome
    }

    /// Sends a command that the server answers when something happens, after [`WAIT`] at most, on a connection of its own.
    pub(super) async fn wait_for(&self, command: &Cmd) -> Result<Value, StoreError> {
        let spare = self.spare.lock().pop().filter(|live| !live.is_lost());
        let mut live = match spare {
            Some(live) => live,
            None => connect(self.client.clone(), self.place.clone(), WAIT + ANSWER).await?,
        };
        match live.connection.send_packed_command(command).await.and_then(Value::extract_error) {
            Ok(value) => {
                let mut spare = self.spare.lock();
                if spare.len() < SPARE && !*self.closed.borrow() {
                    spare.push(live);
                }
                Ok(value)
            }
            Err(error) => Err(self.fault(&live, &error).of_read()),
        }
    }
}

/// Two commands, both or none.
fn transaction(first: Cmd, second: Cmd) -> Pipeline {
    let mut both = Pipeline::with_capacity(2);
    both.atomic().add_command(first).add_command(second);
    both
}

/// Whether an attempt has failed. Its time runs on when those who drove it have left it.
fn is_over(attempt: &Attempt) -> bool {
    matches!(attempt.clone().now_or_never(), Some(Err(_)))
}

/// Makes a connection, and makes known there what a commit runs: a server that was started again has forgotten it, and the
/// record before it would lie there until the script comes after it.
async fn connect_and_teach(client: Client, place: String) -> Result<Live, StoreError> {
    let mut live = connect(client, place.clone(), ANSWER).await?;
    match live.connection.send_packed_command(&Script::Commit.load()).await {
        // It may be forbidden, and then goes another way.
        Ok(_) => Ok(live),
        Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => Ok(live),
        Err(error) => Err(StoreError::Unavailable(format!("{place}: {error}"))),
    }
}

/// Makes a connection whose answers may take as long as `answer`.
async fn connect(client: Client, place: String, answer: Duration) -> Result<Live, StoreError> {
    let lost = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&lost);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(answer))
        .set_write_backpressure_boundary(WRITE_AHEAD)
        .set_push_sender(move |push: PushInfo| -> Result<(), std::convert::Infallible> {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Release);
            }
            Ok(())
        });
    match client.get_multiplexed_async_connection_with_config(&config).await {
        Ok(connection) => Ok(Live { connection, lost }),
        Err(error) => Err(StoreError::Unavailable(format!("{place}: {error}"))),
    }
}
