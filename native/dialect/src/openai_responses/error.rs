//! The `error` event of a stream.

use serde_json::Value;

use crate::error::ErrorObject;

/// Reads one: its members stand at the top (as documented) or inside `error` (as sent).
pub(crate) fn read_event(data: &[u8]) -> ErrorObject {
    let Ok(mut event) = serde_json::from_slice::<Value>(data) else {
        return ErrorObject::default();
    };
    if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
        return ErrorObject::of(error);
    }
    // Here `type` names the event and not the error.
    if let Some(event) = event.as_object_mut() {
        event.shift_remove("type");
    }
    ErrorObject::of(&event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKind;

    #[test]
    fn both_forms_are_read() {
        for data in [
            r#"{"type":"error","code":"rate_limit_exceeded","message":"x","param":null,"sequence_number":3}"#,
            r#"{"type":"error","sequence_number":2,"error":{"type":"too_many_requests","code":"rate_limit_exceeded","message":"x","param":null}}"#,
        ] {
            let fault = read_event(data.as_bytes()).fault();
            assert_eq!(
                (fault.kind, fault.code.as_str()),
                (FaultKind::RateLimited, "rate_limit_exceeded")
            );
        }
    }
}
