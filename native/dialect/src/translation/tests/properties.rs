//! What holds for every answer.

use proptest::prelude::*;

use super::*;
use crate::neutral::{Block, BlockKind, Finish};

/// Texts with everything that has to be escaped.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z \"\\\\\n\u{1F600}é\u{2028}]{1,12}",
        1 => any::<String>().prop_filter("a text", |text| !text.is_empty()),
    ]
}

fn tool_call() -> impl Strategy<Value = Block> {
    let object = text().prop_map(|text| serde_json::json!({ "k": text }).to_string());
    let arguments = prop_oneof![Just("{}".to_owned()), object];
    ("[a-zA-Z0-9_]{8,12}", "[a-z_]{1,8}", arguments).prop_map(|(id, name, arguments)| Block::ToolCall {
        id,
        name,
        arguments,
    })
}

/// An answer that all dialects can say: thinking, then text, then a refusal, then calls.
fn answer() -> impl Strategy<Value = Answer> {
    let texts = (
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(text()),
    );
    let finish = prop::sample::select(vec![Finish::Stop, Finish::Length, Finish::Refused]);
    let tokens = (0_i64..1000, 0_i64..1000, 0_i64..1000, 0_i64..1000);
    (texts, prop::collection::vec(tool_call(), 0..4), finish, tokens).prop_map(|(texts, calls, finish, tokens)| {
        let thinking = texts.0.map(|text| Block::Thinking {
            text,
            signature: None,
            redacted: false,
        });
        let finish = match finish {
            Finish::Stop if !calls.is_empty() => Finish::ToolCalls,
            other => other,
        };
        let said = texts.1.map(Block::Text).into_iter().chain(texts.2.map(Block::Refusal));
        // Ids are unique in an answer.
        let calls = (0..).zip(calls).map(|(at, call)| match call {
            Block::ToolCall { id, name, arguments } => Block::ToolCall {
                id: format!("{id}{at}"),
                name,
                arguments,
            },
            other => other,
        });
        Answer {
            id: "answer-0123456789abcdef".to_owned(),
            model: "m".to_owned(),
            created: 1_700_000_001,
            blocks: thinking.into_iter().chain(said).chain(calls).collect(),
            finish,
            usage: Some(Usage {
                input: tokens.0,
                cached_input: tokens.1,
                output: tokens.2,
                reasoning: tokens.3,
                ..Usage::default()
            }),
        }
    })
}

/// The steps that make up an answer, its texts in pieces of `size` characters; calls may grow side by side.
fn steps(answer: &Answer, size: usize, side_by_side: bool) -> Vec<Delta> {
    let mut steps = vec![Delta::Start {
        id: answer.id.clone(),
        model: answer.model.clone(),
        created: answer.created,
        usage: None,
    }];
    let mut growing: Vec<Vec<Delta>> = Vec::new();
    for (index, block) in answer.blocks.iter().enumerate() {
        let (kind, text) = match block {
            Block::Text(text) => (BlockKind::Text, text),
            Block::Refusal(text) => (BlockKind::Refusal, text),
            Block::Thinking { text, .. } => (BlockKind::Thinking, text),
            Block::ToolCall { id, name, arguments } => {
                let (id, name) = (id.clone(), name.clone());
                (BlockKind::ToolCall { id, name }, arguments)
            }
        };
        let call = matches!(kind, BlockKind::ToolCall { .. });
        steps.push(Delta::BlockStart { index, kind });
        let chars: Vec<char> = text.chars().collect();
        let mut pieces: Vec<Delta> = chars
            .chunks(size)
            .map(|piece| Delta::Text {
                index,
                text: piece.iter().collect(),
            })
            .collect();
        pieces.push(Delta::BlockEnd { index });
        if side_by_side && call {
            growing.push(pieces);
        } else {
            steps.extend(pieces);
        }
    }
    let longest = growing.iter().map(Vec::len).max().unwrap_or(0);
    for turn in 0..longest {
        steps.extend(growing.iter().filter_map(|pieces| pieces.get(turn).cloned()));
    }
    steps.push(Delta::Finish(answer.finish.clone()));
    steps.extend(answer.usage.map(Delta::Usage));
    steps.push(Delta::End);
    steps
}

fn stream(dialect: Dialect, steps: &[Delta]) -> Vec<u8> {
    let mut writer = writer(dialect, manner());
    let mut events = Vec::new();
    for step in steps {
        writer.write(step, &mut events).unwrap();
    }
    bytes(&events)
}

fn read(dialect: Dialect, body: &[u8]) -> Answer {
    read_answer(dialect, body).map_err(|_misread| "misread").unwrap()
}

fn translated(from: Dialect, to: Dialect, body: &[u8]) -> (Bytes, Option<Usage>) {
    if from == to {
        return (Bytes::copy_from_slice(body), None);
    }
    match whole(from, to, body, &manner()) {
        WholeFacts::Answer {
            body: Some(body),
            usage,
        } => (body, usage),
        other => panic!("{other:?}"),
    }
}

