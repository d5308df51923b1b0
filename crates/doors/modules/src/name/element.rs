//! The rules for slash-separated paths and their elements, which module paths and names of files share.

use std::fmt;

use unicode_general_category::{GeneralCategory, get_general_category};

use super::quote::{QuotedChar, quoted};

/// What is wrong with a path, in the words of the go command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathFault {
    /// There is nothing.
    Empty,
    /// It is longer, as it is or escaped, than a name of a file may be.
    TooLong,
    /// An element has nothing in it; the path begins with `/`.
    EmptyElement,
    /// It begins with `-`.
    LeadingDash,
    /// It has `//`.
    DoubleSlash,
    /// It ends with `/`.
    TrailingSlash,
    /// An element has nothing in it but dots.
    Dots(Box<str>),
    /// An element begins with a dot.
    LeadingDot,
    /// An element ends with a dot.
    TrailingDot,
    /// A character that is not allowed.
    Char(char),
    /// An element that is the name of a device on Windows.
    Reserved(Box<str>),
    /// An element that looks like a short name on Windows, `x~1`.
    ShortName,
    /// The first element has no dot.
    NoDotInFirst,
    /// The first element begins with `-`.
    LeadingDashInFirst,
    /// A character that is not allowed in a domain name.
    CharInFirst(char),
    /// The end looks like a major version and is not one that may be there: `/v1`, `/v02`, `/v2.1`.
    Major,
    /// An escape that is not `!` and a lower-case letter, or upper case that is not escaped.
    Escape,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty string"),
            Self::TooLong => f.write_str("too long"),
            Self::EmptyElement => f.write_str("empty path element"),
            Self::LeadingDash => f.write_str("leading dash"),
            Self::DoubleSlash => f.write_str("double slash"),
            Self::TrailingSlash => f.write_str("trailing slash"),
            Self::Dots(element) => write!(f, "invalid path element {}", quoted(element)),
            Self::LeadingDot => f.write_str("leading dot in path element"),
            Self::TrailingDot => f.write_str("trailing dot in path element"),
            Self::Char(character) => write!(f, "invalid char {}", QuotedChar(*character)),
            Self::Reserved(element) => {
                write!(f, "{} disallowed as path element component on Windows", quoted(element))
            }
            Self::ShortName => f.write_str("trailing tilde and digits in path element"),
            Self::NoDotInFirst => f.write_str("missing dot in first path element"),
            Self::LeadingDashInFirst => f.write_str("leading dash in first path element"),
            Self::CharInFirst(character) => {
                write!(f, "invalid char {} in first path element", QuotedChar(*character))
            }
            Self::Major => f.write_str("invalid version"),
            Self::Escape => f.write_str("invalid escape"),
        }
    }
}

/// Which rules hold for a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A module path.
    Module,
    /// The name of a file in a module.
    File,
}

/// Why a text is not the name of a file in a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed file path {}: {fault}", quoted(path))]
pub struct BadFilePath {
    /// The text.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

/// Checks the name of a file in a module, relative and separated by slashes (`module.CheckFilePath`).
///
/// # Errors
/// When there is an empty or dots-only element, a character that some system does not allow, a name that Windows keeps for
/// itself, or a slash too many.
pub fn check_file_path(path: &str) -> Result<(), BadFilePath> {
    check_path(path, Kind::File).map_err(|fault| BadFilePath { path: path.to_owned(), fault })
}

/// Checks what holds for module paths and names of files alike.
pub(crate) fn check_path(path: &str, kind: Kind) -> Result<(), PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.starts_with('-') && kind == Kind::Module {
        return Err(PathFault::LeadingDash);
    }
    if path.contains("//") {
        return Err(PathFault::DoubleSlash);
    }
    if path.ends_with('/') {
        return Err(PathFault::TrailingSlash);
    }
    path.split('/').try_for_each(|element| check_element(element, kind))
}

/// Checks one element of a path.
pub(crate) fn check_element(element: &str, kind: Kind) -> Result<(), PathFault> {
    if element.is_empty() {
        return Err(PathFault::EmptyElement);
    }
    if element.bytes().all(|byte| byte == b'.') {
        return Err(PathFault::Dots(element.into()));
    }
    if element.starts_with('.') && kind == Kind::Module {
        return Err(PathFault::LeadingDot);
    }
    if element.ends_with('.') {
        return Err(PathFault::TrailingDot);
    }
    let is_allowed = match kind {
        Kind::Module => is_module_char,
        Kind::File => is_file_char,
    };
    if let Some(character) = element.chars().find(|character| !is_allowed(*character)) {
        return Err(PathFault::Char(character));
    }
    let stem = element.split('.').next().unwrap_or(element);
    if is_reserved(stem) {
        return Err(PathFault::Reserved(stem.into()));
    }
    let is_short = |(_, end): (&str, &str)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    if kind == Kind::Module && stem.rsplit_once('~').is_some_and(is_short) {
        return Err(PathFault::ShortName);
    }
    Ok(())
}

/// Letters and digits of ASCII, and `-._~`.
const fn is_module_char(character: char) -> bool {
    matches!(character, '-' | '.' | '_' | '~' | '0'..='9' | 'A'..='Z' | 'a'..='z')
}

/// Letters of any script, and punctuation that no system and no shell is troubled by.
fn is_file_char(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || "!#$%&()+,-.=@[]^_{}~ ".contains(character);
    }
    use GeneralCategory::{LowercaseLetter, ModifierLetter, OtherLetter, TitlecaseLetter, UppercaseLetter};
    matches!(
        get_general_category(character),
        LowercaseLetter | ModifierLetter | OtherLetter | TitlecaseLetter | UppercaseLetter
    )
}

/// Whether Windows takes it for a device, in whatever case.
pub(super) fn is_reserved(stem: &str) -> bool {
    let is = |name: &str| stem.eq_ignore_ascii_case(name);
    if stem.len() == 4 && stem.is_ascii() {
        return (is_port(stem, "com") || is_port(stem, "lpt")) && stem.as_bytes()[3] != b'0';
    }
    is("con") || is("prn") || is("aux") || is("nul")
}

/// Whether it is `name` and a digit.
fn is_port(stem: &str, name: &str) -> bool {
    stem[..3].eq_ignore_ascii_case(name) && stem.as_bytes()[3].is_ascii_digit()
}
