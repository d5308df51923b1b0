//! The storage of Athens on disk: `<module>/<version>/{go.mod,source.zip,<version>.info}`, module and version as they are,
//! or escaped as in requests by some of its versions.

use std::path::Path;

use crate::bundle::{BundleError, Contents};
use crate::name::{ModulePath, ModuleVersion, Version};

/// What is in the storage folder of an Athens. Versions that are not whole are left out, as are all other files.
///
/// # Errors
/// When the folder cannot be read.
pub fn athens(folder: &Path) -> Result<Contents, BundleError> {
    Contents::of_versions(folder, find)
}

fn find(name: &str) -> Option<(ModuleVersion, &'static str)> {
    let (folder, file) = name.rsplit_once('/')?;
    let (module, version) = folder.rsplit_once('/')?;
    let kind = match file {
        "go.mod" => "mod",
        "source.zip" => "zip",
        _ if file.strip_suffix(".info") == Some(version) => "info",
        _ => return None,
    };
    let path = if module.contains('!') { ModulePath::from_escaped(module) } else { ModulePath::parse(module) };
    let version = if version.contains('!') { Version::from_escaped(version) } else { Version::parse(version) };
    Some((ModuleVersion::new(path.ok()?, version.ok()?).ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_names() {
        for (name, found) in [
            ("github.com/Azure/x/v1.0.0/go.mod", Some(("github.com/Azure/x@v1.0.0", "mod"))),
            ("github.com/!azure/x/v1.0.0-!r!c1/source.zip", Some(("github.com/Azure/x@v1.0.0-RC1", "zip"))),
            ("github.com/a/x/v1.0.0/v1.0.0.info", Some(("github.com/a/x@v1.0.0", "info"))),
            ("github.com/a/x/v1.0.0/v1.0.1.info", None),
            ("github.com/a/x/v1.0.0/other", None),
            ("github.com/a/x/v2.0.0/go.mod", None),
            ("github.com/a/x/master/go.mod", None),
            ("go.mod", None),
        ] {
            let is = find(name).map(|(of, kind)| (of.to_string(), kind));
            assert_eq!(is, found.map(|(of, kind)| (of.to_owned(), kind)), "{name}");
        }
    }
}
