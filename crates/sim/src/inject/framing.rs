//! Faults around an answer: its length, chunks, coding, end, and pauses inside it.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::Place;
use crate::inject::gzip;
use crate::script::{End, Framing, Pace, Part, Reply};
use crate::{Injection, SimFault};

const MIB: u64 = 1 << 20;

/// What looks like another response, behind the one that was announced.
const SMUGGLED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"smuggled\":true}";

/// Edits a reply.
pub(crate) fn edit_reply(reply: &mut Reply, fault: &Injection) {
    let after = fault.number(2);
    match fault.fault() {
        SimFault::CloseAfterResponse => {
            // The head says nothing of a close: the client believes that it may keep the connection.
            reply.end = End::BreakWith(last_chunk(reply));
        }
        SimFault::HangAfterHeaders => {
            reply.framing = Framing::Chunked;
            reply.together = false;
            reply.parts = vec![Part::Hang];
        }
        SimFault::SlowFirstToken => {
            reply.together = false;
            reply.parts.insert(0, Part::Wait(fault.duration().unwrap_or(Duration::from_secs(2))));
        }
        SimFault::Stall => {
            let at = cut_point(reply, after);
            reply.parts.insert(at, fault.duration().map_or(Part::Hang, Part::Wait));
        }
        SimFault::MidStreamCut => {
            truncate(reply, after);
        }
        SimFault::MidStreamClose => {
            truncate(reply, after);
            reply.framing = Framing::Close;
        }
        SimFault::MidStreamReset => {
            truncate(reply, after);
            reply.end = End::Reset;
        }
        SimFault::ChunkedTruncated => {
            truncate(reply, after);
            reply.end = End::BreakWith(Bytes::from_static(b"7d0\r\ndata: {\"id\":"));
        }
        SimFault::ChunkedBadSize => {
            truncate(reply, after);
            reply.end = End::BreakWith(Bytes::from_static(b"zz\r\ndata: {}\n\n\r\n0\r\n\r\n"));
        }
        SimFault::ContentLengthLong => {
            reply.framing = Framing::Length { lie: 100 };
            reply.end = End::BreakWith(Bytes::new());
        }
        SimFault::ContentLengthShort => {
            reply.framing = Framing::Length { lie: 0 };
            reply.end = End::KeepAfter(Bytes::from_static(SMUGGLED));
        }
        SimFault::ContentLengthConflict => {
            let length = reply.body().len();
            reply.framing = Framing::Length { lie: 0 };
            reply.header("content-length", (length + 7).to_string());
        }
        SimFault::TruncatedJson if reply.together => {
            let body = reply.body();
            reply.parts = vec![Part::bytes(body[..body.len() / 2].to_vec(), Place::Content)];
        }
        SimFault::Http10 => {
            reply.http10 = true;
            reply.framing = Framing::Close;
        }
        SimFault::Interim100 => reply.interim = Some(Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n")),
        SimFault::Interim103 => {
            reply.interim =
                Some(Bytes::from_static(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"));
        }
        SimFault::Trailers => {
            reply.framing = Framing::Chunked;
            reply.together = false;
            reply.trailers = vec![("x-sim-trailer".to_owned(), "behind the body".to_owned())];
        }
        _ => edit_size(reply, fault),
    }
}

/// Faults of size and of content coding.
fn edit_size(reply: &mut Reply, fault: &Injection) {
    match fault.fault() {
        SimFault::HugeChunk => {
            let size = fault.number(64 * MIB);
            reply.framing = Framing::Chunked;
            reply.together = false;
            reply.parts.splice(0..0, repeated("\n".repeat(4096), size));
        }
        SimFault::HugeEvent => pad(reply, fault.number(32 * MIB)),
        SimFault::HugeBody => {
            let size = fault.number(128 * MIB);
            if reply.together {
                pad(reply, size);
                reply.framing = Framing::Length { lie: 0 };
            } else {
                repeat_content(reply, size);
            }
        }
        SimFault::HugeHeaders => {
            for at in 0..fault.number(MIB).div_ceil(4096) {
                reply.header(&format!("x-sim-huge-{at}"), "h".repeat(4070));
            }
        }
        SimFault::GzipBomb => recode(reply, "gzip", |body| gzip::bomb(fault.number(256 * MIB), body)),
        SimFault::GzipUnasked => recode(reply, "gzip", gzip::gzip),
        SimFault::BadGzip => reply.header("content-encoding", "gzip"),
        SimFault::UnknownEncoding => reply.header("content-encoding", "x-sim"),
        _ => {}
    }
}

/// How the bytes of a reply are spread, if `fault` is a matter of that.
pub(crate) fn pace(fault: &Injection, seed: u64) -> Option<Pace> {
    match fault.fault() {
        SimFault::SplitEveryByte => Some(Pace::EachByte),
        SimFault::SplitRandom => Some(Pace::Random(seed)),
        SimFault::Drip => Some(Pace::Drip(fault.duration().unwrap_or(Duration::from_secs(1)))),
        SimFault::BandwidthCap => Some(Pace::Cap(fault.number(2000))),
        _ => None,
    }
}

/// What ends the body in the framing that the reply has.
fn last_chunk(reply: &Reply) -> Bytes {
    if reply.framing == Framing::Chunked { Bytes::from_static(b"0\r\n\r\n") } else { Bytes::new() }
}

/// The index of the part behind `count` parts of content. A whole answer is halved first and chunked, since its length
/// would tell of the cut; its point is behind the first half.
fn cut_point(reply: &mut Reply, count: u64) -> usize {
    if reply.together {
        let body = reply.body();
        let (first, second) = body.split_at(body.len() / 2);
        reply.parts = vec![Part::bytes(first.to_vec(), Place::Content), Part::bytes(second.to_vec(), Place::Closing)];
        reply.framing = Framing::Chunked;
        reply.together = false;
        return 1;
    }
    let mut seen = 0;
    for (at, part) in reply.parts.iter().enumerate() {
        if part.is_content() {
            if seen == count {
                return at;
            }
            seen += 1;
        } else if seen > 0 && matches!(part, Part::Bytes { .. }) {
            // Fewer events of content than asked for: in front of the finish.
            return at;
        }
    }
    reply.parts.len()
}

fn truncate(reply: &mut Reply, count: u64) {
    let at = cut_point(reply, count);
    reply.parts.truncate(at);
}

/// A part of at least `size` bytes, made of `piece`.
fn repeated(piece: String, size: u64) -> Option<Part> {
    let times = size.div_ceil(piece.len() as u64);
    (times > 0).then(|| Part::Repeat(piece.into(), times))
}

/// Puts a string of `size` bytes into the first JSON object: of a whole answer, or of the first event of content.
fn pad(reply: &mut Reply, size: u64) {
    if reply.together {
        reply.framing = Framing::Chunked;
    }
    let Some(at) = reply.parts.iter().position(Part::is_content) else { return };
    let Part::Bytes { bytes, place } = reply.parts[at].clone() else { return };
    let Some(brace) = memchr::memchr(b'{', &bytes) else { return };
    let mut before = bytes[..=brace].to_vec();
    before.extend_from_slice(b"\"x_sim_padding\":\"");
    let mut after = b"\",".to_vec();
    after.extend_from_slice(&bytes[brace + 1..]);
    let mut padded = vec![Part::bytes(before, Place::Opening)];
    // Chunks of 64 KiB, as servers send them.
    let mut left = size;
    while left > 0 {
        let now = left.min(64 * 1024);
        padded.extend(repeated("x".repeat(usize::try_from(now).unwrap_or(1).min(4096)), now));
        left -= now;
    }
    padded.push(Part::bytes(after, place));
    reply.parts.splice(at..=at, padded);
}

/// Repeats the first event of content until the body has `size` bytes.
fn repeat_content(reply: &mut Reply, size: u64) {
    let Some(at) = reply.parts.iter().position(Part::is_content) else { return };
    let Part::Bytes { bytes, .. } = reply.parts[at].clone() else { return };
    let many = 1 + 16 * 1024 / bytes.len().max(1);
    let piece: Bytes = bytes.repeat(many).into();
    let times = usize::try_from(size.div_ceil(piece.len() as u64)).unwrap_or(usize::MAX);
    reply.parts.splice(at..at, std::iter::repeat_n(Part::bytes(piece, Place::Opening), times));
}

/// Puts the whole body through `coder`.
fn recode(reply: &mut Reply, name: &str, coder: impl Fn(&[u8]) -> Vec<u8>) {
    let coded = coder(&reply.body());
    reply.parts = vec![Part::bytes(coded, Place::Content)];
    reply.header("content-encoding", name);
}
