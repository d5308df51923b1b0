//! What the controller API moves by name: lists brought up to date, members tested, and what dashboards keep here.

use std::time::Duration;

use crate::kept::NoRoom;
use crate::node::Member;
use crate::probe::{Expected, Question};
use crate::testing::test_all;
use crate::ways::Ways;

impl Ways {
    /// Fetches the list of proxies `name` anew, or reads its file again. `None` when there is none of this name; the error
    /// says in words why the members stay as they were.
    pub async fn update_provider(&self, name: &str) -> Option<Result<(), String>> {
        let provider = self.set().provider(name).cloned()?;
        Some(self.inner().update(&provider).await)
    }

    /// [`Self::update_provider`] for a list of rules.
    pub async fn update_rule_list(&self, name: &str) -> Option<Result<(), String>> {
        let rules = self.rules();
        let list = rules.lists.all().iter().find(|list| *list.spec.name == *name).cloned()?;
        Some(self.inner().update_rules(&list).await)
    }

    /// Tests `members`, a few at a time, and enters what came of it. Nothing when `url` cannot be tested.
    pub async fn check_members(&self, members: &[Member], url: &str, limit: Duration, expected: &Expected) {
        let Ok(question) = Question::parse(url) else { return };
        test_all(self.inner(), members.iter().cloned(), &std::sync::Arc::new(question), expected, limit).await;
    }

    /// What a dashboard keeps here under `key`: JSON.
    #[must_use]
    pub fn stored(&self, key: &str) -> Option<String> {
        self.inner().kept.stored(key)
    }

    /// Keeps JSON of a dashboard under `key`, over restarts; `None` forgets it.
    ///
    /// # Errors
    /// When there is no room; what was kept under `key` is as before.
    pub fn store(&self, key: &str, json: Option<&str>) -> Result<(), NoRoom> {
        self.inner().kept.store(key, json)
    }
}
