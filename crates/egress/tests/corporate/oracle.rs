//! Scripts and URLs, answered by us and by pacparser.
//!
//! One difference is known and wanted: `isInNet` with a mask that is no address matches everything there, nothing here. What depends
//! on this machine (`myIpAddress`) and functions of Microsoft's, which pacparser has in parts, are not compared.

use std::io::Write;
use std::process::Stdio;

use tradewind_egress::{Destination, Outbound, Roots};
use tradewind_policy::ways::{PacProxy, Proxy, ProxyKind, Unreachable};

use crate::processes::folder;
use crate::rigs;
use crate::support::{PATIENCE, dialing};

/// As people write them.
const SCRIPTS: [&str; 8] = [
    // An office.
    r#"function FindProxyForURL(url, host) {
        if (isPlainHostName(host) || dnsDomainIs(host, ".corp.example") || localHostOrDomainIs(host, "www.partner.example"))
            return "DIRECT";
        if (isInNet(host, "10.0.0.0", "255.0.0.0") || isInNet(host, "192.168.0.0", "255.255.0.0")) return "DIRECT";
        if (shExpMatch(url, "https:*")) return "PROXY secure.corp.example:8443; PROXY backup.corp.example:8080";
        return "PROXY proxy.corp.example:8080; DIRECT";
    }"#,
    // By pattern.
    r#"function FindProxyForURL(url, host) {
        if (shExpMatch(host, "*.video.*")) return "PROXY fast.example:1";
        if (shExpMatch(host, "a?c.example")) return "PROXY abc.example:2";
        if (shExpMatch(host, "(x|y).example")) return "PROXY xy.example:3";
        if (shExpMatch(host, "[0-9]*.example")) return "PROXY digit.example:4";
        if (shExpMatch(url, "*:8443/*")) return "SOCKS5 socks.example:1080";
        if (shExpMatch(host, "example.*")) return "PROXY tld.example:5";
        return "DIRECT";
    }"#,
    // By depth and by address.
    r#"function FindProxyForURL(url, host) {
        var levels = dnsDomainLevels(host);
        if (levels == 0) return "PROXY level0.example:80";
        if (isInNet(host, "10.1.2.0", "255.255.255.128")) return "PROXY low.example:80";
        if (isInNet(host, "10.1.2.128", "255.255.255.128")) return "PROXY high.example:80";
        if (isInNet(host, "0.0.0.0", "0.0.0.0")) return "PROXY number" + dnsResolve(host) + ".example:80";
        return "PROXY level" + levels + ".example:80";
    }"#,
    // Balanced by the name.
    r#"function hash(text) { var n = 0; for (var i = 0; i < text.length; i++) n = (n * 31 + text.charCodeAt(i)) % 4; return n; }
    function FindProxyForURL(url, host) {
        var n = hash(host.toLowerCase());
        return "PROXY p" + n + ".example:8080; PROXY p" + ((n + 1) % 4) + ".example:8080";
    }"#,
    // A table, as programs generate it.
    r#"var table = {"a.example": "PROXY a:1", "b.example": "PROXY b:2"}, tail = [".c.example", ".d.example"];
    function FindProxyForURL(url, host) {
        if (table.hasOwnProperty(host)) return table[host];
        for (var i in tail) if (host.substring(host.length - tail[i].length) == tail[i]) return "PROXY tail" + i + ":3";
        var port = /:(\d+)\//.exec(url.replace(/^\w+:\/\//, ""));
        return port ? "PROXY port" + port[1] + ":4" : "DIRECT";
    }"#,
    // The time, so that it is always true or always false.
    r#"function FindProxyForURL(url, host) {
        var said = [weekdayRange("SUN", "SAT"), weekdayRange("SUN", "SAT", "GMT"), dateRange("JAN", "DEC"), dateRange(1, 31),
            dateRange(2001, 2099), dateRange(1999), dateRange(1, "JAN", 2001, 31, "DEC", 2099), timeRange(0, 0, 0, 23, 59, 59),
            timeRange(0, 23), dateRange("JAN", 1999, "DEC", 2000)];
        return "PROXY time" + said.join("-") + ":80";
    }"#,
    // What the functions do with what they are not made for.
    r#"function FindProxyForURL(url, host) {
        var said = [dnsDomainIs(host, host), localHostOrDomainIs(host, ""), isPlainHostName(""),
            dnsDomainLevels(""), shExpMatch("", "*"), shExpMatch("", "?"), isResolvable("no.such.name.invalid"),
            dnsResolve("no.such.name.invalid"), convert_addr("10.0.0.1"), typeof myIpAddress()];
        return "PROXY odd" + said.join("-") + ":80";
    }"#,
    // Nothing, or nearly.
    r#"function FindProxyForURL(url, host) { return host == "a.example" ? "DIRECT" : "  PROXY  x:1 ;; DIRECT;" }"#,
];

