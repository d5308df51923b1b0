//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): the trace that a call belongs to, read from the caller's
//! headers or begun here. A header that cannot be read begins a new trace, and is never an error. Baggage is not read and
//! not passed on: it is the caller's own, and providers are strangers.
//!
//! The spans below ours are numbered, not drawn: the id of an attempt's span follows from ours and the attempt's number, so
//! that what is sent to the provider while the call runs and what is exported after it agree without being kept.

use tradewind_core::from_hex;

/// The longest `tracestate` that is kept, in bytes: what every implementation has to pass on.
const STATE_BYTES: usize = 512;
/// The most members of a `tracestate`.
const STATE_MEMBERS: usize = 32;
/// The number of the span of the decision among those below ours; attempts count from 0.
const DECISION: u64 = u64::MAX;

/// The trace of a call, and the span that stands for the call in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace; never all zeros.
    pub id: [u8; 16],
    /// The call's own span; never all zeros.
    pub span: [u8; 8],
    /// The caller's span.
    pub parent: Option<[u8; 8]>,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// What other tracing systems keep in `tracestate`; at most 512 bytes of printable ASCII.
    pub state: Option<Box<str>>,
}

impl Trace {
    /// The trace that the caller's headers name, or a new one that is recorded. `random` gives 64 fresh random bits each
    /// time.
    #[must_use]
    pub fn from_headers(traceparent: Option<&str>, tracestate: Option<&str>, random: &mut impl FnMut() -> u64) -> Self {
        let span = non_zero(random());
        if let Some((id, parent, sampled)) = traceparent.and_then(parse) {
            let state = tracestate.and_then(bounded_state);
            return Self { id, span, parent: Some(parent), sampled, state };
        }
        let mut id = [0; 16];
        id[..8].copy_from_slice(&random().to_be_bytes());
        id[8..].copy_from_slice(&non_zero(random()));
        Self { id, span, parent: None, sampled: true, state: None }
    }

    /// Decides whether a trace that begins here is recorded: `ratio` of them are, between 0 and 1, by the id, so that
    /// everybody who does the same agrees. A caller's own decision stands.
    #[must_use]
    pub fn sampled_at(mut self, ratio: f64) -> Self {
        if self.parent.is_none() {
            let [.., a, b, c, d, e, f, g, h] = self.id;
            // 63 bits, as OpenTelemetry's TraceIdRatioBased sampler takes them.
            let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
            self.sampled = (drawn as f64) < ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64;
        }
        self
    }

    /// The span of attempt `number`, counted from 0.
    #[must_use]
    pub fn attempt_span(&self, number: usize) -> [u8; 8] {
        self.below(number as u64)
    }

    /// The span of the decision.
    #[must_use]
    pub fn decide_span(&self) -> [u8; 8] {
        self.below(DECISION)
    }

    /// The `traceparent` that is sent with attempt `number`.
    #[must_use]
    pub fn traceparent_of_attempt(&self, number: usize) -> String {
        let (id, span) = (hex(&self.id), hex(&self.attempt_span(number)));
        let flags = if self.sampled { "01" } else { "00" };
        format!("00-{}-{}-{flags}", as_text(&id), as_text(&span))
    }

    /// The trace's id in 32 lowercase hexadecimal digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        as_text(&hex(&self.id)).to_owned()
    }

    /// SplitMix64 over our span and the number: spread well, and the same each time.
    fn below(&self, number: u64) -> [u8; 8] {
        let seed =
            u64::from_be_bytes(self.span).wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        non_zero(mixed ^ (mixed >> 31))
    }
}

/// Ids of zeros mean "none".
fn non_zero(number: u64) -> [u8; 8] {
    number.max(1).to_be_bytes()
}

/// Trace, parent and whether it is recorded; section 3.2 of the recommendation.
fn parse(header: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let text = header.trim_matches([' ', '\t']).as_bytes();
    // `00-` 32 digits `-` 16 digits `-` 2 digits; a later version may go on behind another dash.
    if text.len() < 55 || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let [version] = unhex(&text[..2])?;
    let ends = match version {
        0 => text.len() == 55,
        0xff => false,
        _ => text.get(55).is_none_or(|next| *next == b'-'),
    };
    let id: [u8; 16] = unhex(&text[3..35])?;
    let parent: [u8; 8] = unhex(&text[36..52])?;
    let [flags] = unhex(&text[53..55])?;
    (ends && id != [0; 16] && parent != [0; 8]).then_some((id, parent, flags & 1 == 1))
}

/// As many whole members as fit; the ones in front are the newest. Nothing when it is not printable ASCII.
fn bounded_state(header: &str) -> Option<Box<str>> {
    if !header.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return None;
    }
    let mut kept = String::new();
    let members = header.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    for member in members.take(STATE_MEMBERS) {
        if !member.contains('=') || kept.len() + member.len() + 1 > STATE_BYTES {
            break;
        }
        if !kept.is_empty() {
            kept.push(',');
        }
        kept.push_str(member);
    }
    (!kept.is_empty()).then(|| kept.into_boxed_str())
}

