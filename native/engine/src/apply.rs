//! One entry for commands as messages.
use std::sync::Arc;

use fairlead_plan::{Compiled, UnixNanos, Violation};
use fairlead_wire::internal::{
    Command, CommandResult, Done, Known, LoadConfig, command::Kind, command_result::Result as Answer,
};

use fairlead_wire::v1::LeaseStepsResponse;

use crate::command::{AdmitExtra, Applied, Caller, EndExtra, Refusal};
use crate::engine::Engine;
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::tool::ToolArguments;
use crate::workflow::Workflows;

impl Engine {
    /// Applies a command. The reply is always there: refusals are a part of [`CommandResult`], with the sequence of the
    /// unit's last record.
    pub fn apply(&mut self, now: UnixNanos, command: &Command, known: Option<&Known>) -> Applied<CommandResult> {
        let caller = command.caller.as_ref();
        let caller = caller.map_or_else(Caller::sidecar, |caller| Caller {
            tenant: &caller.tenant,
            agent: &caller.agent,
            operator: &caller.operator,
            traceparent: &caller.traceparent,
        });
        let ends = EndExtra {
            known,
            ..EndExtra::default()
        };
        match &command.kind {
            Some(Kind::Admit(request)) => {
                let extra = AdmitExtra {
                    remember: true,
                    known,
                    ..AdmitExtra::default()
                };
                answer(self.admit(now, caller, request, extra), Answer::Admitted)
            }
            Some(Kind::Settle(request)) => answer(self.settle(now, caller, request, ends), Answer::Settled),
            Some(Kind::Release(request)) => answer(self.release(now, caller, request, ends), Answer::Released),
            Some(Kind::Expire(_)) => answer(self.expire(now), Answer::Expired),
            Some(Kind::AdjustBudget(command)) => answer(self.adjust_budget(now, caller, command), Answer::Budget),
            Some(Kind::LoadConfig(command)) => answer(self.load(now, caller, command), done),
            Some(Kind::ControlWrite(command)) => answer(self.control_write(now, caller, command), done),
            Some(Kind::Start(start)) => answer(self.start(now, &start.program_version), done),
            Some(Kind::ConfigRejected(rejected)) => answer(self.config_rejected(now, caller, rejected), done),
            Some(Kind::AuthorizeTool(request)) => {
                let applied = match ToolArguments::parse(&request.arguments) {
                    Ok(arguments) => self.authorize_tool(now, caller, request, &arguments, known),
                    Err(rejection) => Applied::refused(rejection),
                };
                answer(applied, Answer::ToolAuthorized)
            }
            Some(Kind::CompleteTool(request)) => {
                answer(self.complete_tool(now, caller, request, known), Answer::ToolCompleted)
            }
            Some(Kind::StartRun(request)) => answer(self.start_run(now, caller, request, known), Answer::Run),
            Some(Kind::CancelRun(request)) => answer(self.cancel_run(now, caller, request), Answer::Run),
            Some(Kind::PauseRun(request)) => answer(self.pause_run(now, caller, request), Answer::Run),
            Some(Kind::ResumeRun(request)) => answer(self.resume_run(now, caller, request), Answer::Run),
            Some(Kind::SignalRun(request)) => answer(self.signal_run(now, caller, request), Answer::Run),
            Some(Kind::RerunRun(command)) => answer(self.rerun_run(now, caller, command), Answer::Run),
            Some(Kind::LeaseSteps(request)) => {
                let applied = self.lease_steps(now, caller, request.wish.as_ref().unwrap_or(&Default::default()));
                answer(applied, |leases| Answer::Leased(LeaseStepsResponse { leases }))
            }
            Some(Kind::HeartbeatStep(request)) => answer(self.heartbeat_step(now, caller, request), Answer::Heartbeat),
            Some(Kind::CompleteStep(request)) => {
                answer(self.complete_step(now, caller, request), Answer::StepCompleted)
            }
            Some(Kind::FailStep(request)) => answer(self.fail_step(now, caller, request), Answer::StepFailed),
            Some(Kind::ResolveStepKey(command)) => answer(self.resolve_step_key(now, command, known), done),
            Some(Kind::Reconcile(_)) => answer(self.reconcile(now), Answer::Repaired),
            Some(Kind::DecideApproval(command)) => answer(self.decide_approval(now, caller, command), Answer::Approval),
            None => {
                let description = "is required".to_owned();
                let violation = FieldViolation {
                    field: "kind".to_owned(),
                    description,
                };
                answer(Applied::refused(Rejection::invalid(vec![violation])), done)
            }
        }
    }

    fn load(&mut self, now: UnixNanos, caller: Caller<'_>, command: &LoadConfig) -> Applied<()> {
        let compiled = match Compiled::compile(command.config.as_ref().unwrap_or(&Default::default())) {
            Ok(compiled) => compiled,
            Err(violations) => return Applied::refused(Rejection::invalid(fields(violations))),
        };
        let workflows = match Workflows::compile(command.config.as_ref().unwrap_or(&Default::default())) {
            Ok(workflows) => workflows,
            Err(violations) => return Applied::refused(Rejection::invalid(fields(violations))),
        };
        if command.validate_only || command.secrets_only {
            return Applied::done((), None);
        }
        let applied = self.load_config(now, caller, Arc::new(compiled), &command.source, &command.writes);
        if applied.reply.is_ok() {
            self.set_workflows(Arc::new(workflows));
        }
        applied
    }
}

fn fields(violations: Vec<Violation>) -> Vec<FieldViolation> {
    let field = |one: Violation| FieldViolation {
        field: one.path,
        description: one.message,
    };
    violations.into_iter().map(field).collect()
}

fn done((): ()) -> Answer {
    Answer::Done(Done {})
}

fn answer<T>(applied: Applied<T>, with: impl FnOnce(T) -> Answer) -> Applied<CommandResult> {
    let sequence = applied.unit.as_ref().map_or(0, |unit| unit.last_sequence);
    let result = match applied.reply {
        Ok(reply) => with(reply),
        Err(Refusal::Rejected(rejection)) => Answer::Rejection((&rejection).into()),
        Err(Refusal::NeedsRecord(needs)) => Answer::NeedsRecord(needs),
        // Only with `wait_allowed`, which commands as messages never set.
        Err(Refusal::Wait(wait)) => {
            let message = format!("rate limit `{}` has no headroom, try again later", wait.limit);
            Answer::Rejection((&Rejection::new(Reason::RateLimited, message)).into())
        }
    };
    let reply = CommandResult {
        result: Some(result),
        sequence,
    };
    Applied {
        reply: Ok(reply),
        unit: applied.unit,
        replayed: applied.replayed,
    }
}
