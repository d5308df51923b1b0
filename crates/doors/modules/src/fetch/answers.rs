//! Answers that change with time: lists of versions, `@latest`, and which version a branch or a commit is.
//!
//! One that is fresh is given as it is kept. Else an upstream is asked, and when none can say better, the last good one is
//! given however old it is; where there never was one, what is stored of the module stands for it. That a module is not
//! there counts only when an upstream says so and nothing of it is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tradewind_core::{FaultKind, UnixMillis};

use super::head::not_cached;
use super::info::{Info, LARGEST, made_up};
use super::mount::Mount;
use super::{Fetcher, May, Taken, flights, stopping};
use crate::failure::Failure;
use crate::name::{Asked, ModulePath, ModuleVersion, Query, Version};
use crate::store::{Answer, AnswerKey};

/// The most bytes of a list of versions.
const LARGEST_LIST: usize = 8 << 20;
/// As many of the newest versions are asked for their time, where the rules want a least age: older ones are old enough, or
/// are refused when they are asked for.
const LOOKED_AT: usize = 12;

impl Fetcher {
    /// The answer to a list, `@latest` or a query.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &Asked,
        offline: bool,
    ) -> Result<(Arc<Answer>, Taken), Failure> {
        let key = key_of(asked).ok_or_else(|| Failure::internal("this has no answer that changes"))?;
        let path = asked.module().ok_or_else(|| Failure::internal("this is about no module"))?;
        mount.rules.judge_path(path).map_err(|refusal| Failure::left_out(refusal.sentence))?;
        let (tree, reading) = (mount.tree.clone(), key.clone());
        let kept = self.blocking(move |store| store.answer(&tree, &reading)).await?.map(Arc::new);
        if let Some(kept) = &kept
            && self.clock.wall() < kept.fresh_until
        {
            return Ok((Arc::clone(kept), Taken::Stored));
        }
        if offline {
            let answer = self.instead(mount, asked, kept).await;
            return answer.map(|answer| (answer, Taken::Stale)).ok_or_else(not_cached);
        }
        if let Some(failure) = self.negatives.find(&mount.tree, asked, self.clock.now()) {
            return Err(failure);
        }
        let flight = (mount.id, asked.clone());
        let mut told = self.answers.join(flight, &self.spawner, None, |sender| {
            let (this, mount, asked) = (Arc::clone(self), Arc::clone(mount), asked.clone());
            async move {
                let answer = this.fetch_answer(&mount, &asked, &key).await;
                sender.send_replace(Some(answer.map(Arc::new)));
            }
        });
        let failure = match flights::told(&mut told, Option::clone).await.ok_or_else(stopping)? {
            Ok(answer) => return Ok((answer, Taken::Fetched)),
            Err(failure) => failure,
        };
        if failure.is_missing() || failure.is_upstreams() {
            // An answer of an upstream that there is no such thing counts more than an old one that there was.
            let kept = kept.filter(|_| failure.is_upstreams());
            if let Some(answer) = self.instead(mount, asked, kept).await {
                return Ok((answer, Taken::Stale));
            }
        }
        self.note_failure(mount, asked, &failure);
        Err(failure)
    }

    async fn fetch_answer(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &Asked,
        key: &AnswerKey,
    ) -> Result<Answer, Failure> {
        let limit = if matches!(asked, Asked::List(_)) { LARGEST_LIST } else { LARGEST };
        let path = asked.module().ok_or_else(|| Failure::internal("this is about no module"))?;
        let (body, from) = mount.chain_of(path).get(asked, limit).await?;
        let body = match asked {
            Asked::List(path) => self.permitted_list(mount, path, body).await,
            _ => self.permitted_info(mount, path, asked, body, &from).await?,
        };
        let now = self.clock.wall();
        let fresh = u64::try_from(mount.fresh.as_millis()).unwrap_or(u64::MAX);
        let answer = Answer {
            body,
            fetched: now,
            fresh_until: UnixMillis(now.0.saturating_add(fresh)),
            upstream: from.to_string(),
            checked: None,
        };
        let (tree, key, keeping) = (mount.tree.clone(), key.clone(), answer.clone());
        // A full disk does not keep it from being given.
        let _ = self.storing(move |store| store.keep_answer(&tree, &key, &keeping)).await;
        Ok(answer)
    }

    /// The list without what the rules leave out, so that the go command does not choose what it then cannot have.
    async fn permitted_list(self: &Arc<Self>, mount: &Arc<Mount>, path: &ModulePath, body: Bytes) -> Bytes {
        if mount.rules == crate::rules::Rules::default() {
            return body;
        }
        let text = String::from_utf8_lossy(&body);
        let version_of = |line: &str| line.split_whitespace().next().and_then(|word| Version::parse(word).ok());
        let named: BTreeSet<Version> = text.lines().filter_map(version_of).filter(|one| one.fits(path)).collect();
        let of = |version: &Version| ModuleVersion { path: path.clone(), version: version.clone() };
        let mut permitted: BTreeSet<Version> =
            named.into_iter().filter(|version| mount.rules.judge_name(&of(version)).is_ok()).collect();
        if mount.rules.need_time() {
            let newest: Vec<Version> = permitted.iter().rev().take(LOOKED_AT).cloned().collect();
            let judged = join_all(newest.iter().map(|version| async {
                let of = of(version);
                // The zips of what is only listed are nobody's wish.
                let info = self.small(mount, &of, false, May::Head).await;
                matches!(info, Err(failure) if failure.kind == crate::failure::FailureKind::LeftOut)
            }));
            for (version, is_left_out) in newest.iter().zip(judged.await) {
                if is_left_out {
                    permitted.remove(version);
                }
            }
        }
        let is_permitted = |line: &&str| version_of(line).is_none_or(|version| permitted.contains(&version));
        let lines: Vec<&str> = text.lines().filter(is_permitted).collect();
        if lines.is_empty() { Bytes::new() } else { format!("{}\n", lines.join("\n")).into() }
    }

    /// Checks what `@latest` or a query gave. A latest version that the rules leave out is not the latest: the go command
    /// then chooses from the list.
    async fn permitted_info(
        &self,
        mount: &Mount,
        path: &ModulePath,
        asked: &Asked,
        body: Bytes,
        from: &str,
    ) -> Result<Bytes, Failure> {
        let wrong = |what: String| Failure::upstream(FaultKind::BadShape, 502, format!("{path}: {from} {what}"));
        let info = Info::parse(path, &body).map_err(wrong)?;
        let of = ModuleVersion { path: path.clone(), version: info.version };
        let verdict =
            mount.rules.judge_name(&of).and_then(|()| mount.rules.judge_time(&of, info.time, self.clock.wall()));
        match (verdict, asked) {
            (Ok(()), _) => Ok(body),
            (Err(refusal), Asked::Latest(_)) => Err(Failure::missing(refusal.sentence)),
            (Err(refusal), _) => Err(Failure::left_out(refusal.sentence)),
        }
    }

    /// What is given when no upstream can say: the last good answer, or one that is made of what is stored.
    async fn instead(&self, mount: &Mount, asked: &Asked, kept: Option<Arc<Answer>>) -> Option<Arc<Answer>> {
        if kept.is_some() {
            return kept;
        }
        let (tree, path) = (mount.tree.clone(), asked.module()?.clone());
        let reading = path.clone();
        let stored = self.storing(move |store| store.versions_of(&tree, &reading)).await.ok()?;
        let mut versions: Vec<Version> = stored
            .into_iter()
            .filter(|version| {
                let of = ModuleVersion { path: path.clone(), version: version.clone() };
                mount.rules.judge_name(&of).is_ok()
            })
            .collect();
        versions.sort_unstable();
        let body = match asked {
            Asked::List(_) => {
                let tagged: Vec<&str> =
                    versions.iter().filter(|version| !version.is_pseudo()).map(Version::as_str).collect();
                if versions.is_empty() {
                    return None;
                }
                tagged.iter().map(|version| format!("{version}\n")).collect::<String>().into()
            }
            Asked::Latest(_) => self.stored_info(mount, &path, latest(&versions)?),
            Asked::Info(_, Query::Other(query)) => {
                // The beginning of a version, such as v1 or v1.2, means the latest that begins so.
                let fits = |version: &&Version| {
                    version.as_str().strip_prefix(&**query).is_some_and(|rest| rest.starts_with('.'))
                };
                let among: Vec<Version> = versions.iter().filter(fits).cloned().collect();
                self.stored_info(mount, &path, latest(&among)?)
            }
            _ => return None,
        };
        let now = self.clock.wall();
        let answer = Answer { body, fetched: now, fresh_until: now, upstream: "the store".to_owned(), checked: None };
        Some(Arc::new(answer))
    }

    fn stored_info(&self, mount: &Mount, path: &ModulePath, version: &Version) -> Bytes {
        let of = ModuleVersion { path: path.clone(), version: version.clone() };
        let stored = self.store.version(&mount.tree, &of);
        stored.map_or_else(|| made_up(version).into(), |manifest| manifest.info.clone())
    }
}

