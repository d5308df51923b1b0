//! The names of streams and subjects.
//!
//! Each namespace has two streams. The stream of records takes `tradewind.NS.r.NAME`, one message for a revision, and
//! `tradewind.NS.w`, marks that watches begin at. The stream beside it keeps the last message of each subject:
//! `tradewind.NS.s.c.ID`, a piece; `s.n.NAME.REV`, a pinned revision; `s.x.NAME.REV`, an end that was moved; `s.f`, the
//! place up to which keys were forgotten; `s.t`, a message to read the server's clock by.
//!
//! The segments of a name are tokens of a subject, so that the server can find what begins with some of them. What a token
//! may not hold is written as `=` and two hexadecimal digits, and the `.` of a namespace as `=`, which no namespace has.

use crate::error::StoreError;
use crate::name::{Key, Namespace, Rev};
use crate::record::PieceId;

const STREAM: &str = "TRADEWIND-";
const STREAM_BESIDE: &str = "TRADEWIND-BESIDE-";

/// Where a mark may be written in a stream of ours, which says nothing of what is kept.
pub(super) fn mark_of(stream: &str) -> String {
    match stream.strip_prefix(STREAM_BESIDE) {
        Some(token) => Space { token: token.to_owned() }.clock(),
        None => Space { token: stream.strip_prefix(STREAM).unwrap_or(stream).to_owned() }.mark(),
    }
}

/// The names of one namespace.
#[derive(Clone)]
pub(super) struct Space {
    token: String,
}

impl Space {
    pub(super) fn of(namespace: &Namespace) -> Self {
        Self { token: namespace.as_str().replace('.', "=") }
    }

    /// The stream of records.
    pub(super) fn stream(&self) -> String {
        [STREAM, &self.token].concat()
    }

    /// The stream beside it.
    pub(super) fn beside(&self) -> String {
        [STREAM_BESIDE, &self.token].concat()
    }

    fn subject(&self, rest: &str) -> String {
        ["tradewind.", &self.token, ".", rest].concat()
    }

    pub(super) fn all_records(&self) -> String {
        self.subject("r.>")
    }

    pub(super) fn all_beside(&self) -> String {
        self.subject("s.>")
    }

    pub(super) fn all_pieces(&self) -> String {
        self.subject("s.c.>")
    }

    pub(super) fn all_pins(&self) -> String {
        self.subject("s.n.>")
    }

    /// Where a watch that begins now leaves its mark.
    pub(super) fn mark(&self) -> String {
        self.subject("w")
    }

    /// How far keys were forgotten.
    pub(super) fn forgotten(&self) -> String {
        self.subject("s.f")
    }

    pub(super) fn record(&self, key: &Key) -> String {
        self.with_name("r.", key.name())
    }

    /// A message to read the server's clock by.
    pub(super) fn clock(&self) -> String {
        self.subject("s.t")
    }

    pub(super) fn moved(&self, key: &Key, rev: Rev) -> String {
        format!("{}.{rev}", self.with_name("s.x.", key.name()))
    }

    pub(super) fn all_moved(&self, key: &Key) -> String {
        self.with_name("s.x.", key.name()) + ".*"
    }

    pub(super) fn pin(&self, key: &Key, rev: Rev) -> String {
        format!("{}.{rev}", self.with_name("s.n.", key.name()))
    }

    pub(super) fn pins(&self, key: &Key) -> String {
        self.with_name("s.n.", key.name()) + ".*"
    }

    pub(super) fn piece(&self, id: &PieceId) -> String {
        self.subject(&format!("s.c.{id}"))
    }

    /// The narrowest subjects under which all names that begin with `prefix` lie: a segment that is cut off is no token.
    pub(super) fn records_with(&self, prefix: &str) -> String {
        match prefix.rsplit_once('/') {
            None => self.all_records(),
            // No name has an empty segment; a prefix that has some is of no name, and the caller compares.
            Some((whole, _)) if whole.split('/').any(str::is_empty) => self.all_records(),
            Some((whole, _)) => self.with_name("r.", whole) + ".>",
        }
    }

    fn with_name(&self, kind: &str, name: &str) -> String {
        let mut subject = self.subject(kind);
        subject.reserve(name.len());
        for byte in name.bytes() {
            match byte {
                b'/' => subject.push('.'),
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => subject.push(char::from(byte)),
                other => {
                    subject.push('=');
                    for digit in [other >> 4, other & 15] {
                        subject.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                    }
                }
            }
        }
        subject
    }

