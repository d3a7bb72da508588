//! `ModelService`, and the governed call that it shares with the HTTP dialects.
//!
//! ```text
//! request ─► admit ─► execute (attempts at providers) ─► settle ─► answer
//!                │                    │                     └ the last byte leaves after its commit
//!                │                    └ the caller goes away: the provider's connection is closed
//!                └ from here on a Hold: whatever happens, it is settled or released
//! ```
//!
//! INVARIANT (M1): an admission that was granted ends in a settlement or release, also when the client, the connection or
//! the handler goes away. The whole call up to its answer runs in a task of its own that a drain waits for; a stream
//! carries its [`hold::Hold`] with it.
//!
//! | module | idea |
//! |---|---|
//! | `request` | what is asked: the dialect's facts and the context, as an admission |
//! | `providers` | the provider clients and route rules of the configuration in force |
//! | `call` | one governed call |
//! | `hold` | the reservation, until it is given back |
//! | `live` | a stream that is being passed on |
//! | `cache` | answers that are given again for the same call |
//! | `kept` | answers for repeated request ids |
//! | `attempt` | attempts, in the API's words; health |
//! | `dialect` | dialects, as the API names them |
//! | `screening` | rules on what the model says, as the attempts ask for them |
//! | `service` | gRPC |
//! | `step` | model steps of workflows |
mod attempt;
mod cache;
mod call;
mod dialect;
mod hold;
mod kept;
mod live;
mod providers;
mod request;
mod screening;
mod service;
pub(crate) mod step;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use self::cache::ResponseCache;
pub(crate) use self::cache::wants_new_answer;
pub(crate) use self::call::{Answer, Head, Refused, Whole, start};
pub(crate) use self::live::{Live, Part};
use self::providers::Providers;
pub(crate) use self::request::{ModelCall, context_violations, invalid_body, labels};
use crate::front::Front;

/// The service, and what all governed calls share.
pub struct Model {
    front: Weak<Front>,
    providers: Providers,
    draws: Draws,
    cache: Arc<ResponseCache>,
}

impl Model {
    /// Knows no provider yet: the clients are made for the configuration of the first call.
    pub fn new(front: Weak<Front>) -> Self {
        // Reading the system's certificates takes milliseconds that no call should wait for.
        if let Err(error) = std::thread::Builder::new()
            .name("fairlead-tls".to_owned())
            .spawn(fairlead_upstream::warm_up)
        {
            tracing::debug!(%error, "certificates will be read by the first call");
        }
        Self {
            front,
            providers: Providers::default(),
            draws: Draws::default(),
            // The configuration of the first call bounds it.
            cache: Arc::new(ResponseCache::new(0)),
        }
    }
}

/// Keys of weighted draws for calls without a request id: different for every call and every process.
struct Draws {
    process: u64,
    calls: AtomicU64,
}

impl Default for Draws {
    fn default() -> Self {
        Self {
            process: RandomState::new().build_hasher().finish(),
            calls: AtomicU64::new(0),
        }
    }
}

impl Draws {
    fn next(&self) -> String {
        format!("{:016x}-{}", self.process, self.calls.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ() {
        let draws = Draws::default();
        assert_ne!(draws.next(), draws.next());
        assert_ne!(draws.next(), Draws::default().next());
    }
}
