//! The signature of a context header: `t=1795132800,v1=…`, where `v1` is the HMAC-SHA256 (RFC 2104) of `t.value` in
//! hexadecimal digits. Several `v1` are allowed, so that a secret can be changed without a gap: one that is right is
//! enough.

use std::time::Duration;

use ring::hmac::{self, HMAC_SHA256};
use tradewind_core::{UnixMillis, from_hex};

use super::header::{BadContext, SIGNATURE};

/// The longest header, in bytes.
const LONGEST: usize = 512;
/// The most signatures in one header.
const MOST: usize = 4;
/// How far the signer's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// The secret that signatures are made with.
pub(super) struct Secret(hmac::Key);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl Secret {
    pub(super) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret.as_bytes()))
    }

    /// Checks that `header` signs `value`, and that it was made within `max_age` before `wall`. Signatures are compared
    /// in constant time.
    pub(super) fn check(
        &self,
        value: &[u8],
        header: &[u8],
        max_age: Duration,
        wall: UnixMillis,
    ) -> Result<(), BadContext> {
        let (time, signatures) = read(header)?;
        let mut signer = hmac::Context::with_key(&self.0);
        for part in [time.as_bytes(), b".", value] {
            signer.update(part);
        }
        let right = signer.sign();
        let is_right = signatures.iter().flatten().any(|given| {
            let same: subtle::Choice = subtle::ConstantTimeEq::ct_eq(right.as_ref(), given.as_slice());
            bool::from(same)
        });
        if !is_right {
            return Err(BadContext::WrongSignature);
        }
        let made: u64 = time.parse().map_err(|_| unreadable())?;
        let (made, now) = (Duration::from_secs(made), Duration::from_millis(wall.0));
        if made > now + AHEAD {
            return Err(BadContext::TooNew);
        }
        if now.saturating_sub(made) > max_age {
            return Err(BadContext::TooOld { max_age });
        }
        Ok(())
    }
}

fn unreadable() -> BadContext {
    BadContext::Unreadable(format!(
        "`{SIGNATURE}` is t=SECONDS,v1=DIGITS with the Unix time of signing and 64 hexadecimal digits"
    ))
}

/// An HMAC-SHA256.
type Tag = [u8; 32];

/// The time as it was written, and the signatures.
fn read(header: &[u8]) -> Result<(&str, [Option<Tag>; MOST]), BadContext> {
    let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= LONGEST).ok_or_else(unreadable)?;
    let mut time = None;
    let (mut signatures, mut count) = ([None; MOST], 0);
    for part in text.split(',') {
        match part.trim().split_once('=') {
            // Digits only, so that what is signed can be written in one way.
            Some(("t", digits)) if time.is_none() && is_number(digits) => time = Some(digits),
            Some(("v1", digits)) if count < MOST => {
                signatures[count] = Some(from_hex(digits.as_bytes()).ok_or_else(unreadable)?);
                count += 1;
            }
            _ => return Err(unreadable()),
        }
    }
    match time {
        Some(time) if count > 0 => Ok((time, signatures)),
        _ => Err(unreadable()),
    }
}

