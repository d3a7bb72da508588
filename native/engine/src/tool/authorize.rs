//! Authorisation: may this tool call be made, must people agree first, or has it been made already?
use std::sync::Arc;

use fairlead_plan::tool::ToolFacts;
use fairlead_plan::{Compiled, Durability, UnixNanos};
use fairlead_wire::internal::{ApprovalRecord, Known, NeedsRecord, RequestRecord, ToolCallRecord};
use fairlead_wire::v1::authorize_tool_response::Outcome as Answer;
use fairlead_wire::v1::{
    Approval, ApprovalState, AuthorizeToolRequest, AuthorizeToolResponse, EventKind, ToolCallState, ToolDecisionRecord,
    ToolReplayed, audit_record::Body,
};
use prost::Message;

use super::answer::{self, Noted};
use super::grant::Shown;
use super::judge::{Asked, Earlier, Judgement, Outcome, ToolQuestion};
use super::request::{self, ToolArguments, invalid};
use crate::admit::merged_labels;
use crate::approval;
use crate::command::{Applied, Caller, Refusal};
use crate::digest;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, RequestHash};
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::replay::reused_request_id;
use crate::share::Bound;
use crate::unit::{Unit, Write, family};

/// One call on its way.
pub(super) struct Call<'a> {
    pub(super) now: i64,
    pub(super) caller: Caller<'a>,
    pub(super) request: &'a AuthorizeToolRequest,
    pub(super) arguments: &'a ToolArguments,
    /// SHA-256 of the request without its id.
    pub(super) digest: [u8; 32],
    pub(super) hash: RequestHash,
}

/// What there is of the call already.
#[derive(Default)]
pub(super) struct Found {
    /// The last call with the key.
    pub(super) earlier: Option<ToolCallRecord>,
    /// The approval behind the ticket.
    pub(super) asked: Option<ApprovalRecord>,
    /// What people agreed to, or are asked about, when that is not what was requested.
    pub(super) agreed: Option<ToolArguments>,
    /// The key, when it is not a new one.
    pub(super) key: String,
}

impl Found {
    /// True when people changed the arguments.
    fn is_edited(&self) -> bool {
        self.agreed.is_some() && self.asked.as_ref().is_some_and(|record| record.edited)
    }
}

/// What a request id was used for.
enum Repeated {
    No,
    /// The first answer holds.
    Answer(Box<AuthorizeToolResponse>),
    /// It was granted without a key, and has ended.
    Of(Box<ToolCallRecord>),
}

impl Engine {
    /// Decides one tool call. The same request id returns the first ticket for 24 hours, and the first grant while that is
    /// open; the same idempotency key never gets a second grant while one is open or has succeeded.
    pub fn authorize_tool(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &AuthorizeToolRequest,
        arguments: &ToolArguments,
        known: Option<&Known>,
    ) -> Applied<AuthorizeToolResponse> {
        match self.try_authorize(now, caller, request, arguments, known) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
        .revealed(known)
    }

    fn try_authorize(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &AuthorizeToolRequest,
        arguments: &ToolArguments,
        known: Option<&Known>,
    ) -> Result<Applied<AuthorizeToolResponse>, Refusal> {
        let now = self.tick(now)?;
        request::authorize(request)?;
        let compiled = Arc::clone(&self.compiled);
        let call = Call {
            now,
            caller,
            request,
            arguments,
            digest: digest::without_request_id(request, &request.request_id),
            hash: keys::request_hash(caller.tenant, caller.agent, "AuthorizeTool", &request.request_id),
        };
        if known.is_none()
            && let Some(needs) = self.needs(&call)
        {
            return Err(Refusal::NeedsRecord(needs));
        }
        let earlier = match self.repeated(&call, known)? {
            Repeated::No => None,
            Repeated::Answer(first) => return Ok(Applied::replay(*first)),
            Repeated::Of(earlier) => Some(*earlier),
        };
        let tool = compiled.tool(&request.tool);
        let violations = tool.violations(&arguments.bytes).into_iter();
        let violations: Vec<_> = violations
            .map(|(pointer, description)| FieldViolation {
                field: request::place(&pointer),
                description,
            })
            .collect();
        if !violations.is_empty() {
            return Err(Rejection::invalid(violations).with("tool", &request.tool).into());
        }
        if !tool.session_labels.is_empty() && request.session.is_empty() {
            return Err(invalid("session", "is required for this tool: its labels belong to the session").into());
        }
        let mut unit = UnitBuilder::new();
        let mut found = match earlier {
            Some(earlier) => Found {
                key: earlier.idempotency_key.clone(),
                earlier: Some(earlier),
                ..Found::default()
            },
            None => self.found(&call, known)?,
        };
        self.end_in_time(&mut unit, now, &mut found);
        self.decide_tool(&compiled, &call, found, unit)
    }

