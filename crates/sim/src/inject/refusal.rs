//! Faults that answer with something else than an answer: error statuses, rate limits, redirects, other content.

use tradewind_core::{Dialect, UnixMillis};

use crate::answer::error_body;
use crate::script::Reply;
use crate::{Injection, SimFault};

/// What a refusal may need to know.
pub(crate) struct Facts<'a> {
    pub(crate) dialect: Dialect,
    /// Wall time, for dates.
    pub(crate) now: UnixMillis,
    /// Where a redirect points to when its argument does not say.
    pub(crate) elsewhere: &'a str,
}

/// The reply that takes the place of the answer, if `fault` is one of these.
pub(crate) fn replacement(fault: &Injection, facts: &Facts<'_>) -> Option<Reply> {
    let error = |status: u16, kind: &str, code: Option<&str>, message: &str| {
        Some(Reply::json(status, &error_body(facts.dialect, status, kind, code, message)))
    };
    match fault.fault() {
        SimFault::Error500 => error(500, "server_error", None, "simulated internal error"),
        SimFault::Error502 => Some(Reply::whole(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>")),
        SimFault::Error503 | SimFault::FastFail => error(503, "server_error", None, "simulated: service unavailable"),
        SimFault::Error504 => error(504, "server_error", None, "simulated gateway timeout"),
        SimFault::Error529 => error(529, "server_error", Some("overloaded"), "simulated: overloaded"),
        SimFault::Error401 => {
            error(401, "invalid_request_error", Some("invalid_api_key"), "simulated: incorrect API key provided")
        }
        SimFault::Error403 => error(403, "invalid_request_error", Some("forbidden"), "simulated: not permitted"),
        SimFault::Error400 => error(400, "invalid_request_error", None, "simulated: bad request"),
        SimFault::Error404 => {
            error(404, "invalid_request_error", Some("model_not_found"), "simulated: the model does not exist")
        }
        SimFault::Error413 => error(413, "invalid_request_error", None, "simulated: request too large"),
        SimFault::Error422 => error(422, "invalid_request_error", None, "simulated: unprocessable"),
        SimFault::ContextTooLong => match facts.dialect {
            Dialect::OpenAi => error(
                400,
                "invalid_request_error",
                Some("context_length_exceeded"),
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
            ),
            Dialect::Anthropic => {
                error(400, "invalid_request_error", None, "prompt is too long: 209001 tokens > 200000 maximum")
            }
        },
        SimFault::Redirect => {
            let mut reply = Reply::whole(307, "text/plain", "moved");
            reply.header("location", fault.argument().unwrap_or(facts.elsewhere));
            Some(reply)
        }
        SimFault::Html200 => {
            let page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Accept the terms</body></html>";
            Some(Reply::whole(200, "text/html; charset=utf-8", page))
        }
        SimFault::EmptyBody => Some(Reply::whole(200, "application/json", "")),
        _ => rate_limit(fault, facts),
    }
}

/// 429, in one of the ways of saying when.
fn rate_limit(fault: &Injection, facts: &Facts<'_>) -> Option<Reply> {
    let body = error_body(
        facts.dialect,
        429,
        "requests",
        Some("rate_limit_exceeded"),
        "simulated: rate limit reached, please try again later",
    );
    let mut reply = Reply::json(429, &body);
    let seconds = |default: u64| fault.duration().map_or(default, |time| time.as_secs());
    match fault.fault() {
        SimFault::RateLimitBare => {}
        SimFault::RateLimitSeconds => reply.header("retry-after", seconds(1).to_string()),
        SimFault::RateLimitDate => reply.header("retry-after", http_date(facts.now.0 / 1000 + seconds(2))),
        SimFault::RateLimitVendor => match facts.dialect {
            Dialect::OpenAi => {
                reply.header("x-ratelimit-limit-requests", "60");
                reply.header("x-ratelimit-remaining-requests", "0");
                reply.header("x-ratelimit-reset-requests", format!("{}s", seconds(1)));
                reply.header("x-ratelimit-reset-tokens", format!("{}ms", seconds(1) * 500));
            }
            Dialect::Anthropic => {
                let reset = UnixMillis((facts.now.0 / 1000 + seconds(1)) * 1000).rfc3339().replace(".000Z", "Z");
                reply.header("anthropic-ratelimit-requests-limit", "60");
                reply.header("anthropic-ratelimit-requests-remaining", "0");
                reply.header("anthropic-ratelimit-requests-reset", reset.clone());
                reply.header("anthropic-ratelimit-tokens-reset", reset);
            }
        },
        SimFault::RetryAfter => reply.header("retry-after", fault.argument().unwrap_or("1000000000")),
        SimFault::RetryAfterNegative => reply.header("retry-after", "-5"),
        SimFault::RetryAfterGarbage => reply.header("retry-after", "next tuesday, perhaps"),
        _ => return None,
    }
    Some(reply)
}

/// An HTTP date (RFC 9110, section 5.6.7), from seconds since the Unix epoch.
fn http_date(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = UnixMillis(unix_seconds * 1000).rfc3339();
    let weekday = DAYS[(unix_seconds / 86_400 % 7) as usize];
    let month: usize = text[5..7].parse().unwrap_or(1);
    format!("{weekday}, {} {} {} {} GMT", &text[8..10], MONTHS[month - 1], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_as_in_rfc_9110() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
