//! Runs a script, in QuickJS, on a thread of its own: with bounds on memory, stack, time and names, and with nothing within reach
//! but the functions of `prelude.js`.
//!
//! Each run begins with an empty world, so that no answer depends on the ones before it. A script that does not end is
//! interrupted. The few functions of the language that cannot be interrupted (joining an array of four thousand million
//! missing elements) leave their thread behind, and with it one of the [`AT_ONCE`] places of the script: a script that
//! does it again and again has none left, and answers nothing any more.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as threads;
use std::time::Duration;

use rquickjs::context::EvalOptions;
use rquickjs::context::intrinsic;
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, Function, Runtime, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::resolve::Resolver;

/// Runs of one script at once.
pub(super) const AT_ONCE: usize = 4;
/// For a run, waiting for its turn and names included.
const LIMIT: Duration = Duration::from_secs(5);
/// For one name.
const NAME_LIMIT: Duration = Duration::from_secs(2);
/// Names that are looked up in one run; the others have no address.
const NAMES: usize = 32;
/// Memory of a run, in bytes.
const MEMORY: usize = 32 * 1024 * 1024;
/// Stack of the script, and of the thread below it.
const SCRIPT_STACK: usize = 256 * 1024;
const STACK: usize = 2 * 1024 * 1024;
/// What is repeated of the script's own words in messages.
const SAID: usize = 200;

/// The functions that a script may call.
const PRELUDE: &str = include_str!("prelude.js");
/// What is asked of the script when it has been read: its function, as a variable of any kind. Microsoft's is used where there
/// is no other.
const ENTRY: &str = "typeof FindProxyForURL === 'function' ? FindProxyForURL
    : typeof FindProxyForURLEx === 'function' ? FindProxyForURLEx : undefined";

/// Why a script gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScriptError {
    /// It did not end.
    #[error("it did not answer within {}", tradewind_core::format_duration(LIMIT))]
    Endless,
    /// It wanted more memory.
    #[error("it wanted more than {} MiB of memory", MEMORY / 1024 / 1024)]
    Memory,
    /// It cannot be read, or threw something.
    #[error("{0}")]
    Threw(String),
    /// It has no `FindProxyForURL`.
    #[error("it has no function FindProxyForURL")]
    NoFunction,
    /// It answered with something else than text.
    #[error("FindProxyForURL answered with {0}, not with text")]
    NotText(&'static str),
    /// No thread could be had.
    #[error("it could not be run")]
    NotRun,
}

/// A name that the script wants to have resolved.
struct Question {
    name: String,
    answer: threads::SyncSender<Vec<IpAddr>>,
}

