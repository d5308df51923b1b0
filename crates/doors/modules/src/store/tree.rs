//! Names of trees: each mount has a cache of its own, so that what one upstream says never answers for another.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The name of one mount's cache, such as `go` or `mod/404`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tree {
    name: Arc<str>,
    folder: Arc<str>,
}

impl Tree {
    /// The tree with this name; any text is one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), folder: component(name).into() }
    }

    /// Its name as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, to be kept.
    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tree whose folder has this name; `None` when no tree has.
    pub(super) fn of_folder(folder: &str) -> Option<Self> {
        let tree = Self::new(&text_of_component(folder)?);
        (&*tree.folder == folder).then_some(tree)
    }

    /// The name of its folder.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({})", self.name)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// `text` as one component of a path that is the same on every file system, also on one that does not tell upper from
/// lower case: what is not a lower-case letter, a digit, `-`, `_` or a dot behind the first place becomes `%` and two
/// hexadecimal digits, and nothing is `%`.
pub(super) fn component(text: &str) -> String {
    let mut component = String::with_capacity(text.len());
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => component.push(char::from(byte)),
            b'.' if place > 0 => component.push('.'),
            _ => write!(component, "%{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    if component.is_empty() {
        component.push('%');
    }
    component
}

/// Undoes [`component`]; `None` for what it never makes.
fn text_of_component(component: &str) -> Option<String> {
    if component == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(component.len());
    let mut rest = component.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first == b'%' {
            let [byte] = tradewind_core::from_hex::<1>(behind.get(..2)?)?;
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_one_component_each() {
        for (name, folder) in [
            ("go", "go"),
            ("mod/404", "mod%2f404"),
            ("..", "%2e."),
            ("", "%"),
            ("sum.golang.org", "sum.golang.org"),
            ("Go", "%47o"),
            ("%", "%25"),
        ] {
            assert_eq!(component(name), folder);
            assert_eq!(Tree::of_folder(folder).unwrap().name(), name);
        }
        for stranger in ["Go", "a%2", "%4G", "%ff", "a b"] {
            assert_eq!(Tree::of_folder(stranger), None, "{stranger}");
        }
    }

    proptest! {
        #[test]
        fn no_two_names_share_a_folder(name in ".*") {
            let folder = component(&name);
            prop_assert!(!folder.is_empty() && !folder.starts_with('.') && !folder.contains(['/', '\\', '\0']));
            prop_assert_eq!(&folder.to_lowercase(), &folder);
            prop_assert_eq!(text_of_component(&folder), Some(name));
        }
    }
}
