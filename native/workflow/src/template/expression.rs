//! One expression of a definition.

use fairlead_expr::{EvalError, PathStep, Program, Reference, Type, Value};
use fairlead_plan::tool::Json;

use super::Shape;
use super::bounds::{Allowance, MOST_STEPS};
use super::convert;
use super::variables::RunVariables;
use super::vocabulary::Place;

/// A compiled expression, and what it reads.
#[derive(Debug)]
pub(crate) struct Expression {
    program: Program,
    /// Steps whose output it needs.
    pub(crate) reads: Vec<usize>,
    pub(crate) reads_item: bool,
}

impl Expression {
    /// Compiles a source. The message says where in it.
    pub(crate) fn compile(source: &str, expected: Type, place: &Place<'_>) -> Result<Self, String> {
        let compiled = |has_item| {
            let schema = place.vocabulary.schema(has_item);
            Program::compile_bounded(source, schema, expected.clone(), MOST_STEPS)
        };
        let program = compiled(place.has_item).map_err(|error| {
            if !place.has_item && compiled(true).is_ok() {
                return "`item` and `index` are known in what a forEach does for each item, and nowhere else"
                    .to_owned();
            }
            error.to_string()
        })?;
        if has_object(program.result_type()) {
            return Err(format!(
                "gives {}, which is no value: name one of its fields",
                program.result_type()
            ));
        }
        let (reads, reads_item) = reads(&program.references(), place)?;
        Ok(Self {
            program,
            reads,
            reads_item,
        })
    }

    pub(crate) fn source(&self) -> &str {
        self.program.source()
    }

    pub(crate) fn shape(&self) -> Shape {
        match self.program.result_type() {
            Type::Dyn => Shape::Unknown,
            Type::String | Type::Timestamp | Type::Duration => Shape::Text,
            Type::List(_) => Shape::List,
            _ => Shape::Other,
        }
    }

    pub(crate) fn holds(&self, variables: &RunVariables<'_>) -> Result<bool, String> {
        self.program
            .evaluate_bool(variables)
            .map_err(|error| self.message(&error))
    }

    /// The value as JSON. A number that is taken from JSON as it is keeps its spelling.
    pub(crate) fn json(
        &self,
        variables: &RunVariables<'_>,
        allowance: &mut Allowance,
        depth: usize,
    ) -> Result<Json, String> {
        let value = self.evaluate(variables, allowance)?;
        if let (Value::Int(_) | Value::Double(_), Some(number)) = (&value, self.number(variables)) {
            return convert::copy(number, allowance, depth);
        }
        convert::json(&value, allowance, depth)
    }

    /// Adds the value to a text.
    pub(crate) fn text(
        &self,
        variables: &RunVariables<'_>,
        allowance: &mut Allowance,
        out: &mut String,
    ) -> Result<(), String> {
        let value = self.evaluate(variables, allowance)?;
        if let (Value::Int(_) | Value::Double(_), Some(number)) = (&value, self.number(variables)) {
            return convert::push_json(number, allowance, out);
        }
        convert::push(&value, allowance, out)
    }

    fn evaluate<'v>(&'v self, variables: &'v RunVariables<'v>, allowance: &mut Allowance) -> Result<Value<'v>, String> {
        let (value, steps) = self.program.evaluate_metered(variables);
        allowance.steps(steps)?;
        value.map_err(|error| self.message(&error))
    }

    /// What failed, without anything of the run's data.
    fn message(&self, error: &EvalError) -> String {
        let kind = error.kind.without_content(self.source());
        format!("line {}, column {}: {kind}", error.line, error.column)
    }

    /// The number that the expression names without calculating.
    fn number<'v>(&self, variables: &'v RunVariables<'_>) -> Option<&'v Json> {
        let reference = self.program.as_reference()?;
        variables
            .json(&reference)
            .filter(|json| matches!(json, Json::Number(_)))
    }
}

/// Whether a value of this type may have an object in it, which is not JSON.
fn has_object(ty: &Type) -> bool {
    match ty {
        Type::Object(_) => true,
        Type::List(element) | Type::Map(element) => has_object(element),
        _ => false,
    }
}

/// The steps whose output is needed, sorted, and whether the item is read. An error says which step is not there yet.
fn reads(references: &[Reference<'_>], place: &Place<'_>) -> Result<(Vec<usize>, bool), String> {
    let mut outputs = Vec::new();
    let mut tested = Vec::new();
    let mut reads_item = false;
    for reference in references {
        reads_item |= matches!(reference.variable, "item" | "index");
        if reference.variable != "steps" {
            continue;
        }
        let Some((PathStep::Field(id), rest)) = reference.path.split_first() else {
            return Err("uses `steps` as a whole: name a step and its output".to_owned());
        };
        // The type check has refused what is no step.
        let Some(step) = place.vocabulary.ids.get(*id).copied() else {
            return Err(format!("unknown step `{id}`"));
        };
        has_ended(id, step, place)?;
        match rest {
            [PathStep::Field("output")] if reference.is_test => tested.push(step),
            [PathStep::Field("state"), ..] => {}
            _ => outputs.push(step),
        }
    }
    outputs.retain(|step| !tested.contains(step));
    outputs.sort_unstable();
    outputs.dedup();
    Ok((outputs, reads_item))
}

fn has_ended(id: &str, step: usize, place: &Place<'_>) -> Result<(), String> {
    if place.step == Some(step) {
        return Err(format!("reads step `{id}`, which is the step itself"));
    }
    match place.ended {
        Some(ended) if ended.get(step) != Some(&true) => Err(format!(
            "reads step `{id}`, which may not have ended by then: add `{id}` to `needs`"
        )),
        _ => Ok(()),
    }
}
