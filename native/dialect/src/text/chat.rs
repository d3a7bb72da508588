//! Texts of Chat Completions.

use super::node::{Node, Object};
use super::{Channel, Found, TextKind, Unreadable};

pub(super) fn whole(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    choices(root, "message", found)
}

pub(super) fn event(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    choices(root, "delta", found)
}

fn choices(root: Node<'_>, member: &str, found: &mut Found<'_>) -> Result<(), Unreadable> {
    for (at, choice) in root.object()?.objects("choices") {
        let choice = choice?;
        let number = choice.number("index").unwrap_or(at);
        if let Some(message) = choice.object(member)? {
            texts(&message, number, found)?;
        }
    }
    Ok(())
}

fn texts(message: &Object<'_>, choice: i64, found: &mut Found<'_>) -> Result<(), Unreadable> {
    let channel = |block, part, kind| Channel {
        choice,
        block,
        part,
        kind,
    };
    let thinking = channel(0, 0, TextKind::Thinking);
    // The same text under the names of several providers; one that gives both repeats it.
    let fields = ["reasoning_content", "reasoning"];
    let mut told = false;
    for value in fields.into_iter().filter_map(|field| message.get(field)) {
        found.add(Some(value), thinking, told);
        told = true;
    }
    // The same again, unless a provider tells it here only.
    for (_, detail) in message.objects("reasoning_details") {
        let detail = detail?;
        for field in ["text", "summary"] {
            found.add(detail.get(field), thinking, told);
        }
    }
    found.add(message.get("content"), channel(0, 0, TextKind::Answer), false);
    for (at, part) in message.objects("content") {
        let part = part?;
        found.add(part.get("text"), channel(0, at, TextKind::Answer), false);
        found.add(part.get("refusal"), channel(0, at, TextKind::Refusal), false);
        for (_, inner) in part.objects("thinking") {
            found.add(inner?.get("text"), channel(0, at, TextKind::Thinking), false);
        }
    }
    found.add(message.get("refusal"), channel(0, 0, TextKind::Refusal), false);
    if let Some(audio) = message.object("audio")? {
        found.add(audio.get("transcript"), channel(1, 0, TextKind::Answer), false);
    }
    if let Some(call) = message.object("function_call")? {
        found.add(call.get("arguments"), channel(-1, 0, TextKind::ToolArguments), false);
    }
    for (at, call) in message.objects("tool_calls") {
        let call = call?;
        let arguments = channel(call.number("index").unwrap_or(at), 0, TextKind::ToolArguments);
        if let Some(function) = call.object("function")? {
            found.add(function.get("arguments"), arguments, false);
        }
        if let Some(custom) = call.object("custom")? {
            found.add(custom.get("input"), arguments, false);
        }
    }
    Ok(())
}
