//! Puts the new document together from what was read of a LiteLLM configuration.
//!
//! LiteLLM's deployments of one name become one entry of `models` with several targets. Where a model has fallbacks as
//! well, its deployments get an entry of their own, and the model's entry asks that one first and then the fallbacks:
//! these are the deployments of the other models, never their fallbacks, so that no circle can come about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tradewind_policy::{Node, Value};

use super::deployment::{self, Deployment};
use super::ledger::Ledger;
use super::provider::Provider;
use super::settings::{self, Settings, Strategy};
use super::write::{number, quoted, seconds};

/// Most attempts of a call, and the largest weight, that the new file may have.
const MOST_ATTEMPTS: usize = 10;
const LARGEST_WEIGHT: f64 = 1_000_000.0;
/// The longest name of a model, in characters.
const LONGEST_NAME: usize = 128;

/// The new document, and what became of the old one.
pub(super) struct Imported {
    pub(super) document: String,
    pub(super) ledger: Ledger,
}

/// A model that callers may ask for.
struct Model {
    name: String,
    /// Indices of its deployments.
    deployments: Vec<usize>,
    fallbacks: Vec<String>,
}

/// What is being put together.
struct Import<'a> {
    settings: &'a Settings,
    deployments: &'a [Deployment],
    /// The provider of each deployment.
    names: &'a [String],
    models: Vec<Model>,
    /// What was said about a target already: it may be said once.
    said: BTreeMap<String, String>,
    out: String,
}

/// Makes a document of the configuration `root`, which stands in the file `name`; `None` when there is no `model_list`.
pub(super) fn import(name: &str, root: &Node) -> Option<Imported> {
    let list = root.get("model_list").filter(|list| matches!(list.value, Value::List(_)))?;
    let mut ledger = Ledger::default();
    let settings = settings::read(root, &mut ledger);
    let mut deployments = Vec::new();
    for (index, node) in list.items().iter().enumerate() {
        deployments.extend(deployment::read(node, &format!("model_list[{index}]"), &mut ledger));
    }
    let (providers, names) = name_providers(&deployments);
    let mut models = Vec::<Model>::new();
    for (index, deployment) in deployments.iter().enumerate() {
        if let Some(asked) = asked_without_entry(deployment, &names[index], &providers) {
            let node = at(root, &deployment.path);
            if deployment.group != asked {
                let reason = format!("such a name cannot have an entry: callers ask for `{asked}`");
                ledger.leave(&format!("{}.model_name", deployment.path), node, reason);
            }
            if deployment.has_settings() {
                let reason = "only entries of `models` have prices, shares and time limits";
                ledger.leave(&format!("{}.litellm_params", deployment.path), node, reason);
            }
            continue;
        }
        if deployment.group.trim() != deployment.group
            || !(1..=LONGEST_NAME).contains(&deployment.group.chars().count())
            || deployment.group.contains(char::is_control)
        {
            let reason = format!("a name has from 1 to {LONGEST_NAME} characters and no spaces around it");
            ledger.leave(&deployment.path, at(root, &deployment.path), reason);
            continue;
        }
        match models.iter_mut().find(|model| model.name == deployment.group) {
            Some(model) => model.deployments.push(index),
            None => {
                models.push(Model { name: deployment.group.clone(), deployments: vec![index], fallbacks: Vec::new() })
            }
        }
    }
    resolve_fallbacks(&settings, &mut models, root, &mut ledger);
    let mut import = Import {
        settings: &settings,
        deployments: &deployments,
        names: &names,
        models,
        said: BTreeMap::new(),
        out: String::new(),
    };
    import.head(name);
    import.providers(&providers);
    import.models(root, &mut ledger);
    Some(Imported { document: import.out, ledger })
}

/// What callers ask for when a deployment is reached without an entry of `models`: by a pattern, or because its name is
/// that of a model at a provider, which an entry may not hide.
fn asked_without_entry(deployment: &Deployment, provider: &str, providers: &[(String, &Provider)]) -> Option<String> {
    if deployment.group.contains('*') || deployment.model.contains('*') {
        return Some(format!("{provider}/*"));
    }
    let (first, _) = deployment.group.split_once('/')?;
    providers.iter().any(|(name, _)| name == first).then(|| target(provider, &deployment.model))
}

