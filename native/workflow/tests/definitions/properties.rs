//! What holds for any text and any data.

use std::collections::BTreeMap;

use fairlead_workflow::{Definition, Json, read_payload};
use proptest::prelude::*;

use crate::support::{Data, agent, input_of, known, templated, workflow};

/// JSON values without expressions in them.
fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|number| Json::Number(number.to_string().into())),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| Json::Number(format!("{number:e}").into())),
        "[0-9]{1,30}"
            .prop_map(|digits| digits.trim_start_matches('0').to_owned())
            .prop_filter("not empty", |digits| !digits.is_empty())
            .prop_map(|digits| Json::Number(digits.into())),
        ".{0,12}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Json::Object),
        ]
    })
}

/// The value as a template that stands for itself.
fn escaped(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("${", "$${")),
        Json::Array(items) => Json::Array(items.iter().map(escaped).collect()),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, member)| (name.replace('$', "S"), escaped(member)));
            Json::Object(members.collect())
        }
        other => other.clone(),
    }
}

fn without_dollars(value: &Json) -> Json {
    match value {
        Json::Array(items) => Json::Array(items.iter().map(without_dollars).collect()),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, member)| (name.replace('$', "S"), without_dollars(member)));
            Json::Object(members.collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn data_goes_through_as_it_is(value in values()) {
        let mut data = Data::new("null");
        data.input = value.clone();
        for template in [r#""${input}""#, r#""${[input][0]}""#, r#""${input == null ? null : input}""#] {
            let definition = templated(template);
            let rendered = input_of(&definition, 2).render(&definition, &data).unwrap();
            let is_scalar = !matches!(value, Json::Array(_) | Json::Object(_));
            if template == r#""${input}""# || !is_scalar {
                prop_assert_eq!(&rendered, &value, "{}", template);
            }
        }
        let definition = templated(r#""${input}${''}""#);
        let text = input_of(&definition, 2).render_text(&definition, &data).unwrap();
        match &value {
            Json::String(own) => prop_assert_eq!(&text, own),
            other => prop_assert_eq!(text, other.to_text()),
        }
    }

    #[test]
    fn a_template_without_expressions_stands_for_itself(value in values()) {
        let definition = templated(&escaped(&value).to_text());
        let rendered = input_of(&definition, 2).render(&definition, &Data::new("null")).unwrap();
        prop_assert_eq!(rendered, without_dollars(&value));
    }

    #[test]
    fn rendering_is_deterministic_and_can_be_read_again(
        value in values(),
        template in prop::sample::select(vec![
            r#"{"a": "${input}", "b": ["${input}", "x ${input}"]}"#,
            r#""${input.a.b}""#,
            r#""${input.map(x, x)}""#,
            r#""${[input, {'k': input}]}""#,
            r#""${size(input)} ${run.labels}""#,
            r#""${input[0] + 1}""#,
        ]),
    ) {
        let mut data = Data::new("null");
        data.input = value;
        let definition = templated(template);
        let first = input_of(&definition, 2).render(&definition, &data);
        prop_assert_eq!(&first, &input_of(&definition, 2).render(&definition, &data));
        if let Ok(json) = first {
            let again = read_payload(json.to_text().as_bytes()).unwrap();
            prop_assert_eq!(again, json);
        }
    }

    /// Against the plain meaning of "needs": who can be reached.
    #[test]
    fn circles_and_reach_are_those_of_a_plain_search(edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..16)) {
        let mut needs: BTreeMap<usize, Vec<usize>> = (0..8).map(|step| (step, vec![])).collect();
        for (from, to) in edges {
            let list = needs.get_mut(&from).unwrap();
            if !list.contains(&to) {
                list.push(to);
            }
        }
        let reaches = |from: usize| {
            let mut seen = [false; 8];
            let mut next = needs[&from].clone();
            while let Some(step) = next.pop() {
                if !seen[step] {
                    seen[step] = true;
                    next.extend(&needs[&step]);
                }
            }
            seen
        };
        let has_circle = (0..8).any(|step| reaches(step)[step]);
        let steps = needs.iter().map(|(step, needs)| {
            let names: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            agent(&format!("s{step}"), &names, "")
        });
        match Definition::compile(&workflow(steps.collect()), &known()) {
            Ok(definition) => {
                prop_assert!(!has_circle);
                for step in 0..8 {
                    let downstream = definition.downstream(step);
                    for (other, is_downstream) in downstream.into_iter().enumerate() {
                        prop_assert_eq!(is_downstream, reaches(other)[step]);
                    }
                }
            }
            Err(violations) => {
                prop_assert!(has_circle, "{violations:?}");
                prop_assert_eq!(violations.len(), 1);
                prop_assert!(violations[0].message.starts_with("go round in a circle: s"));
            }
        }
    }
}
