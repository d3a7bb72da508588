//! The core's own question to the control services: `StoreService/Read`, on the same socket, never reachable by agents.
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fairlead_engine::{Reason, Rejection};
use fairlead_wire::internal::{Known, NeedsRecord};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tokio::time::timeout;
use tonic::Code;
use tonic::Status;
use tonic::body::Body;

use super::{FRONT_KEY, Forwarder};
use crate::core::StoreReader;
use crate::refusal;

const PATH: &str = "http://localhost/fairlead.internal.v1.StoreService/Read";
/// One read of two or three values; more means that something is wrong there.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// A kept answer is bounded by `limits.kept_answer_bytes`; this bounds what a broken peer can send.
const MOST_BYTES: usize = 64 << 20;
/// Flag and length in front of a gRPC message.
const PREFIX_BYTES: usize = 5;

impl StoreReader for Forwarder {
    fn read<'a>(&'a self, needs: &'a NeedsRecord) -> BoxFuture<'a, Result<Known, Rejection>> {
        Box::pin(async move {
            match timeout(READ_TIMEOUT, self.ask(needs)).await {
                Ok(Ok(known)) => Ok(known),
                Ok(Err(error)) => Err(unavailable(&error)),
                Err(_) => Err(unavailable("no answer in time")),
            }
        })
    }
}

impl Forwarder {
    async fn ask(&self, needs: &NeedsRecord) -> Result<Known, String> {
        let mut request = Request::new(Body::new(Full::new(frame(needs))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(PATH);
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(FRONT_KEY, self.key.clone());
        let response = self
            .unary
            .send(request)
            .await
            .map_err(|_| "the control services cannot be reached")?;
        let (parts, body) = response.into_parts();
        succeeded(&parts.headers)?;
        let collected = Limited::new(body, MOST_BYTES)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        collected.trailers().map_or(Ok(()), succeeded)?;
        unframe(&collected.to_bytes())
    }
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    // A question is two short keys.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

fn unframe(bytes: &[u8]) -> Result<Known, String> {
    let (prefix, message) = bytes.split_at_checked(PREFIX_BYTES).ok_or("the answer is too short")?;
    if prefix.first() != Some(&0) {
        return Err("the answer is compressed".to_owned());
    }
    Known::decode(message).map_err(|error| format!("the answer cannot be decoded: {error}"))
}

/// Fails on a status that is there and not OK; the head of a normal answer has none.
fn succeeded(headers: &HeaderMap) -> Result<(), String> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(format!("{:?}: {}", status.code(), status.message())),
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_frame_is_what_grpc_says() {
        let known = Known {
            request_found: true,
            ..Known::default()
        };
        let bytes = frame(&known);
        assert_eq!(&bytes[..5], [0, 0, 0, 0, 2]);
        assert_eq!(unframe(&bytes).unwrap(), known);
        assert!(unframe(&bytes[..3]).is_err());
        assert!(unframe(&[1, 0, 0, 0, 0]).is_err());
    }
}
