//! `/providers/proxies`: lists of proxies. As in mihomo the members that a group names itself are a list as well, of the
//! group's name, and everything that there is one is called `default`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tradewind_door::Response;
use tradewind_policy::ways::HealthCheck;
use tradewind_ways::{Expected, Group, Member, Provider, Subscription, WaySet, Ways};

use super::answer::{Wrong, done, json, under};
use super::delay::{self, Test};
use super::time::{NEVER, go_time};
use super::view::ProxyView;

/// The list of everything.
const DEFAULT: &str = "default";
/// The group that has the same members.
const GLOBAL: &str = "GLOBAL";

/// A list.
#[derive(Serialize)]
struct ProviderView {
    name: Arc<str>,
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(rename = "vehicleType")]
    vehicle: &'static str,
    proxies: Vec<ProxyView>,
    #[serde(rename = "testUrl")]
    test_url: String,
    #[serde(rename = "expectedStatus")]
    expected_status: String,
    #[serde(rename = "updatedAt")]
    updated_at: String,
    #[serde(rename = "subscriptionInfo", skip_serializing_if = "Option::is_none")]
    subscription: Option<SubscriptionView>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SubscriptionView {
    upload: u64,
    download: u64,
    total: u64,
    expire: u64,
}

impl From<Subscription> for SubscriptionView {
    fn from(told: Subscription) -> Self {
        let Subscription { upload, download, total, expire } = told;
        Self { upload, download, total, expire }
    }
}

/// A list of the document, or one that stands for a group.
pub(crate) enum List {
    Provider(Arc<Provider>),
    Group(Arc<Group>),
    Default(Arc<Group>),
}

impl List {
    /// The list of this name.
    pub(crate) fn find(set: &WaySet, name: &str) -> Result<Self, Wrong> {
        if let Some(provider) = set.provider(name) {
            return Ok(Self::Provider(provider.clone()));
        }
        if name == DEFAULT {
            return set.group(GLOBAL).cloned().map(Self::Default).ok_or(Wrong::Unknown);
        }
        let group = set.group(name).filter(|group| is_list(group)).ok_or(Wrong::Unknown)?;
        Ok(Self::Group(group.clone()))
    }

    fn members(&self) -> Vec<Member> {
        match self {
            Self::Provider(provider) => provider.nodes().iter().cloned().map(Member::Node).collect(),
            Self::Default(group) => group.members().to_vec(),
            Self::Group(group) => {
                let named = |member: &Member| !matches!(member, Member::Node(node) if node.provider.is_some());
                group.members().iter().filter(|member| named(member)).cloned().collect()
            }
        }
    }

    /// The member of this name.
    pub(crate) fn member(&self, name: &str) -> Result<Member, Wrong> {
        self.members().into_iter().find(|member| **member.name() == *name).ok_or(Wrong::Unknown)
    }

    /// How it looks.
    pub(crate) fn shown(&self, set: &WaySet) -> Response {
        json(200, &self.view(set))
    }

    fn view(&self, set: &WaySet) -> ProviderView {
        let proxies = self.members().iter().map(|member| ProxyView::of(set, member)).collect();
        let (name, vehicle) = match self {
            Self::Provider(provider) => (provider.name().clone(), provider.vehicle_name()),
            Self::Default(_) => (Arc::from(DEFAULT), "Compatible"),
            Self::Group(group) => (group.name().clone(), "Compatible"),
        };
        let mut view = ProviderView {
            name,
            type_name: "Proxy",
            vehicle,
            proxies,
            test_url: String::new(),
            expected_status: "*".to_owned(),
            updated_at: NEVER.to_owned(),
            subscription: None,
        };
        match self {
            Self::Provider(provider) => {
                if let Some(check) = provider.health_check() {
                    view.test_url.clone_from(&check.url);
                    view.expected_status = status_or_any(&check.expected_status);
                }
                let told = provider.told();
                view.updated_at = told.updated.map_or_else(|| NEVER.to_owned(), go_time);
                view.subscription = told.subscription.map(SubscriptionView::from);
            }
            Self::Group(group) => {
                view.test_url.clone_from(&group.spec.test_url);
                view.expected_status = status_or_any(&group.spec.expected_status);
            }
            Self::Default(_) => {}
        }
        view
    }

    /// Fetches it anew, or reads its file again. What stands for a group has nothing to fetch.
    pub(crate) async fn update(&self, ways: &Ways) -> Result<Response, Wrong> {
        if let Self::Provider(provider) = self
            && let Some(Err(error)) = ways.update_provider(provider.name()).await
        {
            return Err(Wrong::said(503, error));
        }
        Ok(done())
    }

    /// Tests its members as the document says.
    pub(crate) async fn check(&self, ways: &Ways) -> Response {
        match self {
            Self::Provider(provider) => {
                if let Some(HealthCheck { url, timeout, expected_status, .. }) = provider.health_check() {
                    let expected = Expected::parse(expected_status).unwrap_or_default();
                    ways.check_provider(&provider.nodes(), url, *timeout, &expected).await;
                }
            }
            Self::Group(group) => {
                let spec = &group.spec;
                let expected = Expected::parse(&spec.expected_status).unwrap_or_default();
                let limit = spec.timeout.max(Duration::from_millis(1));
                ways.check_members(&self.members(), &spec.test_url, limit, &expected).await;
            }
            Self::Default(_) => {}
        }
        done()
    }

    /// Tests one member.
    pub(crate) async fn check_one(&self, ways: &Ways, name: &str, query: Option<&str>) -> Result<Response, Wrong> {
        let member = self.member(name)?;
        delay::one(ways, &member, Test::parse(query)?).await
    }
}

/// Whether a group names members itself.
fn is_list(group: &Group) -> bool {
    let members = &group.spec.members;
    **group.name() != *GLOBAL && (!members.proxies.is_empty() || members.all_proxies)
}

fn status_or_any(expected: &str) -> String {
    if expected.is_empty() { "*".to_owned() } else { expected.to_owned() }
}

/// All lists by name.
pub(crate) fn list(set: &WaySet) -> Response {
    let groups = set.groups.iter().filter(|group| is_list(group)).cloned().map(List::Group);
    let default = set.group(GLOBAL).cloned().map(List::Default);
    // Those of the document last: they keep their names.
    let all = groups.chain(default).chain(set.providers.iter().cloned().map(List::Provider));
    let views: BTreeMap<Arc<str>, ProviderView> =
        all.map(|list| list.view(set)).map(|view| (view.name.clone(), view)).collect();
    under("providers", &views)
}
