//! A small configuration and calls, to be changed by each test.

use std::collections::BTreeMap;

use fairlead_plan::{CallFacts, Compiled, HealthBook, InputSize, ModelId, PlanDecision, UnixNanos};
use fairlead_wire::internal::{
    EngineConfig, Fallback, Match, Model, PolicyRule, Price, Provider, ProviderKind, Route, Target, Tenant,
};

pub const SECOND: i64 = 1_000_000_000;
pub const NOW: UnixNanos = UnixNanos(1_700_000_000 * SECOND);

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A model of the provider `cloud`; prices in USD per million tokens.
pub fn model(name: &str, input: i64, output: i64, quality: i32) -> Model {
    Model {
        name: name.to_owned(),
        provider: "cloud".to_owned(),
        upstream: format!("{name}-1"),
        price: Some(Price {
            input_pico: input * 1_000_000,
            cached_input_pico: input * 1_000_000,
            cache_write_pico: input * 1_000_000,
            output_pico: output * 1_000_000,
            ..Default::default()
        }),
        context_tokens: 128_000,
        max_output_tokens: 16_000,
        capabilities: strings(&["tools", "json"]),
        quality_per_mille: quality,
        ..Model::default()
    }
}

/// One provider, the models `small`, `medium` and `large`, no routes.
pub fn config() -> EngineConfig {
    EngineConfig {
        version: "v1".to_owned(),
        tenants: vec![Tenant {
            name: "acme".to_owned(),
            agents: Vec::new(),
        }],
        providers: vec![Provider {
            name: "cloud".to_owned(),
            kind: ProviderKind::OpenaiCompatible.into(),
            base_url: "http://127.0.0.1:1/v1".to_owned(),
            ..Provider::default()
        }],
        models: vec![
            model("small", 1, 2, 500),
            model("medium", 3, 10, 800),
            model("large", 10, 30, 900),
        ],
        defaults: BTreeMap::from([("model.call".to_owned(), "allow".to_owned())]),
        ..EngineConfig::default()
    }
}

/// A route to weighted targets.
pub fn route(name: &str, targets: &[(&str, u32)], chain: &[&str]) -> Route {
    let target = |(model, weight): &(&str, u32)| Target {
        model: (*model).to_owned(),
        weight: *weight,
    };
    Route {
        name: name.to_owned(),
        targets: targets.iter().map(target).collect(),
        fallback: Some(Fallback {
            chain: strings(chain),
            on: strings(&["429", "5xx"]),
        }),
        ..Route::default()
    }
}

pub fn workload(name: &str) -> Option<Match> {
    Some(Match {
        workloads: strings(&[name]),
        ..Match::default()
    })
}

pub fn rule(name: &str) -> PolicyRule {
    PolicyRule {
        name: name.to_owned(),
        on: "model.call".to_owned(),
        ..PolicyRule::default()
    }
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// A call of a thousand input tokens.
pub fn call() -> CallFacts<'static> {
    CallFacts {
        tenant: "acme",
        agent: "bot",
        model: "",
        workload: "chat",
        session: "",
        run: "",
        root_run: "",
        step: "",
        labels: &NO_LABELS,
        attributes: None,
        input: InputSize::Tokens(1000),
        max_output_tokens: 0,
        min_output_tokens: 0,
        min_quality: None,
        capabilities: &[],
        stream: false,
        choices: 1,
        session_labels: &[],
        split_key: "request-1",
        dialect: "",
        untranslatable: &[],
        pins: fairlead_plan::Pins::None,
    }
}

/// A compiled configuration with its health.
pub struct World {
    pub compiled: Compiled,
    pub health: HealthBook,
}

impl World {
    pub fn new(config: &EngineConfig) -> Self {
        let compiled = Compiled::compile(config).expect("the configuration is valid");
        let health = HealthBook::new(&compiled);
        Self { compiled, health }
    }

    pub fn decide(&self, facts: &CallFacts<'_>) -> PlanDecision {
        self.compiled.decide(facts, &self.health, NOW)
    }

    pub fn id(&self, model: &str) -> ModelId {
        self.compiled.model_id(model).expect("the model exists")
    }

    /// Names of the models of a plan.
    pub fn plan(&self, decision: &PlanDecision) -> Vec<&str> {
        decision
            .plan
            .iter()
            .map(|planned| &*self.compiled.model(planned.model).unwrap().name)
            .collect()
    }

    /// Dropped models with their reason.
    pub fn dropped(&self, decision: &PlanDecision) -> Vec<(&str, &'static str)> {
        let name = |id| &*self.compiled.model(id).unwrap().name;
        decision
            .dropped
            .iter()
            .map(|dropped| (name(dropped.model), dropped.reason.as_str_name()))
            .collect()
    }

    pub fn rules(&self, decision: &PlanDecision) -> Vec<&str> {
        decision
            .rules
            .iter()
            .map(|id| &*self.compiled.policy(*id).unwrap().name)
            .collect()
    }

    pub fn deciding(&self, decision: &PlanDecision) -> Option<&str> {
        decision
            .deciding_rule
            .map(|id| &*self.compiled.policy(id).unwrap().name)
    }
}
