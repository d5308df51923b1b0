//! The modules door: a proxy for Go modules (the GOPROXY protocol) that verifies before it stores or sends.

mod athens;
mod bundle;
mod catalog;
mod door;
mod failure;
mod fetch;
mod hash;
mod name;
mod rules;
mod section;
mod store;
mod sumdb;
mod upstream;
mod zip;

pub use athens::athens;
pub use bundle::{
    BadWanted, BundleError, Contents, Database, Exported, Imported, Plan, Stored, Trust, Wanted, export, import, plan,
    toolchain_of, toolchain_version,
};
pub use door::{Counted, ModulesDoor, Needs, Prepared, RootDoor};
pub use hash::{BadGoSum, BadH1, GoSum, GoSumLine, H1, LONGEST_GO_SUM, SumOf};
pub use name::{
    Asked, BadFilePath, BadModulePath, BadModuleVersion, BadPattern, BadRequest, BadVersion, LONGEST_MODULE_PATH,
    LONGEST_REQUEST, LONGEST_VERSION, ModulePath, ModuleVersion, PathFault, Pattern, Patterns, Query, SumdbAsked,
    SumdbName, Version, check_file_path, pseudo_version, quoted,
};
pub use rules::{BadLicence, BadRule, Licence, Refusal, RuleKind, RuleSettings, Rules, Verdict};
pub use section::{
    Auth, CacheSettings, Credential, Hop, HopSource, MODULES_SECTION, Modules, MountSettings, Otherwise, Private,
    Release, RulesSection, SumdbSettings, Together, Upstreams, Verify,
};
pub use store::{
    Answer, AnswerKey, BadPin, Blob, Checked, Damage, Evidence, Held, Incoming, Limits, Manifest, Pins, Prune, Pruned,
    Refusal as StoredRefusal, Refused, Row, Sha256, Store, StoreError, Survey, Trace, Tree, Verified, ZipFile,
};
pub use sumdb::{Kept, MAX_ANSWER, Misbehaviour, Source, SourceError, Sumdb, SumdbError, Sums};
pub use upstream::UpstreamError;
pub use zip::{BadZip, ZipFacts, ZipFault, ZipLimits, check_zip, check_zip_in};
