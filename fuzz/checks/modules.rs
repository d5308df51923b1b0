//! What has to hold for any bytes at all that name a module, ask for one, or are one. A broken rule is a panic.

use std::io::Cursor;

use tradewind_core::UnixMillis;
use tradewind_door_modules::{
    Asked, GoSum, LONGEST_MODULE_PATH, LONGEST_VERSION, Licence, ModulePath, ModuleVersion, Pattern, Query, Version,
    ZipFault, ZipLimits, check_file_path, check_zip_in, pseudo_version,
};

/// The longest message of a refusal, in bytes: nothing of what came is repeated at length.
const LONGEST_MESSAGE: usize = 3000;

/// A message is one line, and moves no cursor.
fn is_shown(message: &str) {
    assert!(!message.is_empty() && message.len() <= LONGEST_MESSAGE, "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

/// A module path, a name of a file, or a pattern over paths.
pub(crate) fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, pattern) = text.split_once('\n').unwrap_or((&text, "*"));
    if let Err(error) = check_file_path(text) {
        is_shown(&error.to_string());
    } else {
        assert!(!text.starts_with('/') && text.split('/').all(|element| !matches!(element, "" | "." | "..")));
        assert!(!text.contains(['\\', '\0', ':']));
    }
    let pattern = Pattern::parse(pattern);
    let path = match ModulePath::parse(text) {
        Ok(path) => path,
        Err(error) => return is_shown(&error.to_string()),
    };
    assert!(path.as_str().len() <= LONGEST_MODULE_PATH && path.as_str().is_ascii());
    let escaped = path.escaped();
    assert!(!escaped.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(escaped.split('/').all(|element| (1..=255).contains(&element.len()) && !element.starts_with('.')));
    assert_eq!(ModulePath::from_escaped(&escaped), Ok(path.clone()));
    let (prefix, major) = path.split_major();
    assert_eq!(format!("{prefix}{major}"), path.as_str());
    match pattern {
        Ok(pattern) => {
            let elements = pattern.as_str().matches('/').count() + 1;
            assert!(!pattern.covers(&path) || elements <= text.split('/').count());
        }
        Err(error) => is_shown(&error.to_string()),
    }
}

/// A version, and another one to compare it with.
pub(crate) fn version(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, other) = text.split_once('\n').unwrap_or((&text, "v1.0.0"));
    let version = match Version::parse(text) {
        Ok(version) => version,
        Err(error) => return is_shown(&error.to_string()),
    };
    let escaped = version.escaped();
    assert!(escaped.len() <= LONGEST_VERSION && !escaped.contains('/') && !escaped.starts_with('.'));
    assert_eq!(Version::from_escaped(&escaped), Ok(version.clone()));
    assert!(version.is_prerelease() || !version.is_pseudo());
    assert!(version.is_pseudo() || version.pseudo_time().is_none());
    if let Ok(next) = pseudo_version("v1", Some(&version), UnixMillis(0), "abcdefabcdef") {
        assert!(next > version && next.is_pseudo());
    }
    let Ok(other) = Version::parse(other) else { return };
    assert_eq!(version.cmp(&other), other.cmp(&version).reverse());
    assert_eq!(version.cmp(&other).is_eq(), version == other);
}

/// The path of a request.
pub(crate) fn request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let asked = match Asked::parse(&text) {
        Ok(asked) => asked,
        Err(error) => return is_shown(&error.to_string()),
    };
    // What is asked for can be written again, and is then the same; nothing in it leaves its folder.
    let escaped = asked.escaped();
    assert!(escaped.split('/').all(|element| !matches!(element, "" | "." | "..")), "{escaped}");
    assert!(!escaped.chars().any(char::is_control) && !escaped.contains('\\'));
    assert_eq!(Asked::parse(&asked.percent_encoded()), Ok(asked.clone()));
    if let Asked::Mod(of) | Asked::Zip(of) = &asked {
        assert!(of.version.fits(&of.path));
    }
    if let Asked::Info(path, Query::Version(version)) = &asked {
        assert!(version.fits(path));
    }
}

/// A zip that is to be `example.com/Mod@v1.2.3`.
pub(crate) fn zip(bytes: &[u8]) {
    let of = ModuleVersion::parse("example.com/Mod@v1.2.3").expect("a module");
    let limits = ZipLimits { unpacked: 1 << 20, entries: 100, ..ZipLimits::default() };
    match check_zip_in(Cursor::new(bytes), &of, &limits) {
        Ok(facts) => {
            assert!(facts.unpacked <= limits.unpacked && u64::from(facts.files) <= limits.entries);
            // It ends where it ends: nothing can be left out, and nothing can follow.
            assert!(check_zip_in(Cursor::new(&bytes[..bytes.len() - 1]), &of, &limits).is_err());
            assert!(check_zip_in(Cursor::new([bytes, b"x"].concat()), &of, &limits).is_err());
        }
        Err(error) => {
            assert!(!matches!(error.fault, ZipFault::Read(_)), "{error}");
            assert!(!error.fault.name().is_empty());
            is_shown(&error.to_string());
        }
    }
    // A licence file has any bytes.
    let licences = Licence::recognise(bytes);
    assert!(!licences.is_empty() && licences.is_sorted());
}

/// A go.sum.
pub(crate) fn go_sum(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match GoSum::parse(&text) {
        Ok(sums) => {
            assert!(sums.lines.len() + sums.passed_over <= text.lines().count());
            assert!(sums.lines.iter().all(|line| line.module.version.fits(&line.module.path)));
        }
        Err(error) => is_shown(&error.to_string()),
    }
}
