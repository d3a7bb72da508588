//! Idempotency keys: two actions that are not the same must never have the same key.

use crate::support::{Data, agent, compile, for_each, refuses, with, workflow};

fn key(template: &str, data: &Data) -> Result<String, String> {
    let step = with(agent("pay", &[], ""), |task| task.idempotency_key = template.to_owned());
    let definition = compile(&workflow(vec![step]));
    let key = definition.steps[0].task.key.as_ref().unwrap();
    key.render_key(&definition, data).map_err(|error| error.to_string())
}

#[test]
fn a_key_comes_from_the_business() {
    let data = Data::new(r#"{"invoice": "A-7", "amount": 10.50, "none": null, "list": [], "empty": ""}"#);
    assert_eq!(
        key(r#""pay/${input.invoice}/${input.amount}""#, &data),
        Ok("pay/A-7/10.50".to_owned())
    );
    assert_eq!(key(r#""${input.invoice}""#, &data), Ok("A-7".to_owned()));
    assert_eq!(
        key(r#""pay/${input.none}""#, &data),
        Err("${input.none} cannot be rendered: is null, which is no part of an idempotency key".to_owned())
    );
    let list = key(r#""pay/${input.list}""#, &data).unwrap_err();
    assert!(list.contains("is a list"), "{list}");
    let absent = key(r#""pay/${input.nope}""#, &data).unwrap_err();
    assert!(absent.contains("no such key `nope`"), "{absent}");
    let empty = key(r#""${input.empty}""#, &data).unwrap_err();
    assert_eq!(empty, "the idempotency key has 0 bytes: it must have 1 to 512");
}

#[test]
fn a_key_is_bounded() {
    let data = Data::new(&format!("\"{}\"", "k".repeat(512)));
    assert_eq!(key(r#""${input}""#, &data).map(|key| key.len()), Ok(512));
    assert!(key(r#""x${input}""#, &data).is_err());
}

#[test]
fn items_need_keys_of_their_own() {
    let step = |key: &str| {
        let step = with(agent("pay", &[], ""), |task| task.idempotency_key = key.to_owned());
        vec![for_each(r#""${input.list}""#, step)]
    };
    compile(&workflow(step(r#""pay/${item.id}""#)));
    compile(&workflow(step(r#""pay/${input.id}/${index}""#)));
    refuses(
        step(r#""pay/${input.id}""#),
        &["steps[0].idempotencyKey: reads neither item nor index: all items would get the result of the first"],
    );
}
