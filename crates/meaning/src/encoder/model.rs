//! Reads a SentencePiece model: the pieces with their scores, and the rules of the normaliser. (Protocol buffers,
//! `sentencepiece_model.proto`.)

use super::EncoderError;

/// A model's fields that the encoder needs.
pub(super) struct Model<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// The table of replacements of the normaliser.
    pub(super) replacements: &'a [u8],
}

/// An entry of the vocabulary. Its id is its place.
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Its logarithmic probability.
    pub(super) score: f32,
    /// Whether it is found in texts; marks such as the beginning of a text are not.
    pub(super) in_texts: bool,
}

/// The longest piece, in bytes.
pub(super) const LONGEST_PIECE: usize = 512;

/// Kinds of pieces that are marks, and never found in a text.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;

/// Reads the model in `bytes`, with at most `most_pieces` pieces.
pub(super) fn read(bytes: &[u8], most_pieces: usize) -> Result<Model<'_>, EncoderError> {
    let damaged = || EncoderError::Model("it is damaged");
    let mut pieces = Vec::new();
    let mut normalizer: &[u8] = &[];
    let mut rest = bytes;
    while !rest.is_empty() {
        match field(&mut rest).ok_or_else(damaged)? {
            (1, Value::Bytes(bytes)) => {
                if pieces.len() == most_pieces {
                    return Err(EncoderError::Model("it has more pieces than the weights"));
                }
                pieces.push(piece(bytes).ok_or_else(damaged)?);
            }
            (3, Value::Bytes(bytes)) => normalizer = bytes,
            _ => {}
        }
    }
    let mut replacements: &[u8] = &[];
    while !normalizer.is_empty() {
        match field(&mut normalizer).ok_or_else(damaged)? {
            (2, Value::Bytes(bytes)) => replacements = bytes,
            // A space in front, no space twice, spaces as U+2581: all three are on in the published model.
            (3..=5, Value::Number(0)) => return Err(EncoderError::Model("its normaliser treats spaces differently")),
            _ => {}
        }
    }
    Ok(Model { pieces, replacements })
}

fn piece(mut bytes: &[u8]) -> Option<Piece<'_>> {
    let mut piece = Piece { text: "", score: 0.0, in_texts: true };
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Value::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?,
            (2, Value::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Value::Number(kind)) => piece.in_texts = kind != UNKNOWN && kind != CONTROL,
            _ => {}
        }
    }
    let is_good = piece.score.is_finite() && !piece.text.is_empty() && piece.text.len() <= LONGEST_PIECE;
    is_good.then_some(piece)
}

enum Value<'a> {
    Number(u64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
    Eight,
}

/// The next field and its number.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = number(bytes)?;
    let value = match tag & 7 {
        0 => Value::Number(number(bytes)?),
        1 => {
            *bytes = bytes.get(8..)?;
            Value::Eight
        }
        2 => {
            let length = usize::try_from(number(bytes)?).ok()?;
            let (value, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Value::Bytes(value)
        }
        5 => {
            let (value, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            Value::Four(*value)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// A number of variable length, seven bits a byte.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
