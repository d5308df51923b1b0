//! Scripts as people write them, and as nobody should.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tradewind_core::{Clock, UnixMillis};
use tradewind_policy::ways::Dns;

use super::engine::ScriptError;
use super::*;
use crate::DirectOnly;

#[derive(Default)]
struct TestClock(AtomicU64);

impl TestClock {
    fn forward(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(0)
    }
}

fn dialing(clock: Arc<TestClock>) -> Dialing {
    let resolver = Resolver::new(clock);
    let hosts: [(&str, &[&str]); 4] = [
        ("known.example", &["192.0.2.7"]),
        ("both.example", &["2001:db8::7", "192.0.2.8"]),
        ("six.example", &["2001:db8::9"]),
        ("inside.corp.example", &["10.1.2.3"]),
    ];
    let hosts = hosts.map(|(name, addresses)| {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        (name.to_owned(), addresses)
    });
    resolver.set(&Dns::default(), &hosts, &Roots::none());
    Dialing {
        resolver: Arc::new(resolver),
        chooser: Arc::new(DirectOnly::default()),
        limit: Duration::from_secs(10),
        forbid: None,
    }
}

/// What a script says about `https://www.example.com:8443/`.
async fn run(script: &str) -> Result<String, ScriptError> {
    let places = Arc::new(Semaphore::new(engine::AT_ONCE));
    let dialing = dialing(Arc::default());
    let url = "https://www.example.com:8443/".to_owned();
    engine::run(script.into(), url, "www.example.com".to_owned(), &dialing.resolver, &places).await
}

fn pac(url: &str, unreachable: Unreachable) -> Pac {
    Pac::new(&PacProxy { url: url.into(), unreachable }, &Roots::none())
}

