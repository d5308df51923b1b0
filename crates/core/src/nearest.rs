//! "Did you mean": the nearest of a list of names.

/// The candidate nearest to `wanted` by edit distance, if one is near enough to be worth naming.
///
/// Near enough: at most a third of the longer name's characters differ, or one name begins with the other.
/// Ties go to the first candidate. Names over 64 characters are compared by their first 64.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(64).flat_map(char::to_lowercase).collect();
        let longer = wanted.len().max(letters.len());
        let distance = edit_distance(&wanted, &letters);
        let prefix =
            wanted.len().min(letters.len()) >= 3 && (letters.starts_with(&wanted) || wanted.starts_with(&letters));
        if distance * 3 > longer && !prefix {
            continue;
        }
        if best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours each cost one.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, right) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(left != right)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["assistant", "private", "gpt-5-mini"];
        assert_eq!(nearest("asistant", names), Some("assistant"));
        assert_eq!(nearest("gpt-5-mnii", names), Some("gpt-5-mini"));
        assert_eq!(nearest("GPT-5", names), Some("gpt-5-mini"));
        assert_eq!(nearest("claude", names), None);
        assert_eq!(nearest("", names), None);
    }
}
