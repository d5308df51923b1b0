//! The weights of the encoder, out of the `.npz` in which they are published.

use super::EncoderError;
use super::archive::Archive;
use super::array::Array;
use super::matrix::Matrix;
use super::table::{EMBEDDING, MOST_ROWS, PARTS, Table};

/// Numbers of a branch for each token.
pub(super) const BRANCH: usize = 256;
/// The branches: how many tokens a window has, and how many of them stand before the token that it belongs to.
pub(super) const BRANCHES: [Window; 3] =
    [Window { tokens: 2, before: 0 }, Window { tokens: 3, before: 1 }, Window { tokens: 5, before: 2 }];
/// Numbers of all branches for each token.
pub(super) const ALL_BRANCHES: usize = BRANCHES.len() * BRANCH;
/// Numbers that are known of each token in the end: its embedding and its branches.
pub(super) const FEATURES: usize = EMBEDDING + ALL_BRANCHES;
/// Numbers in the inner layers of the last network.
pub(super) const INNER: usize = 320;
/// Numbers in the result.
pub(super) const RESULT: usize = 512;

/// The longest array in the file, with its header, in bytes.
const LONGEST_ARRAY: usize = MOST_ROWS * EMBEDDING + 1024;
/// Bits of a value of the table.
const BITS: i8 = 6;

/// The tokens that a branch looks at.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) tokens: usize,
    pub(super) before: usize,
}

/// Scale and shift after a normalisation, or a bias.
pub(super) type Row<const N: usize> = Box<[f32; N]>;

/// A projection of the embeddings, and two convolutions over windows of one length.
pub(super) struct Branch {
    pub(super) project: Matrix,
    pub(super) first: Matrix,
    pub(super) first_bias: Row<BRANCH>,
    pub(super) second: Matrix,
    pub(super) second_bias: Row<BRANCH>,
}

/// Everything that was learned.
pub(super) struct Weights {
    pub(super) table: Table,
    pub(super) project_bias: Row<ALL_BRANCHES>,
    pub(super) project_scale: Row<ALL_BRANCHES>,
    pub(super) project_shift: Row<ALL_BRANCHES>,
    pub(super) branches: [Branch; BRANCHES.len()],
    pub(super) scale: Row<FEATURES>,
    pub(super) shift: Row<FEATURES>,
    pub(super) mean: Matrix,
    pub(super) mean_bias: Row<RESULT>,
    pub(super) dense: [Matrix; 4],
    pub(super) skip_first: Matrix,
    pub(super) skip_second: Matrix,
    pub(super) epsilon: f32,
}

impl Weights {
    /// Reads the `.npz` in `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, EncoderError> {
        let file = File(Archive::open(bytes)?);
        let bits = file.with("bits", |array| array.small())?;
        if bits != BITS {
            return Err(EncoderError::array("bits", "is not 6"));
        }
        let epsilon = file.with("eps", |array| array.double())? as f32;
        if epsilon < 0.0 {
            return Err(EncoderError::array("eps", "is negative"));
        }
        let branch = |window: Window| -> Result<Branch, EncoderError> {
            let order = window.tokens;
            let inputs = order * BRANCH;
            Ok(Branch {
                project: file.matrix(&format!("proj{order}"), EMBEDDING, BRANCH)?,
                first: file.matrix(&format!("w1_{order}"), inputs, BRANCH)?,
                first_bias: file.row(&format!("b1_{order}"))?,
                second: file.matrix(&format!("w2_{order}"), inputs, BRANCH)?,
                second_bias: file.row(&format!("b2_{order}"))?,
            })
        };
        let [first, second, third] = BRANCHES;
        Ok(Self {
            table: file.table()?,
            project_bias: file.joined("proj_b")?,
            project_scale: file.joined("ln_g")?,
            project_shift: file.joined("ln_b")?,
            branches: [branch(first)?, branch(second)?, branch(third)?],
            scale: file.row("ln_g")?,
            shift: file.row("ln_b")?,
            mean: file.matrix("cnn_W", FEATURES, RESULT)?,
            mean_bias: file.row("cnn_b")?,
            dense: [
                file.matrix("d0", RESULT, INNER)?,
                file.matrix("d1", INNER, INNER)?,
                file.matrix("d2", INNER, RESULT)?,
                file.matrix("d3", RESULT, RESULT)?,
            ],
            skip_first: file.matrix("p1", RESULT, INNER)?,
            skip_second: file.matrix("p3", INNER, RESULT)?,
            epsilon,
        })
    }
}

struct File<'a>(Archive<'a>);

impl File<'_> {
    fn with<T>(&self, name: &str, read: impl FnOnce(&Array<'_>) -> Result<T, EncoderError>) -> Result<T, EncoderError> {
        let bytes = self.0.read(&format!("{name}.npy"), LONGEST_ARRAY)?;
        read(&Array::parse(name, &bytes)?)
    }

    fn row<const N: usize>(&self, name: &str) -> Result<Row<N>, EncoderError> {
        let values = self.with(name, |array| array.floats(&[N]))?;
        Ok(boxed(values))
    }

    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> Result<Matrix, EncoderError> {
        let weights = self.with(name, |array| array.floats(&[inputs, outputs]))?;
        Matrix::pack(name, &weights, inputs, outputs)
    }

    /// The rows of all branches, one after the other.
    fn joined(&self, name: &str) -> Result<Row<ALL_BRANCHES>, EncoderError> {
        let mut values = Vec::with_capacity(ALL_BRANCHES);
        for window in BRANCHES {
            let name = format!("{name}{}", window.tokens);
            values.extend(self.with(&name, |array| array.floats(&[BRANCH]))?);
        }
        Ok(boxed(values))
    }

    fn table(&self) -> Result<Table, EncoderError> {
        let one_for_each_part = |name| -> Result<[f32; PARTS], EncoderError> {
            Ok(*boxed(self.with(name, |array| array.floats(&[PARTS]))?))
        };
        let (scale, low) = (one_for_each_part("scale")?, one_for_each_part("lo")?);
        let mut table: Option<Table> = None;
        for part in 0..PARTS {
            let name = format!("q{}", part + 1);
            self.with(&name, |array| {
                let &[rows @ 1..=MOST_ROWS, EMBEDDING] = array.shape.as_slice() else {
                    return Err(EncoderError::array(&name, "has another shape than the encoder"));
                };
                let table = table.get_or_insert_with(|| Table::new(rows, scale, low));
                if table.pieces() != rows * PARTS {
                    return Err(EncoderError::array(&name, "has another length than the other parts"));
                }
                table.fill(part, &name, array.bytes()?)
            })?;
        }
        table.ok_or_else(|| EncoderError::array("q1", "is missing"))
    }
}

fn boxed<const N: usize>(values: Vec<f32>) -> Row<N> {
    values.into_boxed_slice().try_into().expect("the shape has been checked")
}
