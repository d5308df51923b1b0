//! All keys: one immutable table that is swapped whole, and the counters that outlive it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use subtle::ConstantTimeEq;
use tradewind_core::{Context, UnixMillis, Usd};
use tradewind_policy::{CallerKey, ContextSettings, KeyHash, MOST_KEYS};

use crate::account::Account;
use crate::context::{BadContext, Beliefs};
use crate::credential;
use crate::denied::Denied;
use crate::grant::Grant;
use crate::key::{Entry, Key};
use crate::status::{KeyStatus, Source};
use crate::stored::StoredKey;

/// The counters that are kept, those of keys that are gone included.
const MOST_ACCOUNTS: usize = 2 * MOST_KEYS;

/// Who can reach the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine only: as long as there is no key, nobody needs one.
    Loopback,
    /// Other machines: without a key nobody gets in, whatever the document says by now.
    Network,
}

/// Why keys cannot be put in place together; those of before stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// One name in both places.
    #[error("a key named `{name}` is in the configuration, and another one was made with `tradewind key create`")]
    Name {
        /// The name.
        name: String,
    },
    /// One secret under two names.
    #[error("the keys `{first}` and `{second}` have the same secret")]
    Secret {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// More than [`MOST_KEYS`] in the configuration and the file of created keys together.
    #[error("there are {0} keys; the most is {MOST_KEYS}")]
    TooMany(usize),
    /// A key without a secret, which a document that was checked does not have.
    #[error("the key `{name}` has no secret")]
    NoSecret {
        /// The name.
        name: String,
    },
}

/// All keys. Readers never wait; whoever changes the keys waits for whoever else does.
#[derive(Debug)]
pub struct Access {
    reach: Reach,
    table: ArcSwap<Table>,
    beliefs: ArcSwap<Beliefs>,
    changing: Mutex<Changing>,
}

/// What only changing the keys looks at.
#[derive(Debug, Default)]
struct Changing {
    document: Vec<Entry>,
    created: Vec<Entry>,
    /// Counters by the name of the key, of keys that are gone as well: one that comes back has its old ones.
    accounts: HashMap<Arc<str>, Arc<Account>>,
}

#[derive(Debug, Default)]
struct Table {
    /// In the order of the document, then of the file.
    keys: Vec<Arc<Key>>,
    by_hash: HashMap<KeyHash, Arc<Key>>,
}

