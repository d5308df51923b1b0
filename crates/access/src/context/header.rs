//! What stands in `x-tradewind-context`: `role=admin;device=mobile;region=eu;tags=a,b;key=ci`.

use std::time::Duration;

use tradewind_core::{Code, Device, format_duration, nearest};
use tradewind_policy::{MOST_TAGS, check_label};

/// The header with the context.
pub(super) const HEADER: &str = "x-tradewind-context";
/// The header with its signature.
pub(super) const SIGNATURE: &str = "x-tradewind-context-signature";

/// The longest context header, in bytes.
const LONGEST: usize = 2048;
/// The parts that it may have.
const PARTS: [&str; 5] = ["role", "device", "region", "tags", "key"];

/// Why the context of a call is not believed. The message is for whoever called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContext {
    /// One of the headers is not what it should be.
    #[error("the caller context: {0}")]
    Unreadable(String),
    /// There is no signature, and hints are not believed.
    #[error(
        "`{HEADER}` has no signature: send `{SIGNATURE}` with it, or leave it out; the gateway believes no hints \
         (context.trust-hints)"
    )]
    NotSigned,
    /// There is no signature, and this part needs one.
    #[error("`{part}` in `{HEADER}` needs a signature: without one only device and region may be said")]
    NeedsSignature {
        /// The part.
        part: &'static str,
    },
    /// There is a signature, and nothing to check it with.
    #[error("`{SIGNATURE}` cannot be checked: the gateway has no context.signing-secret")]
    NoSecret,
    /// The signature was made with another secret, or of another text.
    #[error(
        "`{SIGNATURE}` is not the signature of this `{HEADER}`: check the secret, and that it signs `t.value` with the very bytes that are sent"
    )]
    WrongSignature,
    /// It was made too long ago.
    #[error("`{SIGNATURE}` is too old: it was made more than {} ago (context.max-age)", format_duration(*max_age))]
    TooOld {
        /// How long a signature is good.
        max_age: Duration,
    },
    /// It was made later than now.
    #[error("`{SIGNATURE}` was made in the future: check the clocks of both machines")]
    TooNew,
    /// It was made for the calls of another key.
    #[error("`{HEADER}` was made for another key than that of this call")]
    OtherKey,
}

impl BadContext {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable(_) => Code::BadHeader,
            _ => Code::ContextRefused,
        }
    }
}

/// What a context header says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stated<'h> {
    pub(super) role: Option<&'h str>,
    pub(super) device: Option<Device>,
    pub(super) region: Option<&'h str>,
    /// No text twice.
    pub(super) tags: Vec<&'h str>,
    /// The key for whose calls alone it is meant.
    pub(super) key: Option<&'h str>,
}

impl<'h> Stated<'h> {
    pub(super) fn read(value: &'h [u8]) -> Result<Self, BadContext> {
        let bad = |why: String| Err(BadContext::Unreadable(why));
        if value.len() > LONGEST {
            return bad(format!("`{HEADER}` has more than {LONGEST} bytes"));
        }
        let Ok(value) = std::str::from_utf8(value) else { return bad(format!("`{HEADER}` is not UTF-8")) };
        let mut stated = Self::default();
        let mut seen = [false; PARTS.len()];
        for part in value.split(';') {
            let Some((name, text)) = part.split_once('=') else {
                return bad(format!(
                    "`{HEADER}` has parts like role=admin, separated by `;`, and one of them has no `=`"
                ));
            };
            let (name, text) = (name.trim(), text.trim());
            let Some(place) = PARTS.iter().position(|known| *known == name) else { return bad(unknown(name)) };
            if std::mem::replace(&mut seen[place], true) {
                return bad(format!("`{name}` is there twice in `{HEADER}`"));
            }
            match name {
                "device" => match Device::from_name(text) {
                    Some(device) => stated.device = Some(device),
                    None => {
                        let known = Device::ALL.map(Device::name).join(", ");
                        return bad(format!("`device` in `{HEADER}` is one of {known}"));
                    }
                },
                "tags" => stated.tags = tags(text)?,
                "role" => stated.role = Some(label(name, text)?),
                "region" => stated.region = Some(label(name, text)?),
                _ => stated.key = Some(label(name, text)?),
            }
        }
        Ok(stated)
    }

