//! Encoding of what an admission writes: the decision record with every input, and the open invocation.
use std::ops::Range;

use fairlead_plan::{CallFacts, Compiled, InputSize, PlanDecision};
use fairlead_wire::v1::{AdmitResponse, AgreedCall, Amount, EventKind, InvocationState, SessionSwitch};

use crate::budget::Limit;
use crate::budget::window_code;
use crate::chain::HASH_BYTES;
use crate::command::Caller;
use crate::encode::Encoder;
use crate::fit::Costed;
use crate::judge::{BudgetCase, BudgetOf, Grant, RateCase};
use crate::rejection::Rejection;

/// Digests and sizes of what carried the call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Content<'a> {
    pub request_digest: &'a [u8],
    pub digest: &'a [u8],
    pub bytes: i64,
}

/// One decision with everything it used. The answer's parts are taken from the reply, so that they cannot differ.
pub(crate) struct DecisionFacts<'a> {
    pub compiled: &'a Compiled,
    pub facts: &'a CallFacts<'a>,
    pub content: Content<'a>,
    pub decision: &'a PlanDecision,
    pub budgets: &'a [BudgetCase],
    pub rates: &'a [RateCase],
    /// The reply; of a refusal just its decision and dropped candidates.
    pub reply: &'a AdmitResponse,
    /// What is held; `None` when refused.
    pub held: Option<Amount>,
    pub expires_at: i64,
    pub rejection: Option<&'a Rejection>,
    pub settled_by_sidecar: bool,
    pub downgraded_to: &'a str,
    /// Model and invocation of the answer that the response cache has.
    pub cached: Option<(&'a str, &'a str)>,
    /// True when that answer is given: nothing is charged.
    pub is_hit: bool,
    pub session_switch: Option<SessionSwitch>,
    /// What people have said about the call before.
    pub agreed: Option<&'a AgreedCall>,
    /// Whom the call waits for.
    pub asks: Option<Asks<'a>>,
    /// Positions of the budgets that it goes over the limit of, or that people are asked about.
    pub over: &'a [usize],
}

/// Whom a call waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks<'a> {
    /// Resource name of the approval.
    pub approval: &'a str,
    /// Names of the tiers.
    pub tiers: &'a str,
}

/// Head of an audit record.
pub(crate) struct Head<'a> {
    pub sequence: u64,
    pub time: i64,
    pub caller: Caller<'a>,
    pub invocation: &'a str,
}

/// Where the audit record has parts that the open invocation has, too: encoded once, copied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    /// Decision and plan, with the same field numbers in both.
    answer: Range<usize>,
    /// Charges.
    charges: Range<usize>,
}

/// The audit record of a decision, behind room for its hash, into a buffer that is cleared first.
pub(crate) fn audit_decision(value: &mut Vec<u8>, head: &Head<'_>, decision: &DecisionFacts<'_>) -> Shared {
    value.clear();
    value.resize(HASH_BYTES, 0);
    let kind = match (decision.held, decision.asks) {
        (Some(_), None) => EventKind::InvocationAdmitted,
        (Some(_), Some(_)) => EventKind::InvocationPending,
        (None, _) => EventKind::InvocationRejected,
    };
    let mut out = Encoder::new(value);
    out.uint(1, head.sequence);
    out.int(2, head.time);
    out.int(3, i64::from(kind as i32));
    out.text(4, head.caller.tenant);
    out.text(5, head.caller.agent);
    out.text(6, head.caller.operator);
    out.text(7, head.invocation);
    out.text(8, decision.compiled.version());
    out.text(9, head.caller.traceparent);
    let (mut shared, mut end) = (Shared::default(), 0);
    out.nested(22, |out| {
        shared = decision.encode(out);
        end = out.position();
    });
    // The length in front of the decision may have taken more than a byte.
    let moved = out.position() - end;
    for range in [&mut shared.answer, &mut shared.charges] {
        *range = range.start + moved..range.end + moved;
    }
    shared
}