/// Stops the script when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What `script` answers for `url`, whose host is `host`; empty where it answers with nothing.
pub(super) async fn run(
    script: Arc<str>,
    url: String,
    host: String,
    resolver: &Resolver,
    places: &Arc<Semaphore>,
) -> Result<String, ScriptError> {
    let whole = async {
        let place = places.clone().acquire_owned().await.map_err(|_| ScriptError::NotRun)?;
        let stop = Arc::new(AtomicBool::new(false));
        let _stop = StopOnDrop(stop.clone());
        let (ask, mut questions) = mpsc::unbounded_channel();
        let (done, mut answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("pac".to_owned()).stack_size(STACK);
        let started = thread.spawn(move || {
            let _place = place;
            // Nobody listens any more when the time is over.
            let _ = done.send(evaluate(&script, &url, &host, ask, stop));
        });
        started.map_err(|_| ScriptError::NotRun)?;
        loop {
            tokio::select! {
                answer = &mut answer => return answer.unwrap_or(Err(ScriptError::NotRun)),
                Some(Question { name, answer }) = questions.recv() => {
                    let found = tokio::time::timeout(NAME_LIMIT, resolver.look_up(&name)).await;
                    let found = found.ok().and_then(Result::ok);
                    // The script may have been stopped meanwhile.
                    let _ = answer.send(found.map_or_else(Vec::new, |found| found.to_vec()));
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, whole).await.unwrap_or(Err(ScriptError::Endless))
}

/// The part on the thread.
fn evaluate(
    script: &str,
    url: &str,
    host: &str,
    ask: mpsc::UnboundedSender<Question>,
    stop: Arc<AtomicBool>,
) -> Result<String, ScriptError> {
    let runtime = Runtime::new().map_err(|_| ScriptError::Memory)?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(SCRIPT_STACK);
    let stopped = stop.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || stopped.load(Ordering::Relaxed))));
    // No promises, typed arrays, big numbers: no script needs them, and some of what they can do takes forever.
    type Parts = (
        intrinsic::Date,
        intrinsic::Eval,
        intrinsic::RegExpCompiler,
        intrinsic::RegExp,
        intrinsic::Json,
        intrinsic::MapSet,
    );
    let context = Context::custom::<Parts>(&runtime).map_err(|_| ScriptError::Memory)?;
    context.with(|context| {
        let answered = answered(&context, script, url, host, ask);
        answered.catch(&context).map_err(|error| why(&error, &stop)).and_then(|answer| answer)
    })
}

fn answered<'js>(
    context: &Ctx<'js>,
    script: &str,
    url: &str,
    host: &str,
    ask: mpsc::UnboundedSender<Question>,
) -> rquickjs::Result<Result<String, ScriptError>> {
    let prelude: Function<'js> = context.eval(PRELUDE)?;
    let left = std::cell::Cell::new(NAMES);
    let resolve = Function::new(context.clone(), move |name: String| {
        let found = if left.get() == 0 { Vec::new() } else { look_up(&ask, name) };
        left.set(left.get().saturating_sub(1));
        shown(found)
    })?;
    let own = Function::new(context.clone(), || shown(own_addresses()))?;
    prelude.call::<_, ()>((resolve, own, context.globals()))?;
    let mut options = EvalOptions::default();
    // Scripts are older than strict mode.
    options.strict = false;
    options.filename = Some("the script".to_owned());
    context.eval_with_options::<(), _>(script, options)?;
    let entry: Value<'js> = context.eval(ENTRY)?;
    let Some(function) = entry.into_function() else { return Ok(Err(ScriptError::NoFunction)) };
    let answer: Value<'js> = function.call((url, host))?;
    if answer.is_null() || answer.is_undefined() {
        return Ok(Ok(String::new()));
    }
    let kind = answer.type_name();
    match answer.into_string() {
        Some(text) => text.to_string().map(Ok),
        None => Ok(Err(ScriptError::NotText(kind))),
    }
}

/// Asks the side that can wait for names.
fn look_up(ask: &mpsc::UnboundedSender<Question>, name: String) -> Vec<IpAddr> {
    if name.is_empty() || name.len() > 253 {
        return Vec::new();
    }
    let (answer, answered) = threads::sync_channel(1);
    match ask.send(Question { name, answer }) {
        Ok(()) => answered.recv().unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn shown(addresses: Vec<IpAddr>) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// The addresses from which this machine would reach the rest of the world. Nothing is sent: a socket for datagrams is told where
/// it would send, and says from where.
fn own_addresses() -> Vec<IpAddr> {
    let from = |local: &str, remote: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(remote).ok()?;
        socket.local_addr().ok().map(|address: SocketAddr| address.ip()).filter(|address| !address.is_unspecified())
    };
    // Addresses of documentation, RFC 5737 and RFC 3849: they lead where the default route does.
    [from("0.0.0.0:0", "192.0.2.1:9"), from("[::]:0", "[2001:db8::1]:9")].into_iter().flatten().collect()
}

/// What went wrong in a script, in a line.
fn why(error: &CaughtError<'_>, stop: &AtomicBool) -> ScriptError {
    if stop.load(Ordering::Relaxed) {
        return ScriptError::Endless;
    }
    let said = match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            if message == "out of memory" {
                return ScriptError::Memory;
            }
            let stack = exception.stack().unwrap_or_default();
            let line = stack.lines().find_map(|line| line.split_once("the script:").map(|(_, rest)| rest));
            match line.and_then(|line| line.split([':', ')', '\n']).next()) {
                Some(line) => format!("line {line}: {message}"),
                None => message,
            }
        }
        // Not being able to make an exception is a lack of memory.
        CaughtError::Value(value) if value.is_null() => return ScriptError::Memory,
        CaughtError::Value(value) => {
            let text = value.as_string().and_then(|text| text.to_string().ok());
            text.unwrap_or_else(|| format!("it threw {}", value.type_name()))
        }
        CaughtError::Error(error) => error.to_string(),
    };
    let shown: String = said.chars().filter(|letter| !letter.is_control()).take(SAID).collect();
    ScriptError::Threw(shown)
}
