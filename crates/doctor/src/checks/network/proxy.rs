//! The HTTP proxy in between: dead (26), asking for a login (21 to 24), spoken to by TLS (25), no proxy at all (28), or not
//! letting a host through.

use std::path::Path;
use std::process::Stdio;

use super::elsewhere::without_proxy;
use super::{Context, bare, curl, variable};
use crate::probe::challenge::{self, Challenge};
use crate::probe::http::Response;
use crate::probe::tls::NoTls;
use crate::probe::{Answer, NoAnswer, Trouble, What};
use crate::settings::{Way, Why};
use crate::{Cause, Finding, Fix, Instead, Shell, Url, World, about, advice, set_process};

/// What it is called that the HTTP proxy does not do what it is asked.
pub(super) async fn finding(context: Context<'_>, trouble: &Trouble) -> Finding {
    let Way::Proxy(proxy) = &trouble.way else {
        return Finding::new(
            Cause::ProxyCaseConflict,
            curl(&trouble.url),
            Fix::in_shell(context.world.shell.unset("REQUEST_METHOD")),
        )
        .titled("HTTP_PROXY is refused where REQUEST_METHOD is set");
    };
    match &trouble.what {
        What::NoHost(_, error) => {
            dead(context, trouble, proxy, format!("{} has no address: {error}", proxy.host)).await
        }
        What::NoConnection(_, attempts) => {
            let told: Vec<String> = attempts.iter().map(ToString::to_string).collect();
            dead(context, trouble, proxy, format!("{} takes no connection at {}", proxy.host, told.join("; "))).await
        }
        What::NoTls(_, error, _) => no_tls(context, trouble, proxy, error).await,
        What::ConnectRefused(answer) => refused(context, trouble, proxy, answer).await,
        What::ConnectBroken(NoAnswer::NotHttp(bytes)) if proxy.scheme == "http" && bytes.first() == Some(&0x15) => {
            let name = variable(context.world, &trouble.url);
            let fix = with_scheme(context.world, name, proxy, "https");
            Finding::new(Cause::HttpsToPlainProxy, test(proxy, &trouble.url), fix)
                .titled("the HTTP proxy speaks TLS, and is asked without")
                .seen(format!("{} answers CONNECT with a message of TLS", proxy.host_and_port()))
                .at(&proxy.host)
        }
        What::ConnectBroken(error) => {
            dead(context, trouble, proxy, format!("{} does not answer CONNECT: {error}", proxy.host_and_port())).await
        }
        _ => Finding::new(Cause::DeadHttpProxy, test(proxy, &trouble.url), by_hand(Cause::DeadHttpProxy)),
    }
}

fn by_hand(cause: Cause) -> Fix {
    Fix::by_hand(about(cause).helps)
}

/// A command that asks for `target` through `proxy`, without its login.
fn test(proxy: &Url, target: &Url) -> String {
    format!("curl -v -o /dev/null -x {} {}", bare(proxy), target.bare())
}

/// Whether the target is reached without the proxy.
async fn direct_works(context: Context<'_>, target: &Url) -> bool {
    let answer = context.client().instead(&Instead::NoProxy).get(target).await;
    answer.is_ok_and(|answer| answer.response.status < 500)
}

async fn dead(context: Context<'_>, trouble: &Trouble, proxy: &Url, evidence: String) -> Finding {
    let name = variable(context.world, &trouble.url);
    let check = test(proxy, &trouble.url);
    if direct_works(context, &trouble.first).await {
        let fix = without(context.world, name);
        return Finding::new(Cause::DeadHttpProxy, check, fix)
            .seen(evidence)
            .seen(format!("{} is reached without it", trouble.url.host))
            .at(&proxy.host);
    }
    Finding::new(Cause::DeadHttpProxy, check, by_hand(Cause::DeadHttpProxy)).seen(evidence).at(&proxy.host)
}

/// A shell without the proxy, in either spelling.
fn without(world: &World, name: &str) -> Fix {
    let both = [name.to_ascii_uppercase(), name.to_ascii_lowercase()];
    let set = both.iter().filter(|name| world.settings.environment.get(name).is_some());
    Fix::in_shell(world.shell.all(&set.map(|name| world.shell.unset(name)).collect::<Vec<_>>()))
}

