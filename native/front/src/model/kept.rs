//! Answers for repeated request ids.
//!
//! Kept is a `GenerateResponse` without what was charged, which only the settlement that carries it knows; a repetition
//! takes that from the invocation's record. What the attempts say tells how the call ended:
//!
//! | last attempt | body | the answer was |
//! |---|---|---|
//! | succeeded | yes | the provider's answer |
//! | failed with a status | yes | the provider's refusal |
//! | any | no | `TARGETS_EXHAUSTED` |
//!
//! A call without any attempt is no answer: its release forgets the id, which may try again.
use bytes::Bytes;
use fairlead_engine::{Reason, Rejection};
use fairlead_upstream::Exhausted;
use fairlead_wire::internal::{InvocationRecord, Known};
use fairlead_wire::v1::{Attempt, AttemptOutcome, GenerateResponse, InvocationState};
use http::StatusCode;
use prost::Message;

use super::attempt;
use super::call::{Head, Refused, Whole};
use crate::refusal;

/// Encodes an answer, unless it is larger than `most` bytes.
pub(super) fn encode(head: &Head, body: &Bytes, attempts: Vec<Attempt>, most: u64) -> Option<Vec<u8>> {
    let kept = GenerateResponse {
        invocation: head.invocation.clone(),
        decision: Some(head.decision.clone()),
        body: body.to_vec(),
        model: head.model.clone(),
        attempts,
        charged: None,
        cached: false,
    };
    u64::try_from(kept.encoded_len())
        .is_ok_and(|size| size <= most)
        .then(|| kept.encode_to_vec())
}

/// The first answer again.
pub(super) fn replay(head: Head, known: Known) -> Result<Whole, Refused> {
    let ended = known.invocation.filter(|_| known.invocation_found);
    let kept = Some(known.answer)
        .filter(|kept| !kept.is_empty())
        .and_then(|kept| GenerateResponse::decode(&*kept).ok());
    let Some(kept) = kept else {
        return Err(Refused {
            rejection: no_answer(ended.as_ref()),
            head: Some(Box::new(head)),
        });
    };
    let last = kept.attempts.last();
    let status = last
        .and_then(|last| u16::try_from(last.status_code).ok())
        .and_then(|code| StatusCode::from_u16(code).ok());
    let succeeded = last.is_some_and(|last| last.outcome() == AttemptOutcome::Succeeded);
    let head = Head {
        model: kept.model,
        ..head
    };
    if kept.body.is_empty() {
        let rejection = attempt::exhausted(&kept.attempts, &Exhausted::default()).with("replayed", true);
        return Err(Refused {
            rejection,
            head: Some(Box::new(head)),
        });
    }
    Ok(Whole {
        head,
        status: if succeeded {
            StatusCode::OK
        } else {
            status.unwrap_or(StatusCode::BAD_GATEWAY)
        },
        headers: http::HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        )]),
        body: Bytes::from(kept.body),
        attempts: kept.attempts,
        charged: ended
            .and_then(|ended| ended.settled)
            .and_then(|settled| settled.charged),
        refused: !succeeded,
    })
}

/// The id was used, but there is no answer to give again.
fn no_answer(ended: Option<&InvocationRecord>) -> Rejection {
    let state = ended.map_or(InvocationState::Open, InvocationRecord::state);
    let message = if state == InvocationState::Open {
        "a call with this request id is still running; wait for its answer"
    } else {
        "the first answer to this request id was not kept; use a new id"
    };
    let name = state.as_str_name();
    refusal::of(Reason::InvalidState, message).with("state", name.strip_prefix("INVOCATION_STATE_").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use fairlead_wire::v1::{Amount, Decision, SettleResponse};

    fn head() -> Head {
        Head {
            invocation: "inv_1".to_owned(),
            decision: Decision::default(),
            model: "m".to_owned(),
            cached: None,
        }
    }

    fn known(kept: Option<Vec<u8>>, state: InvocationState) -> Known {
        let settled = SettleResponse {
            charged: Some(Amount {
                tokens: 3,
                ..Amount::default()
            }),
            ..Default::default()
        };
        let ended = InvocationRecord {
            state: state.into(),
            settled: Some(settled),
            ..InvocationRecord::default()
        };
        Known {
            answer: kept.unwrap_or_default(),
            invocation_found: state != InvocationState::Open,
            invocation: (state != InvocationState::Open).then_some(ended),
            ..Known::default()
        }
    }

    fn kept(outcome: AttemptOutcome, status_code: i32, body: &'static [u8]) -> Option<Vec<u8>> {
        let attempt = Attempt {
            outcome: outcome.into(),
            status_code,
            ..Attempt::default()
        };
        encode(&head(), &Bytes::from_static(body), vec![attempt], 4096)
    }

    #[test]
    fn an_answer_comes_back_with_what_was_charged() {
        let answer = kept(AttemptOutcome::Succeeded, 200, b"{}");
        let whole = replay(head(), known(answer, InvocationState::Settled)).unwrap();
        assert_eq!(
            (whole.status, &whole.body[..], whole.refused),
            (StatusCode::OK, &b"{}"[..], false)
        );
        assert_eq!(whole.charged.unwrap().tokens, 3);
    }

    #[test]
    fn refusals_and_exhaustion_come_back_as_what_they_were() {
        let whole = replay(
            head(),
            known(kept(AttemptOutcome::Failed, 400, b"{}"), InvocationState::Settled),
        )
        .unwrap();
        assert_eq!((whole.status, whole.refused), (StatusCode::BAD_REQUEST, true));
        let refused = replay(
            head(),
            known(kept(AttemptOutcome::Failed, 500, b""), InvocationState::Settled),
        )
        .unwrap_err();
        assert_eq!(refused.rejection.reason, Reason::TargetsExhausted);
    }

    #[test]
    fn without_a_kept_answer_the_state_says_why() {
        for (state, name) in [(InvocationState::Open, "OPEN"), (InvocationState::Settled, "SETTLED")] {
            let refused = replay(head(), known(None, state)).unwrap_err();
            assert_eq!(refused.rejection.reason, Reason::InvalidState);
            assert_eq!(refused.rejection.metadata["state"], name);
        }
    }

    #[test]
    fn a_large_answer_is_not_kept() {
        assert!(encode(&head(), &Bytes::from(vec![b'x'; 100]), Vec::new(), 64).is_none());
    }
}
