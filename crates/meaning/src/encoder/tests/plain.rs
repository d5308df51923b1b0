//! The network written down in the plainest way, in doubles, to compare with.

use crate::encoder::sample::Array;

type Rows = Vec<Vec<f64>>;

struct Named<'a>(&'a [Array]);

impl Named<'_> {
    fn array(&self, name: &str) -> &Array {
        self.0.iter().find(|array| array.name == name).unwrap()
    }

    fn row(&self, name: &str) -> Vec<f64> {
        self.array(name).data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    }

    fn product(&self, values: &[f64], name: &str) -> Vec<f64> {
        let outputs = self.array(name).shape[1];
        let matrix = self.row(name);
        assert_eq!(values.len() * outputs, matrix.len());
        let mut product = vec![0.0; outputs];
        for (value, weights) in values.iter().zip(matrix.chunks(outputs)) {
            for (sum, weight) in product.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        product
    }

    fn all_branches(&self, name: &str) -> Vec<f64> {
        [2, 3, 5].iter().flat_map(|order| self.row(&format!("{name}{order}"))).collect()
    }
}

fn normalize(values: &mut [f64], scale: &[f64], shift: &[f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    for ((value, scale), shift) in values.iter_mut().zip(scale).zip(shift) {
        *value = (*value - mean) / (variance + 1e-12).sqrt() * scale + shift;
    }
}

fn plus(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left + right).collect()
}

fn positive(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.max(0.0)).collect()
}

fn convolve(named: &Named<'_>, rows: &Rows, order: usize, before: usize, weights: &str, bias: &str) -> Rows {
    let bias = named.row(bias);
    let nothing = vec![0.0; 256];
    let row = |place: usize| {
        let window = (0..order).flat_map(|step| {
            (place + step).checked_sub(before).and_then(|at| rows.get(at)).unwrap_or(&nothing).clone()
        });
        let product = named.product(&window.collect::<Vec<f64>>(), weights);
        plus(&positive(&plus(&product, &bias)), &rows[place])
    };
    (0..rows.len()).map(row).collect()
}

/// The vector of these pieces, of unit length.
pub(super) fn forward(arrays: &[Array], pieces: &[u32]) -> Vec<f64> {
    let named = Named(arrays);
    let (scale, low) = (named.row("scale"), named.row("lo"));
    let embed = |piece: &u32| -> Vec<f64> {
        let (row, part) = (*piece as usize / 17, *piece as usize % 17);
        let bytes = &named.array(&format!("q{}", part + 1)).data[row * 512..][..512];
        bytes.iter().map(|byte| f64::from(*byte) * scale[part] + low[part]).collect()
    };
    let embeddings: Rows = pieces.iter().map(embed).collect();
    let mut projected: Rows = Vec::new();
    for embedding in &embeddings {
        let all =
            [2, 3, 5].iter().flat_map(|order| named.product(embedding, &format!("proj{order}"))).collect::<Vec<f64>>();
        let mut all = plus(&all, &named.all_branches("proj_b"));
        normalize(&mut all, &named.all_branches("ln_g"), &named.all_branches("ln_b"));
        projected.push(all);
    }
    let mut features = embeddings;
    for (place, (order, before)) in [(2, 0), (3, 1), (5, 2)].into_iter().enumerate() {
        let rows: Rows = projected.iter().map(|all| all[place * 256..(place + 1) * 256].to_vec()).collect();
        let rows = convolve(&named, &rows, order, before, &format!("w1_{order}"), &format!("b1_{order}"));
        let rows = convolve(&named, &rows, order, before, &format!("w2_{order}"), &format!("b2_{order}"));
        for (features, row) in features.iter_mut().zip(rows) {
            features.extend(row);
        }
    }
    let mut mean = vec![0.0; 512];
    for features in &mut features {
        normalize(features, &named.row("ln_g"), &named.row("ln_b"));
        mean = plus(&mean, &plus(&named.product(features, "cnn_W"), &named.row("cnn_b")));
    }
    let root = (pieces.len() as f64).sqrt();
    mean.iter_mut().for_each(|value| *value /= root);
    let one = positive(&named.product(&mean, "d0"));
    let two = positive(&plus(&named.product(&mean, "p1"), &named.product(&one, "d1")));
    let three = positive(&named.product(&two, "d2"));
    let result: Vec<f64> =
        plus(&named.product(&two, "p3"), &named.product(&three, "d3")).iter().map(|value| value.tanh()).collect();
    let length = result.iter().map(|value| value * value).sum::<f64>().sqrt();
    result.iter().map(|value| value / length).collect()
}
