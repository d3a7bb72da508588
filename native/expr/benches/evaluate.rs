//! Nanoseconds of one evaluation over borrowed facts: `cargo bench -p fairlead-expr`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use fairlead_expr::{Fields, Map, ObjectType, Program, Schema, Type, Value, Variables};

struct Facts {
    labels: BTreeMap<String, String>,
    min_quality: f64,
}

impl Fields for Facts {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        (name == "minQuality").then_some(Value::Double(self.min_quality))
    }
}

impl Variables for Facts {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "labels" => Some(Value::Map(Map::strings(&self.labels))),
            "request" => Some(Value::Object(self)),
            _ => None,
        }
    }
}

fn main() {
    let schema = Schema::new().with("labels", Type::map(Type::String)).with(
        "request",
        Type::object(ObjectType::new("request").with("minQuality", Type::Double)),
    );
    let labels = ["team", "tier", "region", "app"].map(|key| (key.to_owned(), "free".to_owned()));
    let facts = Facts {
        labels: labels.into(),
        min_quality: 0.9,
    };
    for source in [
        r#"labels.tier == "free""#,
        r#"request.minQuality >= 0.85 && labels.tier == "free""#,
        r#"labels.tier in ["paid", "trial", "free"]"#,
        r#"labels.tier.matches("^fr[e]+$")"#,
        r#"labels.exists(key, labels[key] == "none")"#,
    ] {
        let program = Program::compile(source, &schema, Type::Bool).expect("compiles");
        // The best of some rounds: what disturbs a round only makes it slower.
        let round = || {
            const CALLS: u32 = 100_000;
            let start = Instant::now();
            for _ in 0..CALLS {
                let _ = black_box(program.evaluate_bool(black_box(&facts)));
            }
            start.elapsed().as_nanos() / u128::from(CALLS)
        };
        let best = (0..20).map(|_| round()).min().unwrap_or_default();
        println!("{best:>6} ns  {source}");
    }
}
