//! Version control, through the installed `git`: versions are tags and commits, and a zip is made of the files of one.
//!
//! Only what the go command itself would do for a git repository, and only over https and ssh. A repository is mirrored
//! below the data directory, and asked for news at most once a minute. Git has its own settings for proxies and credentials;
//! the gateway's `via` is for finding the repository alone.

mod discover;
mod mirror;
mod pack;
mod program;
mod tree;
mod versions;

use std::sync::Arc;

use tradewind_egress::{Egress, Roots};

use self::discover::Place;
pub(crate) use self::mirror::Mirrors;
#[cfg(test)]
pub(crate) use self::pack::Packer;
use self::versions::Code;
use super::opened::Opened;
use crate::failure::Failure;
use crate::name::{Asked, Query};

/// Where a mirror keeps what the repository's own HEAD is.
const HEAD: &str = "refs/tradewind/head";

/// Version control as one mount asks it.
pub(crate) struct Git {
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) egress: Arc<Egress>,
    pub(super) roots: Roots,
    pub(super) via: Option<Arc<str>>,
}

impl Git {
    /// Makes what is asked for out of a repository.
    pub(super) async fn open(&self, asked: &Asked) -> Result<Opened, Failure> {
        let path = match (asked, asked.module()) {
            (Asked::Sumdb(_), _) | (_, None) => {
                return Err(Failure::missing("version control has no checksum database"));
            }
            (_, Some(path)) => path,
        };
        let place: Place = self.find(path).await?;
        // A version that is here already needs no news: a tag stays what it was.
        if is_version(asked)
            && let Some(mirror) = self.mirrors.kept(&place.url)
        {
            match answer(&Code { mirror: &mirror, place: &place, path }, asked).await {
                Err(failure) if failure.is_missing() => {}
                answered => return answered,
            }
        }
        let mirror = self.mirrors.open(&place.url).await?;
        answer(&Code { mirror: &mirror, place: &place, path }, asked).await
    }
}

/// Whether what is asked for never changes.
const fn is_version(asked: &Asked) -> bool {
    matches!(asked, Asked::Info(_, Query::Version(_)) | Asked::Mod(_) | Asked::Zip(_))
}

/// Makes the answer out of what is mirrored.
async fn answer(code: &Code<'_>, asked: &Asked) -> Result<Opened, Failure> {
    let from: Arc<str> = code.place.url.as_str().into();
    let whole = |text: String| Opened::whole(Arc::clone(&from), text.into());
    match asked {
        Asked::List(_) => code.list().await.map(whole),
        Asked::Latest(_) => code.latest().await.map(whole),
        Asked::Info(_, Query::Version(version)) => code.info(version).await.map(whole),
        Asked::Info(_, Query::Other(query)) => code.query(query).await.map(whole),
        Asked::Mod(of) => {
            let go_mod = code.go_mod(&of.version).await?;
            Ok(Opened::whole(Arc::clone(&from), go_mod))
        }
        Asked::Zip(of) => {
            let (file, length) = code.zip(of).await?;
            Ok(Opened::file(Arc::clone(&from), length, file))
        }
        Asked::Sumdb(_) => Err(Failure::missing("version control has no checksum database")),
    }
}
