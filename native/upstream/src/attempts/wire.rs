//! Which of its dialects a target is spoken to in.

use fairlead_dialect::{Dialect, Turn, Wire};

use super::{Call, Target};
use crate::client::ProviderSettings;

/// The exchange with a target: in the client's dialect when the provider has it, else in the first one that can say the
/// whole request, else, where fields may be left out, in the first one that lacks nothing else. The decision has chosen
/// by the same rule, so a target of its plan has one.
///
/// # Errors
/// The field that is in the way in the preferred dialect.
pub(super) fn turn_with(call: &Call, target: &Target, provider: &ProviderSettings) -> Result<Turn, String> {
    let turn = |dialect: Dialect, drop_untranslatable: bool| {
        call.request.turn(&Wire {
            dialect,
            vendor: provider.kind,
            upstream_model: &target.upstream_model,
            max_output_tokens: target.max_output_tokens,
            drop_untranslatable,
        })
    };
    let own = call.request.dialect();
    let dialects = match provider.dialects.as_slice() {
        [] => &[Dialect::OpenAiChat],
        dialects if dialects.contains(&own) => &[own],
        dialects => dialects,
    };
    let mut in_the_way = None;
    for leave_out in [false, true] {
        if leave_out && !call.drop_untranslatable {
            break;
        }
        for dialect in dialects {
            match turn(*dialect, leave_out) {
                Ok(turn) => return Ok(turn),
                Err(fields) => in_the_way = in_the_way.or(fields.into_iter().next()),
            }
        }
    }
    Err(in_the_way.map_or_else(String::new, |unsaid| unsaid.field))
}
