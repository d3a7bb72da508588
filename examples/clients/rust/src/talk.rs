//! What the example says to whoever runs it, one JSON line at a time.
use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt;

use crate::Failed;
use crate::api::Amount;
use crate::connection::code_of;

pub fn say(scene: &str, facts: Value) -> Result<(), Failed> {
    line("scene", scene, facts)
}

/// Asks for what a client cannot do.
pub fn please(what: &str, facts: Value) -> Result<(), Failed> {
    line("please", what, facts)
}

/// Waits for the answer: one line.
pub fn heard() -> Result<(), Failed> {
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

/// What a refused call says: its code, and the details that programs look at.
pub fn refusal<T>(answer: Result<T, Status>) -> Result<Value, Failed> {
    let Err(status) = answer else {
        return Err("the call was not refused".into());
    };
    let details = status.get_error_details();
    let info = details.error_info();
    let mut fields: Vec<&str> = details
        .bad_request()
        .map(|bad| {
            bad.field_violations
                .iter()
                .map(|violation| violation.field.as_str())
                .collect()
        })
        .unwrap_or_default();
    fields.sort_unstable();
    Ok(json!({
        "code": code_of(&status) as i32,
        "reason": info.map_or("", |info| info.reason.as_str()),
        "metadata": info.map(|info| info.metadata.clone()).unwrap_or_default(),
        "fields": fields,
        "retry": details.retry_info().is_some(),
    }))
}

/// The name of an enum's value; of one that this client does not know yet, its number.
pub fn named<E: TryFrom<i32>>(value: i32, name: fn(&E) -> &'static str) -> String {
    E::try_from(value).map_or_else(|_| value.to_string(), |known| name(&known).to_owned())
}

pub fn amount(value: Option<Amount>) -> Value {
    let value = value.unwrap_or_default();
    json!({"nano_usd": value.nano_usd, "tokens": value.tokens, "requests": value.requests})
}

pub fn parsed(bytes: &[u8]) -> Result<Value, Failed> {
    Ok(serde_json::from_slice(bytes)?)
}

fn line(kind: &str, name: &str, mut facts: Value) -> Result<(), Failed> {
    facts[kind] = name.into();
    let mut output = io::stdout().lock();
    writeln!(output, "{facts}")?;
    output.flush()?;
    Ok(())
}
