//! Splits a text into pieces of the vocabulary: of all ways to do it, the one whose pieces have the largest sum of
//! scores (SentencePiece's Unigram model: Kudo 2018, section 3.2; Viterbi's algorithm over the places of the text).
//!
//! The pieces are a trie in which the children of a node lie side by side, sorted: 4 MiB for the published vocabulary
//! where a hash table of all prefixes has 40. Pieces that are marks are not in it, so that `<s>` in a text is three
//! characters; a character that no piece has is the unknown piece.

use super::EncoderError;
use super::model::Piece;
use super::normalizer::character;

/// The ids of the three marks.
const UNKNOWN: u32 = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;
/// What an unknown character counts less than the rarest piece.
const PENALTY: f32 = 10.0;
/// No piece ends here.
const NONE: u32 = u32::MAX;

/// The vocabulary.
pub(super) struct Tokenizer {
    /// For each node, the byte that leads to it.
    labels: Vec<u8>,
    /// For each node, its first child; the last child is before the first child of the next node.
    children: Vec<u32>,
    /// For each node, the piece that ends there.
    pieces: Vec<u32>,
    scores: Vec<f32>,
    unknown: f32,
}

/// Space for one text, used again for the next.
#[derive(Default)]
pub(super) struct Lattice {
    best: Vec<Place>,
    /// The pieces that were found.
    pub(super) pieces: Vec<u32>,
}

/// The best way to a place.
#[derive(Clone, Copy)]
struct Place {
    score: f64,
    from: u32,
    piece: u32,
}

impl Tokenizer {
    /// Builds the trie. Refuses a vocabulary without its marks, or with a piece twice.
    pub(super) fn new(pieces: &[Piece<'_>]) -> Result<Self, EncoderError> {
        if pieces.len() <= END as usize || pieces[..=END as usize].iter().any(|piece| piece.in_texts) {
            return Err(EncoderError::Model("its first pieces are not the three marks"));
        }
        let mut sorted: Vec<(&[u8], u32)> = Vec::with_capacity(pieces.len());
        for (id, piece) in (0..).zip(pieces) {
            if piece.in_texts {
                sorted.push((piece.text.as_bytes(), id));
            }
        }
        sorted.sort_unstable();
        if sorted.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(EncoderError::Model("it has a piece twice"));
        }
        let least = sorted.iter().map(|(_, id)| pieces[*id as usize].score).fold(0.0, f32::min);
        let mut tokenizer = Self {
            labels: vec![0],
            children: Vec::new(),
            pieces: Vec::new(),
            scores: pieces.iter().map(|piece| piece.score).collect(),
            unknown: least - PENALTY,
        };
        // Level by level, so that the children of a node come one after the other. A node stands for the entries that
        // begin with the bytes on the way to it.
        let mut level = vec![(0, sorted.len())];
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for (mut start, end) in level {
                let ends_here = sorted.get(start).filter(|(text, _)| start < end && text.len() == depth);
                tokenizer.pieces.push(ends_here.map_or(NONE, |(_, id)| *id));
                start += usize::from(ends_here.is_some());
                tokenizer.children.push(tokenizer.labels.len() as u32);
                while start < end {
                    let label = sorted[start].0[depth];
                    let same = sorted[start..end].partition_point(|(text, _)| text[depth] <= label);
                    tokenizer.labels.push(label);
                    next.push((start, start + same));
                    start += same;
                }
            }
            level = next;
            depth += 1;
        }
        tokenizer.children.push(tokenizer.labels.len() as u32);
        Ok(tokenizer)
    }

    /// The pieces of a normalised text between the marks of its beginning and end, at most `limit` in all: a longer text
    /// is cut. A text that is empty has one unknown piece.
    pub(super) fn split(&self, text: &[u8], limit: usize, lattice: &mut Lattice) {
        let Lattice { best, pieces } = lattice;
        best.clear();
        best.resize(text.len() + 1, Place { score: f64::NEG_INFINITY, from: 0, piece: UNKNOWN });
        best[0].score = 0.0;
        let mut start = 0;
        while start < text.len() {
            let base = best[start].score;
            let one = start + character(text[start]).min(text.len() - start);
            let mut one_is_piece = false;
            let mut node = 0;
            for (end, byte) in (start + 1..).zip(&text[start..]) {
                let Some(child) = self.child(node, *byte) else { break };
                node = child;
                let piece = self.pieces[node];
                if piece != NONE {
                    one_is_piece |= end == one;
                    improve(&mut best[end], base + f64::from(self.scores[piece as usize]), start, piece);
                }
            }
            if !one_is_piece {
                improve(&mut best[one], base + f64::from(self.unknown), start, UNKNOWN);
            }
            start = one;
        }
        pieces.clear();
        pieces.push(END);
        let mut place = text.len();
        while place > 0 {
            pieces.push(best[place].piece);
            place = best[place].from as usize;
        }
        if text.is_empty() {
            pieces.push(UNKNOWN);
        }
        pieces.push(BEGIN);
        pieces.reverse();
        if pieces.len() > limit {
            pieces.truncate(limit - 1);
            pieces.push(END);
        }
    }

    fn child(&self, node: usize, label: u8) -> Option<usize> {
        let (first, end) = (self.children[node] as usize, self.children[node + 1] as usize);
        let labels = &self.labels[first..end];
        // Most nodes have a child or two; the first has some 200.
        let place = if labels.len() <= 8 {
            labels.iter().position(|known| *known == label)?
        } else {
            labels.binary_search(&label).ok()?
        };
        Some(first + place)
    }
}

/// The earlier of two equally good ways stays.
fn improve(place: &mut Place, score: f64, from: usize, piece: u32) {
    if score > place.score {
        *place = Place { score, from: from as u32, piece };
    }
}
