//! Vectors: what a request becomes in another dialect. `tests/golden/dialects/requests` holds one file per pair.
//! `FAIRLEAD_WRITE_GOLDEN=1` writes the outcomes anew; read the difference before it is committed.

use std::path::PathBuf;

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request, Vendor, Wire};
use serde_json::{Map, Value, json};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/dialects/requests")
}

fn vendor(name: &str) -> Vendor {
    match name {
        "openai" => Vendor::OpenAi,
        "azure-openai" => Vendor::AzureOpenAi,
        "anthropic" => Vendor::Anthropic,
        "ollama" => Vendor::Ollama,
        "openai-compatible" => Vendor::OpenAiCompatible,
        other => panic!("no vendor {other}"),
    }
}

/// The outcome of a vector, in the vector's words.
fn outcome(vector: &Value) -> Map<String, Value> {
    let dialect = |key: &str| Dialect::from_name(vector[key].as_str().unwrap()).unwrap();
    let body = Bytes::from(vector["request"].to_string());
    let request = Request::parse(dialect("from"), body).unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
    let turn = request.turn(&Wire {
        dialect: dialect("to"),
        vendor: vendor(vector["vendor"].as_str().unwrap_or("openai-compatible")),
        upstream_model: "up",
        max_output_tokens: vector["max_output_tokens"].as_i64().unwrap_or(0),
        drop_untranslatable: vector["drop"].as_bool().unwrap_or(false),
    });
    let mut outcome = Map::new();
    match turn {
        Ok(turn) => {
            let body: Value = serde_json::from_slice(&turn.body).unwrap();
            outcome.insert("expected".to_owned(), body);
            if !turn.dropped_fields.is_empty() {
                outcome.insert("dropped".to_owned(), json!(turn.dropped_fields));
            }
        }
        Err(fields) => {
            let fields: Vec<Value> = fields
                .into_iter()
                .map(|field| json!({"field": field.field, "essential": field.essential}))
                .collect();
            outcome.insert("untranslatable".to_owned(), json!(fields));
        }
    }
    outcome
}

#[test]
fn requests_become_what_the_vectors_say() {
    let write = std::env::var_os("FAIRLEAD_WRITE_GOLDEN").is_some();
    for from in Dialect::ALL {
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            let path = directory().join(format!("{from}-to-{to}.json"));
            let mut vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(vectors.len() >= 12, "{from} to {to}: {} vectors", vectors.len());
            for vector in &mut vectors {
                assert_eq!(
                    (&vector["from"], &vector["to"]),
                    (&json!(from.name()), &json!(to.name()))
                );
                let outcome = outcome(vector);
                if write {
                    let members = vector.as_object_mut().unwrap();
                    for key in ["expected", "dropped", "untranslatable"] {
                        members.remove(key);
                    }
                    members.extend(outcome);
                    continue;
                }
                for key in ["expected", "dropped", "untranslatable"] {
                    assert_eq!(
                        vector.get(key),
                        outcome.get(key),
                        "{from} to {to}: {}: {key}",
                        vector["name"]
                    );
                }
            }
            if write {
                let text = serde_json::to_string_pretty(&vectors).unwrap();
                std::fs::write(&path, text + "\n").unwrap();
            }
        }
    }
}
