//! A compiled expression.

use std::fmt;

use crate::code::Node;
use crate::error::{CompileError, EvalError, Fault, Refusal};
use crate::eval::{Frame, eval};
use crate::facts::Variables;
use crate::types::{Schema, Type};
use crate::value::Value;
use crate::{check, cost, limits, parser};

/// A compiled expression: immutable, shareable between threads.
pub struct Program {
    source: Box<str>,
    root: Node,
    result: Type,
    expected: Type,
    cost: u64,
    most_steps: u64,
}

impl Program {
    /// Compiles `source`, which may use the variables of `schema` and must give a value that can be used as `expected`.
    ///
    /// # Errors
    /// Syntax and type errors, and expressions beyond the bounds of [`limits`].
    pub fn compile(source: &str, schema: &Schema, expected: Type) -> Result<Self, CompileError> {
        Self::compile_bounded(source, schema, expected, limits::MAX_STEPS)
    }

    /// As [`Program::compile`], for an expression that may take another number of steps than [`limits::MAX_STEPS`], such as
    /// one that is not evaluated on every call.
    ///
    /// # Errors
    /// As [`Program::compile`].
    pub fn compile_bounded(
        source: &str,
        schema: &Schema,
        expected: Type,
        most_steps: u64,
    ) -> Result<Self, CompileError> {
        Self::compiled(source, schema, expected, most_steps).map_err(|refusal| CompileError::new(refusal, source))
    }

    fn compiled(source: &str, schema: &Schema, expected: Type, most_steps: u64) -> Result<Self, Refusal> {
        let (root, result) = check::check(parser::parse(source)?, schema, &expected)?;
        let cost = cost::steps(&root);
        if cost > most_steps {
            let message = format!(
                "the expression may take {cost} steps; the most is {most_steps}; do less for each element of a list"
            );
            return Err(Refusal::new(root.at as usize, message));
        }
        Ok(Self {
            source: source.into(),
            root,
            result,
            expected,
            cost,
            most_steps,
        })
    }

    /// Evaluates the expression over `variables`. The result borrows from both.
    ///
    /// # Errors
    /// See [`EvalErrorKind`](crate::EvalErrorKind).
    pub fn evaluate<'a>(&'a self, variables: &'a dyn Variables) -> Result<Value<'a>, EvalError> {
        self.evaluate_metered(variables).0
    }

    /// As [`Program::evaluate`], for conditions.
    ///
    /// # Errors
    /// Also when the result is not a bool, which only programs that were not compiled for [`Type::Bool`] can give.
    pub fn evaluate_bool(&self, variables: &dyn Variables) -> Result<bool, EvalError> {
        match self.evaluate(variables)? {
            Value::Bool(value) => Ok(value),
            other => Err(EvalError::new(self.wrong_result(&other, "bool"), &self.source)),
        }
    }

    /// As [`Program::evaluate`], and the steps that it took, at most as many as the program may.
    pub fn evaluate_metered<'a>(&'a self, variables: &'a dyn Variables) -> (Result<Value<'a>, EvalError>, u64) {
        let mut frame = Frame::new(variables, self.most_steps);
        let result = eval(&self.root, &mut frame).and_then(|value| {
            // Only a `dyn` result can still be something else.
            if value.is(&self.expected) {
                Ok(value)
            } else {
                Err(self.wrong_result(&value, &self.expected.to_string()))
            }
        });
        (
            result.map_err(|fault| EvalError::new(fault, &self.source)),
            frame.meter.used(),
        )
    }

    fn wrong_result(&self, value: &Value<'_>, expected: &str) -> Fault {
        Fault::mismatch(
            self.root.at,
            format!("the expression gave {}, but {expected} is expected here", value.kind()),
        )
    }

    /// Steps of an evaluation at most, when collections and texts of the facts have at most the sizes that [`limits`]
    /// assumes. Never more than the program may take.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// The source text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type of the result, as far as it is known; it can be used as the type that was expected.
    #[must_use]
    pub fn result_type(&self) -> &Type {
        &self.result
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.source).finish()
    }
}
