//! The front's own questions to the control services: unary calls on the same socket, never reachable by agents.
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tonic::Code;
use tonic::Status;
use tonic::body::Body;

use super::{FRONT_KEY, Forwarder};

/// Flag and length in front of a gRPC message.
const PREFIX_BYTES: usize = 5;

impl Forwarder {
    /// Asks the method at `path`; an answer of more than `most_bytes` is an error. The caller bounds the time.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        path: &'static str,
        question: &impl Message,
        most_bytes: usize,
    ) -> Result<A, String> {
        let mut request = Request::new(Body::new(Full::new(frame(question))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
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
        let collected = Limited::new(body, most_bytes)
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
    // A question is two short keys at most.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

fn unframe<A: Message + Default>(bytes: &[u8]) -> Result<A, String> {
    let (prefix, message) = bytes.split_at_checked(PREFIX_BYTES).ok_or("the answer is too short")?;
    if prefix.first() != Some(&0) {
        return Err("the answer is compressed".to_owned());
    }
    A::decode(message).map_err(|error| format!("the answer cannot be decoded: {error}"))
}

/// Fails on a status that is there and not OK; the head of a normal answer has none.
fn succeeded(headers: &HeaderMap) -> Result<(), String> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(format!("{:?}: {}", status.code(), status.message())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use fairlead_wire::internal::Known;

    use super::*;

    #[test]
    fn a_frame_is_what_grpc_says() {
        let known = Known {
            request_found: true,
            ..Known::default()
        };
        let bytes = frame(&known);
        assert_eq!(&bytes[..5], [0, 0, 0, 0, 2]);
        assert_eq!(unframe::<Known>(&bytes).unwrap(), known);
        assert!(unframe::<Known>(&bytes[..3]).is_err());
        assert!(unframe::<Known>(&[1, 0, 0, 0, 0]).is_err());
        // What has no fields is five bytes, and text is a StringValue.
        assert_eq!(&frame(&())[..], [0; 5]);
        assert_eq!(unframe::<String>(&frame(&"page".to_owned())).unwrap(), "page");
    }
}
