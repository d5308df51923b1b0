//! How a request shows who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tradewind_egress::Origin;

use super::{Netrc, UpstreamError};
use crate::section::{Auth, Credential};

/// The headers for requests to `origin`. What the netrc file has is sent over TLS only, as the go command does, or to this
/// machine.
pub(super) fn headers(auth: Option<&Auth>, origin: &Origin, netrc: &Netrc) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str| {
        let mut value = HeaderValue::from_str(value).map_err(|_| UpstreamError::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok::<_, UpstreamError>(())
    };
    match auth {
        None => {}
        Some(Auth::Netrc) => {
            let is_safe = origin.tls || origin.host == "localhost" || is_loopback(&origin.host);
            if let Some((login, password)) = netrc.find(&origin.host).filter(|_| is_safe) {
                add(AUTHORIZATION, &basic(login, password.expose()))?;
            }
        }
        Some(Auth::With(Credential::Basic(name, password))) => add(AUTHORIZATION, &basic(name, password.expose()))?,
        Some(Auth::With(Credential::Bearer(token))) => add(AUTHORIZATION, &format!("Bearer {}", token.expose()))?,
        Some(Auth::With(Credential::Headers(several))) => {
            for (name, value) in several {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| UpstreamError::Header)?;
                add(name, value.expose())?;
            }
        }
    }
    Ok(headers)
}

fn is_loopback(host: &str) -> bool {
    host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// RFC 7617.
fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

#[cfg(test)]
mod tests {
    use tradewind_core::Secret;

    use super::*;

    #[test]
    fn what_a_netrc_has_goes_to_its_host_over_tls_only() {
        let netrc = Netrc::parse("machine a.example login me password it");
        let sent = |url: &str| headers(Some(&Auth::Netrc), &Origin::parse(url).unwrap(), &netrc).unwrap();
        let expected = basic("me", "it");
        assert_eq!(sent("https://a.example/x").get(AUTHORIZATION).unwrap(), expected.as_str());
        assert!(sent("http://a.example/x").is_empty());
        assert!(sent("https://b.example/x").is_empty());
    }

    #[test]
    fn credentials_are_sent_as_they_are_said() {
        let origin = Origin::parse("https://a.example").unwrap();
        let sent = |credential| headers(Some(&Auth::With(credential)), &origin, &Netrc::default());
        let bearer = sent(Credential::Bearer(Secret::new("t".to_owned()))).unwrap();
        assert_eq!(bearer.get(AUTHORIZATION).unwrap(), "Bearer t");
        let basic = sent(Credential::Basic("Aladdin".to_owned(), Secret::new("open sesame".to_owned()))).unwrap();
        assert_eq!(basic.get(AUTHORIZATION).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(basic.get(AUTHORIZATION).unwrap().is_sensitive());
        let own = Credential::Headers(vec![("private-token".to_owned(), Secret::new("t".to_owned()))]);
        assert_eq!(sent(own).unwrap().get("private-token").unwrap(), "t");
        assert!(sent(Credential::Bearer(Secret::new("a\nb".to_owned()))).is_err());
    }
}
