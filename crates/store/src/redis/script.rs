//! The scripts, and how they are called by their digest.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::Cmd;
use ring::digest;

/// A script that runs in the server; what it takes and answers stands at its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Commit,
    Head,
    Revision,
    Extend,
    History,
    List,
    Due,
    Pin,
    Prune,
    Forget,
}

macro_rules! source {
    ($file:literal) => {
        concat!(include_str!("lua/common.lua"), include_str!($file))
    };
}

impl Script {
    fn source(self) -> &'static str {
        match self {
            Self::Commit => {
                concat!(include_str!("lua/whole.lua"), include_str!("lua/common.lua"), include_str!("lua/commit.lua"))
            }
            Self::Head => source!("lua/head.lua"),
            Self::Revision => source!("lua/revision.lua"),
            Self::Extend => source!("lua/extend.lua"),
            Self::History => source!("lua/history.lua"),
            Self::List => source!("lua/list.lua"),
            Self::Due => source!("lua/due.lua"),
            Self::Pin => source!("lua/pin.lua"),
            Self::Prune => source!("lua/prune.lua"),
            Self::Forget => source!("lua/forget.lua"),
        }
    }

    /// SHA-1 of the source in hexadecimal digits, which is the name that Redis gives to a script.
    fn digest(self) -> &'static str {
        static DIGESTS: LazyLock<[String; 10]> = LazyLock::new(|| {
            [
                Script::Commit,
                Script::Head,
                Script::Revision,
                Script::Extend,
                Script::History,
                Script::List,
                Script::Due,
                Script::Pin,
                Script::Prune,
                Script::Forget,
            ]
            .map(|script| {
                let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, script.source().as_bytes());
                digest.as_ref().iter().fold(String::new(), |mut text, byte| {
                    write!(text, "{byte:02x}").expect("writing to a string does not fail");
                    text
                })
            })
        });
        &DIGESTS[self as usize]
    }

    /// What makes a script known to the server.
    pub(super) fn load(self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.source());
        load
    }

    /// The call of a script that the server knows already.
    pub(super) fn by_digest(self, keys: &[&[u8]], args: &[&[u8]]) -> Cmd {
        call("EVALSHA", self.digest(), keys, args)
    }

    /// The call that brings the script along; the server knows it from then on.
    pub(super) fn by_source(self, keys: &[&[u8]], args: &[&[u8]]) -> Cmd {
        call("EVAL", self.source(), keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[&[u8]], args: &[&[u8]]) -> Cmd {
    let bytes: usize = keys.iter().chain(args).map(|arg| arg.len()).sum();
    let mut call = Cmd::with_capacity(3 + keys.len() + args.len(), bytes + script.len() + 16);
    call.arg(command).arg(script).arg(keys.len());
    for part in keys.iter().chain(args) {
        call.arg(*part);
    }
    call
}
