//! How a connection logs in at an HTTP proxy: which scheme, and which `Proxy-Authorization` in which leg.
//!
//! The schemes of the document are tried in their order, of those that the proxy offers; the first that the proxy accepts ends
//! it. Why each of the others came to nothing is said in the fault. A scheme has one try: a password that is not accepted is not sent
//! again, which would lock the account.

mod negotiate;
mod ntlm;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::rand::{SecureRandom as _, SystemRandom};
use tradewind_core::UnixMillis;
use tradewind_policy::ways::{HttpProxy, ProxyAuth};

use self::negotiate::Negotiation;
use self::ntlm::{Account, Fresh};
use crate::OutboundError;

pub use self::ntlm::outline_challenge;

/// The longest token of a proxy that is looked at, in base64: as much as a head has room for.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What there is to log in with at one proxy. Used for that proxy alone.
pub(crate) struct Credentials {
    schemes: Vec<ProxyAuth>,
    basic: Option<HeaderValue>,
    ntlm: Option<Account>,
    /// The service name for Negotiate, where it is not `HTTP/server`.
    spn: Option<Arc<str>>,
}

/// One leg of a login: what the next request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    /// `Proxy-Authorization`; none where nothing is said.
    pub(crate) value: Option<HeaderValue>,
    /// Whether the request that carries it can be the one that matters: nothing is left to try should it be refused.
    pub(crate) last: bool,
    /// Whether it has to be sent on the connection that the leg before went over.
    pub(crate) same_connection: bool,
    /// Whether it belongs to each request instead of to the connection.
    pub(crate) each: bool,
}

impl Leg {
    /// A request without a login.
    pub(crate) const fn nothing(last: bool) -> Self {
        Self { value: None, last, same_connection: false, each: false }
    }
}

/// The login of one connection.
pub(crate) struct Login<'a> {
    credentials: &'a Credentials,
    /// The proxy's host name.
    server: String,
    now: UnixMillis,
    /// The scheme that is tried next, as a place in `schemes`.
    next: usize,
    /// Whether the scheme of the present login is the only one.
    is_repeated: bool,
    under_way: UnderWay,
    /// Why a scheme came to nothing.
    failed: Vec<(ProxyAuth, String)>,
}

/// What has been sent of the scheme that is tried.
enum UnderWay {
    Nothing,
    Basic,
    /// The first message.
    NtlmBegun,
    /// The last one.
    NtlmAnswered,
    Negotiate(Negotiation),
}

impl Credentials {
    /// Those that the document has for a proxy.
    pub(crate) fn new(proxy: &Arc<str>, spec: &HttpProxy) -> Result<Self, OutboundError> {
        let wrong = |what| OutboundError::Credentials(proxy.clone(), what);
        let user = spec.username.as_deref().unwrap_or_default();
        let password = spec.password.as_ref().map_or("", |password| password.expose().as_str());
        let mut basic = None;
        if spec.auth.contains(&ProxyAuth::Basic) {
            // RFC 7617 §2.
            if user.contains(':') {
                return Err(wrong("the user name has a colon, which Basic cannot say"));
            }
            if user.chars().chain(password.chars()).any(char::is_control) {
                return Err(wrong("they have a control character"));
            }
            let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong("they fit no header"))?;
            value.set_sensitive(true);
            basic = Some(value);
        }
        // Windows has 20 characters for a user, 255 for a domain and 256 for a password.
        if user.len() > 1024 || password.len() > 1024 {
            return Err(wrong("they have more than 1024 bytes"));
        }
        let ntlm = spec.auth.contains(&ProxyAuth::Ntlm).then(|| Account::new(user, password));
        Ok(Self { schemes: spec.auth.clone(), basic, ntlm, spn: spec.spn.clone() })
    }

    /// Whether a login may belong to a connection instead of a request.
    pub(crate) fn is_bound(&self) -> bool {
        self.schemes.iter().any(|scheme| *scheme != ProxyAuth::Basic)
    }

    /// `Proxy-Authorization` for every request, where a login belongs to requests.
    pub(crate) fn for_each_request(&self) -> Option<&HeaderValue> {
        if self.is_bound() { None } else { self.basic.as_ref() }
    }

    /// Begins the login of a connection to the proxy at the host `server`. `now` is what NTLM says the time is.
    pub(crate) fn login(&self, server: String, now: UnixMillis) -> Login<'_> {
        Login {
            credentials: self,
            server,
            now,
            next: 0,
            is_repeated: false,
            under_way: UnderWay::Nothing,
            failed: Vec::new(),
        }
    }
}

