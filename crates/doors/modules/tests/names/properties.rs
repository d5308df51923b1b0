//! What has to hold for any names, versions and requests.

use proptest::prelude::*;
use tradewind_door_modules::{Asked, GoSum, H1, ModulePath, ModuleVersion, Pattern, Version, pseudo_version, quoted};

use tradewind_core::UnixMillis;

/// Mostly module paths.
fn path() -> impl Strategy<Value = String> {
    "[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~-]{1,6}){0,4}(/v[0-9]{1,2})?"
}

/// Mostly canonical versions.
fn version() -> impl Strategy<Value = String> {
    "v(0|[1-9][0-9]{0,2})\\.(0|[1-9][0-9]?)\\.(0|[1-9])(-[0-9A-Za-z-]{1,4}(\\.[0-9A-Za-z-]{1,3}){0,2})?(\\+incompatible)?"
}

proptest! {
    #[test]
    fn a_path_is_the_same_after_its_escape(text in path()) {
        let Ok(path) = ModulePath::parse(&text) else { return Ok(()) };
        let escaped = path.escaped().into_owned();
        prop_assert!(!escaped.bytes().any(|byte| byte.is_ascii_uppercase()));
        prop_assert_eq!(ModulePath::from_escaped(&escaped), Ok(path.clone()));
        // Nobody else has it: two paths that differ by case alone do so as names of folders, too.
        let lower = ModulePath::parse(&text.to_lowercase());
        prop_assert!(lower.is_err() || lower.as_ref() == Ok(&path) || lower.unwrap().escaped() != escaped);
    }

    #[test]
    fn a_request_is_the_same_after_it_is_written(path in path(), version in version(), query in "[a-zA-Z0-9._-]{1,12}") {
        let (Ok(path), Ok(version)) = (ModulePath::parse(&path), Version::parse(&version)) else { return Ok(()) };
        let escaped = (path.escaped(), version.escaped());
        let mut requests = vec![format!("{}/@v/list", escaped.0), format!("{}/@latest", escaped.0)];
        for extension in ["info", "mod", "zip"] {
            requests.push(format!("{}/@v/{}.{extension}", escaped.0, escaped.1));
        }
        requests.push(format!("{}/@v/{query}.info", escaped.0));
        requests.push(format!("sumdb/sum.example.com/lookup/{}@{}", escaped.0, escaped.1));
        for request in requests {
            let Ok(asked) = Asked::parse(&request) else { continue };
            prop_assert_eq!(&asked.escaped(), &request);
            prop_assert_eq!(Asked::parse(&asked.percent_encoded()), Ok(asked.clone()));
            prop_assert_eq!(Asked::parse(&format!("/{}", asked.percent_encoded())), Ok(asked.clone()));
            prop_assert_eq!(asked.module().unwrap(), &path);
        }
    }

    #[test]
    fn the_order_of_versions_is_total(one in version(), two in version(), three in version()) {
        let all: Vec<Version> = [one, two, three].iter().filter_map(|text| Version::parse(text).ok()).collect();
        for one in &all {
            for other in &all {
                prop_assert_eq!(one.cmp(other), other.cmp(one).reverse());
                prop_assert_eq!(one == other, one.cmp(other).is_eq());
                for third in &all {
                    prop_assert!(!(one < other && other < third) || one < third);
                }
            }
        }
    }

    #[test]
    fn a_pseudo_version_comes_right_behind_what_it_follows(text in version(), seconds in 0_u64..4_000_000_000, revision in "[0-9a-f]{12}") {
        let time = UnixMillis(seconds * 1000);
        let Ok(older) = Version::parse(&text) else { return Ok(()) };
        let pseudo = pseudo_version("v9", Some(&older), time, &revision).expect("a version");
        prop_assert!(pseudo > older);
        prop_assert!(pseudo.is_pseudo() && pseudo.is_prerelease());
        prop_assert_eq!(pseudo.pseudo_time(), Some(time));
        prop_assert_eq!(pseudo.pseudo_revision(), Some(&*revision));
        prop_assert_eq!(pseudo.is_incompatible(), older.is_incompatible());
        prop_assert_eq!(pseudo.major(), older.major());
        let first = pseudo_version("v9", None, time, &revision).expect("a version");
        prop_assert!(first.is_pseudo() && first.major() == "v9" && first.pseudo_time() == Some(time));
    }

    #[test]
    fn a_path_is_covered_by_itself_and_by_what_it_begins_with(text in path(), elements in 1_usize..6) {
        let Ok(path) = ModulePath::parse(&text) else { return Ok(()) };
        let beginning: Vec<&str> = text.split('/').take(elements).collect();
        let covers = |pattern: String| Pattern::parse(&pattern).expect("nothing malformed").covers(&path);
        prop_assert!(covers(beginning.join("/")));
        prop_assert!(covers(vec!["*"; beginning.len()].join("/")));
        prop_assert!(!covers(text.clone() + "/*"));
    }

    #[test]
    fn a_line_of_go_sum_is_read_as_it_is_written(path in path(), version in version(), bytes in any::<[u8; 8]>()) {
        let Ok(of) = ModuleVersion::parse(&format!("{path}@{version}")) else { return Ok(()) };
        let h1 = H1::of_mod(&bytes);
        prop_assert_eq!(H1::parse(&h1.to_string()), Ok(h1));
        let sums = GoSum::parse(&format!("{path} {version} {h1}\n\n{path} {version}/go.mod {h1}\r\n")).expect("two lines");
        prop_assert_eq!(sums.lines.len(), 2);
        prop_assert!(sums.lines.iter().all(|line| line.module == of && line.h1 == h1));
        prop_assert_ne!(sums.lines[0].of, sums.lines[1].of);
    }

    #[test]
    fn nothing_that_is_quoted_moves_a_cursor(text in any::<String>()) {
        prop_assert!(quoted(&text).to_string().chars().all(|character| !character.is_control()));
    }
}
