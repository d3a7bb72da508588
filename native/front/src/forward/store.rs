//! The core's own question to the control services: `StoreService/Read`.
use std::time::Duration;

use fairlead_engine::{Reason, Rejection};
use fairlead_wire::internal::{Known, NeedsRecord};
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::Forwarder;
use crate::core::StoreReader;
use crate::refusal;

const PATH: &str = "http://localhost/fairlead.internal.v1.StoreService/Read";
/// One read of two or three values; more means that something is wrong there.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// A kept answer is bounded by `limits.kept_answer_bytes`; this bounds what a broken peer can send.
const MOST_BYTES: usize = 64 << 20;

impl StoreReader for Forwarder {
    fn read<'a>(&'a self, needs: &'a NeedsRecord) -> BoxFuture<'a, Result<Known, Rejection>> {
        Box::pin(async move {
            match timeout(READ_TIMEOUT, self.ask(PATH, needs, MOST_BYTES)).await {
                Ok(Ok(known)) => Ok(known),
                Ok(Err(error)) => Err(unavailable(&error)),
                Err(_) => Err(unavailable("no answer in time")),
            }
        })
    }
}

fn unavailable(error: &str) -> Rejection {
    tracing::warn!(error, "an earlier request cannot be looked up in the store");
    refusal::retry(
        Reason::StoreUnavailable,
        "an earlier request with this id cannot be looked up, try again",
        Duration::from_millis(100),
    )
}
