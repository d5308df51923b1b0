//! The go command that a shell would run, and where it was installed.

use std::path::{Path, PathBuf};

use tradewind_runtime::files;

use super::go_version::GoVersion;
use super::program;

/// A go command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoTool {
    /// The program in `PATH`.
    pub path: PathBuf,
    /// GOROOT; `None` when it cannot be told from where the program is.
    pub root: Option<PathBuf>,
    /// The version that it has itself, before it switches to another toolchain.
    pub version: Option<GoVersion>,
    /// The text of that version: `go1.27.3`, `devel …`.
    pub version_text: Option<String>,
}

impl GoTool {
    /// The go command at `path`, with its root: `root` when that is set, else where the program is, else what it says
    /// itself.
    #[must_use]
    pub(crate) fn at(path: PathBuf, root: Option<PathBuf>) -> Self {
        let (mut root, mut version_text) = (root.or_else(|| root_of(&path)), None);
        if root.is_none() {
            // A script that starts the real one: only it knows.
            let args = ["env", "GOROOT", "GOVERSION"];
            if let Some(output) = program::output(&path, &args, &[("GOTOOLCHAIN", "local"), ("GOWORK", "off")]) {
                let mut lines = output.lines();
                root = lines.next().filter(|line| !line.is_empty()).map(PathBuf::from);
                version_text = lines.next().map(str::to_owned);
            }
        }
        let file = root.as_ref().map(|root| root.join("VERSION"));
        let from_file = file.and_then(|file| files::read_text(&file, 4096).ok());
        let from_file = from_file.and_then(|text| text.lines().next().map(|line| line.trim().to_owned()));
        let version_text = from_file.or(version_text);
        let version = version_text.as_deref().and_then(GoVersion::parse);
        Self { path, root, version, version_text }
    }
}

/// The folder two above the program, if that is a GOROOT; then the same for the file that a link leads to.
fn root_of(path: &Path) -> Option<PathBuf> {
    let linked = path.canonicalize().ok();
    let places = [Some(path.to_owned()), linked];
    let mut roots = places.into_iter().flatten().flat_map(|place| {
        let two_up = place.parent().and_then(Path::parent).map(Path::to_owned);
        let three_up = two_up.as_ref().and_then(|folder| folder.parent()).map(Path::to_owned);
        [two_up, three_up]
    });
    roots.find_map(|root| root.filter(|root| root.join("pkg").join("tool").is_dir()))
}
