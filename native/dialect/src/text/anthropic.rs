//! Texts of Anthropic Messages.

use super::node::{Node, Object};
use super::{Channel, Found, TextKind, Unreadable};

pub(super) fn whole(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    message(&root.object()?, found)
}

pub(super) fn event(root: Node<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    let event = root.object()?;
    let number = event.number("index").unwrap_or(0);
    if let Some(start) = event.object("message")? {
        message(&start, found)?;
    }
    if let Some(start) = event.object("content_block")? {
        block(&start, number, found);
    }
    if let Some(delta) = event.object("delta")? {
        block(&delta, number, found);
    }
    Ok(())
}

fn message(message: &Object<'_>, found: &mut Found<'_>) -> Result<(), Unreadable> {
    for (at, content) in message.objects("content") {
        block(&content?, at, found);
    }
    Ok(())
}

/// A block, or what is added to one: the members have the same names.
fn block(content: &Object<'_>, number: i64, found: &mut Found<'_>) {
    let channel = |kind| Channel {
        choice: 0,
        block: number,
        part: 0,
        kind,
    };
    found.add(content.get("text"), channel(TextKind::Answer), false);
    found.add(content.get("thinking"), channel(TextKind::Thinking), false);
    found.add(content.get("partial_json"), channel(TextKind::ToolArguments), false);
    found.add_object(content.get("input"), channel(TextKind::ToolArguments));
}
