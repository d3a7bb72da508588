//! The rules of one call, over a stream.
//!
//! Events wait in their order until everything that their texts may be part of is decided ([`crate::lane`]); then they
//! are passed on as they came, but for what is redacted. Arguments of a tool wait until they are complete: a client
//! cannot use half of them either. A text that gets nothing more while others of the same answer grow by a window counts
//! as ended. Rules that only take note hold nothing back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;
use fairlead_dialect::text::{self, Channel, TextKind, TextSpan};
use serde::Deserialize;

use crate::arguments::{self, Balance};
use crate::finding::Finding;
use crate::lane::Lane;
use crate::screen::{Answers, Screen, Verdict};
use crate::{MOST_HELD_BYTES, MOST_WAITING_BYTES};

/// Most texts of one stream; blocks, parts and tool calls of an answer are far fewer.
const MOST_LANES: usize = 4096;
/// Most bytes of the arguments of one tool call.
const MOST_ARGUMENT_BYTES: usize = MOST_HELD_BYTES << 4;

/// What becomes of a part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamScreened {
    /// Events that the client gets now.
    pub events: Vec<SseEvent>,
    /// What was found since the last time.
    pub findings: Vec<Finding>,
    /// The rule that refuses the stream: nothing more of it is passed on.
    pub rejected: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Stream {
    screen: Arc<Screen>,
    dialect: Dialect,
    lanes: BTreeMap<Channel, Text>,
    /// Bytes of text that came for each answer.
    progress: BTreeMap<i64, usize>,
    answers: Answers,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    rejected: bool,
}

/// One text of the stream.
#[derive(Debug)]
struct Text {
    lane: Lane,
    /// Set while it is the arguments of a tool in JSON.
    balance: Option<Balance>,
    /// It got a piece since it was last looked at.
    grown: bool,
    /// Progress of its answer when it last grew.
    seen: usize,
    /// Where what was not passed on begins.
    passed_on: usize,
}

/// An event that is not passed on yet.
#[derive(Debug)]
struct Waiting {
    event: SseEvent,
    parts: Vec<(TextSpan, Place)>,
}

/// What becomes of a text of an event.
#[derive(Debug)]
enum Place {
    /// A piece of its lane.
    Piece(Range<usize>),
    /// Decided already; `None`: unchanged.
    Whole(Option<String>),
}

impl Stream {
    pub(crate) fn new(screen: Arc<Screen>, dialect: Dialect) -> Self {
        Self {
            screen,
            dialect,
            lanes: BTreeMap::new(),
            progress: BTreeMap::new(),
            answers: Answers::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            rejected: false,
        }
    }

    /// An event of the stream. What may be passed on now, which may be earlier events.
    pub fn event(&mut self, event: SseEvent) -> StreamScreened {
        if self.rejected {
            return StreamScreened::default();
        }
        let mut verdict = Verdict::default();
        let Ok(spans) = text::event(self.dialect, &event) else {
            self.screen.refuse("unreadable", &mut verdict);
            self.wait(event, Vec::new());
            return self.told(verdict, false);
        };
        let ended = ended_block(self.dialect, &event);
        let parts = self.placed(spans, &mut verdict);
        self.wait(event, parts);
        self.look(ended, &mut verdict);
        let screen = Arc::clone(&self.screen);
        screen.check_sizes(&mut self.answers, &mut verdict);
        self.told(verdict, false)
    }

    /// The stream is over: what was held back.
    pub fn end(&mut self) -> StreamScreened {
        if self.rejected {
            return StreamScreened::default();
        }
        let mut verdict = Verdict::default();
        let screen = Arc::clone(&self.screen);
        for text in self.lanes.values_mut() {
            text.finish(&screen, &mut verdict);
        }
        screen.check_schemas(&self.answers, &mut verdict);
        self.told(verdict, true)
    }

