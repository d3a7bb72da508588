//! Tools that run at the provider: nothing here sees what they do, what they read is in no bound, and some cost by the
//! use. So what a call brings of them is a capability that a model has to be given by name.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::InvalidRequest;
use crate::json::Members;
use crate::reader::{is_off, text_of};

/// What the capability of a tool begins with; its kind follows.
const PREFIX: &str = "provider-tool.";
/// Most kinds of one call.
const KINDS: usize = 16;
/// Longest kind that is told, in characters.
const KIND_CHARS: usize = 48;
/// Kinds, without version, that the client runs itself: the model only asks for them. What is not known runs at the
/// provider.
const RUN_BY_CLIENT: [&str; 10] = [
    "function",
    "custom",
    "local_shell",
    "apply_patch",
    "computer_use",
    "computer",
    "bash",
    "text_editor",
    "memory",
    "",
];

/// What was found of them.
#[derive(Debug, Default)]
pub(crate) struct ProviderTools(BTreeSet<String>);

impl ProviderTools {
    /// The tools of a body's `tools`, by their `type`.
    pub(crate) fn of(members: &Members<'_>) -> Result<Self, InvalidRequest> {
        let mut tools = Self::default();
        if let Some(list) = members.get("tools") {
            tools.list(list, "tools")?;
        }
        Ok(tools)
    }

    /// A field that asks for a tool by being there.
    pub(crate) fn field(&mut self, members: &Members<'_>, field: &str, kind: &str) -> Result<(), InvalidRequest> {
        match members.get(field) {
            // An empty object asks as well: all options have defaults.
            Some(value) if !matches!(value.get(), "false" | "[]") => self.add(kind, field),
            _ => Ok(()),
        }
    }

    fn list(&mut self, list: &RawValue, path: &str) -> Result<(), InvalidRequest> {
        if is_off(list) && !list.get().starts_with('[') {
            return Ok(());
        }
        let tools: Vec<&RawValue> = serde_json::from_str(list.get())
            .map_err(|_other| InvalidRequest::new(path, "must be an array of objects"))?;
        for (index, tool) in tools.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            let members =
                Members::parse(tool.get().as_bytes()).map_err(|error| InvalidRequest::object(&path, &error))?;
            let kind = text_of(&members, "type").unwrap_or_default();
            match kind.as_str() {
                // A group of tools.
                "namespace" => {
                    if let Some(inner) = members.get("tools") {
                        self.list(inner, &format!("{path}.tools"))?;
                    }
                }
                "tool_search" if text_of(&members, "execution").as_deref() == Some("client") => {}
                kind => self.add(kind, &path)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, kind: &str, path: &str) -> Result<(), InvalidRequest> {
        let kind = family(kind);
        if RUN_BY_CLIENT.contains(&kind) {
            return Ok(());
        }
        let kind = match kind {
            "mcp_toolset" => "mcp",
            kind => kind,
        };
        let told = kind.chars().take(KIND_CHARS).map(|one| match one {
            '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' | '.' => one,
            _ => '-',
        });
        self.0.insert(told.collect());
        if self.0.len() > KINDS {
            let message = format!("brings more than {KINDS} kinds of tools that run at the provider");
            return Err(InvalidRequest::new(path, message));
        }
        Ok(())
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A capability for each kind.
    pub(crate) fn capabilities(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|kind| format!("{PREFIX}{kind}"))
    }
}

/// A kind without its version: `web_search` of `web_search_20250305` and of `web_search_preview_2025_03_11`.
fn family(kind: &str) -> &str {
    let family = kind.trim_end_matches(|one: char| one == '_' || one.is_ascii_digit());
    // A number alone belongs to the name.
    let family = if kind.len().saturating_sub(family.len()) > 8 {
        family
    } else {
        kind
    };
    family.strip_suffix("_preview").unwrap_or(family)
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn a_kind_is_told_without_its_version() {
        for (kind, expected) in [
            ("web_search", "web_search"),
            ("web_search_20250305", "web_search"),
            ("web_search_preview", "web_search"),
            ("web_search_preview_2025_03_11", "web_search"),
            ("code_execution_20250825", "code_execution"),
            ("tool_search_tool_bm25", "tool_search_tool_bm25"),
            ("", ""),
        ] {
            assert_eq!(family(kind), expected, "{kind}");
        }
    }
}