impl DecisionFacts<'_> {
    /// The fields of a `DecisionRecord`.
    pub(crate) fn encode(&self, out: &mut Encoder<'_>) -> Shared {
        out.nested(1, |inputs| self.encode_inputs(inputs));
        let answer = out.position();
        if let Some(decision) = &self.reply.decision {
            out.message(2, decision);
        }
        for planned in &self.reply.plan {
            out.message(3, planned);
        }
        let answer = answer..out.position();
        for dropped in &self.reply.dropped {
            out.message(4, dropped);
        }
        if let Some(held) = &self.held {
            out.amount(5, held);
        }
        out.int(6, self.expires_at);
        out.int(7, self.reply.max_output_tokens);
        out.flag(8, self.reply.clamped);
        let charges = out.position();
        if let Some(held) = self.held.as_ref().filter(|_| !self.is_hit) {
            // What people are asked about is not held: there is no room for it.
            let without = if self.asks.is_some() { self.over } else { &[] };
            encode_charges(out, self.compiled, self.budgets, held, without);
        }
        let charges = charges..out.position();
        if let Some(rejection) = self.rejection {
            out.text(10, rejection.reason.as_str());
            out.map(11, &rejection.metadata);
        }
        out.text(12, self.downgraded_to);
        if let Some(switch) = &self.session_switch {
            out.message(13, switch);
        }
        out.flag(14, self.is_hit);
        if let Some(asks) = &self.asks {
            out.text(15, asks.approval);
            out.text(16, asks.tiers);
        }
        for case in self.over.iter().filter_map(|at| self.budgets.get(*at)) {
            let budget = case.of.get(self.compiled).map_or("", |budget| &budget.name);
            out.element(17, format!("{budget}/instances/{}", case.instance).as_bytes());
        }
        Shared { answer, charges }
    }

    fn encode_inputs(&self, out: &mut Encoder<'_>) {
        let facts = self.facts;
        out.bytes(1, self.content.request_digest);
        out.bytes(2, self.content.digest);
        out.int(3, self.content.bytes);
        out.text(4, facts.model);
        out.text(5, facts.workload);
        out.text(6, facts.session);
        out.text(7, facts.run);
        out.text(8, facts.step);
        out.map(9, facts.labels);
        if let Some(attributes) = facts.attributes {
            out.message(10, attributes);
        }
        match facts.input {
            InputSize::Tokens(tokens) => out.int(11, tokens),
            InputSize::Bytes(bytes) | InputSize::Stored(bytes) => out.int(12, bytes),
        }
        out.int(13, facts.max_output_tokens);
        out.int(14, facts.min_output_tokens);
        out.optional_double(15, facts.min_quality);
        for capability in facts.capabilities {
            out.element(16, capability.as_bytes());
        }
        out.flag(17, facts.stream);
        out.text(18, self.compiled.split_key(self.decision.route, facts));
        for (model, tokens) in &self.decision.estimates {
            out.nested(19, |estimate| {
                estimate.text(1, self.compiled.model(*model).map_or("", |model| &model.name));
                estimate.int(2, tokens.0);
            });
        }
        for case in self.budgets {
            out.nested(20, |budget| {
                budget.text(1, case.of.get(self.compiled).map_or("", |budget| &budget.name));
                budget.text(2, case.instance.as_str());
                budget.amount(3, &case.view.spent);
                budget.amount(4, &case.view.reserved);
                budget.int(5, case.view.window_start);
                budget.int(6, case.view.resets_at);
            });
        }
        for health in &self.decision.health {
            out.message(21, health);
        }
        for case in self.rates {
            out.nested(22, |rate| {
                rate.text(1, self.compiled.rate_limit(case.id).map_or("", |limit| &limit.name));
                rate.text(2, case.instance.as_str());
                rate.int(3, case.state.requests_tat.0);
                rate.int(4, case.state.tokens_tat.0);
                rate.uint(5, case.state.in_flight);
            });
        }
        out.int(23, facts.choices);
        out.flag(24, self.settled_by_sidecar);
        out.text(25, facts.dialect);
        for one in facts.untranslatable {
            out.message(26, one);
        }
        out.text(27, &self.decision.pinned);
        for label in facts.session_labels {
            out.element(28, label.as_bytes());
        }
        if let Some((model, invocation)) = self.cached {
            out.text(29, model);
            out.text(30, invocation);
        }
        out.flag(31, matches!(facts.input, InputSize::Stored(_)));
        if let Some(agreed) = self.agreed {
            out.message(32, agreed);
        }
        out.text(40, facts.root_run);
        for case in self.budgets {
            if let BudgetOf::Run(budget) = &case.of {
                out.nested(41, |run| {
                    run.text(1, &budget.name);
                    run.text(2, case.instance.as_str());
                    run.amount(3, &Limit::of(budget).to_amount());
                });
            }
        }
    }
}

