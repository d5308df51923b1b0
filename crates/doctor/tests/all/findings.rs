//! Each cause that settings and files alone tell, and its fix; and machines on which nothing is wrong.

use tradewind_doctor::Weight;
use tradewind_doctor::settings::{Gosumdb, Origin};

use crate::machine::{Machine, PROXY};

#[test]
fn a_healthy_machine_has_no_findings() {
    let healthy: [Machine; 9] = [
        Machine::new(),
        Machine::new().with("GOPROXY", "").go_env("GOPROXY=https://mod.example.com|direct\n"),
        Machine::new().with("GOPROXY", " https://mod.example.com , direct "),
        // Meant, as far as anybody can tell without asking.
        Machine::new().with("HTTPS_PROXY", "http://me:p%40ss@proxy:1").with("NO_PROXY", ".example.com"),
        Machine::new().with("HTTP_PROXY", "http://proxy:1").with("ALL_PROXY", "http://proxy:1"),
        Machine::new().with("GOPRIVATE", "corp.example.com").with("GOSUMDB", "sum.golang.google.cn"),
        Machine::new().with("GOFLAGS", "-modcacherw \"-ldflags=-s -w\""),
        Machine::new().with("GOPROXY", "file:///srv/go"),
        Machine::new().with("GO111MODULE", "on").with("GOTOOLCHAIN", "local+auto"),
    ];
    for machine in healthy {
        let report = machine.report();
        assert!(report.findings.is_empty() && report.not_run.is_empty(), "{}", report.text(true));
        assert_eq!(report.text(false), "nothing is wrong");
    }
}

#[test]
fn goproxy_is_read_as_go_reads_it() {
    let set = |value: &str| Machine::new().with("GOPROXY", value).first();
    assert_eq!(
        set("'https://mod.example.com,direct'"),
        (35, "export GOPROXY=https://mod.example.com,direct".to_owned())
    );
    assert_eq!(set("https://mod.example.com；direct").0, 35);
    assert_eq!(set("https//mod.example.com"), (35, "export GOPROXY=https://mod.example.com".to_owned()));
    assert_eq!(set("https://"), (35, "unset GOPROXY".to_owned()));
    assert_eq!(set("ftp://mod.example.com").0, 36);
    assert_eq!(set(" , "), (37, "unset GOPROXY".to_owned()));
    assert_eq!(set("off"), (38, "unset GOPROXY".to_owned()));
    assert_eq!(set("http://me:secret99@mod.example.com").0, 20);
    let file = |text: &str| Machine::new().with("GOPROXY", "").go_env(text).first();
    assert_eq!(file("GOPROXY=off\n"), (38, "go env -u GOPROXY".to_owned()));
    assert_eq!(file("GOPROXY=htps://mod.example.com\n"), (36, "go env -w GOPROXY=https://mod.example.com".to_owned()));
    let machine = Machine::new().with("GOPROXY", "");
    machine.remove("go/go.env");
    assert_eq!(machine.first().0, 37);
}

#[test]
fn what_is_in_the_cache_needs_no_proxy() {
    let machine = Machine::new().with("GOPROXY", "off");
    // A zip with no file in it, and its hash.
    let empty = "PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let hash = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let place = "home/go/pkg/mod/cache/download/corp.example.com/!team/x/@v/v1.0.0";
    machine.write(&format!("{place}.zip"), empty);
    machine.write(&format!("{place}.ziphash"), hash);
    assert_eq!(machine.causes(), [0; 0]);
    // Damaged, and not unpacked.
    machine.write(&format!("{place}.zip"), "PK");
    let (cause, fix) = machine.first();
    assert_eq!(cause, 60);
    assert!(fix.starts_with("rm -f ") && fix.contains("v1.0.0.ziphash"), "{fix}");
    // Unpacked: go does not look at the zip again.
    machine.write("home/go/pkg/mod/corp.example.com/!team/x@v1.0.0/x.go", "package x\n");
    assert_eq!(machine.report().findings[0].weight, Weight::Warns);
    machine.write(&format!("{place}.zip"), empty);
    machine.write(&format!("{place}.ziphash"), "h1:other=");
    assert_eq!(machine.causes(), [60]);
}