    /// What has to be read before the call can be decided; `None` when memory has it all.
    fn needs(&self, call: &Call<'_>) -> Option<NeedsRecord> {
        let needs = self.all_needs(call);
        let is_known = match keys::ticket_id(&call.request.ticket) {
            Some(id) => self.approvals.get(&id).is_some(),
            None => needs.tool_key.is_empty() || self.tools.call_of(&needs.tool_key).is_some(),
        };
        (!is_known || !needs.request_keys.is_empty()).then_some(needs)
    }

    /// INVARIANT (T1): whoever asks the store asks for everything. What memory has now may have ended, and left memory,
    /// when the answer is there.
    fn all_needs(&self, call: &Call<'_>) -> NeedsRecord {
        let hours = self.requests.hours(&call.hash, keys::hour(call.now));
        let (ticket, key) = (keys::ticket_id(&call.request.ticket), &call.request.idempotency_key);
        NeedsRecord {
            request_keys: hours.into_iter().map(|hour| keys::request(hour, &call.hash)).collect(),
            approval_key: ticket.map_or_else(Vec::new, |id| keys::approval(&id)),
            tool_key: if ticket.is_some() || key.is_empty() {
                Vec::new()
            } else {
                keys::tool_key(call.caller.tenant, key)
            },
            ..NeedsRecord::default()
        }
    }

    /// What was read is older than memory, or does not say enough: it is read again, with the call of this name.
    fn look_again(&self, call: &Call<'_>, name: &str) -> Refusal {
        let id = keys::tool_call_id(name);
        Refusal::NeedsRecord(NeedsRecord {
            call_key: id.map_or_else(Vec::new, |id| keys::tool_call(call.caller.tenant, &id)),
            ..self.all_needs(call)
        })
    }

    /// Whether the request was made before. Its grant is given again only while it is open: a call that has ended is
    /// answered by its key, so that a caller who comes back after a crash does not make it once more.
    fn repeated(&self, call: &Call<'_>, known: Option<&Known>) -> Result<Repeated, Refusal> {
        let record = known.and_then(|known| known.request.as_ref().filter(|_| known.request_found));
        let Some(record) = record.filter(|record| record.tenant == call.caller.tenant) else {
            return Ok(Repeated::No);
        };
        if record.digest != call.digest {
            return Err(reused_request_id().into());
        }
        let Ok(first) = AuthorizeToolResponse::decode(record.answer.as_slice()) else {
            return Ok(Repeated::No);
        };
        let Some(Answer::Granted(granted)) = &first.outcome else {
            return Ok(Repeated::Answer(Box::new(first)));
        };
        let open = keys::tool_call_id(&granted.grant).and_then(|id| self.tools.call(&id));
        if open.is_some_and(|open| open.state() == ToolCallState::Open && call.now < open.expires_at_unix_nanos) {
            return Ok(Repeated::Answer(Box::new(first)));
        }
        if !call.request.ticket.is_empty() || !call.request.idempotency_key.is_empty() {
            return Ok(Repeated::No);
        }
        let earlier = self.call_named(call, &granted.grant, known)?;
        Ok(Repeated::Of(Box::new(earlier)))
    }