    /// Adds the texts of an event to their lanes.
    fn placed(&mut self, spans: Vec<TextSpan>, verdict: &mut Verdict) -> Vec<(TextSpan, Place)> {
        let mut parts: Vec<(TextSpan, Place)> = Vec::with_capacity(spans.len());
        for span in spans {
            let place = match (span.repeats, self.dialect) {
                // Chat repeats a piece inside of its event, under another name.
                (true, Dialect::OpenAiChat) => {
                    let same = parts.iter().find_map(|(other, place)| match place {
                        Place::Piece(range) if other.channel == span.channel && other.text == span.text => {
                            Some(range.clone())
                        }
                        _ => None,
                    });
                    same.map_or_else(|| self.piece(&span, verdict), Place::Piece)
                }
                (true, _) => self.repeated(&span, verdict),
                (false, _) => self.piece(&span, verdict),
            };
            parts.push((span, place));
        }
        parts
    }

    fn piece(&mut self, span: &TextSpan, verdict: &mut Verdict) -> Place {
        self.answers.add(&self.screen, span);
        let progress = self.progress.entry(span.channel.choice).or_default();
        *progress = progress.saturating_add(span.text.len());
        let progress = *progress;
        if self.lanes.len() >= MOST_LANES && !self.lanes.contains_key(&span.channel) {
            self.screen.refuse("bound", verdict);
            return Place::Whole(None);
        }
        let text = self
            .lanes
            .entry(span.channel)
            .or_insert_with(|| Text::new(&self.screen));
        text.seen = progress;
        Place::Piece(text.push(&self.screen, span, verdict))
    }

    /// A text that is told again as a whole. It ends its lane, and what was found in its pieces is not counted again.
    fn repeated(&mut self, span: &TextSpan, verdict: &mut Verdict) -> Place {
        if span.text.is_empty() {
            return Place::Whole(None);
        }
        let screen = Arc::clone(&self.screen);
        let looked = screen.look_at(span.channel.kind, &span.text);
        screen.cannot_redact(looked.fixed, verdict);
        // All texts of an answer joined: each of them is told on its own as well.
        let joined = span.channel.block < 0;
        if !joined {
            if !self.lanes.contains_key(&span.channel) {
                self.answers.add(&screen, span);
            }
            let text = self.lanes.entry(span.channel).or_insert_with(|| Text::new(&screen));
            text.finish(&screen, verdict);
            let mut more = Vec::with_capacity(looked.counts.len());
            for (known, now) in text.lane.counts.iter_mut().zip(&looked.counts) {
                more.push(now.saturating_sub(*known).max(0));
                *known = (*known).max(*now);
            }
            screen.count(&more, verdict);
        }
        Place::Whole(looked.changed)
    }

    /// Decides what can be decided.
    fn look(&mut self, ended: Option<i64>, verdict: &mut Verdict) {
        let screen = Arc::clone(&self.screen);
        for (channel, text) in &mut self.lanes {
            if text.lane.released() == text.lane.length() {
                continue;
            }
            let progress = self.progress.get(&channel.choice).copied().unwrap_or(0);
            let silent = text.balance.is_none() && progress.saturating_sub(text.seen) > screen.window;
            if silent || ended == Some(channel.block) {
                text.finish(&screen, verdict);
            } else if text.balance.is_none() && std::mem::take(&mut text.grown) {
                let hits = text.lane.scan(&screen.finders, screen.window, false);
                screen.count(&tally(&hits, screen.finders.len()), verdict);
            }
        }
    }

