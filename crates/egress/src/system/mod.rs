//! The system's own proxy settings, for `via: system`: the environment, then the desktop (GNOME). Where the environment names any
//! proxy the desktop is not asked, as programs of the command line do it.
//!
//! A login that stands in the settings is used for that proxy alone; for a proxy of the document the document's is. The
//! settings of macOS and Windows are not read: there, the environment alone counts.

mod bypass;
mod environment;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "GNOME is asked on Linux alone"))]
mod gnome;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_policy::ways::{PacProxy, Proxy, ProxyKind, SYSTEM, Unreachable};

use self::environment::{Environment, Named};
use self::gnome::{Desktop, Manual};
use crate::pac::{Pac, is_own};
use crate::{Destination, Dialing, Outbound, Roots};

/// How often the desktop is asked.
const AGAIN: Duration = Duration::from_secs(30);
/// How long the desktop may take.
#[cfg(target_os = "linux")]
const LIMIT: Duration = Duration::from_secs(2);

/// The settings.
pub(crate) struct System {
    environment: Environment,
    roots: Roots,
    desktop: Mutex<Option<(Moment, Arc<Asked>)>>,
    asking: tokio::sync::Mutex<()>,
}

/// What the desktop said, and the script that it names.
struct Asked {
    desktop: Desktop,
    script: Option<Arc<Pac>>,
}

/// The way that the settings name.
pub(crate) struct Picked {
    pub(crate) way: PickedWay,
    /// In words.
    pub(crate) why: String,
}

/// What the settings name.
pub(crate) enum PickedWay {
    /// No proxy, or this one.
    One(Arc<Outbound>),
    /// What a script says.
    Script(Arc<Pac>),
}

impl System {
    /// `variable` reads the environment, once and for all: it does not change while a process runs.
    pub(crate) fn new(variable: &dyn Fn(&str) -> Option<String>, roots: &Roots) -> Self {
        Self {
            environment: Environment::new(variable),
            roots: roots.clone(),
            desktop: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Forgets what the desktop and its script said.
    pub(crate) fn forget(&self) {
        *self.desktop.lock() = None;
    }

    /// The way for `to`; `tls` is whether the URL is an https one.
    pub(crate) async fn pick(&self, to: &Destination, tls: bool, dialing: &Dialing) -> Result<Picked, Fault> {
        if is_own(&to.host) {
            return Ok(direct(format!("{} is this machine, which is never reached through a proxy", to.host)));
        }
        if self.environment.is_set() {
            return self.by_environment(to, tls, dialing);
        }
        let asked = self.ask(dialing).await;
        match (&asked.desktop, &asked.script) {
            (Desktop::Script(url), Some(script)) => {
                let why = format!("the desktop's settings name the script {url}");
                Ok(Picked { way: PickedWay::Script(script.clone()), why })
            }
            (Desktop::Manual(manual), _) => Ok(self.by_desktop(manual, to, tls, dialing)),
            (Desktop::None(why), _) => Ok(direct(format!("the environment names no proxy, and {why}"))),
            (Desktop::Script(_), None) => Ok(direct("the desktop names no script".to_owned())),
        }
    }

    fn by_environment(&self, to: &Destination, tls: bool, dialing: &Dialing) -> Result<Picked, Fault> {
        if self.environment.bypass.has(to) {
            return Ok(direct(format!("no_proxy of the environment has {to}")));
        }
        let Some(setting) = self.environment.setting(tls) else {
            let scheme = if tls { "https" } else { "http" };
            return Ok(direct(format!("the environment names no proxy for {scheme}")));
        };
        match &setting.proxy {
            Ok(named) => Ok(self.through(named, format!("{} of the environment", setting.variable), dialing)),
            Err(why) => {
                let detail = format!("`{}` of the environment names no proxy: {why}", setting.variable);
                Err(Fault::new(FaultKind::WayBroken, detail).before_sending())
            }
        }
    }

    fn by_desktop(&self, manual: &Manual, to: &Destination, tls: bool, dialing: &Dialing) -> Picked {
        if manual.bypass.has(to) {
            return direct(format!("the desktop's settings ignore {to}"));
        }
        let own = if tls { &manual.https } else { &manual.http };
        match own.as_ref().or(manual.socks.as_ref()) {
            Some(named) => self.through(named, "the desktop's settings".to_owned(), dialing),
            None => direct("the desktop's settings name no proxy for this".to_owned()),
        }
    }

    /// The proxy of the document at that place, unless the settings have a login of their own.
    fn through(&self, named: &Named, why: String, dialing: &Dialing) -> Picked {
        if !named.has_login
            && let Some(known) = dialing.chooser.at(&named.server)
        {
            return Picked { way: PickedWay::One(known), why };
        }
        Picked { way: PickedWay::One(outbound(&named.server.to_string(), named.kind.clone(), &self.roots)), why }
    }

    /// What the desktop says: asked for when it has not been for a while. Whoever comes meanwhile takes what there is.
    async fn ask(&self, dialing: &Dialing) -> Arc<Asked> {
        let now = dialing.resolver.now();
        let kept = || self.desktop.lock().clone();
        let _asking = match kept() {
            Some((until, asked)) if until > now => return asked,
            Some((_, asked)) => match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return asked,
            },
            None => self.asking.lock().await,
        };
        let before = kept();
        if let Some((until, asked)) = &before
            && *until > now
        {
            return asked.clone();
        }
        let desktop = read_desktop().await;
        let asked = match before {
            // The script and what is known of it stay.
            Some((_, before)) if before.desktop == desktop => before,
            _ => {
                let script = match &desktop {
                    Desktop::Script(url) => {
                        let spec = PacProxy { url: url.clone(), unreachable: Unreachable::Direct };
                        Some(Arc::new(Pac::new(&spec, &self.roots)))
                    }
                    Desktop::None(_) | Desktop::Manual(_) => None,
                };
                Arc::new(Asked { desktop, script })
            }
        };
        *self.desktop.lock() = Some((dialing.resolver.now() + AGAIN, asked.clone()));
        asked
    }
}

#[cfg(target_os = "linux")]
async fn read_desktop() -> Desktop {
    /// A desktop that hangs keeps its thread, and is not asked again before it answers.
    static ASKED: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
    let silent = Desktop::None("the desktop did not say what its settings are");
    let Ok(permit) = ASKED.try_acquire() else { return silent };
    let asking = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        gnome::ask()
    });
    tokio::time::timeout(LIMIT, asking).await.ok().and_then(Result::ok).unwrap_or(silent)
}

#[cfg(not(target_os = "linux"))]
async fn read_desktop() -> Desktop {
    Desktop::None("the settings of this operating system are not read")
}

fn direct(why: String) -> Picked {
    Picked { way: PickedWay::One(outbound("DIRECT", ProxyKind::Direct, &Roots::none())), why }
}

fn outbound(name: &str, kind: ProxyKind, roots: &Roots) -> Arc<Outbound> {
    let spec = Proxy { name: name.into(), kind, dialer: None, udp: false };
    // What cannot work is refused where it is used.
    Arc::new(Outbound::new(&spec, roots).unwrap_or_else(|error| {
        let kind = ProxyKind::NotBuilt(format!("what the settings of the system say ({error})").into());
        Outbound::new(&Proxy { kind, ..spec }, &Roots::none()).expect("a way that is not built needs nothing")
    }))
}

/// The name of the way that the settings make.
pub(crate) const NAME: &str = SYSTEM;

#[cfg(test)]
mod tests;