fn encode_charges(
    out: &mut Encoder<'_>,
    compiled: &Compiled,
    budgets: &[BudgetCase],
    held: &Amount,
    without: &[usize],
) {
    for (at, case) in budgets.iter().enumerate() {
        if without.contains(&at) {
            continue;
        }
        let Some(budget) = case.of.get(compiled) else {
            continue;
        };
        out.nested(9, |charge| {
            charge.text(1, &budget.name);
            charge.text(2, case.instance.as_str());
            charge.int(3, case.view.window_start);
            charge.amount(4, held);
            charge.int(5, window_code(budget.window));
        });
    }
}

/// An open invocation as it is stored.
pub(crate) struct OpenFacts<'a> {
    pub decision: &'a DecisionFacts<'a>,
    pub caller: Caller<'a>,
    pub create_time: i64,
    pub sequences: &'a [u64],
    pub plan: &'a [Costed],
    pub request_key: &'a [u8],
    pub grant: Grant,
    /// Id of the approval that it was admitted with; empty when people were not asked.
    pub approval: &'a str,
    /// The audit record, and where in it shared parts are.
    pub audit: &'a [u8],
    pub shared: Shared,
    /// True when the call belongs to a step of a workflow's run.
    pub of_workflow: bool,
}

impl OpenFacts<'_> {
    /// The `AdmitResponse`, as prost would encode it.
    fn encode_reply(&self, out: &mut Encoder<'_>, answer: &[u8]) {
        let reply = self.decision.reply;
        out.text(1, &reply.invocation);
        out.fields(answer);
        if let Some(reservation) = &reply.reservation {
            out.message(4, reservation);
        }
        out.int(5, reply.max_output_tokens);
        for dropped in &reply.dropped {
            out.message(6, dropped);
        }
        out.flag(7, reply.clamped);
        if let Some(admitted_at) = &reply.admitted_at {
            out.message(8, admitted_at);
        }
    }

    /// The `InvocationRecord`, into a buffer that is cleared first.
    pub(crate) fn encode(&self, value: &mut Vec<u8>) {
        value.clear();
        let mut out = Encoder::new(value);
        let compiled = self.decision.compiled;
        out.text(1, &self.decision.reply.invocation);
        out.text(2, self.caller.tenant);
        out.text(3, self.caller.agent);
        out.int(4, i64::from(InvocationState::Open as i32));
        out.int(5, self.create_time);
        out.int(6, self.decision.expires_at);
        out.packed(7, self.sequences);
        let audit = |range: &Range<usize>| self.audit.get(range.clone()).unwrap_or_default();
        out.renumbered(8, audit(&self.shared.charges));
        out.nested(9, |out| self.encode_reply(out, audit(&self.shared.answer)));
        for one in self.plan {
            let Some(model) = compiled.model(one.model()) else {
                continue;
            };
            // Held for it, so it is in range.
            let choices = self.decision.facts.choices.max(1);
            let output = one.output(self.grant.max_output, choices).map_or(0, |output| output.0);
            let price = &one.price;
            // Most models price nothing apart.
            let apart = |pico: i64, base: i64| (pico != base).then_some(pico);
            out.nested(10, |out| {
                out.text(1, &model.name);
                out.int(2, price.input_pico);
                out.int(3, price.cached_input_pico);
                out.int(4, price.cache_write_pico);
                out.int(5, price.output_pico);
                out.flag(6, one.failed_attempts_cost_input);
                out.int(7, one.planned.input_bound.0);
                out.int(8, output);
                out.optional_int(9, apart(price.cache_write_1h_pico, price.cache_write_pico));
                out.optional_int(10, apart(price.audio_input_pico, price.input_pico));
                out.optional_int(11, apart(price.audio_output_pico, price.output_pico));
                out.optional_int(12, apart(price.image_input_pico, price.input_pico));
                out.optional_int(13, apart(price.reasoning_pico, price.output_pico));
            });
        }
        out.bytes(11, self.request_key);
        for case in self.decision.rates {
            out.nested(16, |hold| {
                hold.text(1, compiled.rate_limit(case.id).map_or("", |limit| &limit.name));
                hold.text(2, case.instance.as_str());
                hold.int(3, self.grant.rate_tokens);
            });
        }
        let bound = self.plan.iter().map(|one| one.planned.input_bound.0).max().unwrap_or(0);
        out.int(17, bound);
        out.text(18, compiled.version());
        out.flag(19, self.decision.settled_by_sidecar);
        let route = self.decision.decision.route.and_then(|id| compiled.route(id));
        out.text(20, route.map_or("", |route| route.keeps_by(self.decision.facts)));
        out.text(21, self.approval);
        if self.of_workflow {
            out.text(40, self.decision.facts.run);
            out.text(41, self.decision.facts.step);
        }
    }
}
