//! The catalogue of causes: what each is called, what it means, and what helps.
//!
//! Nothing here switches a check off: no `GOSUMDB=off`, no `GONOSUMDB` or `GOINSECURE` for modules of others, no TLS without
//! verification.

use crate::{Cause, Shell, System};

/// What the catalogue says of a cause.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What is wrong, in one sentence without a full stop.
    pub title: &'static str,
    /// What that means, and how it is told from what looks the same.
    pub means: &'static str,
    /// What helps, as a sentence or as a command with capital words to fill in.
    pub helps: &'static str,
}

const fn is(title: &'static str, means: &'static str, helps: &'static str) -> About {
    About { title, means, helps }
}

/// What the catalogue says of `cause`.
#[must_use]
pub fn about(cause: Cause) -> About {
    match cause {
        Cause::Other => is("something is wrong that the catalogue does not have", "", ""),
        Cause::HostNotFound => is(
            "the host's name does not resolve",
            "The name servers of this machine do not know the host. In networks whose machines reach others only through an \
             HTTP proxy that is normal: then the proxy is missing from the settings (causes 29 to 32).",
            "correct the name in GOPROXY, or set HTTPS_PROXY where the network has an HTTP proxy",
        ),
        Cause::SplitDns => is(
            "the name server answers with an address that cannot be right",
            "A public host resolves to an address of a private network, of this machine or to 0.0.0.0: a filter, or a \
             name server for inside that stands in for the one outside.",
            "use the network's HTTP proxy, which resolves names itself, or have the name server corrected",
        ),
        Cause::ConnectionRefused => is(
            "nothing listens at the address",
            "The machine is there and refuses the connection: the server is not running, or on another port.",
            "start the server, or correct the port in GOPROXY",
        ),
        Cause::SilentDrop => is(
            "packets to the address disappear",
            "No answer at all, not even a refusal: a firewall drops the packets.",
            "go out through the network's HTTP proxy: set HTTPS_PROXY; or set GOPROXY to a module proxy inside",
        ),
        Cause::SlowAnswer => is(
            "the server accepts the connection and does not answer",
            "The go command has no time limit of its own for an answer: it waits until somebody stops it.",
            "have the module proxy looked at; an entry behind it with `|` does not help while it hangs",
        ),
        Cause::UnknownAuthority => is(
            "the certificate comes from an authority that this system does not know",
            "Something on the way opens TLS connections and signs them anew (inspection by a company's firewall), or the \
             server has a certificate of a company's own authority.",
            "install the authority's certificate on this system",
        ),
        Cause::NoRootCertificates => is(
            "this system has no root certificates",
            "None of the files and folders that the go command reads certificates from is there, as in many small \
             container images: no server can be trusted.",
            "install the package ca-certificates",
        ),
        Cause::BadCertFile => is(
            "SSL_CERT_FILE or SSL_CERT_DIR points to no certificates",
            "Where they are set, the go command takes nothing else: a missing or unreadable file is no root at all. macOS \
             and Windows do not read them.",
            "unset them, or point them to a file of certificates in PEM",
        ),
        Cause::WrongCertificateName => is(
            "the certificate is one for another host",
            "The server is not the one that was meant, or is asked by a name or address that its certificate does not have.",
            "use a name that the certificate has",
        ),
        Cause::ClockSkew => is(
            "this machine's clock is wrong",
            "Certificates are valid between two moments; by this clock the present is not between them.",
            "set the clock, and have it kept right by NTP",
        ),
        Cause::ResetInHello => is(
            "the connection is reset as soon as the host's name is said in it",
            "A connection comes about, and ends with the first message of TLS, which names the host: a filter by names.",
            "have the host allowed, or set GOPROXY to a module proxy inside",
        ),
        Cause::HttpsToHttpPort => is(
            "https is spoken to a port that answers in plain HTTP",
            "The scheme in GOPROXY and the server's port do not belong together.",
            "write http:// in GOPROXY, or the port of the server's TLS",
        ),
        Cause::HttpToHttpsPort => is(
            "http is spoken to a port that speaks TLS",
            "The scheme in GOPROXY and the server's port do not belong together.",
            "write https:// in GOPROXY",
        ),
        Cause::LoginPage => is(
            "a page for people comes in place of an answer",
            "A login page, a page that says that something is blocked, or a server that is no module proxy answers 200 with \
             HTML, and the go command tries to read it.",
            "log in to the network, or have the host allowed, or correct the path in GOPROXY",
        ),
        Cause::RedirectToHttp => is(
            "an https request is redirected to http",
            "The go command refuses that. Login pages of networks do it, and reverse proxies that do not know that they \
             are behind TLS.",
            "log in to the network, or have the reverse proxy send https in its redirects",
        ),
        Cause::TooManyRedirects => is(
            "the server redirects without end",
            "The go command stops after ten redirects.",
            "have the reverse proxy in front of the module proxy corrected",
        ),
        Cause::Forbidden => is(
            "something on the way answers 403",
            "A firewall, a cloud's perimeter or a block by country. Zips of proxy.golang.org are redirected to \
             storage.googleapis.com, which has to be allowed as well.",
            "have the host allowed, storage.googleapis.com as well, or use a module proxy inside",
        ),
        Cause::ForbiddenByPolicy => is(
            "the module proxy does not allow this module",
            "403 for one module, with the reason in words, where others come: a rule of whoever runs the proxy.",
            "ask whoever runs the module proxy",
        ),
        Cause::Unauthorized => is(
            "the module proxy wants to know who asks",
            "401: no login, or a wrong one. The go command takes logins from .netrc or GOAUTH, for https only, or from the URL.",
            "put a line `machine HOST login USER password PASSWORD` into ~/.netrc",
        ),
        Cause::CredentialsOverHttp => is(
            "GOPROXY has a user and password in an http URL",
            "The go command refuses to send them without encryption.",
            "write https:// in GOPROXY",
        ),
        Cause::ProxyAuthOnConnect | Cause::ProxyAuthOnHttp => is(
            if matches!(cause, Cause::ProxyAuthOnConnect) {
                "the HTTP proxy wants a login (on CONNECT)"
            } else {
                "the HTTP proxy wants a login"
            },
            "407: no login in the proxy's URL, or a wrong one.",
            "write user and password into the proxy's URL, percent-encoded: http://USER:PASSWORD@HOST:PORT",
        ),
        Cause::ProxyAuthNotSpoken => is(
            "the HTTP proxy offers only logins that go does not speak",
            "The go command logs in with Basic alone; the proxy offers NTLM, Negotiate or Kerberos.",
            "run `tradewind run` with the proxy and `auth: negotiate` or `auth: ntlm` under `proxies`, and set HTTPS_PROXY to its \
             mixed-port",
        ),
        Cause::NoKerberosTicket => is(
            "there is no valid Kerberos ticket for the HTTP proxy",
            "The login fails again and again: no ticket, one that has expired, a clock that differs, or a proxy that is \
             named by an address or alias for which no ticket is given.",
            "run kinit, and name the proxy by the name that it has in Kerberos",
        ),
        Cause::HttpsToPlainProxy => is(
            "the HTTP proxy is asked by TLS and does not speak it",
            "https:// in HTTPS_PROXY means that the proxy itself speaks TLS; most do not, also for https targets.",
            "write http:// in HTTPS_PROXY",
        ),
        Cause::DeadHttpProxy => is(
            "the HTTP proxy does not answer",
            "It is set in the environment, and cannot be connected to.",
            "start it, or correct or unset HTTPS_PROXY and HTTP_PROXY",
        ),
        Cause::ProxyPasswordCharacters => is(
            "the HTTP proxy's user or password has characters that have to be percent-encoded",
            "In a URL `#`, `/`, `?`, `%`, `\\` and spaces mean something else: what go takes for the proxy's host is then a \
             part of the password, or nothing.",
            "percent-encode them: `#` is %23, `/` is %2F, `?` is %3F, `%` is %25, `\\` is %5C, `@` is %40",
        ),
        Cause::PacAsProxy => is(
            "a proxy script stands where a proxy belongs",
            "The go command runs no scripts: it takes the URL of the script for a proxy.",
            "set HTTPS_PROXY to the proxy that the script answers with, or let `tradewind run` evaluate it (`type: pac`)",
        ),
        Cause::OnlyAllProxy => is(
            "only ALL_PROXY is set, which go does not read",
            "curl reads it; the go command reads HTTPS_PROXY and HTTP_PROXY.",
            "set HTTPS_PROXY to the same value",
        ),
        Cause::OnlyHttpProxy => is(
            "a proxy is set for the other scheme only",
            "HTTP_PROXY counts for http targets, HTTPS_PROXY for https ones, and neither stands in for the other.",
            "set HTTPS_PROXY to the same value",
        ),
        Cause::ProxyOnlyInSystem => is(
            "the HTTP proxy is known to the system's settings only",
            "Browsers read them; the go command reads the environment alone.",
            "set HTTPS_PROXY to the proxy of the system's settings",
        ),
        Cause::NoProxySwallows => is(
            "NO_PROXY names a host that only the HTTP proxy reaches",
            "The go command goes there directly. An entry covers its subdomains, `*` covers everything.",
            "take the entry out of NO_PROXY",
        ),
        Cause::LocalhostNeverProxied => is(
            "localhost is never asked for through an HTTP proxy",
            "The go command goes to localhost and loopback addresses directly whatever is set.",
            "use the machine's name in place of localhost",
        ),
        Cause::ProxyCaseConflict => is(
            "the proxy variables contradict each other",
            "The go command takes HTTPS_PROXY before https_proxy, curl the other way round, and HTTP_PROXY is refused where \
             REQUEST_METHOD is set.",
            "give both spellings one value",
        ),
        Cause::GoproxySyntax => is(
            "GOPROXY is not a list of URLs",
            "Entries are separated by `,` or `|`. Quotes, backslashes, `;` and full-width commas become part of a URL. Spaces \
             around an entry do no harm.",
            "go env -w GOPROXY=https://proxy.golang.org,direct",
        ),
        Cause::GoproxyScheme => {
            is("GOPROXY has a scheme that go does not speak", "Only https, http and file.", "write https:// in GOPROXY")
        }
        Cause::GoproxyEmpty => is(
            "GOPROXY has no entries",
            "It is set to separators only, or to nothing and GOROOT has no go.env with the default.",
            "go env -w GOPROXY=https://proxy.golang.org,direct",
        ),
        Cause::GoproxyOff => is(
            "GOPROXY=off forbids all downloads",
            "What is not in the module cache cannot be had.",
            "go env -u GOPROXY",
        ),
        Cause::CommaNotPipe => is(
            "the next entry of GOPROXY is not asked after this error",
            "After a comma the next one is asked only for 404 and 410; after `|` for any error. With `|` also the later \
             entries learn which modules are asked for.",
            "write `|` in place of the comma",
        ),
        Cause::EnvOverridesFile => is(
            "the environment hides the value that go env -w has set",
            "The process's environment counts before the file of go env -w.",
            "unset the variable where it is set: in the shell's profile, the registry or a group policy",
        ),
        Cause::OtherEnvironment => is(
            "this process lacks settings that the user's shells have",
            "sudo, services, editors and containers start programs without them.",
            "set it where the program is started, or by go env -w",
        ),
        Cause::PrivateModulePublicProxy => is(
            "a private module is asked for at a public proxy",
            "Nobody outside has it, and its path is told to the proxy.",
            "go env -w GOPRIVATE=HOST",
        ),
        Cause::PrivateModuleSumdb => is(
            "a private module is looked up in the public checksum database",
            "GONOPROXY covers it and GONOSUMDB does not; the database knows public modules only.",
            "go env -w GOPRIVATE=PATTERN, which sets the default of both",
        ),
        Cause::PrivateBypassesProxy => is(
            "GOPRIVATE goes around the module proxy that has the module",
            "What GOPRIVATE or GONOPROXY covers is fetched from its origin and from no proxy, a company's own included.",
            "go env -w GONOPROXY=none",
        ),
        Cause::PatternDoesNotMatch => is(
            "a pattern for private modules does not match what it was written for",
            "Patterns are matched element by element against the beginning of a module's path: `*` does not cross a slash, \
             `example.com` does not cover git.example.com, and there is no scheme in a path.",
            "correct the pattern in GOPRIVATE",
        ),
        Cause::NoGit => is(
            "modules are fetched from their origin, and there is no git",
            "`direct`, and what GOPRIVATE covers, needs git in PATH.",
            "install git, or end GOPROXY without direct",
        ),
        Cause::GitCannotAuthenticate => is(
            "git is not let in where the module is",
            "The go command starts git without a terminal, so it cannot ask for a password.",
            "set up a credential helper, or git config --global url.\"git@HOST:\".insteadOf https://HOST/",
        ),
        Cause::GitOtherProxy => is(
            "git leaves by another way than go",
            "git has http.proxy in its own settings, and the environment says something else.",
            "set HTTPS_PROXY and git's http.proxy to the same proxy",
        ),
        Cause::GovcsForbids => is(
            "GOVCS forbids the version control system of a module",
            "By default public modules may use git and hg, private ones all.",
            "go env -u GOVCS",
        ),
        Cause::SumdbUnreachable => is(
            "the checksum database cannot be reached, and the module proxy does not pass it on",
            "Each module that go.sum does not have is looked up there.",
            "use a module proxy that passes it on, or GOSUMDB=sum.golang.google.cn where only that is reachable",
        ),
        Cause::SumdbProxyError => is(
            "the module proxy fails for the checksum database",
            "Once a proxy answers neither 200 nor 404 nor 410 for it, the go command does not ask directly.",
            "have the module proxy corrected",
        ),
        Cause::GosumdbMalformed => is(
            "GOSUMDB is neither a known checksum database nor a key",
            "It takes sum.golang.org, sum.golang.google.cn, a key NAME+HASH+KEY, or off; not on, and no URL alone. Empty means \
             the default.",
            "go env -u GOSUMDB",
        ),
        Cause::ToolchainWithoutSumdb => is(
            "a toolchain has to be downloaded, and GOSUMDB=off forbids checking it",
            "Toolchains are always checked with the checksum database.",
            "go env -u GOSUMDB, or install that version of Go",
        ),
        Cause::ToolchainMissing => is(
            "the toolchain that go.mod asks for is not at the module proxy",
            "The go command downloads newer versions of itself as the module golang.org/toolchain.",
            "use a module proxy that has toolchains, or install that version of Go",
        ),
        Cause::ToolchainTooOld => is(
            "go.mod asks for a newer Go than the one that may run",
            "GOTOOLCHAIN=local forbids switching to another version.",
            "install that version of Go, or go env -u GOTOOLCHAIN to let it be downloaded",
        ),
        Cause::GoSumMismatch => is(
            "what was downloaded is not what go.sum has",
            "Either go.sum was made with another copy (a tag was moved), or the module proxy has a changed one. The checksum \
             database tells which.",
            "compare with the checksum database first; never delete go.sum to get rid of it",
        ),
        Cause::SumdbMismatch => is(
            "what the module proxy has is not what the checksum database has",
            "The module proxy has a changed copy, or one of a tag that was moved afterwards.",
            "use another module proxy, or have this one drop that version",
        ),
        Cause::SumdbMisbehaves => is(
            "the checksum database contradicts what it said before",
            "Somebody shows this machine another database than others see, or the kept state belongs to another one.",
            "stop, and find out who answers; keep the evidence",
        ),
        Cause::GoSumEntryMissing => is(
            "go.sum lacks a line for a module that is needed",
            "The go command does not add lines by itself while it builds.",
            "go mod tidy",
        ),
        Cause::CorruptCache => is(
            "a file in the module cache is damaged",
            "It is not what was downloaded and checked.",
            "delete that version from the module cache; it is downloaded again",
        ),
        Cause::TruncatedTransfer => is(
            "downloads end early",
            "Fewer bytes come than were announced: a virus scanner or a filter with a limit of size, or a broken proxy.",
            "have the host exempted from scanning, or use a module proxy inside",
        ),
        Cause::CacheNotWritable => is(
            "the module cache cannot be written",
            "It belongs to somebody else (after sudo go), is no folder, or its disk is full.",
            "give the folder back to its user, make room, or set GOMODCACHE to another folder",
        ),
        Cause::NoSuchVersion => is(
            "there is no such module, or no such version of it",
            "The module proxy answers 404, and has other versions or none.",
            "correct path and version in go.mod",
        ),
        Cause::WrongCase => is(
            "the module's path is written in other letters than its own",
            "Capital letters count in module paths.",
            "correct the path in imports and go.mod",
        ),
        Cause::RateLimited => is(
            "the server answers 429: too many requests",
            "Many machines behind one address share its limit.",
            "wait, or use a module proxy with a cache in between",
        ),
        Cause::Gone => is(
            "the module was taken down",
            "451 or 410: the proxy may not give it any more.",
            "use another version or module: go mod edit -replace",
        ),
        Cause::VendorMode => is(
            "flags or the vendor folder keep modules from being used",
            "With -mod=vendor, or a vendor folder, nothing is downloaded, and vendor/modules.txt has to agree with go.mod.",
            "go mod vendor",
        ),
        Cause::ModulesOff => is(
            "GO111MODULE=off switches modules off",
            "The go command then knows no modules at all.",
            "go env -u GO111MODULE",
        ),
        Cause::PathMtu => is(
            "large packets or IPv6 get lost on the way",
            "A connection comes about and hangs as soon as much is sent, or IPv6 addresses do not answer where IPv4 ones do.",
            "have the path corrected; until then switch IPv6 off or lower the MTU of the interface",
        ),
        Cause::OldGo => is(
            "this version of Go has known holes in how it checks downloads",
            "Versions before 1.25.13, 1.26.6 and 1.27 can be made to accept modules that the checksum database does not have.",
            "install a newer Go",
        ),
    }
}

