//! Asking people about a model call: the question, and what it holds until they have answered.
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_plan::tool::Json;
use fairlead_plan::{Compiled, InputSize};
use fairlead_wire::internal::{AskedCall, InvocationRecord};
use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, ApprovalState, ApprovalSubject, BudgetCharge, InvocationState, Reservation,
};
use prost::Message;

use super::find::{CallIdentity, FoundCall};
use super::hold::over_name;
use super::judge::Asking;
use crate::admit::Admission;
use crate::amount::Measure;
use crate::approval::document::Document;
use crate::approval::open::{NewApproval, Waiting, WaitingModelCall};
use crate::budget::{Limit, window_code};
use crate::command::{AdmitExtra, Applied, Refusal};
use crate::engine::{Engine, Open};
use crate::judge::{BudgetCase, Grant, Judgement, RateCase};
use crate::keys::{self, ApprovalId};
use crate::record::{Asks, DecisionFacts};
use crate::refusals::rfc3339;
use crate::rejection::{Reason, Rejection};
use crate::unit::{Write, family};

/// How long to wait before coming back with a ticket: 2 s.
const PENDING_RETRY_SECONDS: i64 = 2;

/// One question on its way.
pub(crate) struct Question<'a> {
    pub asking: &'a Asking,
    pub grant: Grant,
    pub request: &'a AdmitRequest,
    pub extra: &'a AdmitExtra<'a>,
    pub budgets: &'a [BudgetCase],
    pub rates: &'a [RateCase],
    /// What people were asked before; it gives way.
    pub found: Option<FoundCall>,
}

impl Engine {
    /// Asks people about a call, and holds its worst case in every budget that it fits.
    pub(crate) fn ask_about_call(
        &mut self,
        compiled: &Compiled,
        admission: &Admission<'_>,
        judgement: &Judgement,
        mut reply: AdmitResponse,
        question: Question<'_>,
    ) -> Result<Applied<AdmitResponse>, Refusal> {
        let Question { asking, grant, .. } = question;
        let (now, caller, facts) = (admission.now, admission.caller, admission.facts);
        let models: Vec<String> = reply.plan.iter().map(|planned| planned.model.clone()).collect();
        let over: Vec<String> = judgement
            .over
            .iter()
            .filter_map(|at| question.budgets.get(*at))
            .map(|case| over_name(compiled, case))
            .collect();
        let shown = shown(compiled, admission, judgement, &reply, &question);
        let document = Document {
            bytes: shown.to_text().into_bytes(),
            canonical: shown.canonical(),
        };
        self.has_room_for_approval(caller.tenant, document.bytes.len())?;

        let mut unit = self.begin();
        let id = self.new_approval_id(now);
        if let Some(found) = &question.found {
            let reason = "people are asked anew: what they have agreed to is not what would be done now";
            if let Some((_, waiting)) = &found.waiting {
                self.end_waiting_model_call(&mut unit, now, &waiting.invocation, reason);
            }
            self.supersede_approval(&mut unit, now, &found.id, &id, caller, reason);
        }
        let charges = self.hold_while_asked(compiled, now, caller.tenant, &question, &judgement.over);
        let name = format!("approvals/{}", keys::approval_name(&id));
        reply.max_output_tokens = grant.max_output;
        reply.clamped = grant.clamped;
        let decided = DecisionFacts {
            held: Some(grant.amount),
            expires_at: now.saturating_add(asking.tier.expires_after_nanos()),
            asks: Some(Asks {
                approval: &name,
                tiers: &asking.tiers,
            }),
            ..admission.decided(compiled, judgement, question.budgets, question.rates, &reply)
        };
        self.append_decision(&mut unit, admission, &decided);
        let invocation = reply.invocation.clone();
        let reason = reply.decision.as_ref().map(|decision| decision.reason.clone());
        let reason = reason.unwrap_or_default();
        let identity = CallIdentity::of(caller, question.request, question.extra);
        let title = if facts.model.is_empty() {
            reply.decision.as_ref().map_or("", |decision| &decision.route)
        } else {
            facts.model
        };
        let new = NewApproval {
            subject: ApprovalSubject::ModelCall,
            tenant: caller.tenant,
            agent: caller.agent,
            requested_by_operator: None,
            traceparent: caller.traceparent,
            session: facts.session,
            run: facts.run,
            step: facts.step,
            tool: title,
            document: &document,
            idempotency_key: "",
            rule: &asking.rule,
            tier: &asking.tier,
            price: Some(grant.amount),
            waiting: Waiting::ModelCall(WaitingModelCall {
                invocation: &invocation,
                digest: &identity.digest,
                require: &asking.require,
                asked: AskedCall {
                    key: identity.key.to_vec(),
                    split_key: facts.split_key.to_owned(),
                    models,
                    max_output_tokens: grant.max_output,
                    budgets: over,
                },
            }),
        };
        self.open_approval_as(&mut unit, now, id, new);
        let record = InvocationRecord {
            invocation: invocation.clone(),
            tenant: caller.tenant.to_owned(),
            agent: caller.agent.to_owned(),
            state: InvocationState::Pending as i32,
            create_time_unix_nanos: now,
            // INVARIANT (I3): its approval ends it.
            expires_at_unix_nanos: i64::MAX,
            sequences: unit.sequences.clone(),
            charges,
            admitted: Some(AdmitResponse {
                reservation: Some(Reservation {
                    amount: Some(grant.amount),
                    expires_at: None,
                }),
                ..reply
            }),
            config_version: compiled.version().to_owned(),
            approval: keys::approval_name(&id),
            ..InvocationRecord::default()
        };
        self.wait_for_people(&mut unit, admission, &record);
        let rejection = self.pending_model_call(&id, &reason);
        Ok(Applied::recorded(rejection, unit.done(true)))
    }

