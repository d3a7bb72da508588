//! Tool calls on the bench: the store's answers, requests, and a configuration with a catalogue.
use std::collections::BTreeMap;

use fairlead_engine::{Caller, Refusal, Rejection, ToolArguments, family};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{
    self, ApprovalRecord, DecideApproval, Effect, EngineConfig, Known, NeedsRecord, PolicyRule, ToolCallRecord,
    ToolKeyRecord,
};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{
    Approval, ApprovalDecision, AuthorizeToolRequest, AuthorizeToolResponse, CompleteToolRequest, CompleteToolResponse,
    ToolEffect, ToolGranted, ToolOutcome, ToolPending, ToolRisk,
};
use prost::Message;

use crate::bench::{Bench, SAID, config};

type Store = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

/// What the control services answer about tool calls.
pub fn known(store: &Store, needs: &NeedsRecord) -> Known {
    let mut known = Known::default();
    let mut call = String::new();
    if let Some(value) = store.get(&(family::APPROVALS, needs.approval_key.clone())) {
        let record = ApprovalRecord::decode(value.as_slice()).unwrap();
        call.clone_from(&record.call);
        let votes = record.approval.iter().flat_map(|approval| &approval.votes);
        known.texts = votes
            .filter_map(|vote| Some((vote.reason.clone(), text(store, &vote.reason)?)))
            .collect();
        known.approval = Some(record);
        known.approval_found = true;
    }
    if let Some(value) = store.get(&(family::TOOLS, needs.tool_key.clone())) {
        let record = ToolKeyRecord::decode(value.as_slice()).unwrap();
        call.clone_from(&record.call);
        known.tool_key = Some(record);
        known.tool_key_found = true;
    }
    let is_wanted =
        |key: &[u8], record: &ToolCallRecord| key == needs.call_key || (!call.is_empty() && record.call == call);
    known.call = ended(store)
        .into_iter()
        .find(|(key, record)| is_wanted(key, record))
        .map(|(_, record)| record);
    known.call_found = known.call.is_some();
    known.step_key = store
        .get(&(family::KEYS, needs.step_key.clone()))
        .map(|value| internal::StepKeyRecord::decode(value.as_slice()).unwrap());
    known.step_key_found = known.step_key.is_some();
    known
}

/// The text of a commitment, while it is kept.
pub fn text(store: &Store, commitment: &str) -> Option<String> {
    let digest = commitment.strip_prefix("erasable:sha256:")?;
    let bytes = (0..digest.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digest[at..at + 2], 16).unwrap());
    let key: Vec<u8> = std::iter::once(b'v').chain(bytes).collect();
    let kept = internal::ErasableValueRecord::decode(store.get(&(family::SEALS, key))?.as_slice()).unwrap();
    Some(kept.value)
}

/// Calls that have ended, with their keys.
pub fn ended(store: &Store) -> Vec<(Vec<u8>, ToolCallRecord)> {
    let of_tools = store
        .iter()
        .filter(|((family, key), _)| *family == family::TOOLS && key[6] == b'c');
    of_tools
        .map(|((_, key), value)| (key.clone(), ToolCallRecord::decode(value.as_slice()).unwrap()))
        .collect()
}

/// Calls that wait or are granted.
pub fn open(store: &Store) -> Vec<ToolCallRecord> {
    let of_state = store
        .iter()
        .filter(|((family, key), _)| *family == family::STATE && key.get(6) == Some(&b't'));
    of_state
        .map(|(_, value)| ToolCallRecord::decode(value.as_slice()).unwrap())
        .collect()
}

pub fn tool(name: &str, effect: ToolEffect, risk: ToolRisk) -> internal::Tool {
    internal::Tool {
        name: name.to_owned(),
        effect: effect as i32,
        risk: risk as i32,
        ..internal::Tool::default()
    }
}

pub fn rule(name: &str, tools: &[&str], effect: Effect) -> PolicyRule {
    PolicyRule {
        name: name.to_owned(),
        on: "tool.call".to_owned(),
        r#match: Some(internal::Match {
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            ..internal::Match::default()
        }),
        effect: effect as i32,
        ..PolicyRule::default()
    }
}

pub fn tier(name: &str, require: &[(&str, u32)]) -> internal::ApprovalTier {
    let quorum = |(role, count): &(&str, u32)| internal::Quorum {
        role: (*role).to_owned(),
        count: *count,
    };
    internal::ApprovalTier {
        name: name.to_owned(),
        require: require.iter().map(quorum).collect(),
        expires_after_millis: 3_600_000,
        ..internal::ApprovalTier::default()
    }
}

/// `search` reads, `pay` pays, everything is allowed; `asha` and `ben` are of finance, `cem` is of legal.
pub fn with_tools() -> EngineConfig {
    let mut config = config();
    config.tools = vec![
        tool("search", ToolEffect::Read, ToolRisk::Low),
        tool("pay", ToolEffect::SideEffect, ToolRisk::High),
    ];
    config.policies = vec![rule("all", &["search", "pay", "browse", "mail"], Effect::Allow)];
    config.approval_tiers = vec![tier("one", &[("finance", 1)]), tier("two", &[("finance", 2)])];
    let operator = |name: &str, role: &str| internal::Operator {
        name: name.to_owned(),
        roles: vec![role.to_owned()],
    };
    config.operators = vec![
        operator("asha", "finance"),
        operator("ben", "finance"),
        operator("cem", "legal"),
    ];
    config.audit_content = "full".to_owned();
    let limits = config.limits.as_mut().unwrap();
    (limits.sessions, limits.open_tool_calls, limits.tool_result_bytes) = (100, 100, 64);
    limits.open_approvals = 100;
    config
}

