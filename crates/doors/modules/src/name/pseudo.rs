//! Pseudo-versions: versions that stand for a commit without a tag, and sort where that commit belongs.

use tradewind_core::UnixMillis;

use super::semver::Semver;
use super::version::{BadVersion, Version};

/// How many digits the time of a commit has: `yyyymmddhhmmss`.
const TIME_DIGITS: usize = 14;

/// The parts of a pseudo-version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pseudo<'a> {
    /// The time of the commit in UTC, as 14 digits.
    pub time: &'a str,
    /// The beginning of its hash.
    pub revision: &'a str,
}

impl<'a> Pseudo<'a> {
    /// Nothing when it is another version, or none.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let semver = Semver::parse(text)?;
        let (front, revision) = semver.prerelease.strip_prefix('-')?.rsplit_once('-')?;
        // The revision cannot have a dot: then the last `-` was within an earlier part.
        if revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (base, time) = front.split_at(front.len().checked_sub(TIME_DIGITS)?);
        let is_first = base.is_empty() && semver.minor == "0" && semver.patch == "0";
        let is_after_another = base == "0." || base.ends_with(".0.");
        let is_time = time.bytes().all(|byte| byte.is_ascii_digit());
        (is_time && (is_first || is_after_another)).then_some(Self { time, revision })
    }

    /// The time of the commit; nothing when the digits are no time, or one before 1970.
    pub(crate) fn time(&self) -> Option<UnixMillis> {
        let part = |from: usize, to: usize| &self.time[from..to];
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
        let time = UnixMillis::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))?;
        // Read leniently, the 31st of a short month is the first of the next one, and a leap second too.
        (digits(time) == self.time).then_some(time)
    }
}

/// The time as a pseudo-version has it.
fn digits(time: UnixMillis) -> String {
    time.rfc3339().chars().take("yyyy-mm-ddThh:mm:ss".len()).filter(char::is_ascii_digit).collect()
}

/// The pseudo-version of a commit (`module.PseudoVersion`): behind `older`, the last tag before it, or the first of
/// `major` (`v2`) when there is none.
///
/// # Errors
/// When `major` or `revision` do not make a version.
pub fn pseudo_version(
    major: &str,
    older: Option<&Version>,
    time: UnixMillis,
    revision: &str,
) -> Result<Version, BadVersion> {
    let commit = format!("{}-{revision}", digits(time));
    let Some(older) = older else { return Version::parse(&format!("{major}.0.0-{commit}")) };
    let build = if older.is_incompatible() { "+incompatible" } else { "" };
    let older = older.as_str().trim_end_matches("+incompatible");
    let semver = Semver::parse(older).expect("a version was parsed when it was made");
    let Semver { major, minor, patch, prerelease, .. } = semver;
    if prerelease.is_empty() {
        return Version::parse(&format!("v{major}.{minor}.{}-0.{commit}{build}", one_more(patch)));
    }
    Version::parse(&format!("{older}.0.{commit}{build}"))
}

/// A decimal number of any length, and one.
fn one_more(number: &str) -> String {
    let mut digits = number.as_bytes().to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}
