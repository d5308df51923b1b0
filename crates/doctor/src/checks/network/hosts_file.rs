//! `/etc/hosts`, where lists against advertisements and old entries lead public names to nobody (2).

use std::net::IpAddr;
use std::path::Path;

use tradewind_runtime::files;

use crate::fixes::sudo;
use crate::{Fix, Shell, System, World};

/// Where it is.
pub(super) const PLACE: &str = "/etc/hosts";
/// The largest file that is read: some lists of names are long.
const MOST_BYTES: u64 = 16 << 20;

/// Takes `host` out of the lines that lead it to `addresses`; `None` when the file has none, or this shell has no sed.
pub(super) fn without(world: &World, host: &str, addresses: &[String]) -> Option<Fix> {
    if world.system == System::Windows || world.shell != Shell::Posix {
        return None;
    }
    let text = files::read_text(Path::new(PLACE), MOST_BYTES).ok()?;
    let leading = leading(&text, host, addresses);
    (!leading.is_empty()).then(|| Fix::command(command(host, &leading, PLACE)))
}

/// The addresses, as they are written there, of the lines that lead `host` to one of `addresses`.
fn leading(text: &str, host: &str, addresses: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(written) = words.next() else { continue };
        let is_meant = written.parse::<IpAddr>().is_ok_and(|address| addresses.contains(&address.to_string()));
        if is_meant && words.any(|name| name.eq_ignore_ascii_case(host)) && !found.iter().any(|known| known == written)
        {
            found.push(written.to_owned());
        }
    }
    found
}

/// The command. In containers the file is a mount, which cannot be replaced but written: `cp` and no `sed -i`.
fn command(host: &str, addresses: &[String], place: &str) -> String {
    // Digits, letters, colons, dots and dashes are all that addresses and hosts have.
    let pattern = |text: &str| text.replace('.', "\\.");
    let all: Vec<String> = addresses.iter().map(|address| pattern(address)).collect();
    let script =
        format!("/^[[:space:]]*({})[[:space:]]/s/[[:space:]]+{}([[:space:]]|$)/\\1/Ig", all.join("|"), pattern(host));
    format!("hosts=$(mktemp) && sed -E '{script}' {place} >\"$hosts\" && {}cp \"$hosts\" {place}", sudo())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "127.0.0.1 localhost # 0.0.0.0 a.test\n0.0.0.0\tads.test A.test  b.test\n::1 a.test\n0.0.0.0 xa.test\n";

    #[test]
    fn lines_that_lead_to_nobody_are_found() {
        let found = |host, address: &str| leading(TEXT, host, &[address.to_owned()]);
        assert_eq!(found("a.test", "0.0.0.0"), ["0.0.0.0"]);
        assert_eq!(found("a.test", "::1"), ["::1"]);
        assert_eq!(found("a.test", "127.0.0.1"), [""; 0]);
        assert_eq!(found("test", "0.0.0.0"), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_command_takes_one_name_out_and_leaves_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("hosts");
        #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
        std::fs::write(&place, TEXT).unwrap();
        // As the one user that may write the file: nobody has to become root for it.
        let command = command("a.test", &["0.0.0.0".to_owned()], place.to_str().unwrap()).replace("sudo ", "");
        let done = std::process::Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(done.success(), "{command}");
        let left = files::read_text(&place, 4096).unwrap();
        assert_eq!(left, TEXT.replace(" A.test  b.test", "  b.test"));
    }
}
