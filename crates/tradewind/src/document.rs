//! The document: the shared sections and those of each door, read from a file or made from the environment.

use std::path::{Path, PathBuf};

use tradewind_core::Code;
use tradewind_door_models::{EMBEDDERS_SECTION, MODELS_SECTION, Models, RESPONDERS_SECTION};
use tradewind_policy::{MOST_BYTES, Problems, Root, SectionInfo, Shared, digest};
use tradewind_runtime::{environment, files};

/// The sections that doors own. A door's sections are named here and nowhere else.
pub(crate) const SECTIONS: &[SectionInfo] = &[MODELS_SECTION, RESPONDERS_SECTION, EMBEDDERS_SECTION];

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The environment, when there is no file.
    BuiltIn,
}

impl Source {
    /// What `-f` and `-d` mean; without them `tradewind.yaml` in the present directory, if it is there.
    #[must_use]
    pub fn choose(file: Option<PathBuf>, directory: Option<PathBuf>) -> Self {
        let usual = PathBuf::from("tradewind.yaml");
        match (file, directory) {
            (Some(file), _) => Self::File(file),
            (None, Some(directory)) => Self::File(directory.join("config.yaml")),
            (None, None) if usual.is_file() => Self::File(usual),
            (None, None) => Self::BuiltIn,
        }
    }

    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::BuiltIn => "built in".to_owned(),
        }
    }
}

/// A document that is whole and right.
#[derive(Clone, Debug)]
pub struct Document {
    /// The tree, for comparing with the next one.
    pub root: Root,
    /// The sections that all parts share.
    pub shared: Shared,
    /// The sections of the models door.
    pub models: Models,
    /// The digest of its governed content.
    pub policy: String,
}

impl Document {
    /// Reads `text`.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be found in one go.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let root = Root::parse(text, &environment, SECTIONS, &mut problems);
        let shared = Shared::decode(&root, &mut problems);
        let models = Models::decode(&root, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let policy = digest(&root);
        Ok(Self { root, shared, models, policy })
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The problems of the file, rendered for a person.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let text = files::read_text(path, MOST_BYTES as u64).map_err(|error| {
            let code = Code::ConfigUnreadable;
            format!(
                "error[{code}]: {name} cannot be read: {error}\n  = hint: check the path, and whether you may read it"
            )
        })?;
        Self::parse(&text).map_err(|problems| problems.render(&name, &text))
    }
}