/// A call of `pay` with a key.
pub fn pay(key: &str, arguments: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        tool: "pay".to_owned(),
        arguments: arguments.as_bytes().to_vec(),
        idempotency_key: key.to_owned(),
        ..AuthorizeToolRequest::default()
    }
}

impl Bench {
    pub fn authorize(&mut self, request: &AuthorizeToolRequest) -> Result<AuthorizeToolResponse, Rejection> {
        self.authorize_as(Caller::agent("acme", "bot"), request)
    }

    /// With a request id of its own, unless it has one.
    pub fn authorize_as(
        &mut self,
        caller: Caller<'_>,
        request: &AuthorizeToolRequest,
    ) -> Result<AuthorizeToolResponse, Rejection> {
        let mut request = request.clone();
        if request.request_id.is_empty() {
            request.request_id = self.request_id();
        }
        let mut known = None;
        for _ in 0..3 {
            match self.decide(caller, &request, known.as_ref())? {
                Ok(reply) => return Ok(reply),
                Err(needs) => known = Some(self.read(&needs)),
            }
        }
        panic!("the store has been asked twice and it was not enough")
    }

    /// One turn: an answer, or what has to be read.
    pub fn decide(
        &mut self,
        caller: Caller<'_>,
        request: &AuthorizeToolRequest,
        known: Option<&Known>,
    ) -> Result<Result<AuthorizeToolResponse, NeedsRecord>, Rejection> {
        let arguments = ToolArguments::parse(&request.arguments)?;
        let now = UnixNanos(self.now);
        let applied = self.engine.authorize_tool(now, caller, request, &arguments, known);
        match self.take_any(applied) {
            Err(Refusal::NeedsRecord(needs)) => Ok(Err(needs)),
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
            Ok(reply) => Ok(Ok(reply)),
        }
    }

    pub fn granted(&mut self, request: &AuthorizeToolRequest) -> ToolGranted {
        match self.authorize(request).unwrap().outcome {
            Some(Outcome::Granted(granted)) => granted,
            other => panic!("{other:?}"),
        }
    }

    pub fn pending(&mut self, request: &AuthorizeToolRequest) -> ToolPending {
        match self.authorize(request).unwrap().outcome {
            Some(Outcome::Pending(pending)) => pending,
            other => panic!("{other:?}"),
        }
    }

    pub fn complete(
        &mut self,
        grant: &str,
        outcome: ToolOutcome,
        result: &str,
    ) -> Result<CompleteToolResponse, Rejection> {
        let request = CompleteToolRequest {
            request_id: self.request_id(),
            grant: grant.to_owned(),
            outcome: outcome as i32,
            result: result.as_bytes().to_vec(),
        };
        let caller = Caller::agent("acme", "bot");
        let applied = self.engine.complete_tool(UnixNanos(self.now), caller, &request, None);
        match self.take_any(applied) {
            Err(Refusal::NeedsRecord(needs)) => {
                let known = self.read(&needs);
                let applied = self
                    .engine
                    .complete_tool(UnixNanos(self.now), caller, &request, Some(&known));
                self.take(applied)
            }
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
            Ok(reply) => Ok(reply),
        }
    }

    /// The approval as people see it.
    pub fn approval(&self, name: &str) -> Approval {
        let of_family = self
            .store
            .iter()
            .filter(|((family, _), _)| *family == family::APPROVALS);
        let mut all = of_family.map(|(_, value)| ApprovalRecord::decode(value.as_slice()).unwrap().approval.unwrap());
        all.find(|one| one.name == name).unwrap()
    }

    pub fn vote(&mut self, name: &str, operator: &str, decision: ApprovalDecision) -> Result<Approval, Rejection> {
        self.say(name, operator, decision, b"")
    }

    /// Puts other arguments in the place of those that are shown.
    pub fn edit(&mut self, name: &str, operator: &str, arguments: &str) -> Result<Approval, Rejection> {
        self.say(name, operator, ApprovalDecision::Edit, arguments.as_bytes())
    }

    fn say(
        &mut self,
        name: &str,
        operator: &str,
        decision: ApprovalDecision,
        edited: &[u8],
    ) -> Result<Approval, Rejection> {
        let command = DecideApproval {
            approval: name.trim_start_matches("approvals/").to_owned(),
            decision: decision as i32,
            reason: format!("{SAID} seen"),
            digest: self.approval(name).digest,
            edited_arguments: edited.to_vec(),
            ..DecideApproval::default()
        };
        let caller = Caller::operator(operator);
        let applied = self.engine.decide_approval(UnixNanos(self.now), caller, &command);
        self.take(applied)
    }
}