#[tokio::test]
async fn the_functions_do_what_is_written_down() {
    for (expression, value) in [
        ("isPlainHostName('www')", "true"),
        ("isPlainHostName('www.example.com')", "false"),
        ("dnsDomainIs('www.example.com', '.example.com')", "true"),
        ("dnsDomainIs('www.example.org', '.example.com')", "false"),
        ("dnsDomainIs('x', '.example.com')", "false"),
        ("localHostOrDomainIs('www', 'www.example.com')", "true"),
        ("localHostOrDomainIs('www.example.com', 'www.example.com')", "true"),
        ("localHostOrDomainIs('www.example.org', 'www.example.com')", "false"),
        ("localHostOrDomainIs('ww', 'www.example.com')", "false"),
        ("isResolvable('known.example')", "true"),
        ("isResolvable('no.such.name.invalid')", "false"),
        ("isResolvable('six.example')", "false"),
        ("isResolvableEx('six.example')", "true"),
        ("dnsResolve('known.example')", "192.0.2.7"),
        ("dnsResolve('both.example')", "192.0.2.8"),
        ("dnsResolve('10.0.0.1')", "10.0.0.1"),
        ("dnsResolve('no.such.name.invalid')", "null"),
        ("dnsResolveEx('both.example')", "2001:db8::7;192.0.2.8"),
        ("dnsResolveEx('::1')", "::1"),
        ("isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0')", "true"),
        ("isInNet('inside.corp.example', '10.1.0.0', '255.255.0.0')", "true"),
        ("isInNet('known.example', '10.0.0.0', '255.0.0.0')", "false"),
        ("isInNet('no.such.name.invalid', '0.0.0.0', '0.0.0.0')", "false"),
        ("isInNet('10.1.2.3', '10.1.2.3', '255.255.255.255')", "true"),
        ("isInNet('10.1.2.3', 'garbage', '255.0.0.0')", "false"),
        ("isInNet('200.1.2.3', '200.0.0.0', '255.0.0.0')", "true"),
        ("isInNetEx('six.example', '2001:db8::/32')", "true"),
        ("isInNetEx('2001:db9::1', '2001:db8::/31')", "true"),
        ("isInNetEx('2001:dba::1', '2001:db8::/31')", "false"),
        ("isInNetEx('10.1.2.3', '10.0.0.0/8')", "true"),
        ("isInNetEx('10.1.2.3', '::/0')", "false"),
        ("isInNetEx('10.1.2.3', '10.0.0.0')", "false"),
        ("isInNetEx('::ffff:10.1.2.3', '::ffff:10.0.0.0/104')", "true"),
        ("convert_addr('104.16.41.2')", "1745889538"),
        ("convert_addr('255.255.255.255')", "-1"),
        ("dnsDomainLevels('www')", "0"),
        ("dnsDomainLevels('www.example.com')", "2"),
        ("shExpMatch('http://a.example/x', '*.example/*')", "true"),
        ("shExpMatch('http://aXexample/x', '*.example/*')", "false"),
        ("shExpMatch('abc', 'a?c')", "true"),
        ("shExpMatch('abc', 'ab')", "false"),
        ("shExpMatch('b.example', '(a|b).example')", "true"),
        ("weekdayRange('SUN', 'SAT')", "true"),
        ("weekdayRange('MON', 'SUN', 'GMT')", "true"),
        ("weekdayRange('MONDAY')", "false"),
        ("timeRange(0, 23)", "true"),
        ("(hour => timeRange(hour, hour))(new Date().getHours())", "true"),
        ("timeRange(0, 0, 0, 23, 59, 59)", "true"),
        ("timeRange(0, 0, 0, 23, 59, 59, 'GMT')", "true"),
        ("dateRange('JAN', 'DEC')", "true"),
        ("dateRange(1, 31)", "true"),
        ("dateRange(2000, 3000)", "true"),
        ("dateRange(1, 'JAN', 2000, 31, 'DEC', 3000, 'GMT')", "true"),
        ("dateRange('JAN', 2000, 'DEC', 2001)", "false"),
        ("dateRange(1990)", "false"),
        ("dateRange(new Date().getFullYear())", "true"),
        ("dateRange(1, 'JAN', 31)", "false"),
        (
            "sortIpAddressList('10.2.3.9;2001:4898:28:3:201:2ff:feea:fc14;::1;127.0.0.1;::9')",
            "::1;::9;2001:4898:28:3:201:2ff:feea:fc14;10.2.3.9;127.0.0.1",
        ),
        ("sortIpAddressList('10.0.0.1;nonsense')", ""),
        ("getClientVersion()", "1.0"),
        ("alert('to nobody')", "undefined"),
        ("/^\\d+(\\.\\d+){3}$/.test(myIpAddress())", "true"),
        ("typeof myIpAddressEx()", "string"),
        ("isPlainHostName()", "true"),
        (
            "typeof require + typeof std + typeof os + typeof fetch + typeof XMLHttpRequest",
            "undefinedundefinedundefinedundefinedundefined",
        ),
    ] {
        let script = format!("function FindProxyForURL(url, host) {{ return String({expression}) }}");
        assert_eq!(run(&script).await.as_deref(), Ok(value), "{expression}");
    }
}

#[tokio::test]
async fn a_script_is_given_url_and_host_and_may_be_written_in_any_way() {
    for (script, answer) in [
        (
            "function FindProxyForURL(url, host) { return url + ' ' + host }",
            "https://www.example.com:8443/ www.example.com",
        ),
        ("var FindProxyForURL = function (u, h) { return 'PROXY ' + h + ':1' }", "PROXY www.example.com:1"),
        ("const FindProxyForURL = (u) => u", "https://www.example.com:8443/"),
        ("function FindProxyForURLEx(url, host) { return 'DIRECT' }", "DIRECT"),
        ("function FindProxyForURL() {}", ""),
        ("function FindProxyForURL() { return null }", ""),
        // Older than strict mode.
        ("x = 010; with ({y: 1}) { x += y } function FindProxyForURL() { return 'PROXY a:' + x }", "PROXY a:9"),
        ("\u{feff}function FindProxyForURL() { return 'DIRECT' }", "DIRECT"),
    ] {
        assert_eq!(run(script).await.as_deref(), Ok(answer), "{script}");
    }
}

