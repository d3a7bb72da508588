//! A stream put together.

use super::{Answer, Block, BlockKind, Delta};

/// Most bytes of one folded answer.
const BYTES: usize = 64 << 20;
/// Most blocks of one answer.
const BLOCKS: usize = 4096;

/// More than is kept of one answer, or a step that fits to nothing before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfoldable;

/// Puts the steps of a stream together into the answer that they make up.
#[derive(Debug, Default)]
pub struct Fold {
    answer: Answer,
    bytes: usize,
}

impl Fold {
    /// The answer so far.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The answer.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    /// Adds a step.
    ///
    /// # Errors
    /// [`Unfoldable`] beyond 64 MiB or 4,096 blocks, and when a block goes on that has not begun.
    pub fn add(&mut self, delta: &Delta) -> Result<(), Unfoldable> {
        match delta {
            Delta::Start {
                id,
                model,
                created,
                usage,
            } => {
                self.answer.id.clone_from(id);
                self.answer.model.clone_from(model);
                self.answer.created = *created;
                self.answer.usage = *usage;
            }
            Delta::BlockStart { index, kind } => {
                if *index != self.answer.blocks.len() || *index >= BLOCKS {
                    return Err(Unfoldable);
                }
                self.answer.blocks.push(begun(kind));
            }
            Delta::Text { index, text } => {
                self.count(text)?;
                let block = self.answer.blocks.get_mut(*index).ok_or(Unfoldable)?;
                text_of(block).push_str(text);
            }
            Delta::Signature { index, text } => {
                self.count(text)?;
                match self.answer.blocks.get_mut(*index) {
                    Some(Block::Thinking { signature, .. }) => {
                        signature.get_or_insert_default().push_str(text);
                    }
                    _ => return Err(Unfoldable),
                }
            }
            Delta::Finish(finish) => self.answer.finish = finish.clone(),
            Delta::Usage(usage) => self.answer.usage = Some(*usage),
            Delta::BlockEnd { .. } | Delta::End => {}
        }
        Ok(())
    }

    fn count(&mut self, text: &str) -> Result<(), Unfoldable> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > BYTES { Err(Unfoldable) } else { Ok(()) }
    }
}

fn begun(kind: &BlockKind) -> Block {
    match kind {
        BlockKind::Text => Block::Text(String::new()),
        BlockKind::Refusal => Block::Refusal(String::new()),
        BlockKind::Thinking => Block::Thinking {
            text: String::new(),
            signature: None,
            redacted: false,
        },
        BlockKind::RedactedThinking(data) => Block::Thinking {
            text: String::new(),
            signature: Some(data.clone()),
            redacted: true,
        },
        BlockKind::ToolCall { id, name } => Block::ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
        },
    }
}

fn text_of(block: &mut Block) -> &mut String {
    match block {
        Block::Text(text) | Block::Refusal(text) => text,
        Block::Thinking { text, .. } => text,
        Block::ToolCall { arguments, .. } => arguments,
    }
}
