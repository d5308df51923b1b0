//! Finds events in a server-sent event stream (WHATWG HTML, §9.2), however its bytes are cut into chunks.
//!
//! The bytes are handed on as they came: an event is a slice of the chunk that held it. Only an event that was cut by a
//! chunk's end is copied. Bounds: one event is at most `limit` bytes.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use tradewind_core::{Fault, FaultKind};
use tradewind_dispatch::Outbox;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What becomes of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It is passed on byte for byte.
    AsItCame,
    /// Nothing of it is passed on.
    Nothing,
    /// These bytes are passed on in its place.
    Instead(Bytes),
}

/// Cuts a stream into events.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The bytes of an event that is not complete.
    kept: BytesMut,
    scan: Scan,
    limit: usize,
}

/// How far a buffer has been looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Where the line that is being looked at begins.
    line: usize,
    /// Everything before this has been looked at.
    seen: usize,
}

impl Scan {
    /// The end of the first event in `bytes`, its blank line included.
    fn event_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(offset) = memchr::memchr2(b'\n', b'\r', &bytes[self.seen..]) {
            let at = self.seen + offset;
            let next = bytes.get(at + 1);
            let blank = at == self.line;
            let width = match (bytes[at], next) {
                (b'\r', Some(b'\n')) => 2,
                // Whether a line feed follows is known with the next chunk; a blank line is complete all the same.
                (b'\r', None) if !blank => {
                    self.seen = at;
                    return None;
                }
                _ => 1,
            };
            self.line = at + width;
            self.seen = self.line;
            if blank {
                return Some(self.line);
            }
        }
        self.seen = bytes.len();
        None
    }

    /// The same place, seen from `offset` on.
    const fn moved_back(self, offset: usize) -> Self {
        Self { line: self.line - offset, seen: self.seen - offset }
    }
}

impl Splitter {
    /// A splitter for events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { kept: BytesMut::new(), scan: Scan::default(), limit }
    }

    /// Takes `chunk`, shows each complete event to `each`, and passes on what it says. Neighbours that go on as they came
    /// leave as one piece: what came as one chunk leaves as one. After an error nothing may be pushed any more; what came
    /// before it has been passed on.
    ///
    /// # Errors
    /// When an event is over the limit, or `each` says so.
    pub(crate) fn push(
        &mut self,
        chunk: Bytes,
        out: &mut Outbox,
        mut each: impl FnMut(&[u8]) -> Result<Pass, Fault>,
    ) -> Result<(), Fault> {
        let buffer = if self.kept.is_empty() {
            chunk
        } else {
            self.kept.extend_from_slice(&chunk);
            let before = self.scan;
            if self.scan.event_end(&self.kept).is_none() {
                return self.check_limit();
            }
            self.scan = before;
            self.kept.split().freeze()
        };
        // Events between `from` and `begin` are good and wait to be passed on as one piece.
        let (mut from, mut begin) = (0, 0);
        while let Some(end) = self.scan.event_end(&buffer) {
            match each(&buffer[begin..end]) {
                Ok(Pass::AsItCame) => {}
                Ok(other) => {
                    out.push(buffer.slice(from..begin));
                    if let Pass::Instead(bytes) = other {
                        out.push(bytes);
                    }
                    from = end;
                }
                Err(fault) => {
                    out.push(buffer.slice(from..begin));
                    return Err(fault);
                }
            }
            begin = end;
        }
        out.push(buffer.slice(from..begin));
        self.kept.extend_from_slice(&buffer[begin..]);
        self.scan = self.scan.moved_back(begin);
        self.check_limit()
    }

    fn check_limit(&self) -> Result<(), Fault> {
        if self.kept.len() <= self.limit {
            return Ok(());
        }
        let detail = format!("one event of the stream is larger than {} bytes", self.limit);
        Err(Fault::new(FaultKind::TooLarge, detail))
    }

    /// The bytes of an event that never became complete.
    pub(crate) fn incomplete(&mut self) -> Bytes {
        self.scan = Scan::default();
        self.kept.split().freeze()
    }
}