    /// Holds the worst case where there is room for it: what people may let the call go over has none.
    fn hold_while_asked(
        &mut self,
        compiled: &Compiled,
        now: i64,
        tenant: &str,
        question: &Question<'_>,
        over: &[usize],
    ) -> Vec<BudgetCharge> {
        let mut charges = Vec::new();
        for (at, case) in question.budgets.iter().enumerate() {
            let (Some((book, found)), Some(budget)) = (case.place, case.of.get(compiled)) else {
                continue;
            };
            if over.contains(&at) {
                continue;
            }
            let slot = found.or_else(|| self.ledger.ensure(book, tenant, case.instance.as_str(), now));
            if let Some(slot) = slot
                && let Some(book) = self.ledger.book_mut(book)
            {
                // INVARIANT (I1): the judgement has left room for this amount in every hard instance but those.
                book.hold(slot, question.grant.amount, now);
                charges.push(BudgetCharge {
                    budget: budget.name.to_string(),
                    instance: case.instance.to_string(),
                    window_start_unix_nanos: case.view.window_start,
                    amount: Some(question.grant.amount),
                    window_millis: window_code(budget.window),
                });
            }
        }
        charges
    }

    fn wait_for_people(
        &mut self,
        unit: &mut crate::engine::UnitBuilder,
        admission: &Admission<'_>,
        record: &InvocationRecord,
    ) {
        let value = record.encode_to_vec();
        let open = Open {
            tenant: Arc::from(record.tenant.as_str()),
            expires_at: record.expires_at_unix_nanos,
            probe: None,
            record: value.as_slice().into(),
        };
        let key = keys::open_invocation(&record.tenant, &admission.id);
        unit.writes.push(Write::put(family::STATE, key, value));
        self.open.insert(admission.id, open);
        self.held_by.add(&record.tenant);
        self.expiries.insert((record.expires_at_unix_nanos, admission.id));
    }

    /// Cannot be: who waits for people has been found waiting.
    pub(crate) fn nothing_waits(&self) -> Rejection {
        Rejection::new(
            Reason::Internal,
            "the call waits for people, but nothing is asked of them",
        )
    }

