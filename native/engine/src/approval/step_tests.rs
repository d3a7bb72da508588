//! Approvals of steps, which only a workflow opens: what people may do with them, and what stays in the store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::sync::Arc;

use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::internal::{
    Agent, ApprovalRecord, ApprovalTier, DecideApproval, EngineConfig, Limits, Operator, Quorum, Tenant,
};
use fairlead_wire::v1::{
    Amount, Approval, ApprovalDecision, ApprovalState, ApprovalSubject, AuditRecord, EventKind, Resolution,
    ResolutionOutcome, audit_record::Body,
};
use prost::Message;

use super::{Document, NewApproval, Waiting};
use crate::command::{Applied, Caller, Refusal};
use crate::engine::Engine;
use crate::erasable::Salts;
use crate::keys::{self, ApprovalId};
use crate::rejection::{Reason, Rejection};
use crate::unit::{Unit, Write, family};

const START: i64 = 1_800_000_000_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn config() -> EngineConfig {
    let operator = |name: &str| Operator {
        name: name.to_owned(),
        roles: vec!["finance".to_owned()],
    };
    EngineConfig {
        version: "a".repeat(64),
        tenants: vec![Tenant {
            name: "acme".to_owned(),
            agents: vec![Agent {
                name: "bot".to_owned(),
                ..Agent::default()
            }],
        }],
        approval_tiers: vec![ApprovalTier {
            name: "two".to_owned(),
            require: vec![Quorum {
                role: "finance".to_owned(),
                count: 2,
            }],
            expires_after_millis: 3_600_000,
            ..ApprovalTier::default()
        }],
        defaults: [("model.call".to_owned(), "allow".to_owned())].into(),
        operators: ["asha", "ben", "cem"].map(operator).to_vec(),
        limits: Some(Limits {
            request_bytes: 1 << 20,
            queue_depth: 16,
            budget_instances: 16,
            streams: 16,
            open_reservations: 16,
            request_ids: 1000,
            open_approvals: 2,
            ..Limits::default()
        }),
        ..EngineConfig::default()
    }
}

/// An engine with one open approval of a step, and everything that was committed.
struct Desk {
    engine: Engine,
    compiled: Arc<Compiled>,
    now: i64,
    units: Vec<Unit>,
    id: ApprovalId,
}

impl Desk {
    fn asked_by(operator: Option<&str>) -> Self {
        Self::about(ApprovalSubject::Step, operator)
    }

    fn about(subject: ApprovalSubject, operator: Option<&str>) -> Self {
        let compiled = Arc::new(Compiled::compile(&config()).unwrap());
        let mut desk = Self {
            engine: Engine::new(Arc::clone(&compiled), Salts::new([7; 32])),
            compiled,
            now: START,
            units: Vec::new(),
            id: [0; 16],
        };
        desk.id = desk.open(subject, operator);
        desk
    }

