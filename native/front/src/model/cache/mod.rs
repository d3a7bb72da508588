//! The response cache: answers that are given again for the same call of the same tenant. In memory, bounded by
//! `limits.cacheBytes`, off unless the route of a call has a `cache`.
//!
//! A hit is a call: the engine decides about it, records it and takes a request of its rate limits; it only is not sent.
//! Answers are stored as the caller got them, when they are whole and were not cut short by a budget. Which rules on
//! `model.output` an answer has to pass depends on who asks, so a configuration with such rules keeps no answers.
mod key;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead_dialect::sse::SseEvent;
use fairlead_engine::Cached;
use http::HeaderMap;
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::key::{Asked, Key};
pub(crate) use self::lookup::{Lookup, wants_new_answer};
use super::call::Head;

/// An answer takes at most this part of the cache.
const LARGEST_PART: u64 = 8;
/// What an entry takes beside its content: key, names, the cache's own.
const ENTRY_BYTES: u64 = 512;
/// What an event takes beside its bytes.
const EVENT_BYTES: u64 = 160;
/// Entries that room for bookkeeping is made for at first.
const EXPECTED_ENTRIES: usize = 1024;

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A body.
    Whole(Bytes),
    /// Events, the one that ends the stream last.
    Stream(Vec<SseEvent>),
}

/// An answer that may be given again.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Model that gave it.
    pub(crate) model: String,
    /// Invocation that it is from.
    pub(crate) invocation: String,
    /// Headers of the provider that are passed on.
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    digest: [u8; 32],
    bytes: i64,
    stored_at: Instant,
    expires_at: Instant,
}

impl Entry {
    /// How long ago it was stored.
    pub(crate) fn age(&self) -> Duration {
        self.stored_at.elapsed()
    }

    /// For the engine.
    pub(crate) fn cached<'a>(&'a self, config_version: &'a str) -> Cached<'a> {
        Cached {
            model: &self.model,
            config_version,
            invocation: &self.invocation,
            content_digest: self.digest,
            content_bytes: self.bytes,
        }
    }

    fn weight(&self) -> u64 {
        let content = match &self.content {
            Content::Whole(body) => body.len() as u64,
            Content::Stream(events) => events.iter().map(size_of_event).sum(),
        };
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        content + headers.sum::<usize>() as u64 + ENTRY_BYTES
    }
}

/// The value of `data` is there twice: framed, and by itself.
fn size_of_event(event: &SseEvent) -> u64 {
    let data = event.data.as_ref().map_or(0, Bytes::len);
    (event.raw.len() + data) as u64 + EVENT_BYTES
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Arc<Entry>> for ByBytes {
    fn weight(&self, _: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight()
    }
}

/// See the module.
pub(crate) struct ResponseCache {
    entries: Cache<Key, Arc<Entry>, ByBytes>,
}

impl ResponseCache {
    /// An empty cache for `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        // One shard: an entry may then take any part of the whole. What is done under its lock is short.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(EXPECTED_ENTRIES)
            .weight_capacity(bytes)
            .build();
        let entries = match options {
            Ok(options) => Cache::with_options(options, ByBytes, Default::default(), Default::default()),
            // Both capacities are given, so the options are complete.
            Err(_) => Cache::with_weighter(EXPECTED_ENTRIES, bytes, ByBytes),
        };
        Self { entries }
    }

    /// Another bound, at once.
    pub(crate) fn bound(&self, bytes: u64) {
        if self.entries.capacity() != bytes {
            self.entries.set_capacity(bytes);
        }
    }

    /// The answer of a call, unless its time is over.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        if Instant::now() < entry.expires_at {
            return Some(entry);
        }
        self.entries.remove_if(key, |found| Arc::ptr_eq(found, &entry));
        None
    }

    /// Bytes of all answers.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Largest answer that is stored.
    pub(crate) fn most(&self) -> u64 {
        self.entries.capacity() / LARGEST_PART
    }

    fn put(&self, key: Key, entry: Entry) {
        if entry.weight() <= self.most() {
            self.entries.insert(key, Arc::new(entry));
        }
    }
}

/// An answer on its way into the cache.
pub(crate) struct Recording {
    cache: Arc<ResponseCache>,
    key: Key,
    ttl: Duration,
    events: Vec<SseEvent>,
    bytes: u64,
}

/// Who answered.
pub(crate) struct Answered<'a> {
    model: &'a str,
    invocation: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> Answered<'a> {
    /// What the head of the answer says, and the provider's headers that are passed on.
    pub(crate) fn by(head: &'a Head, headers: &'a HeaderMap) -> Self {
        Self {
            model: &head.model,
            invocation: &head.invocation,
            headers,
        }
    }
}

