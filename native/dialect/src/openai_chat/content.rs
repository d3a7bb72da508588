//! The size and needs of what the model is given to read; see [`size`](crate::size).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::InvalidRequest;
use crate::json::Members;
use crate::provider_tools::ProviderTools;
use crate::size;

/// Fields other than the messages that a model reads.
const FURTHER: [&str; 6] = [
    "tools",
    "functions",
    "response_format",
    "tool_choice",
    "prediction",
    "web_search_options",
];

/// Fields that make the provider run a tool: OpenAI's and xAI's search, OpenRouter's additions.
const AT_PROVIDER: [(&str, &str); 3] = [
    ("web_search_options", "web_search"),
    ("search_parameters", "web_search"),
    ("plugins", "plugins"),
];

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) input_bytes: i64,
    /// True when tools of the provider bring more to read.
    pub(super) unbounded: bool,
    pub(super) capabilities: Vec<String>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// Reads the messages and the fields next to them.
pub(super) fn read(messages: &RawValue, members: &Members<'_>) -> Result<Content, InvalidRequest> {
    let mut counted = size::Counted::default();
    counted.list(messages, "messages", &["content"])?;
    for field in FURTHER {
        counted.add(members.get(field).map_or(0, |value| value.get().len()));
    }
    let wants_json = members.get("response_format").is_some_and(wants_json);
    let has_tools = ["tools", "functions"]
        .iter()
        .any(|field| members.get(field).is_some_and(|list| !is_empty_list(list)));
    let mut provider_tools = ProviderTools::of(members)?;
    for (field, kind) in AT_PROVIDER {
        provider_tools.field(members, field, kind)?;
    }
    Ok(Content {
        input_bytes: counted.bytes(),
        unbounded: !provider_tools.is_empty(),
        capabilities: size::capabilities(wants_json, has_tools, counted.vision(), &provider_tools),
    })
}

fn wants_json(format: &RawValue) -> bool {
    let kind = serde_json::from_str::<Kind<'_>>(format.get())
        .ok()
        .and_then(|format| format.kind);
    matches!(kind.as_deref(), Some("json_object" | "json_schema"))
}

fn is_empty_list(list: &RawValue) -> bool {
    serde_json::from_str::<Vec<&RawValue>>(list.get()).is_ok_and(|list| list.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn content(body: &str) -> Content {
        let members = Members::parse(body.as_bytes()).unwrap();
        read(members.get("messages").unwrap(), &members).unwrap()
    }

    #[test]
    fn text_counts_its_bytes() {
        let small = content(r#"{"messages":[{"content":""}]}"#).input_bytes;
        let larger = content(r#"{"messages":[{"content":"0123456789"}]}"#).input_bytes;
        assert_eq!(larger - small, 10);
    }

    #[test]
    fn pictures_count_the_same_inline_and_as_url() {
        let url = r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#;
        let inline = url.replace(
            "https://x/y.png",
            &format!("data:image/png;base64,{}", "A".repeat(1_000_000)),
        );
        assert_eq!(content(url).input_bytes, content(&inline).input_bytes);
        assert!(content(url).input_bytes > 4096);
        assert_eq!(content(url).capabilities, ["vision"]);
    }

    #[test]
    fn sound_counts_less_than_its_bytes() {
        let body = format!(
            r#"{{"messages":[{{"content":[{{"input_audio":{{"data":"{}"}}}}]}}]}}"#,
            "A".repeat(64_000)
        );
        let size = content(&body).input_bytes;
        assert!((1000..2000).contains(&size), "{size}");
    }

    #[test]
    fn needs_are_found() {
        assert!(content(r#"{"messages":[],"tools":[]}"#).capabilities.is_empty());
        assert_eq!(content(r#"{"messages":[],"functions":[{}]}"#).capabilities, ["tools"]);
        assert_eq!(
            content(r#"{"messages":[],"response_format":{"type":"json_object"}}"#).capabilities,
            ["json"]
        );
        assert!(
            content(r#"{"messages":[],"response_format":{"type":"text"}}"#)
                .capabilities
                .is_empty()
        );
    }
}
