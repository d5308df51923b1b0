//! The root certificates that the go command would take, and the files that they come from.
//!
//! On Linux, as Go's crypto/x509 does it: the first readable file of a list, or only `SSL_CERT_FILE`; and every file of two
//! folders, or only those of `SSL_CERT_DIR`. macOS and Windows have stores of their own, which Go asks there and this does
//! not: on those systems the same files are read, as far as there are any (untested).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tradewind_runtime::files;

use crate::settings::Environment;

/// The files that Go looks for on Linux; it takes the first.
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The folders that it reads as well.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// The largest file that is read, and the most files of a folder.
const MOST_BYTES: u64 = 16 << 20;
const MOST_FILES: usize = 2000;

/// Root certificates.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    /// The anchors, for checking chains.
    pub(crate) store: Arc<RootCertStore>,
    /// The certificates themselves: one of them may be a server's own.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// What was read and had certificates.
    pub(crate) read: Vec<PathBuf>,
    /// What a variable names and has none, with why.
    pub(crate) wrong: Vec<(&'static str, PathBuf, String)>,
}

impl Roots {
    /// Those of a process with this environment.
    pub(crate) fn of(environment: &Environment) -> Self {
        Self::from(environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR"), &FILES, &FOLDERS)
    }

    /// Those of a process without SSL_CERT_FILE and SSL_CERT_DIR.
    pub(crate) fn usual() -> Self {
        Self::from(None, None, &FILES, &FOLDERS)
    }

    /// Those of one file alone.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self::from(path.to_str(), None, &[], &[])
    }

    fn from(file: Option<&str>, folder: Option<&str>, files: &[&str], folders: &[&str]) -> Self {
        let mut store = RootCertStore::empty();
        let mut roots =
            Self { store: Arc::new(store.clone()), certificates: Vec::new(), read: Vec::new(), wrong: Vec::new() };
        match file {
            Some(path) => {
                if let Err(why) = roots.read_file(Path::new(path), &mut store) {
                    roots.wrong.push(("SSL_CERT_FILE", PathBuf::from(path), why));
                }
            }
            None => {
                // Go stops at the first that can be read, whatever is in it.
                let _ = files.iter().find(|path| {
                    Path::new(path).is_file() && {
                        let _ = roots.read_file(Path::new(path), &mut store);
                        true
                    }
                });
            }
        }
        match folder {
            Some(list) => {
                for path in list.split(':').filter(|path| !path.is_empty()) {
                    if let Err(why) = roots.read_folder(Path::new(path), &mut store) {
                        roots.wrong.push(("SSL_CERT_DIR", PathBuf::from(path), why));
                    }
                }
            }
            None => {
                for path in folders {
                    let _ = roots.read_folder(Path::new(path), &mut store);
                }
            }
        }
        roots.store = Arc::new(store);
        roots
    }

    fn read_file(&mut self, path: &Path, store: &mut RootCertStore) -> Result<(), String> {
        let bytes = files::read_bytes(path, MOST_BYTES).map_err(|error| error.to_string())?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok) {
            count += 1;
            // What no checker can read is no root for it, as in Go.
            if !self.certificates.contains(&certificate) && store.add(certificate.clone()).is_ok() {
                self.certificates.push(certificate);
            }
        }
        if count == 0 {
            return Err("there is no certificate in it".to_owned());
        }
        self.read.push(path.to_owned());
        Ok(())
    }

    fn read_folder(&mut self, path: &Path, store: &mut RootCertStore) -> Result<(), String> {
        let entries = path.read_dir().map_err(|error| error.to_string())?;
        let before = self.read.len();
        let mut count = 0;
        for entry in entries.filter_map(Result::ok).take(MOST_FILES) {
            // The hashed names beside the files are links to them within the folder.
            let link = entry.path().read_link().ok();
            if link.is_some_and(|target| target.components().count() == 1) || !entry.path().is_file() {
                continue;
            }
            count += usize::from(self.read_file(&entry.path(), store).is_ok());
        }
        self.read.truncate(before);
        if count == 0 {
            return Err("there is no certificate in it".to_owned());
        }
        self.read.push(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn files_and_folders_are_read_as_go_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.pem");
        #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
        let write = |path: &Path, text: String| std::fs::write(path, text).unwrap();
        write(&file, pem("one.test") + &pem("two.test"));
        let more = folder.path().join("more");
        std::fs::create_dir(&more).unwrap();
        write(&more.join("three.pem"), pem("three.test"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();

        let roots = Roots::from(None, None, &["/nowhere", &text(&file)], &[&text(&more)]);
        assert_eq!(roots.store.len(), 3);
        assert_eq!(roots.read, [file.clone(), more.clone()]);
        let only = Roots::from(Some(&text(&file)), Some(&text(&more)), &[], &["/nowhere"]);
        assert_eq!((only.store.len(), only.wrong.len()), (3, 0));
        let wrong = Roots::from(Some("/nowhere.pem"), Some("/nowhere"), &[&text(&file)], &[]);
        assert!(wrong.store.is_empty());
        assert_eq!(wrong.wrong.len(), 2);
        write(&file, "no certificate".to_owned());
        assert_eq!(Roots::of_file(&file).wrong[0].2, "there is no certificate in it");
    }
}
