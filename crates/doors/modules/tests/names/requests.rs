//! Requests, hashes and go.sum, by tables.

use tradewind_door_modules::{
    Asked, BadGoSum, BadRequest, GoSum, H1, LONGEST_GO_SUM, LONGEST_REQUEST, Query, SumOf, SumdbAsked, SumdbName,
};

#[test]
fn requests_are_read_as_the_go_command_sends_them() {
    for (request, escaped) in [
        ("/github.com/%21azure/x/@v/list", "github.com/!azure/x/@v/list"),
        ("/github.com/!azure/x/@latest", "github.com/!azure/x/@latest"),
        ("rsc.io/quote/v3/@v/v3.0.0.info", "rsc.io/quote/v3/@v/v3.0.0.info"),
        ("/rsc.io/quote/@v/v1.0.0-%21r%21c1.mod", "rsc.io/quote/@v/v1.0.0-!r!c1.mod"),
        ("/rsc.io/quote/@v/v2.0.0%2Bincompatible.zip", "rsc.io/quote/@v/v2.0.0+incompatible.zip"),
        ("/rsc.io/quote/@v/v2.0.0+incompatible.zip", "rsc.io/quote/@v/v2.0.0+incompatible.zip"),
        (
            "/golang.org/toolchain/@v/v0.0.1-go1.27.3.linux-amd64.zip",
            "golang.org/toolchain/@v/v0.0.1-go1.27.3.linux-amd64.zip",
        ),
        ("/sumdb/sum.golang.org/supported", "sumdb/sum.golang.org/supported"),
        ("/sumdb/localhost.localdev/sumdb/latest", "sumdb/localhost.localdev/sumdb/latest"),
        (
            "/sumdb/sum.golang.org/lookup/github.com/%21a/b@v1.0.0-%21r",
            "sumdb/sum.golang.org/lookup/github.com/!a/b@v1.0.0-!r",
        ),
        ("/sumdb/sum.golang.org/tile/8/0/x001/234.p/5", "sumdb/sum.golang.org/tile/8/0/x001/234.p/5"),
        ("/sumdb/sum.golang.org/tile/8/data/012", "sumdb/sum.golang.org/tile/8/data/012"),
        ("/sumdb/a/lookup/x.com/tile/8@v1.0.0", "sumdb/a/lookup/x.com/tile/8@v1.0.0"),
        ("/sumdb/a/lookup/x.com/lookup/latest@v1.0.0", "sumdb/a/lookup/x.com/lookup/latest@v1.0.0"),
    ] {
        let asked = Asked::parse(request).unwrap_or_else(|error| panic!("{request}: {error}"));
        assert_eq!(asked.escaped(), escaped);
    }
    let sent = Asked::parse("/github.com/!azure/x/@v/v1.0.0.zip").expect("a request").percent_encoded();
    assert_eq!(sent, "github.com/%21azure/x/@v/v1.0.0.zip");
    let Ok(Asked::Sumdb(asked)) = Asked::parse("/sumdb/localhost.localdev/sumdb/tile/8/1/000") else {
        panic!("a tile")
    };
    assert_eq!(asked.name().as_str(), "localhost.localdev/sumdb");
    assert!(matches!(asked, SumdbAsked::Tile { path, .. } if &*path == "tile/8/1/000"));
}

#[test]
fn a_query_is_a_version_when_the_module_can_have_it_and_anything_else_otherwise() {
    let query = |request: &str| match Asked::parse(request) {
        Ok(Asked::Info(_, query)) => query,
        other => panic!("{request}: {other:?}"),
    };
    assert!(matches!(query("/x.com/a/@v/v1.0.0.info"), Query::Version(_)));
    assert!(matches!(query("/x.com/a/v2/@v/v2.0.0.info"), Query::Version(_)));
    for (request, text) in [
        ("/x.com/a/@v/master.info", "master"),
        ("/x.com/a/@v/v1.info", "v1"),
        ("/x.com/a/@v/v1.2.info", "v1.2"),
        ("/x.com/a/@v/abcdef012345.info", "abcdef012345"),
        // The module would have to be given `+incompatible`, or is another one.
        ("/x.com/a/@v/v2.0.0.info", "v2.0.0"),
        ("/x.com/a/v3/@v/v2.0.0.info", "v2.0.0"),
        ("/x.com/a/@v/v1.0.0+meta.info", "v1.0.0+meta"),
        ("/x.com/a/@v/%21main.info", "Main"),
        ("/x.com/a/@v/release%20branch.info", "release branch"),
    ] {
        assert_eq!(query(request), Query::Other(text.into()), "{request}");
    }
}

