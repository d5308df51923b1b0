//! What Prometheus answers to an instant query (its HTTP API, "Instant queries"), and what can be wrong with it.
//!
//! Good is one number: a scalar, or a vector of one sample. Everything else is a failure with a name.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The most characters of somebody else's text that are shown.
const LONGEST_QUOTE: usize = 120;

/// Why a poll brought no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriorFailure {
    /// Nobody is there, or the connection broke.
    Unreachable(String),
    /// No answer in time.
    TimedOut,
    /// Not asked: nobody had answered the queries before it.
    NotAsked,
    /// An HTTP status other than 200 without a word of Prometheus's own.
    Status(u16),
    /// The answer is longer than is read.
    TooLarge,
    /// The answer is not one of Prometheus.
    Garbage,
    /// Prometheus says what is wrong with the query, or with itself.
    Refused(String),
    /// There is no sample.
    NoSample,
    /// There is more than one sample.
    Several,
    /// A range, a text or a histogram.
    NotANumber,
    /// A number that is none: `NaN`, `+Inf`, `-Inf`.
    NotFinite,
}

impl PriorFailure {
    /// Whether nobody answered at all.
    pub(super) const fn is_nobody(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut)
    }
}

impl fmt::Display for PriorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "cannot be reached: {}", quote(why)),
            Self::TimedOut => f.write_str("does not answer in time"),
            Self::NotAsked => f.write_str("is not asked further: it does not answer"),
            Self::Status(status) => write!(f, "answers with status {status}"),
            Self::TooLarge => f.write_str("answers with more than is read"),
            Self::Garbage => f.write_str("does not answer as Prometheus does"),
            Self::Refused(why) => write!(f, "refuses the query: {}", quote(why)),
            Self::NoSample => f.write_str("has no sample for the query"),
            Self::Several => f.write_str("has several samples for the query: aggregate them, as in avg(…)"),
            Self::NotANumber => f.write_str("does not answer the query with a number"),
            Self::NotFinite => f.write_str("answers the query with a number that is not finite"),
        }
    }
}

/// Somebody else's text on one line, short.
fn quote(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(LONGEST_QUOTE).collect::<String>().trim().to_owned()
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default, borrow)]
    data: Option<Data<'a>>,
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// A time and a number as text.
#[derive(Deserialize)]
struct Sample<'a>(IgnoredAny, #[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(default, borrow)]
    value: Option<Sample<'a>>,
}

/// The number in an answer.
pub(super) fn read_reply(status: u16, body: &[u8]) -> Result<f64, PriorFailure> {
    let reply: Result<Reply<'_>, _> = serde_json::from_slice(body);
    let reply = match reply {
        Ok(reply) => reply,
        Err(_) if status != 200 => return Err(PriorFailure::Status(status)),
        Err(_) => return Err(PriorFailure::Garbage),
    };
    if reply.status == "error" {
        return Err(PriorFailure::Refused(quote(reply.error.as_deref().unwrap_or_default())));
    }
    if status != 200 {
        return Err(PriorFailure::Status(status));
    }
    let data = reply.data.filter(|_| reply.status == "success").ok_or(PriorFailure::Garbage)?;
    let result = data.result.get();
    let text = match &*data.kind {
        "scalar" => {
            let Sample(_, text) = serde_json::from_str(result).map_err(|_| PriorFailure::Garbage)?;
            text
        }
        "vector" => {
            let series: Vec<Series<'_>> = serde_json::from_str(result).map_err(|_| PriorFailure::Garbage)?;
            let mut series = series.into_iter();
            let one = series.next().ok_or(PriorFailure::NoSample)?;
            if series.next().is_some() {
                return Err(PriorFailure::Several);
            }
            one.value.ok_or(PriorFailure::NotANumber)?.1
        }
        "matrix" | "string" => return Err(PriorFailure::NotANumber),
        _ => return Err(PriorFailure::Garbage),
    };
    let number: f64 = text.parse().map_err(|_| PriorFailure::Garbage)?;
    if number.is_finite() { Ok(number) } else { Err(PriorFailure::NotFinite) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}},"warnings":["w"]}}"#)
    }

    fn sample(value: &str) -> String {
        format!(r#"{{"metric":{{"pod":"a"}},"value":[1795294621.123,"{value}"]}}"#)
    }

    #[test]
    fn one_number_is_good() {
        for (value, number) in [("0.25", 0.25), ("-3", -3.0), ("1e+06", 1e6), ("0", 0.0)] {
            assert_eq!(read_reply(200, vector(&sample(value)).as_bytes()), Ok(number));
        }
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1795294621,"2"]}}"#;
        assert_eq!(read_reply(200, scalar.as_bytes()), Ok(2.0));
    }

    #[test]
    fn everything_else_has_a_name() {
        let histogram = r#"{"metric":{},"histogram":[1,{"count":"1","sum":"2","buckets":[]}]}"#;
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#;
        let refused = r#"{"status":"error","errorType":"bad_data","error":"parse\n error"}"#;
        for (status, body, failure) in [
            (200, vector(""), PriorFailure::NoSample),
            (200, vector(&[sample("1"), sample("2")].join(",")), PriorFailure::Several),
            (200, vector(&sample("NaN")), PriorFailure::NotFinite),
            (200, vector(&sample("+Inf")), PriorFailure::NotFinite),
            (200, vector(&sample("-Inf")), PriorFailure::NotFinite),
            (200, vector(&sample("1e999")), PriorFailure::NotFinite),
            (200, vector(&sample("many")), PriorFailure::Garbage),
            (200, vector(histogram), PriorFailure::NotANumber),
            (200, matrix.to_owned(), PriorFailure::NotANumber),
            (200, text.to_owned(), PriorFailure::NotANumber),
            (200, matrix.replace("matrix", "tensor"), PriorFailure::Garbage),
            (200, refused.to_owned(), PriorFailure::Refused("parse  error".to_owned())),
            (400, refused.to_owned(), PriorFailure::Refused("parse  error".to_owned())),
            (503, "busy".to_owned(), PriorFailure::Status(503)),
            (302, String::new(), PriorFailure::Status(302)),
            (500, vector(&sample("1")), PriorFailure::Status(500)),
            (200, String::new(), PriorFailure::Garbage),
            (200, "<html>".to_owned(), PriorFailure::Garbage),
            (200, r#"{"status":"success"}"#.to_owned(), PriorFailure::Garbage),
            (
                200,
                r#"{"status":"partial","data":{"resultType":"scalar","result":[1,"2"]}}"#.to_owned(),
                PriorFailure::Garbage,
            ),
            (
                200,
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,2]}}"#.to_owned(),
                PriorFailure::Garbage,
            ),
            (
                200,
                r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#.to_owned(),
                PriorFailure::Garbage,
            ),
        ] {
            assert_eq!(read_reply(status, body.as_bytes()), Err(failure), "{status} {body}");
        }
    }

    #[test]
    fn what_others_say_is_shown_short_and_on_one_line() {
        let shown = PriorFailure::Refused("a\x1b[31m\n".repeat(1000)).to_string();
        assert!(shown.chars().count() < 200 && !shown.contains(char::is_control), "{shown}");
    }
}
