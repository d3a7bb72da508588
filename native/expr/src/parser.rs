//! Tokens to a syntax tree, by precedence climbing (a Pratt parser).
//!
//! INVARIANT: the parser's recursion is bounded. Every way to nest goes through [`Parser::nested`], which counts; the
//! operators between two brackets recurse at most once per precedence. The tree's own depth is counted in
//! [`Parser::node`], because `a + b + c` is deep without recursion.

use crate::ast::{Expr, ExprKind, Operator};
use crate::error::Refusal;
use crate::lexer::{Token, TokenKind, out_of_range, tokenize};
use crate::limits;

/// Words that CEL keeps for other languages' sake.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "while",
];

/// Parses a whole source text.
pub(crate) fn parse(source: &str) -> Result<Expr, Refusal> {
    if source.len() > limits::MAX_SOURCE_BYTES {
        let message = format!(
            "the expression has {} bytes; the most is {}",
            source.len(),
            limits::MAX_SOURCE_BYTES
        );
        return Err(Refusal::new(0, message));
    }
    let mut parser = Parser {
        tokens: tokenize(source)?,
        next: 0,
        nesting: 0,
        nodes: 0,
    };
    let expr = parser.expression(Precedence::Conditional)?;
    match parser.peek() {
        TokenKind::End => Ok(expr),
        other => Err(Refusal::new(
            parser.at(),
            format!("unexpected {}; an operator is expected here", other.describe()),
        )),
    }
}

/// How strongly an operator binds, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Conditional,
    Or,
    And,
    Relation,
    Sum,
    Product,
    Unary,
}

/// What follows an operand.
enum Infix {
    Conditional,
    Or,
    And,
    Binary(Operator),
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    nesting: usize,
    nodes: usize,
}

impl Parser {
    fn peek(&self) -> &TokenKind {
        self.tokens.get(self.next).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .map_or(0, |token| token.at)
    }