#[test]
fn everything_else_is_refused() {
    for request in [
        "",
        "/",
        "//",
        "/@v/list",
        "/x.com",
        "/x.com/",
        "/x.com/@v",
        "/x.com/@v/",
        "/x.com/@v/list/",
        "/x.com/@v/list.txt",
        "/x.com/@v/.info",
        "/x.com/@v/v1.0.0",
        "/x.com/@v/v1.0.0.ziphash",
        "/x.com/@v/v1.0.0.lock",
        "/x.com/@latest/",
        "/x.com/@v/v1.0.0.zip/",
        "/x.com/@v/v1.0.0.zip/x",
        "/x.com/@v/v1.0.0.ZIP",
        "/x.com/@x/list",
        "/x.com@v/list",
        // Names that Go would not ask for.
        "/x/@v/list",
        "/X.com/@v/list",
        "/x.com/Azure/@v/list",
        "/x.com/!/@v/list",
        "/x.com/!!a/@v/list",
        "/x.com/!1/@v/list",
        "/x.com/!Azure/@v/list",
        "/x.com/../y.com/@v/list",
        "/x.com/./a/@v/list",
        "/x.com//a/@v/list",
        "//x.com/@v/list",
        "/x.com/a\\b/@v/list",
        "/x.com/a b/@v/list",
        "/x.com/\u{e9}/@v/list",
        "/x.com/con/@v/list",
        "/x.com/a/v1/@v/list",
        "/x.com/a:b/@v/list",
        "/x.com/a?b/@v/list",
        "/x.com/a#b/@v/list",
        "/x.com/a\0/@v/list",
        // Versions that are no canonical ones, where there have to be.
        "/x.com/@v/master.zip",
        "/x.com/@v/v1.zip",
        "/x.com/@v/v1.2.mod",
        "/x.com/@v/v2.0.0.mod",
        "/x.com/@v/v1.0.0+meta.zip",
        "/x.com/@v/V1.0.0.zip",
        "/x.com/@v/v1.0.0-RC1.zip",
        "/x.com/@v/v1.0.0-!R.zip",
        "/x.com/@v/../list.info",
        "/x.com/@v/...info",
        "/x.com/@v/a/b.info",
        "/x.com/@v/con.info",
        "/x.com/@v/a\tb.info",
        "/x.com/@v/a:b.info",
        // Encodings that hide something.
        "/x.com%2Fa/@v/list",
        "/x.com%2fa/@v/list",
        "/x.com/%2e%2e/@v/list",
        "/x.com/%/@v/list",
        "/x.com/%2/@v/list",
        "/x.com/%zz/@v/list",
        "/x.com/%00/@v/list",
        "/x.com/%ff/@v/list",
        "/x.com/%2521azure/@v/list",
        "/x.com/%41/@v/list",
        "/x.com/@v/..%2Flist.info",
        "/x.com/@v/%5C.info",
        "/x.com/@v/%0A.info",
        "/x.com/%u0041/@v/list",
        // Checksum databases.
        "/sumdb",
        "/sumdb/",
        "/sumdb/supported",
        "/sumdb//supported",
        "/sumdb/x/",
        "/sumdb/x/y",
        "/sumdb/../supported",
        "/sumdb/a b/supported",
        "/sumdb/a+b/supported",
        "/sumdb/a/../b/latest",
        "/sumdb/x/lookup/",
        "/sumdb/x/lookup/y.com",
        "/sumdb/x/lookup/y.com@",
        "/sumdb/x/lookup/y.com@v1",
        "/sumdb/x/lookup/y.com@v2.0.0",
        "/sumdb/x/lookup/Y.com@v1.0.0",
        "/sumdb/x/lookup/y.com@v1.0.0/go.mod",
        "/sumdb/x/lookup/y.com/supported",
        "/sumdb/x/tile/",
        "/sumdb/x/tile/../8",
        "/sumdb/x/tile/8/0/Z",
        "/sumdb/x/tile/8/0/%2e%2e",
        "/sumdb/x/tile/8/0/000.q/1",
        "/sumdb/x/tile/8",
        "/sumdb/x/tile/8/0",
        "/sumdb/x/tile/8/0/",
        "/sumdb/x/tile/8/0/00",
        "/sumdb/x/tile/8/0/0000",
        "/sumdb/x/tile/8/0/x000",
        "/sumdb/x/tile/8/0/000/x000",
        "/sumdb/x/tile/8/0/000/000",
        "/sumdb/x/tile/8/0/000.p",
        "/sumdb/x/tile/8/0/000.p/",
        "/sumdb/x/tile/8/0/000.p/1000",
        "/sumdb/x/tile/8/0/000.p/1/1",
        "/sumdb/x/tile/-1/0/000",
        "/sumdb/x/tile/8/dada/000",
        "/sumdb/x/tile/8//000",
        "/sumdb/x/tile/100/0/000",
    ] {
        assert!(Asked::parse(request).is_err(), "{request:?} was taken");
    }
}