/// The variable with another scheme before its proxy; a login stays where it is.
fn with_scheme(world: &World, name: &'static str, proxy: &Url, scheme: &str) -> Fix {
    if proxy.user.is_none() {
        let new = Url { scheme: scheme.to_owned(), port: proxy.port_or_default(), ..proxy.clone() };
        return set_process(world, name, &new.to_string());
    }
    match world.shell {
        Shell::Posix => Fix::in_shell(format!("export {name}=\"{scheme}://${{{name}#*://}}\"")),
        _ => Fix::by_hand(format!("write {scheme}:// in {name}")),
    }
}

async fn no_tls(context: Context<'_>, trouble: &Trouble, proxy: &Url, error: &NoTls) -> Finding {
    let told = format!("no TLS with the HTTP proxy {}: {error}", proxy.host_and_port());
    let plain = Url { scheme: "http".to_owned(), port: proxy.port_or_default(), ..proxy.clone() };
    // Many close the connection in place of saying what they speak: asked plainly, they say it.
    let instead = Instead::HttpProxy(plain);
    let through = match error {
        NoTls::Plain(_) => true,
        _ => context
            .client()
            .instead(&instead)
            .get(&trouble.first)
            .await
            .is_ok_and(|answer| answer.response.status != 407),
    };
    if through {
        let name = variable(context.world, &trouble.url);
        return Finding::new(
            Cause::HttpsToPlainProxy,
            test(proxy, &trouble.url),
            with_scheme(context.world, name, proxy, "http"),
        )
        .seen(told)
        .at(&proxy.host);
    }
    dead(context, trouble, proxy, told).await
}

async fn refused(context: Context<'_>, trouble: &Trouble, proxy: &Url, answer: &Response) -> Finding {
    let target = trouble.url.host_and_port();
    let told = format!("CONNECT {target} is answered {}", answer.line());
    let gist = answer.gist().filter(|gist| !gist.is_empty()).map(|gist| format!("the proxy says: {gist}"));
    let with = |finding: Finding| match &gist {
        Some(gist) => finding.seen(gist.clone()),
        None => finding,
    };
    match answer.status {
        407 => login(context, &trouble.url, proxy, answer, Cause::ProxyAuthOnConnect).await.seen(told),
        401 | 403 | 451 => with(
            Finding::new(
                Cause::Forbidden,
                test(proxy, &trouble.url),
                Fix::by_hand(format!("have {target} allowed at the HTTP proxy {}", bare(proxy))),
            )
            .titled(format!("the HTTP proxy does not let {} through", trouble.url.host))
            .seen(told)
            .at(&trouble.url.host),
        ),
        429 => {
            with(Finding::new(Cause::RateLimited, test(proxy, &trouble.url), by_hand(Cause::RateLimited)).seen(told))
        }
        500.. => with(beyond(context, trouble, proxy, answer).await.seen(told)),
        _ => with(no_proxy_at_all(context, trouble, proxy).await.seen(told)),
    }
}

/// The proxy is there, and does not get to the target.
async fn beyond(context: Context<'_>, trouble: &Trouble, proxy: &Url, answer: &Response) -> Finding {
    let world = context.world;
    let check = test(proxy, &trouble.url);
    let host = &trouble.url.host;
    if says_kerberos(world, answer) && succeeds(world, "klist", &["-s"]).await == Some(false) {
        return no_ticket(world, proxy, check).await;
    }
    if answer.status == 501 {
        return no_proxy_at_all(context, trouble, proxy).await;
    }
    let finding = if direct_works(context, &trouble.first).await {
        Finding::new(Cause::Other, check, without_proxy(world, host))
            .titled(format!("the HTTP proxy does not get to {host}, which is reached without it"))
    } else {
        Finding::new(
            Cause::Other,
            check,
            Fix::by_hand(format!("ask whoever runs the HTTP proxy why it does not get to {host}")),
        )
        .titled(format!("the HTTP proxy does not get to {host}"))
    };
    finding.at(host)
}

