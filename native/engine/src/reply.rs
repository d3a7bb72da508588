//! What an admission answers, as far as it follows from the judgement: its parts are the record's parts, too.
use fairlead_plan::{Compiled, OutputRule};
use fairlead_wire::v1::{AdmitResponse, Decision, DroppedCandidate, PlannedTarget};

use crate::judge::{Judgement, Outcome};

pub(crate) fn model_name(compiled: &Compiled, model: Option<fairlead_plan::ModelId>) -> &str {
    model.and_then(|id| compiled.model(id)).map_or("", |model| &model.name)
}

/// The part of the answer that does not depend on the hold. Its parts are the record's parts, too.
pub(crate) fn reply(compiled: &Compiled, judgement: &mut Judgement) -> AdmitResponse {
    let decision = &judgement.decision;
    let rule_name = |id| {
        compiled
            .policy(id)
            .map(|rule| rule.name.to_string())
            .unwrap_or_default()
    };
    let limit = match &judgement.outcome {
        Outcome::Granted(grant) | Outcome::Ask(_, grant) => grant.max_output,
        Outcome::Cached | Outcome::Waiting | Outcome::Refused(_) | Outcome::RateLimited { .. } => 0,
    };
    AdmitResponse {
        decision: Some(Decision {
            config_version: compiled.version().to_owned(),
            route: decision
                .route
                .and_then(|id| compiled.route(id))
                .map(|route| route.name.to_string())
                .unwrap_or_default(),
            rules: decision.rules.iter().map(|id| rule_name(*id)).collect(),
            deciding_rule: decision.deciding_rule.map(rule_name).unwrap_or_default(),
            reason: std::mem::take(&mut judgement.reason),
            output_rules: Vec::new(),
        }),
        plan: judgement
            .plan
            .iter()
            .filter_map(|one| {
                let model = compiled.model(one.model())?;
                Some(PlannedTarget {
                    model: model.name.to_string(),
                    provider: model.provider_name.to_string(),
                    upstream_model: model.upstream.to_string(),
                    timeout: prost_types::Duration::try_from(one.planned.timeout).ok(),
                    max_output_tokens: one.cap(limit),
                })
            })
            .collect(),
        dropped: decision
            .dropped
            .iter()
            .map(|one| DroppedCandidate {
                model: model_name(compiled, Some(one.model)).to_owned(),
                reason: one.reason as i32,
                detail: one.detail.clone(),
            })
            .collect(),
        ..AdmitResponse::default()
    }
}

/// Which rules on `model.output` the answer has to pass, or has passed.
pub(crate) fn name_output_rules(reply: &mut AdmitResponse, rules: &[&OutputRule]) {
    if let Some(decision) = &mut reply.decision {
        decision.output_rules = rules.iter().map(|rule| rule.name.to_string()).collect();
    }
}
