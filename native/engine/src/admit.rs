//! Admission: may this call go out, where to, and what does it hold?
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_plan::{CallFacts, Compiled, InputSize, Pins, Tokens, UnixNanos};
use fairlead_wire::internal::{InvocationRecord, NeedsRecord, RequestRecord};
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, AdmitResponse, AgreedCall, InvocationState, Reservation};
use prost::Message;

use crate::approval::{FoundCall, ModelCallQuestion};
use crate::command::{AdmitExtra, Applied, Cached, Caller, Refusal};
use crate::digest;
use crate::engine::{Engine, Open, UnitBuilder};
use crate::judge::{BudgetCase, BudgetOf, Grant, Judgement, Outcome, Question, RateCase};
use crate::keys::{self, InvocationId, RequestHash};
use crate::pin;
use crate::record::{self, Content, DecisionFacts, Head, OpenFacts, Shared};
use crate::rejection::Rejection;
use crate::reply::{model_name, name_output_rules, reply};
use crate::share::Bound;
use crate::ttl;
use crate::unit::{Write, family};
use crate::validate;

/// Room for an open invocation: most take 600 to 1000 bytes. Below 1 KiB allocators are fast.
const RECORD_BYTES: usize = 1000;

/// One admission on its way.
pub(crate) struct Admission<'a> {
    pub(crate) now: i64,
    pub(crate) caller: Caller<'a>,
    pub(crate) id: InvocationId,
    pub(crate) facts: &'a CallFacts<'a>,
    content: Content<'a>,
    /// Where the request id is remembered; `None` when it is not.
    pub(crate) request: Option<RequestHash>,
    pub(crate) cached: Option<Cached<'a>>,
    /// What people were asked about the call before, and said.
    agreed: Option<&'a AgreedCall>,
    wait_allowed: bool,
    settled_by_sidecar: bool,
}

impl Admission<'_> {
    /// What every record of the decision has; neither held nor refused.
    pub(crate) fn decided<'a>(
        &'a self,
        compiled: &'a Compiled,
        judgement: &'a Judgement,
        budgets: &'a [BudgetCase],
        rates: &'a [RateCase],
        reply: &'a AdmitResponse,
    ) -> DecisionFacts<'a> {
        DecisionFacts {
            compiled,
            facts: self.facts,
            content: self.content,
            decision: &judgement.decision,
            budgets,
            rates,
            reply,
            held: None,
            expires_at: 0,
            rejection: None,
            settled_by_sidecar: self.settled_by_sidecar,
            downgraded_to: model_name(compiled, judgement.downgraded_to),
            cached: self.cached.map(|cached| (cached.model, cached.invocation)),
            is_hit: matches!(judgement.outcome, Outcome::Cached),
            session_switch: pin::switch(compiled, judgement),
            agreed: self.agreed,
            asks: None,
            over: &judgement.over,
        }
    }
}

impl Engine {
    /// Decides one call. Granted: the worst case is held in every budget that applies, all together or not at all.
    ///
    /// The same request id returns the first answer for 24 hours; a refusal is not an answer, so a refused request may be
    /// repeated with its id. A refusal by policy, routing, budgets or rates is recorded.
    pub fn admit(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
    ) -> Applied<AdmitResponse> {
        match self.try_admit(now, caller, request, extra) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
        .revealed(extra.known)
    }