/// Scheme, host, port.
const URLS: [(&str, &str, u16); 14] = [
    ("http", "www", 80),
    ("https", "www.example.org", 443),
    ("http", "www.example.org", 80),
    ("http", "git.corp.example", 80),
    ("https", "www.partner.example", 8443),
    ("http", "10.1.2.3", 80),
    ("http", "10.1.2.200", 8080),
    ("https", "203.0.113.9", 443),
    ("http", "a.video.example", 80),
    ("http", "abc.example", 80),
    ("http", "y.example", 80),
    ("http", "1a.example", 80),
    ("http", "a.example", 80),
    ("https", "x.d.example", 9443),
];

#[tokio::test]
async fn answers_are_those_of_pacparser() {
    let mut asked = Vec::new();
    for script in SCRIPTS {
        for (scheme, host, port) in URLS {
            let default = if scheme == "https" { 443 } else { 80 };
            let shown = if port == default { String::new() } else { format!(":{port}") };
            asked.push((script, format!("{scheme}://{host}{shown}/"), host));
        }
    }
    let mut child = std::process::Command::new("/usr/bin/python3")
        .arg(rigs().join("pac_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let quoted = |text: &str| {
        let escaped: String = text.chars().flat_map(char::escape_unicode).collect();
        // JSON has four digits in these.
        escaped.split("\\u{").skip(1).fold(String::new(), |out, code| {
            out + &format!("\\u{:04x}", u32::from_str_radix(code.trim_end_matches('}'), 16).unwrap())
        })
    };
    let mut input = child.stdin.take().unwrap();
    for (script, url, host) in &asked {
        writeln!(input, r#"["{}", "{}", "{}"]"#, quoted(script), quoted(url), quoted(host)).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "run `make peers`");
    let theirs = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(theirs.len(), asked.len());

    let folder = folder();
    let dialing = dialing(&[], PATIENCE);
    let mut ways = Vec::new();
    for (index, script) in SCRIPTS.iter().enumerate() {
        let path = folder.path().join(format!("{index}.pac"));
        std::fs::write(&path, script).unwrap();
        let kind = ProxyKind::Pac(PacProxy {
            url: format!("file://{}", path.display()).into(),
            unreachable: Unreachable::Fail,
        });
        let spec = Proxy { name: "auto".into(), kind, dialer: None, udp: false };
        ways.push(Outbound::new(&spec, &Roots::none()).unwrap());
    }
    let mut wrong = Vec::new();
    for (index, ((_, url, _), theirs)) in asked.iter().zip(&theirs).enumerate() {
        let (scheme, host, port) = URLS[index % URLS.len()];
        let to = Destination::new(host, port);
        let explained = ways[index / URLS.len()].explain(&to, scheme == "https", &dialing).await.unwrap();
        let (_, ours) = explained.why.split_once(" says ").unwrap();
        if ours.trim() != theirs.trim() {
            wrong.push(format!("script {} {url}: {ours:?}, pacparser {theirs:?}", index / URLS.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), asked.len(), wrong.join("\n"));
}
