//! What guards `listen`: the sections `tls` and `behind-tls`, and the rule that an open address needs keys and TLS.
//!
//! The files of `tls` are read by whoever listens; here they are names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::Code;

use crate::keys::CallerKey;
use crate::node::Node;
use crate::problem::Problems;
use crate::root::Root;
use crate::shared::Listen;
use crate::spanned::Spanned;

/// TLS on `listen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TlsFiles {
    /// A PEM file with the certificate, and those that it is signed with, the gateway's own first.
    pub cert: String,
    /// A PEM file with the private key of the certificate.
    pub key: String,
}

/// Keys that mihomo's own `tls` has: the certificate of its controller.
const MIHOMO_KEYS: [&str; 6] =
    ["certificate", "private-key", "client-auth-type", "client-auth-cert", "ech-key", "custom-certifactes"];

/// The section, unless it is mihomo's, which means something else.
fn section(root: &Root) -> Option<&Node> {
    let is_other = |node: &&Node| {
        let entries = node.entries();
        !entries.is_empty() && entries.iter().all(|entry| MIHOMO_KEYS.contains(&&*entry.key))
    };
    root.section("tls").filter(|node| !is_other(node))
}

pub(crate) fn decode_tls(root: &Root, problems: &mut Problems) -> Option<TlsFiles> {
    let Some(node) = section(root) else {
        if let Some(node) = root.section("tls") {
            problems.note(node.place, "tls", "`tls` has no effect: the controller is spoken to without TLS");
        }
        return None;
    };
    let files: Option<TlsFiles> = crate::decode::decode(node, "tls", &[], problems);
    if let Some(files) = &files {
        for (key, file) in [("cert", &files.cert), ("key", &files.key)] {
            if file.trim().is_empty() {
                let problem =
                    root.problem(Code::ConfigBadValue, &format!("tls.{key}"), "the name of the file is empty");
                problems.push(problem);
            }
        }
    }
    files
}

/// Refuses an address that is open to other machines unless callers have keys and nobody on the way can read them.
///
/// Keys made with `tradewind key create` do not count: whether there are any is not known from the document, and
/// revoking the last one must not change what the document means.
pub(crate) fn check_listen(
    root: &Root,
    listen: &Spanned<Listen>,
    keys: &[CallerKey],
    behind_tls: bool,
    problems: &mut Problems,
) {
    if section(root).is_some() && behind_tls {
        let message = "there is both `tls` and `behind-tls`";
        let problem = root.problem(Code::ConfigBadValue, "behind-tls", message);
        problems.push(
            problem.with_hint("keep `tls` when callers reach the gateway itself, `behind-tls` when a proxy does"),
        );
    }
    check_open_listen(root, listen, keys, behind_tls, problems);
}

/// As `listen` is checked, for another address on which callers come in with the same keys and certificate.
pub fn check_open_listen(
    root: &Root,
    listen: &Spanned<Listen>,
    keys: &[CallerKey],
    behind_tls: bool,
    problems: &mut Problems,
) {
    let has_tls = section(root).is_some();
    if listen.0.ip().is_loopback() {
        return;
    }
    // Keys that could not be read have problems of their own.
    let has_keys = !keys.is_empty() || root.section("keys").is_some_and(|node| !node.items().is_empty());
    let guarded = has_tls || behind_tls;
    if has_keys && guarded {
        return;
    }
    let message = match (has_keys, guarded) {
        (false, false) => format!("`{}` is open to other machines, and nothing guards it", listen.shown()),
        (false, true) => format!("`{}` is open to other machines, and the file has no `keys`", listen.shown()),
        _ => format!("`{}` is open to other machines, and callers' keys would travel in the clear", listen.shown()),
    };
    let mut missing = Vec::new();
    if !has_keys {
        missing.push("at least one entry in `keys` (keys made with `tradewind key create` come in addition)");
    }
    if !guarded {
        missing.push("`tls: {cert: …, key: …}`, or `behind-tls: true` when a proxy in front does TLS");
    }
    let hint = format!("add {}; or listen on 127.0.0.1:{}", missing.join(", and "), listen.0.port());
    problems.push(listen.problem(Code::ConfigOpenListen, message).with_hint(hint));
}