    fn try_admit(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
    ) -> Result<Applied<AdmitResponse>, Refusal> {
        let now = self.tick(now)?;
        validate::admit(request, extra.remember, extra.choices, extra.content_bytes)?;
        let request_digest = extra.request_digest.unwrap_or_else(|| request_digest(request));
        let unknown_ticket = self.unknown_ticket(&request.ticket);
        let remembered = if extra.remember {
            let name = if caller.agent.is_empty() {
                caller.operator
            } else {
                caller.agent
            };
            let hash = keys::request_hash(caller.tenant, name, extra.method.as_str(), &request.request_id);
            if let Some(reply) = self.first_answer(now, caller, &hash, &request_digest, &unknown_ticket, extra.known)? {
                return Ok(Applied::replay(reply));
            }
            Some(hash)
        } else {
            if extra.known.is_none() && !unknown_ticket.is_empty() {
                return Err(Refusal::NeedsRecord(NeedsRecord {
                    approval_key: unknown_ticket,
                    ..NeedsRecord::default()
                }));
            }
            None
        };
        let bound_run = self.bind_run(caller.tenant, &request.run, &request.step)?;
        let found = self.found_call(now, caller, request, &extra)?;
        let compiled = Arc::clone(&self.compiled);
        let bound = Bound::new(&compiled, "openReservations", compiled.limits().open_reservations);
        let own = self.held_by.of(caller.tenant);
        if !bound.has_room(self.open.len(), own) {
            return Err(bound.reached(own).into());
        }
        let labels = merged_labels(&compiled, caller, &request.labels);
        let untranslatable = validate::bounded(extra.untranslatable);
        let session_labels = self.sessions.labels(now, caller.tenant, &request.session).to_vec();
        let (of_session, of_run) = (
            self.pinned(now, caller.tenant, &request.session),
            self.pinned(now, caller.tenant, &request.run),
        );
        let pins = Pins::Known {
            session: &of_session,
            run: &of_run,
        };
        let id = keys::new_invocation(now, self.chain.head());
        let name = if request.request_id.is_empty() {
            keys::invocation_name(&id)
        } else {
            String::new()
        };
        let asked = found.as_ref().and_then(|found| found.record.model_call.as_ref());
        let drawn = asked.map(|asked| asked.split_key.clone());
        let facts = CallFacts {
            tenant: caller.tenant,
            agent: caller.agent,
            model: &request.model,
            workload: &request.workload,
            session: &request.session,
            session_labels: &session_labels,
            run: bound_run.as_ref().map_or(&request.run, |bound| &bound.run),
            root_run: bound_run.as_ref().map_or("", |bound| &bound.root),
            step: &request.step,
            labels: &labels,
            attributes: request.attributes.as_ref(),
            input: match request.input {
                Some(Input::InputBytes(bytes)) if extra.stored_input => InputSize::Stored(bytes),
                Some(Input::InputBytes(bytes)) => InputSize::Bytes(bytes),
                Some(Input::InputTokens(tokens)) => InputSize::Tokens(tokens),
                None => InputSize::Tokens(0),
            },
            max_output_tokens: request.max_output_tokens,
            min_output_tokens: request.min_output_tokens,
            min_quality: request.min_quality,
            capabilities: &request.capabilities,
            stream: request.stream,
            choices: extra.choices,
            // Without an id every call is drawn by itself; one that comes back from people as it was drawn for them.
            split_key: if let Some(drawn) = &drawn {
                drawn
            } else if request.request_id.is_empty() {
                &name
            } else {
                &request.request_id
            },
            dialect: extra.dialect,
            untranslatable: &untranslatable,
            pins,
        };
        let content = Content {
            request_digest: &request_digest,
            digest: extra.content_digest.as_ref().map_or(&[], |digest| digest.as_slice()),
            bytes: extra.content_bytes,
        };
        let agreed = found.as_ref().map(|found| found.agreed.clone());
        self.decide(
            &compiled,
            Admission {
                now,
                caller,
                id,
                facts: &facts,
                content,
                request: remembered,
                cached: extra
                    .cached
                    .filter(|cached| cached.config_version == compiled.version()),
                agreed: agreed.as_ref(),
                wait_allowed: extra.wait_allowed,
                settled_by_sidecar: extra.settled_by_sidecar,
            },
            (request, &extra),
            found,
        )
    }

