//! What a decision learns of a request. Chat's own are beside its parser.

use fairlead_dialect::Dialect;

use crate::request;

const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::AnthropicMessages;

#[test]
fn responses_tell_their_facts() {
    let body = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x/y"}]}],
        "stream":true,"max_output_tokens":77,"safety_identifier":"u-1","tools":[{"type":"function","name":"f"}],
        "text":{"format":{"type":"json_object"}}}"#;
    let request = request(RESPONSES, body).unwrap();
    let facts = request.facts();
    assert_eq!((facts.model.as_str(), facts.stream, facts.choices), ("m", true, 1));
    assert_eq!(facts.max_output_tokens, Some(77));
    assert_eq!(facts.capabilities, ["json", "tools", "vision"]);
    assert_eq!(facts.user.as_deref(), Some("u-1"));
    assert!(facts.input_bytes > 4_096 && !facts.stored_input);
}

#[test]
fn messages_tell_their_facts() {
    let body = r#"{"model":"m","max_tokens":77,"system":"Be brief.","messages":[{"role":"user","content":"Hello"}],
        "metadata":{"user_id":"u-1"},"tools":[{"name":"f"}],
        "output_config":{"format":{"type":"json_schema","schema":{}}}}"#;
    let request = request(MESSAGES, body).unwrap();
    let facts = request.facts();
    assert_eq!((facts.model.as_str(), facts.stream, facts.choices), ("m", false, 1));
    assert_eq!(facts.max_output_tokens, Some(77));
    assert_eq!(facts.capabilities, ["json", "tools"]);
    assert_eq!(facts.user.as_deref(), Some("u-1"));
    assert!(facts.input_bytes >= 14, "the system prompt and the message count");
}

