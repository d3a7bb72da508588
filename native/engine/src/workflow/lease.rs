//! LeaseSteps: the right to attempts, durable before the worker has it.
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::{LeaseWish, StepEffect, StepLease};
use fairlead_workflow::run::{Event, MODEL_QUEUE, StepKey};
use sha2::{Digest, Sha256};

use super::start::invalid;
use crate::admit::timestamp;
use crate::command::{Applied, Caller, Refusal};
use crate::engine::{Engine, UnitBuilder};
use crate::keys::RunId;
use crate::rejection::{Reason, Rejection};
use crate::validate::MOST_ID_CHARS;

/// Most queues of one wish.
const MOST_QUEUES: usize = 64;
/// Most steps of one wish, and most results of one call.
pub(super) const MOST_LEASED: usize = 256;
/// Bytes of inputs of one answer after which it gets no further step; clients take 4 MiB by default.
const ANSWER_BYTES: usize = 2 << 20;
/// Name of the worker that does model steps.
const SIDECAR: &str = "sidecar";

/// A model step that the sidecar has leased to itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelLease {
    /// Tenant of the run.
    pub tenant: String,
    /// Agent that started the run; empty when an operator did.
    pub agent: String,
    /// The attempt, with the call as input.
    pub lease: StepLease,
}

