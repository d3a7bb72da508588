//! All workflows of a configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairlead_plan::Violation;
use fairlead_wire::internal::{EngineConfig, WorkflowDefinition};

use super::{Definition, Known};

/// Most workflows of a configuration.
const MOST_WORKFLOWS: usize = 1000;

/// Compiles all workflows, which know each other; `known.workflows` may know more.
///
/// # Errors
/// Every violation; paths begin with `workflows.<name>.`.
pub fn compile_all(sources: &[WorkflowDefinition], known: &Known<'_>) -> Result<Vec<Arc<Definition>>, Vec<Violation>> {
    let violation = |path: String, message: &str| Violation {
        path,
        message: message.to_owned(),
    };
    if sources.len() > MOST_WORKFLOWS {
        return Err(vec![violation(
            "workflows".to_owned(),
            &format!("must be at most {MOST_WORKFLOWS}"),
        )]);
    }
    let names: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let workflows = |name: &str| names.contains(name) || (known.workflows)(name);
    let known = Known {
        workflows: &workflows,
        ..*known
    };
    let mut definitions = Vec::with_capacity(sources.len());
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, source) in sources.iter().enumerate() {
        let path = match source.name.as_str() {
            "" => format!("workflows[{at}]"),
            name => format!("workflows.{name}"),
        };
        if !seen.insert(source.name.as_str()) {
            violations.push(violation(
                format!("{path}.name"),
                "is already the name of another workflow",
            ));
        }
        match Definition::compile(source, &known) {
            Ok(definition) => definitions.push(Arc::new(definition)),
            Err(found) => violations.extend(found.into_iter().map(|one| Violation {
                path: format!("{path}.{}", one.path),
                message: one.message,
            })),
        }
    }
    if violations.is_empty() {
        Ok(definitions)
    } else {
        Err(violations)
    }
}

/// Compiles the workflows of a configuration: tiers, routes, models and tenants are those that it has.
///
/// # Errors
/// As [`compile_all`].
pub fn compile_config(config: &EngineConfig) -> Result<Vec<Arc<Definition>>, Vec<Violation>> {
    let tiers: BTreeSet<&str> = config.approval_tiers.iter().map(|tier| tier.name.as_str()).collect();
    let models: BTreeSet<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    let known = Known {
        tiers: &|name| tiers.contains(name),
        models: &|name| models.contains(name) || config.routes.iter().any(|route| takes(route, name)),
        workflows: &|_| false,
    };
    let mut violations = Vec::new();
    for source in &config.workflows {
        for (at, name) in source.tenants.iter().enumerate() {
            if !config.tenants.iter().any(|tenant| tenant.name == *name) {
                violations.push(Violation {
                    path: format!("workflows.{}.tenants[{at}]", source.name),
                    message: format!("there is no tenant `{name}`"),
                });
            }
        }
    }
    match compile_all(&config.workflows, &known) {
        Ok(definitions) if violations.is_empty() => Ok(definitions),
        Ok(_) => Err(violations),
        Err(mut found) => {
            found.extend(violations);
            Err(found)
        }
    }
}

/// Whether a call for this name may go along a route: it is the route's own name, one that its conditions ask for, or the
/// route takes any call.
fn takes(route: &fairlead_wire::internal::Route, name: &str) -> bool {
    let Some(conditions) = &route.r#match else {
        return true;
    };
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    };
    let takes_any = conditions.models.is_empty() && conditions.workloads.is_empty();
    route.name == name || takes_any || conditions.models.iter().any(fits)
}
