//! Calls inside runs: who may make them, what they may cost, and what they have cost.
use std::sync::Arc;

use fairlead_plan::{Budget, InstanceKey};
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{Amount, RunState, StepState};
use fairlead_workflow::run::Event;

use crate::amount;
use crate::budget::Rule;
use crate::engine::{Engine, UnitBuilder};
use crate::judge::BudgetOf;
use crate::keys::{self, RunId};
use crate::rejection::{Reason, Rejection};

/// The run that a call belongs to.
#[derive(Debug)]
pub(crate) struct BoundRun {
    /// Its id, without `runs/`.
    pub(crate) run: String,
    /// Id of the run at the root of its tree; empty when that is itself.
    pub(crate) root: String,
}

impl Engine {
    /// The run of a workflow that a call names; `None` for names that are the caller's own.
    ///
    /// # Errors
    /// The run is not there or not the tenant's, has ended, or winds down: nothing new begins in it.
    pub(crate) fn bind_run(&self, tenant: &str, run: &str, step: &str) -> Result<Option<BoundRun>, Rejection> {
        let name = run.strip_prefix("runs/").unwrap_or(run);
        let Some(id) = keys::run_id(name) else { return Ok(None) };
        let wrong = |message: String| Rejection::new(Reason::InvalidState, message).with("run", name);
        let open = self.runs.get(&id).filter(|open| *open.tenant == *tenant);
        let Some(open) = open else {
            return Err(wrong(format!(
                "run `{name}` has ended or is not there: nothing can be done in it"
            )));
        };
        if open.run.record().state() == RunState::Cancelling {
            let step = open.run.find(step).and_then(|key| open.run.step(key));
            let takes_back = step.is_some_and(|step| step.compensating && step.state() == StepState::Leased);
            if !takes_back {
                return Err(wrong(format!(
                    "run `{name}` is being cancelled: nothing new begins in it"
                )));
            }
        }
        let root = &open.run.record().root;
        Ok(Some(BoundRun {
            run: name.to_owned(),
            root: if root == name { String::new() } else { root.clone() },
        }))
    }

    /// What the definitions of a run and of the runs above it allow, with the book of each and its instance.
    pub(crate) fn run_budgets(&mut self, tenant: &str, run: &str) -> Vec<(BudgetOf, Option<usize>, InstanceKey)> {
        let mut found = Vec::new();
        let mut next = keys::run_id(run);
        while let Some(id) = next {
            let Some(open) = self.runs.get(&id).filter(|open| *open.tenant == *tenant) else {
                break;
            };
            let definition = open.run.definition();
            let record = open.run.record();
            next = keys::run_id(&record.parent);
            if amount::is_zero(definition.budget) {
                continue;
            }
            let budget = Budget::of_run(&budget_name(&definition.name, &definition.version), definition.budget);
            let instance = InstanceKey(format!("run={}", record.run));
            let at = self.ledger.keep(Rule::of(&budget));
            found.push((BudgetOf::Run(Arc::new(budget)), Some(at), instance));
        }
        found
    }

    /// Tells the run of an invocation what was charged.
    pub(crate) fn spend_in_run(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        record: &InvocationRecord,
        charged: Amount,
    ) {
        let Some(id) = keys::run_id(&record.run) else { return };
        let key = self.runs.get(&id).and_then(|open| open.run.find(&record.step));
        let event = Event::Spent {
            key,
            amount: charged,
            invocation: &record.invocation,
        };
        // A run that has ended has its sum; what comes later is in the budgets.
        let _ = self.drive(unit, now, &id, &event);
    }

    /// Forgets what a run was allowed, once it has ended: the sum is in its record.
    pub(super) fn forget_run_budget(&mut self, unit: &mut UnitBuilder, id: &RunId) {
        let Some(open) = self.runs.get(id) else { return };
        let definition = open.run.definition();
        if amount::is_zero(definition.budget) {
            return;
        }
        let name = budget_name(&definition.name, &definition.version);
        let instance = format!("run={}", open.run.record().run);
        let tenant = open.tenant.to_string();
        unit.writes.extend(self.ledger.forget(&name, &tenant, &instance));
    }
}

/// Name of the budget of a workflow's runs. The colon keeps it apart from those of the configuration.
fn budget_name(workflow: &str, version: &str) -> String {
    format!("workflow:{workflow}@{}", version.get(..12).unwrap_or(version))
}
