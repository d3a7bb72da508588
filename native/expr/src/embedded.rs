//! Expressions inside of other texts, as in `"Dear ${input.name}"`.

use crate::error::CompileError;
use crate::lexer::{TokenKind, next_token};

/// The length in bytes of the expression at the start of `text`, up to the `}` that closes it, which is not part of it.
/// Braces in texts, comments and map literals are not the end.
///
/// # Errors
/// The text ends before the brace, or has what is no token of the language.
pub fn embedded_length(text: &str) -> Result<usize, CompileError> {
    let mut open = 0_usize;
    let mut at = 0;
    loop {
        let token = next_token(text, at).map_err(|refusal| CompileError::new(refusal, text))?;
        match token.kind {
            TokenKind::End => {
                return Err(CompileError::new(
                    crate::error::Refusal::new(text.len(), "the expression is not closed; end it with `}`"),
                    text,
                ));
            }
            TokenKind::Symbol("{") => open += 1,
            TokenKind::Symbol("}") => match open.checked_sub(1) {
                Some(left) => open = left,
                None => return Ok(token.at),
            },
            _ => {}
        }
        at = token.end;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_is_the_brace_that_closes_it() {
        for (text, expression) in [
            ("input.a} and more", "input.a"),
            ("{\"a\": {\"}\": '}'}}.a} x", "{\"a\": {\"}\": '}'}}.a"),
            ("a // }\n} x", "a // }\n"),
            ("r\"\\}\" + \"\"\"}\"\"\"}", "r\"\\}\" + \"\"\"}\"\"\""),
            ("} x", ""),
        ] {
            assert_eq!(embedded_length(text).map(|end| &text[..end]), Ok(expression), "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        let error = embedded_length("input.a").unwrap_err();
        assert_eq!((error.offset, error.message.contains("end it with `}`")), (7, true));
        assert_eq!(embedded_length("{ }").unwrap_err().offset, 3);
        assert_eq!(embedded_length("a + 'x}").unwrap_err().offset, 4);
    }
}
