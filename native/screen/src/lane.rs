//! One text that comes in pieces.
//!
//! ```text
//! …passed on │ decided, not passed on │ window: what begins here may still be undecided │ more to come
//!            released                 horizon                                           length
//! ```
//! A match is decided once the window and one more character behind its start have come: nothing that comes later can
//! change a match that is not longer than the window. A match that reaches the end of what has come may still grow and
//! is not decided, up to [`MOST_HELD_BYTES`].

use std::ops::Range;

use crate::MOST_HELD_BYTES;
use crate::detect::Keywords;
use crate::finding::Action;
use crate::matches::Active;

/// Longest character: what an assertion such as `\b` may look at behind a match.
const LOOK_AHEAD: usize = 4;

/// Another text in the place of a part. Positions count from the beginning of the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
    /// Of two that begin at the same place the lower one is shown.
    pub(crate) order: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// The text from `base` on.
    text: String,
    base: usize,
    /// Where each finder goes on; what begins before is decided.
    from: Vec<usize>,
    /// Redactions, by position, apart from each other.
    edits: Vec<Edit>,
    released: usize,
    /// How often each finder found something.
    pub(crate) counts: Vec<i64>,
}

impl Lane {
    /// A lane with nothing in it.
    pub(crate) fn new(finders: usize) -> Self {
        Self {
            from: vec![0; finders],
            counts: vec![0; finders],
            ..Self::default()
        }
    }

    /// Adds a piece; where it stands.
    pub(crate) fn push(&mut self, piece: &str) -> Range<usize> {
        let start = self.length();
        self.text.push_str(piece);
        start..self.length()
    }

    pub(crate) fn length(&self) -> usize {
        self.base.saturating_add(self.text.len())
    }

    /// Everything before is decided.
    pub(crate) fn released(&self) -> usize {
        self.released
    }

    /// The text that is not forgotten.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Looks for everything that can be decided now; how often each finder found something, as it is counted.
    pub(crate) fn scan(&mut self, finders: &[Active], window: usize, ended: bool) -> Vec<usize> {
        let length = self.length();
        let needed = window.saturating_add(LOOK_AHEAD);
        let horizon = match ended {
            true => length,
            false => length.saturating_sub(needed),
        };
        let mut release = horizon;
        let mut hits = Vec::new();
        let keywords = Keywords::of(&self.text);
        for (number, active) in finders.iter().enumerate() {
            let mut at = self.from.get(number).copied().unwrap_or(0).saturating_sub(self.base);
            let mut stop = None;
            if active.finder.may_find(&self.text, &keywords) {
                let base = self.base;
                let held = |at: usize| length.saturating_sub(base.saturating_add(at)) < MOST_HELD_BYTES;
                let grows = match ended {
                    true => None,
                    false => active.finder.growing(&self.text, at).filter(|at| held(*at)),
                };
                while let Some(candidate) = active.finder.next(&self.text, at) {
                    let begins = candidate.whole.start;
                    let touches = candidate.whole.end >= self.text.len();
                    let start = self.base.saturating_add(begins);
                    let undecided = start.saturating_add(needed) > length || grows.is_some_and(|at| begins >= at);
                    if !ended && undecided {
                        break;
                    }
                    if !ended && touches && held(begins) {
                        stop = Some(start);
                        break;
                    }
                    at = match candidate.found {
                        Some(found) => {
                            hits.push(number);
                            self.found(number, active, found);
                            candidate.whole.end.max(self.after(begins))
                        }
                        None => self.after(begins),
                    };
                    if at > self.text.len() {
                        break;
                    }
                }
                stop = stop.or(grows.map(|at| self.base.saturating_add(at)));
            }
            let decided = self.base.saturating_add(at).max(horizon).min(length);
            if let Some(from) = self.from.get_mut(number) {
                *from = stop.map_or(decided, |stop| stop.min(decided));
            }
            release = release.min(stop.unwrap_or(release));
        }
        self.replace(Vec::new(), &hits);
        self.released = self.released.max(release);
        hits
    }

    /// The next character's position.
    fn after(&self, at: usize) -> usize {
        ceil(&self.text, at.saturating_add(1))
    }

    /// Takes note of a redaction; whole characters only.
    fn found(&mut self, number: usize, active: &Active, found: Range<usize>) {
        if active.rule.action != Action::Redacted {
            return;
        }
        let start = floor(&self.text, found.start);
        let end = ceil(&self.text, found.end);
        self.edit(Edit {
            range: self.base.saturating_add(start)..self.base.saturating_add(end),
            text: active.finder.label(),
            order: number,
        });
    }

    /// Adds an edit. Those that overlap become one, with the text of the one that begins first.
    pub(crate) fn edit(&mut self, mut edit: Edit) {
        let before = self.edits.partition_point(|known| known.range.end <= edit.range.start);
        let after = self.edits.partition_point(|known| known.range.start < edit.range.end);
        let overlapped: Vec<Edit> = self.edits.splice(before..after.max(before), []).collect();
        for known in overlapped {
            if (known.range.start, known.order) <= (edit.range.start, edit.order) {
                edit.text = known.text;
                edit.order = known.order;
            }
            edit.range = edit.range.start.min(known.range.start)..edit.range.end.max(known.range.end);
        }
        self.edits.insert(before, edit);
    }

    /// Takes over what was found in the text some other way; positions of the edits count from its beginning.
    pub(crate) fn replace(&mut self, edits: Vec<Edit>, hits: &[usize]) {
        for edit in edits {
            let (start, end) = (edit.range.start, edit.range.end);
            self.edit(Edit {
                range: self.base.saturating_add(start)..self.base.saturating_add(end),
                ..edit
            });
        }
        for hit in hits {
            if let Some(count) = self.counts.get_mut(*hit) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// A piece as the client gets it; `None` when it is unchanged.
    pub(crate) fn rendered(&self, piece: &str, range: &Range<usize>) -> Option<String> {
        let mut overlapping = self
            .edits
            .iter()
            .filter(|edit| edit.range.start < range.end && edit.range.end > range.start)
            .peekable();
        overlapping.peek()?;
        let part = |from: usize, to: usize| {
            piece
                .get(from.saturating_sub(range.start)..to.saturating_sub(range.start))
                .unwrap_or_default()
        };
        let mut out = String::new();
        let mut at = range.start;
        for edit in overlapping {
            if edit.range.start >= range.start {
                out.push_str(part(at, edit.range.start));
                out.push_str(&edit.text);
            }
            at = edit.range.end.min(range.end);
        }
        out.push_str(part(at, range.end));
        Some(out)
    }

    /// Everything that has come counts as decided, and what comes next begins anew.
    pub(crate) fn close(&mut self) {
        let length = self.length();
        self.released = length;
        self.from.fill(length);
        self.base = length;
        self.text.clear();
    }

    /// Forgets what no finder looks at any more, and edits of what was passed on.
    pub(crate) fn forget(&mut self, passed_on: usize) {
        let needed = self.from.iter().copied().min().unwrap_or(self.released);
        // One character stays, for assertions that look behind.
        let keep = needed.saturating_sub(self.base).saturating_sub(LOOK_AHEAD);
        let keep = floor(&self.text, keep);
        // Moving the rest costs as much as it has bytes.
        if keep > self.text.len() / 2 {
            self.text.drain(..keep);
            self.base = self.base.saturating_add(keep);
        }
        self.edits.retain(|edit| edit.range.end > passed_on);
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at = at.saturating_add(1);
    }
    at
}