/// The node at `path`, which is known to be there.
fn at<'a>(root: &'a Node, path: &str) -> &'a Node {
    root.find(path).unwrap_or(root)
}

/// Each different provider once, under a name of its own; and the name for each deployment.
fn name_providers(deployments: &[Deployment]) -> (Vec<(String, &Provider)>, Vec<String>) {
    let mut providers: Vec<(String, &Provider)> = Vec::new();
    let mut names = Vec::new();
    for deployment in deployments {
        let provider = &deployment.provider;
        let known = providers.iter().find(|(_, known)| *known == provider).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let taken = |name: &str| providers.iter().any(|(known, _)| known == name);
            let further = (2..).map(|number| format!("{}-{number}", provider.name));
            let name = std::iter::once(provider.name.clone()).chain(further).find(|name| !taken(name));
            let name = name.unwrap_or_default();
            providers.push((name.clone(), provider));
            name
        });
        names.push(name);
    }
    (providers, names)
}

/// Fallbacks to models that are there; the others are left out.
fn resolve_fallbacks(settings: &Settings, models: &mut [Model], root: &Node, ledger: &mut Ledger) {
    let known: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
    for (model, fallbacks, path) in &settings.fallbacks {
        let node = at(root, path);
        if model == "*" || !known.contains(model) {
            ledger.leave(path, node, format!("no model `{model}` was carried over"));
        }
        for fallback in fallbacks.iter().filter(|fallback| !known.contains(fallback)) {
            ledger.leave(path, node, format!("no model `{fallback}` was carried over"));
        }
    }
    let (defaults, path) = &settings.default_fallbacks;
    for fallback in defaults.iter().filter(|fallback| !known.contains(fallback)) {
        ledger.leave(path, at(root, path), format!("no model `{fallback}` was carried over"));
    }
    for model in models {
        let own = settings.fallbacks.iter().find(|(name, ..)| *name == model.name).map(|(_, fallbacks, _)| fallbacks);
        for fallback in own.unwrap_or(defaults) {
            if known.contains(fallback) && *fallback != model.name && !model.fallbacks.contains(fallback) {
                model.fallbacks.push(fallback.clone());
            }
        }
    }
}

fn target(provider: &str, model: &str) -> String {
    format!("{provider}/{model}")
}