    fn open(&mut self, subject: ApprovalSubject, operator: Option<&str>) -> ApprovalId {
        let document = Document::parse("show", br#"{"score": 0.5}"#).unwrap();
        let mut unit = self.engine.begin();
        let tier = self.compiled.tier("two").unwrap();
        let id = self.engine.open_approval(
            &mut unit,
            self.now,
            NewApproval {
                subject,
                tenant: "acme",
                agent: if operator.is_some() { "" } else { "bot" },
                requested_by_operator: operator,
                traceparent: "",
                session: "",
                run: "run-1",
                step: "review",
                tool: "Review the offer",
                document: &document,
                idempotency_key: "",
                rule: "",
                tier,
                price: Some(Amount {
                    nano_usd: 7,
                    ..Amount::default()
                }),
                waiting: Waiting::Step,
            },
        );
        self.units.push(unit.done(true));
        id
    }

    fn take<T>(&mut self, applied: Applied<T>) -> Result<T, Rejection> {
        self.units.extend(applied.unit);
        self.engine.check_invariants().unwrap();
        applied.reply.map_err(|refusal| match refusal {
            Refusal::Rejected(rejection) => rejection,
            other => panic!("{other:?}"),
        })
    }

    fn vote(&mut self, operator: &str, decision: ApprovalDecision) -> Result<Approval, Rejection> {
        self.say(operator, decision, "", None)
    }

    fn resolve(&mut self, operator: &str, outcome: ResolutionOutcome, result: &str) -> Result<Approval, Rejection> {
        let resolution = Resolution {
            outcome: outcome as i32,
            result: result.as_bytes().to_vec(),
        };
        self.say(operator, APPROVE, "", Some(resolution))
    }

    fn say(
        &mut self,
        operator: &str,
        decision: ApprovalDecision,
        edited: &str,
        resolution: Option<Resolution>,
    ) -> Result<Approval, Rejection> {
        let command = DecideApproval {
            approval: keys::approval_name(&self.id),
            decision: decision as i32,
            reason: "seen".to_owned(),
            digest: self.stored().digest,
            edited_arguments: edited.as_bytes().to_vec(),
            resolution,
            ..DecideApproval::default()
        };
        let caller = Caller::operator(operator);
        let applied = self.engine.decide_approval(UnixNanos(self.now), caller, &command);
        self.take(applied)
    }

    fn writes(&self) -> impl DoubleEndedIterator<Item = &Write> {
        self.units.iter().flat_map(|unit| &unit.writes)
    }

    /// The approval as people see it.
    fn stored(&self) -> Approval {
        let key = keys::approval(&self.id);
        let last = self
            .writes()
            .rfind(|write| write.family == family::APPROVALS && write.key == key);
        let record = ApprovalRecord::decode(last.unwrap().value.as_deref().unwrap()).unwrap();
        record.approval.unwrap()
    }

    /// Kinds of the audit records about the approval, and the states they tell.
    fn told(&self) -> Vec<(EventKind, ApprovalState)> {
        let of_chain = self.writes().filter(|write| write.family == family::AUDIT);
        let records = of_chain.map(|write| AuditRecord::decode(&write.value.as_deref().unwrap()[32..]).unwrap());
        records
            .filter_map(|record| match &record.body {
                Some(Body::Approval(event)) => {
                    assert_eq!((event.run.as_str(), event.step.as_str()), ("run-1", "review"));
                    Some((record.kind(), event.state()))
                }
                _ => None,
            })
            .collect()
    }

    /// Why the last record about the approval says that it is as it is.
    fn last_reason(&self) -> String {
        let of_chain = self.writes().rfind(|write| write.family == family::AUDIT);
        let record = AuditRecord::decode(&of_chain.unwrap().value.as_deref().unwrap()[32..]).unwrap();
        match record.body {
            Some(Body::Approval(event)) => event.reason,
            other => panic!("{other:?}"),
        }
    }

    /// A new engine from what was committed.
    fn restart(&mut self) {
        let mut state = std::collections::BTreeMap::new();
        for write in self.units.iter().flat_map(|unit| &unit.writes) {
            match &write.value {
                Some(value) => state.insert((write.family, write.key.clone()), value.clone()),
                None => state.remove(&(write.family, write.key.clone())),
            };
        }
        self.engine = Engine::new(Arc::clone(&self.compiled), Salts::new([7; 32]));
        for ((family, key), value) in state {
            self.engine.recover(family, &key, &value).unwrap();
        }
        self.engine.recover_end(UnixNanos(self.now)).unwrap();
        self.engine.check_invariants().unwrap();
    }

    /// Another configuration is in force from now on.
    fn change(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        let mut changed = config();
        changed.version = "b".repeat(64);
        change(&mut changed);
        self.compiled = Arc::new(Compiled::compile(&changed).unwrap());
        let applied = self.engine.load_config(
            UnixNanos(self.now),
            Caller::operator("asha"),
            Arc::clone(&self.compiled),
            "file",
            &[],
        );
        self.take(applied).unwrap();
    }

    fn end(&mut self, end: impl FnOnce(&mut Engine, &mut crate::engine::UnitBuilder, i64, &ApprovalId)) {
        let mut unit = self.engine.begin();
        end(&mut self.engine, &mut unit, self.now, &self.id.clone());
        self.units.push(unit.done(true));
        self.engine.check_invariants().unwrap();
    }
}

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;

#[test]
fn a_step_waits_for_people_over_a_restart_and_is_consumed_once() {
    let mut desk = Desk::asked_by(None);
    desk.vote("asha", APPROVE).unwrap();
    desk.restart();
    let approved = desk.vote("ben", APPROVE).unwrap();
    assert_eq!(
        (approved.state(), approved.price.unwrap().nano_usd),
        (ApprovalState::Approved, 7)
    );
    assert_eq!(desk.engine.open_approvals(), 1, "it waits to be used");
    desk.end(|engine, unit, now, id| engine.consume_approval(unit, now, id, Caller::sidecar(), "the step went on"));
    let records = desk.units.len();
    desk.end(|engine, unit, now, id| engine.consume_approval(unit, now, id, Caller::sidecar(), "again"));
    assert!(desk.units[records].writes.is_empty(), "there is nothing left to use");
    let wanted = [
        (EventKind::ApprovalOpened, ApprovalState::Pending),
        (EventKind::ApprovalVoted, ApprovalState::Pending),
        (EventKind::ApprovalVoted, ApprovalState::Approved),
        (EventKind::ApprovalEnded, ApprovalState::Approved),
        (EventKind::ApprovalEnded, ApprovalState::Consumed),
    ];
    assert_eq!(desk.told(), wanted);
}

#[test]
fn a_tier_that_is_stricter_by_now_asks_again() {
    let mut desk = Desk::asked_by(None);
    desk.vote("asha", APPROVE).unwrap();
    desk.change(|config| {
        config.approval_tiers[0].require[0].count = 3;
    });
    desk.restart();
    let waits = desk.vote("ben", APPROVE).unwrap();
    assert_eq!(waits.state(), ApprovalState::Pending);
    assert_eq!((waits.require[0].count, waits.missing[0].count), (3, 1));
    assert_eq!(desk.last_reason(), "the tier asks for more now than these votes");
    assert_eq!(desk.vote("cem", APPROVE).unwrap().state(), ApprovalState::Approved);
}

#[test]
fn a_tier_that_is_looser_by_now_changes_nothing() {
    let mut desk = Desk::asked_by(None);
    desk.change(|config| config.approval_tiers[0].require[0].count = 1);
    assert_eq!(desk.vote("asha", APPROVE).unwrap().state(), ApprovalState::Pending);
    assert_eq!(desk.vote("ben", APPROVE).unwrap().state(), ApprovalState::Approved);
}

#[test]
fn whoever_has_lost_the_role_meanwhile_does_not_count() {
    let mut desk = Desk::asked_by(None);
    desk.vote("asha", APPROVE).unwrap();
    desk.change(|config| config.operators[0].roles = vec!["support".to_owned()]);
    let waits = desk.vote("ben", APPROVE).unwrap();
    assert_eq!((waits.state(), waits.missing[0].count), (ApprovalState::Pending, 1));
    assert_eq!(desk.vote("cem", APPROVE).unwrap().state(), ApprovalState::Approved);
}

#[test]
fn nobody_votes_on_what_was_withdrawn() {
    let mut desk = Desk::asked_by(None);
    desk.vote("asha", APPROVE).unwrap();
    desk.end(|engine, unit, now, id| {
        engine.withdraw_approval(unit, now, id, Caller::operator("cem"), "the run was cancelled");
    });
    assert_eq!(
        (desk.stored().state(), desk.engine.open_approvals()),
        (ApprovalState::Withdrawn, 0)
    );
    assert_eq!(desk.vote("ben", APPROVE).unwrap_err().reason, Reason::NotFound);
    desk.restart();
    assert_eq!(desk.engine.open_approvals(), 0);
}

#[test]
fn the_operator_who_asked_does_not_vote() {
    let mut desk = Desk::asked_by(Some("asha"));
    for decision in [APPROVE, ApprovalDecision::Reject] {
        let denied = desk.vote("asha", decision).unwrap_err();
        assert_eq!(denied.reason, Reason::PolicyDenied);
        assert!(denied.message.contains("has asked for this"), "{}", denied.message);
    }
    desk.vote("ben", APPROVE).unwrap();
    assert_eq!(desk.vote("cem", APPROVE).unwrap().state(), ApprovalState::Approved);
}

#[test]
fn a_step_expires_by_the_sweep() {
    let mut desk = Desk::asked_by(None);
    assert_eq!(desk.engine.next_expiry(), Some(UnixNanos(START + HOUR)));
    desk.now += HOUR;
    let applied = desk.engine.expire(UnixNanos(desk.now));
    assert_eq!(desk.take(applied).unwrap(), 1);
    assert_eq!(desk.stored().state(), ApprovalState::Expired);
}

#[test]
fn approvals_have_a_bound_that_steps_and_tools_share() {
    let mut desk = Desk::asked_by(None);
    desk.engine.has_room_for_approval("acme", 10).unwrap();
    desk.open(ApprovalSubject::Step, None);
    let full = desk.engine.has_room_for_approval("acme", 10).unwrap_err();
    assert_eq!(full.metadata["bound"], "limits.openApprovals");
}

#[test]
fn an_edit_replaces_what_is_shown_of_a_step_and_every_byte_counts() {
    let mut desk = Desk::asked_by(None);
    desk.vote("asha", APPROVE).unwrap();
    let seen = desk.stored().digest;
    let edited = desk.say("ben", ApprovalDecision::Edit, "[0.51]", None).unwrap();
    assert_eq!(
        (edited.arguments.as_slice(), edited.missing[0].count),
        (&b"[0.51]"[..], 2)
    );
    let stale = DecideApproval {
        approval: keys::approval_name(&desk.id),
        decision: APPROVE as i32,
        reason: "seen".to_owned(),
        digest: seen,
        ..DecideApproval::default()
    };
    let applied = desk
        .engine
        .decide_approval(UnixNanos(desk.now), Caller::operator("cem"), &stale);
    assert_eq!(desk.take(applied).unwrap_err().violations[0].field, "digest");
    desk.restart();
    desk.vote("asha", APPROVE).unwrap();
    assert_eq!(desk.vote("ben", APPROVE).unwrap().state(), ApprovalState::Approved);
    let kinds: Vec<_> = desk.told().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[2], EventKind::ApprovalEdited);
}