    /// The approval behind the ticket, and the last call with the key. Both must be this very call.
    fn found(&self, call: &Call<'_>, known: Option<&Known>) -> Result<Found, Refusal> {
        let (caller, request) = (call.caller, call.request);
        let mut found = Found {
            key: request.idempotency_key.clone(),
            ..Found::default()
        };
        if let Some(id) = keys::ticket_id(&request.ticket) {
            let stored = known.and_then(|known| known.approval.as_ref().filter(|_| known.approval_found));
            let record = self.approvals.get(&id).or(stored).filter(|record| {
                let approval = record.approval.as_ref();
                approval.is_some_and(|one| one.tenant == caller.tenant && one.agent == caller.agent)
            });
            let not_found = || Rejection::new(Reason::NotFound, format!("there is no ticket `{}`", request.ticket));
            let record = record.ok_or_else(not_found)?;
            let approval = record.approval.as_ref().ok_or_else(not_found)?;
            let is_open = matches!(approval.state(), ApprovalState::Pending | ApprovalState::Approved);
            if is_open && self.approvals.get(&id).is_none() {
                return Err(self.look_again(call, &record.call));
            }
            same_call(call, record, approval)?;
            found.key.clone_from(&approval.idempotency_key);
            found.earlier = Some(self.call_named(call, &record.call, known)?);
            if !approval.requested_arguments.is_empty() {
                found.agreed = Some(ToolArguments::parse(&approval.arguments)?);
            }
            found.asked = Some(record.clone());
            return Ok(found);
        }
        if found.key.is_empty() {
            return Ok(found);
        }
        let key = keys::tool_key(caller.tenant, &found.key);
        found.earlier = match self.tools.call_of(&key) {
            Some(open) => Some(open.clone()),
            None => {
                let named = known.and_then(|known| known.tool_key.as_ref().filter(|_| known.tool_key_found));
                let named = named.filter(|one| one.idempotency_key == found.key);
                named.map(|one| self.call_named(call, &one.call, known)).transpose()?
            }
        };
        if let Some(earlier) = &found.earlier
            && (earlier.tool != request.tool || earlier.arguments_digest != call.arguments.digest)
        {
            let description =
                "was used for a call of another tool or with other arguments: another call needs its own key";
            return Err(invalid("idempotency_key", description).into());
        }
        Ok(found)
    }

    /// A call that the store or an approval names: open, or ended as the store has it.
    fn call_named(&self, call: &Call<'_>, name: &str, known: Option<&Known>) -> Result<ToolCallRecord, Refusal> {
        if let Some(open) = keys::tool_call_id(name).and_then(|id| self.tools.call(&id)) {
            return Ok(open.clone());
        }
        let ended = known.and_then(|known| known.call.as_ref().filter(|call| known.call_found && call.call == name));
        // INVARIANT (T1): one that is nowhere ended between the look-up and now. The next look-up finds how.
        ended.cloned().ok_or_else(|| self.look_again(call, name))
    }

    /// What has its time behind it ends now, though no sweep has come by yet.
    fn end_in_time(&mut self, unit: &mut UnitBuilder, now: i64, found: &mut Found) {
        if let Some(earlier) = &mut found.earlier
            && earlier.state() == ToolCallState::Open
            && now >= earlier.expires_at_unix_nanos
            && let Some(id) = keys::tool_call_id(&earlier.call)
        {
            self.expire_call(unit, now, &id);
            earlier.set_state(ToolCallState::Unknown);
            earlier.end_time_unix_nanos = now;
            earlier.sequences.extend(unit.sequences.last());
        }
        let waits_for = found
            .earlier
            .as_ref()
            .filter(|earlier| earlier.state() == ToolCallState::Pending);
        let Some(id) = waits_for.and_then(|earlier| keys::approval_id(&earlier.approval)) else {
            return;
        };
        if self
            .approvals
            .get(&id)
            .is_some_and(|record| now >= approval::expires_at(record))
        {
            self.expire_approval(unit, now, &id);
            if let Some(escalated) = self.approvals.get(&id) {
                found.asked = found.asked.is_some().then(|| escalated.clone());
                return;
            }
            if let Some(earlier) = &mut found.earlier {
                earlier.set_state(ToolCallState::Expired);
            }
            if let Some(asked) = found.asked.as_mut().and_then(|record| record.approval.as_mut()) {
                asked.set_state(ApprovalState::Expired);
            }
        }
    }

