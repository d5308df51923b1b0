//! Names: module paths, versions, what a request asks for, and the patterns that say whose modules they are.
//!
//! The rules are those of Go's `golang.org/x/mod/{module,semver}` and `path.Match`, tried against Go itself
//! (`tests/rigs/go_oracle.py`); what is stricter here is a length, because names become names of files. A value of one of
//! these types has been checked: nothing behind it looks for `..`, upper case in an escape, or a slash that came encoded.

mod asked;
mod element;
mod escape;
mod module_version;
mod path;
mod pattern;
mod pseudo;
mod quote;
mod semver;
mod version;

pub use asked::{Asked, BadRequest, LONGEST_REQUEST, Query, SumdbAsked, SumdbName};
pub use element::{BadFilePath, PathFault, check_file_path};
pub use module_version::{BadModuleVersion, ModuleVersion};
pub use path::{BadModulePath, LONGEST_MODULE_PATH, ModulePath};
pub use pattern::{BadPattern, Pattern, Patterns};
pub use pseudo::pseudo_version;
pub use quote::quoted;
pub use version::{BadVersion, LONGEST_VERSION, Version};
