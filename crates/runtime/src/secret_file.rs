//! A secret of the gateway's own, kept in a file that only its owner may read.

use std::io::{self, Write};
use std::path::Path;

/// Reads the 32 bytes in `path`; when there is no such file, makes it with `fresh`.
///
/// # Errors
/// When the file cannot be read or made, or does not hold 32 bytes: it is not replaced, since what was sealed with it
/// would be lost.
pub fn read_or_make_secret(path: &Path, fresh: &[u8; 32]) -> io::Result<[u8; 32]> {
    match std::fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| {
            let message =
                format!("{} holds {} bytes where 32 are due; delete it for a new one", path.display(), bytes.len());
            io::Error::new(io::ErrorKind::InvalidData, message)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, fresh),
        Err(error) => Err(error),
    }
}

/// Written under another name first: a file that is there is always whole.
fn make(path: &Path, fresh: &[u8; 32]) -> io::Result<[u8; 32]> {
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(fresh)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(*fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        assert_eq!(read_or_make_secret(&path, &[1; 32]).unwrap(), [1; 32]);
        assert_eq!(read_or_make_secret(&path, &[2; 32]).unwrap(), [1; 32]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        #[expect(clippy::disallowed_methods, reason = "a test")]
        std::fs::write(&path, b"short").unwrap();
        assert!(read_or_make_secret(&path, &[3; 32]).unwrap_err().to_string().contains("5 bytes"));
    }
}
