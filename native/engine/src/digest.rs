//! Digests of requests: two requests with the same id are the same request when everything but the id is equal.
use prost::Message;
use sha2::{Digest, Sha256};

/// SHA-256 of the deterministic encoding of a request without its `request_id`, which is field 1 of every request and
/// hence a prefix of the encoding.
pub(crate) fn without_request_id(request: &impl Message, request_id: &str) -> [u8; 32] {
    let bytes = request.encode_to_vec();
    let prefix = if request_id.is_empty() {
        0
    } else {
        1 + prost::encoding::encoded_len_varint(request_id.len() as u64) + request_id.len()
    };
    Sha256::digest(bytes.get(prefix..).unwrap_or(&bytes)).into()
}

#[cfg(test)]
mod tests {
    use fairlead_wire::v1::ReleaseRequest;

    use super::*;

    #[test]
    fn only_the_id_does_not_matter() {
        let digest = |id: &str, reason: &str| {
            let request = ReleaseRequest {
                request_id: id.to_owned(),
                invocation: "inv".to_owned(),
                reason: reason.to_owned(),
            };
            without_request_id(&request, id)
        };
        assert_eq!(digest("", "x"), digest("a", "x"));
        assert_eq!(digest("a", "x"), digest(&"b".repeat(200), "x"));
        assert_ne!(digest("a", "x"), digest("a", "y"));
    }
}
