//! Answers and streams as providers document them, and what clients of the other dialects get.
//!
//! `FAIRLEAD_GOLDEN=write cargo test -p fairlead-dialect golden` writes what is told now; the difference is for review.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::*;

fn files(folder: &str) -> Vec<(PathBuf, Map<String, Value>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/dialects")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()))
        .collect();
    files.sort_by(|one: &(PathBuf, Map<String, Value>), other| one.0.cmp(&other.0));
    files
}

fn check(path: &PathBuf, vector: &Map<String, Value>, told: &Value) {
    if std::env::var_os("FAIRLEAD_GOLDEN").is_some_and(|mode| mode == "write") {
        let mut vector = vector.clone();
        vector.insert("told".to_owned(), told.clone());
        let text = serde_json::to_string_pretty(&vector).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        return;
    }
    assert_eq!(&vector["told"], told, "{}", path.display());
}

fn usage(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "input": usage.input, "cached_input": usage.cached_input,
            "cache_write": usage.cache_write, "cache_write_1h": usage.cache_write_1h,
            "output": usage.output, "reasoning": usage.reasoning,
        })
    })
}

fn from(vector: &Map<String, Value>) -> Dialect {
    Dialect::from_name(vector["from"].as_str().unwrap()).unwrap()
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

#[test]
fn answers() {
    for (path, vector) in files("answers") {
        let from = from(&vector);
        let body = vector["answer"].to_string();
        let mut told = Map::new();
        for to in others(from) {
            let WholeFacts::Answer {
                usage: tokens,
                body: Some(body),
            } = whole(from, to, body.as_bytes(), &manner())
            else {
                panic!("{} to {to}", path.display());
            };
            told.insert("usage".to_owned(), usage(tokens));
            told.insert(to.name().to_owned(), serde_json::from_slice(&body).unwrap());
        }
        check(&path, &vector, &Value::Object(told));
    }
}

#[test]
fn streams() {
    for (path, vector) in files("streams") {
        let from = from(&vector);
        let events: Vec<SseEvent> = vector["events"].as_array().unwrap().iter().map(made).collect();
        let mut told = Map::new();
        for to in others(from) {
            let client = translate(from, to, [bytes(&events).as_slice()]);
            assert!(client.complete, "{} to {to}", path.display());
            told.insert("usage".to_owned(), usage(client.usage));
            told.insert(to.name().to_owned(), client.events.iter().map(shown).collect());
        }
        check(&path, &vector, &Value::Object(told));
    }
}

/// An event of a vector: its data, named by its `type` where the dialect names events.
fn made(data: &Value) -> SseEvent {
    match (data, data["type"].as_str()) {
        (Value::String(marker), _) => SseEvent::from_data(marker.as_bytes()),
        (_, Some(name)) => SseEvent::named(name, data.to_string().as_bytes()),
        _ => SseEvent::from_data(data.to_string().as_bytes()),
    }
}

fn shown(event: &SseEvent) -> Value {
    let data = event.data.as_ref().unwrap();
    let shown: Value =
        serde_json::from_slice(data).unwrap_or_else(|_other| String::from_utf8(data.to_vec()).unwrap().into());
    assert_eq!(&made(&shown).name, &event.name);
    shown
}
