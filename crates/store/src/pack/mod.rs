//! How a content becomes bytes to keep: packing, differences between revisions, pieces.
//!
//! The first byte says the form: 0 as it is, 1 LZ4, 2 sealed, 3 a difference. LZ4 and differences have the unpacked size
//! behind it (4 bytes, little-endian), then an LZ4 block. A difference is a block that has the content of a newer revision
//! for its dictionary: what both have in common costs a few bytes, wherever it lies, and there is one more format less to
//! get wrong. LZ4 and not Zstandard, because it is pure safe Rust, the journal has it already, and a write of 1 KB must not
//! take longer to pack than to store.

mod pieces;

pub(crate) use pieces::{MAX_PIECE, ends_at_a_cut, first_piece};

use bytes::Bytes;
use lz4_flex::block;

/// Content up to this length lies in the record itself; longer content is cut into pieces.
pub(crate) const MAX_WHOLE: usize = 64 << 10;
/// Content shorter than this is not made a difference: it would save less than the second write costs.
pub(crate) const MIN_DIFFERENCE: usize = 4 << 10;
/// Every revision with a number that this divides stays whole, so that an old one is never more steps away.
pub(crate) const WHOLE_EACH: u64 = 16;

/// Content shorter than this is kept as it is.
const MIN_PACKED: usize = 192;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;
/// Opened by the caller before [`unpack`] is asked.
pub(crate) const SEALED: u8 = 2;
const DIFFERENCE: u8 = 3;

/// Form and size.
const HEADER: usize = 5;

/// Why packed bytes cannot be unpacked. They were written by us, so that this is always damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PackError {
    #[error("its form is unknown")]
    Form,
    #[error("its size is impossible")]
    Size,
    #[error("its bytes cannot be unpacked")]
    Block,
}

/// Packs a content where that saves something.
pub(crate) fn pack(content: &[u8]) -> Vec<u8> {
    if content.len() >= MIN_PACKED {
        let most = block::get_maximum_output_size(content.len());
        let mut out = header(LZ4, content.len(), most);
        let start = out.len();
        out.resize(start + most, 0);
        let length = block::compress_into(content, &mut out[start..]).expect("there is room for the longest output");
        if length + HEADER < content.len() {
            out.truncate(start + length);
            // Whoever keeps the bytes would keep the room for the longest output with them.
            out.shrink_to_fit();
            return out;
        }
    }
    let mut out = Vec::with_capacity(content.len() + 1);
    out.push(PLAIN);
    out.extend_from_slice(content);
    out
}

/// Undoes [`pack`]. The content is at most `limit` bytes.
pub(crate) fn unpack(packed: &Bytes, limit: usize) -> Result<Bytes, PackError> {
    match packed.first() {
        Some(&PLAIN) if packed.len() - 1 <= limit => Ok(packed.slice(1..)),
        Some(&PLAIN) => Err(PackError::Size),
        Some(&LZ4) => {
            let (size, block) = sized(packed, limit)?;
            let mut out = vec![0; size];
            match block::decompress_into(block, &mut out) {
                Ok(length) if length == size => Ok(out.into()),
                _ => Err(PackError::Block),
            }
        }
        _ => Err(PackError::Form),
    }
}

/// What it takes to make `content` out of `base`, if that is less than 70 % of `packed_size`, the size it has now.
pub(crate) fn difference(content: &[u8], base: &[u8], packed_size: usize) -> Option<Vec<u8>> {
    let block = block::compress_with_dict(content, base);
    if (block.len() + HEADER) * 10 > packed_size * 7 {
        return None;
    }
    let mut out = header(DIFFERENCE, content.len(), block.len());
    out.extend_from_slice(&block);
    Some(out)
}

/// Makes the content out of its [`difference`] and its base. The content is at most [`MAX_WHOLE`] bytes.
pub(crate) fn apply(difference: &[u8], base: &[u8]) -> Result<Bytes, PackError> {
    if difference.first() != Some(&DIFFERENCE) {
        return Err(PackError::Form);
    }
    let (size, block) = sized(difference, MAX_WHOLE)?;
    let mut out = vec![0; size];
    match block::decompress_into_with_dict(block, &mut out, base) {
        Ok(length) if length == size => Ok(out.into()),
        _ => Err(PackError::Block),
    }
}

