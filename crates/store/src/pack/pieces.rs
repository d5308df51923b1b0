//! Where a long content is cut: by what it says, not by how far in, so that an insertion moves no cut but those beside it.
//!
//! FastCDC (Xia et al., USENIX ATC 2016): a gear hash over the bytes since the last cut, and a cut where certain of its bits
//! are zero, more of them before the average length than after. Code of our own and not the crate `fastcdc`: it is the loop
//! below, and the crate brings streams and a second copy of every piece. Where the cuts lie is no part of what is promised:
//! another release may cut elsewhere and still read what this one wrote.
//!
//! A cut depends on nothing before the previous one: who knows the last piece can go on from there.

/// No piece but the last is shorter.
pub(crate) const MIN_PIECE: usize = 8 << 10;
/// What a piece has on average. An addition brings itself, its share of the piece that it becomes part of in the end, and the
/// names of all pieces: 10 KiB at 10 MB.
const AVERAGE: usize = 32 << 10;
/// No piece is longer.
pub(crate) const MAX_PIECE: usize = 128 << 10;

/// The bits that have to be zero for a cut before the average length: 17 of them, among the higher ones, which more than
/// forty of the last bytes have had a part in.
const RARE: u64 = 0x0001_ffff << 40;
/// And after it: 13.
const FREQUENT: u64 = 0x0000_1fff << 44;

/// A number for each byte that has nothing to do with it.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state = 0x7472_6164_6577_696e_u64;
    let mut index = 0;
    while index < 256 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = mixed ^ (mixed >> 31);
        index += 1;
    }
    table
};

/// How many bytes of `content` its first piece has: all of it when there is no cut.
pub(crate) fn first_piece(content: &[u8]) -> usize {
    let end = content.len().min(MAX_PIECE);
    let middle = end.min(AVERAGE);
    let mut hash = 0_u64;
    for (range, mask) in [(MIN_PIECE.min(end)..middle, RARE), (middle..end, FREQUENT)] {
        let start = range.start;
        for (index, byte) in content[range].iter().enumerate() {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            if hash & mask == 0 {
                return start + index + 1;
            }
        }
    }
    end
}

/// Whether a content that begins with this piece has its first cut where the piece ends, whatever follows.
pub(crate) fn ends_at_a_cut(piece: &[u8]) -> bool {
    // Each byte moves out of the hash what came 64 before it.
    let from = piece.len().saturating_sub(64).max(MIN_PIECE);
    let Some(last) = piece.get(from..).filter(|last| !last.is_empty()) else { return false };
    let hash = last.iter().fold(0_u64, |hash, byte| (hash << 1).wrapping_add(GEAR[usize::from(*byte)]));
    let mask = if piece.len() <= AVERAGE { RARE } else { FREQUENT };
    hash & mask == 0 || piece.len() >= MAX_PIECE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(mut content: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !content.is_empty() {
            let length = first_piece(content);
            lengths.push(length);
            content = &content[length..];
        }
        lengths
    }

    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut noise = vec![0; length];
        fastrand::Rng::with_seed(seed).fill(&mut noise);
        noise
    }

    #[test]
    fn pieces_keep_their_bounds_and_their_average() {
        let lengths = lengths(&noise(32 << 20, 1));
        let (last, others) = lengths.split_last().unwrap();
        assert!(others.iter().all(|length| (MIN_PIECE..=MAX_PIECE).contains(length)));
        assert!((1..=MAX_PIECE).contains(last));
        let average = (32 << 20) / lengths.len();
        assert!((24 << 10..48 << 10).contains(&average), "{average}");
    }

    #[test]
    fn a_piece_shows_whether_it_was_cut_there() {
        for content in [noise(4 << 20, 4), vec![0; 300 << 10], noise(MIN_PIECE, 5), noise(5, 6)] {
            let (mut rest, mut cuts) = (&content[..], 0);
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(first_piece(rest));
                assert_eq!(ends_at_a_cut(piece), !behind.is_empty(), "{} bytes", piece.len());
                let cut = |less: usize| ends_at_a_cut(&piece[..piece.len() - less]);
                assert!(!(1..9.min(piece.len())).any(cut), "{} bytes", piece.len());
                (rest, cuts) = (behind, cuts + 1);
            }
            assert!(cuts > 0);
        }
        assert!(!ends_at_a_cut(b""));
    }

    #[test]
    fn what_never_changes_is_cut_at_the_longest() {
        assert_eq!(lengths(&[0; 300 << 10]), [MAX_PIECE, MAX_PIECE, 44 << 10]);
        assert_eq!(lengths(b""), [0; 0]);
        assert_eq!(first_piece(b"short"), 5);
    }

    #[test]
    fn an_insertion_moves_the_cuts_beside_it_alone() {
        let content = noise(4 << 20, 2);
        let mut changed = content.clone();
        changed.splice(1_000_000..1_000_000, *b"something new");
        let cuts = |content: &[u8]| -> Vec<Vec<u8>> {
            let mut rest = content;
            lengths(content)
                .into_iter()
                .map(|length| {
                    let (piece, behind) = rest.split_at(length);
                    rest = behind;
                    piece.to_vec()
                })
                .collect()
        };
        let (old, new) = (cuts(&content), cuts(&changed));
        let fresh = new.iter().filter(|piece| !old.contains(piece)).count();
        assert!((1..=3).contains(&fresh), "{fresh} of {}", new.len());
    }

    #[test]
    fn cutting_can_go_on_from_the_last_piece() {
        let content = noise(3 << 20, 3);
        let all = lengths(&content);
        let half = &content[..content.len() / 2];
        let known = lengths(half);
        let start: usize = known[..known.len() - 1].iter().sum();
        let further = lengths(&content[start..]);
        assert_eq!([&known[..known.len() - 1], &further[..]].concat(), all);
    }
}
