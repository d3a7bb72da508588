//! Configuration → [`Compiled`], or every violation at once. The control services validate as well, with the lines of the
//! file; the core does not rely on it.

mod bounds;
mod conditions;
mod limiting;
mod outputs;
mod policies;
mod providers;
mod reachable;
mod report;
mod routes;
mod tools;

use std::collections::{BTreeMap, HashSet};

use fairlead_wire::internal::EngineConfig;

use crate::compiled::{Agent, Compiled, Violation};
use crate::index::Index;
use crate::matching::Pattern;
use crate::tool::Tools;
use policies::Policies;
use report::Report;

impl Compiled {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Every violation, in configuration order, with its path in YAML spelling.
    pub fn compile(config: &EngineConfig) -> Result<Self, Vec<Violation>> {
        let mut report = Report::default();
        report.require(!config.version.is_empty(), "version", "must not be empty");
        let agents = tenants(config, &mut report);
        let providers::Models { mut models, model_ids } = providers::compile(config, &mut report);
        let routes = routes::compile(config, &model_ids, &mut report);
        for (route, source) in routes.iter().zip(&config.routes) {
            providers::learn_patience(&mut models, route, source);
        }
        reachable::check(&routes, &mut report);
        let budgets = limiting::budgets(config, &model_ids, &mut report);
        let rate_limits = limiting::rate_limits(config, &mut report);
        let Policies {
            model_call: policies,
            tool_call,
        } = policies::compile(config, &model_ids, &mut report);
        let tools = Tools {
            catalogue: tools::catalogue(config, &mut report),
            index: Index::new(tool_call.iter().map(|rule| &rule.matcher)),
            rules: tool_call,
            tiers: tools::tiers(config, &mut report),
            operators: tools::operators(config),
            allow_by_default: config.defaults.get("tool.call").is_some_and(|effect| effect == "allow"),
        };
        let outputs = outputs::compile(config, &mut report);
        let compiled = Self {
            version: config.version.clone(),
            agents,
            providers: config.providers.clone(),
            models,
            model_ids,
            route_index: Index::new(routes.iter().map(|route| &route.matcher)),
            routes,
            budget_index: Index::new(budgets.iter().map(|budget| &budget.matcher)),
            budgets,
            rate_index: Index::new(rate_limits.iter().map(|limit| &limit.matcher)),
            rate_limits,
            policy_index: Index::new(policies.iter().map(|rule| &rule.matcher)),
            policies,
            tools,
            output_index: Index::new(outputs.iter().map(|rule| &rule.matcher)),
            outputs,
            allow_by_default: bounds::allows_by_default(config, &mut report),
            limits: bounds::limits(config, &mut report),
            reservations: bounds::reservations(config, &mut report),
            durability: bounds::durability(config, &mut report),
            audit_content: bounds::audit_content(config, &mut report),
        };
        report.finish(compiled)
    }
}

fn tenants(config: &EngineConfig, report: &mut Report) -> BTreeMap<String, BTreeMap<String, Agent>> {
    let mut names = HashSet::new();
    let mut tenants = BTreeMap::new();
    for (at, tenant) in config.tenants.iter().enumerate() {
        report.name(format_args!("tenants[{at}].name"), &tenant.name, &mut names);
        let mut agent_names = HashSet::new();
        let mut agents = BTreeMap::new();
        for (agent_at, agent) in tenant.agents.iter().enumerate() {
            report.name(
                format_args!("tenants[{at}].agents[{agent_at}].name"),
                &agent.name,
                &mut agent_names,
            );
            agents.insert(
                agent.name.clone(),
                Agent {
                    labels: agent.labels.clone(),
                    queues: agent.queues.iter().map(|text| Pattern::parse(text)).collect(),
                },
            );
        }
        tenants.insert(tenant.name.clone(), agents);
    }
    tenants
}