/// What every dialect tells of an answer that went through these: at Anthropic a refusal is text, and there is no time
/// and no count of reasoning; in Chat Completions texts are one `content`. No signature is kept.
fn meaning(answer: Answer, through: &[Dialect]) -> Answer {
    let mut answer = answer;
    let anthropic = through.contains(&Dialect::AnthropicMessages);
    let refused = answer.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    if anthropic {
        if refused && answer.finish == Finish::Stop {
            answer.finish = Finish::Refused;
        }
        answer.created = 0;
        if let Some(usage) = &mut answer.usage {
            usage.output = usage.all_output();
            usage.reasoning = 0;
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for block in answer.blocks {
        let block = match block {
            Block::Refusal(text) if anthropic => Block::Text(text),
            Block::Thinking { text, redacted, .. } => Block::Thinking {
                text,
                redacted,
                signature: None,
            },
            other => other,
        };
        match (blocks.last_mut(), block) {
            (Some(Block::Text(before)), Block::Text(text)) => before.push_str(&text),
            (_, block) => blocks.push(block),
        }
    }
    answer.blocks = blocks;
    answer
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

/// Data of events: noise, and events that do not fit together.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(
        any::<u8>().prop_filter("one line", |byte| !b"\n\r".contains(byte)),
        0..80,
    );
    let events = prop::sample::select(vec![
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_stop"}"#,
        r#"{"type":"message_start","message":{}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"signature":"s"}}"#,
        "[DONE]",
        "{}",
        "null",
        r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"c","function":{"name":"f"}}]},"finish_reason":"stop"}]}"#,
        r#"{"type":"response.created","response":{}}"#,
        r#"{"type":"response.completed","response":{"status":"completed"}}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f"}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{"}"#,
    ]);
    prop_oneof![noise, events.prop_map(|data| data.as_bytes().to_vec())]
}

proptest! {
    /// What is written in a dialect is read back.
    #[test]
    fn a_written_answer_reads_back(answer in answer(), dialect in dialect()) {
        let body = write_answer(dialect, &answer, &manner()).unwrap();
        prop_assert_eq!(meaning(read(dialect, &body), &[dialect]), meaning(answer, &[dialect]));
    }

    /// There and back keeps the meaning, in all pairs.
    #[test]
    fn there_and_back_keeps_the_meaning(answer in answer(), one in dialect(), other in dialect()) {
        let body = write_answer(one, &answer, &manner()).unwrap();
        let (there, _) = translated(one, other, &body);
        let (back, _) = translated(other, one, &there);
        let both = [one, other];
        let back = meaning(read(one, &back), &both);
        prop_assert_eq!(back, meaning(answer, &both));
    }

    /// A translated stream, put together, is the translated whole answer.
    #[test]
    fn a_folded_stream_is_the_whole_answer(
        answer in answer(), from in dialect(), to in dialect(), size in 1_usize..6, side_by_side in any::<bool>(),
    ) {
        prop_assume!(from != to);
        let told = translate(from, to, [stream(from, &steps(&answer, size, side_by_side)).as_slice()]);
        prop_assert!(told.complete);
        let body = write_answer(from, &answer, &manner()).unwrap();
        let (body, usage) = translated(from, to, &body);
        prop_assert_eq!(told.usage, usage);
        prop_assert_eq!(meaning(folded(to, &bytes(&told.events)), &[]), meaning(read(to, &body), &[]));
    }

    /// How the bytes are cut does not matter.
    #[test]
    fn chunks_do_not_matter(
        answer in answer(), from in dialect(), to in dialect(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        prop_assume!(from != to);
        let provider = stream(from, &steps(&answer, 3, true));
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(provider.len())).collect();
        places.extend([0, provider.len()]);
        places.sort_unstable();
        let cut = translate(from, to, places.windows(2).map(|pair| &provider[pair[0]..pair[1]]));
        let uncut = translate(from, to, [provider.as_slice()]);
        prop_assert_eq!(bytes(&cut.events), bytes(&uncut.events));
        prop_assert_eq!(cut.facts, uncut.facts);
    }

    /// Every event of a translated stream is JSON; those of Responses are numbered without a gap.
    #[test]
    fn events_are_well_formed(answer in answer(), from in dialect(), to in dialect()) {
        prop_assume!(from != to);
        let told = translate(from, to, [stream(from, &steps(&answer, 2, true)).as_slice()]);
        for (number, event) in told.events.iter().enumerate() {
            let data = event.data.as_ref().unwrap();
            if to == Dialect::OpenAiChat && &data[..] == b"[DONE]" {
                prop_assert_eq!(number + 1, told.events.len());
                continue;
            }
            let data: serde_json::Value = serde_json::from_slice(data).unwrap();
            if to == Dialect::OpenAiResponses {
                prop_assert_eq!(&data["sequence_number"], number);
            }
            if to != Dialect::OpenAiChat {
                prop_assert_eq!(data["type"].as_str().map(str::as_bytes), event.name.as_deref());
            }
        }
    }

    /// Nothing that comes from outside makes it panic.
    #[test]
    fn arbitrary_events_are_read_or_refused(
        from in dialect(), to in dialect(), events in prop::collection::vec(data(), 0..12),
    ) {
        let mut translation = Translation::new(from, to, manner());
        for data in &events {
            translation.read(SseEvent::from_data(data));
            let _ = whole(from, to, data, &manner());
        }
        translation.finish();
    }
}
