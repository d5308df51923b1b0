//! Paths of files that the configuration may name.

use std::path::{Component, Path};

/// Whether a relative path stays below the directory that it is relative to. An absolute one is compared with that
/// directory by whoever knows it.
pub(in super::super) fn inside(path: &str) -> bool {
    let mut depth = 0_usize;
    for component in Path::new(path).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_path_may_not_lead_out() {
        for path in ["a.yaml", "./a.yaml", "sub/a.yaml", "sub/../a.yaml", "/etc/a", "a..b", "..a"] {
            assert!(inside(path), "{path}");
        }
        for path in ["..", "../a", "sub/../../a", "./../a", "/../a", "a\0b"] {
            assert!(!inside(path), "{path}");
        }
    }
}
