//! Errors: a source text that does not compile, and an evaluation that fails.

use std::fmt;

/// Why a source text is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// What is wrong and what to do about it.
    pub message: String,
    /// Bytes from the start of the source.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl CompileError {
    pub(crate) fn new(refusal: Refusal, source: &str) -> Self {
        let (line, column) = position(source, refusal.at);
        Self {
            message: refusal.message,
            offset: refusal.at,
            line,
            column,
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for CompileError {}

/// A [`CompileError`] before its offset is turned into line and column.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) at: usize,
}

impl Refusal {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at,
        }
    }
}

/// Why an evaluation failed, and where in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// What failed.
    pub kind: EvalErrorKind,
    /// Bytes from the start of the source.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl EvalError {
    pub(crate) fn new(fault: Fault, source: &str) -> Self {
        let offset = fault.at as usize;
        let (line, column) = position(source, offset);
        Self {
            kind: fault.kind,
            offset,
            line,
            column,
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl std::error::Error for EvalError {}

/// What failed in an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// The facts have no value for this variable.
    NoSuchVariable(String),
    /// The map has no such key, or the field is not set.
    NoSuchKey(String),
    /// The list has no such position.
    IndexOutOfRange {
        /// The position asked for.
        index: i64,
        /// The number of elements.
        len: usize,
    },
    /// Integer division or remainder by zero.
    DivisionByZero,
    /// An integer, timestamp or duration left its range.
    Overflow,
    /// A value of `dyn` type is not what the place needs.
    TypeMismatch(String),
    /// A conversion of a text or number failed.
    InvalidConversion {
        /// What it is not.
        what: &'static str,
        /// How it starts; `None` when that cannot be shown.
        start: Option<String>,
    },
    /// A map literal has a key twice.
    DuplicateKey(String),
    /// The evaluation would take more steps than the program may.
    CostExceeded,
}

impl EvalErrorKind {
    /// As the text of the error, without anything of the facts: keys are named when the source names them. For messages
    /// that are kept, or that others read than those whose facts they are.
    #[must_use]
    pub fn without_content(&self, source: &str) -> String {
        match self {
            Self::NoSuchKey(key) if !source.contains(key.as_str()) => {
                "no such key; test it first with has() or `in`".to_owned()
            }
            Self::DuplicateKey(key) if !source.contains(key.as_str()) => "a key is given twice in a map".to_owned(),
            Self::InvalidConversion { what, .. } => (*what).to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for EvalErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchVariable(name) => write!(f, "the variable `{name}` has no value here"),
            Self::NoSuchKey(key) => write!(f, "no such key `{key}`; test it first with has() or `in`"),
            Self::IndexOutOfRange { index, len } => {
                write!(
                    f,
                    "index {index} is out of range for a list of {len}; test its size() first"
                )
            }
            Self::DivisionByZero => f.write_str("division by zero; test the divisor first"),
            Self::Overflow => f.write_str("the result is out of the 64-bit range"),
            Self::TypeMismatch(what) => f.write_str(what),
            Self::InvalidConversion { what, start: None } => f.write_str(what),
            Self::InvalidConversion {
                what,
                start: Some(start),
            } => write!(f, "{what}: {start:?}"),
            Self::DuplicateKey(key) => write!(f, "the key `{key}` is given twice in a map"),
            Self::CostExceeded => f.write_str("the evaluation takes too many steps; the facts are too large for it"),
        }
    }
}

/// An [`EvalError`] before its offset is turned into line and column.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: EvalErrorKind,
    pub(crate) at: u32,
}

impl Fault {
    pub(crate) fn new(at: u32, kind: EvalErrorKind) -> Self {
        Self { kind, at }
    }

    #[cold]
    pub(crate) fn mismatch(at: u32, message: impl Into<String>) -> Self {
        Self::new(at, EvalErrorKind::TypeMismatch(message.into()))
    }

    /// Whether `&&`, `||`, `all` and `exists` must not hide this: the evaluation is over.
    pub(crate) fn is_final(&self) -> bool {
        self.kind == EvalErrorKind::CostExceeded
    }
}

/// Line and column of a byte offset, both from 1.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let mut line = 1;
    let mut column = 1;
    for (at, c) in source.char_indices() {
        if at >= offset {
            break;
        }
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}
