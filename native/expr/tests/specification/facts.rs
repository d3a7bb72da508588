//! How facts are shown to an expression: by reference, of any owner, with or without a type.

use std::borrow::Cow;

use fairlead_expr::{
    EvalErrorKind, Fields, List, ListView, Map, MapView, ObjectType, Program, Schema, Type, Value, Variables,
};

use crate::support::{compile, evaluate, facts, gives};

#[test]
fn results_borrow_from_the_facts() {
    let facts = facts();
    let program = compile("true ? labels.tier : ''", Type::String).unwrap();
    match program.evaluate(&facts).unwrap() {
        Value::Str(Cow::Borrowed(text)) => assert!(std::ptr::eq(text, facts.labels["tier"].as_str())),
        other => panic!("copied: {other:?}"),
    }
}

#[test]
fn foreign_containers_are_read_in_place() {
    gives(&[
        ("attributes.user.name", "\"Ada\""),
        ("attributes.tags[2]", "1.0"),
        ("attributes.size()", "4"),
        (
            "attributes",
            r#"{"count": 3.0, "none": null, "tags": ["a", "b", 1.0], "user": {"admin": true, "name": "Ada"}}"#,
        ),
    ]);
}

#[test]
fn a_variable_or_field_without_a_value_is_an_error_that_has_can_test() {
    assert_eq!(
        evaluate("absent == 1"),
        Err(EvalErrorKind::NoSuchVariable("absent".to_owned()))
    );
    let mut facts = facts();
    facts.request.min_quality = None;
    let read = |source: &str| {
        compile(source, Type::Bool)
            .unwrap()
            .evaluate_bool(&facts)
            .map_err(|error| error.kind)
    };
    assert_eq!(
        read("request.minQuality >= 0.85"),
        Err(EvalErrorKind::NoSuchKey("minQuality".to_owned()))
    );
    assert_eq!(read("has(request.minQuality) && request.minQuality >= 0.85"), Ok(false));
}

/// A caller may give a default for an unset field and still let `has` see that it is unset.
#[test]
fn has_may_differ_from_reading() {
    struct Defaults;
    impl Fields for Defaults {
        fn field(&self, _: &str) -> Option<Value<'_>> {
            Some(Value::Int(0))
        }
        fn has_field(&self, _: &str) -> bool {
            false
        }
    }
    impl Variables for Defaults {
        fn variable(&self, _: &str) -> Option<Value<'_>> {
            Some(Value::Object(self))
        }
    }
    let schema = Schema::new().with("o", Type::object(ObjectType::new("o").with("n", Type::Int)));
    let program = Program::compile("o.n == 0 && !has(o.n)", &schema, Type::Bool).unwrap();
    assert_eq!(program.evaluate_bool(&Defaults), Ok(true));
}

#[test]
fn views_of_the_callers_own_types() {
    struct Squares;
    impl ListView for Squares {
        fn get(&self, index: usize) -> Option<Value<'_>> {
            (index < 4).then(|| Value::Int((index * index) as i64))
        }
        fn len(&self) -> usize {
            4
        }
    }
    impl MapView for Squares {
        fn get(&self, key: &str) -> Option<Value<'_>> {
            (key == "two").then_some(Value::Int(4))
        }
        fn len(&self) -> usize {
            1
        }
        fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
            Box::new(std::iter::once("two"))
        }
    }
    impl Variables for Squares {
        fn variable(&self, name: &str) -> Option<Value<'_>> {
            match name {
                "list" => Some(Value::List(List::view(self))),
                _ => Some(Value::Map(Map::view(self))),
            }
        }
    }
    let schema = Schema::new()
        .with("list", Type::list(Type::Int))
        .with("map", Type::map(Type::Int));
    for (source, expected) in [
        ("list[3]", "9"),
        ("list.filter(x, x > 0)", "[1, 4, 9]"),
        ("map.two", "4"),
        ("has(map.three)", "false"),
        ("map.map(k, map[k])", "[4]"),
        ("map == {'two': 4}", "true"),
    ] {
        let program = Program::compile(source, &schema, Type::Dyn).unwrap();
        assert_eq!(program.evaluate(&Squares).unwrap().to_string(), expected, "{source}");
    }
}

#[test]
fn the_result_type_is_checked_at_load_or_for_dyn_at_run_time() {
    let facts = facts();
    assert_eq!(
        compile("request.model", Type::Dyn).unwrap().result_type(),
        &Type::String
    );
    assert_eq!(
        compile("[1].map(x, x > 0)", Type::list(Type::Bool))
            .unwrap()
            .result_type(),
        &Type::list(Type::Bool)
    );
    let dynamic = compile("attributes.user.admin", Type::Bool).unwrap();
    assert_eq!(dynamic.result_type(), &Type::Dyn);
    assert_eq!(dynamic.evaluate_bool(&facts), Ok(true));
    let error = compile("attributes.count", Type::Bool)
        .unwrap()
        .evaluate_bool(&facts)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 12: the expression gave double, but bool is expected here"
    );
    let error = compile("attributes.count", Type::Dyn)
        .unwrap()
        .evaluate_bool(&facts)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 12: the expression gave double, but bool is expected here"
    );
    let error = compile("1 + 1", Type::Bool).unwrap_err();
    assert_eq!(error.message, "the expression gives int, but bool is expected here");
    let error = compile("1", Type::Double).unwrap_err();
    assert_eq!(error.message, "the expression gives int, but double is expected here");
}

#[test]
fn values_are_equal_as_in_the_language() {
    assert_eq!(Value::Int(1), Value::Double(1.0));
    assert_ne!(Value::Int(1), Value::str("1"));
    assert_ne!(Value::Timestamp(1), Value::Duration(1));
}

#[test]
fn programs_are_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Program>();
}