/// What is set as the proxy is none: a script, or some other server.
async fn no_proxy_at_all(context: Context<'_>, trouble: &Trouble, proxy: &Url) -> Finding {
    let name = variable(context.world, &trouble.url);
    let place = Url { user: None, ..proxy.clone() };
    let instead = Instead::NoProxy;
    let page = context.client().instead(&instead).get(&place).await;
    if let Ok(Answer { response, .. }) = &page
        && let Some(fix) = script(context.world, name, &response.body)
    {
        return Finding::new(Cause::PacAsProxy, format!("curl -sS {}", place.bare()), fix)
            .seen(format!("{} answers with a proxy script", place.bare()))
            .at(&proxy.host);
    }
    let direct = direct_works(context, &trouble.first).await;
    let fix = if direct { without(context.world, name) } else { by_hand(Cause::DeadHttpProxy) };
    Finding::new(Cause::PacAsProxy, test(proxy, &trouble.url), fix)
        .titled(format!("what {name} names is no HTTP proxy"))
        .at(&proxy.host)
}

/// What to do about a proxy script; `None` when `body` is none.
fn script(world: &World, name: &'static str, body: &[u8]) -> Option<Fix> {
    let text = String::from_utf8_lossy(body);
    if !text.contains("FindProxyForURL") {
        return None;
    }
    let mut proxies: Vec<&str> = Vec::new();
    for rest in text.split("PROXY ").skip(1) {
        let proxy =
            rest.split(|c: char| c == '"' || c == '\'' || c == ';' || c.is_whitespace()).next().unwrap_or_default();
        if proxy.contains(':') && !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
    }
    // With several, only the script says which.
    Some(match proxies[..] {
        [proxy] => set_process(world, name, &format!("http://{proxy}")),
        _ => Fix::by_hand(format!("set {name} to the proxy that the script answers with")),
    })
}

/// 407, on CONNECT or on a plain request.
pub(super) async fn login(context: Context<'_>, url: &Url, proxy: &Url, answer: &Response, cause: Cause) -> Finding {
    let world = context.world;
    let name = variable(world, url);
    let offered = challenge::challenges(answer.all("proxy-authenticate"));
    let check = test(proxy, url);
    let offers = if offered.is_empty() {
        "the proxy says nothing about how to log in".to_owned()
    } else {
        format!("the proxy offers: {}", challenge::told(&offered))
    };
    if !offered.is_empty() && !challenge::offers(&offered, "Basic") {
        return not_spoken(context, url, proxy, &offered, check).await.seen(offers).at(&proxy.host);
    }
    let sent = match &proxy.user {
        None => format!("{name} has no user and password"),
        Some(user) => format!("{name} has a login (user {}), and the proxy does not take it", user.name),
    };
    let fix = match (same_proxy_with_login(world, proxy), world.shell) {
        (Some(other), Shell::Posix) if proxy.user.is_none() => Fix::in_shell(format!("export {name}=\"${other}\"")),
        _ => Fix::by_hand(format!(
            "{} (as whom: the one who gives logins for {} says), characters other than letters and digits percent-encoded",
            world.shell.set(name, &format!("{}://USER:PASSWORD@{}", proxy.scheme, proxy.host_and_port())),
            bare(proxy),
        )),
    };
    Finding::new(cause, check, fix).seen(offers).seen(sent).at(&proxy.host)
}

/// Another variable that has the same proxy with a login.
fn same_proxy_with_login(world: &World, proxy: &Url) -> Option<&'static str> {
    const NAMES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    NAMES.into_iter().find(|name| {
        let url = world.settings.environment.get(name).and_then(|value| Url::parse(value).ok());
        url.is_some_and(|url| url.user.is_some() && url.host_and_port() == proxy.host_and_port())
    })
}

/// Where programs that log in for others listen on this machine, by default: Tradewind and mihomo, cntlm and px.
const LOGGING_IN: [u16; 2] = [7890, 3128];

