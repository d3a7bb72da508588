//! The blocks that a reader has begun.

use super::{BlockKind, Delta, Finish};

/// What the numbering of blocks and their beginnings and ends need; every reader of streams has one.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    states: Vec<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    tool: bool,
    empty: bool,
    ended: bool,
}

impl Blocks {
    /// Begins a block and gives its number.
    pub(crate) fn start(&mut self, kind: BlockKind, out: &mut Vec<Delta>) -> usize {
        let index = self.states.len();
        self.states.push(State {
            tool: matches!(kind, BlockKind::ToolCall { .. }),
            empty: true,
            ended: false,
        });
        out.push(Delta::BlockStart { index, kind });
        index
    }

    /// Adds text to a block that has not ended.
    pub(crate) fn text(&mut self, index: usize, text: String, out: &mut Vec<Delta>) {
        if let Some(state) = self.states.get_mut(index).filter(|state| !state.ended)
            && !text.is_empty()
        {
            // Leading space alone would be no JSON: then the empty object still has to come.
            state.empty &= state.tool && text.trim().is_empty();
            out.push(Delta::Text { index, text });
        }
    }

    /// True until text came.
    pub(crate) fn is_empty(&self, index: usize) -> bool {
        self.states.get(index).is_none_or(|state| state.empty)
    }

    /// Ends a block. A tool call without arguments has the empty object: not every dialect can leave them out.
    pub(crate) fn end(&mut self, index: usize, out: &mut Vec<Delta>) {
        let Some(state) = self.states.get_mut(index).filter(|state| !state.ended) else {
            return;
        };
        state.ended = true;
        if state.tool && state.empty {
            let text = "{}".to_owned();
            out.push(Delta::Text { index, text });
        }
        out.push(Delta::BlockEnd { index });
    }

    /// Ends all blocks.
    pub(crate) fn end_all(&mut self, out: &mut Vec<Delta>) {
        for index in 0..self.states.len() {
            self.end(index, out);
        }
    }

    /// The reason to end that fits to what was said: some providers say "stop" after calls of tools, and a client that
    /// is told to call tools must find a call.
    pub(crate) fn finish(&self, told: Finish) -> Finish {
        let tools = self.states.iter().any(|state| state.tool);
        match told {
            Finish::Stop if tools => Finish::ToolCalls,
            Finish::ToolCalls if !tools => Finish::Stop,
            other => other,
        }
    }
}
