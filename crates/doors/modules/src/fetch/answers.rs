//! Answers that change with time: lists of versions, `@latest`, and which version a branch or a commit is.
//!
//! One that is fresh is given as it is kept. Else an upstream is asked, and when none can say better, the last good one is
//! given however old it is; where there never was one, what is stored of the module stands for it. That a module is not
//! there counts only when an upstream says so and nothing of it is stored.
//!
//! What is kept is what the upstream said. The rules that are in place when it is given decide what of it is, and so does the
//! document how long it is fresh.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tradewind_core::{FaultKind, UnixMillis};

use super::head::not_cached;
use super::info::{Info, LARGEST};
use super::mount::Mount;
use super::stored::suffices;
use super::{Fetcher, May, Taken, flights, stopping};
use crate::failure::{Failure, FailureKind};
use crate::name::{Asked, ModulePath, ModuleVersion, Query, Version};
use crate::rules::Rules;
use crate::store::{Answer, AnswerKey, Manifest};

/// The most bytes of a list of versions.
const LARGEST_LIST: usize = 8 << 20;
/// As many of the newest versions are asked for their time, where the rules want a least age, and as many more while all of
/// them are too young: the go command chooses the newest that is listed. Older ones are old enough, or are refused when they are
/// asked for.
const LOOKED_AT: usize = 12;
/// So often at most.
const MOST_LOOKS: usize = 10;

/// What is given to a list, `@latest` or a query.
#[derive(Debug)]
pub(crate) struct Changing {
    pub(crate) body: Bytes,
    pub(crate) taken: Taken,
    /// Where it came from, without secrets.
    pub(crate) from: Arc<str>,
    /// For how many seconds it may be taken to be right; 0 for what is to be asked about again.
    pub(crate) fresh: u64,
}

