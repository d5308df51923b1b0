//! How a file of ours gets from one version of its schema to the next: one way for all that lies in SQLite.
//!
//! The version is SQLite's `user_version`. Each step leads from one version to the next, in a transaction of its own (on an
//! empty file all in one): a step that fails leaves the version before it. A file of a newer release is refused, and so is one of another program, which
//! its `application_id` tells.

use std::path::Path;

use rusqlite::Connection;

/// A step that writes the whole file anew, outside of any transaction, so that it gets what is asked of new files alone. A new
/// one needs nothing of it.
pub const ANEW: &str = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";

/// The schema of a kind of file.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// `application_id`: lets `file` and other tools tell whose file it is.
    pub owner: i32,
    /// SQL from an empty file to version 1, and so on, or [`ANEW`].
    pub steps: &'static [&'static str],
    /// Before the first step on a file that holds something a copy of it is put beside it (`NAME.before-N.db`), so that an
    /// older release can still be gone back to.
    pub copied: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another program has made it.
    #[error("it was not made by this program")]
    Foreign,
    /// A newer release has written it.
    #[error("it has version {version} of its schema, this release knows {known}")]
    Newer {
        /// The file's version.
        version: i32,
        /// The newest that there are steps to.
        known: usize,
    },
    /// SQLite fails.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Schema {
    /// The version after the last step.
    pub fn newest(&self) -> i32 {
        i32::try_from(self.steps.len()).unwrap_or(i32::MAX)
    }

    /// Which version a file has; 0 where it is empty.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn version(&self, connection: &Connection) -> Result<i32, Refused> {
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (owner, version) = (number("application_id")?, number("user_version")?);
        let empty = || connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0));
        if owner != self.owner && !((owner, version) == (0, 0) && empty()?) {
            return Err(Refused::Foreign);
        }
        if version > self.newest() {
            return Err(Refused::Newer { version, known: self.steps.len() });
        }
        Ok(version)
    }

    /// Takes the file at `path`, which is open, to the version after the last step.
    ///
    /// # Errors
    /// [`Refused`]; steps that were done before one that fails stay done.
    pub fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), Refused> {
        let mut version = self.version(connection)?;
        let done = usize::try_from(version).unwrap_or_default();
        if self.copied && done > 0 && done < self.steps.len() {
            set_aside(connection, version, path)?;
        }
        // A new file is never seen half made.
        let together = if done == 0 { self.steps.len() } else { 1 };
        for steps in self.steps[done..].chunks(together.max(1)) {
            if steps == [ANEW] {
                connection.execute_batch(ANEW)?;
            }
            let transaction = connection.transaction()?;
            for step in steps {
                if *step != ANEW {
                    transaction.execute_batch(step)?;
                }
                version += 1;
            }
            transaction.pragma_update(None, "application_id", self.owner)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(())
    }
}

/// Puts a copy of the file beside it; one that is already there is from an attempt that failed, or that was gone back from.
fn set_aside(connection: &Connection, version: i32, path: &Path) -> rusqlite::Result<()> {
    let copy = path.with_extension(format!("before-{}.db", version + 1));
    std::fs::remove_file(&copy).ok();
    let name = copy.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(copy.clone()))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[&str] = &["CREATE TABLE a (x); INSERT INTO a VALUES (7)", "ALTER TABLE a ADD y", "this is no SQL"];

    fn of(steps: &'static [&'static str]) -> Schema {
        Schema { owner: 77, steps, copied: true }
    }

    fn version(connection: &Connection) -> i32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_file_goes_from_version_to_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let mut connection = Connection::open(&path).unwrap();
        of(&STEPS[..1]).migrate(&mut connection, &path).unwrap();
        assert_eq!(version(&connection), 1);
        assert!(!folder.path().join("some.before-1.db").exists(), "there was nothing before");

        assert!(matches!(of(STEPS).migrate(&mut connection, &path), Err(Refused::Sqlite(_))));
        assert_eq!(version(&connection), 2, "the step that failed has left nothing");
        let x: i32 = connection.query_row("SELECT x FROM a WHERE y IS NULL", [], |row| row.get(0)).unwrap();
        assert_eq!(x, 7);

        let before = Connection::open(folder.path().join("some.before-2.db")).unwrap();
        assert_eq!(version(&before), 1, "and a copy of what was before is there");
        assert!(before.prepare("SELECT x FROM a").is_ok() && before.prepare("SELECT y FROM a").is_err());

        let error = of(&STEPS[..1]).migrate(&mut connection, &path).unwrap_err();
        assert_eq!(error.to_string(), "it has version 2 of its schema, this release knows 1");
    }

    #[test]
    fn a_file_is_made_anew_between_two_steps() {
        const ANEW_STEPS: &[&str] = &["CREATE TABLE a (x)", ANEW, "INSERT INTO a VALUES (1)"];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        for begun in [0, 1] {
            let mut connection = Connection::open(&path).unwrap();
            let without = Schema { copied: false, ..of(ANEW_STEPS) };
            Schema { steps: &ANEW_STEPS[..begun], ..without }.migrate(&mut connection, &path).unwrap();
            without.migrate(&mut connection, &path).unwrap();
            assert_eq!(version(&connection), 3);
            assert_eq!(connection.query_row("SELECT count(*) FROM a", [], |row| row.get::<_, i32>(0)).unwrap(), 1);
            drop(connection);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn nothing_is_copied_where_that_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let mut connection = Connection::open(&path).unwrap();
        let without = |steps| Schema { copied: false, ..of(steps) };
        without(&STEPS[..1]).migrate(&mut connection, &path).unwrap();
        without(&STEPS[..2]).migrate(&mut connection, &path).unwrap();
        assert_eq!(version(&connection), 2);
        assert!(!folder.path().join("some.before-2.db").exists());
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        for other in ["PRAGMA application_id = 5", "PRAGMA user_version = 1", "CREATE TABLE other (x)"] {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(other).unwrap();
            let refused = of(&STEPS[..1]).migrate(&mut connection, Path::new("some.db"));
            assert!(matches!(refused, Err(Refused::Foreign)), "{other}: {refused:?}");
            assert!(connection.prepare("SELECT x FROM a").is_err(), "{other}");
        }
    }
}
