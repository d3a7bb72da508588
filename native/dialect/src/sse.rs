//! Server-sent events, parsed incrementally and passed on byte for byte.
//!
//! The concatenation of the `raw` bytes of all events is exactly what was pushed, whatever the chunks were (a property
//! test holds this). Line ends are LF, CRLF or CR as in the WHATWG specification. Because CR may be the first half of
//! CRLF, a blank line that ends in CR is decided by the style of the line before it: in a CRLF stream the LF is waited
//! for, in a CR stream the event is complete at once.

use std::fmt;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

/// One block of a stream: the lines up to and including a blank one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The bytes as they came, framing included.
    pub raw: Bytes,
    /// The value of the last `event` line; `None` for a block without any, which is an event called `message`.
    pub name: Option<Bytes>,
    /// The `data` lines, joined by LF; `None` for a block without any (comments, blank lines).
    pub data: Option<Bytes>,
}

impl SseEvent {
    /// An event without a name and with one line of data, framed with LF. The data contains no line end, as JSON does not.
    #[must_use]
    pub fn from_data(data: &[u8]) -> Self {
        Self::framed(None, data)
    }

    /// An event with a name and one line of data, framed with LF. Neither contains a line end.
    #[must_use]
    pub fn named(name: &str, data: &[u8]) -> Self {
        Self::framed(Some(name.as_bytes()), data)
    }

    /// The same event with other data: all bytes but the data stay when it is one line, else it is framed anew.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Self {
        let Some(range) = self.data.as_ref().and_then(|data| place(&self.raw, data)) else {
            return Self::framed(self.name.as_deref(), data);
        };
        let mut raw = BytesMut::with_capacity(self.raw.len().saturating_add(data.len()));
        raw.extend_from_slice(self.raw.get(..range.start).unwrap_or_default());
        raw.extend_from_slice(data);
        raw.extend_from_slice(self.raw.get(range.end..).unwrap_or_default());
        let raw = raw.freeze();
        let data = raw.slice(range.start..range.start.saturating_add(data.len()));
        Self {
            raw,
            name: self.name.clone(),
            data: Some(data),
        }
    }

    fn framed(name: Option<&[u8]>, data: &[u8]) -> Self {
        let name_bytes = name.map_or(0, <[u8]>::len);
        let mut raw = BytesMut::with_capacity(data.len().saturating_add(name_bytes).saturating_add(16));
        let name = name.map(|name| {
            raw.extend_from_slice(b"event: ");
            let start = raw.len();
            raw.extend_from_slice(name);
            let end = raw.len();
            raw.extend_from_slice(b"\n");
            start..end
        });
        raw.extend_from_slice(b"data: ");
        let start = raw.len();
        raw.extend_from_slice(data);
        let end = raw.len();
        raw.extend_from_slice(b"\n\n");
        let raw = raw.freeze();
        Self {
            name: name.map(|range| raw.slice(range)),
            data: Some(raw.slice(start..end)),
            raw,
        }
    }
}

/// Where `part` lies in `whole`, when it is a slice of it.
fn place(whole: &Bytes, part: &Bytes) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// An event is larger than the parser's bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge;

impl fmt::Display for EventTooLarge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event of the stream is too large")
    }
}

impl std::error::Error for EventTooLarge {}

/// The parser. Push bytes, then take events until there is none.
#[derive(Debug)]
pub struct SseParser {
    buffer: BytesMut,
    /// Start of the current line in `buffer`.
    line_start: usize,
    /// First byte that has not been looked at.
    scanned: usize,
    /// The last line ended in CRLF.
    crlf: bool,
    /// The last event ended in a CR that stands alone; an LF right after it belongs to that line end.
    after_cr: bool,
    limit_bytes: usize,
}