    /// The first part that only somebody who is trusted may say.
    pub(super) fn needs_signature(&self) -> Option<&'static str> {
        let parts = [("role", self.role.is_some()), ("tags", !self.tags.is_empty()), ("key", self.key.is_some())];
        parts.into_iter().find_map(|(part, is_there)| is_there.then_some(part))
    }
}

fn label<'h>(name: &str, text: &'h str) -> Result<&'h str, BadContext> {
    match check_label(text) {
        Ok(()) => Ok(text),
        Err(bad) => Err(BadContext::Unreadable(format!("`{name}` in `{HEADER}` {bad}"))),
    }
}

fn tags(text: &str) -> Result<Vec<&str>, BadContext> {
    let mut tags: Vec<&str> = Vec::new();
    for tag in text.split(',') {
        let tag = label("tags", tag.trim())?;
        if tags.contains(&tag) {
            return Err(BadContext::Unreadable(format!("a tag is there twice in `{HEADER}`")));
        }
        tags.push(tag);
        if tags.len() > MOST_TAGS {
            return Err(BadContext::Unreadable(format!("`{HEADER}` has at most {MOST_TAGS} tags")));
        }
    }
    Ok(tags)
}

fn unknown(name: &str) -> String {
    if name == "tenant" {
        return format!("`tenant` cannot be said in `{HEADER}`: it is that of the caller's key");
    }
    let shown: String = name.chars().take(40).collect();
    match nearest(name, PARTS) {
        Some(near) => format!("`{shown}` is no part of `{HEADER}`: did you mean `{near}`?"),
        None => format!("`{shown}` is no part of `{HEADER}`; its parts are {}", PARTS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_read() {
        let stated = Stated::read("role=admin;device=mobile; region=eu ;tags=a, b,\u{6025};key=ci".as_bytes()).unwrap();
        let expected = Stated {
            role: Some("admin"),
            device: Some(Device::Mobile),
            region: Some("eu"),
            tags: vec!["a", "b", "\u{6025}"],
            key: Some("ci"),
        };
        assert_eq!(stated, expected);
        assert_eq!(Stated::read(b"role=the boss").unwrap().role, Some("the boss"));
    }

    #[test]
    fn what_is_not_right_is_said() {
        let many: Vec<String> = (0..17).map(|number| format!("t{number}")).collect();
        for (value, said) in [
            ("", "one of them has no `=`"),
            ("role=a;", "one of them has no `=`"),
            ("role", "one of them has no `=`"),
            ("role=", "`role` in `x-tradewind-context` has 1 to 64 characters"),
            (&format!("role={}", "x".repeat(65)), "has 1 to 64 characters"),
            ("role=a=b", "has no `;`, `,`, `=` or line breaks"),
            ("role=a,b", "has no `;`, `,`, `=` or line breaks"),
            ("role=a;role=a", "`role` is there twice"),
            ("rol=a", "did you mean `role`?"),
            ("Role=a", "did you mean `role`?"),
            ("shoe-size=44", "its parts are role, device, region, tags, key"),
            ("tenant=a", "it is that of the caller's key"),
            ("device=phone", "is one of mobile, desktop, server, ci, cli"),
            ("tags=a,,b", "`tags` in `x-tradewind-context` has 1 to 64 characters"),
            ("tags=a,a", "a tag is there twice"),
            (&format!("tags={}", many.join(",")), "has at most 16 tags"),
            (&format!("role={}", "x".repeat(2048)), "has more than 2048 bytes"),
        ] {
            let bad = Stated::read(value.as_bytes()).unwrap_err();
            assert!(bad.to_string().contains(said), "{value}: {bad}");
            assert_eq!(bad.code(), Code::BadHeader);
        }
        assert!(Stated::read(b"role=\xff").unwrap_err().to_string().contains("is not UTF-8"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_and_what_is_read_is_bounded(value in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(stated) = Stated::read(&value) {
                prop_assert!(stated.tags.len() <= MOST_TAGS);
                prop_assert!(stated.role.is_none_or(|role| role.chars().count() <= 64));
            }
        }
    }
}
