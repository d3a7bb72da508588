//! Reads a body to its end, within its bounds.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Duration, Instant, timeout_at};

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// A deadline passed.
    Timeout,
    /// The connection ended too early.
    Cut,
    /// More than the bound.
    TooLarge,
}

/// The next part of a body; `None` at its end. Waits at most `idle`, and never past `deadline`.
pub(super) async fn next_part(
    body: &mut Incoming,
    idle: Duration,
    deadline: Instant,
) -> Result<Option<Bytes>, BodyError> {
    let until = Instant::now()
        .checked_add(idle)
        .map_or(deadline, |idle| idle.min(deadline));
    loop {
        match timeout_at(until, body.frame()).await {
            Err(_elapsed) => return Err(BodyError::Timeout),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_broken))) => return Err(BodyError::Cut),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                // Trailers and empty parts say nothing.
                Ok(_) | Err(_) => {}
            },
        }
    }
}

/// The whole body, at most `limit` bytes. A body in one part is not copied.
pub(super) async fn collect(
    body: &mut Incoming,
    limit: usize,
    idle: Duration,
    deadline: Instant,
) -> Result<Bytes, BodyError> {
    let Some(first) = next_part(body, idle, deadline).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(BodyError::TooLarge);
    }
    let Some(second) = next_part(body, idle, deadline).await? else {
        return Ok(first);
    };
    let mut all = BytesMut::from(first.as_ref());
    let mut next = Some(second);
    while let Some(part) = next {
        if all.len().saturating_add(part.len()) > limit {
            return Err(BodyError::TooLarge);
        }
        all.extend_from_slice(&part);
        next = next_part(body, idle, deadline).await?;
    }
    Ok(all.freeze())
}