impl Access {
    /// No key yet.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self { reach, table: ArcSwap::default(), beliefs: ArcSwap::default(), changing: Mutex::default() }
    }

    /// Puts the keys of the document in place of those that it had before.
    ///
    /// # Errors
    /// When they do not go together with the created keys.
    pub fn set_document(&self, keys: &[CallerKey]) -> Result<(), Conflict> {
        self.check_document(keys)?.put_in_place();
        Ok(())
    }

    /// Whether the keys of a document go together with the created keys. Changes nothing before
    /// [`CheckedKeys::put_in_place`]; until then, or until it is dropped, nobody else can change keys.
    ///
    /// # Errors
    /// When they do not.
    pub fn check_document(&self, keys: &[CallerKey]) -> Result<CheckedKeys<'_>, Conflict> {
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let name = key.name.value.clone();
            let Some(hash) = key.hash() else { return Err(Conflict::NoSecret { name }) };
            entries.push(Entry { name, hash, terms: key.terms(), source: Source::Document, revoked: false });
        }
        let changing = self.changing.lock();
        check(&entries, &changing.created)?;
        Ok(CheckedKeys { access: self, changing, entries })
    }

    /// Puts the created keys in place of those of before.
    ///
    /// # Errors
    /// When they do not go together with the keys of the document. Then those of before stay, but for those that `keys`
    /// has as revoked or has no more: they end all the same, and are refused from then on.
    pub fn set_created(&self, keys: &[StoredKey]) -> Result<(), Conflict> {
        let entries: Vec<Entry> = keys
            .iter()
            .map(|key| Entry {
                name: key.name.clone(),
                hash: key.sha256,
                terms: key.terms(),
                source: Source::Created,
                revoked: key.revoked.is_some(),
            })
            .collect();
        let mut changing = self.changing.lock();
        if let Err(conflict) = check(&changing.document, &entries) {
            self.end_created(&mut changing, &entries);
            return Err(conflict);
        }
        changing.created = entries;
        self.rebuild(&mut changing);
        Ok(())
    }

    /// Whether nobody needs a key: there is none, not even a revoked one, and only this machine gets here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open_with(&self.table.load())
    }

    fn is_open_with(&self, table: &Table) -> bool {
        self.reach == Reach::Loopback && table.keys.is_empty()
    }

    /// Who calls, by the secret in the headers: a bearer token, `x-api-key`, `api-key`, or the password of Basic.
    /// [`Grant::anyone`] as long as [`Self::is_open`].
    ///
    /// # Errors
    /// When there is no key, or none that may call at `wall`.
    pub fn authenticate(&self, headers: &HeaderMap, wall: UnixMillis) -> Result<Grant, Denied> {
        let table = self.table.load();
        if self.is_open_with(&table) {
            return Ok(Grant::anyone());
        }
        let presented = credential::secrets(headers);
        let Some(key) = presented.secrets.iter().find_map(|secret| table.find(secret)) else {
            return Err(if presented.any { Denied::Unknown } else { Denied::Missing });
        };
        if key.life.is_over() {
            return Err(Denied::Revoked { name: key.name.clone() });
        }
        if key.is_expired(wall) {
            return Err(Denied::Expired { name: key.name.clone() });
        }
        Ok(Grant::of(key.clone()))
    }

    /// Believes from now on what a document says that callers may say of themselves. Nothing, before this is called.
    pub fn set_context(&self, settings: &ContextSettings) {
        self.beliefs.store(Arc::new(Beliefs::new(settings)));
    }

    /// Who a call of `grant` with these headers comes from, at `wall`. Allocates nothing when there is no context header.
    ///
    /// # Errors
    /// When a context header cannot be read, or says what it may not say: such a call must not be answered, since
    /// without the header it could go another way.
    pub fn context(&self, grant: &Grant, headers: &HeaderMap, wall: UnixMillis) -> Result<Context, BadContext> {
        self.beliefs.load().context(grant, headers, wall)
    }

    /// Learns what the key of this name spent on a UTC day, in days since 1970, before the process began. Said twice it
    /// counts once. The days of one key have to come in their order.
    ///
    /// Keys that are not there (yet) are remembered too, as long as there is room for counters (twice [`MOST_KEYS`]):
    /// those that are most likely to come back should come first.
    pub fn restore(&self, key: &str, day: u32, spent: Usd) {
        let accounts = &mut self.changing.lock().accounts;
        if accounts.contains_key(key) || accounts.len() < MOST_ACCOUNTS {
            account(accounts, key).restore(day, spent);
        }
    }

    /// All keys as they may be shown, in the order of the document and then of their making.
    #[must_use]
    pub fn shown(&self, wall: UnixMillis) -> Vec<KeyStatus> {
        self.table.load().keys.iter().map(|key| KeyStatus::of(key, wall)).collect()
    }

    /// Swaps the table, and ends the life of every key that the new one does not have under the same name and secret:
    /// streams that run with it see it at their next chunk.
    fn rebuild(&self, changing: &mut Changing) {
        let Changing { document, created, accounts } = changing;
        let old = self.table.load_full();
        let new = Arc::new(build(&old, document, created, accounts));
        self.table.store(new.clone());
        for key in &old.keys {
            let lives = new.by_hash.get(&key.hash).is_some_and(|now| Arc::ptr_eq(&now.life, &key.life));
            if !lives {
                key.life.end();
            }
        }
    }

    /// Ends the created keys that are not valid in `next`, which cannot be put in place. They stay in the table as
    /// revoked ones: taking the last key away could let everybody in.
    fn end_created(&self, changing: &mut Changing, next: &[Entry]) {
        let valid: HashSet<(&str, KeyHash)> =
            next.iter().filter(|entry| !entry.revoked).map(|entry| (entry.name.as_str(), entry.hash)).collect();
        let table = self.table.load();
        for entry in &mut changing.created {
            if entry.revoked || valid.contains(&(entry.name.as_str(), entry.hash)) {
                continue;
            }
            entry.revoked = true;
            if let Some(key) = table.by_hash.get(&entry.hash) {
                key.life.end();
            }
        }
    }
}