#[test]
fn proxy_variables_are_looked_at_where_they_count() {
    let odd = "http://me:se#cret99@proxy:1";
    assert_eq!(Machine::new().with("HTTPS_PROXY", odd).first().0, 27);
    // Nothing is asked by http, and nothing through a proxy that spares everything.
    assert_eq!(Machine::new().with("HTTP_PROXY", odd).causes(), [0; 0]);
    assert_eq!(Machine::new().with("HTTPS_PROXY", odd).with("NO_PROXY", "*").causes(), [0; 0]);
    assert_eq!(Machine::new().with("HTTPS_PROXY", "http://wpad.example.com/proxy.pac").first().0, 28);
    let cgi = Machine::new().with("GOPROXY", "http://mod.example.com").with("HTTP_PROXY", "http://proxy:1");
    assert_eq!(cgi.with("REQUEST_METHOD", "GET").first(), (34, "unset REQUEST_METHOD".to_owned()));
}

#[test]
fn the_checksum_database_has_to_be_one() {
    assert_eq!(Machine::new().with("GOSUMDB", "off").causes(), [0; 0]);
    let machine = Machine::new().with("GOSUMDB", "on");
    // go.sum has all there is to know.
    assert_eq!(machine.report().findings[0].weight, Weight::Warns);
    machine.remove("app/go.sum");
    assert_eq!(machine.first(), (52, "unset GOSUMDB".to_owned()));
    assert_eq!(machine.report().findings[0].weight, Weight::Breaks);
    let file = Machine::new().go_env("GOSUMDB=https://sum.golang.org\n");
    assert_eq!(file.first(), (52, "go env -u GOSUMDB".to_owned()));
}

#[test]
fn toolchains_have_to_be_here_or_downloaded_and_checked() {
    let newer = || Machine::new().file("app/go.mod", "module m\ngo 1.99\n");
    assert_eq!(newer().causes(), [0; 0]);
    assert_eq!(newer().with("GOTOOLCHAIN", "local").first(), (55, "unset GOTOOLCHAIN".to_owned()));
    assert_eq!(newer().with("GOTOOLCHAIN", "path").first().0, 55);
    assert_eq!(newer().with("GOTOOLCHAIN", "newest").first().0, 55);
    assert_eq!(newer().with("GOSUMDB", "off").first(), (53, "unset GOSUMDB".to_owned()));
    let suggested = Machine::new().file("app/go.mod", "module m\ngo 1.20\ntoolchain go1.99.1\n").with("GOSUMDB", "off");
    assert_eq!(suggested.first(), (53, "go env -w GOTOOLCHAIN=local".to_owned()));
    // A folder is Go's own exception, and one that is there needs no download.
    assert_eq!(newer().with("GOSUMDB", "off").with("GOPROXY", "file:///srv/go").causes(), [0; 0]);
    let cached = newer().file("home/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64/x", "");
    assert_eq!(cached.with("GOSUMDB", "off").causes(), [0; 0]);
    assert_eq!(newer().with("GOTOOLCHAIN", "local").file("go/go.env", "GOTOOLCHAIN=local\n").first().0, 55);
    let old = Machine::new().file("go/VERSION", "go1.26.5\n");
    assert_eq!(old.first(), (70, "install Go 1.26.6 or newer".to_owned()));
}

#[test]
fn an_old_go_before_a_newer_one() {
    let old = || Machine::new().file("go/VERSION", "go1.19.8\n");
    let newer = |machine: Machine| {
        machine.write("newer/VERSION", "go1.27.3\n");
        machine.write("newer/pkg/tool/x", "");
        machine.program("newer/bin/go");
        let folder = machine.path("newer/bin").display().to_string();
        let path = format!("{}:{}:{folder}", machine.path("go/bin").display(), machine.path("bin").display());
        (machine.with("PATH", &path), format!("export PATH={folder}:\"$PATH\""))
    };
    let (machine, fix) = newer(old());
    assert_eq!(machine.first(), (70, fix));
    assert_eq!(machine.report().findings[0].weight, Weight::Warns);
    // It tries what a newer go.mod asks for, whatever GOTOOLCHAIN says.
    let (machine, fix) = newer(old().file("app/go.mod", "module m\n\ngo 1.27\n").with("GOTOOLCHAIN", "local"));
    assert_eq!((machine.causes(), machine.first().1), (vec![70], fix));
    // Go 1.19 fails at such a go.mod, whatever else is wrong.
    let three = "module m\n\ngo 1.27.0\n";
    let (machine, fix) = newer(old().file("app/go.mod", three).with("GOPROXY", "off"));
    assert_eq!(machine.first(), (70, fix));
    assert_eq!(machine.report().findings[0].weight, Weight::Breaks);
    let toolchain = old().file("app/go.mod", "module m\n\ngo 1.20\n\ntoolchain go1.27.3\n");
    assert_eq!(toolchain.first(), (70, "install Go 1.27.0 or newer".to_owned()));
    assert_eq!(toolchain.report().findings[0].weight, Weight::Breaks);
    // An older one behind it is none that helps.
    let (machine, _) = newer(old());
    machine.write("newer/VERSION", "go1.25.1\n");
    assert_eq!(machine.first().1, "install Go 1.27.0 or newer");
}

