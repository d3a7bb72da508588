//! Dialects, as the API names them.
use fairlead_dialect::Dialect;
use fairlead_wire::v1;

/// `None` for unspecified.
pub(super) fn of_wire(dialect: v1::Dialect) -> Option<Dialect> {
    match dialect {
        v1::Dialect::Unspecified => None,
        v1::Dialect::OpenaiChat => Some(Dialect::OpenAiChat),
        v1::Dialect::OpenaiResponses => Some(Dialect::OpenAiResponses),
        v1::Dialect::AnthropicMessages => Some(Dialect::AnthropicMessages),
    }
}
