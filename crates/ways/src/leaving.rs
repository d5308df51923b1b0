//! Which way a URL leaves, and why: for people who ask, without sending anything to it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tradewind_decide::rules::Meta;
use tradewind_egress::Chosen;
use tradewind_policy::ways::{InboundKind, Mode, Transport};

use crate::probe::Question;
use crate::ways::Ways;

/// How long finding out may take: names are resolved, a script may have to be fetched.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which way a URL leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leaving {
    /// The proxy or group that was decided on.
    pub via: Arc<str>,
    /// What connections are made to: `DIRECT`, `PROXY host:port`, `SOCKS5 host:port`, `REJECT`.
    pub proxy: String,
    /// Why, from the rule to the proxy.
    pub why: String,
}

/// Why nobody can say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LeavingError(String);

impl Ways {
    /// Which way `url` leaves: along `via` when one is named, as the rules say otherwise.
    ///
    /// # Errors
    /// When `url` is none of a server, or the way cannot be had.
    pub async fn leaving(&self, url: &str, via: Option<&str>) -> Result<Leaving, LeavingError> {
        let question = Question::parse(url).map_err(|error| LeavingError(error.to_string()))?;
        let (host, port) = (&question.to().host, question.to().port);
        let mut meta = Meta {
            network: Transport::Tcp,
            inbound: InboundKind::Inner,
            host: host.name().cloned(),
            destination: host.ip(),
            destination_port: port,
            ..Meta::default()
        };
        let (chosen, mut why) = match via {
            Some(name) => {
                let chosen = self.choose(name, question.to()).map_err(|fault| LeavingError(fault.to_string()))?;
                (chosen, format!("`via: {name}`"))
            }
            None => {
                let nobody: crate::FindProcess = Arc::new(|_| None);
                let decided = self.decide(&mut meta, &nobody).await.map_err(|fault| LeavingError(fault.to_string()))?;
                let why = match (&decided.ruling, self.mode()) {
                    (Some(ruling), _) if ruling.payload.is_empty() => {
                        format!("the rule {} says {}", ruling.type_name, ruling.target)
                    }
                    (Some(ruling), _) => {
                        format!("the rule {},{} says {}", ruling.type_name, ruling.payload, ruling.target)
                    }
                    (None, Mode::Rule) => "no rule fits, so it goes directly".to_owned(),
                    (None, mode) => format!("the mode is `{}`, and rules are not asked", mode.name()),
                };
                (decided.chosen, why)
            }
        };
        self.led_by(&chosen, &mut why);
        let explained = chosen.outbound.explain(question.to(), question.is_tls(), &self.dialing(PATIENCE)).await;
        let explained = explained.map_err(|fault| LeavingError(fault.to_string()))?;
        let via = chosen.chain.last().unwrap_or_else(|| chosen.outbound.name()).clone();
        Ok(Leaving { via, proxy: explained.proxy, why: format!("{why}; {}", explained.why) })
    }

    /// What the groups on the way have picked, and who picked.
    fn led_by(&self, chosen: &Chosen, why: &mut String) {
        let set = self.set();
        for pair in chosen.chain.windows(2).rev() {
            let [member, group] = pair else { continue };
            let Some(group) = set.group(group) else { continue };
            let by = match (group.spec.network_policy.is_some(), self.followed(group.name())) {
                (true, Some(source)) => format!(" ({source})"),
                _ => String::new(),
            };
            why.push_str(&format!("; {} uses {member}{by}", group.name()));
        }
    }
}
