//! Whether each provider of the configuration can be reached, along its own way, and takes its key.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use tradewind_core::{FaultKind, Secret};
use tradewind_doctor::{Cause, Finding, Fix, NotRun, Report, World, advice};
use tradewind_egress::{Egress, EgressSettings, Http2, Origin, RequestBody, Roots, Spawner};
use tradewind_policy::{Auth, Provider};
use tradewind_runtime::{Kind, Supervisor, files};
use tradewind_ways::{Needs, Ways};

use crate::Document;
use crate::remembered::look_at;

/// How long connecting to a provider may take.
const CONNECT: Duration = Duration::from_secs(8);
/// How long a provider may take altogether.
const ANSWER: Duration = Duration::from_secs(20);
/// The most that is read of an answer.
const MOST_BYTES: usize = 256 << 10;

/// Asks every provider for its list of models, side by side.
pub(super) async fn examine(document: &Document, world: &World) -> Report {
    let supervisor = Supervisor::new();
    let spawning = supervisor.clone();
    let spawner = Spawner::new(move |task| spawning.spawn(Kind::Upkeep, task));
    let egress = Egress::new(world.clock.clone(), spawner, EgressSettings::default());
    let roots = Roots::system();
    let needs = Needs {
        clock: world.clock.clone(),
        egress: egress.clone(),
        supervisor: supervisor.clone(),
        roots: roots.clone(),
        folder: files::expand_home(&document.shared.data_dir.0),
        base: document.base.clone(),
    };
    let mut report = Report::default();
    // Held until the end: egress asks it which way a provider's `via` is at the moment.
    let (kept, because) = look_at(document, world.clock.clone()).await;
    report.not_run.extend(because.map(|because| NotRun { check: "selected ways".to_owned(), because }));
    let ways = Ways::start(document.shared.ways.clone(), needs, kept);
    if let Err(error) = &ways {
        let because = format!("the ways out cannot be made: {error}");
        report.not_run.push(NotRun { check: "providers".to_owned(), because });
        return report;
    }
    let (egress, roots) = (&egress, &roots);
    let asked = document.shared.providers.iter().map(|provider| async move {
        (provider, tokio::time::timeout(ANSWER, look(provider, egress, roots, world)).await)
    });
    for (provider, looked) in futures_util::future::join_all(asked).await {
        let name = &provider.name.value;
        match looked {
            Ok(Ok(status)) => {
                report.facts.insert(format!("provider {name}"), json!({"status": status.as_u16()}));
            }
            Ok(Err(finding)) => report.findings.push(finding),
            Err(_) => {
                let limit = tradewind_core::format_duration(ANSWER);
                report.findings.push(
                    of(provider, Cause::SlowAnswer, world)
                        .seen(format!("no answer to the request for its models in {limit}")),
                );
            }
        }
    }
    supervisor.stop(Duration::ZERO, Duration::ZERO).await;
    report
}

fn of(provider: &Provider, cause: Cause, world: &World) -> Finding {
    let base = provider.base_url.as_str();
    let fix = match cause {
        Cause::Unauthorized => format!("put a valid key into `api-key` of the provider {}", provider.name.value),
        _ => advice(cause, world.system, world.shell),
    };
    Finding::new(cause, format!("curl -v -o /dev/null {base}/models"), Fix::by_hand(fix)).at(provider.base_url.host())
}

/// The status of the answer; what is wrong when there is none, or it is one of something on the way.
async fn look(provider: &Provider, egress: &Arc<Egress>, system: &Roots, world: &World) -> Result<StatusCode, Finding> {
    let name = &provider.name.value;
    let wrong = |what: String| of(provider, Cause::Other, world).titled(format!("provider {name}: {what}"));
    let (roots, roots_name) = match &provider.tls_roots {
        None => (system.clone(), String::new()),
        Some(file) => {
            let roots = Roots::from_file(Path::new(&files::expand_home(file)));
            (roots.map_err(|error| wrong(error.to_string()))?, file.clone())
        }
    };
    let origin = Origin::parse(provider.base_url.as_str()).map_err(|error| wrong(error.to_string()))?;
    let route = egress.route(origin, Http2::Never, &roots, &roots_name, provider.via.as_ref().map(|via| &via.value));
    let path: Uri =
        format!("{}/models", provider.base_url.path()).parse().map_err(|_| wrong("its path is no path".to_owned()))?;
    let build = || request(provider, &path);
    let answer = match route.send(&build, CONNECT, true, 0).await {
        Ok(answer) => answer,
        Err(fault) => {
            let cause = cause_of(fault.kind, &fault.detail);
            let finding = of(provider, cause, world).seen(format!("provider {name}: {}", fault.detail));
            return Err(match (cause, &provider.via) {
                (Cause::DeadHttpProxy | Cause::ProxyAuthOnConnect, Some(via)) => {
                    finding.seen(format!("it is reached through {}", via.value))
                }
                _ => finding,
            });
        }
    };
    let status = answer.head.status;
    let is_page =
        answer.head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let body = Limited::new(answer.body, MOST_BYTES).collect().await.map(http_body_util::Collected::to_bytes);
    let seen = format!("provider {name}: {}/models answered {status}", provider.base_url.as_str());
    let cause = match status.as_u16() {
        401 => Cause::Unauthorized,
        403 => Cause::Forbidden,
        407 => Cause::ProxyAuthOnHttp,
        429 => Cause::RateLimited,
        451 => Cause::Gone,
        300..=399 => Cause::LoginPage,
        500..=599 => return Err(wrong(format!("it answers {status}")).seen(seen)),
        200..=299 if is_page || body.as_ref().is_ok_and(|body| body.trim_ascii_start().starts_with(b"<")) => {
            Cause::LoginPage
        }
        _ => return body.map(|_| status).map_err(|_| of(provider, Cause::TruncatedTransfer, world).seen(seen)),
    };
    Err(of(provider, cause, world).seen(seen))
}