/// The data of one event: its `data` lines, joined by line feeds. `None` when it has none, as comments do.
pub(crate) fn data_of(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let event = event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event);
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Some(value) = field(line, b"data") else { continue };
        match &mut data {
            None => data = Some(Cow::Borrowed(value)),
            Some(known) => {
                let joined = known.to_mut();
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
        }
    }
    data
}

/// The value of `line` when its field is `name`; one space after the colon is not part of it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.first() {
        None => Some(rest),
        Some(b':') => Some(if let [b':', b' ', value @ ..] = rest { value } else { &rest[1..] }),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut splitter = Splitter::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            let mut out = Outbox::default();
            let before = events.len();
            splitter
                .push(Bytes::copy_from_slice(chunk), &mut out, |event| {
                    events.push(event.to_vec());
                    Ok(Pass::AsItCame)
                })
                .unwrap();
            let passed: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
            assert_eq!(passed, events[before..].concat());
        }
        (events, splitter.incomplete().to_vec())
    }

    fn data(chunks: &[&[u8]]) -> Vec<String> {
        let (events, _) = split(chunks);
        events
            .iter()
            .filter_map(|event| data_of(event))
            .map(|data| String::from_utf8(data.into_owned()).unwrap())
            .collect()
    }

    const STREAM: &[u8] = "\u{feff}data: {\"a\":1}\n\n: comment\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\nid: 7\rdata: höhe\r\rdata: last\n\n".as_bytes();

    #[test]
    fn line_ends_comments_and_byte_order_marks_are_understood() {
        assert_eq!(data(&[STREAM]), ["{\"a\":1}", "two\nlines", "höhe", "last"]);
    }

    #[test]
    fn cutting_at_every_byte_changes_nothing() {
        let whole = data(&[STREAM]);
        for cut in 0..STREAM.len() {
            assert_eq!(data(&[&STREAM[..cut], &STREAM[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(data(&bytes), whole);
    }

    #[test]
    fn an_event_without_its_blank_line_is_incomplete() {
        let (events, rest) = split(&[b"data: 1\n\ndata: 2\n"]);
        assert_eq!((events.len(), rest.as_slice()), (1, b"data: 2\n".as_slice()));
    }

    #[test]
    fn an_event_over_the_limit_is_a_fault() {
        let mut splitter = Splitter::new(10);
        let chunk = Bytes::from_static(b"data: 0123456789");
        let fault = splitter.push(chunk, &mut Outbox::default(), |_| Ok(Pass::AsItCame)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
    }

    #[test]
    fn events_are_left_out_and_replaced() {
        let mut splitter = Splitter::new(100);
        let mut out = Outbox::default();
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5");
        let each = |event: &[u8]| {
            Ok(match event {
                b"data: 2\n\n" => Pass::Nothing,
                b"data: 4\n\n" => Pass::Instead(Bytes::from_static(b"data: four\n\n")),
                _ => Pass::AsItCame,
            })
        };
        splitter.push(chunk, &mut out, each).unwrap();
        let pieces: Vec<Bytes> = std::iter::from_fn(|| out.pop()).collect();
        assert_eq!(pieces, ["data: 1\n\n", "data: 3\n\n", "data: four\n\n"]);
        let fault = Fault::new(FaultKind::BadEvent, "on purpose");
        let result = splitter.push(Bytes::from_static(b"\n\ndata: 6\n\n"), &mut out, |event| {
            if event == b"data: 6\n\n" { Err(fault.clone()) } else { Ok(Pass::AsItCame) }
        });
        assert_eq!((result, out.pop()), (Err(fault), Some(Bytes::from_static(b"data: 5\n\n"))));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_changed(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), Just(b':'), any::<u8>()], 0..300), cuts in proptest::collection::vec(0usize..300, 0..5)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            let (events, rest) = split(&chunks);
            let joined: Vec<u8> = events.concat().into_iter().chain(rest).collect();
            prop_assert_eq!(joined, bytes);
        }
    }
}