impl SseParser {
    /// A parser that refuses events of more than `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            line_start: 0,
            scanned: 0,
            crlf: false,
            after_cr: false,
            limit_bytes,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event.
    ///
    /// # Errors
    /// [`EventTooLarge`] when the bound is passed; the parser must not be used afterwards.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, EventTooLarge> {
        loop {
            if self.after_cr
                && let Some(&first) = self.buffer.first()
            {
                self.after_cr = false;
                if first == b'\n' {
                    self.line_start = 1;
                    self.scanned = 1;
                }
            }
            let rest = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(offset) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.scanned = self.buffer.len();
                return if self.scanned > self.limit_bytes {
                    Err(EventTooLarge)
                } else {
                    Ok(None)
                };
            };
            let at = self.scanned.saturating_add(offset);
            let blank = at == self.line_start;
            let next = self.buffer.get(at.saturating_add(1)).copied();
            let one = at.saturating_add(1);
            let end = match (self.buffer.get(at), next) {
                (Some(b'\n'), _) => one,
                _ if blank && !self.crlf => {
                    self.after_cr = true;
                    one
                }
                (_, Some(b'\n')) => at.saturating_add(2),
                (_, Some(_)) => one,
                (_, None) => {
                    self.scanned = at;
                    return if self.scanned > self.limit_bytes {
                        Err(EventTooLarge)
                    } else {
                        Ok(None)
                    };
                }
            };
            if end > self.limit_bytes {
                return Err(EventTooLarge);
            }
            self.line_start = end;
            self.scanned = end;
            if blank {
                return Ok(Some(self.take(end)));
            }
            self.crlf = end.saturating_sub(at) == 2;
        }
    }

    /// What is left when the stream has ended: the last event, if only its blank line is missing. Its raw bytes are
    /// completed, so that it can be passed on.
    pub fn finish(&mut self) -> Option<SseEvent> {
        if self.buffer.is_empty() {
            return None;
        }
        self.buffer.extend_from_slice(b"\n\n");
        let event = self.take(self.buffer.len());
        event.data.is_some().then_some(event)
    }

    fn take(&mut self, end: usize) -> SseEvent {
        let raw = self.buffer.split_to(end).freeze();
        self.line_start = 0;
        self.scanned = 0;
        let (name, data) = fields_of(&raw);
        SseEvent { raw, name, data }
    }
}

/// The name and the joined `data` lines of a block; slices of it, unless there are several lines of data.
fn fields_of(raw: &Bytes) -> (Option<Bytes>, Option<Bytes>) {
    let mut name: Option<Bytes> = None;
    let mut first: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    let mut rest = raw.clone();
    if rest.starts_with(b"\xEF\xBB\xBF") {
        rest.advance(3);
    }
    while !rest.is_empty() {
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .unwrap_or(rest.len());
        let line = rest.split_to(length);
        if !rest.is_empty() {
            rest.advance(1);
        }
        let Some(value) = value_of(&line, b"data") else {
            name = value_of(&line, b"event").or(name);
            continue;
        };
        match (&first, &mut joined) {
            (None, _) => first = Some(value),
            (Some(_), Some(joined)) => {
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&value);
            }
            (Some(first), None) => {
                let mut all = BytesMut::from(first.as_ref());
                all.extend_from_slice(b"\n");
                all.extend_from_slice(&value);
                joined = Some(all);
            }
        }
    }
    (name, joined.map(BytesMut::freeze).or(first))
}