#[test]
fn an_empty_gosumdb_is_the_default_and_switches_nothing_off() {
    for machine in [
        Machine::new().with("GOSUMDB", ""),
        Machine::new().go_env("GOSUMDB=\n"),
        Machine::new().with("GOSUMDB", "").go_env("GOSUMDB=\n"),
    ] {
        let settings = machine.world().settings;
        assert_eq!(settings.text("GOSUMDB"), "sum.golang.org");
        assert!(matches!(settings.gosumdb, Ok(Gosumdb::Database { .. })));
        assert_eq!(machine.causes(), [0; 0]);
        // So a toolchain can be checked.
        let newer = machine.file("app/go.mod", "module m\ngo 1.99\n");
        assert_eq!(newer.causes(), [0; 0]);
    }
}

#[test]
fn the_file_of_go_env_w_has_no_http_proxies() {
    let machine = Machine::new().go_env("HTTPS_PROXY=http://proxy:1\nHTTP_PROXY=http://proxy:1\nNO_PROXY=*\n");
    let settings = machine.world().settings;
    assert!(settings.http_proxy.https.is_none() && settings.http_proxy.http.is_none());
    assert!(settings.http_proxy.no_proxy.is_none());
}

#[test]
fn modules_and_flags() {
    assert_eq!(Machine::new().with("GO111MODULE", "off").first(), (68, "unset GO111MODULE".to_owned()));
    assert_eq!(Machine::new().go_env("GO111MODULE=off\n").first(), (68, "go env -u GO111MODULE".to_owned()));
    let flags = Machine::new().with("GOFLAGS", "mod=mod -modcacherw");
    assert_eq!(flags.first(), (67, "export GOFLAGS=-modcacherw".to_owned()));
    assert_eq!(Machine::new().with("GOFLAGS", "-mod=vendor").first(), (67, "unset GOFLAGS".to_owned()));
    let listed = |text: &str| Machine::new().file("app/vendor/modules.txt", text);
    assert_eq!(
        listed("# corp.example.com/Team/x v1.0.0\n## explicit; go 1.20\ncorp.example.com/Team/x\n").causes(),
        [0; 0]
    );
    assert_eq!(listed("# corp.example.com/Team/x v0.9.0\n## explicit\n").first(), (67, "go mod vendor".to_owned()));
    assert_eq!(listed("").with("GOFLAGS", "-mod=mod").causes(), [0; 0]);
}

#[test]
fn the_cache_has_to_be_writable() {
    let place = Machine::new();
    place.write("file", "");
    let below = place.path("file/mod").display().to_string();
    assert_eq!(place.with("GOMODCACHE", &below).first(), (62, "unset GOMODCACHE".to_owned()));
    assert_eq!(Machine::new().with("GOMODCACHE", "mod").first(), (62, "unset GOMODCACHE".to_owned()));
    assert_eq!(Machine::new().with("HOME", "").first().0, 62);
}

#[test]
fn direct_downloads_need_git_and_leave_to_use_it() {
    let direct = || Machine::new().with("GOPROXY", "direct");
    assert_eq!(direct().causes(), [0; 0]);
    assert_eq!(direct().with("GOVCS", "*:off").first(), (49, "unset GOVCS".to_owned()));
    assert_eq!(direct().with("GOVCS", "corp.example.com:git,*:off").causes(), [0; 0]);
    assert_eq!(direct().with("GOVCS", "private:git,public:off").with("GOPRIVATE", "corp.example.com").causes(), [0; 0]);
    let without = direct();
    without.remove("bin/git");
    assert_eq!(without.first().0, 46);
    let proxied = Machine::new();
    proxied.remove("bin/git");
    assert_eq!(proxied.causes(), [0; 0]);
    let private = Machine::new().with("GOPRIVATE", "corp.example.com");
    private.remove("bin/git");
    assert_eq!(private.first().0, 46);
}

#[test]
fn go_sum_has_to_have_what_is_imported() {
    let machine = Machine::new();
    machine.write("app/go.sum", "corp.example.com/Team/x v1.0.0/go.mod h1:b=\n");
    assert_eq!(machine.first(), (59, "go mod tidy".to_owned()));
    machine.write("app/main.go", "package main\n\nimport \"fmt\"\n");
    assert_eq!(machine.causes(), [0; 0]);
}