/// What helps against `cause` on this system, in this shell, where there is a command for it that needs no knowledge of
/// the case at hand; else the sentence of the catalogue.
#[must_use]
pub fn advice(cause: Cause, system: System, shell: Shell) -> String {
    let by_system = |linux: &str, macos: &str, windows: &str| {
        let text = match system {
            System::Linux => linux,
            System::MacOs => macos,
            System::Windows => windows,
        };
        text.to_owned()
    };
    match cause {
        Cause::UnknownAuthority => by_system(
            "sudo cp CA.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain CA.crt",
            "certutil -addstore -f Root CA.crt",
        ),
        Cause::NoRootCertificates => by_system(
            "sudo apt-get install -y ca-certificates (Debian, Ubuntu); apk add ca-certificates (Alpine); dnf install \
             ca-certificates (Fedora)",
            "restore the system roots in the keychain",
            "certutil -generateSSTFromWU roots.sst, then import it into Root",
        ),
        Cause::BadCertFile => shell.unset("SSL_CERT_FILE"),
        Cause::ClockSkew => by_system("sudo timedatectl set-ntp true", "sudo sntp -sS time.apple.com", "w32tm /resync"),
        Cause::OnlyAllProxy | Cause::OnlyHttpProxy | Cause::ProxyOnlyInSystem => {
            shell.set("HTTPS_PROXY", "http://HOST:PORT")
        }
        Cause::NoKerberosTicket => "kinit USER@REALM".to_owned(),
        Cause::NoGit => by_system("sudo apt-get install -y git", "xcode-select --install", "winget install Git.Git"),
        Cause::CacheNotWritable => by_system(
            "sudo chown -R \"$(id -u):$(id -g)\" \"$(go env GOMODCACHE)\"",
            "sudo chown -R \"$(id -u):$(id -g)\" \"$(go env GOMODCACHE)\"",
            "icacls the folder of go env GOMODCACHE, and grant yourself full control",
        ),
        _ => about(cause).helps.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told() {
        let mut titles = std::collections::BTreeSet::new();
        for cause in Cause::ALL {
            let about = about(cause);
            assert!(about.title.len() > 10 && !about.title.ends_with('.'), "{cause:?}");
            assert!(about.means.ends_with('.') && !about.helps.is_empty(), "{cause:?}");
            assert!(titles.insert(about.title), "{cause:?} has the title of another");
        }
    }

    #[test]
    fn no_advice_switches_a_check_off() {
        for cause in Cause::ALL {
            for system in [System::Linux, System::MacOs, System::Windows] {
                for shell in [Shell::Posix, Shell::Fish, Shell::PowerShell, Shell::Cmd] {
                    let text = format!("{} {}", about(cause).helps, advice(cause, system, shell));
                    for word in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"] {
                        // The go command refuses to keep these.
                        assert!(!text.contains(&format!("go env -w {word}")), "{cause:?}: {text}");
                    }
                    for word in [
                        "GOSUMDB=off",
                        "GOSUMDB= ",
                        "GOINSECURE",
                        "GONOSUMDB=*",
                        "GONOSUMCHECK",
                        "sslVerify",
                        "--insecure",
                        "-k ",
                    ] {
                        // `security` has a -k of its own, for the keychain.
                        let text = text.replace("-k /Library", "");
                        assert!(!text.contains(word), "{cause:?} says {word}: {text}");
                    }
                }
            }
        }
    }
}
