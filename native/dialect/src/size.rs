//! The size of what a model is given to read.
//!
//! An upper bound of input tokens before any scaling, wherever the body tells: a token of text is at least one byte of
//! its JSON. Pictures, sound and documents are not billed by their bytes: a picture given as a URL has few bytes and
//! many tokens, one given inline has a thousand times more bytes than tokens. They count what the known providers bill at
//! most. Documents are an estimate, because their pages cannot be counted without opening them.

use serde_json::value::RawValue;

use crate::InvalidRequest;
use crate::json::Members;
use crate::provider_tools::ProviderTools;
use crate::reader::string;

/// Counted for one picture. OpenAI's tile and patch schemes bill 765 to 2,500 tokens for a large picture, Anthropic
/// about 1,600, and `gpt-4o-mini` 2,833 for one in low detail.
const PICTURE: usize = 4096;
/// Inline sound: base64 bytes for one counted token. Sound is billed about 10 tokens per second, and a second takes at
/// least 1,000 bytes when compressed for speech.
const SOUND_BYTES_PER_TOKEN: usize = 64;
/// One page of a document: its text, 1,500 to 3,000 tokens, and its picture, about 1,600.
const PAGE: usize = 4_700;
/// A document that is not here: 20 pages.
const ELSEWHERE: usize = 94_000;
/// Up to here an inline document counts its base64 bytes: a page of dense text takes about 4 KiB. What comes after is
/// scans and fonts.
const DENSE: usize = 65_536;
/// Base64 bytes of scans for one counted token: 300 KiB make a page.
const SCAN_BYTES_PER_TOKEN: usize = 64;

/// Counted for an inline document of `length` base64 bytes.
fn document(length: usize) -> usize {
    let scans = length.saturating_sub(DENSE).div_ceil(SCAN_BYTES_PER_TOKEN);
    length.min(DENSE).saturating_add(scans).max(PAGE)
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    bytes: usize,
    vision: bool,
}

impl Counted {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn bytes(&self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }

    /// True when there is something to see.
    pub(crate) fn vision(&self) -> bool {
        self.vision
    }

    /// Counts a list of messages or items, whose parts are in the members `parts`.
    pub(crate) fn list(&mut self, list: &RawValue, field: &str, parts: &[&str]) -> Result<(), InvalidRequest> {
        let items: Vec<&RawValue> = serde_json::from_str(list.get())
            .map_err(|_other| InvalidRequest::new(field, "must be an array of objects"))?;
        for (index, item) in items.iter().enumerate() {
            let path = format!("{field}[{index}]");
            let members =
                Members::parse(item.get().as_bytes()).map_err(|error| InvalidRequest::object(&path, &error))?;
            self.add(item.get().len());
            for key in parts {
                if let Some(value) = members.get(key) {
                    self.parts(value, true);
                }
            }
        }
        Ok(())
    }

    /// Counts media otherwise than by their bytes. What cannot be read counts as text and is left to the provider to
    /// judge.
    fn parts(&mut self, value: &RawValue, nested: bool) {
        if !value.get().starts_with('[') {
            return;
        }
        let parts: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        for part in parts {
            let Ok(members) = Members::parse(part.get().as_bytes()) else {
                continue;
            };
            let length = part.get().len();
            let kind = members.get("type").and_then(string).unwrap_or_default();
            // Servers that are lenient about `type` go by the member.
            let has = |key: &str| members.get(key).is_some();
            match kind.as_str() {
                "input_image" | "image" | "image_url" => self.seen(length, PICTURE),
                "input_file" | "document" | "file" => self.seen(length, file(&members)),
                // Anthropic's results of tools hold parts of their own.
                "tool_result" if nested => {
                    if let Some(content) = members.get("content") {
                        self.parts(content, false);
                    }
                }
                _ if has("image_url") => self.seen(length, PICTURE),
                _ if has("file") => self.seen(length, file(&members)),
                _ if has("input_audio") => self.instead(length, length.div_ceil(SOUND_BYTES_PER_TOKEN)),
                _ => {}
            }
        }
    }

