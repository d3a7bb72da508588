//! What the control services count, for a scrape.
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Forwarder;

const PATH: &str = "http://localhost/fairlead.internal.v1.MetricsService/Read";
/// A scrape does not wait longer: it has enough to tell without.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
const MOST_BYTES: usize = 1 << 20;
/// Anybody may scrape, and each question costs the interpreter something: they are answered from the last one for so long.
const KEPT: Duration = Duration::from_secs(1);

/// The last page, and until when it is good.
#[derive(Default)]
pub struct Counted {
    last: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Counted {
    /// The page in Prometheus' text format, at most a second old; empty when it is not to be had now.
    pub async fn page(&self, forwarder: &Forwarder) -> Arc<str> {
        let mut last = self.last.lock().await;
        if let Some((until, page)) = last.as_ref()
            && Instant::now() < *until
        {
            return Arc::clone(page);
        }
        let page: Arc<str> = match timeout(READ_TIMEOUT, forwarder.ask::<String>(PATH, &(), MOST_BYTES)).await {
            Ok(Ok(text)) => text.into(),
            Ok(Err(error)) => missing(&error),
            Err(_) => missing("no answer in time"),
        };
        *last = Some((Instant::now() + KEPT, Arc::clone(&page)));
        page
    }
}

/// Before the control services are up and after they are gone this is as it should be.
fn missing(error: &str) -> Arc<str> {
    tracing::debug!(error, "what the control services count is not on the page");
    Arc::from("")
}