    fn take(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(s) if *s == symbol);
        if found {
            self.next += 1;
        }
        found
    }

    fn require_symbol(&mut self, symbol: &str) -> Result<(), Refusal> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(Refusal::new(
            self.at(),
            format!("expected `{symbol}` but found {}", self.peek().describe()),
        ))
    }

    /// Makes a node over children of at most `depth`, within the bounds.
    fn node(&mut self, kind: ExprKind, at: usize, depth: usize) -> Result<Expr, Refusal> {
        self.nodes += 1;
        if self.nodes > limits::MAX_NODES {
            let message = format!(
                "the expression has more than {} parts; split it into several rules",
                limits::MAX_NODES
            );
            return Err(Refusal::new(at, message));
        }
        if depth >= limits::MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(Expr {
            kind,
            at,
            depth: depth + 1,
        })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if self.nesting >= limits::MAX_DEPTH {
            return Err(too_deep(self.at()));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// An expression whose operators bind at least as strongly as `least`.
    fn expression(&mut self, least: Precedence) -> Result<Expr, Refusal> {
        let mut left = self.unary()?;
        while let Some((precedence, infix)) = self.infix() {
            if precedence < least {
                break;
            }
            let at = self.at();
            self.next += 1;
            left = match infix {
                Infix::Conditional => self.conditional(left, at)?,
                Infix::Or => self.junction(left, at, Precedence::And, ExprKind::Or, |kind| match kind {
                    ExprKind::Or(operands) => Ok(operands),
                    other => Err(other),
                })?,
                Infix::And => self.junction(left, at, Precedence::Relation, ExprKind::And, |kind| match kind {
                    ExprKind::And(operands) => Ok(operands),
                    other => Err(other),
                })?,
                Infix::Binary(operator) => {
                    // One stronger on the right makes the operators associate to the left.
                    let right = self.expression(match precedence {
                        Precedence::Relation => Precedence::Sum,
                        Precedence::Sum => Precedence::Product,
                        _ => Precedence::Unary,
                    })?;
                    let depth = left.depth.max(right.depth);
                    let kind = ExprKind::Binary {
                        operator,
                        left: Box::new(left),
                        right: Box::new(right),
                    };
                    self.node(kind, at, depth)?
                }
            };
        }
        Ok(left)
    }

    fn infix(&self) -> Option<(Precedence, Infix)> {
        let binary = |precedence, operator| Some((precedence, Infix::Binary(operator)));
        match self.peek() {
            TokenKind::Name(name) if name == "in" => binary(Precedence::Relation, Operator::In),
            TokenKind::Symbol(symbol) => match *symbol {
                "?" => Some((Precedence::Conditional, Infix::Conditional)),
                "||" => Some((Precedence::Or, Infix::Or)),
                "&&" => Some((Precedence::And, Infix::And)),
                "==" => binary(Precedence::Relation, Operator::Equal),
                "!=" => binary(Precedence::Relation, Operator::NotEqual),
                "<" => binary(Precedence::Relation, Operator::Less),
                "<=" => binary(Precedence::Relation, Operator::LessEqual),
                ">" => binary(Precedence::Relation, Operator::Greater),
                ">=" => binary(Precedence::Relation, Operator::GreaterEqual),
                "+" => binary(Precedence::Sum, Operator::Add),
                "-" => binary(Precedence::Sum, Operator::Subtract),
                "*" => binary(Precedence::Product, Operator::Multiply),
                "/" => binary(Precedence::Product, Operator::Divide),
                "%" => binary(Precedence::Product, Operator::Remainder),
                _ => None,
            },
            _ => None,
        }
    }

    fn conditional(&mut self, condition: Expr, at: usize) -> Result<Expr, Refusal> {
        let then = self.nested(|parser| parser.expression(Precedence::Or))?;
        self.require_symbol(":")?;
        let otherwise = self.nested(|parser| parser.expression(Precedence::Conditional))?;
        let depth = condition.depth.max(then.depth).max(otherwise.depth);
        let kind = ExprKind::Conditional {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        self.node(kind, at, depth)
    }

    /// The right operand of `&&` or `||`, added to the flat list of the left one.
    fn junction(
        &mut self,
        left: Expr,
        at: usize,
        right: Precedence,
        make: fn(Vec<Expr>) -> ExprKind,
        operands_of: fn(ExprKind) -> Result<Vec<Expr>, ExprKind>,
    ) -> Result<Expr, Refusal> {
        let right = self.expression(right)?;
        match operands_of(left.kind) {
            Ok(mut operands) => {
                if right.depth >= limits::MAX_DEPTH {
                    return Err(too_deep(at));
                }
                let depth = left.depth.max(right.depth + 1);
                operands.push(right);
                Ok(Expr {
                    kind: make(operands),
                    at: left.at,
                    depth,
                })
            }
            Err(kind) => {
                let left = Expr { kind, ..left };
                let depth = left.depth.max(right.depth);
                self.node(make(vec![left, right]), at, depth)
            }
        }
    }

    fn unary(&mut self) -> Result<Expr, Refusal> {
        let at = self.at();
        if self.take_symbol("!") {
            let of = self.nested(Self::unary)?;
            let depth = of.depth;
            return self.node(ExprKind::Not(Box::new(of)), at, depth);
        }
        if self.take_symbol("-") {
            // A minus belongs to the number after it, because the lowest integer has no positive counterpart.
            if let TokenKind::Int(magnitude) = *self.peek() {
                self.next += 1;
                let value = 0_i64
                    .checked_sub_unsigned(magnitude)
                    .ok_or_else(|| out_of_range(at, format!("-{magnitude}")))?;
                let literal = self.node(ExprKind::Int(value), at, 0)?;
                return self.postfix(literal);
            }
            if let TokenKind::Double(magnitude) = *self.peek() {
                self.next += 1;
                let literal = self.node(ExprKind::Double(-magnitude), at, 0)?;
                return self.postfix(literal);
            }
            let of = self.nested(Self::unary)?;
            let depth = of.depth;
            return self.node(ExprKind::Negate(Box::new(of)), at, depth);
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// Fields, methods and indexes after an operand.
    fn postfix(&mut self, mut of: Expr) -> Result<Expr, Refusal> {
        loop {
            if self.take_symbol(".") {
                let at = self.at();
                let name = match self.take() {
                    TokenKind::Name(name) if !is_word(&name) => name,
                    other => {
                        let message = format!(
                            "expected a field or method name after `.` but found {}; write other keys as [\"key\"]",
                            other.describe()
                        );
                        return Err(Refusal::new(at, message));
                    }
                };
                of = if self.take_symbol("(") {
                    let arguments = self.nested(|parser| parser.items(")"))?;
                    let depth = deepest(&arguments).max(of.depth);
                    self.node(
                        ExprKind::Call {
                            name,
                            receiver: Some(Box::new(of)),
                            arguments,
                        },
                        at,
                        depth,
                    )?
                } else {
                    let depth = of.depth;
                    self.node(
                        ExprKind::Select {
                            of: Box::new(of),
                            field: name,
                        },
                        at,
                        depth,
                    )?
                };
            } else if matches!(self.peek(), TokenKind::Symbol("[")) {
                let at = self.at();
                self.next += 1;
                let index = self.nested(|parser| parser.expression(Precedence::Conditional))?;
                self.require_symbol("]")?;
                let depth = of.depth.max(index.depth);
                of = self.node(
                    ExprKind::Index {
                        of: Box::new(of),
                        index: Box::new(index),
                    },
                    at,
                    depth,
                )?;
            } else {
                return Ok(of);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Refusal> {
        let at = self.at();
        match self.take() {
            TokenKind::Int(magnitude) => {
                let value = i64::try_from(magnitude).map_err(|_| out_of_range(at, magnitude))?;
                self.node(ExprKind::Int(value), at, 0)
            }
            TokenKind::Double(value) => self.node(ExprKind::Double(value), at, 0),
            TokenKind::Text(text) => self.node(ExprKind::Text(text), at, 0),
            TokenKind::Name(name) => self.name(name, at),
            TokenKind::Symbol("(") => {
                let inner = self.nested(|parser| parser.expression(Precedence::Conditional))?;
                self.require_symbol(")")?;
                Ok(inner)
            }
            TokenKind::Symbol("[") => {
                let items = self.nested(|parser| parser.items("]"))?;
                let depth = deepest(&items);
                self.node(ExprKind::List(items), at, depth)
            }
            TokenKind::Symbol("{") => {
                let entries = self.nested(Self::entries)?;
                let depth = entries
                    .iter()
                    .map(|(key, value)| key.depth.max(value.depth))
                    .max()
                    .unwrap_or(0);
                self.node(ExprKind::Map(entries), at, depth)
            }
            TokenKind::End if self.tokens.len() == 1 => Err(Refusal::new(at, "the expression is empty")),
            other => Err(Refusal::new(
                at,
                format!("expected a value but found {}", other.describe()),
            )),
        }
    }

    fn name(&mut self, name: String, at: usize) -> Result<Expr, Refusal> {
        match name.as_str() {
            "true" => return self.node(ExprKind::Bool(true), at, 0),
            "false" => return self.node(ExprKind::Bool(false), at, 0),
            "null" => return self.node(ExprKind::Null, at, 0),
            "in" => return Err(Refusal::new(at, "expected a value but found `in`")),
            word if RESERVED.contains(&word) => {
                return Err(Refusal::new(
                    at,
                    format!("`{word}` is a reserved word; use another name"),
                ));
            }
            _ => {}
        }
        if self.take_symbol("(") {
            let arguments = self.nested(|parser| parser.items(")"))?;
            let depth = deepest(&arguments);
            return self.node(
                ExprKind::Call {
                    name,
                    receiver: None,
                    arguments,
                },
                at,
                depth,
            );
        }
        self.node(ExprKind::Name(name), at, 0)
    }

    /// Comma-separated expressions up to `close`; a comma may follow the last one.
    fn items(&mut self, close: &str) -> Result<Vec<Expr>, Refusal> {
        let mut items = Vec::new();
        while !self.take_symbol(close) {
            items.push(self.expression(Precedence::Conditional)?);
            if !self.take_symbol(",") {
                self.require_symbol(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, Refusal> {
        let mut entries = Vec::new();
        while !self.take_symbol("}") {
            let key = self.expression(Precedence::Conditional)?;
            self.require_symbol(":")?;
            entries.push((key, self.expression(Precedence::Conditional)?));
            if !self.take_symbol(",") {
                self.require_symbol("}")?;
                break;
            }
        }
        Ok(entries)
    }
}

/// Words that are values or operators, and so cannot be a field's name.
fn is_word(name: &str) -> bool {
    matches!(name, "true" | "false" | "null" | "in")
}

fn deepest(exprs: &[Expr]) -> usize {
    exprs.iter().map(|expr| expr.depth).max().unwrap_or(0)
}

fn too_deep(at: usize) -> Refusal {
    Refusal::new(
        at,
        format!(
            "the expression is nested deeper than {} levels; split it into several rules",
            limits::MAX_DEPTH
        ),
    )
}