#[test]
fn an_interrupted_step_is_resolved_by_people_who_say_the_same() {
    use ResolutionOutcome::{DidNotHappen, Happened};
    let mut desk = Desk::about(ApprovalSubject::UnknownStep, None);
    for (refused, field) in [
        (desk.vote("asha", APPROVE), "resolution"),
        (
            desk.resolve("asha", ResolutionOutcome::Unspecified, ""),
            "resolution.outcome",
        ),
        (desk.resolve("asha", DidNotHappen, "1"), "resolution.result"),
        (desk.resolve("asha", Happened, "{"), "resolution.result"),
        (desk.say("asha", ApprovalDecision::Edit, "1", None), "decision"),
    ] {
        assert_eq!(refused.unwrap_err().violations[0].field, field);
    }
    desk.resolve("asha", Happened, r#"{"id": 7}"#).unwrap();
    desk.restart();
    for (outcome, result) in [(DidNotHappen, ""), (Happened, r#"{"id": 8}"#)] {
        let other = desk.resolve("ben", outcome, result).unwrap_err();
        assert_eq!(
            (other.reason, other.metadata["resolution"].as_str()),
            (Reason::InvalidState, "HAPPENED")
        );
    }
    let approved = desk.resolve("ben", Happened, r#"{"id":7.0}"#).unwrap();
    assert_eq!(approved.state(), ApprovalState::Approved);
    assert_eq!(approved.resolution.unwrap().outcome(), Happened);
}

#[test]
fn only_an_interrupted_step_has_a_resolution() {
    let mut desk = Desk::asked_by(None);
    let refused = desk.resolve("asha", ResolutionOutcome::Happened, "1").unwrap_err();
    assert_eq!(refused.violations[0].field, "resolution");
    let mut unknown = Desk::about(ApprovalSubject::UnknownStep, None);
    unknown.resolve("asha", ResolutionOutcome::DidNotHappen, "").unwrap();
    let stopped = unknown.vote("ben", ApprovalDecision::Reject).unwrap();
    assert_eq!(stopped.state(), ApprovalState::Rejected, "to stop takes one");
}
