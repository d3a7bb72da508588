//! StartRun, and the beginning of child runs.
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{Known, NeedsRecord, RequestRecord, RunRecord};
use fairlead_wire::v1::{Failure, Run as RunView, RunState, StartRunRequest, StartRunResponse};
use fairlead_workflow::run::{Run, payload};
use fairlead_workflow::{Definition, read_payload};
use prost::Message;

use super::record::shown;
use crate::command::{Applied, Caller, Refusal};
use crate::digest;
use crate::engine::{Engine, UnitBuilder};
use crate::keys;
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::replay::reused_request_id;
use crate::share::Bound;
use crate::unit::{Write, family};
use crate::validate::{Check, MOST_ID_CHARS};

/// Method of the request id, as in its key.
const METHOD: &str = "StartRun";
/// Priorities go from minus to plus this.
const MOST_PRIORITY: u32 = 100;
/// How far ahead a run may be planned: a hundred years, so that times stay in range.
const MOST_DELAY_NANOS: i64 = 100 * 366 * 86_400 * 1_000_000_000;

impl Engine {
    /// Starts a run of the definition in force. The same request id returns the first answer for 24 hours.
    pub fn start_run(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &StartRunRequest,
        known: Option<&Known>,
    ) -> Applied<RunView> {
        match self.try_start_run(now, caller, request, known) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_start_run(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &StartRunRequest,
        known: Option<&Known>,
    ) -> Result<Applied<RunView>, Refusal> {
        let now = self.tick(now)?;
        let tenant = self.tenant_of(caller, request)?.to_owned();
        validate_request(request, now)?;
        let name = if caller.agent.is_empty() {
            caller.operator
        } else {
            caller.agent
        };
        let digest = digest::without_request_id(request, &request.request_id);
        let hash = keys::request_hash(&tenant, name, METHOD, &request.request_id);
        if let Some(first) = self.first_run(now, &tenant, &hash, &digest, known)? {
            return Ok(Applied::replay(first));
        }
        let definition = self.startable(&tenant, &request.workflow)?;
        let bytes = if request.input.is_empty() {
            b"{}".to_vec()
        } else {
            request.input.clone()
        };
        self.check_input("input", &definition, &bytes)?;
        self.has_room_for_run(&tenant, bytes.len())?;

        let id = keys::new_id(now, self.chain.head(), "run");
        let run = keys::run_name(&id);
        let start = request.start_time.as_ref().map_or(0, nanos_of);
        let record = RunRecord {
            session: if request.session.is_empty() {
                run.clone()
            } else {
                request.session.clone()
            },
            root: run.clone(),
            run,
            tenant: tenant.clone(),
            agent: caller.agent.to_owned(),
            operator: caller.operator.to_owned(),
            workflow: definition.name.to_string(),
            workflow_version: definition.version.to_string(),
            labels: request.labels.clone(),
            traceparent: caller.traceparent.to_owned(),
            priority: request.priority,
            input: Some(payload(bytes)),
            create_time_unix_nanos: now,
            start_time_unix_nanos: start,
            ..RunRecord::default()
        };
        let mut unit = UnitBuilder::new();
        let view = shown(&RunRecord {
            // As it is with its first record, before anything may have ended at once.
            state: RunState::Pending as i32,
            ..record.clone()
        });
        self.begin_run(&mut unit, now, id, Run::new(definition, record));
        let view = self.runs.get(&id).map_or(view, |open| shown(open.run.record()));
        self.remember_run(&mut unit, now, &tenant, &hash, &digest, &view);
        Ok(Applied::done(view, Some(self.seal(unit, self.is_step_power()))))
    }

    /// The tenant that a run belongs to: the agent's own; operators name one.
    fn tenant_of<'a>(&self, caller: Caller<'a>, request: &'a StartRunRequest) -> Result<&'a str, Rejection> {
        if !caller.agent.is_empty() {
            if !request.tenant.is_empty() && request.tenant != caller.tenant {
                return Err(invalid("tenant", "only operators name a tenant"));
            }
            return Ok(caller.tenant);
        }
        if request.tenant.is_empty() {
            return Err(invalid("tenant", "is required: operators start runs for a tenant"));
        }
        if self.compiled.tenants().any(|(tenant, _)| *tenant == *request.tenant) {
            Ok(&request.tenant)
        } else {
            let message = format!("there is no tenant `{}`", request.tenant);
            Err(Rejection::new(Reason::NotFound, message).with("tenant", &request.tenant))
        }
    }

    fn startable(&self, tenant: &str, workflow: &str) -> Result<Arc<Definition>, Rejection> {
        let definition = self.runs.workflows.get(workflow).filter(|definition| {
            definition.tenants.is_empty() || definition.tenants.iter().any(|allowed| allowed == tenant)
        });
        definition.cloned().ok_or_else(|| {
            Rejection::new(Reason::NotFound, format!("there is no workflow `{workflow}`")).with("workflow", workflow)
        })
    }

    /// Whether an input may be a run's; says the place in it that may not.
    pub(super) fn check_input(&self, field: &str, definition: &Definition, bytes: &[u8]) -> Result<(), Rejection> {
        let most = self.bounds().payload_bytes;
        if bytes.len() > most {
            let message = format!("{field} has {} bytes, limits.payloadBytes allows {most}", bytes.len());
            return Err(Rejection::new(Reason::PayloadTooLarge, message)
                .with("field", field)
                .with("limit", most));
        }
        let value =
            read_payload(bytes).map_err(|error| invalid(&format!("{field}{}", error.pointer), &error.message))?;
        if let Some(schema) = &definition.input_schema {
            schema
                .check(&value)
                .map_err(|error| invalid(&format!("{field}{}", error.pointer), &error.message))?;
        }
        Ok(())
    }

    /// Whether one more run may be open.
    pub(super) fn has_room_for_run(&self, tenant: &str, bytes: usize) -> Result<(), Rejection> {
        let limits = self.compiled.limits();
        let bound = Bound::new(&self.compiled, "openRuns", limits.open_runs);
        let own = self.runs.of_tenant(tenant);
        if !bound.has_room(self.runs.len(), own) {
            return Err(bound.reached(own));
        }
        if self.runs.bytes().saturating_add(bytes) as u64 > limits.run_bytes {
            let message = format!(
                "inputs and outputs of open runs have reached limits.runBytes ({}), try again later or raise it",
                limits.run_bytes
            );
            return Err(Rejection::new(Reason::QueueFull, message)
                .with("bound", "limits.runBytes")
                .with("limit", limits.run_bytes));
        }
        Ok(())
    }

    fn first_run(
        &self,
        now: i64,
        tenant: &str,
        hash: &keys::RequestHash,
        digest: &[u8; 32],
        known: Option<&Known>,
    ) -> Result<Option<RunView>, Refusal> {
        let Some(known) = known else {
            let hours = self.requests.hours(hash, keys::hour(now));
            if hours.is_empty() {
                return Ok(None);
            }
            let request_keys = hours.into_iter().map(|hour| keys::request(hour, hash)).collect();
            return Err(Refusal::NeedsRecord(NeedsRecord {
                request_keys,
                ..NeedsRecord::default()
            }));
        };
        let Some(record) = known.request.as_ref().filter(|_| known.request_found) else {
            return Ok(None);
        };
        if record.tenant != tenant {
            return Ok(None);
        }
        if record.digest != digest {
            return Err(reused_request_id().into());
        }
        let first = StartRunResponse::decode(record.answer.as_slice()).ok();
        Ok(first.and_then(|first| first.run))
    }

    fn remember_run(
        &mut self,
        unit: &mut crate::engine::UnitBuilder,
        now: i64,
        tenant: &str,
        hash: &keys::RequestHash,
        digest: &[u8; 32],
        view: &RunView,
    ) {
        let answer = StartRunResponse {
            run: Some(view.clone()),
        };
        let record = RequestRecord {
            tenant: tenant.to_owned(),
            digest: digest.to_vec(),
            answer: answer.encode_to_vec(),
            time_unix_nanos: now,
            ..RequestRecord::default()
        };
        let hour = keys::hour(now);
        let most = usize::try_from(self.compiled.limits().request_ids).unwrap_or(usize::MAX);
        self.requests.insert(hour, hash, most);
        let key = keys::request(hour, hash);
        unit.writes
            .push(Write::put(family::REQUESTS, key, record.encode_to_vec()));
    }

    /// The run that a step of another one starts.
    ///
    /// # Errors
    /// Why it cannot begin, for the step.
    #[expect(clippy::too_many_arguments, reason = "the parts of one child, used once")]
    pub(super) fn child_run(
        &self,
        parent: &RunRecord,
        step: &str,
        epoch: u32,
        workflow: &str,
        input: Vec<u8>,
        name: &str,
        now: i64,
    ) -> Result<Run, Failure> {
        let failed = |code: &str, message: String| Failure {
            code: code.to_owned(),
            message,
            step: step.to_owned(),
        };
        let depth = parent.depth.saturating_add(1);
        let most = self.compiled.limits().run_depth;
        if u64::from(depth) > most {
            let message = format!("child runs are nested deeper than limits.runDepth ({most})");
            return Err(failed("RUN_DEPTH", message));
        }
        let refused = |rejection: Rejection| failed(rejection.reason.as_str(), rejection.message);
        let definition = self.startable(&parent.tenant, workflow).map_err(refused)?;
        self.check_input("input", &definition, &input).map_err(refused)?;
        self.has_room_for_run(&parent.tenant, input.len()).map_err(refused)?;
        let record = RunRecord {
            run: name.to_owned(),
            tenant: parent.tenant.clone(),
            agent: parent.agent.clone(),
            operator: parent.operator.clone(),
            workflow: definition.name.to_string(),
            workflow_version: definition.version.to_string(),
            labels: parent.labels.clone(),
            priority: parent.priority,
            input: Some(payload(input)),
            parent: parent.run.clone(),
            parent_step: step.to_owned(),
            parent_epoch: epoch,
            root: parent.root.clone(),
            depth,
            create_time_unix_nanos: now,
            session: parent.session.clone(),
            traceparent: parent.traceparent.clone(),
            ..RunRecord::default()
        };
        Ok(Run::new(definition, record))
    }

    /// True when what happens to runs is acknowledged only after an fsync.
    pub(super) fn is_step_power(&self) -> bool {
        self.compiled.durability("workflow.step") == fairlead_plan::Durability::Power
    }
}

fn validate_request(request: &StartRunRequest, now: i64) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    if request.workflow.is_empty() {
        check.fail("workflow", "is required");
    }
    check.text("session", &request.session, MOST_ID_CHARS);
    check.labels(&request.labels);
    if request.priority.unsigned_abs() > MOST_PRIORITY {
        check.fail("priority", format!("must be from -{MOST_PRIORITY} to {MOST_PRIORITY}"));
    }
    let delay = request.start_time.as_ref().map_or(0, nanos_of).saturating_sub(now);
    if delay > MOST_DELAY_NANOS {
        check.fail("start_time", "is more than a hundred years ahead");
    }
    check.done()
}

fn nanos_of(time: &prost_types::Timestamp) -> i64 {
    time.seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(time.nanos))
}

pub(super) fn invalid(field: &str, description: &str) -> Rejection {
    Rejection::invalid(vec![FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }])
}