#[test]
fn settings_say_where_they_come_from() {
    let world = Machine::new().go_env("GOPROXY=https://other.example.com\nGOFLAGS=-x\n").world();
    let goproxy = world.settings.get("GOPROXY").unwrap();
    assert_eq!((goproxy.value(), &goproxy.origin), (PROXY, &Origin::Process("GOPROXY")));
    assert_eq!(goproxy.hides().map(|(_, value)| value), Some("https://other.example.com"));
    assert_eq!(goproxy.in_env_file(), Some("https://other.example.com"));
    assert!(matches!(world.settings.get("GOFLAGS").unwrap().origin, Origin::EnvFile(_)));
    assert!(matches!(world.settings.get("GOSUMDB").unwrap().origin, Origin::GorootFile(_)));
    assert_eq!(world.settings.get("GOVCS"), None);
    let off = Machine::new().go_env("GOFLAGS=-x\n").with("GOENV", "off").world();
    assert_eq!(off.settings.get("GOFLAGS"), None);
}

#[test]
fn no_secret_is_in_a_report() {
    let machine = Machine::new()
        .with("GOPROXY", "http://me:hunter2hunter2@mod.example.com|https://you:hunter2hunter2@b.example.com,direct")
        .with("HTTP_PROXY", "http://me:hunter2#hunter2@proxy:1")
        .with("HTTPS_PROXY", "http://CORP\\me:hunter2hunter2@proxy:1")
        .with("ALL_PROXY", "http://me:hunter2hunter2@proxy:1")
        .file("home/.netrc", "machine mod.example.com login me password hunter2hunter2\n");
    let report = machine.report();
    assert!(report.findings.len() >= 2, "{}", report.text(true));
    let everything = format!("{} {}", report.text(true), serde_json::to_string(&report).unwrap());
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn a_vendored_project_needs_nothing_from_outside() {
    let listed = "# corp.example.com/Team/x v1.0.0\n## explicit; go 1.20\ncorp.example.com/Team/x\n";
    let vendored = || Machine::new().file("app/vendor/modules.txt", listed);
    assert_eq!(vendored().with("GOPROXY", "off").causes(), [0; 0]);
    assert_eq!(vendored().with("GOPROXY", "off").with("GOFLAGS", "-mod=mod").causes(), [38]);
    // But for a toolchain.
    assert_eq!(vendored().with("GOPROXY", "off").file("app/go.mod", "module m\ngo 1.99\n").causes(), [38]);
}

#[test]
fn goauth_is_a_list_of_commands() {
    assert_eq!(Machine::new().with("GOAUTH", "netrc").causes(), [0; 0]);
    assert_eq!(Machine::new().with("GOAUTH", "off").causes(), [0; 0]);
    for value in ["off;netrc", "git", "git here", "git /nowhere", "netrc;;"] {
        assert_eq!(Machine::new().with("GOAUTH", value).first(), (19, "unset GOAUTH".to_owned()), "{value}");
    }
    assert_eq!(Machine::new().with("GOAUTH", "git here").with("GOPROXY", "file:///srv/go").causes(), [0; 0]);
}

#[test]
fn an_http_proxy_of_the_command_line_stands_in_for_those_of_the_environment() {
    use tradewind_doctor::settings::{Environment, Overrides, Settings, Way};
    use tradewind_doctor::{System, Url};
    let overrides = Overrides { http_proxy: Some("http://other:1".to_owned()) };
    let environment = Environment::of([("HTTPS_PROXY", "http://proxy:1"), ("GOENV", "off")]);
    let settings = Settings::read(environment, std::path::Path::new("/"), System::Linux, &overrides);
    let way = settings.http_proxy.way_to(&Url::parse("https://mod.example.com").unwrap());
    assert_eq!(way, Way::Proxy(Url::parse("http://other:1").unwrap()));
}

#[test]
fn fixes_use_the_package_manager_that_is_there() {
    let without = |machine: Machine| {
        machine.remove("bin/git");
        machine.with("GOPRIVATE", "corp.example.com").first()
    };
    assert_eq!(without(Machine::new()), (46, "install git".to_owned()));
    let (cause, fix) = without(Machine::new().script("bin/apt-get", "exit 1"));
    assert_eq!((cause, fix.replace("sudo ", "")), (46, "apt-get update && apt-get install -y git".to_owned()));
    let (_, fix) = without(Machine::new().script("bin/apk", "exit 1"));
    assert_eq!(fix.replace("sudo ", ""), "apk add git");
    // Where a proxy is set behind `direct`, it does without git.
    let direct = Machine::new().with("GOPROXY", "direct").go_env("GOPROXY=https://mod.example.com\n");
    direct.remove("bin/git");
    assert_eq!(direct.first(), (46, "unset GOPROXY".to_owned()));
}