    fn wait(&mut self, event: SseEvent, parts: Vec<(TextSpan, Place)>) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(event.raw.len());
        self.waiting.push_back(Waiting { event, parts });
    }

    /// What the client gets now.
    fn told(&mut self, mut verdict: Verdict, ended: bool) -> StreamScreened {
        let mut events = Vec::new();
        if verdict.rejected.is_none() {
            let waits = self.screen.waits_for_the_end() && !ended;
            let all = ended || !self.screen.holds_back();
            while !waits && let Some(next) = self.next(all) {
                match next {
                    Ok(event) => events.push(event),
                    Err(text::NotAnObject) => self.screen.refuse("unreadable", &mut verdict),
                }
            }
            if self.waiting_bytes > MOST_WAITING_BYTES {
                self.screen.refuse("bound", &mut verdict);
            }
            if !ended {
                self.forget();
            }
        }
        if verdict.rejected.is_some() {
            self.rejected = true;
            self.waiting.clear();
            self.lanes.clear();
            events.clear();
        }
        StreamScreened {
            events,
            findings: verdict.findings,
            rejected: verdict.rejected,
        }
    }

    /// The next event, when all of its texts are decided.
    fn next(&mut self, all: bool) -> Option<Result<SseEvent, text::NotAnObject>> {
        let front = self.waiting.front()?;
        let decided = front.parts.iter().all(|(span, place)| match place {
            Place::Piece(range) => self
                .lanes
                .get(&span.channel)
                .is_none_or(|text| text.lane.released() >= range.end),
            Place::Whole(_) => true,
        });
        if !(all || decided) {
            return None;
        }
        let Waiting { event, parts } = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(event.raw.len());
        let new: Vec<Option<String>> = parts
            .iter()
            .map(|(span, place)| match place {
                Place::Piece(range) => {
                    let text = self.lanes.get_mut(&span.channel)?;
                    text.passed_on = range.end;
                    text.lane.rendered(&span.text, range)
                }
                Place::Whole(new) => new.clone(),
            })
            .collect();
        let mut changed = parts
            .iter()
            .zip(&new)
            .filter_map(|((span, _), new)| Some((span, new.as_deref()?)))
            .peekable();
        if changed.peek().is_none() {
            return Some(Ok(event));
        }
        Some(text::with_texts(&event, changed))
    }

    /// Keeps no more text than finders look at.
    fn forget(&mut self) {
        for text in self.lanes.values_mut().filter(|text| text.balance.is_none()) {
            text.lane.forget(text.passed_on);
        }
    }
}

impl Text {
    fn new(screen: &Screen) -> Self {
        Self {
            lane: Lane::new(screen.finders.len()),
            balance: None,
            grown: false,
            seen: 0,
            passed_on: 0,
        }
    }

    fn push(&mut self, screen: &Screen, span: &TextSpan, verdict: &mut Verdict) -> Range<usize> {
        let begins = self.balance.is_none()
            && span.channel.kind == TextKind::ToolArguments
            && self.lane.text().trim_ascii().is_empty()
            && arguments::looks_like_json(&span.text);
        if begins {
            self.balance = Some(Balance::default());
        }
        let range = self.lane.push(&span.text);
        self.grown = true;
        if let Some(balance) = &mut self.balance {
            if balance.push(&span.text) {
                self.finish(screen, verdict);
            } else if self.lane.text().len() > MOST_ARGUMENT_BYTES {
                screen.refuse("bound", verdict);
                self.balance = None;
            }
        }
        range
    }

    /// Nothing more comes: everything is decided.
    fn finish(&mut self, screen: &Screen, verdict: &mut Verdict) {
        let found = match self.balance.take() {
            Some(_) => arguments::look_through(self.lane.text(), &screen.finders),
            None => None,
        };
        let hits = match found {
            Some(found) => {
                screen.cannot_redact(found.fixed, verdict);
                self.lane.replace(found.edits, &found.hits);
                found.hits
            }
            None => self.lane.scan(&screen.finders, screen.window, true),
        };
        screen.count(&tally(&hits, screen.finders.len()), verdict);
        self.lane.close();
    }
}

/// How often each finder is named.
fn tally(hits: &[usize], finders: usize) -> Vec<i64> {
    let mut counts = vec![0_i64; finders];
    for hit in hits {
        if let Some(count) = counts.get_mut(*hit) {
            *count = count.saturating_add(1);
        }
    }
    counts
}

/// The block whose end an event tells (Messages; Responses repeats the text, Chat has no such event).
fn ended_block(dialect: Dialect, event: &SseEvent) -> Option<i64> {
    #[derive(Deserialize)]
    struct Stop {
        r#type: String,
        index: i64,
    }
    let data = event.data.as_ref().filter(|_| dialect == Dialect::AnthropicMessages)?;
    let stop: Stop = serde_json::from_slice(data).ok()?;
    (stop.r#type == "content_block_stop").then_some(stop.index)
}