    /// People are asked: when to come back, and with what.
    pub(crate) fn pending_model_call(&self, id: &ApprovalId, reason: &str) -> Rejection {
        let ticket = keys::ticket_name(id);
        let message = format!("people have to agree first: {reason}; come back with the same call and ticket {ticket}");
        let rejection = Rejection::new(Reason::ApprovalPending, message)
            .retry_after(PENDING_RETRY_SECONDS.saturating_mul(1_000_000_000))
            .with("ticket", ticket)
            .with("poll_after", format!("{PENDING_RETRY_SECONDS}s"));
        let Some(record) = self.approvals.get(id) else {
            return rejection;
        };
        let Some(approval) = &record.approval else {
            return rejection;
        };
        let price = approval.price.unwrap_or_default();
        let state = approval.state();
        debug_assert!(matches!(state, ApprovalState::Pending | ApprovalState::Approved));
        rejection
            .with("approval", &approval.name)
            .with("expires_at", rfc3339(crate::approval::expires_at(record)))
            .with("invocation", &record.call)
            .with("tier", &approval.tier)
            .with("price_nano_usd", price.nano_usd)
    }
}

/// What people are shown of a call. Never its content: that is the agent's, and its digest tells whether it is the same.
fn shown(
    compiled: &Compiled,
    admission: &Admission<'_>,
    judgement: &Judgement,
    reply: &AdmitResponse,
    question: &Question<'_>,
) -> Json {
    let facts = admission.facts;
    let text = |text: &str| Json::String(text.to_owned());
    let mut members = BTreeMap::from([
        ("max_output_tokens".to_owned(), number(question.grant.max_output)),
        (
            "models".to_owned(),
            Json::Array(reply.plan.iter().map(|planned| text(&planned.model)).collect()),
        ),
    ]);
    let mut add = |name: &str, value: Json| {
        members.insert(name.to_owned(), value);
    };
    let route = reply.decision.as_ref().map_or("", |decision| &decision.route);
    for (name, value) in [
        ("model", facts.model),
        ("route", route),
        ("workload", facts.workload),
        ("dialect", facts.dialect),
    ] {
        if !value.is_empty() {
            add(name, text(value));
        }
    }
    match facts.input {
        InputSize::Tokens(tokens) => add("input_tokens", number(tokens)),
        InputSize::Bytes(bytes) | InputSize::Stored(bytes) => add("input_bytes", number(bytes)),
    }
    if facts.stream {
        add("stream", Json::Bool(true));
    }
    if let Some(digest) = question.extra.content_digest {
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        add("content_digest", Json::String(hex));
        add("content_bytes", number(question.extra.content_bytes));
    }
    if !facts.labels.is_empty() {
        let labels = facts.labels.iter().map(|(name, value)| (name.clone(), text(value)));
        add("labels", Json::Object(labels.collect()));
    }
    let over = judgement.over.iter().filter_map(|at| question.budgets.get(*at));
    let over: Vec<Json> = over.map(|case| exceeded(compiled, case)).collect();
    if !over.is_empty() {
        add("over_budgets", Json::Array(over));
    }
    Json::Object(members)
}

/// A budget that the call would go over the limit of.
fn exceeded(compiled: &Compiled, case: &BudgetCase) -> Json {
    let mut members = BTreeMap::from([("budget".to_owned(), Json::String(over_name(compiled, case)))]);
    if let Some(budget) = case.of.get(compiled) {
        let limits = Limit::of(budget);
        for measure in Measure::ALL {
            let Some(limit) = limits.get(measure) else { continue };
            let unit = measure.as_str();
            members.insert(format!("limit_{unit}"), number(limit));
            members.insert(format!("spent_{unit}"), number(measure.of(case.view.spent)));
            members.insert(format!("held_{unit}"), number(measure.of(case.view.reserved)));
        }
    }
    Json::Object(members)
}

fn number(value: i64) -> Json {
    Json::Number(value.to_string().into_boxed_str())
}