impl Import<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn head(&mut self, name: &str) {
        let file = name.rsplit('/').next().unwrap_or(name).replace(char::is_control, " ");
        self.line(&format!("# Made by `tradewind import litellm` from {file}."));
        self.line("# LiteLLM listens on every address; this file serves this machine only. See the user guide before opening it.");
        self.line("listen: 127.0.0.1:4000");
        if let Some(secret) = &self.settings.master_key {
            let secret = quoted(secret);
            self.line("");
            self.line("keys:");
            self.line("  # The master key. More keys, with limits and budgets: `tradewind key create`.");
            self.line(&format!("  - {{name: master, secret: {secret}, allow: [\"models/*\", \"control/*\"]}}"));
        }
    }

    fn providers(&mut self, providers: &[(String, &Provider)]) {
        if providers.is_empty() {
            return;
        }
        self.line("\nproviders:");
        for (name, provider) in providers {
            self.line(&format!("  - name: {}", quoted(name)));
            self.line(&format!("    dialect: {}", provider.dialect));
            self.line(&format!("    base-url: {}", quoted(&provider.base_url)));
            if let Some(key) = &provider.api_key {
                self.line(&format!("    api-key: {}", quoted(key)));
            }
            if let Some(version) = &provider.azure {
                if provider.api_key.is_some() {
                    self.line("    auth: api-key");
                }
                self.line(&format!("    query: {{api-version: {}}}", quoted(version)));
                self.line("    path:");
                for operation in ["chat-completions", "completions", "embeddings"] {
                    let path = operation.replace('-', "/");
                    self.line(&format!("      {operation}: \"/deployments/{{model}}/{path}\""));
                }
            }
            if !provider.headers.is_empty() {
                let headers: Vec<String> = provider
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
                    .collect();
                self.line(&format!("    headers: {{{}}}", headers.join(", ")));
            }
            if !provider.discover {
                self.line("    discover: false");
            }
        }
    }

    fn models(&mut self, root: &Node, ledger: &mut Ledger) {
        if self.models.is_empty() {
            return;
        }
        self.line("\nmodels:");
        let models = std::mem::take(&mut self.models);
        let mut pools = BTreeMap::new();
        for model in &models {
            // The name under which others fall back to it: its only target, itself, or its deployments' own entry.
            let targets = self.distinct(model);
            let pool = match (targets.as_slice(), model.fallbacks.is_empty()) {
                ([only], _) => only.clone(),
                (_, true) => model.name.clone(),
                (_, false) => free_name(&format!("{}-deployments", model.name), &models, &self.settings.aliases),
            };
            pools.insert(model.name.clone(), pool);
        }
        for model in &models {
            let pool = &pools[&model.name];
            let has_pool = !model.fallbacks.is_empty() && self.distinct(model).len() > 1;
            if has_pool {
                self.line(&format!("  # The deployments behind {}.", quoted(&model.name)));
                self.entry(pool, model, &[], root, ledger);
            }
            let fallbacks: Vec<String> = model.fallbacks.iter().map(|name| pools[name].clone()).collect();
            if !fallbacks.is_empty() {
                self.line("  # Falls back in this order.");
            }
            if has_pool {
                self.entry_of_pool(model, pool, &fallbacks);
            } else {
                self.entry(&model.name, model, &fallbacks, root, ledger);
            }
        }
        for (alias, model, path) in &self.settings.aliases {
            if models.iter().any(|known| known.name == *model) && !models.iter().any(|known| known.name == *alias) {
                ledger.carry(path);
                self.line(&format!("  - name: {}\n    targets: [{{use: {}}}]", quoted(alias), quoted(model)));
            } else {
                let reason = format!("no model `{model}` was carried over, or `{alias}` is one itself");
                ledger.leave(path, at(root, path), reason);
            }
        }
    }

    /// The target that a deployment is.
    fn target_of(&self, index: usize) -> String {
        target(&self.names[index], &self.deployments[index].model)
    }

    /// The different targets of a model.
    fn distinct(&self, model: &Model) -> Vec<String> {
        let mut targets = Vec::new();
        for index in &model.deployments {
            let target = self.target_of(*index);
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }

    /// An entry that asks its deployments, then its fallbacks.
    fn entry(&mut self, name: &str, model: &Model, fallbacks: &[String], root: &Node, ledger: &mut Ledger) {
        let targets = self.distinct(model);
        self.line(&format!("  - name: {}", quoted(name)));
        let several = targets.len() > 1;
        match (several, self.settings.strategy) {
            (true, Strategy::Weighted) => self.line("    strategy: weighted"),
            (true, Strategy::LeastLatency) => self.line("    strategy: least-latency"),
            (false, _) => {}
        }
        self.line("    targets:");
        let weights =
            if several && self.settings.strategy == Strategy::Weighted { self.weights(model) } else { BTreeMap::new() };
        let scale = scale(weights.values().copied());
        for target in &targets {
            let mut text = format!("      - {{use: {}", quoted(target));
            if let Some(weight) = weights.get(target) {
                let _ = write!(text, ", weight: {}", number((weight * scale).round()));
            }
            text += &self.said_about(target, model, root, ledger);
            self.line(&format!("{text}}}"));
        }
        for fallback in fallbacks {
            if !targets.contains(fallback) {
                self.line(&format!("      - {{use: {}}}", quoted(fallback)));
            }
        }
        self.limits(model, targets.len() + fallbacks.len());
    }

    /// The shares of a model's targets; none when all are alike. As LiteLLM has it, the first deployment says by what
    /// they are shared, and one that does not say its own gets nothing while another can answer.
    fn weights(&self, model: &Model) -> BTreeMap<String, f64> {
        let shares = |index: &usize| self.deployments[*index].shares;
        let Some(by) = model.deployments.first().and_then(|first| shares(first).iter().position(Option::is_some))
        else {
            return BTreeMap::new();
        };
        let mut weights = BTreeMap::new();
        for index in &model.deployments {
            *weights.entry(self.target_of(*index)).or_default() += shares(index)[by].unwrap_or_default();
        }
        if weights.values().sum::<f64>() > 0.0 { weights } else { BTreeMap::new() }
    }

    /// What is said about a target of a model besides its weight: once in the whole file.
    fn said_about(&mut self, target: &str, model: &Model, root: &Node, ledger: &mut Ledger) -> String {
        let of_target = model.deployments.iter().filter(|index| self.target_of(**index) == *target);
        let of_target: Vec<&Deployment> = of_target.map(|index| &self.deployments[*index]).collect();
        for same in of_target.iter().skip(1) {
            let reason = format!(
                "the same model at the same provider as before: `{target}` is one target with the shares of both"
            );
            ledger.leave(&same.path, at(root, &same.path), reason);
        }
        let Some(deployment) = of_target.first() else { return String::new() };
        let said = said(deployment);
        match self.said.get(target) {
            _ if said.is_empty() => String::new(),
            None => {
                self.said.insert(target.to_owned(), said.clone());
                said
            }
            Some(before) if *before == said => String::new(),
            Some(_) => {
                let reason = format!("`{target}` has another price or limit in an earlier model; it has one only");
                ledger.leave(&format!("{}.litellm_params", deployment.path), at(root, &deployment.path), reason);
                String::new()
            }
        }
    }

    /// An entry that asks the entry of its deployments, then its fallbacks.
    fn entry_of_pool(&mut self, model: &Model, pool: &str, fallbacks: &[String]) {
        self.line(&format!("  - name: {}", quoted(&model.name)));
        self.line("    strategy: fallback");
        self.line("    targets:");
        for target in std::iter::once(pool).chain(fallbacks.iter().map(String::as_str)) {
            self.line(&format!("      - {{use: {}}}", quoted(target)));
        }
        self.limits(model, self.distinct(model).len() + fallbacks.len());
    }

    /// Time limits and attempts of an entry that may ask so many targets.
    fn limits(&mut self, model: &Model, targets: usize) {
        let longest = |of: &dyn Fn(&Deployment) -> Option<f64>| {
            model.deployments.iter().filter_map(|index| of(&self.deployments[*index])).max_by(f64::total_cmp)
        };
        let total = longest(&|deployment| deployment.timeout).or(self.settings.timeout);
        let first = longest(&|deployment| deployment.stream_timeout).or(self.settings.stream_timeout);
        let mut times = Vec::new();
        if let Some(first) = first {
            times.push(format!("first-token: {}", seconds(first)));
        }
        if let Some(total) = total.map(|total| total.max(first.unwrap_or_default())) {
            // What is longer than all of it by default would be refused.
            times.push(format!("total: {}", seconds(total)));
        }
        if !times.is_empty() {
            self.line(&format!("    timeouts: {{{}}}", times.join(", ")));
        }
        if let Some(retries) = self.settings.retries {
            let further = targets.saturating_sub(1).max(retries as usize);
            self.line(&format!("    retry: {{attempts: {}}}", (further + 1).min(MOST_ATTEMPTS)));
        }
    }
}