impl Login<'_> {
    /// The leg before anything was heard of the proxy: Basic needs no question, the others wait for what is offered.
    pub(crate) fn first(&mut self) -> Leg {
        let schemes = &self.credentials.schemes;
        if schemes.get(self.next) == Some(&ProxyAuth::Basic) && !self.is_repeated {
            self.next = 1;
            return self.basic();
        }
        Leg::nothing(schemes.is_empty())
    }

    /// The leg after a 407 that offers `offered`; `None` when nothing is left to try.
    pub(crate) async fn next(&mut self, offered: &[String]) -> Option<Leg> {
        match std::mem::replace(&mut self.under_way, UnderWay::Nothing) {
            UnderWay::Nothing => {}
            UnderWay::Basic => self.fail(ProxyAuth::Basic, "the user name or the password is not accepted"),
            UnderWay::NtlmAnswered => self.fail(ProxyAuth::Ntlm, "the user name or the password is not accepted"),
            UnderWay::NtlmBegun => match self.answer_challenge(offered) {
                Ok(leg) => return Some(leg),
                Err(why) => self.fail(ProxyAuth::Ntlm, why),
            },
            UnderWay::Negotiate(negotiation) => match self.negotiate_on(negotiation, offered).await {
                Ok(leg) => return Some(leg),
                Err(why) => self.fail(ProxyAuth::Negotiate, why),
            },
        }
        while let Some(scheme) = self.credentials.schemes.get(self.next).copied() {
            self.next = if self.is_repeated { self.credentials.schemes.len() } else { self.next + 1 };
            if !offers(offered, name(scheme)) {
                self.fail(scheme, "the proxy does not offer it");
                continue;
            }
            match scheme {
                ProxyAuth::Basic => return Some(self.basic()),
                ProxyAuth::Ntlm => {
                    self.under_way = UnderWay::NtlmBegun;
                    return Some(bound("NTLM", &ntlm::negotiate(), false, false));
                }
                ProxyAuth::Negotiate => match self.negotiate().await {
                    Ok(leg) => return Some(leg),
                    Err(why) => self.fail(scheme, why),
                },
            }
        }
        None
    }

    /// Whether there is anything to log in with.
    pub(crate) fn has_any(&self) -> bool {
        !self.credentials.schemes.is_empty()
    }

    /// Why the schemes that were tried, or could not be, came to nothing: `; ntlm: …; basic: …`.
    pub(crate) fn failures(&self) -> String {
        self.failed.iter().map(|(scheme, why)| format!("; {}: {why}", name(*scheme).to_ascii_lowercase())).collect()
    }

    fn fail(&mut self, scheme: ProxyAuth, why: impl Into<String>) {
        self.failed.push((scheme, why.into()));
    }

    /// The same login on another connection: with the scheme that was just accepted, and no other.
    pub(crate) fn again(&self) -> Self {
        let next = self.next.saturating_sub(1);
        Self { next, is_repeated: true, ..self.credentials.login(self.server.clone(), self.now) }
    }

    /// Whether a refusal of what is sent now would be the end.
    fn is_last_scheme(&self) -> bool {
        self.is_repeated || self.next >= self.credentials.schemes.len()
    }

    fn basic(&mut self) -> Leg {
        self.under_way = UnderWay::Basic;
        let last = self.is_last_scheme();
        Leg { value: self.credentials.basic.clone(), last, same_connection: false, each: true }
    }

    fn answer_challenge(&mut self, offered: &[String]) -> Result<Leg, String> {
        let challenge = token(offered, "NTLM")?.ok_or("the proxy does not go on with it")?;
        let mut client_challenge = [0; 8];
        SystemRandom::new().fill(&mut client_challenge).map_err(|_| "the system has no random numbers")?;
        let fresh = Fresh { client_challenge, now: self.now };
        let account = self.credentials.ntlm.as_ref().expect("made for each proxy that has the scheme");
        let answer = account.authenticate(&challenge, fresh).map_err(|error| error.to_string())?;
        self.under_way = UnderWay::NtlmAnswered;
        Ok(bound("NTLM", &answer, self.is_last_scheme(), true))
    }

    async fn negotiate(&mut self) -> Result<Leg, String> {
        let spn = self.credentials.spn.as_deref();
        let (negotiation, token) = Negotiation::begin(&self.server, spn).await?;
        self.under_way = UnderWay::Negotiate(negotiation);
        Ok(bound("Negotiate", &token, self.is_last_scheme(), false))
    }

    async fn negotiate_on(&mut self, negotiation: Negotiation, offered: &[String]) -> Result<Leg, String> {
        let Some(token) = token(offered, "Negotiate")? else { return Err("the ticket is not accepted".to_owned()) };
        let (negotiation, token) = negotiation.go_on(token).await?;
        self.under_way = UnderWay::Negotiate(negotiation);
        Ok(bound("Negotiate", &token, self.is_last_scheme(), true))
    }
}