impl Engine {
    /// Leases what is ready, at most as many as wished; perhaps none, which changes nothing.
    pub fn lease_steps(&mut self, now: UnixNanos, caller: Caller<'_>, wish: &LeaseWish) -> Applied<Vec<StepLease>> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        if let Err(rejection) = self.check_wish(caller, wish) {
            return Applied::refused(rejection);
        }
        let mut unit = UnitBuilder::new();
        let leases = self.lease_into(&mut unit, now, caller, wish);
        if leases.is_empty() {
            return Applied::done(leases, None);
        }
        let power = self.needs_power(&leases);
        Applied::done(leases, Some(self.seal(unit, power)))
    }

    /// Leases model steps to the sidecar, one tenant after the other.
    pub fn lease_model_steps(&mut self, now: UnixNanos, most: usize) -> Applied<Vec<ModelLease>> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        let mut unit = UnitBuilder::new();
        let mut leased = Vec::new();
        while leased.len() < most
            && let Some((id, key)) = self.runs.next_model_step()
        {
            let Some(lease) = self.lease_one(&mut unit, now, &id, key, SIDECAR, "") else {
                break;
            };
            if let Some(open) = self.runs.get(&id) {
                let record = open.run.record();
                leased.push(ModelLease {
                    tenant: record.tenant.clone(),
                    agent: record.agent.clone(),
                    lease,
                });
            }
        }
        if leased.is_empty() {
            return Applied::done(leased, None);
        }
        // The call's own hold is durable in its own unit; a lost lease only means that it is made again.
        Applied::done(leased, Some(self.seal(unit, false)))
    }

    /// Refuses a wish that cannot be met.
    pub(super) fn check_wish(&self, caller: Caller<'_>, wish: &LeaseWish) -> Result<(), Rejection> {
        let characters = wish.worker.chars().count();
        if characters == 0 || characters > MOST_ID_CHARS {
            return Err(invalid(
                "wish.worker",
                &format!("is required, 1 to {MOST_ID_CHARS} characters"),
            ));
        }
        if wish.queues.is_empty() || wish.queues.len() > MOST_QUEUES {
            return Err(invalid(
                "wish.queues",
                &format!("has to have 1 to {MOST_QUEUES} queues"),
            ));
        }
        if wish.max_steps < 0 {
            return Err(invalid("wish.max_steps", "must not be negative"));
        }
        for (at, queue) in wish.queues.iter().enumerate() {
            if queue.is_empty() || queue.starts_with(MODEL_QUEUE.get(..1).unwrap_or_default()) {
                let field = format!("wish.queues[{at}]");
                return Err(invalid(&field, "is not a queue of workers"));
            }
            if !self.compiled.may_lease(caller.tenant, caller.agent, queue) {
                let message = format!(
                    "agent `{}` may not lease queue `{queue}`: its queues are configured",
                    caller.agent
                );
                return Err(Rejection::new(Reason::PolicyDenied, message).with("queue", queue));
            }
        }
        Ok(())
    }

    /// Leases into a unit.
    pub(super) fn lease_into(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        wish: &LeaseWish,
    ) -> Vec<StepLease> {
        let most = usize::try_from(wish.max_steps).unwrap_or(0).clamp(1, MOST_LEASED);
        let mut leases: Vec<StepLease> = Vec::new();
        let mut bytes = 0;
        while leases.len() < most
            && bytes < ANSWER_BYTES
            && let Some((id, key)) = self.runs.next_ready(caller.tenant, &wish.queues)
        {
            // What stands in a queue can be leased (W5); were it not so, it is not tried for ever.
            let Some(lease) = self.lease_one(unit, now, &id, key, &wish.worker, caller.agent) else {
                break;
            };
            bytes += lease.input.len() + lease.compensates.len();
            leases.push(lease);
        }
        leases
    }

    fn lease_one(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &RunId,
        key: StepKey,
        worker: &str,
        agent: &str,
    ) -> Option<StepLease> {
        let lease = lease_name(self.chain.head(), id, key);
        let event = Event::Lease {
            key,
            worker,
            agent,
            lease,
        };
        self.drive(unit, now, id, &event).ok()?;
        self.lease_view(id, key)
    }

    fn lease_view(&self, id: &RunId, key: StepKey) -> Option<StepLease> {
        let open = self.runs.get(id)?;
        let (run, step) = (open.run.record(), open.run.step(key)?);
        let definition = open.run.definition().steps.get(key.index())?;
        let name = open.run.name(key);
        let own_key = if step.idempotency_key.is_empty() {
            format!("{}/{name}", run.run)
        } else {
            step.idempotency_key.clone()
        };
        let queue = if step.compensating {
            definition.compensate.as_deref().unwrap_or_default()
        } else {
            match &definition.task.kind {
                fairlead_workflow::TaskKind::Agent { queue } => queue,
                _ => MODEL_QUEUE,
            }
        };
        let lease_nanos = definition.task.timeouts.lease_nanos;
        Some(StepLease {
            run: format!("runs/{}", run.run),
            step: name,
            epoch: step.epoch,
            lease: step.lease.clone(),
            queue: queue.to_owned(),
            input: step.input.as_ref().map(|input| input.json.clone()).unwrap_or_default(),
            idempotency_key: if step.compensating {
                format!("{own_key}/compensate")
            } else {
                own_key
            },
            effect: effect(definition) as i32,
            expire_time: Some(timestamp(step.lease_expires_at_unix_nanos)),
            extension: Some(prost_types::Duration {
                seconds: lease_nanos / 1_000_000_000,
                nanos: i32::try_from(lease_nanos % 1_000_000_000).unwrap_or(0),
            }),
            attempt_expire_time: (step.attempt_expires_at_unix_nanos > 0)
                .then(|| timestamp(step.attempt_expires_at_unix_nanos)),
            attempt: step.attempts,
            workflow: run.workflow.clone(),
            labels: run.labels.clone(),
            compensation: step.compensating,
            compensates: if step.compensating {
                step.output
                    .as_ref()
                    .map(|output| output.json.clone())
                    .unwrap_or_default()
            } else {
                Vec::new()
            },
            session: run.session.clone(),
            traceparent: run.traceparent.clone(),
        })
    }

    /// A lease of a step that acts on the world must not be forgotten: after a loss of power the step would look as if
    /// nobody had begun it.
    pub(super) fn needs_power(&self, leases: &[StepLease]) -> bool {
        self.is_step_power()
            && leases
                .iter()
                .any(|lease| !matches!(lease.effect(), StepEffect::Pure | StepEffect::Read))
    }

    /// Refuses what a lease would.
    pub(super) fn checked_wish(&self, caller: Caller<'_>, wish: Option<&LeaseWish>) -> Result<(), Refusal> {
        match wish {
            Some(wish) => self.check_wish(caller, wish).map_err(Refusal::from),
            None => Ok(()),
        }
    }
}

fn effect(step: &fairlead_workflow::StepDef) -> StepEffect {
    match (step.task.effect, &step.task.kind) {
        (StepEffect::Unspecified, fairlead_workflow::TaskKind::Model(_)) => StepEffect::Read,
        (StepEffect::Unspecified, _) => StepEffect::SideEffect,
        (effect, _) => effect,
    }
}

/// A name for an attempt that only its worker knows: from the chain, which no agent can read.
fn lease_name(head: &[u8; 32], id: &RunId, key: StepKey) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lease");
    hash.update(head);
    hash.update(id);
    hash.update(key.step.to_be_bytes());
    hash.update(key.item.to_be_bytes());
    let hash = hash.finalize();
    let mut name = String::with_capacity(36);
    name.push_str("lse_");
    for byte in hash.iter().take(16) {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}
