//! Reads one array of NumPy's `.npy` format, versions 1 and 2: little-endian, row by row. (NumPy Enhancement Proposal 1.)

use super::EncoderError;

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array as it lies in the file.
pub(super) struct Array<'a> {
    name: &'a str,
    kind: &'a str,
    /// The length of each dimension.
    pub(super) shape: Vec<usize>,
    data: &'a [u8],
}

impl<'a> Array<'a> {
    /// Reads the array `name`, which is `bytes`. The shape and the kind of its values fit its length.
    pub(super) fn parse(name: &'a str, bytes: &'a [u8]) -> Result<Self, EncoderError> {
        parse(name, bytes).ok_or_else(|| EncoderError::array(name, "is no array that NumPy has written"))
    }

    /// Its values, which have to be `u8`.
    pub(super) fn bytes(&self) -> Result<&'a [u8], EncoderError> {
        self.of_kind("|u1")?;
        Ok(self.data)
    }

    /// Its one value, which has to be an `i8`.
    pub(super) fn small(&self) -> Result<i8, EncoderError> {
        self.of_kind("|i1")?;
        match self.data {
            [one] => Ok(i8::from_le_bytes([*one])),
            _ => Err(EncoderError::array(self.name, "does not hold one value")),
        }
    }

    /// Its one value, which has to be an `f64`.
    pub(super) fn double(&self) -> Result<f64, EncoderError> {
        self.of_kind("<f8")?;
        match <[u8; 8]>::try_from(self.data).map(f64::from_le_bytes) {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(EncoderError::array(self.name, "does not hold one finite number")),
        }
    }

    /// Its values, which have to be `f32`, all finite, in this shape.
    pub(super) fn floats(&self, shape: &[usize]) -> Result<Vec<f32>, EncoderError> {
        self.of_kind("<f4")?;
        if self.shape != shape {
            return Err(EncoderError::array(self.name, "has another shape than the encoder"));
        }
        let values: Vec<f32> = self.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(EncoderError::array(self.name, "holds a value that is not a finite number"));
        }
        Ok(values)
    }

    fn of_kind(&self, kind: &str) -> Result<(), EncoderError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(EncoderError::array(self.name, "holds values of another kind than the encoder's"))
    }
}

fn parse<'a>(name: &'a str, bytes: &'a [u8]) -> Option<Array<'a>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_le_bytes(*length)), rest))?,
        2 => rest.split_first_chunk::<4>().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    let header = std::str::from_utf8(header).ok()?;
    let kind = between(header, "'descr': '", "'")?;
    if between(header, "'fortran_order': ", ",")? != "False" {
        return None;
    }
    let size = match kind {
        "|u1" | "|i1" => 1,
        "<f4" => 4,
        "<f8" => 8,
        _ => return None,
    };
    let mut shape = Vec::new();
    let mut count = 1usize;
    for length in between(header, "'shape': (", ")")?.split(',').map(str::trim).filter(|length| !length.is_empty()) {
        let length = length.parse().ok()?;
        count = count.checked_mul(length)?;
        shape.push(length);
    }
    (count.checked_mul(size)? == data.len()).then_some(Array { name, kind, shape, data })
}

/// What stands between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