/// The value of a line of this field; one space after the colon is framing.
fn value_of(line: &Bytes, field: &[u8]) -> Option<Bytes> {
    let value = line.strip_prefix(field)?;
    let value = match value {
        [] => value,
        [b':', b' ', value @ ..] | [b':', value @ ..] => value,
        _ => return None,
    };
    Some(line.slice(line.len().saturating_sub(value.len())..))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]]) -> (Vec<SseEvent>, Option<SseEvent>) {
        let mut parser = SseParser::new(1 << 16);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk);
            while let Some(event) = parser.next_event().unwrap() {
                events.push(event);
            }
        }
        (events, parser.finish())
    }

    fn data(events: &[SseEvent]) -> Vec<String> {
        events
            .iter()
            .filter_map(|event| event.data.as_ref())
            .map(|d| String::from_utf8_lossy(d).into_owned())
            .collect()
    }

    #[test]
    fn all_line_ends_and_field_forms() {
        let (events, rest) = parse(&[b"\xEF\xBB\xBFdata: a\n\ndata:b\r\n\r\n: comment\n\nid: 1\rdata:  c\rdata\r\r\n"]);
        assert_eq!(data(&events), ["a", "b", " c\n"]);
        assert_eq!(rest, None);
    }

    #[test]
    fn an_lf_event_is_complete_with_its_last_byte() {
        for text in ["data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"] {
            let (events, _) = parse(&[text.as_bytes()]);
            assert_eq!(data(&events), ["a"], "{text:?}");
            assert_eq!(events[0].raw, text.as_bytes());
        }
    }

    #[test]
    fn the_last_event_may_lack_its_blank_line() {
        let (events, rest) = parse(&[b"data: a\n\ndata: [DONE]"]);
        assert_eq!(data(&events), ["a"]);
        assert_eq!(rest.unwrap().data.unwrap().as_ref(), b"[DONE]");
    }

    #[test]
    fn a_large_event_is_refused() {
        let mut parser = SseParser::new(16);
        parser.push(b"data: 0123456789");
        assert_eq!(parser.next_event(), Ok(None));
        parser.push(b"0");
        assert_eq!(parser.next_event(), Err(EventTooLarge));
        let mut parser = SseParser::new(16);
        parser.push(b"data: 0123456789abcdef\n\n");
        assert_eq!(parser.next_event(), Err(EventTooLarge));
    }

    #[test]
    fn a_made_event_reads_back() {
        let (events, _) = parse(&[&SseEvent::from_data(b"{}").raw]);
        assert_eq!(events, [SseEvent::from_data(b"{}")]);
        let named = SseEvent::named("ping", b"{}");
        assert_eq!(named.raw.as_ref(), b"event: ping\ndata: {}\n\n");
        let (events, _) = parse(&[&named.raw]);
        assert_eq!(events, [named]);
    }

    #[test]
    fn an_event_has_the_last_name_it_was_given() {
        let (events, _) = parse(&[b"event: a\nevent:b\ndata: 1\n\ndata: 2\n\neventful: x\ndata: 3\n\n: c\n\n"]);
        let names: Vec<_> = events.iter().map(|event| event.name.as_deref()).collect();
        assert_eq!(names, [Some(&b"b"[..]), None, None, None]);
    }

    #[test]
    fn other_data_leaves_the_framing_alone() {
        let (events, _) = parse(&[b"id: 7\r\nevent: e\r\ndata:old\r\n: c\r\n\r\n"]);
        let changed = events[0].with_data(b"newer");
        assert_eq!(changed.raw.as_ref(), b"id: 7\r\nevent: e\r\ndata:newer\r\n: c\r\n\r\n");
        assert_eq!(
            (changed.data.as_deref(), changed.name.as_deref()),
            (Some(&b"newer"[..]), Some(&b"e"[..]))
        );
        let (events, _) = parse(&[b"event: e\ndata: a\ndata: b\n\n"]);
        assert_eq!(events[0].with_data(b"c").raw.as_ref(), b"event: e\ndata: c\n\n");
    }

    proptest! {
        /// Any split of any stream gives the same events and loses no byte.
        #[test]
        fn splits_do_not_matter(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["data: ", "data:", "x", ": c", "\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "event: e", "é", " "]),
                0..60,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text = pieces.concat().into_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.sort_unstable();
            let mut chunks: Vec<&[u8]> = Vec::new();
            let mut from = 0;
            for place in places.into_iter().chain([text.len()]) {
                chunks.push(&text[from..place]);
                from = place;
            }
            let whole = parse(&[&text]);
            let split = parse(&chunks);
            prop_assert_eq!(&whole, &split);
            let raws: Vec<u8> = split.0.iter().flat_map(|event| event.raw.to_vec()).collect();
            prop_assert!(text.starts_with(&raws));
        }
    }
}