/// The latest of sorted versions, as the go command chooses: releases before pre-releases before untagged ones.
fn latest(versions: &[Version]) -> Option<&Version> {
    let tagged = versions.iter().rev().find(|version| !version.is_prerelease());
    let pre = || versions.iter().rev().find(|version| !version.is_pseudo());
    tagged.or_else(pre).or_else(|| versions.iter().max_by_key(|version| version.pseudo_time()))
}

fn key_of(asked: &Asked) -> Option<AnswerKey> {
    match asked {
        Asked::List(path) => Some(AnswerKey::List(path.clone())),
        Asked::Latest(path) => Some(AnswerKey::Latest(path.clone())),
        Asked::Info(path, Query::Other(query)) => Some(AnswerKey::Query(path.clone(), Arc::clone(query))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_chosen_as_the_go_command_does() {
        let latest_of = |versions: &[&str]| {
            let mut versions: Vec<Version> = versions.iter().map(|text| Version::parse(text).unwrap()).collect();
            versions.sort_unstable();
            latest(&versions).map(|version| version.to_string())
        };
        assert_eq!(latest_of(&[]), None);
        assert_eq!(latest_of(&["v1.0.0", "v1.2.0", "v1.3.0-rc.1"]).as_deref(), Some("v1.2.0"));
        assert_eq!(latest_of(&["v1.3.0-rc.1", "v1.3.0-beta"]).as_deref(), Some("v1.3.0-rc.1"));
        let pseudo = ["v0.0.0-20240101000000-aaaaaaaaaaaa", "v1.2.4-0.20230101000000-bbbbbbbbbbbb"];
        assert_eq!(latest_of(&pseudo).as_deref(), Some(pseudo[0]));
    }
}
