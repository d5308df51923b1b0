//! The keys that values are sealed with: fetched from where the document says.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tradewind_door_state::{Encryption, KeySource, SealingKey};
use tradewind_runtime::files;
use tradewind_store::seal::{MasterKey, Masters, SealError, Sealer};

/// The longest text of a key.
const LONGEST: u64 = 4096;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a key cannot be used. Never with anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("the key `{id}`: {path} cannot be read: {error}")]
    File {
        /// Which key.
        id: Arc<str>,
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The command.
    #[error("the key `{id}`: `{program}` {why}")]
    Command {
        /// Which key.
        id: Arc<str>,
        /// The program.
        program: String,
        /// What is wrong with it.
        why: String,
    },
    /// What came is no key.
    #[error("the key `{id}`: {error}")]
    Bad {
        /// Which key.
        id: Arc<str>,
        /// Why not.
        error: SealError,
    },
    /// The keys do not go together.
    #[error(transparent)]
    Together(SealError),
}

/// What seals, when the document has keys.
pub(super) async fn sealer(encryption: Option<&Encryption>) -> Result<Option<Arc<Sealer>>, KeyError> {
    let Some(Encryption { key, previous }) = encryption else { return Ok(None) };
    let current = master(key).await?;
    let mut earlier = Vec::with_capacity(previous.len());
    for key in previous {
        earlier.push(master(key).await?);
    }
    let masters = Masters::new(current, earlier).map_err(KeyError::Together)?;
    Ok(Some(Arc::new(Sealer::new(masters))))
}

async fn master(key: &SealingKey) -> Result<MasterKey, KeyError> {
    let SealingKey { id, source } = key;
    let bytes = match source {
        KeySource::Text(text) => text.expose().clone().into_bytes(),
        KeySource::File(path) => files::read_bytes(&files::expand_home(path), LONGEST)
            .map_err(|error| KeyError::File { id: id.clone(), path: path.clone(), error })?,
        KeySource::Command(words) => {
            let program = words.first().map_or("", |word| word);
            let failed = |why| KeyError::Command { id: id.clone(), program: program.to_owned(), why };
            let printing = printed(program, words.get(1..).unwrap_or_default());
            match tokio::time::timeout(PATIENCE, printing).await {
                Ok(printed) => printed.map_err(failed)?,
                Err(_) => return Err(failed(format!("did not end within {} s", PATIENCE.as_secs()))),
            }
        }
    };
    MasterKey::new(id, &bytes).map_err(|error| KeyError::Bad { id: id.clone(), error })
}

/// What a program prints. It is killed when it prints too much, or when nobody waits any more; its errors go where ours go.
async fn printed(program: &str, arguments: &[String]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let mut bytes = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(LONGEST + 1).read_to_end(&mut bytes).await.map_err(|error| format!("cannot be read: {error}"))?;
    }
    if bytes.len() as u64 > LONGEST {
        return Err(format!("prints more than {LONGEST} bytes"));
    }
    let status = child.wait().await.map_err(|error| format!("cannot be waited for: {error}"))?;
    if status.success() { Ok(bytes) } else { Err(format!("ended with {status}")) }
}

#[cfg(test)]
mod tests {
    use tradewind_core::Secret;

    use super::*;

    const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";

    fn key(source: KeySource) -> SealingKey {
        SealingKey { id: "a".into(), source }
    }

    fn command(words: &[&str]) -> SealingKey {
        key(KeySource::Command(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    #[tokio::test]
    async fn a_key_comes_from_text_file_and_command() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.key");
        files::write_private(&file, format!("{KEY}\n").as_bytes()).unwrap();
        for good in [
            key(KeySource::Text(Secret::new(KEY.to_owned()))),
            key(KeySource::File(file.display().to_string())),
            command(&["echo", KEY]),
        ] {
            assert_eq!(master(&good).await.unwrap().id(), "a");
        }
    }

    #[tokio::test]
    async fn what_gives_no_key_is_said_without_the_key() {
        let missing = key(KeySource::File("/does/not/exist".to_owned()));
        for (bad, about) in [
            (key(KeySource::Text(Secret::new("hunter2".to_owned()))), "32 random bytes"),
            (missing, "cannot be read"),
            (command(&["/does/not/exist"]), "cannot be run"),
            (command(&["false"]), "ended with"),
            (command(&["echo", "hunter2"]), "32 random bytes"),
            (command(&["sh", "-c", "head -c 5000 /dev/zero"]), "more than 4096"),
        ] {
            let error = master(&bad).await.expect_err(about).to_string();
            assert!(error.contains(about) && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn keys_have_ids_of_their_own() {
        assert!(sealer(None).await.unwrap().is_none());
        let one = key(KeySource::Text(Secret::new(KEY.to_owned())));
        let both = Encryption { key: one.clone(), previous: vec![one] };
        assert!(matches!(sealer(Some(&both)).await, Err(KeyError::Together(_))));
    }
}