impl Fetcher {
    /// The answer to a list, `@latest` or a query.
    ///
    /// # Errors
    /// When there is none, or the rules leave it out.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &Asked,
        offline: bool,
    ) -> Result<Changing, Failure> {
        let key = key_of(asked).ok_or_else(|| Failure::internal("this has no answer that changes"))?;
        let path = asked.module().ok_or_else(|| Failure::internal("this is about no module"))?;
        mount.rules.judge_path(path).map_err(|refusal| Failure::left_out(refusal.sentence))?;
        let (tree, reading) = (mount.tree.clone(), key.clone());
        let kept = self.blocking(move |store| store.answer(&tree, &reading)).await?.map(Arc::new);
        if let Some(kept) = kept.as_ref().filter(|kept| self.fresh_for(mount, kept) > 0) {
            return self.permitted(mount, asked, kept, Taken::Stored).await;
        }
        if offline {
            let answer = self.instead(mount, asked, kept).await.ok_or_else(not_cached)?;
            return self.permitted(mount, asked, &answer, Taken::Stale).await;
        }
        if let Some(failure) = self.negatives.find(&mount.tree, asked, self.clock.now()) {
            return Err(failure);
        }
        // Nobody waits for an upstream that could not be reached a moment ago, where there is something else to give.
        let chain = mount.chain_of(path);
        if (chain.is_down() || chain.asks_nobody())
            && let Some(answer) = self.instead(mount, asked, kept.clone()).await
        {
            return self.permitted(mount, asked, &answer, Taken::Stale).await;
        }
        let flight = (mount.id, asked.clone());
        let room = || mount.places_of(path).room();
        let told = self.answers.join(flight, &self.spawner, room, None, |sender| {
            let (this, mount, asked) = (Arc::clone(self), Arc::clone(mount), asked.clone());
            async move {
                let answer = this.fetch_answer(&mount, &asked, &key).await;
                sender.send_replace(Some(answer.map(Arc::new)));
            }
        });
        let failure = match flights::told(&mut told?, Option::clone).await.ok_or_else(stopping)? {
            Ok(answer) => return self.permitted(mount, asked, &answer, Taken::Fetched).await,
            Err(failure) => failure,
        };
        // An answer of an upstream that there is no such thing counts more than an old one that there was. That none is the
        // latest has the go command choose from the list, and not what happens to be stored.
        if failure.is_upstreams() || (failure.is_missing() && !matches!(asked, Asked::Latest(_))) {
            let kept = kept.filter(|_| failure.is_upstreams());
            if let Some(answer) = self.instead(mount, asked, kept).await {
                return self.permitted(mount, asked, &answer, Taken::Stale).await;
            }
        }
        self.note_failure(mount, asked, &failure);
        Err(failure)
    }

    /// For how many seconds from now an answer is fresh. One from a time that has not come yet is not: a clock was wrong.
    fn fresh_for(&self, mount: &Mount, answer: &Answer) -> u64 {
        let age = self.clock.wall().0.checked_sub(answer.fetched.0);
        let fresh = u64::try_from(mount.fresh.as_millis()).unwrap_or(u64::MAX);
        age.map_or(0, |age| fresh.saturating_sub(age).div_ceil(1000))
    }

    async fn fetch_answer(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &Asked,
        key: &AnswerKey,
    ) -> Result<Answer, Failure> {
        let path = asked.module().ok_or_else(|| Failure::internal("this is about no module"))?;
        let chain = mount.chain_of(path);
        let _place = mount.places_of(path).answer().await?;
        let (body, from) = match asked {
            Asked::List(_) => chain.get(asked, LARGEST_LIST).await?,
            _ => {
                let read = |body: Bytes, from: &str| {
                    let wrong = |what| Failure::upstream(FaultKind::BadShape, 502, format!("{path}: {from} {what}"));
                    Info::parse(path, &body).map(|_| body.clone()).map_err(wrong)
                };
                chain.get_as(asked, LARGEST, read).await?
            }
        };
        let answer = Answer { body, fetched: self.clock.wall(), upstream: from.to_string(), checked: None };
        let (tree, key, keeping) = (mount.tree.clone(), key.clone(), answer.clone());
        // A full disk does not keep it from being given.
        let _ = self.storing(move |store| store.keep_answer(&tree, &key, &keeping)).await;
        Ok(answer)
    }

    /// What of an answer the rules let through.
    async fn permitted(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &Asked,
        answer: &Answer,
        taken: Taken,
    ) -> Result<Changing, Failure> {
        let fresh = if taken == Taken::Stale { 0 } else { self.fresh_for(mount, answer) };
        let path = asked.module().ok_or_else(|| Failure::internal("this is about no module"))?;
        let body = match asked {
            _ if mount.rules == Rules::default() => answer.body.clone(),
            // What is only to be looked at again is not fetched for.
            Asked::List(path) => {
                let may = if taken == Taken::Fetched { May::Head } else { May::Nothing };
                self.permitted_list(mount, path, &answer.body, may).await?
            }
            _ => self.permitted_info(mount, path, asked, answer).await?,
        };
        Ok(Changing { body, taken, from: answer.upstream.as_str().into(), fresh })
    }

    /// The list without what the rules leave out, so that the go command does not choose what it then cannot have.
    async fn permitted_list(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        path: &ModulePath,
        body: &Bytes,
        may: May,
    ) -> Result<Bytes, Failure> {
        let text = String::from_utf8_lossy(body);
        let version_of = |line: &str| line.split_whitespace().next().and_then(|word| Version::parse(word).ok());
        let named: BTreeSet<Version> = text.lines().filter_map(version_of).filter(|one| one.fits(path)).collect();
        let of = |version: &Version| ModuleVersion { path: path.clone(), version: version.clone() };
        let mut permitted: BTreeSet<Version> =
            named.into_iter().filter(|version| mount.rules.judge_name(&of(version)).is_ok()).collect();
        if mount.rules.need_time() {
            let newest_first: Vec<Version> = permitted.iter().rev().cloned().collect();
            for newest in newest_first.chunks(LOOKED_AT).take(MOST_LOOKS) {
                let judged = join_all(newest.iter().map(|version| async {
                    let of = of(version);
                    // The zips of what is only listed are nobody's wish.
                    let info = self.small(mount, &of, false, may).await;
                    matches!(info, Err(failure) if failure.kind == FailureKind::LeftOut)
                }));
                let judged = judged.await;
                for (version, _) in newest.iter().zip(&judged).filter(|(_, is_left_out)| **is_left_out) {
                    permitted.remove(version);
                }
                if judged.contains(&false) {
                    break;
                }
            }
        }
        if mount.rules.need_licences() {
            // Of what is stored it is known which licences it has.
            for (version, _) in self.stored_of(mount, path, is_left_out).await? {
                permitted.remove(&version);
            }
        }
        let is_permitted = |line: &&str| version_of(line).is_none_or(|version| permitted.contains(&version));
        let lines: Vec<&str> = text.lines().filter(is_permitted).collect();
        Ok(if lines.is_empty() { Bytes::new() } else { format!("{}\n", lines.join("\n")).into() })
    }

    /// What `@latest` or a query gave. A latest version that the rules leave out is not the latest: the go command then
    /// chooses from the list.
    async fn permitted_info(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        path: &ModulePath,
        asked: &Asked,
        answer: &Answer,
    ) -> Result<Bytes, Failure> {
        let wrong = |what| Failure::upstream(FaultKind::BadShape, 502, format!("{path}: {} {what}", answer.upstream));
        let info = Info::parse(path, &answer.body).map_err(wrong)?;
        let of = ModuleVersion { path: path.clone(), version: info.version };
        let now = self.clock.wall();
        let mut verdict = mount.rules.judge_name(&of).and_then(|()| mount.rules.judge_time(&of, info.time, now));
        if verdict.is_ok() && mount.rules.need_licences() {
            let (tree, reading) = (mount.tree.clone(), of.clone());
            if let Some(stored) = self.blocking(move |store| store.read(&tree, &reading)).await? {
                verdict = mount.rules.judge(&of, stored.time, &stored.known_licences(), now);
            }
        }
        match (verdict, asked) {
            (Ok(()), _) => Ok(answer.body.clone()),
            (Err(refusal), Asked::Latest(_)) => Err(Failure::missing(refusal.sentence)),
            (Err(refusal), _) => Err(Failure::left_out(refusal.sentence)),
        }
    }

    /// The stored versions of a module that are `wanted`, with their infos.
    async fn stored_of(
        &self,
        mount: &Arc<Mount>,
        path: &ModulePath,
        wanted: fn(&Mount, &Manifest, UnixMillis) -> bool,
    ) -> Result<Vec<(Version, Bytes)>, Failure> {
        let (mount, path, now) = (Arc::clone(mount), path.clone(), self.clock.wall());
        self.storing(move |store| {
            let versions = store.versions_of(&mount.tree, &path)?;
            let stored = versions.into_iter().filter_map(|version| {
                let of = ModuleVersion { path: path.clone(), version };
                let manifest = store.read(&mount.tree, &of)?;
                wanted(&mount, &manifest, now).then_some((of.version, manifest.info))
            });
            Ok(stored.collect())
        })
        .await
    }

    /// What is given when no upstream can say: the last good answer, or one that is made of what is stored.
    async fn instead(&self, mount: &Arc<Mount>, asked: &Asked, kept: Option<Arc<Answer>>) -> Option<Arc<Answer>> {
        if kept.is_some() {
            return kept;
        }
        let mut stored = self.stored_of(mount, asked.module()?, may_be_given).await.ok()?;
        stored.sort_unstable();
        let body = match asked {
            Asked::List(_) if stored.is_empty() => return None,
            Asked::List(_) => {
                let tagged = stored.iter().filter(|(version, _)| !version.is_pseudo());
                tagged.map(|(version, _)| format!("{version}\n")).collect::<String>().into()
            }
            Asked::Latest(_) => info_of_latest(&stored)?,
            Asked::Info(_, Query::Other(query)) => {
                // The beginning of a version, such as v1 or v1.2, means the latest that begins so.
                stored.retain(|(version, _)| {
                    version.as_str().strip_prefix(&**query).is_some_and(|rest| rest.starts_with('.'))
                });
                info_of_latest(&stored)?
            }
            _ => return None,
        };
        let fetched = self.clock.wall();
        Some(Arc::new(Answer { body, fetched, upstream: "the store".to_owned(), checked: None }))
    }
}

/// Whether the rules leave out a stored version.
fn is_left_out(mount: &Mount, stored: &Manifest, now: UnixMillis) -> bool {
    mount.rules.judge(&stored.of, stored.time, &stored.known_licences(), now).is_err()
}

/// Whether a stored version would be given.
fn may_be_given(mount: &Mount, stored: &Manifest, now: UnixMillis) -> bool {
    suffices(mount, &stored.of, &stored.checked) && !is_left_out(mount, stored, now)
}

/// The info of the latest of sorted versions.
fn info_of_latest(stored: &[(Version, Bytes)]) -> Option<Bytes> {
    let versions: Vec<Version> = stored.iter().map(|(version, _)| version.clone()).collect();
    let latest = latest(&versions)?;
    stored.iter().find(|(version, _)| version == latest).map(|(_, info)| info.clone())
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