fn request(provider: &Provider, path: &Uri) -> Request<RequestBody> {
    let mut built = Request::new(RequestBody::new(Bytes::new()));
    *built.method_mut() = Method::GET;
    *built.uri_mut() = path.clone();
    let auth = provider.auth();
    if let (Some(name), Some(key)) = (auth.header(), provider.keys().next()) {
        let key: &Secret<String> = key;
        let text = if auth == Auth::Bearer {
            format!("Bearer {}", key.expose().trim())
        } else {
            key.expose().trim().to_owned()
        };
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            built.headers_mut().insert(name, value);
        }
    }
    if provider.dialect == tradewind_core::Dialect::Anthropic {
        built.headers_mut().insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    built
}

/// The cause that a fault on the way to a provider has.
fn cause_of(kind: FaultKind, detail: &str) -> Cause {
    let detail = detail.to_lowercase();
    match kind {
        FaultKind::Dns => Cause::HostNotFound,
        FaultKind::ConnectRefused => Cause::ConnectionRefused,
        FaultKind::ConnectTimeout => Cause::SilentDrop,
        FaultKind::TlsTimeout => Cause::PathMtu,
        FaultKind::Reset => Cause::ResetInHello,
        FaultKind::ProxyUnreachable | FaultKind::ProxyFailed => Cause::DeadHttpProxy,
        FaultKind::ProxyLogin => Cause::ProxyAuthOnConnect,
        FaultKind::HeadersTimeout => Cause::SlowAnswer,
        FaultKind::Tls if detail.contains("expired") || detail.contains("not valid yet") => Cause::ClockSkew,
        FaultKind::Tls if detail.contains("name") && !detail.contains("unknown issuer") => Cause::WrongCertificateName,
        FaultKind::Tls if detail.contains("corrupt") || detail.contains("invalidcontenttype") => Cause::HttpsToHttpPort,
        FaultKind::Tls => Cause::UnknownAuthority,
        FaultKind::Protocol => Cause::HttpToHttpsPort,
        FaultKind::Cut | FaultKind::LengthMismatch => Cause::TruncatedTransfer,
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_on_the_way_has_its_cause() {
        let certificate = "certificate not acceptable: invalid peer certificate: ";
        for (kind, detail, cause) in [
            (FaultKind::Dns, "", Cause::HostNotFound),
            (FaultKind::ConnectRefused, "", Cause::ConnectionRefused),
            (FaultKind::ConnectTimeout, "", Cause::SilentDrop),
            (FaultKind::TlsTimeout, "", Cause::PathMtu),
            (FaultKind::Reset, "", Cause::ResetInHello),
            (FaultKind::ProxyUnreachable, "", Cause::DeadHttpProxy),
            (FaultKind::ProxyFailed, "", Cause::DeadHttpProxy),
            (FaultKind::ProxyLogin, "", Cause::ProxyAuthOnConnect),
            (FaultKind::HeadersTimeout, "", Cause::SlowAnswer),
            (FaultKind::Tls, "Expired", Cause::ClockSkew),
            (FaultKind::Tls, "certificate not valid yet: the name is right", Cause::ClockSkew),
            (FaultKind::Tls, "certificate not valid for name \"a.test\"", Cause::WrongCertificateName),
            (FaultKind::Tls, "received corrupt message of type InvalidContentType", Cause::HttpsToHttpPort),
            (FaultKind::Tls, "UnknownIssuer", Cause::UnknownAuthority),
            (FaultKind::Tls, "unknown issuer of the name", Cause::UnknownAuthority),
            (FaultKind::Protocol, "", Cause::HttpToHttpsPort),
            (FaultKind::Cut, "", Cause::TruncatedTransfer),
            (FaultKind::LengthMismatch, "", Cause::TruncatedTransfer),
            (FaultKind::WayRejected, "", Cause::Other),
        ] {
            assert_eq!(cause_of(kind, &format!("{certificate}{detail}")), cause, "{kind:?} {detail}");
        }
    }

    #[test]
    fn faults_of_the_way_alone_are_of_the_catalogue() {
        // What comes of the provider's own answers, or of the caller, never comes here.
        let told: Vec<&str> =
            FaultKind::ALL.iter().filter(|kind| cause_of(**kind, "") != Cause::Other).map(|kind| kind.name()).collect();
        assert_eq!(
            told,
            [
                "dns",
                "connect_refused",
                "connect_timeout",
                "tls",
                "tls_timeout",
                "reset",
                "proxy_unreachable",
                "proxy_failed",
                "proxy_login",
                "protocol",
                "headers_timeout",
                "cut",
                "length_mismatch"
            ]
        );
    }
}
