//! Expressions of configuration: a subset of CEL (<https://cel.dev>), checked and bounded when configuration is loaded,
//! evaluated over borrowed facts on every call.
//!
//! ```
//! use fairlead_expr::{Map, Program, Schema, Type, Value, Variables};
//! use std::collections::BTreeMap;
//!
//! struct Facts { labels: BTreeMap<String, String> }
//! impl Variables for Facts {
//!     fn variable(&self, name: &str) -> Option<Value<'_>> {
//!         (name == "labels").then(|| Value::Map(Map::strings(&self.labels)))
//!     }
//! }
//!
//! let schema = Schema::new().with("labels", Type::map(Type::String));
//! let program = Program::compile(r#"labels.tier == "free""#, &schema, Type::Bool)?;
//! let facts = Facts { labels: BTreeMap::from([("tier".to_owned(), "free".to_owned())]) };
//! assert_eq!(program.evaluate_bool(&facts), Ok(true));
//! # Ok::<(), fairlead_expr::CompileError>(())
//! ```
//!
//! The way of a source text: `lexer` → `parser` (syntax tree, bounded in size and depth) → `check` (types; gives the
//! compiled tree) → `cost` (static bound) → [`Program`], which `eval` walks with a step counter. The language is described
//! for users in `docs/expressions.md`; the bounds are in [`limits`].
//!
//! There is no clock, no randomness and no I/O here: the same program over the same facts gives the same answer.

mod ast;
mod check;
mod code;
mod compare;
mod cost;
mod embedded;
mod error;
mod eval;
mod facts;
mod lexer;
pub mod limits;
mod literal;
mod meter;
mod parser;
mod pattern;
mod program;
mod references;
mod time;
mod types;
mod value;

pub use embedded::embedded_length;
pub use error::{CompileError, EvalError, EvalErrorKind};
pub use facts::{Fields, ForeignList, ForeignMap, List, ListView, Map, MapView, Variables};
pub use program::Program;
pub use references::{PathStep, Reference};
pub use types::{ObjectType, Schema, Type};
pub use value::Value;
