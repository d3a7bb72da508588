//! Texts of Responses.

use super::node::{Node, Object};
use super::{Channel, Found, TextKind, Unreadable};

pub(super) fn whole(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    response(&root.object()?, false, found)
}

/// Which member of an event is text, and what it is: pieces in `*.delta`, the whole in `*.done`.
fn member(name: &str) -> Option<(&'static str, TextKind, bool)> {
    let (what, done) = match name.strip_suffix(".delta") {
        Some(what) => (what, false),
        None => (name.strip_suffix(".done")?, true),
    };
    let (whole, kind) = match what {
        "response.output_text" | "response.audio.transcript" => ("text", TextKind::Answer),
        "response.refusal" => ("refusal", TextKind::Refusal),
        "response.reasoning_text" | "response.reasoning_summary_text" => ("text", TextKind::Thinking),
        "response.function_call_arguments" | "response.mcp_call_arguments" => ("arguments", TextKind::ToolArguments),
        "response.custom_tool_call_input" => ("input", TextKind::ToolArguments),
        "response.code_interpreter_call_code" => ("code", TextKind::ToolArguments),
        _ => return None,
    };
    Some((if done { whole } else { "delta" }, kind, done))
}

pub(super) fn event(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    let event = root.object()?;
    let name = event.text("type").unwrap_or_default();
    let block = event.number("output_index").unwrap_or(0);
    let summary = event.number("summary_index");
    let number = summary
        .map(summary_part)
        .or_else(|| event.number("content_index"))
        .unwrap_or(0);
    if let Some((field, kind, repeats)) = member(&name) {
        let channel = Channel {
            choice: 0,
            block,
            part: number,
            kind,
        };
        found.add(event.get(field), channel, repeats);
    }
    if let Some(inner) = event.object("part")? {
        part(&inner, block, number, true, found);
    }
    if let Some(inner) = event.object("item")? {
        item(&inner, block, true, found)?;
    }
    if let Some(inner) = event.object("response")? {
        response(&inner, true, found)?;
    }
    Ok(())
}

/// Summaries are numbered apart from the thinking that they sum up.
fn summary_part(index: i64) -> i64 {
    index.saturating_add(1).saturating_neg()
}

fn response(response: &Object<'_>, repeats: bool, found: &mut Found<'_>) -> Result<(), Unreadable> {
    for (at, output) in response.objects("output") {
        item(&output?, at, repeats, found)?;
    }
    let all = Channel {
        choice: 0,
        block: -1,
        part: 0,
        kind: TextKind::Answer,
    };
    found.add(response.get("output_text"), all, true);
    Ok(())
}

fn item(item: &Object<'_>, block: i64, repeats: bool, found: &mut Found<'_>) -> Result<(), Unreadable> {
    for (at, inner) in item.objects("content") {
        part(&inner?, block, at, repeats, found);
    }
    for (at, inner) in item.objects("summary") {
        part(&inner?, block, summary_part(at), repeats, found);
    }
    let arguments = Channel {
        choice: 0,
        block,
        part: 0,
        kind: TextKind::ToolArguments,
    };
    for field in ["arguments", "input", "code"] {
        found.add(item.get(field), arguments, repeats);
    }
    Ok(())
}

fn part(part: &Object<'_>, block: i64, number: i64, repeats: bool, found: &mut Found<'_>) {
    let kind = match part.text("type").as_deref() {
        Some("refusal") => TextKind::Refusal,
        Some("summary_text" | "reasoning_text") => TextKind::Thinking,
        _ => TextKind::Answer,
    };
    let channel = Channel {
        choice: 0,
        block,
        part: number,
        kind,
    };
    for field in ["text", "refusal", "transcript"] {
        found.add(part.get(field), channel, repeats);
    }
}
