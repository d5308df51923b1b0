//! Matrices of weights, and their product with rows of activations, in whole numbers.
//!
//! The weights of the published encoder are whole multiples, -127 to 127, of one step for each matrix: it was made from
//! an 8-bit model. They are kept as such, without loss. Activations are rounded to 16 bits, on one scale for all rows of
//! a text, so that a product is a sum of whole numbers in 32 bits: exact, the same on every machine, and twice as fast
//! as floats, since processors multiply and add pairs of 16-bit numbers in one instruction. 8 bits for the activations
//! too would be twice as fast again, but loses the third digit of the cosine and is not in every processor.
//!
//! Layout: panels of 32 columns; in a panel, for each pair of rows of the matrix, 32 pairs of weights, so that a product
//! reads the weights from the first byte to the last.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use super::EncoderError;

/// Columns of a panel: two vectors of the widest kind. The number of columns of each matrix is a multiple.
const PANEL: usize = 32;
/// Rows of activations that are multiplied at once: with two vectors of columns, what fits the registers of all
/// processors.
pub(super) const ROWS: usize = 6;
/// The largest weight, in steps.
const LARGEST_WEIGHT: f32 = 127.0;
/// How far a weight may be from a multiple of the step, in steps.
const TOLERANCE: f32 = 0.01;
/// Added to a float, leaves its nearest whole number in the low bits: 1.5 * 2^23.
const ROUNDING: f32 = 12_582_912.0;

/// A matrix of weights, `inputs` by `outputs`.
pub(super) struct Matrix {
    pairs: Vec<i32>,
    inputs: usize,
    outputs: usize,
    step: f32,
    most: f32,
}

impl Matrix {
    /// Packs `weights`, which lie row by row and are finite. `inputs` is even, `outputs` a multiple of 32.
    pub(super) fn pack(name: &str, weights: &[f32], inputs: usize, outputs: usize) -> Result<Self, EncoderError> {
        let largest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        // A matrix of zeros has no step of its own.
        let step = if largest > 0.0 { largest / LARGEST_WEIGHT } else { 1.0 };
        let mut sums = vec![0u32; outputs];
        let mut whole = Vec::with_capacity(weights.len());
        for (place, weight) in weights.iter().enumerate() {
            let steps = weight / step;
            let rounded = steps.round();
            if (steps - rounded).abs() > TOLERANCE {
                return Err(EncoderError::array(name, "holds weights that are not 8-bit"));
            }
            sums[place % outputs] += rounded.abs() as u32;
            whole.push(rounded as i16);
        }
        let mut pairs = Vec::with_capacity(weights.len() / 2);
        for panel in (0..outputs).step_by(PANEL) {
            for row in (0..inputs).step_by(2) {
                let column = |column: usize| pair(whole[row * outputs + column], whole[(row + 1) * outputs + column]);
                pairs.extend((panel..panel + PANEL).map(column));
            }
        }
        let heaviest = sums.into_iter().max().unwrap_or(1).max(1);
        let most = f64::from(i32::MAX) / f64::from(heaviest);
        Ok(Self { pairs, inputs, outputs, step, most: most.min(f64::from(i16::MAX)).floor() as f32 })
    }

    /// The largest activation, in whole numbers, with which no sum can leave 32 bits.
    pub(super) fn most(&self) -> f32 {
        self.most
    }
}

fn pair(first: i16, second: i16) -> i32 {
    (i32::from(second) << 16) | i32::from(first as u16)
}

/// Activations in whole numbers, two in each `i32`, and what one step is worth.
#[derive(Default)]
pub(super) struct Whole {
    pairs: Vec<i32>,
    step: f32,
}

impl Whole {
    /// Rounds `values`, of which the largest becomes `most`, between zeros. All three numbers are even.
    #[inline(always)]
    pub(super) fn round(&mut self, values: &[f32], before: usize, after: usize, most: f32) {
        let (chunks, rest) = values.as_chunks::<16>();
        let mut largest = [0.0f32; 16];
        for chunk in chunks {
            for lane in 0..16 {
                largest[lane] = largest[lane].max(chunk[lane].abs());
            }
        }
        let largest = largest.iter().chain(rest).fold(0.0f32, |most, value| most.max(value.abs()));
        let step = if largest > 0.0 { largest / most } else { 1.0 };
        let inverse = step.recip();
        self.step = step;
        self.pairs.clear();
        self.pairs.resize((before + values.len() + after) / 2, 0);
        let inner = &mut self.pairs[before / 2..(before + values.len()) / 2];
        for (pair, [first, second]) in inner.iter_mut().zip(values.as_chunks::<2>().0) {
            let low = (first * inverse + ROUNDING).to_bits();
            let high = (second * inverse + ROUNDING).to_bits();
            *pair = ((high << 16) | (low & 0xffff)) as i32;
        }
    }
}

/// Multiplies rows of `activations`, the first of which begins at its first number and each further one `stride` numbers
/// later, with `matrix`; `product` takes as many rows as it has room for, which are a multiple of `R`.
#[inline(always)]
pub(super) fn multiply<S: Simd, const R: usize>(
    simd: S,
    activations: &Whole,
    stride: usize,
    matrix: &Matrix,
    product: &mut [f32],
) {
    const COLUMNS: usize = 2;
    let lanes = S::i32s::LEN;
    let width = COLUMNS * lanes;
    let length = matrix.inputs / 2;
    let scale = S::f32s::splat(simd, activations.step * matrix.step);
    for (block, product) in product.chunks_exact_mut(R * matrix.outputs).enumerate() {
        let rows: [&[i32]; R] = std::array::from_fn(|row| {
            let start = (block * R + row) * (stride / 2);
            &activations.pairs[start..start + length]
        });
        for (place, panel) in matrix.pairs.chunks_exact(length * PANEL).enumerate() {
            for part in (0..PANEL).step_by(width) {
                let mut sums = [[S::i32s::splat(simd, 0); COLUMNS]; R];
                for (step, weights) in panel.as_chunks::<PANEL>().0[..length].iter().enumerate() {
                    let weights: [S::i16s; COLUMNS] = std::array::from_fn(|column| {
                        let start = part + column * lanes;
                        S::i32s::from_slice(simd, &weights[start..start + lanes]).bitcast()
                    });
                    for row in 0..R {
                        let pair: S::i16s = S::i32s::splat(simd, rows[row][step]).bitcast();
                        for column in 0..COLUMNS {
                            sums[row][column] += pair.pairwise_dot_product(weights[column]);
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (column, sum) in sums.iter().enumerate() {
                        let start = row * matrix.outputs + place * PANEL + part + column * lanes;
                        let values: S::f32s = sum.to_float();
                        (values * scale).store_slice(&mut product[start..start + lanes]);
                    }
                }
            }
        }
    }
}