/// Logins that the go command does not know.
async fn not_spoken(context: Context<'_>, url: &Url, proxy: &Url, offered: &[Challenge], check: String) -> Finding {
    let world = context.world;
    let name = variable(world, url);
    for port in LOGGING_IN {
        let own = Url::parse(&format!("http://127.0.0.1:{port}")).expect("it is a URL");
        if own.host_and_port() == proxy.host_and_port() {
            continue;
        }
        let instead = Instead::HttpProxy(own.clone());
        let answer = context.client().instead(&instead).get(url).await;
        if answer.is_ok_and(|answer| answer.response.status < 500 && answer.response.status != 407) {
            let fix = set_process(world, name, &own.to_string());
            return Finding::new(Cause::ProxyAuthNotSpoken, check, fix)
                .seen(format!("{own} on this machine logs in for others: {} is reached through it", url.host));
        }
    }
    let kerberos = challenge::offers(offered, "Negotiate") || challenge::offers(offered, "Kerberos");
    let auth = if kerberos { "negotiate" } else { "ntlm" };
    let own_port = world.shell.set(name, "http://127.0.0.1:7890");
    let fix = Fix::by_hand(format!(
        "let Tradewind log in for go: a proxy {} with `auth: {auth}` under `proxies` and `mixed-port: 7890` in tradewind.yaml, \
         `tradewind run`, then {own_port}",
        proxy.host_and_port()
    ));
    Finding::new(Cause::ProxyAuthNotSpoken, check, fix)
}

/// Whether the failure may be one of Kerberos: the proxy says so, or it is a gateway that could not log in further on, on a
/// machine that is set up for Kerberos.
fn says_kerberos(world: &World, answer: &Response) -> bool {
    let words = answer.gist().unwrap_or_default().to_ascii_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    let environment = &world.settings.environment;
    let is_set_up =
        environment.first(&["KRB5_CONFIG", "KRB5CCNAME"]).is_some() || Path::new("/etc/krb5.conf").is_file();
    has(&["kerberos", "ticket", "gssapi", "negotiate", "kinit"]) || (is_set_up && has(&["tw5003", "logs in"]))
}

async fn no_ticket(world: &World, proxy: &Url, check: String) -> Finding {
    // A service's own keys stand in for a password: `-i` takes the keytab of clients.
    let (fix, told) = if succeeds(world, "klist", &["-k", "-i"]).await == Some(true) {
        (Fix::command("kinit -k -i"), "there is a keytab to log in with (klist -k -i)")
    } else {
        (Fix::by_hand(advice(Cause::NoKerberosTicket, world.system, world.shell)), "there is no keytab for clients")
    };
    Finding::new(Cause::NoKerberosTicket, format!("{check}; klist"), fix)
        .seen("klist finds no valid ticket")
        .seen(told)
        .at(&proxy.host)
}

/// Whether `program` ends well; `None` where it is not there, or does not end.
async fn succeeds(world: &World, program: &str, args: &[&str]) -> Option<bool> {
    let program = crate::settings::find_program(program, &world.settings.environment, world.system)?;
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let status = tokio::time::timeout(world.limits.first_byte, command.status()).await.ok()?.ok()?;
    Some(status.success())
}

/// Whether the way is one without a proxy.
pub(super) fn is_direct(way: &Way) -> bool {
    matches!(way, Way::Direct(Why::NotSet | Why::NotUrl | Why::Loopback | Why::NoProxy(_)))
}

/// 407 of an answer that came back as any other.
pub(super) async fn login_of_answer(context: Context<'_>, answer: &Answer) -> Finding {
    if let (Way::Proxy(proxy), "http") = (&answer.way, answer.url.scheme.as_str()) {
        let told = format!("GET {} is answered {}", answer.url.bare(), answer.response.line());
        return login(context, &answer.url, proxy, &answer.response, Cause::ProxyAuthOnHttp).await.seen(told);
    }
    // Not the proxy in between says it, but the server.
    Finding::new(
        Cause::Unauthorized,
        curl(&answer.url),
        Fix::by_hand(format!(
            "write the address of a module proxy in GOPROXY: {} is an HTTP proxy",
            answer.url.host_and_port()
        )),
    )
    .titled("the server in GOPROXY asks for a proxy's login: it is no module proxy")
    .seen(format!("{} itself answers {}", answer.url.host_and_port(), answer.response.line()))
    .at(&answer.url.host)
}
