//! What is counted, and the typos.

use ring::digest;

/// Whether an item is one that weights may be tuned on: a SHA-256 with an even first byte.
pub(crate) fn tuning(id: &str) -> bool {
    digest::digest(&digest::SHA256, format!("20261121:{id}").as_bytes()).as_ref()[0].is_multiple_of(2)
}

/// Prints one row: a measure of the tuning half, of the held-out one, and of all.
pub(crate) fn row(what: &str, measure: impl Fn(fn(bool) -> bool) -> f64) {
    let parts = [measure(|tuning| tuning), measure(|tuning| !tuning), measure(|_| true)];
    println!("| {what} | {:.3} | {:.3} | {:.3} |", parts[0], parts[1], parts[2]);
}

/// Right and wrong answers, each with its half.
#[derive(Default)]
pub(crate) struct Answers(Vec<(bool, bool)>);

impl Answers {
    pub(crate) fn add(&mut self, id: &str, right: bool) {
        self.0.push((tuning(id), right));
    }

    /// Share of right ones.
    pub(crate) fn accuracy(&self, half: fn(bool) -> bool) -> f64 {
        let these: Vec<bool> = self.0.iter().filter(|answer| half(answer.0)).map(|answer| answer.1).collect();
        these.iter().filter(|right| **right).count() as f64 / these.len().max(1) as f64
    }

    pub(crate) fn print(&self, what: &str) {
        row(what, |half| self.accuracy(half));
    }
}

/// How often one of `high` exceeds one of `low`, ties counting half.
pub(crate) fn area_under_curve(high: &[f32], low: &[f32]) -> f64 {
    let mut wins = 0.0;
    for one in high {
        for other in low {
            wins += if one > other {
                1.0
            } else if one == other {
                0.5
            } else {
                0.0
            };
        }
    }
    wins / (high.len() * low.len()).max(1) as f64
}

/// Mean distance between confidence and truth over ten bins of confidence, weighted by their sizes.
pub(crate) fn calibration_error(rows: &[(f32, bool)]) -> f64 {
    let mut bins = [(0.0f64, 0.0f64, 0.0f64); 10];
    for (confidence, truth) in rows {
        let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
        bin.0 += 1.0;
        bin.1 += f64::from(*confidence);
        bin.2 += f64::from(u8::from(*truth));
    }
    bins.iter().map(|bin| (bin.1 - bin.2).abs()).sum::<f64>() / rows.len() as f64
}

fn drawn_by(seed: &str) -> fastrand::Rng {
    let digest = digest::digest(&digest::SHA256, seed.as_bytes());
    fastrand::Rng::with_seed(u64::from_le_bytes(digest.as_ref()[..8].try_into().expect("8 bytes")))
}

/// The numbers below `count` in parts of `size`, shuffled by `seed`; what is left over is in no part.
pub(crate) fn parted(count: usize, size: usize, seed: &str) -> Vec<Vec<usize>> {
    let mut all: Vec<usize> = (0..count).collect();
    drawn_by(seed).shuffle(&mut all);
    all.chunks_exact(size).map(<[usize]>::to_vec).collect()
}

/// Puts one typo (two letters swapped, one dropped, doubled or replaced) into 10 % of the words of two letters and more,
/// at least one word, drawn by `seed`.
pub(crate) fn with_typos(text: &str, seed: &str) -> String {
    let mut random = drawn_by(seed);
    let mut words: Vec<String> = text.split_inclusive(char::is_whitespace).map(str::to_owned).collect();
    let eligible = |word: &String| word.chars().filter(|character| character.is_alphanumeric()).count() >= 2;
    let mut places: Vec<usize> = (0..words.len()).filter(|at| eligible(&words[*at])).collect();
    random.shuffle(&mut places);
    let count = (places.len() as f64 / 10.0).round().max(1.0) as usize;
    for place in places.into_iter().take(count) {
        let mut characters: Vec<char> = words[place].chars().collect();
        let letters: Vec<usize> = (0..characters.len()).filter(|at| characters[*at].is_alphanumeric()).collect();
        let at = letters[random.usize(..letters.len())];
        match random.u8(..4) {
            0 => {
                let other = if letters.contains(&(at + 1)) { at + 1 } else { at.saturating_sub(1) };
                characters.swap(at, other);
            }
            1 => drop(characters.remove(at)),
            2 => characters.insert(at, characters[at]),
            _ => characters[at] = random.lowercase(),
        }
        words[place] = characters.into_iter().collect();
    }
    words.concat()
}