/// The scheme as it is offered.
const fn name(scheme: ProxyAuth) -> &'static str {
    match scheme {
        ProxyAuth::Basic => "Basic",
        ProxyAuth::Ntlm => "NTLM",
        ProxyAuth::Negotiate => "Negotiate",
    }
}

/// A leg of a scheme that logs in the connection.
fn bound(scheme: &str, token: &[u8], last: bool, same_connection: bool) -> Leg {
    let mut value =
        HeaderValue::from_str(&format!("{scheme} {}", STANDARD.encode(token))).expect("base64 fits a header");
    value.set_sensitive(true);
    Leg { value: Some(value), last, same_connection, each: false }
}

/// Whether one of the values of `Proxy-Authenticate` begins with `scheme`; a value may hold several.
fn offers(offered: &[String], scheme: &str) -> bool {
    offered
        .iter()
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(scheme)))
}

/// The token that the proxy goes on with.
fn token(offered: &[String], scheme: &str) -> Result<Option<Vec<u8>>, String> {
    let mut parts = offered.iter().flat_map(|value| value.split(',')).map(str::trim);
    let found = parts.find_map(|part| {
        let (word, rest) = part.split_once(' ')?;
        (word.eq_ignore_ascii_case(scheme) && !rest.trim().is_empty()).then(|| rest.trim())
    });
    let Some(text) = found else { return Ok(None) };
    if text.len() > LONGEST_TOKEN {
        return Err("the proxy's token is too long".to_owned());
    }
    STANDARD.decode(text).map(Some).map_err(|_| "the proxy's token is not base64".to_owned())
}

#[cfg(test)]
mod tests {
    use tradewind_core::Secret;

    use super::*;

    fn credentials(auth: &[ProxyAuth]) -> Credentials {
        let spec = HttpProxy {
            server: "proxy.example".into(),
            port: 8080,
            username: Some("CORP\\bob".into()),
            password: Some(Secret::new("pw".to_owned())),
            auth: auth.to_vec(),
            // Nothing is called so, with or without a ticket on this machine.
            spn: Some("HTTP/no.such.service.invalid@NO.SUCH.REALM.INVALID".into()),
            tls: false,
            sni: None,
            skip_cert_verify: false,
            headers: Vec::new(),
        };
        Credentials::new(&"corp".into(), &spec).unwrap()
    }

