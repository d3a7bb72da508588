//! Request bodies, bounded in size and time.
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fairlead_engine::{Reason, Rejection};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::refusal;

/// A body that takes longer is given up: it occupies a place of the endpoint.
const MOST_TIME: Duration = Duration::from_secs(60);
/// How much of a body that is too large is read and thrown away, so that a client that sends before it reads gets the
/// answer instead of a reset connection.
const DRAINED_BYTES: usize = 64 << 20;
const DRAINED_TIME: Duration = Duration::from_secs(2);

/// Reads a body of at most `most` bytes.
pub(super) async fn read(mut body: Incoming, most: u64) -> Result<Bytes, Rejection> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let bytes = if body.size_hint().lower() > most {
        Ok(None)
    } else {
        whole(&mut body, limit).await
    };
    match bytes? {
        Some(bytes) => Ok(bytes),
        None => {
            drain(body).await;
            Err(refusal::too_large(refusal::REQUEST_BYTES, most))
        }
    }
}

/// The whole body; `None` when it is larger than the limit.
async fn whole(body: &mut Incoming, limit: usize) -> Result<Option<Bytes>, Rejection> {
    let reading = async {
        let mut all = BytesMut::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limit));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_broken| refusal::of(Reason::InvalidArgument, "the body broke off"))?;
            let Some(data) = frame.data_ref() else { continue };
            if all.len().saturating_add(data.len()) > limit {
                return Ok(None);
            }
            all.extend_from_slice(data);
        }
        Ok(Some(all.freeze()))
    };
    timeout(MOST_TIME, reading)
        .await
        .unwrap_or_else(|_slow| Err(refusal::of(Reason::DeadlineExceeded, "the body did not come in time")))
}

async fn drain(mut body: Incoming) {
    let reading = async {
        let mut read: usize = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if read > DRAINED_BYTES {
                return;
            }
        }
    };
    // Whether it ended or not, the answer follows.
    drop(timeout(DRAINED_TIME, reading).await);
}