#[test]
fn a_refusal_is_one_line_that_can_be_shown() {
    let text = |request: &str| Asked::parse(request).expect_err("malformed").to_string();
    assert_eq!(text("/x/@v/list"), "malformed module path \"x\": missing dot in first path element");
    assert_eq!(text("/x.com/@v/v2.0.0.mod"), "x.com@v2.0.0: invalid version: should be v0 or v1, not v2");
    assert_eq!(text("/x.com/@v/v1.mod"), "version \"v1\" is not canonical (should be \"v1.0.0\")");
    assert_eq!(text("/x.com/@v/a:b.info"), "version \"a:b\" invalid: disallowed version string");
    assert!(!text("/x.com/\u{1b}[2J/@v/list").contains('\u{1b}'));
}

#[test]
fn requests_and_names_have_a_longest_length() {
    let request = |length: usize| format!("/x.com/@v/{}.info", "a".repeat(length - 15));
    assert!(matches!(Asked::parse(&request(LONGEST_REQUEST)), Err(BadRequest::Query(_))));
    assert_eq!(Asked::parse(&request(LONGEST_REQUEST + 1)), Err(BadRequest::TooLong));
    assert!(Asked::parse(&request(15 + 240)).is_ok());
    assert!(Asked::parse(&request(15 + 241)).is_err());
    assert!(SumdbName::parse(&"a".repeat(255)).is_some());
    assert!(SumdbName::parse(&"a".repeat(256)).is_none());
    let tile = |groups: usize| format!("/sumdb/x/tile/8/0/{}000", "x123/".repeat(groups));
    assert!(Asked::parse(&tile(14)).is_ok());
    assert_eq!(Asked::parse(&tile(15)), Err(BadRequest::Tile));
}

#[test]
fn the_hash_of_a_go_mod_is_that_of_go() {
    // As `go mod download -json` prints it for a go.mod of this content, and for an empty one.
    assert_eq!(H1::of_mod(b"").to_string(), "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=");
    assert_eq!(H1::of_mod(b"module rsc.io/quote\n").to_string(), "h1:XlB+e70VC7gDa0v7/5nngb/cb1VWDr292yT8rt7ya4k=");
    for text in [
        "",
        "h1:",
        "h2:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "h1:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "h1:AAAA",
        " h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ] {
        assert!(H1::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_go_sum_is_read_line_by_line() {
    let h1 = H1::of_mod(b"x");
    let text = format!(
        "rsc.io/quote v1.5.2 {h1}\nrsc.io/quote v1.5.2/go.mod {h1}\n\n  \ngithub.com/BurntSushi/toml v0.3.1 h9:abc\n\
         x.com/a v1.0.0/go.mod {}\nx.com/a v2.0.0+incompatible {h1}",
        H1::of_mod(b"")
    );
    let sums = GoSum::parse(&text).expect("a go.sum");
    let lines: Vec<_> = sums.lines.iter().map(|line| (line.module.to_string(), line.of)).collect();
    let expected = [
        ("rsc.io/quote@v1.5.2", SumOf::Zip),
        ("rsc.io/quote@v1.5.2", SumOf::GoMod),
        ("x.com/a@v2.0.0+incompatible", SumOf::Zip),
    ];
    assert_eq!(lines, expected.map(|(module, of)| (module.to_owned(), of)));
    assert_eq!(sums.passed_over, 2);
    assert_eq!(GoSum::parse(""), Ok(GoSum::default()));
    for (text, error) in [
        (format!("\nx.com/a v1.0.0 {h1} more"), "malformed go.sum: line 2: wrong number of fields 4"),
        ("x.com/a".to_owned(), "malformed go.sum: line 1: wrong number of fields 1"),
        (
            format!("x v1.0.0 {h1}"),
            "malformed go.sum: line 1: malformed module path \"x\": missing dot in first path element",
        ),
        (
            format!("x.com v1 {h1}"),
            "malformed go.sum: line 1: x.com@version \"v1\" is not canonical (should be \"v1.0.0\")",
        ),
        ("x.com v1.0.0 h1:abc".to_owned(), "malformed go.sum: line 1: \"h1:abc\" is not an h1: hash"),
        ("x.com v1.0.0 abc".to_owned(), "malformed go.sum: line 1: \"abc\" is not an h1: hash"),
    ] {
        assert_eq!(GoSum::parse(&text).expect_err(error).to_string(), error);
    }
    assert_eq!(GoSum::parse(&" ".repeat(LONGEST_GO_SUM)), Ok(GoSum::default()));
    assert_eq!(GoSum::parse(&" ".repeat(LONGEST_GO_SUM + 1)), Err(BadGoSum::TooLong));
}
