//! The document: the shared sections and those of each door, read from a file or made from the environment.

use std::path::{Path, PathBuf};

use tradewind_core::Code;
use tradewind_door_control::NewDocument;
use tradewind_door_models::{EMBEDDERS_SECTION, MODELS_SECTION, Models, RESPONDERS_SECTION};
use tradewind_door_modules::{MODULES_SECTION, Modules};
use tradewind_door_state::{KeySource, STATE_SECTION, STORE_SECTION, StateSection};
use tradewind_policy::ways::Ways;
use tradewind_policy::{MOST_BYTES, Note, Problems, Root, SectionInfo, Shared, digest};
use tradewind_runtime::{environment, files};

/// The sections that doors own. A door's sections are named here and nowhere else.
pub(crate) const SECTIONS: &[SectionInfo] =
    &[MODELS_SECTION, RESPONDERS_SECTION, EMBEDDERS_SECTION, MODULES_SECTION, STORE_SECTION, STATE_SECTION];

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A directory with a `config.yaml`, as Clash and mihomo have it: relative paths are relative to it, and the gateway
    /// keeps its own files in it.
    Directory(PathBuf),
    /// The environment, when there is no file.
    BuiltIn,
}

/// The file of a directory.
pub(crate) const CONFIG_FILE: &str = "config.yaml";
/// Where the gateway keeps its files in a directory whose file does not say.
const DATA_IN_DIRECTORY: &str = ".tradewind";

impl Source {
    /// What `-f` and `-d` mean; without them `tradewind.yaml` in the present directory, if it is there.
    #[must_use]
    pub fn choose(file: Option<PathBuf>, directory: Option<PathBuf>) -> Self {
        let usual = PathBuf::from("tradewind.yaml");
        match (file, directory) {
            (Some(file), _) => Self::File(file),
            (None, Some(directory)) => Self::Directory(directory),
            (None, None) if usual.is_file() => Self::File(usual),
            (None, None) => Self::BuiltIn,
        }
    }

    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path().map_or_else(|| "built in".to_owned(), |path| path.display().to_string())
    }

    /// The file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Directory(directory) => Some(directory.join(CONFIG_FILE)),
            Self::BuiltIn => None,
        }
    }

    /// Reads the document; `None` without a file.
    #[must_use]
    pub fn load(&self) -> Option<Result<Document, String>> {
        match self {
            Self::File(path) => Some(Document::load(path)),
            Self::Directory(directory) => Some(Document::load_directory(directory)),
            Self::BuiltIn => None,
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
    /// The section of the modules door, where there is one.
    pub modules: Option<Modules>,
    /// The sections of the state door.
    pub state: StateSection,
    /// The digest of its governed content.
    pub policy: String,
    /// What there is to say about it that blocks nothing, in the order of the file.
    pub notes: Vec<Note>,
    /// The directory that the files of `proxy-providers`, `rule-providers` and `external-ui` are relative to, and lie in:
    /// that of the file.
    pub base: PathBuf,
}

impl Document {
    /// Reads `text`, which is in the present directory.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be found in one go.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        Self::parse_in(text, Path::new("."))
    }

    /// Reads `text`, which is in the directory `base`.
    fn parse_in(text: &str, base: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let root = Root::parse(text, &environment, SECTIONS, &mut problems);
        let shared = Shared::decode(&root, &mut problems);
        let models = Models::decode(&root, &mut problems);
        let modules = Modules::decode(&root, &shared, &mut problems);
        let state = StateSection::decode(&root, &mut problems);
        check_files(&shared.ways, base, &root, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let policy = digest(&root);
        let notes = problems.notes().into_iter().cloned().collect();
        Ok(Self { root, shared, models, modules, state, policy, notes, base: base.to_owned() })
    }

    /// Reads another document in the place of the one from `source`: the same file again, another one below its directory, or
    /// a text. Relative paths are relative to the same directory.
    ///
    /// # Errors
    /// What is wrong with it, rendered for a person.
    pub fn load_instead(asked: &NewDocument, source: &Source, base: &Path) -> Result<Self, String> {
        let document = match asked {
            NewDocument::Again => {
                return source.load().unwrap_or_else(|| Err("there is no configuration file".to_owned()));
            }
            NewDocument::File(path) => Self::load_in(path, base)?,
            NewDocument::Text(text) if text.len() > MOST_BYTES => return Err(format!("it is over {MOST_BYTES} bytes")),
            NewDocument::Text(text) => {
                Self::parse_in(text, base).map_err(|problems| problems.render("payload", text))?
            }
        };
        Ok(match source {
            Source::Directory(directory) => document.in_directory(directory),
            Source::File(_) | Source::BuiltIn => document,
        })
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The problems of the file, rendered for a person.
    pub fn load(path: &Path) -> Result<Self, String> {
        let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Self::load_in(path, base)
    }

    /// Reads the `config.yaml` of a directory. All of its relative paths are relative to that, and the gateway's own files
    /// are in `.tradewind` there, unless it says otherwise.
    ///
    /// # Errors
    /// The problems of the file, rendered for a person.
    pub fn load_directory(directory: &Path) -> Result<Self, String> {
        Self::load_in(&directory.join(CONFIG_FILE), directory).map(|document| document.in_directory(directory))
    }

    /// Takes all relative paths as relative to `directory`, and keeps the gateway's own files there.
    fn in_directory(mut self, directory: &Path) -> Self {
        let shared = &mut self.shared;
        if self.root.section("data-dir").is_none() {
            shared.data_dir.0 = DATA_IN_DIRECTORY.to_owned();
        }
        let tls = shared.tls.iter_mut().flat_map(|tls| [&mut tls.cert, &mut tls.key]);
        let roots = shared.providers.iter_mut().filter_map(|provider| provider.tls_roots.as_mut());
        let mounts = self.modules.iter_mut().flat_map(|modules| &mut modules.mounts);
        let of_modules = mounts.filter_map(|mount| mount.tls_roots.as_mut());
        let keys = self.state.encryption.iter_mut().flat_map(|all| all.previous.iter_mut().chain([&mut all.key]));
        let of_state = keys.filter_map(|key| match &mut key.source {
            KeySource::File(path) => Some(path),
            KeySource::Text(_) | KeySource::Command(_) => None,
        });
        for path in tls.chain(roots).chain(of_modules).chain(of_state).chain([&mut shared.data_dir.0]) {
            if !path.starts_with('~') {
                *path = directory.join(&*path).display().to_string();
            }
        }
        self
    }

    fn load_in(path: &Path, base: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let text = files::read_text(path, MOST_BYTES as u64).map_err(|error| {
            let code = Code::ConfigUnreadable;
            format!(
                "error[{code}]: {name} cannot be read: {error}\n  = hint: check the path, and whether you may read it"
            )
        })?;
        Self::parse_in(&text, base).map_err(|problems| problems.render(&name, &text))
    }
}

/// Refuses absolute paths of files that are not below `base`: whoever may change the configuration could have any file
/// read, or written.
fn check_files(ways: &Ways, base: &Path, root: &Root, problems: &mut Problems) {
    let Ok(base) = std::path::absolute(base) else { return };
    for (path, file) in ways.files() {
        if Path::new(file).is_absolute() && !Path::new(file).starts_with(&base) {
            let message = format!("path is not subpath of home directory: {}", base.display());
            let problem = root.problem(Code::ConfigBadValue, &path, message);
            problems.push(problem.with_hint("a path below the directory of the configuration"));
        }
    }
}
