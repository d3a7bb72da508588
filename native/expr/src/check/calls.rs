//! Functions and methods: their signatures, and what is done about them already at load.

use super::macros::comprehension_named;
use super::{Checker, Typed};
use crate::ast::{Expr, ExprKind};
use crate::code::{Condition, Constant, Function, NodeKind, Search};
use crate::error::Refusal;
use crate::pattern::Pattern;
use crate::time;
use crate::types::Type;

/// How a function is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`.
    Function,
    /// `x.f()`.
    Method,
    /// Either.
    Both,
}

/// A function of one operand; `operands` are the kinds that it accepts.
struct Signature {
    name: &'static str,
    style: Style,
    function: Function,
    operands: &'static [&'static str],
    result: Type,
}

const fn signature(
    name: &'static str,
    style: Style,
    function: Function,
    operands: &'static [&'static str],
    result: Type,
) -> Signature {
    Signature {
        name,
        style,
        function,
        operands,
        result,
    }
}

const MOMENT: &[&str] = &["timestamp"];
const MOMENT_OR_SPAN: &[&str] = &["timestamp", "duration"];
const TEXT: &[&str] = &["string"];

static SIGNATURES: [Signature; 18] = [
    signature(
        "size",
        Style::Both,
        Function::Size,
        &["string", "bytes", "list", "map"],
        Type::Int,
    ),
    signature("lowerAscii", Style::Method, Function::LowerAscii, TEXT, Type::String),
    signature("upperAscii", Style::Method, Function::UpperAscii, TEXT, Type::String),
    signature(
        "int",
        Style::Function,
        Function::ToInt,
        &["int", "double", "string", "timestamp"],
        Type::Int,
    ),
    signature(
        "double",
        Style::Function,
        Function::ToDouble,
        &["double", "int", "string"],
        Type::Double,
    ),
    signature(
        "string",
        Style::Function,
        Function::ToText,
        &["string", "bool", "int", "double", "bytes", "timestamp", "duration"],
        Type::String,
    ),
    signature(
        "duration",
        Style::Function,
        Function::ToDuration,
        &["string", "duration"],
        Type::Duration,
    ),
    signature(
        "timestamp",
        Style::Function,
        Function::ToTimestamp,
        &["string", "int", "timestamp"],
        Type::Timestamp,
    ),
    signature("getFullYear", Style::Method, Function::FullYear, MOMENT, Type::Int),
    signature("getMonth", Style::Method, Function::Month, MOMENT, Type::Int),
    signature("getDate", Style::Method, Function::Date, MOMENT, Type::Int),
    signature("getDayOfMonth", Style::Method, Function::DayOfMonth, MOMENT, Type::Int),
    signature("getDayOfWeek", Style::Method, Function::DayOfWeek, MOMENT, Type::Int),
    signature("getDayOfYear", Style::Method, Function::DayOfYear, MOMENT, Type::Int),
    signature("getHours", Style::Method, Function::Hours, MOMENT_OR_SPAN, Type::Int),
    signature(
        "getMinutes",
        Style::Method,
        Function::Minutes,
        MOMENT_OR_SPAN,
        Type::Int,
    ),
    signature(
        "getSeconds",
        Style::Method,
        Function::Seconds,
        MOMENT_OR_SPAN,
        Type::Int,
    ),
    // Of a duration, implementations of CEL disagree about the meaning, so it is left out.
    signature(
        "getMilliseconds",
        Style::Method,
        Function::Milliseconds,
        MOMENT,
        Type::Int,
    ),
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: String,
        receiver: Option<Expr>,
        arguments: Vec<Expr>,
        at: usize,
    ) -> Result<Typed, Refusal> {
        let receiver = match (receiver, comprehension_named(&name)) {
            (Some(range), Some(kind)) => return self.comprehension(kind, &name, range, arguments, at),
            (None, Some(_)) => {
                return Err(Refusal::new(
                    at,
                    format!("{name}() is a method; write list.{name}(x, …)"),
                ));
            }
            (None, None) if name == "has" => return self.has(arguments, at),
            (receiver, _) => receiver,
        };
        if name == "matches" {
            return self.matches(receiver, arguments, at);
        }
        if let Some(search) = search_named(&name) {
            return self.search(search, &name, receiver, arguments, at);
        }
        let Some(signature) = SIGNATURES.iter().find(|signature| signature.name == name) else {
            return Err(unknown(&name, at));
        };
        match (signature.style, &receiver) {
            (Style::Function, Some(_)) => {
                return Err(Refusal::new(at, format!("{name}() is a function; write {name}(x)")));
            }
            (Style::Method, None) => return Err(Refusal::new(at, format!("{name}() is a method; write x.{name}(…)"))),
            _ => {}
        }
        self.typed_call(signature, receiver, arguments, at)
    }

    fn typed_call(
        &mut self,
        signature: &Signature,
        receiver: Option<Expr>,
        arguments: Vec<Expr>,
        at: usize,
    ) -> Result<Typed, Refusal> {
        let name = signature.name;
        let wanted = usize::from(receiver.is_none());
        let given = arguments.len();
        let Some(operand) = receiver.into_iter().chain(arguments).next().filter(|_| given == wanted) else {
            return Err(wrong_count(name, wanted, given, at));
        };
        let operand = self.check(operand)?;
        if !accepts(signature.operands, &operand.ty) {
            let expected = either(signature.operands);
            return Err(Refusal::new(
                at,
                format!("{name}() works on {expected}, not on {}", operand.ty),
            ));
        }
        if let Some(constant) = fold(signature.function, &operand, at)? {
            return Ok(Typed::constant(constant, at, signature.result.clone()));
        }
        let kind = NodeKind::Call {
            function: signature.function,
            operand: operand.boxed(),
        };
        Ok(Typed::new(kind, at, signature.result.clone()))
    }

    /// `text.startsWith(part)`, `text.endsWith(part)`, `text.contains(part)`.
    fn search(
        &mut self,
        search: Search,
        name: &str,
        receiver: Option<Expr>,
        arguments: Vec<Expr>,
        at: usize,
    ) -> Result<Typed, Refusal> {
        let Some(text) = receiver else {
            return Err(Refusal::new(at, format!("{name}() is a method; write x.{name}(…)")));
        };
        let given = arguments.len();
        let Some(part) = arguments.into_iter().next().filter(|_| given == 1) else {
            return Err(wrong_count(name, 1, given, at));
        };
        let (text, part) = (self.check(text)?, self.check(part)?);
        if !text.ty.fits(&Type::String) {
            return Err(Refusal::new(
                at,
                format!("{name}() works on string, not on {}", text.ty),
            ));
        }
        if !part.ty.fits(&Type::String) {
            return Err(Refusal::new(
                at,
                format!("the argument of {name}() is a string, not {}", part.ty),
            ));
        }
        Ok(Typed::condition(
            Condition::Search {
                search,
                text: text.boxed(),
                part: part.boxed(),
            },
            at,
        ))
    }

    /// `text.matches("pattern")` or `matches(text, "pattern")`.
    fn matches(&mut self, receiver: Option<Expr>, arguments: Vec<Expr>, at: usize) -> Result<Typed, Refusal> {
        let wanted = 1 + usize::from(receiver.is_none());
        let given = arguments.len();
        let mut operands = receiver.into_iter().chain(arguments);
        let (Some(operand), Some(pattern), true) = (operands.next(), operands.next(), given == wanted) else {
            return Err(wrong_count("matches", wanted, given, at));
        };
        let operand = self.check(operand)?;
        if !operand.ty.fits(&Type::String) {
            return Err(Refusal::new(
                at,
                format!("matches() works on string, not on {}", operand.ty),
            ));
        }
        let ExprKind::Text(text) = &pattern.kind else {
            let message =
                "the pattern of matches() must be a literal text, so that it is checked when configuration is loaded";
            return Err(Refusal::new(pattern.at, message));
        };
        let pattern = Pattern::compile(text).map_err(|message| Refusal::new(pattern.at, message))?;
        Ok(Typed::condition(
            Condition::Matches {
                text: operand.boxed(),
                pattern,
            },
            at,
        ))
    }
}

