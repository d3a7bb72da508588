//! Tool calls: decided under the lock, answered after the commit.
use std::time::Duration;

use fairlead_engine::{Applied, Caller, Engine, Reason, Refusal, Rejection, ToolArguments};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::Known;
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{AuthorizeToolRequest, AuthorizeToolResponse, CompleteToolRequest, CompleteToolResponse};

use super::Core;
use super::calls::committed;
use crate::refusal;

/// How often the store is asked for one call. Once more than once only when something ended meanwhile.
const MOST_LOOKS: u32 = 3;

impl Core {
    /// Asks for a tool call. Dropping the future leaves nothing half done: a grant that nobody took is found again by its
    /// request id or key.
    pub async fn authorize_tool(
        &self,
        caller: Caller<'_>,
        request: &AuthorizeToolRequest,
    ) -> Result<AuthorizeToolResponse, Rejection> {
        let outcome = match ToolArguments::parse(&request.arguments) {
            Ok(arguments) => {
                self.decide_with_store(|engine, now, known| {
                    engine.authorize_tool(now, caller, request, &arguments, known)
                })
                .await
            }
            Err(rejection) => Err(rejection),
        };
        let label = match outcome.as_ref().map(|answer| &answer.outcome) {
            Ok(Some(Outcome::Granted(_))) => ("granted", ""),
            Ok(Some(Outcome::Pending(_))) => ("pending", ""),
            Ok(Some(Outcome::Replayed(_)) | None) => ("replayed", ""),
            Err(rejection) => ("rejected", rejection.reason.as_str()),
        };
        self.shared.metrics.tool_call(label.0, label.1);
        outcome
    }

    /// Records how a granted tool call ended.
    pub async fn complete_tool(
        &self,
        caller: Caller<'_>,
        request: &CompleteToolRequest,
    ) -> Result<CompleteToolResponse, Rejection> {
        self.decide_with_store(|engine, now, known| engine.complete_tool(now, caller, request, known))
            .await
    }

    /// Applies a command that may depend on what the store has, and waits for its commit.
    pub(super) async fn decide_with_store<T>(
        &self,
        apply: impl Fn(&mut Engine, UnixNanos, Option<&Known>) -> Applied<T>,
    ) -> Result<T, Rejection> {
        let (mut decided, mut barrier) = self.enter_behind(|engine, now| apply(engine, now, None))?;
        if matches!(decided.reply, Err(Refusal::NeedsRecord(_))) {
            // INVARIANT (T1): what is looked up is relied on in the same turn, so that no other call with the key comes in
            // between. What is needed is asked again: id and key may have been used while this call waited for its turn.
            let mut turn = self.turn().await;
            (decided, barrier) = self.enter_behind(|engine, now| apply(engine, now, None))?;
            let mut looks = 0;
            while let Err(Refusal::NeedsRecord(needs)) = &decided.reply {
                looks += 1;
                if looks > MOST_LOOKS {
                    return Err(refusal::retry(
                        Reason::StoreUnavailable,
                        "the call with this key is being written, try again",
                        Duration::from_millis(100),
                    ));
                }
                let looked_up = self.look_up(turn, needs).await?;
                (decided, barrier) = self.enter_behind(|engine, now| apply(engine, now, Some(&looked_up.known)))?;
                turn = looked_up.turn;
            }
        }
        // An answer without a commit of its own is about what others may be committing still.
        for receipt in barrier {
            committed(receipt).await?;
        }
        Ok(self.finish(decided).await?.reply)
    }
}