fn header(form: u8, size: usize, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + room);
    out.push(form);
    out.extend_from_slice(&u32::try_from(size).expect("a value is at most 16 MiB").to_le_bytes());
    out
}

/// The size in the header and the block behind it.
fn sized(packed: &[u8], limit: usize) -> Result<(usize, &[u8]), PackError> {
    let (size, block) = packed[1..].split_first_chunk::<4>().ok_or(PackError::Size)?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > limit { Err(PackError::Size) } else { Ok((size, block)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_packed_and_noise_is_not() {
        let text = "the same words again and again. ".repeat(40);
        let packed = pack(text.as_bytes());
        assert!(packed.len() < 200 && packed.capacity() < 400, "{}", packed.capacity());
        let mut noise = vec![0; 4096];
        fastrand::Rng::with_seed(1).fill(&mut noise);
        assert_eq!(pack(&noise).len(), 4097);
        assert_eq!(pack(b""), [PLAIN]);
    }

    #[test]
    fn a_parent_that_the_child_goes_on_from_costs_next_to_nothing() {
        let mut parent = vec![0; 60_000];
        fastrand::Rng::with_seed(2).fill(&mut parent);
        let child = [&parent[..], &parent[..5000]].concat();
        let difference = difference(&parent, &child, pack(&parent).len()).expect("it saves nearly everything");
        assert!(difference.len() < 400, "{}", difference.len());
        assert_eq!(apply(&difference, &child).unwrap(), parent);
    }

    #[test]
    fn a_difference_that_saves_little_is_not_made() {
        let mut contents = [vec![0; 8192], vec![0; 8192]];
        let mut random = fastrand::Rng::with_seed(3);
        contents.iter_mut().for_each(|content| random.fill(content));
        assert_eq!(difference(&contents[0], &contents[1], pack(&contents[0]).len()), None);
    }

    #[test]
    fn a_size_over_the_limit_is_refused_before_it_is_allocated() {
        let packed = Bytes::from(pack(&[7; 4096]));
        assert_eq!(unpack(&packed, 4095), Err(PackError::Size));
        assert_eq!(unpack(&Bytes::from_static(&[LZ4, 255, 255, 255, 255, 0]), MAX_WHOLE), Err(PackError::Size));
        assert_eq!(unpack(&Bytes::from_static(&[PLAIN, 1, 2]), 1), Err(PackError::Size));
        assert_eq!(apply(&[DIFFERENCE, 255, 255, 255, 0], b"base"), Err(PackError::Size));
        assert_eq!(apply(&[LZ4, 1, 0, 0, 0], b"base"), Err(PackError::Form));
        assert_eq!(unpack(&Bytes::new(), 9), Err(PackError::Form));
    }

    /// Contents with repetitions, as contents have, up to the limit of a whole one.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let run = (any::<u8>(), 1..400_usize).prop_map(|(byte, times)| vec![byte; times]);
        let noise = proptest::collection::vec(any::<u8>(), 0..300);
        proptest::collection::vec(prop_oneof![run, noise], 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(content in content()) {
            let packed = Bytes::from(pack(&content));
            prop_assert!(packed.len() <= content.len() + 1);
            prop_assert_eq!(unpack(&packed, MAX_WHOLE).unwrap(), content);
        }

        #[test]
        fn what_was_made_small_comes_back(content in content(), base in content(), cut in 0..4000_usize) {
            for base in [base.clone(), [&content[..], &base[..]].concat(), content[content.len().min(cut)..].to_vec()] {
                if let Some(difference) = difference(&content, &base, usize::MAX / 10) {
                    prop_assert_eq!(apply(&difference, &base).unwrap(), content.clone());
                }
            }
        }

        #[test]
        fn bytes_from_nowhere_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), form in 0..5_u8, base in content()) {
            let mut bytes = bytes;
            if bytes.len() > 4 {
                bytes[0] = form;
                bytes[3] = 0;
                bytes[4] = 0;
            }
            let _ = apply(&bytes, &base);
            let _ = unpack(&bytes.into(), MAX_WHOLE);
        }
    }
}
