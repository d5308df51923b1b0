//! Modules that no entry of GOPROXY has: private ones (42), versions that do not exist (63), other letters (64).

use super::Context;
use super::entries::{Left, file_of};
use crate::settings::{Needed, escaped};
use crate::{Cause, Finding, Fix, Url, World, about, set_go};

/// Hosts of many owners: there the first two elements of a path say whose it is.
const FORGES: [&str; 6] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com", "git.sr.ht"];

/// What it is called that nobody has `left.module`.
pub(super) async fn finding(context: Context<'_>, left: &Left) -> Finding {
    let module = &left.module;
    let proxies: Vec<Url> = context.world.settings.proxies().into_iter().map(|(url, _)| url.clone()).collect();
    let check = match proxies.first() {
        Some(proxy) => format!("curl -sS {}", file_of(proxy, module, "info").bare()),
        None => format!("go list -m {}@{}", module.path, module.version),
    };
    let finding = match other_letters(context, &proxies, module).await {
        Some(path) => wrong_case(context.world, module, &path, check),
        None => match versions(context, &proxies, &module.path).await {
            Some(versions) => no_such_version(context.world, module, &versions, check),
            None if is_own(context.world, &module.path) => private(context.world, module, check),
            None => Finding::new(Cause::NoSuchVersion, check, Fix::by_hand(about(Cause::NoSuchVersion).helps)),
        },
    };
    left.said.iter().fold(finding.of_module(&module.path), |finding, said| finding.seen(said.clone()))
}

/// The versions that the first proxy that knows the module has.
pub(super) async fn versions(context: Context<'_>, proxies: &[Url], path: &str) -> Option<Vec<String>> {
    for proxy in proxies {
        let url = proxy.join(&format!("{}/@v/list", escaped(path)));
        if let Ok(answer) = context.client().get(&url).await
            && answer.response.status == 200
            && !answer.response.is_page()
        {
            let text = String::from_utf8_lossy(&answer.response.body).into_owned();
            let versions = text.lines().filter_map(|line| line.split_whitespace().next());
            let versions: Vec<String> =
                versions.filter(|version| version.starts_with('v')).map(str::to_owned).collect();
            if !versions.is_empty() {
                return Some(versions);
            }
        }
    }
    None
}

/// The path in small letters, where that exists.
async fn other_letters(context: Context<'_>, proxies: &[Url], module: &Needed) -> Option<String> {
    let small = module.path.to_ascii_lowercase();
    if small == module.path {
        return None;
    }
    let other = Needed { path: small.clone(), ..module.clone() };
    for proxy in proxies {
        let answer = context.client().get(&file_of(proxy, &other, "mod")).await;
        if answer.is_ok_and(|answer| answer.response.status == 200 && !answer.response.is_page()) {
            return Some(small);
        }
    }
    None
}

/// The path of `module` is written in other letters than its own, which are `path`.
pub(super) fn wrong_case(world: &World, module: &Needed, path: &str, check: String) -> Finding {
    let (old, new) = (&module.path, format!("{path}@{}", module.version));
    let quoted = |text: &str| world.shell.quoted(text);
    let edit = format!("go mod edit -droprequire={} -require={}", quoted(old), quoted(&new));
    let fix = match world.shell {
        crate::Shell::Posix => format!(
            "{edit} && find . -name '*.go' -exec sed -i.bak {} {{}} + && find . -name '*.go.bak' -delete",
            quoted(&format!("s#\"{old}#\"{path}#g"))
        ),
        _ => edit,
    };
    Finding::new(Cause::WrongCase, check, Fix::command(fix))
        .seen(format!("go.mod has {old}, and the module is {path}"))
        .of_module(old)
}

fn no_such_version(world: &World, module: &Needed, versions: &[String], check: String) -> Finding {
    let latest = versions.iter().filter(|version| !version.contains('-')).max_by(|a, b| by_number(a, b));
    let latest = latest.or_else(|| versions.iter().max_by(|a, b| by_number(a, b)));
    let fix = match latest {
        Some(version) => {
            let new = format!("{}@{version}", module.path);
            Fix::command(format!("go mod edit -require={}", world.shell.quoted(&new)))
        }
        None => Fix::by_hand(about(Cause::NoSuchVersion).helps),
    };
    let mut shown: Vec<&str> = versions.iter().map(String::as_str).collect();
    shown.sort_by(|a, b| by_number(b, a));
    shown.truncate(5);
    Finding::new(Cause::NoSuchVersion, check, fix)
        .titled(format!("there is no version {} of {}", module.version, module.path))
        .seen(format!("the module proxy has {} and others", shown.join(", ")))
}

/// Versions by their numbers, a pre-release before its release.
pub(super) fn by_number(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |version: &str| {
        let version = version.trim_start_matches('v').split('+').next().unwrap_or_default().to_owned();
        let (numbers, pre) = match version.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre.to_owned())),
            None => (version.as_str(), None),
        };
        let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        (numbers, pre.is_none(), pre)
    };
    key(a).cmp(&key(b))
}

/// The part of `path` that says whose it is.
pub(super) fn owner(path: &str) -> String {
    let elements = if FORGES.contains(&path.split('/').next().unwrap_or_default()) { 2 } else { 1 };
    path.split('/').take(elements).collect::<Vec<_>>().join("/")
}

/// Whether the module belongs to whoever the project belongs to: then it is most likely as private as that.
pub(crate) fn is_own(world: &World, path: &str) -> bool {
    let Some(project) = &world.settings.project else { return false };
    let mut own = project.modules.iter().filter_map(|member| member.go_mod.module.as_deref());
    own.any(|own| own.contains('.') && owner(own) == owner(path))
}

/// A private module that GOPRIVATE does not name.
pub(super) fn private(world: &World, module: &Needed, check: String) -> Finding {
    let pattern = owner(&module.path);
    let setting = world.settings.text("GOPRIVATE");
    let value = if setting.is_empty() { pattern.clone() } else { format!("{setting},{pattern}") };
    Finding::new(Cause::PrivateModulePublicProxy, check, set_go(world, "GOPRIVATE", &value))
        .seen(format!("{} is of {pattern}, as this project is, and GOPRIVATE does not name it", module.path))
        .of_module(&module.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_module_is() {
        assert_eq!(owner("github.com/corp/x/v2"), "github.com/corp");
        assert_eq!(owner("git.corp.example.com/team/x"), "git.corp.example.com");
    }

    #[test]
    fn versions_are_in_their_order() {
        let mut versions = ["v1.10.0", "v1.9.0", "v2.0.0-rc.1", "v2.0.0", "v0.0.1+incompatible"];
        versions.sort_by(|a, b| by_number(a, b));
        assert_eq!(versions, ["v0.0.1+incompatible", "v1.9.0", "v1.10.0", "v2.0.0-rc.1", "v2.0.0"]);
    }
}