impl Recording {
    /// For the answer of one call, to be given again for `ttl`.
    pub(crate) fn new(cache: &Arc<ResponseCache>, key: Key, ttl: Duration) -> Self {
        Self {
            cache: Arc::clone(cache),
            key,
            ttl,
            events: Vec::new(),
            bytes: 0,
        }
    }

    /// One event was passed on. `None` when the stream has grown too long to be stored.
    pub(crate) fn event(mut self, event: &SseEvent) -> Option<Self> {
        self.bytes = self.bytes.saturating_add(size_of_event(event));
        // Copied: a part of a provider's buffer would keep the whole buffer, which nobody counts.
        self.events.push(SseEvent {
            raw: Bytes::copy_from_slice(&event.raw),
            name: event.name.as_deref().map(Bytes::copy_from_slice),
            data: event.data.as_deref().map(Bytes::copy_from_slice),
        });
        (self.bytes <= self.cache.most()).then_some(self)
    }

    /// The stream has ended well, with `closing` where its dialect has an end marker.
    pub(crate) fn stream(mut self, answered: &Answered<'_>, closing: Option<&SseEvent>) {
        if let Some(closing) = closing {
            self.events.push(closing.clone());
        }
        if self.events.is_empty() {
            return;
        }
        let mut digest = Sha256::new();
        self.events.iter().for_each(|event| digest.update(&event.raw));
        let bytes = self.events.iter().map(|event| event.raw.len()).sum();
        let events = std::mem::take(&mut self.events);
        self.store(answered, Content::Stream(events), digest.finalize().into(), bytes);
    }

    /// The whole answer.
    pub(crate) fn whole(self, answered: &Answered<'_>, body: &Bytes) {
        let digest = Sha256::digest(body).into();
        let bytes = body.len();
        self.store(answered, Content::Whole(Bytes::copy_from_slice(body)), digest, bytes);
    }

    fn store(self, answered: &Answered<'_>, content: Content, digest: [u8; 32], bytes: usize) {
        let now = Instant::now();
        let entry = Entry {
            model: answered.model.to_owned(),
            invocation: answered.invocation.to_owned(),
            headers: answered.headers.clone(),
            content,
            digest,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            stored_at: now,
            expires_at: now + self.ttl,
        };
        self.cache.put(self.key, entry);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn answered(headers: &HeaderMap) -> Answered<'_> {
        Answered {
            model: "small",
            invocation: "inv_1",
            headers,
        }
    }

    fn store(cache: &Arc<ResponseCache>, key: u8, body: &'static [u8]) {
        Recording::new(cache, [key; 32], MINUTE).whole(&answered(&HeaderMap::new()), &Bytes::from_static(body));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_its_time_is_over() {
        let cache = Arc::new(ResponseCache::new(1 << 20));
        store(&cache, 1, b"hello");
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        let entry = cache.get(&[1; 32]).unwrap();
        assert_eq!((entry.age().as_secs(), entry.cached("v1").content_bytes), (59, 5));
        assert!(cache.get(&[2; 32]).is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(cache.get(&[1; 32]).is_none());
        assert_eq!(cache.bytes(), 0);
    }

    #[tokio::test]
    async fn all_answers_together_stay_within_the_bound_and_a_huge_one_is_not_stored() {
        let cache = Arc::new(ResponseCache::new(16 << 10));
        for key in 0..100 {
            store(&cache, key, &[b'x'; 1000]);
            assert!(cache.bytes() <= 16 << 10);
        }
        assert!(cache.bytes() > 8 << 10);
        store(&cache, 200, &[b'x'; 2048]);
        assert!(cache.get(&[200; 32]).is_none());
        cache.bound(0);
        assert_eq!(cache.bytes(), 0);
        store(&cache, 1, b"x");
        assert!(cache.get(&[1; 32]).is_none());
    }

    #[tokio::test]
    async fn a_stream_is_stored_as_it_was_passed_on_unless_it_grows_too_long() {
        let cache = Arc::new(ResponseCache::new(64 << 10));
        let recording = Recording::new(&cache, [1; 32], MINUTE);
        let events = [SseEvent::from_data(b"{\"a\":1}"), SseEvent::from_data(b"[DONE]")];
        let recording = recording.event(&events[0]).unwrap();
        recording.stream(&answered(&HeaderMap::new()), Some(&events[1]));
        let entry = cache.get(&[1; 32]).unwrap();
        let Content::Stream(again) = &entry.content else {
            panic!("a stream")
        };
        assert_eq!(
            again.iter().map(|event| &event.raw).collect::<Vec<_>>(),
            events.iter().map(|event| &event.raw).collect::<Vec<_>>()
        );
        let mut long = Some(Recording::new(&cache, [2; 32], MINUTE));
        for _ in 0..1000 {
            long = long.and_then(|recording| recording.event(&events[0]));
        }
        assert!(long.is_none());
    }
}