    fn offer(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    /// A challenge without anything but what it must have.
    fn challenge() -> String {
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.resize(32, 1);
        format!("NTLM {}", STANDARD.encode(message))
    }

    fn shown(leg: &Leg) -> String {
        let value = leg.value.as_ref().map_or("-", |value| value.to_str().unwrap());
        value.chars().take(19).collect()
    }

    #[tokio::test]
    async fn a_login_goes_on_until_one_scheme_is_accepted_or_none_is_left() {
        let credentials = credentials(&[ProxyAuth::Ntlm, ProxyAuth::Basic]);
        assert!(credentials.is_bound() && credentials.for_each_request().is_none());
        let mut login = credentials.login("proxy.example".to_owned(), UnixMillis(0));
        let first = login.first();
        assert_eq!(first, Leg::nothing(false), "what is offered has to be heard first");
        let begun = login.next(&offer(&["Negotiate", "ntlm", "Basic realm=\"x\""])).await.unwrap();
        assert_eq!((shown(&begun).as_str(), begun.last, begun.same_connection), ("NTLM TlRMTVNTUAABAA", false, false));
        let answered = login.next(&offer(&["Negotiate", &challenge()])).await.unwrap();
        assert_eq!((shown(&answered).as_str(), answered.same_connection), ("NTLM TlRMTVNTUAADAA", true));
        assert!(!answered.last && !answered.each, "Basic is left, should it be refused");
        let basic = login.next(&offer(&["NTLM", "Basic"])).await.unwrap();
        assert_eq!((shown(&basic).as_str(), basic.last, basic.each), ("Basic Q09SUFxib2I6c", true, true));
        assert_eq!(login.next(&offer(&["NTLM", "Basic"])).await, None);
        assert_eq!(
            login.failures(),
            "; ntlm: the user name or the password is not accepted; basic: the user name or the password is not accepted"
        );
    }

    #[tokio::test]
    async fn what_goes_wrong_with_a_scheme_is_said() {
        for (auth, offers, why) in [
            (&[ProxyAuth::Ntlm][..], vec![vec!["Basic"]], "; ntlm: the proxy does not offer it"),
            (&[ProxyAuth::Ntlm], vec![vec!["NTLM"], vec!["NTLM"]], "; ntlm: the proxy does not go on with it"),
            (&[ProxyAuth::Ntlm], vec![vec!["NTLM"], vec!["NTLM !"]], "; ntlm: the proxy's token is not base64"),
            (
                &[ProxyAuth::Ntlm],
                vec![vec!["NTLM"], vec!["NTLM AAAA"]],
                "; ntlm: what the proxy sent is no NTLM challenge",
            ),
            (&[ProxyAuth::Basic], vec![vec![]], "; basic: the user name or the password is not accepted"),
        ] {
            let credentials = credentials(auth);
            let mut login = credentials.login("proxy.example".to_owned(), UnixMillis(0));
            login.first();
            let mut last = None;
            for offered in offers {
                last = login.next(&offer(&offered)).await;
            }
            assert_eq!((last, login.failures().as_str()), (None, why));
        }
        let long = format!("NTLM {}", "A".repeat(LONGEST_TOKEN + 4));
        assert_eq!(token(&offer(&[&long]), "NTLM").unwrap_err(), "the proxy's token is too long");
    }

    #[tokio::test]
    async fn without_a_ticket_the_next_scheme_is_tried() {
        let credentials = credentials(&[ProxyAuth::Negotiate, ProxyAuth::Ntlm]);
        let mut login = credentials.login("proxy.example".to_owned(), UnixMillis(0));
        login.first();
        let leg = login.next(&offer(&["Negotiate", "NTLM"])).await.unwrap();
        assert_eq!(shown(&leg), "NTLM TlRMTVNTUAABAA");
        assert!(login.failures().starts_with("; negotiate: "), "{}", login.failures());
    }

    #[test]
    fn schemes_are_found_wherever_they_stand() {
        let offered = offer(&["Basic realm=\"a\", NTLM", "negotiate  dG9rZW4= "]);
        for (scheme, is_there) in
            [("Basic", true), ("ntlm", true), ("Negotiate", true), ("Digest", false), ("realm", false)]
        {
            assert_eq!(offers(&offered, scheme), is_there, "{scheme}");
        }
        assert_eq!(token(&offered, "Negotiate").unwrap().as_deref(), Some(&b"token"[..]));
        assert_eq!(token(&offered, "NTLM").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before() {
        let spec = |user: &str, password: &str, auth| HttpProxy {
            server: "p".into(),
            port: 1,
            username: Some(user.into()),
            password: Some(Secret::new(password.to_owned())),
            auth: vec![auth],
            spn: None,
            tls: false,
            sni: None,
            skip_cert_verify: false,
            headers: Vec::new(),
        };
        for (user, password, auth, is_good) in [
            ("a:b", "c", ProxyAuth::Basic, false),
            ("a:b", "c", ProxyAuth::Ntlm, true),
            ("a", "b\nc", ProxyAuth::Basic, false),
            ("a", &"x".repeat(1025), ProxyAuth::Ntlm, false),
            ("Jürgen", "pä:ss", ProxyAuth::Basic, true),
        ] {
            assert_eq!(Credentials::new(&"corp".into(), &spec(user, password, auth)).is_ok(), is_good, "{user}");
        }
    }
}