    fn decide(
        &mut self,
        compiled: &Compiled,
        mut admission: Admission<'_>,
        (request, extra): (&AdmitRequest, &AdmitExtra<'_>),
        found: Option<FoundCall>,
    ) -> Result<Applied<AdmitResponse>, Refusal> {
        let (facts, now) = (admission.facts, admission.now);
        let output_rules = compiled.output_rules_for(facts, UnixNanos(now));
        let tenant = facts.tenant;
        let of_runs = self.run_budgets(tenant, facts.run);
        let mut budgets: Vec<BudgetCase> = compiled
            .budgets_for(facts)
            .map(|(id, instance)| (BudgetOf::Config(id), None, instance))
            .chain(of_runs)
            .map(|(of, kept, instance)| {
                let position = match &of {
                    BudgetOf::Config(id) => self.ledger.position(*id),
                    BudgetOf::Run(_) => kept,
                };
                let place = position.map(|at| (at, self.ledger.find_in(at, tenant, instance.as_str())));
                let book = place.and_then(|(at, slot)| Some((self.ledger.book(at)?, slot)));
                let view = book.map(|(book, slot)| book.view(slot, now)).unwrap_or_default();
                BudgetCase {
                    of,
                    instance,
                    place,
                    view,
                }
            })
            .collect();
        if let Some((_, waiting)) = found.as_ref().and_then(|found| found.waiting.as_ref()) {
            self.without_own_hold(&mut budgets, waiting);
        }
        let rates: Vec<RateCase> = compiled
            .rate_limits_for(facts)
            .map(|(id, instance)| RateCase {
                id,
                state: self.rates.state(id, tenant, instance.as_str()),
                instance,
            })
            .collect();
        let question = Question {
            compiled,
            facts,
            health: &self.health,
            budgets: &budgets,
            rates: &rates,
            cached: admission.cached.map(|cached| cached.model),
            agreed: admission.agreed,
            now: UnixNanos(now),
        };
        let mut judgement = question.judge();
        let mut reply = reply(compiled, &mut judgement);
        match judgement.outcome {
            Outcome::Granted(grant) => {
                self.make_room(compiled, tenant, &budgets, &rates, now)?;
                if let Some((waiting, _)) = found.as_ref().and_then(|found| found.waiting.as_ref()) {
                    admission.id = *waiting;
                }
                reply.invocation = keys::invocation_name(&admission.id);
                name_output_rules(&mut reply, &output_rules);
                let reply = self.grant(compiled, &admission, &judgement, grant, &budgets, &rates, reply, found);
                Ok(reply)
            }
            Outcome::Ask(ref asking, grant) => {
                self.make_room(compiled, tenant, &budgets, &[], now)?;
                reply.invocation = keys::invocation_name(&admission.id);
                let question = ModelCallQuestion {
                    asking,
                    grant,
                    request,
                    extra,
                    budgets: &budgets,
                    rates: &rates,
                    found,
                };
                self.ask_about_call(compiled, &admission, &judgement, reply, question)
            }
            Outcome::Waiting => {
                let reason = reply.decision.map(|decision| decision.reason).unwrap_or_default();
                let rejection = found.map(|found| self.pending_model_call(&found.id, &reason));
                Err(rejection.unwrap_or_else(|| self.nothing_waits()).into())
            }
            Outcome::Cached => {
                self.make_room(compiled, tenant, &[], &rates, now)?;
                reply.invocation = keys::invocation_name(&admission.id);
                name_output_rules(&mut reply, &output_rules);
                Ok(self.answer_from_cache(compiled, &admission, &judgement, &budgets, &rates, reply))
            }
            Outcome::RateLimited { wait: Some(wait), .. } if admission.wait_allowed => Err(Refusal::Wait(wait)),
            Outcome::Refused(ref rejection) | Outcome::RateLimited { ref rejection, .. } => {
                reply.invocation = keys::invocation_name(&admission.id);
                let rejection = rejection.clone().with("invocation", &reply.invocation);
                let decided = DecisionFacts {
                    rejection: Some(&rejection),
                    ..admission.decided(compiled, &judgement, &budgets, &rates, &reply)
                };
                Ok(self.record_refusal(&admission, &decided, &rejection))
            }
        }
    }

    /// Room for instances that are used for the first time.
    fn make_room(
        &mut self,
        compiled: &Compiled,
        tenant: &str,
        budgets: &[BudgetCase],
        rates: &[RateCase],
        now: i64,
    ) -> Result<(), Rejection> {
        let bound = Bound::new(compiled, "budgetInstances", compiled.limits().budget_instances);
        for case in budgets {
            if let Some((at, None)) = case.place {
                // Records of dropped instances are empty: their deletion may ride with any later unit, or never.
                let mut deletions = Vec::new();
                let own = self.ledger.make_room(at, tenant, &bound, now, &mut deletions);
                self.deletions.append(&mut deletions);
                if let Err(own) = own {
                    let name = case.of.get(compiled).map_or("", |budget| &budget.name);
                    return Err(bound.reached(own).with("budget", name));
                }
            }
        }
        for case in rates {
            let own = self
                .rates
                .make_room(case.id, tenant, case.instance.as_str(), &bound, now);
            if let Err(own) = own {
                let name = compiled.rate_limit(case.id).map_or("", |limit| &limit.name);
                return Err(bound.reached(own).with("rate_limit", name));
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one decision, used once")]
    fn grant(
        &mut self,
        compiled: &Compiled,
        admission: &Admission<'_>,
        judgement: &Judgement,
        grant: Grant,
        budgets: &[BudgetCase],
        rates: &[RateCase],
        mut reply: AdmitResponse,
        found: Option<FoundCall>,
    ) -> Applied<AdmitResponse> {
        let (now, tenant) = (admission.now, admission.facts.tenant);
        let ttl = ttl::nanos(compiled, judgement, admission.settled_by_sidecar);
        let expires_at = now.saturating_add(ttl);
        reply.reservation = Some(Reservation {
            amount: Some(grant.amount),
            expires_at: Some(timestamp(expires_at)),
        });
        reply.max_output_tokens = grant.max_output;
        reply.clamped = grant.clamped;
        reply.admitted_at = Some(timestamp(now));

        // From here on nothing can fail: all instances are charged, or none was.
        if let Some((id, waiting)) = found.as_ref().and_then(|found| found.waiting.as_ref()) {
            self.give_up_waiting(now, id, waiting);
        }
        let (mut soft, mut over) = (Vec::new(), Vec::new());
        for (position, case) in budgets.iter().enumerate() {
            let Some((at, found)) = case.place else { continue };
            let slot = found.or_else(|| self.ledger.ensure(at, tenant, case.instance.as_str(), now));
            let Some(slot) = slot else { continue };
            if let Some(book) = self.ledger.book_mut(at) {
                // INVARIANT (I1): the judgement has left room for this amount in every hard instance.
                // INVARIANT (I2): held here, and in the open record below; both end together.
                if judgement.over.contains(&position) {
                    book.hold_over(slot, grant.amount, now);
                    over.push((at, slot));
                } else {
                    book.hold(slot, grant.amount, now);
                }
                if !book.rule.hard {
                    soft.push((at, slot));
                }
            }
        }
        for case in rates {
            self.rates.take(
                case.id,
                tenant,
                case.instance.as_str(),
                UnixNanos(now),
                Tokens(grant.rate_tokens),
            );
        }

        let mut unit = self.begin();
        let decided = DecisionFacts {
            held: Some(grant.amount),
            expires_at,
            ..admission.decided(compiled, judgement, budgets, rates, &reply)
        };
        let shared = self.append_decision(&mut unit, admission, &decided);
        let approval = found.as_ref().map(|found| keys::approval_name(&found.id));
        let mut sequences = Vec::new();
        if let Some(found) = found {
            let needed = judgement.decision.approval.is_some() || !judgement.over.is_empty();
            self.use_approval(
                &mut unit,
                now,
                admission.caller,
                &found,
                needed,
                &reply.invocation,
                &over,
                grant.amount,
            );
            sequences = found.waiting.map(|(_, waiting)| waiting.sequences).unwrap_or_default();
        }
        for at in soft {
            if self.append_alerts(&mut unit, now, admission.caller, &reply.invocation, at, true) {
                unit.writes
                    .extend(self.ledger.book_mut(at.0).and_then(|book| book.store(at.1)));
            }
        }
        unit.writes
            .extend(self.sessions.touch(now, tenant, admission.facts.session));
        let request_key = admission
            .request
            .map(|hash| self.remember(&mut unit, admission, &hash, &reply.invocation));
        sequences.extend(&unit.sequences);
        let mut record = Vec::with_capacity(RECORD_BYTES);
        OpenFacts {
            decision: &decided,
            caller: admission.caller,
            create_time: now,
            sequences: &sequences,
            plan: &judgement.plan,
            request_key: request_key.as_deref().unwrap_or_default(),
            grant,
            approval: approval.as_deref().unwrap_or_default(),
            audit: &self.scratch,
            shared,
            of_workflow: keys::run_id(admission.facts.run).is_some(),
        }
        .encode(&mut record);
        // A call that the sidecar makes asks before each attempt; nobody will ask for this one any more.
        let probe = judgement
            .plan
            .first()
            .filter(|_| !admission.settled_by_sidecar)
            .and_then(|first| self.health.take_probe(first.model(), UnixNanos(now)));
        let open = Open {
            tenant: Arc::from(tenant),
            expires_at,
            probe,
            record: record.as_slice().into(),
        };
        unit.writes.push(Write::put(
            family::STATE,
            keys::open_invocation(tenant, &admission.id),
            record,
        ));
        // INVARIANT (I3): open and in the list of what expires, at the same time.
        self.open.insert(admission.id, open);
        self.held_by.add(tenant);
        self.expiries.insert((expires_at, admission.id));
        // INVARIANT (A1): what people agreed to must not come back after a loss of power.
        Applied::done(reply, Some(unit.done(approval.is_some() || self.is_power())))
    }

    pub(crate) fn append_decision(
        &mut self,
        unit: &mut UnitBuilder,
        admission: &Admission<'_>,
        decided: &DecisionFacts<'_>,
    ) -> Shared {
        let head = Head {
            sequence: self.chain.next_sequence(),
            time: admission.now,
            caller: admission.caller,
            invocation: &decided.reply.invocation,
        };
        // Encoded in a buffer that stays, then copied: an allocation of the exact size, and no growing.
        let shared = record::audit_decision(&mut self.scratch, &head, decided);
        unit.append_encoded(&mut self.chain, self.scratch.to_vec());
        shared
    }

    pub(crate) fn remember(
        &mut self,
        unit: &mut UnitBuilder,
        admission: &Admission<'_>,
        hash: &RequestHash,
        invocation: &str,
    ) -> Vec<u8> {
        let hour = keys::hour(admission.now);
        let most = usize::try_from(self.compiled.limits().request_ids).unwrap_or(usize::MAX);
        self.requests.insert(hour, hash, most);
        let key = keys::request(hour, hash);
        let record = RequestRecord {
            tenant: admission.caller.tenant.to_owned(),
            digest: admission.content.request_digest.to_vec(),
            invocation: invocation.to_owned(),
            answer: Vec::new(),
            time_unix_nanos: admission.now,
        };
        unit.writes
            .push(Write::put(family::REQUESTS, key.clone(), record.encode_to_vec()));
        key
    }

    fn record_refusal(
        &mut self,
        admission: &Admission<'_>,
        decided: &DecisionFacts<'_>,
        rejection: &Rejection,
    ) -> Applied<AdmitResponse> {
        let mut unit = self.begin();
        self.append_decision(&mut unit, admission, decided);
        let record = InvocationRecord {
            invocation: decided.reply.invocation.clone(),
            tenant: admission.caller.tenant.to_owned(),
            agent: admission.caller.agent.to_owned(),
            state: InvocationState::Rejected as i32,
            create_time_unix_nanos: admission.now,
            sequences: unit.sequences.clone(),
            config_version: self.compiled.version().to_owned(),
            ..InvocationRecord::default()
        };
        let key = keys::invocation(admission.caller.tenant, &admission.id);
        unit.writes
            .push(Write::put(family::INVOCATIONS, key, record.encode_to_vec()));
        Applied::recorded(rejection.clone(), unit.done(self.is_power()))
    }
}

/// SHA-256 of a request without its id and ticket: with the ticket it is the same call again.
fn request_digest(request: &AdmitRequest) -> [u8; 32] {
    if request.ticket.is_empty() {
        return digest::without_request_id(request, &request.request_id);
    }
    let bare = AdmitRequest {
        ticket: String::new(),
        ..request.clone()
    };
    digest::without_request_id(&bare, &bare.request_id)
}

/// The agent's labels over the call's; a copy only when the agent has some.
pub(crate) fn merged_labels<'a>(
    compiled: &Compiled,
    caller: Caller<'_>,
    labels: &'a BTreeMap<String, String>,
) -> Cow<'a, BTreeMap<String, String>> {
    if compiled
        .agent(caller.tenant, caller.agent)
        .is_none_or(|agent| agent.labels.is_empty())
    {
        return Cow::Borrowed(labels);
    }
    let mut labels = labels.clone();
    compiled.merge_labels(caller.tenant, caller.agent, &mut labels);
    Cow::Owned(labels)
}

/// A moment as a message.
pub(crate) fn timestamp(unix_nanos: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: unix_nanos.div_euclid(1_000_000_000),
        nanos: i32::try_from(unix_nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}