/// Keys of a document that can be put in place. Whoever wants to change keys waits as long as it is held.
#[must_use = "keys that are only checked change nothing"]
pub struct CheckedKeys<'a> {
    access: &'a Access,
    changing: MutexGuard<'a, Changing>,
    entries: Vec<Entry>,
}

impl CheckedKeys<'_> {
    /// Puts them in place of those that the document had before, which end if these do not have them.
    pub fn put_in_place(mut self) {
        self.changing.document = self.entries;
        self.access.rebuild(&mut self.changing);
    }
}

impl Table {
    /// The key of this secret. The table finds it by its hash, of which a caller learns nothing by measuring; what is
    /// found is compared in constant time.
    fn find(&self, secret: &[u8]) -> Option<&Arc<Key>> {
        let hash = KeyHash::of(secret);
        let key = self.by_hash.get(&hash)?;
        bool::from(key.hash.bytes().ct_eq(hash.bytes())).then_some(key)
    }
}

/// Whether these keys go together.
fn check(document: &[Entry], created: &[Entry]) -> Result<(), Conflict> {
    let count = document.len() + created.len();
    if count > MOST_KEYS {
        return Err(Conflict::TooMany(count));
    }
    let mut names: HashSet<&str> = HashSet::with_capacity(count);
    let mut by_hash: HashMap<KeyHash, &str> = HashMap::with_capacity(count);
    for entry in document.iter().chain(created) {
        // The name of a revoked key is free again.
        if !entry.revoked && !names.insert(&entry.name) {
            return Err(Conflict::Name { name: entry.name.clone() });
        }
        if let Some(first) = by_hash.insert(entry.hash, &entry.name) {
            return Err(Conflict::Secret { first: first.to_owned(), second: entry.name.clone() });
        }
    }
    Ok(())
}

/// The table of keys that go together. What is revoked ends here.
fn build(old: &Table, document: &[Entry], created: &[Entry], accounts: &mut HashMap<Arc<str>, Arc<Account>>) -> Table {
    let count = document.len() + created.len();
    let mut table = Table { keys: Vec::with_capacity(count), by_hash: HashMap::with_capacity(count) };
    for entry in document.iter().chain(created) {
        let known = old.by_hash.get(&entry.hash).filter(|known| *known.name == *entry.name);
        let life = match known {
            Some(known) if entry.revoked || !known.life.is_over() => known.life.clone(),
            _ => Arc::default(),
        };
        if entry.revoked {
            life.end();
        }
        let key = Arc::new(Key::new(entry, life, account(accounts, &entry.name)));
        table.by_hash.insert(entry.hash, key.clone());
        table.keys.push(key);
    }
    forget_some(accounts, &table.keys);
    table
}

fn account(accounts: &mut HashMap<Arc<str>, Arc<Account>>, name: &str) -> Arc<Account> {
    if let Some(account) = accounts.get(name) {
        return account.clone();
    }
    let account = Arc::<Account>::default();
    accounts.insert(name.into(), account.clone());
    account
}

/// Counters of keys that are gone are kept up to [`MOST_ACCOUNTS`]; beyond that only those of present keys are.
fn forget_some(accounts: &mut HashMap<Arc<str>, Arc<Account>>, keys: &[Arc<Key>]) {
    if accounts.len() > MOST_ACCOUNTS {
        let present: HashSet<&str> = keys.iter().map(|key| &*key.name).collect();
        accounts.retain(|name, _| present.contains(&**name));
    }
}
