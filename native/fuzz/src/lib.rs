//! Fairlead `fuzz`: every parser that reads bytes from outside, on hostile bytes.
//!
//! `cargo test` runs each target for a bounded number of inputs; `cargo bolero test TARGET` runs one for as long as
//! wanted with a coverage-guided engine (docs/security.md). Random bytes seldom get past the first byte of a JSON parser,
//! so an input is a [`Case`]: a real body of the golden vectors, and what is done to it.
//!
//! Memory is bounded by [`memory`]: a parser that asks for more ends the process.

use std::alloc::System;
use std::path::{Path, PathBuf};

use cap::Cap;

/// More than any parser of a body of a few KiB may need.
const MEMORY_BYTES: usize = 1 << 30;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY_BYTES);

/// Bytes that are allocated now.
#[must_use]
pub fn allocated_bytes() -> usize {
    ALLOCATOR.allocated()
}

/// Real bodies to begin with: every `request`, `answer` and `event` of the golden vectors.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/dialects");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut seeds = Vec::new();
    for file in files {
        let text = std::fs::read(&file).unwrap_or_default();
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text) {
            bodies(&value, &mut seeds);
        }
    }
    seeds
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "json") {
            files.push(path);
        }
    }
}

/// Objects two levels down are vectors; their members are bodies, or texts of streams.
fn bodies(value: &serde_json::Value, seeds: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::Array(list) => list.iter().for_each(|one| bodies(one, seeds)),
        serde_json::Value::Object(members) => {
            for member in members.values() {
                match member {
                    serde_json::Value::Object(_) => seeds.push(member.to_string().into_bytes()),
                    serde_json::Value::Array(parts) => {
                        let text: Vec<String> = parts.iter().map(part).collect();
                        seeds.push(text.concat().into_bytes());
                    }
                    serde_json::Value::String(text) if text.contains("data:") => seeds.push(text.clone().into_bytes()),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn part(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => format!("data: {other}\n\n"),
    }
}

/// What is done to a seed.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// Cut off here.
    Truncate(u16),
    /// One byte becomes another.
    Set(u16, u8),
    /// Bytes are put in.
    Insert(u16, Vec<u8>),
    /// A piece is repeated.
    Repeat(u16, u8, u8),
    /// A piece is taken out.
    Remove(u16, u8),
    /// A JSON literal replaces what stands there up to the next delimiter.
    Literal(u16, u8),
}

const LITERALS: [&str; 12] = [
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "\"\\ud800\"",
    "[[[[[[[[[[]]]]]]]]]]",
    "{\"type\":\"text\"}",
    "\"tool_use\"",
];

/// The seed with everything done to it.
#[must_use]
pub fn mutated(seed: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for mutation in mutations {
        apply(&mut bytes, mutation);
        bytes.truncate(1 << 18);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let length = bytes.len();
    let place = |at: u16| usize::from(at).checked_rem(length).unwrap_or(0);
    match mutation {
        Mutation::Truncate(at) => bytes.truncate(place(*at)),
        Mutation::Set(at, byte) => {
            if let Some(here) = bytes.get_mut(place(*at)) {
                *here = *byte;
            }
        }
        Mutation::Insert(at, more) => {
            let at = place(*at);
            bytes.splice(at..at, more.iter().copied());
        }
        Mutation::Repeat(at, size, times) => {
            let from = place(*at);
            let to = from.saturating_add(usize::from(*size)).min(length);
            let piece = bytes.get(from..to).unwrap_or_default().repeat(usize::from(*times));
            bytes.splice(to..to, piece);
        }
        Mutation::Remove(at, size) => {
            let from = place(*at);
            let to = from.saturating_add(usize::from(*size)).min(length);
            bytes.drain(from..to);
        }
        Mutation::Literal(at, which) => {
            let from = place(*at);
            let rest = bytes.get(from..).unwrap_or_default();
            let size = rest
                .iter()
                .position(|byte| b",:]}".contains(byte))
                .unwrap_or(rest.len());
            let literal = LITERALS
                .get(usize::from(*which) % LITERALS.len())
                .copied()
                .unwrap_or("null");
            bytes.splice(from..from.saturating_add(size), literal.bytes());
        }
    }
}