/// `2 N` lowercase hexadecimal digits as `N` bytes; uppercase ones are not allowed in a header.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.iter().any(u8::is_ascii_uppercase) { None } else { from_hex(digits) }
}

/// The lowercase hexadecimal digits of an id, padded with spaces to the longest.
pub(crate) fn hex(id: &[u8]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [b' '; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

/// The digits of [`hex`] as text.
pub(crate) fn as_text(digits: &[u8; 32]) -> &str {
    std::str::from_utf8(digits).expect("digits are ASCII").trim_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn counting() -> impl FnMut() -> u64 {
        let mut count = 0;
        move || {
            count += 1;
            count
        }
    }

    fn read(traceparent: &str) -> Trace {
        Trace::from_headers(Some(traceparent), Some("a=1"), &mut counting())
    }

    #[test]
    fn a_callers_trace_is_continued() {
        let trace = read(HEADER);
        assert_eq!(trace.id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent, Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert!(trace.sampled);
        assert_eq!(trace.state.as_deref(), Some("a=1"));
        assert!(!read(&HEADER.replace("-01", "-00")).sampled);
        assert!(read(&HEADER.replace("-01", "-ff")).sampled, "other flags are not ours to judge");
        assert!(!read(&HEADER.replace("-01", "-00")).sampled_at(1.0).sampled, "the caller has decided");
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        for header in [HEADER.replacen("00", "01", 1), format!("{}-more", HEADER.replacen("00", "cc", 1))] {
            assert_eq!(read(&header).id_text(), "4bf92f3577b34da6a3ce929d0e0e4736", "{header}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_begins_a_new_trace() {
        let bad = [
            String::new(),
            "00".to_owned(),
            HEADER.to_uppercase(),
            HEADER.replacen("00", "ff", 1),
            format!("{HEADER}-more"),
            format!("{}more", HEADER.replacen("00", "01", 1)),
            HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)),
            HEADER.replace('-', "_"),
            HEADER.replace("4bf9", "4bg9"),
            HEADER[..54].to_owned(),
            HEADER.replace("01", "é"),
        ];
        for header in bad {
            let trace = read(&header);
            assert_eq!((trace.parent, trace.state.as_deref(), trace.sampled), (None, None, true), "{header}");
            assert_eq!(trace.id_text(), "00000000000000020000000000000003", "{header}");
        }
    }

    #[test]
    fn a_state_is_cut_between_members() {
        let with = |state: &str| Trace::from_headers(Some(HEADER), Some(state), &mut counting()).state;
        assert_eq!(with(" a=1 ,,b=2\t").as_deref(), Some("a=1,b=2"));
        assert_eq!(with("a=1,b=\u{e9}"), None);
        assert_eq!(with("no members at all"), None);
        let member = format!("k={}", "v".repeat(198));
        assert_eq!(with(&[member.as_str(); 5].join(",")).map(|state| state.len()), Some(401));
        assert_eq!(with(&["k=v"; 50].join(",")).map(|state| state.matches("k=v").count()), Some(32));
    }

    #[test]
    fn spans_below_ours_differ_and_stay_the_same() {
        let trace = read(HEADER);
        let mut spans: Vec<_> = (0..64).map(|number| trace.attempt_span(number)).collect();
        spans.extend([trace.decide_span(), trace.span]);
        assert_eq!(spans[5], trace.attempt_span(5));
        assert!(spans.iter().all(|span| *span != [0; 8]));
        spans.sort_unstable();
        spans.dedup();
        assert_eq!(spans.len(), 66);
    }

    #[test]
    fn an_attempt_is_told_the_trace_and_its_own_span() {
        let trace = read(HEADER);
        let (id, parent, sampled) = parse(&trace.traceparent_of_attempt(1)).unwrap();
        assert_eq!((id, parent, sampled), (trace.id, trace.attempt_span(1), true));
    }

    #[test]
    fn new_traces_are_recorded_at_the_ratio_asked_for() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd)
        };
        for (ratio, least, most) in [(0.0, 0, 0), (0.25, 2300, 2700), (1.0, 10_000, 10_000)] {
            let sampled =
                (0..10_000).filter(|_| Trace::from_headers(None, None, &mut random).sampled_at(ratio).sampled).count();
            assert!((least..=most).contains(&sampled), "{sampled} at {ratio}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_headers_say_the_trace_is_valid(parent in any::<String>(), state in any::<String>()) {
            let trace = Trace::from_headers(Some(&parent), Some(&state), &mut || 0);
            prop_assert!(trace.id != [0; 16] && trace.span != [0; 8]);
            prop_assert!(trace.state.is_none_or(|state| state.len() <= STATE_BYTES));
        }
    }
}
