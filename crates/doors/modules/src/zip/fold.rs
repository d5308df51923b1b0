//! What a name is where upper and lower case are not told apart (Unicode's simple case folding).

/// The one character that stands for all that differ from it by case alone; `k`, `K` and the Kelvin sign are one.
///
/// The upper and lower case that `char` knows give the folding but for four letters, which are named here; a test compares
/// all of it with Go's.
pub(super) fn fold(character: char) -> char {
    match character {
        character if character.is_ascii() => character.to_ascii_lowercase(),
        // Its upper case is that of the i with a dot, and it is not the same letter.
        '\u{131}' => character,
        // These have upper case of several characters, and are each the same as another one.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => {
            let upper = only(character.to_uppercase()).unwrap_or(character);
            only(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

/// The character of a mapping to exactly one.
fn only(mut mapping: impl Iterator<Item = char>) -> Option<char> {
    let first = mapping.next();
    mapping.next().map_or(first, |_| None)
}