    fn decide_tool(
        &mut self,
        compiled: &Compiled,
        call: &Call<'_>,
        found: Found,
        unit: UnitBuilder,
    ) -> Result<Applied<AuthorizeToolResponse>, Refusal> {
        let (request, caller) = (call.request, call.caller);
        let labels = merged_labels(compiled, caller, &request.labels);
        let session_labels = self.sessions.labels(call.now, caller.tenant, &request.session).to_vec();
        let earlier = found.earlier.as_ref();
        let asked = found.asked.as_ref().and_then(|record| record.approval.as_ref());
        let votes = asked.map(approval::counting).unwrap_or_default();
        let (agreed, is_edited) = (found.agreed.as_ref(), found.is_edited());
        let agreed_json = agreed.map(|agreed| &agreed.json);
        let question = ToolQuestion {
            compiled,
            facts: ToolFacts {
                tenant: caller.tenant,
                agent: caller.agent,
                tool: &request.tool,
                arguments: agreed_json.filter(|_| is_edited).unwrap_or(&call.arguments.json),
                agreed: agreed_json.filter(|_| !is_edited),
                session: &request.session,
                session_labels: &session_labels,
                run: &request.run,
                step: &request.step,
                idempotency_key: request::given_key(&found.key),
                labels: &labels,
            },
            earlier: earlier.map(|earlier| Earlier {
                call: &earlier.call,
                state: earlier.state(),
                effect: earlier.effect(),
                is_own: earlier.agent == caller.agent,
            }),
            asked: asked.map(|approval| Asked {
                approval: &approval.name,
                state: approval.state(),
                votes: &votes,
                escalated_to: if approval.escalated_from.is_empty() {
                    ""
                } else {
                    &approval.tier
                },
                escalated_from: &approval.escalated_from,
            }),
            now: UnixNanos(call.now),
        };
        let judgement = question.judge();
        let noted = Noted {
            request_digest: &call.digest,
            claimed_effect: request.effect,
            key: &found.key,
            agreed,
            edited: is_edited,
        };
        let record = answer::record(answer::inputs(&question, call.arguments, noted), &judgement);
        self.conclude(compiled, call, &found, judgement, record, unit)
    }

    fn conclude(
        &mut self,
        compiled: &Compiled,
        call: &Call<'_>,
        found: &Found,
        judgement: Judgement,
        mut record: ToolDecisionRecord,
        mut unit: UnitBuilder,
    ) -> Result<Applied<AuthorizeToolResponse>, Refusal> {
        let decision = Some(judgement.decision);
        let outcome = match judgement.outcome {
            Outcome::Waiting => Answer::Pending(self.pending_again(found)),
            Outcome::Replayed => {
                if let Err(rejection) = self.has_room_for_labels(compiled, call) {
                    return Ok(self.turn_away(unit, rejection));
                }
                // INVARIANT (S1): a result taints whoever gets it, from the first time or from another session's call.
                let labels = &compiled.tool(&call.request.tool).session_labels;
                record.added_labels =
                    self.label(&mut unit, call.now, call.caller.tenant, &call.request.session, labels);
                let earlier = found.earlier.clone().unwrap_or_default();
                self.append_decision_on(&mut unit, call, EventKind::ToolReplayed, &earlier.call, record);
                Answer::Replayed(ToolReplayed {
                    result: earlier.result,
                    grant: earlier.call,
                })
            }
            Outcome::Refused(rejection) => return Ok(self.refuse(call, found, rejection, record, unit)),
            Outcome::Granted(granted) => {
                if let Err(rejection) = self.has_room(compiled, call, found, true) {
                    return Ok(self.turn_away(unit, rejection));
                }
                Answer::Granted(self.grant_tool(&mut unit, compiled, call, found, granted, record))
            }
            Outcome::Ask(tier, granted) => {
                if let Err(rejection) = self.has_room(compiled, call, found, false) {
                    return Ok(self.turn_away(unit, rejection));
                }
                let shown = Shown::new(call, found, granted);
                if let Err(rejection) = self.has_room_for_approval(call.caller.tenant, shown.bytes()) {
                    return Ok(self.turn_away(unit, rejection));
                }
                Answer::Pending(self.ask(&mut unit, compiled, call, found, (&tier, &shown), record))
            }
        };
        let remembers = matches!(outcome, Answer::Granted(_)) || !record_is_known(&outcome, found);
        let reply = AuthorizeToolResponse {
            outcome: Some(outcome),
            decision,
        };
        if remembers {
            self.remember_answer(&mut unit, call, &reply);
        }
        let unit = (!unit.writes.is_empty()).then(|| self.finish(unit));
        Ok(Applied::done(reply, unit))
    }

