//! The trace that a call belongs to: W3C Trace Context, level 1. It is kept with the records of what the call leads to; a
//! header that is not one is as good as none.
use std::sync::Arc;

use http::HeaderMap;

/// `00-` trace id, parent id and flags, with hyphens between them.
const LENGTH: usize = 55;

/// The trace context of a request.
pub fn of(headers: &HeaderMap) -> Option<Arc<str>> {
    // Instrumentation adds the span of the call itself behind what the program has said.
    let value = headers.get_all("traceparent").iter().next_back()?;
    value.to_str().ok().and_then(checked).map(Arc::from)
}

/// A trace context, without what later versions may add to it.
pub fn checked(value: &str) -> Option<&str> {
    let known = value.get(..LENGTH)?;
    let mut parts = known.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let ends = match version {
        "ff" => false,
        "00" => value.len() == LENGTH,
        _ => value.len() == LENGTH || value.as_bytes().get(LENGTH) == Some(&b'-'),
    };
    (ends && is_hex(version, 2) && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)).then_some(known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_is_taken_and_anything_else_is_none() {
        assert_eq!(checked(GOOD), Some(GOOD));
        let later = format!("cc{}-what-comes-later", &GOOD[2..]);
        assert_eq!(checked(&later), Some(&later[..LENGTH]));
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace('-', "_"),
            &format!("cc{}more", &GOOD[2..]),
            "ä0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(checked(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_of_several_counts() {
        let mut headers = HeaderMap::new();
        assert!(of(&headers).is_none());
        for flags in ["00", "01"] {
            let value = format!("{}{flags}", &GOOD[..53]);
            headers.append("traceparent", value.parse().unwrap());
            assert_eq!(of(&headers).as_deref(), Some(value.as_str()));
        }
    }
}
