//! Vectors that Rust and Python share.
use fairlead_engine::{Caller, Engine, Salts, family};
use fairlead_plan::UnixNanos;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bench::{MONDAY, SECOND, compile, config};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn golden(name: &str) -> Value {
    let path = format!("{}/../../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_chain_is_what_the_vectors_say() {
    let chain = golden("chain.json");
    let mut head = vec![0; 32];
    for vector in chain["vectors"].as_array().unwrap() {
        assert_eq!(vector["prev_hash"].as_str().unwrap(), hex(&head));
        let mut link = Sha256::new();
        link.update(&head);
        link.update(unhex(vector["record"].as_str().unwrap()));
        head = link.finalize().to_vec();
        assert_eq!(vector["record_hash"].as_str().unwrap(), hex(&head));
    }
}

/// The engine writes the vectors itself: regenerate with `FAIRLEAD_WRITE_GOLDEN=1`.
#[test]
fn the_engine_writes_the_vectors() {
    let mut engine = Engine::new(compile(&config()), Salts::new([7; 32]));
    let mut vectors = Vec::new();
    let mut prev = "0".repeat(64);
    for number in 0..4_i64 {
        let now = UnixNanos(MONDAY + number * SECOND);
        let applied = if number == 0 {
            engine.start(now, "0.1.0").map(|()| String::new())
        } else {
            let request = crate::bench::call(&format!("golden-{number}"), 100 * number, 10);
            let extra = fairlead_engine::AdmitExtra {
                remember: true,
                ..Default::default()
            };
            engine
                .admit(now, Caller::agent("acme", "bot"), &request, extra)
                .map(|reply| reply.invocation)
        };
        let unit = applied.unit.unwrap();
        let audit = unit.writes.iter().find(|write| write.family == family::AUDIT).unwrap();
        let (hash, record) = audit.value.as_ref().unwrap().split_at(32);
        vectors.push(serde_json::json!({
            "sequence": unit.last_sequence,
            "key": hex(&audit.key),
            "prev_hash": prev,
            "record": hex(record),
            "record_hash": hex(hash),
        }));
        prev = hex(hash);
    }
    let description = "record_hash = SHA-256(prev_hash ‖ record), first prev_hash 32 zero bytes; the stored value is \
                       record_hash ‖ record, its key the sequence as u64 big-endian. All bytes are hexadecimal.";
    let made = serde_json::json!({ "description": description, "vectors": vectors });
    if std::env::var_os("FAIRLEAD_WRITE_GOLDEN").is_some() {
        let path = format!("{}/../../tests/golden/chain.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    assert_eq!(golden("chain.json"), made);
}