/// Up to 12 digits: until the year 33658.
fn is_number(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMillis = UnixMillis(1_795_132_800_999);
    const AGE: Duration = Duration::from_secs(300);
    const VALUE: &[u8] = b"role=admin;tags=a";

    fn secret() -> Secret {
        Secret::new("0123456789abcdef0123456789abcdef")
    }

    fn signed(secret: &Secret, time: &str, value: &[u8]) -> String {
        let tag = hmac::sign(&secret.0, &[time.as_bytes(), b".", value].concat());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={time},v1={digits}")
    }

    /// What `printf '%s' '1795132800.role=admin;tags=a' | openssl dgst -sha256 -hmac SECRET` prints.
    #[test]
    fn a_signature_of_another_program_fits() {
        let header = "t=1795132800,v1=746a73330f915f51d840e3851d86ca621af9e35a06076009a99a6759f02f89bc";
        assert_eq!(secret().check(VALUE, header.as_bytes(), AGE, NOW), Ok(()));
        assert_eq!(
            secret().check(VALUE, header.to_uppercase().replace("T=", "t=").replace("V1", "v1").as_bytes(), AGE, NOW),
            Ok(())
        );
    }

    #[test]
    fn a_signature_is_good_for_its_age() {
        let check = |time: u64| secret().check(VALUE, signed(&secret(), &time.to_string(), VALUE).as_bytes(), AGE, NOW);
        let now = NOW.0 / 1000;
        for time in [now, now - 299, now + 60] {
            assert_eq!(check(time), Ok(()), "{time}");
        }
        // 999 ms of the present second have passed.
        assert_eq!(check(now - 300), Err(BadContext::TooOld { max_age: AGE }));
        assert_eq!(check(0), Err(BadContext::TooOld { max_age: AGE }));
        assert_eq!(check(now + 61), Err(BadContext::TooNew));
        assert_eq!(check(999_999_999_999), Err(BadContext::TooNew));
    }

    #[test]
    fn what_is_changed_is_not_signed() {
        let header = signed(&secret(), "1795132800", VALUE);
        let wrong = Err(BadContext::WrongSignature);
        assert_eq!(secret().check(b"role=admin;tags=b", header.as_bytes(), AGE, NOW), wrong);
        assert_eq!(secret().check(b"", header.as_bytes(), AGE, NOW), wrong);
        assert_eq!(
            secret().check(VALUE, header.replace("t=1", "t=01").as_bytes(), AGE, NOW),
            wrong,
            "another spelling"
        );
        assert_eq!(secret().check(VALUE, header.replace("t=1795132800", "t=1795132801").as_bytes(), AGE, NOW), wrong);
        let other = Secret::new("another 0123456789abcdef01234567");
        assert_eq!(other.check(VALUE, header.as_bytes(), AGE, NOW), wrong);
        assert_eq!(format!("{other:?}"), "[secret]");
    }

    #[test]
    fn while_a_secret_is_changed_one_that_fits_is_enough() {
        let other = Secret::new("another 0123456789abcdef01234567");
        let (old, new) = (signed(&other, "1795132800", VALUE), signed(&secret(), "1795132800", VALUE));
        let both = format!("{old},{}", new.split_once(',').unwrap().1);
        assert_eq!(secret().check(VALUE, both.as_bytes(), AGE, NOW), Ok(()));
        assert_eq!(other.check(VALUE, both.as_bytes(), AGE, NOW), Ok(()));
    }

    #[test]
    fn what_is_no_signature_is_said_to_be_none() {
        let good = signed(&secret(), "1795132800", VALUE);
        let digits = &good.split_once("v1=").unwrap().1;
        for header in [
            String::new(),
            "t=1".to_owned(),
            format!("v1={digits}"),
            format!("t=,v1={digits}"),
            format!("t=-1,v1={digits}"),
            format!("t=+1,v1={digits}"),
            format!("t=1e3,v1={digits}"),
            format!("t=1234567890123,v1={digits}"),
            format!("t=1,t=2,v1={digits}"),
            format!("t=1,v2={digits}"),
            format!("t=1,v1={}", &digits[1..]),
            format!("t=1,v1={}", digits.replace(|digit: char| digit.is_ascii_digit(), "g")),
            format!("t=1,v1={}", "\u{e9}".repeat(32)),
            format!("t=1{}", format!(",v1={digits}").repeat(5)),
            format!("t=1,{}v1={digits}", " ".repeat(600)),
        ] {
            assert_eq!(secret().check(VALUE, header.as_bytes(), AGE, NOW), Err(unreadable()), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_fits(header in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(secret().check(VALUE, &header, AGE, NOW).is_err());
        }
    }
}