#[tokio::test]
async fn scripts_that_are_wrong_say_why() {
    for (script, why) in [
        ("", "it has no function FindProxyForURL"),
        ("FindProxyForURL = 7", "it has no function FindProxyForURL"),
        ("function FindProxyForURL() { return 7 }", "FindProxyForURL answered with int, not with text"),
        ("function FindProxyForURL() {\n return nothing.at.all }", "line 2: nothing is not defined"),
        ("function FindProxyForURL() { throw 'a fit' }", "a fit"),
        ("function FindProxyForURL( {", "line 1: "),
        ("throw new Error('early\\nand\\x07 late')", "line 1: earlyand late"),
        ("function FindProxyForURL() { return FindProxyForURL() }", "line 1: Maximum call stack size exceeded"),
        (
            "function FindProxyForURL() { const a = []; for (;;) a.push('x'.repeat(1000) + a.length) }",
            "it wanted more than 32 MiB of memory",
        ),
        (
            "const a = 'x'.repeat(2 ** 28); function FindProxyForURL() { return a }",
            "it wanted more than 32 MiB of memory",
        ),
    ] {
        let said = run(script).await.unwrap_err().to_string();
        assert!(said.starts_with(why), "{script}: {said}");
    }
    let long = run(&format!("throw '{}'", "x".repeat(10_000))).await.unwrap_err().to_string();
    assert_eq!(long.len(), 200);
}

/// In real time, all at once: in paused time a script would be stopped before it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_without_an_end_is_stopped() {
    let mut running = tokio::task::JoinSet::new();
    for script in [
        "function FindProxyForURL() { for (;;) {} }",
        "for (;;) {}",
        "function FindProxyForURL() { try { for (;;) {} } catch (e) { for (;;) {} } finally { for (;;) {} } }",
        "function FindProxyForURL() { return String(/^(a+)+$/.test('a'.repeat(60) + 'b')) }",
        "function FindProxyForURL() { return String(shExpMatch('a'.repeat(5000), '*a*a*a*a*a*b')) }",
        "function FindProxyForURL() { [1, 2].sort(() => { for (;;) {} }) }",
    ] {
        running.spawn(async move {
            let places = Arc::new(Semaphore::new(1));
            let dialing = dialing(Arc::default());
            let ran = engine::run(script.into(), String::new(), String::new(), &dialing.resolver, &places).await;
            assert_eq!(ran, Err(ScriptError::Endless), "{script}");
            // Its thread has gone, or is about to: the place is given back.
            let place = tokio::time::timeout(Duration::from_secs(10), places.acquire()).await;
            assert!(place.is_ok(), "{script}: it was not stopped");
        });
    }
    running.join_all().await;
}