    /// Room for one more call, and for the labels that it gives its session.
    fn has_room(
        &mut self,
        compiled: &Compiled,
        call: &Call<'_>,
        found: &Found,
        is_granted: bool,
    ) -> Result<(), Rejection> {
        let (limits, tenant) = (compiled.limits(), call.caller.tenant);
        let bound = Bound::new(compiled, "openToolCalls", limits.open_tool_calls);
        let own = self.tools.calls_of(tenant);
        let is_open = |earlier: &&ToolCallRecord| earlier.state() == ToolCallState::Pending;
        if found.earlier.as_ref().filter(is_open).is_none() && !bound.has_room(self.tools.calls(), own) {
            return Err(bound.reached(own));
        }
        if is_granted {
            self.has_room_for_labels(compiled, call)?;
        }
        Ok(())
    }

    fn has_room_for_labels(&mut self, compiled: &Compiled, call: &Call<'_>) -> Result<(), Rejection> {
        let limits = compiled.limits();
        if !compiled.tool(&call.request.tool).session_labels.is_empty() {
            let (tenant, session) = (call.caller.tenant, &call.request.session);
            let bound = Bound::new(compiled, "sessions", limits.sessions);
            let mut deletions = Vec::new();
            let has_room = self
                .sessions
                .make_room(call.now, tenant, session, &bound, &mut deletions);
            self.deletions.append(&mut deletions);
            if !has_room {
                return Err(bound.reached(self.sessions.of(tenant)));
            }
        }
        Ok(())
    }

    /// Refused by a bound: what ended on the way is written all the same.
    fn turn_away(&mut self, unit: UnitBuilder, rejection: Rejection) -> Applied<AuthorizeToolResponse> {
        if unit.writes.is_empty() {
            return Applied::refused(rejection);
        }
        let unit = self.finish(unit);
        Applied::recorded(rejection, unit)
    }

    pub(super) fn append_decision_on(
        &mut self,
        unit: &mut UnitBuilder,
        call: &Call<'_>,
        kind: EventKind,
        name: &str,
        record: ToolDecisionRecord,
    ) {
        let mut audit = self.record(call.now, kind, call.caller, name);
        audit.body = Some(Body::Tool(record));
        unit.append(&mut self.chain, audit);
    }

    fn remember_answer(&mut self, unit: &mut UnitBuilder, call: &Call<'_>, reply: &AuthorizeToolResponse) {
        let hour = keys::hour(call.now);
        let most = usize::try_from(self.compiled.limits().request_ids).unwrap_or(usize::MAX);
        self.requests.insert(hour, &call.hash, most);
        let record = RequestRecord {
            tenant: call.caller.tenant.to_owned(),
            digest: call.digest.to_vec(),
            answer: reply.encode_to_vec(),
            time_unix_nanos: call.now,
            ..RequestRecord::default()
        };
        let key = keys::request(hour, &call.hash);
        unit.writes
            .push(Write::put(family::REQUESTS, key, record.encode_to_vec()));
    }

    /// The unit, behind the deletions that are pending.
    pub(super) fn finish(&mut self, mut unit: UnitBuilder) -> Unit {
        let mut all = self.begin();
        all.writes.append(&mut unit.writes);
        all.sequences = unit.sequences;
        all.done(self.compiled.durability("tool.call") == Durability::Power)
    }
}

/// Whether the answer was given before, under another request id: it follows from the call again.
fn record_is_known(outcome: &Answer, found: &Found) -> bool {
    match outcome {
        Answer::Replayed(_) => true,
        Answer::Pending(pending) => {
            let earlier = found.earlier.as_ref().map_or("", |earlier| &earlier.approval);
            keys::approval_id(earlier).is_some_and(|id| keys::ticket_name(&id) == pending.ticket)
        }
        Answer::Granted(_) => false,
    }
}

/// A ticket is for the call that it was given for, to the byte.
fn same_call(call: &Call<'_>, record: &ApprovalRecord, approval: &Approval) -> Result<(), Rejection> {
    let request = call.request;
    let key = &request.idempotency_key;
    let parts = [
        ("tool", request.tool == approval.tool),
        ("arguments", record.arguments_digest == call.arguments.digest),
        ("session", request.session == approval.session),
        ("run", request.run == approval.run),
        ("step", request.step == approval.step),
        ("idempotency_key", key.is_empty() || *key == approval.idempotency_key),
    ];
    let differing = parts.into_iter().filter(|(_, is_same)| !is_same);
    let violations: Vec<_> = differing
        .map(|(field, _)| FieldViolation {
            field: field.to_owned(),
            description: "is not what the ticket was given for".to_owned(),
        })
        .collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Rejection::invalid(violations))
    }
}
