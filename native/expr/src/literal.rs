//! The contents of quoted text: escapes, raw text, triple quotes.

use crate::error::Refusal;

/// Reads a text literal that starts with its quote at the start of `rest`; `at` is where that is in the source. Gives the
/// text and the number of bytes read, quotes included. A `raw` literal has no escapes.
pub(crate) fn read_text(rest: &str, at: usize, raw: bool) -> Result<(String, usize), Refusal> {
    let quote = match rest.get(..1) {
        Some("'") if rest.starts_with("'''") => "'''",
        Some("'") => "'",
        _ if rest.starts_with("\"\"\"") => "\"\"\"",
        _ => "\"",
    };
    let unclosed = || Refusal::new(at, format!("this text is not closed; end it with {quote}"));
    let mut text = String::new();
    let mut read = quote.len();
    loop {
        let left = rest.get(read..).unwrap_or("");
        if left.starts_with(quote) {
            return Ok((text, read + quote.len()));
        }
        let mut chars = left.chars();
        match chars.next() {
            None => return Err(unclosed()),
            Some('\n' | '\r') if quote.len() == 1 => return Err(unclosed()),
            Some('\\') if !raw => {
                let (c, length) = read_escape(chars.as_str(), at + read)?;
                text.push(c);
                read += 1 + length;
            }
            Some(c) => {
                text.push(c);
                read += c.len_utf8();
            }
        }
    }
}

/// Reads an escape after its backslash, which is at `at`. Gives the character and the number of bytes read.
fn read_escape(rest: &str, at: usize) -> Result<(char, usize), Refusal> {
    let first = rest
        .chars()
        .next()
        .ok_or_else(|| Refusal::new(at, "this text is not closed"))?;
    let simple = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '?' | '"' | '\'' | '`' => first,
        'x' | 'X' => return read_code(rest, at, 1, 2, 16),
        'u' => return read_code(rest, at, 1, 4, 16),
        'U' => return read_code(rest, at, 1, 8, 16),
        '0'..='3' => return read_code(rest, at, 0, 3, 8),
        _ => {
            let message = format!("unknown escape `\\{first}`; write \\\\ for a backslash, or a raw text r\"…\"");
            return Err(Refusal::new(at, message));
        }
    };
    Ok((simple, 1))
}

/// Reads a code point of exactly `count` digits after `skip` bytes.
fn read_code(rest: &str, at: usize, skip: usize, count: usize, radix: u32) -> Result<(char, usize), Refusal> {
    let code = rest
        .get(skip..skip + count)
        .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .and_then(char::from_u32);
    match code {
        Some(c) => Ok((c, skip + count)),
        None => {
            let base = if radix == 8 { "octal" } else { "hexadecimal" };
            Err(Refusal::new(
                at,
                format!("this escape needs {count} {base} digits that name a character"),
            ))
        }
    }
}