    /// The key whose record has this subject.
    pub(super) fn key(&self, namespace: &Namespace, subject: &str) -> Result<Key, StoreError> {
        let strange = || StoreError::damaged(format!("a message with the subject {subject}"));
        let rest = subject.strip_prefix(&self.subject("r.")).ok_or_else(strange)?;
        let mut name = Vec::with_capacity(rest.len());
        let mut bytes = rest.bytes();
        while let Some(byte) = bytes.next() {
            name.push(match byte {
                b'.' => b'/',
                b'=' => {
                    let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                    let (Some(high), Some(low)) = (digit(), digit()) else { return Err(strange()) };
                    u8::try_from(high << 4 | low).expect("two hexadecimal digits are a byte")
                }
                plain => plain,
            });
        }
        let name = String::from_utf8(name).map_err(|_| strange())?;
        Key::new(namespace.clone(), &name).map_err(|_| strange())
    }

    /// The piece that has this subject.
    pub(super) fn piece_id(&self, subject: &str) -> Option<PieceId> {
        let digits = subject.strip_prefix(&self.subject("s.c."))?.as_bytes();
        let mut id = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, digits) in id.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(PieceId(id))
    }

    /// The revision at the end of the subject of a pin or of an end that was moved.
    pub(super) fn rev(subject: &str) -> Option<Rev> {
        subject.rsplit('.').next().and_then(|rev| rev.parse().ok()).and_then(Rev::new)
    }
}

/// The namespace whose records a stream holds; `None` for streams of others.
pub(super) fn namespace_of(stream: &str) -> Option<Namespace> {
    Namespace::stored(&stream.strip_prefix(STREAM)?.replace('=', ".")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn space() -> (Namespace, Space) {
        let namespace = Namespace::parse("a.b-c_1").unwrap();
        let space = Space::of(&namespace);
        (namespace, space)
    }

    #[test]
    fn streams_lead_back_to_their_namespaces_and_those_beside_to_none() {
        let (namespace, space) = space();
        assert_eq!(namespace_of(&space.stream()), Some(namespace));
        assert_eq!(namespace_of(&space.beside()), None);
        assert_eq!(namespace_of("KV_other"), None);
    }

    #[test]
    fn a_prefix_becomes_the_whole_segments_that_it_has() {
        let (_, space) = space();
        for (prefix, subjects) in [
            ("", "tradewind.a=b-c_1.r.>"),
            ("ali", "tradewind.a=b-c_1.r.>"),
            ("alice/", "tradewind.a=b-c_1.r.alice.>"),
            ("alice/b c/d", "tradewind.a=b-c_1.r.alice.b=20c.>"),
            ("/", "tradewind.a=b-c_1.r.>"),
            ("a//b", "tradewind.a=b-c_1.r.>"),
        ] {
            assert_eq!(space.records_with(prefix), subjects);
        }
    }

    proptest! {
        #[test]
        fn subjects_lead_back_to_their_keys_and_hold_nothing_special(name in "[^\\p{Cc}]{1,80}") {
            let (namespace, space) = space();
            if let Ok(key) = Key::new(namespace.clone(), &name) {
                let subject = space.record(&key);
                prop_assert!(subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".=-_".contains(&byte)));
                prop_assert!(subject.split('.').all(|token| !token.is_empty()));
                prop_assert_eq!(space.key(&namespace, &subject), Ok(key));
            }
        }

        #[test]
        fn no_subject_of_others_is_taken_for_a_key_that_it_is_not(subject in "tradewind\\.a=b-c_1\\.r\\.[ -~]{0,40}") {
            let (namespace, space) = space();
            if let Ok(key) = space.key(&namespace, &subject) {
                prop_assert_eq!(space.key(&namespace, &space.record(&key)), Ok(key));
            }
        }
    }

    #[test]
    fn pieces_and_pins_lead_back() {
        let (namespace, space) = space();
        let id = PieceId(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(space.piece_id(&space.piece(&id)), Some(id));
        let key = Key::new(namespace, "a/7").unwrap();
        assert_eq!(Space::rev(&space.pin(&key, Rev::new(9).unwrap())), Rev::new(9));
    }
}