    fn seen(&mut self, bytes: usize, counted: usize) {
        self.vision = true;
        self.instead(bytes, counted);
    }

    fn instead(&mut self, bytes: usize, counted: usize) {
        self.bytes = self.bytes.saturating_sub(bytes).saturating_add(counted);
    }
}

/// Counted for `file` of Chat Completions, `input_file` of Responses or `document` of Messages.
fn file(members: &Members<'_>) -> usize {
    if let Some(inner) = members.get("file") {
        return Members::parse(inner.get().as_bytes()).map_or(ELSEWHERE, |inner| file(&inner));
    }
    let inline = members.get("file_data").map(|data| data.get().len());
    if let Some(length) = inline {
        return document(length);
    }
    let Some(source) = members
        .get("source")
        .and_then(|source| Members::parse(source.get().as_bytes()).ok())
    else {
        return ELSEWHERE;
    };
    let length = ["data", "content"]
        .into_iter()
        .find_map(|key| source.get(key))
        .map(|data| data.get().len());
    match (source.get("type").and_then(string).as_deref(), length) {
        (Some("base64"), Some(length)) => document(length),
        // Plain text, or text and pictures of its own: no less than its bytes.
        (_, Some(length)) => length.max(PAGE),
        _ => ELSEWHERE,
    }
}

/// What a model must be able to do, sorted.
pub(crate) fn capabilities(json: bool, tools: bool, vision: bool, provider_tools: &ProviderTools) -> Vec<String> {
    let mut needed: Vec<String> = [("json", json), ("tools", tools), ("vision", vision)]
        .into_iter()
        .filter(|(_, needed)| *needed)
        .map(|(name, _)| name.to_owned())
        .chain(provider_tools.capabilities())
        .collect();
    needed.sort_unstable();
    needed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn counted(part: &str) -> (i64, bool) {
        let list = format!(r#"[{{"role":"user","content":[{part}]}}]"#);
        let mut counted = Counted::default();
        counted
            .list(serde_json::from_str(&list).unwrap(), "messages", &["content"])
            .unwrap();
        (counted.bytes(), counted.vision())
    }

    #[test]
    fn pictures_count_the_same_inline_and_as_url() {
        let url = counted(r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#);
        let data = "A".repeat(500_000);
        let inline = counted(&format!(
            r#"{{"type":"image","source":{{"type":"base64","data":"{data}"}}}}"#
        ));
        assert_eq!(url, inline);
        assert!(url.0 > 4096 && url.1);
    }

    #[test]
    fn pictures_in_results_of_tools_count_as_pictures() {
        let data = "A".repeat(500_000);
        let result = counted(&format!(
            r#"{{"type":"tool_result","tool_use_id":"t","content":[{{"type":"image","source":{{"data":"{data}"}}}}]}}"#
        ));
        assert!((4_096..5_000).contains(&result.0), "{result:?}");
    }

    #[test]
    fn documents_count_pages_and_not_scans() {
        let inline = |length: usize| {
            let data = "A".repeat(length);
            counted(&format!(
                r#"{{"type":"document","source":{{"type":"base64","data":"{data}"}}}}"#
            ))
            .0
        };
        assert!(inline(100) >= 4_700, "at least a page");
        assert!(inline(40_000) >= 40_000, "dense text counts its bytes");
        assert!(inline(4_000_000) < 130_000, "scans count less");
        for elsewhere in [
            r#"{"type":"input_file","file_url":"https://x/y.pdf"}"#,
            r#"{"type":"input_file","file_id":"file-1"}"#,
            r#"{"type":"file","file":{"file_id":"file-1"}}"#,
            r#"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#,
        ] {
            assert!(counted(elsewhere).0 > 90_000, "{elsewhere}");
        }
        let data = "A".repeat(40_000);
        let chat = counted(&format!(r#"{{"type":"file","file":{{"file_data":"{data}"}}}}"#));
        assert!((40_000..50_000).contains(&chat.0) && chat.1, "{chat:?}");
    }
}
