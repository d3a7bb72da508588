//! Source text to tokens.

use crate::error::Refusal;
use crate::literal::read_text;

/// A token, where it starts, and where it ends, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) at: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// The magnitude; a minus before it is a token of its own.
    Int(u64),
    Double(f64),
    Text(String),
    /// A name or a word such as `true` or `in`.
    Name(String),
    Symbol(&'static str),
    End,
}

impl TokenKind {
    /// How messages call it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Int(_) | Self::Double(_) => "a number".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Name(name) => format!("`{name}`"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the expression".to_owned(),
        }
    }
}

/// Longer symbols first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}", ";",
];

/// Splits a source text. The last token is always [`TokenKind::End`].
pub(crate) fn tokenize(source: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let token = next_token(source, at)?;
        let is_end = token.kind == TokenKind::End;
        at = token.end;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

/// The token at or after a byte offset, past spaces and comments.
pub(crate) fn next_token(source: &str, mut at: usize) -> Result<Token, Refusal> {
    loop {
        let rest = source.get(at..).unwrap_or("");
        let Some(first) = rest.chars().next() else {
            return Ok(Token {
                kind: TokenKind::End,
                at,
                end: at,
            });
        };
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = read_token(first, rest, at)?;
        return Ok(Token {
            kind,
            at,
            end: at + length,
        });
    }
}

fn read_token(first: char, rest: &str, at: usize) -> Result<(TokenKind, usize), Refusal> {
    let second = rest.chars().nth(1).unwrap_or(' ');
    if first == '"' || first == '\'' {
        let (text, length) = read_text(rest, at, false)?;
        return Ok((TokenKind::Text(text), length));
    }
    if matches!(first, 'r' | 'R') && matches!(second, '"' | '\'') {
        let (text, length) = read_text(rest.get(1..).unwrap_or(""), at + 1, true)?;
        return Ok((TokenKind::Text(text), length + 1));
    }
    if matches!(first, 'b' | 'B') && matches!(second, '"' | '\'') {
        return Err(Refusal::new(at, "bytes literals are not supported; use a text"));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        return Ok((TokenKind::Name(rest.get(..length).unwrap_or("").to_owned()), length));
    }
    if first.is_ascii_digit() || (first == '.' && second.is_ascii_digit()) {
        return read_number(rest, at);
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        return Ok((TokenKind::Symbol(symbol), symbol.len()));
    }
    let message = match first {
        '=' => "`=` is not an operator; compare with `==`".to_owned(),
        '&' => "`&` is not an operator; write `&&`".to_owned(),
        '|' => "`|` is not an operator; write `||`".to_owned(),
        _ => format!("unexpected character {first:?}; put text in quotes"),
    };
    Err(Refusal::new(at, message))
}

fn read_number(rest: &str, at: usize) -> Result<(TokenKind, usize), Refusal> {
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let length = hex.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let value = u64::from_str_radix(hex.get(..length).unwrap_or(""), 16)
            .map_err(|_| Refusal::new(at, "invalid hexadecimal number; write 0x and up to 16 digits 0-9 a-f"))?;
        return Ok((TokenKind::Int(value), length + 2));
    }
    let digits_from = |from: usize| rest.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let byte = |index: usize| rest.as_bytes().get(index).copied().unwrap_or(0);
    let mut length = digits_from(0);
    let mut is_double = false;
    if byte(length) == b'.' && byte(length + 1).is_ascii_digit() {
        length += 1 + digits_from(length + 1);
        is_double = true;
    }
    if matches!(byte(length), b'e' | b'E') {
        let sign = usize::from(matches!(byte(length + 1), b'+' | b'-'));
        let exponent = digits_from(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_double = true;
        }
    }
    let number = rest.get(..length).unwrap_or("");
    let suffix: String = rest
        .chars()
        .skip(length)
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    match suffix.as_str() {
        "" => {}
        "u" | "U" => {
            return Err(Refusal::new(
                at,
                "unsigned integers are not supported; leave out the `u`",
            ));
        }
        _ => {
            let message =
                format!("invalid number `{number}{suffix}`; for a time span write duration(\"{number}{suffix}\")");
            return Err(Refusal::new(at, message));
        }
    }
    if is_double {
        let value: f64 = number
            .parse()
            .map_err(|_| Refusal::new(at, format!("invalid number `{number}`")))?;
        if value.is_infinite() {
            return Err(Refusal::new(
                at,
                format!("the number `{number}` is out of the range of a double"),
            ));
        }
        return Ok((TokenKind::Double(value), length));
    }
    match number.parse() {
        Ok(value) => Ok((TokenKind::Int(value), length)),
        Err(_) => Err(out_of_range(at, number)),
    }
}

/// The refusal of an integer that does not fit.
pub(crate) fn out_of_range(at: usize, number: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        at,
        format!("the integer {number} is out of the 64-bit range; write a double, such as 1e20"),
    )
}