fn search_named(name: &str) -> Option<Search> {
    match name {
        "startsWith" => Some(Search::StartsWith),
        "endsWith" => Some(Search::EndsWith),
        "contains" => Some(Search::Contains),
        _ => None,
    }
}

/// Whether one of the named kinds of operand may be `ty`.
fn accepts(operands: &[&str], ty: &Type) -> bool {
    match ty {
        Type::Dyn => true,
        Type::List(_) => operands.contains(&"list"),
        Type::Map(_) => operands.contains(&"map"),
        Type::Object(_) => false,
        other => operands.contains(&other.to_string().as_str()),
    }
}

/// Times given as literals are read when the expression is compiled.
fn fold(function: Function, operand: &Typed, at: usize) -> Result<Option<Constant>, Refusal> {
    let NodeKind::Constant(Constant::Text(text)) = &operand.node.kind else {
        return Ok(None);
    };
    match function {
        Function::ToDuration => match time::parse_duration(text) {
            Some(nanos) => Ok(Some(Constant::Duration(nanos))),
            None => Err(Refusal::new(
                at,
                format!("invalid duration \"{text}\"; write it as \"1h30m\" with units h, m, s, ms, us, ns"),
            )),
        },
        Function::ToTimestamp => match time::parse_timestamp(text) {
            Some(nanos) => Ok(Some(Constant::Timestamp(nanos))),
            None => {
                let message =
                    format!("invalid timestamp \"{text}\"; write it as \"2026-01-31T12:00:00Z\", years 1678 to 2261");
                Err(Refusal::new(at, message))
            }
        },
        _ => Ok(None),
    }
}

fn wrong_count(name: &str, wanted: usize, given: usize, at: usize) -> Refusal {
    let plural = if wanted == 1 { "" } else { "s" };
    let zone = if name.starts_with("get") {
        "; times are always in UTC"
    } else {
        ""
    };
    Refusal::new(
        at,
        format!("{name}() takes {wanted} argument{plural}, but {given} are given{zone}"),
    )
}

fn unknown(name: &str, at: usize) -> Refusal {
    let mut known: Vec<_> = SIGNATURES.iter().map(|signature| signature.name).collect();
    known.extend([
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "has",
        "all",
        "exists",
        "exists_one",
        "filter",
        "map",
    ]);
    known.sort_unstable();
    Refusal::new(at, format!("unknown function `{name}`; known: {}", known.join(", ")))
}

/// `a`, `a or b`, `a, b or c`.
fn either(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
