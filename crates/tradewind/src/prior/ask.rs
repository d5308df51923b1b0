//! One query, over the wire and within its bounds.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tradewind_egress::{Egress, Http2, Origin, RequestBody, Roots, Route};
use tradewind_policy::{Prometheus, TimeSpan};

use super::prometheus_duration;
use super::reply::{PriorFailure, read_reply};

/// The most that is read of an answer, in bytes: one number is some hundred, but several samples are to be told apart
/// from garbage.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Whom to ask, and how.
pub(super) struct Source {
    route: Arc<Route>,
    /// The path, up to the query.
    before: String,
    /// What follows the query.
    after: String,
    headers: HeaderMap,
    timeout: TimeSpan,
    name: String,
}

impl Source {
    pub(super) fn new(settings: &Prometheus, egress: &Arc<Egress>, roots: &Roots) -> Result<Self, String> {
        let origin = Origin::parse(settings.url.as_str()).map_err(|error| error.to_string())?;
        Ok(Self {
            route: egress.route(origin, Http2::Never, roots, "", None),
            before: format!("{}/api/v1/query?query=", settings.url.path()),
            // Those who know `limit` do not send more than is needed to see that there are several.
            after: format!("&limit=2&timeout={}", prometheus_duration(settings.timeout.get())),
            headers: headers(settings),
            timeout: settings.timeout,
            name: settings.url.as_str().to_owned(),
        })
    }

    /// Where it is, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn ask(&self, query: &str) -> Result<f64, PriorFailure> {
        let target = [&self.before, &percent_encoded(query), &self.after].map(String::as_str).concat();
        let uri: Uri = target.parse().map_err(|_| PriorFailure::Refused("the query fits no URL".to_owned()))?;
        let build = || {
            let mut request = Request::new(RequestBody::default());
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = self.headers.clone();
            request
        };
        let limit = self.timeout.get();
        let asking = async {
            let answer = self.route.send(&build, limit, true, 0).await;
            let answer = answer.map_err(|fault| PriorFailure::Unreachable(fault.detail.into_owned()))?;
            let status = answer.head.status.as_u16();
            match Limited::new(answer.body, LONGEST_ANSWER).collect().await {
                Ok(body) => read_reply(status, &body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(PriorFailure::TooLarge),
                Err(error) => Err(PriorFailure::Unreachable(error.to_string())),
            }
        };
        tokio::time::timeout(limit, asking).await.unwrap_or(Err(PriorFailure::TimedOut))
    }
}

/// The headers of the document, which has been checked.
fn headers(settings: &Prometheus) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let token = settings.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
    let basic = settings
        .username
        .as_ref()
        .zip(settings.password.as_ref())
        .map(|(name, password)| format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.expose()))));
    let authorization = token.or(basic).map(|value| (AUTHORIZATION, value));
    let own = settings
        .headers
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.expose().clone())));
    for (name, value) in authorization.into_iter().chain(own) {
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// A text as the value of a query parameter: all but the unreserved characters of RFC 3986 §2.3 as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_survive_the_way() {
        let query = "avg(vllm_load{pod=\"a\", x=~\"é+\"}) / 2 > 1 & #";
        let encoded = percent_encoded(query);
        assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{encoded}");
        assert_eq!(tradewind_core::percent_decoded(&encoded), query);
    }
}