#[tokio::test]
async fn what_cannot_be_interrupted_takes_its_place_with_it() {
    let script = "function FindProxyForURL() { var a = []; a.length = 4294967295; return a.join() }";
    let places = Arc::new(Semaphore::new(1));
    let dialing = dialing(Arc::default());
    let run = |script: &str| engine::run(script.into(), String::new(), String::new(), &dialing.resolver, &places);
    assert_eq!(run(script).await, Err(ScriptError::Endless));
    let place = tokio::time::timeout(Duration::from_millis(300), places.acquire()).await;
    assert!(place.is_err(), "it was interrupted: then this test is about nothing");
    tokio::time::pause();
    let good = "function FindProxyForURL() { return 'DIRECT' }";
    assert_eq!(run(good).await, Err(ScriptError::Endless), "there is no place any more");
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes_and_its_answers_are_kept_for_a_moment() {
    let clock = Arc::new(TestClock::default());
    let dialing = dialing(clock.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.pac");
    let write = |port: u16| {
        let text = format!("var n = 0; function FindProxyForURL(url, host) {{ return 'PROXY ' + host + ':{port}' }}");
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
    };
    let pac = pac(&format!("file://{}", path.display()), Unreachable::Fail);
    let to = Destination::new("a.example", 443);
    let find = async || pac.find(&to, true, &dialing).await.map(|said| said.steps[0].to_string());
    let fault = find().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::WayScript);
    assert!(fault.detail.contains("proxy.pac cannot be had: No such file"), "{fault}");
    write(1);
    clock.forward(FILE_AGAIN);
    assert_eq!(find().await.unwrap(), "PROXY a.example:1");
    write(10_002);
    assert_eq!(find().await.unwrap(), "PROXY a.example:1", "a file is not looked at for each call");
    clock.forward(FILE_AGAIN);
    assert_eq!(find().await.unwrap(), "PROXY a.example:10002");
    // A file that has gone is gone: it is no server that is away for a moment.
    std::fs::remove_file(&path).unwrap();
    clock.forward(FILE_AGAIN);
    assert!(find().await.is_err());
}

#[tokio::test]
async fn without_a_script_the_document_says_what_happens() {
    let dialing = dialing(Arc::default());
    let to = Destination::new("a.example", 80);
    for (url, why) in [
        ("file:///no/such.pac", "the script file:///no/such.pac cannot be had: No such file or directory"),
        ("file:///tmp", "it is not a file"),
        ("http://no.such.name.invalid/x", "the host name no.such.name.invalid does not resolve"),
        ("https://127.0.0.1:1/x", "127.0.0.1:1"),
    ] {
        let fault = pac(url, Unreachable::Fail).find(&to, false, &dialing).await.unwrap_err();
        assert!(fault.kind == FaultKind::WayScript && fault.never_sent && fault.detail.contains(why), "{fault}");
        let said = pac(url, Unreachable::Direct).find(&to, false, &dialing).await.unwrap();
        assert_eq!(said.steps, [PacStep::Direct]);
        assert!(said.why.contains(why) && said.why.contains("`unreachable: direct`"), "{}", said.why);
    }
}

#[tokio::test]
async fn a_script_that_fails_never_means_direct() {
    let dialing = dialing(Arc::default());
    let folder = tempfile::tempdir().unwrap();
    for (script, why) in [
        ("function FindProxyForURL() { return garbage }", "line 1: garbage is not defined"),
        ("function FindProxyForURL() { return 'garbage' }", "says \"garbage\" for a.example:80, which is no way"),
        ("function FindProxyForURL() { return 'SOCKS4 a:1' }", "which is no way"),
    ] {
        let path = folder.path().join("x.pac");
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, script.as_bytes()))
            .unwrap();
        let pac = pac(&format!("file://{}", path.display()), Unreachable::Direct);
        let fault = pac.find(&Destination::new("a.example", 80), false, &dialing).await.unwrap_err();
        assert!(fault.detail.contains(why), "{fault}");
    }
}

#[tokio::test]
async fn this_machine_is_never_reached_through_a_proxy() {
    let dialing = dialing(Arc::default());
    for (host, is_own) in [
        ("localhost", true),
        ("LOCALHOST.", true),
        ("db.localhost", true),
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("notlocalhost", false),
        ("localhost.example", false),
        ("10.0.0.1", false),
        ("é", false),
    ] {
        let found =
            pac("file:///no/such.pac", Unreachable::Fail).find(&Destination::new(host, 80), false, &dialing).await;
        assert_eq!(found.is_ok_and(|said| said.steps == [PacStep::Direct]), is_own, "{host}");
    }
}

#[tokio::test]
async fn a_proxy_that_failed_comes_last_for_a_while() {
    let clock = Arc::new(TestClock::default());
    let dialing = dialing(clock.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pac");
    let script = b"function FindProxyForURL() { return 'PROXY a:1; PROXY b:2; DIRECT' }";
    std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, script)).unwrap();
    let pac = pac(&format!("file://{}", path.display()), Unreachable::Fail);
    let to = Destination::new("a.example", 80);
    let find = async || {
        let said = pac.find(&to, false, &dialing).await.unwrap();
        (said.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), said.why)
    };
    assert_eq!(find().await.0, "PROXY a:1; PROXY b:2; DIRECT");
    let first = PacStep::Http(Destination::new("a", 1));
    pac.failed(&first, clock.now());
    let (steps, why) = find().await;
    assert_eq!(steps, "PROXY b:2; DIRECT; PROXY a:1");
    assert!(why.ends_with("says PROXY a:1; PROXY b:2; DIRECT; PROXY a:1 could not be reached a moment ago"), "{why}");
    clock.forward(FAILING);
    assert_eq!(find().await.0, "PROXY a:1; PROXY b:2; DIRECT");
    pac.failed(&first, clock.now());
    pac.worked(&first);
    assert_eq!(find().await.0, "PROXY a:1; PROXY b:2; DIRECT");
    pac.failed(&first, clock.now());
    pac.forget();
    assert_eq!(find().await.0, "PROXY a:1; PROXY b:2; DIRECT", "another network");
}