/// What is said about a target besides its weight.
fn said(deployment: &Deployment) -> String {
    let mut text = String::new();
    if let Some(price) = deployment.price {
        let _ = write!(text, ", price: {{input: {}, output: {}", number(price.input), number(price.output));
        for (key, amount) in [("cached", price.cached), ("reasoning", price.reasoning)] {
            if let Some(amount) = amount {
                let _ = write!(text, ", {key}: {}", number(amount));
            }
        }
        text.push('}');
    }
    if let Some(most) = deployment.max_in_flight {
        let _ = write!(text, ", max-in-flight: {most}");
    }
    text
}

/// What weights are multiplied with to become whole numbers within bounds.
fn scale(mut weights: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = weights.clone().fold(0.0, f64::max);
    let fine = if weights.all(|weight| weight.fract() == 0.0) { 1.0 } else { 1000.0 };
    if largest * fine > LARGEST_WEIGHT { LARGEST_WEIGHT / largest } else { fine }
}

/// `wanted`, or with a number behind it when that is taken.
fn free_name(wanted: &str, models: &[Model], aliases: &[(String, String, String)]) -> String {
    let taken =
        |name: &str| models.iter().any(|model| model.name == name) || aliases.iter().any(|(alias, ..)| alias == name);
    let further = (2..).map(|number| format!("{wanted}-{number}"));
    std::iter::once(wanted.to_owned()).chain(further).find(|name| !taken(name)).unwrap_or_default()
}
