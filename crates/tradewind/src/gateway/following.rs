//! Groups of models that follow the network.

use std::sync::Arc;

use tradewind_door_models::{Models, ModelsDoor};
use tradewind_ways::Follower;

/// What such a group is called among the others.
pub(super) fn followed_name(model: &str) -> String {
    format!("models/{model}")
}

/// The groups of `models` that have a policy, in the order of the file.
pub(super) fn followers(models: &Models, door: &ModelsDoor) -> Vec<Arc<dyn Follower>> {
    let following = models.entries.iter().filter_map(|entry| {
        let policy = entry.network_policy.as_ref()?;
        let policy = policy.0.iter().map(|(network, target)| (Arc::from(&**network), Arc::from(&*target.value)));
        let model = entry.name.value.to_string();
        let name = followed_name(&model).into();
        Some(Arc::new(Following { name, model, policy: policy.collect(), door: Box::new(door.weak()) })
            as Arc<dyn Follower>)
    });
    following.collect()
}

struct Following {
    name: Arc<str>,
    model: String,
    policy: Vec<(Arc<str>, Arc<str>)>,
    /// Nothing once the door is gone, which holds this through the ways out.
    door: Box<dyn Fn() -> Option<ModelsDoor> + Send + Sync>,
}

impl Follower for Following {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn policy(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.policy
    }

    fn current(&self) -> Arc<str> {
        let selected = (self.door)().and_then(|door| door.selected(&self.model));
        selected.map_or_else(|| Arc::from(""), Arc::from)
    }

    fn has(&self, member: &str) -> bool {
        (self.door)().is_some_and(|door| door.has_member(&self.model, member))
    }

    fn set(&self, member: &Arc<str>) -> bool {
        (self.door)().is_some_and(|door| door.select(&self.model, member))
    }
}