#[test]
fn input_that_the_provider_stores_has_no_bound() {
    for field in [
        r#""previous_response_id":"resp_1""#,
        r#""conversation":"conv_1""#,
        r#""prompt":{"id":"pmpt_1"}"#,
    ] {
        let body = format!(r#"{{"model":"m",{field}}}"#);
        assert!(request(RESPONSES, &body).unwrap().facts().stored_input, "{field}");
    }
}

#[test]
fn tools_that_run_at_the_provider_are_capabilities_and_bring_unbounded_input() {
    let responses = |tools: &str| format!(r#"{{"model":"m","input":"x","tools":{tools}}}"#);
    let messages = |rest: &str| format!(r#"{{"model":"m","max_tokens":9,"messages":[],{rest}}}"#);
    let chat = |rest: &str| format!(r#"{{"model":"m","messages":[],{rest}}}"#);
    for (dialect, body, kinds) in [
        (
            RESPONSES,
            responses(
                r#"[{"type":"web_search_preview"},{"type":"mcp","server_url":"https://x"},{"type":"web_search"}]"#,
            ),
            &["mcp", "web_search"][..],
        ),
        (
            RESPONSES,
            responses(r#"[{"type":"file_search"},{"type":"code_interpreter"}]"#),
            &["code_interpreter", "file_search"],
        ),
        (
            RESPONSES,
            responses(r#"[{"type":"namespace","name":"n","tools":[{"type":"not heard\n of"}]}]"#),
            &["not-heard--of"],
        ),
        (
            RESPONSES,
            responses(r#"[{"type":"function"},{"type":"custom"},{"type":"computer_use_preview"}]"#),
            &[],
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":"x","prompt":{"id":"p"}}"#.to_owned(),
            &["prompt"],
        ),
        (
            MESSAGES,
            messages(r#""tools":[{"type":"web_search_20250305"},{"name":"f"}]"#),
            &["web_search"],
        ),
        (MESSAGES, messages(r#""mcp_servers":[{"url":"https://x"}]"#), &["mcp"]),
        (
            MESSAGES,
            messages(r#""tools":[{"type":"bash_20250124"},{"type":"computer_20250124"},{"type":"custom"}]"#),
            &[],
        ),
        (Dialect::OpenAiChat, chat(r#""web_search_options":{}"#), &["web_search"]),
        (
            Dialect::OpenAiChat,
            chat(r#""tools":[{"type":"builtin_function"}]"#),
            &["builtin_function"],
        ),
        (Dialect::OpenAiChat, chat(r#""plugins":[{"id":"web"}]"#), &["plugins"]),
        (
            Dialect::OpenAiChat,
            chat(r#""tools":[{"type":"function"}],"plugins":[]"#),
            &[],
        ),
    ] {
        let request = request(dialect, &body).unwrap();
        let needed = request.facts().capabilities.iter();
        let told: Vec<&str> = needed.filter_map(|one| one.strip_prefix("provider-tool.")).collect();
        assert_eq!(told, kinds, "{body}");
        assert_eq!(request.facts().stored_input, !kinds.is_empty(), "{body}");
    }
}

#[test]
fn tools_that_cannot_be_told_are_refused() {
    let many: Vec<String> = ('a'..='z').map(|kind| format!(r#"{{"type":"{kind}"}}"#)).collect();
    for (tools, field) in [
        (r#"{"type":"mcp"}"#.to_owned(), "tools"),
        (r#"["mcp"]"#.to_owned(), "tools[0]"),
        (r#"[{"type":"function","type":"mcp"}]"#.to_owned(), "tools[0].type"),
        (format!("[{}]", many.join(",")), "tools[16]"),
    ] {
        let body = format!(r#"{{"model":"m","input":"x","tools":{tools}}}"#);
        assert_eq!(request(RESPONSES, &body).unwrap_err().field, field, "{body}");
    }
}

#[test]
fn the_field_that_is_wrong_is_named() {
    for (dialect, body, field) in [
        (RESPONSES, "[]", ""),
        (RESPONSES, r#"{"input":"x"}"#, "model"),
        (RESPONSES, r#"{"model":"m"}"#, "input"),
        (RESPONSES, r#"{"model":"m","input":7}"#, "input"),
        (RESPONSES, r#"{"model":"m","input":["x"]}"#, "input[0]"),
        (
            RESPONSES,
            r#"{"model":"m","input":[{"role":"user","role":"user"}]}"#,
            "input[0].role",
        ),
        (RESPONSES, r#"{"model":"m","input":"x","stream":1}"#, "stream"),
        (RESPONSES, r#"{"model":"m","input":"x","background":1}"#, "background"),
        (
            RESPONSES,
            r#"{"model":"m","input":"x","background":true}"#,
            "background",
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":"x","max_output_tokens":0}"#,
            "max_output_tokens",
        ),
        (RESPONSES, r#"{"model":"m","input":"x","text":"json"}"#, "text"),
        (
            RESPONSES,
            r#"{"model":"m","input":"x","reasoning":{"effort":"low","effort":"high"}}"#,
            "reasoning.effort",
        ),
        (RESPONSES, r#"{"model":"m","input":"x","user":7}"#, "user"),
        (MESSAGES, "{", ""),
        (MESSAGES, r#"{"max_tokens":1,"messages":[]}"#, "model"),
        (MESSAGES, r#"{"model":"m","max_tokens":1}"#, "messages"),
        (MESSAGES, r#"{"model":"m","messages":[]}"#, "max_tokens"),
        (MESSAGES, r#"{"model":"m","messages":[],"max_tokens":-1}"#, "max_tokens"),
        (MESSAGES, r#"{"model":"m","messages":{},"max_tokens":1}"#, "messages"),
        (
            MESSAGES,
            r#"{"model":"m","messages":[[]],"max_tokens":1}"#,
            "messages[0]",
        ),
        (
            MESSAGES,
            r#"{"model":"m","messages":[],"max_tokens":1,"thinking":[]}"#,
            "thinking",
        ),
        (
            MESSAGES,
            r#"{"model":"m","messages":[],"max_tokens":1,"thinking":{"type":"enabled","budget_tokens":"x"}}"#,
            "thinking.budget_tokens",
        ),
        (
            MESSAGES,
            r#"{"model":"m","messages":[],"max_tokens":1,"metadata":{"user_id":1}}"#,
            "metadata.user_id",
        ),
        (
            MESSAGES,
            r#"{"model":"m","messages":[],"max_tokens":1,"max_tokens":2}"#,
            "max_tokens",
        ),
    ] {
        assert_eq!(request(dialect, body).unwrap_err().field, field, "{body}");
    }
}

#[test]
fn deep_nesting_is_refused_without_a_stack() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for (dialect, field) in [(RESPONSES, "input"), (MESSAGES, "messages")] {
        let body = format!(r#"{{"model":"m","max_tokens":1,"{field}":{deep}}}"#);
        assert!(request(dialect, &body).unwrap_err().message.contains("deeper"));
    }
}
