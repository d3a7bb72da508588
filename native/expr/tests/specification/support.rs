//! Facts like those of a model call, and the checks of the tables.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fairlead_expr::{
    CompileError, EvalErrorKind, Fields, ForeignList, ForeignMap, List, Map, ObjectType, Program, Schema, Type, Value,
    Variables,
};

/// Untyped data as another crate would define it, such as a protobuf `Struct`.
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
}

impl Json {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Double(*value),
            Self::Text(text) => Value::str(text),
            Self::List(list) => Value::List(List::foreign::<JsonList>(list)),
            Self::Map(map) => Value::Map(Map::foreign::<JsonMap>(map)),
        }
    }
}

enum JsonMap {}

impl ForeignMap for JsonMap {
    type Data = BTreeMap<String, Json>;

    fn get<'a>(data: &'a Self::Data, key: &str) -> Option<Value<'a>> {
        data.get(key).map(Json::value)
    }

    fn len(data: &Self::Data) -> usize {
        data.len()
    }

    fn keys(data: &Self::Data) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(data.keys().map(String::as_str))
    }
}

enum JsonList {}

impl ForeignList for JsonList {
    type Data = Vec<Json>;

    fn get(data: &Self::Data, index: usize) -> Option<Value<'_>> {
        data.get(index).map(Json::value)
    }

    fn len(data: &Self::Data) -> usize {
        data.len()
    }
}

pub struct Request {
    pub model: String,
    pub input_tokens: i64,
    pub min_quality: Option<f64>,
    pub capabilities: Vec<String>,
}

impl Fields for Request {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "model" => Some(Value::str(&self.model)),
            "inputTokens" => Some(Value::Int(self.input_tokens)),
            "minQuality" => self.min_quality.map(Value::Double),
            "capabilities" => Some(Value::List(List::strings(&self.capabilities))),
            "stream" => Some(Value::Bool(true)),
            _ => None,
        }
    }
}

pub struct Facts {
    pub labels: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, Json>,
    pub request: Request,
    pub digest: Vec<u8>,
    /// 2026-01-31T12:34:56.789Z, a Saturday.
    pub now: i64,
}

impl Variables for Facts {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "labels" => Some(Value::Map(Map::strings(&self.labels))),
            "attributes" => Some(Value::Map(Map::foreign::<JsonMap>(&self.attributes))),
            "request" => Some(Value::Object(&self.request)),
            "digest" => Some(Value::Bytes(Cow::Borrowed(&self.digest))),
            "now" => Some(Value::Timestamp(self.now)),
            _ => None,
        }
    }
}

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub fn facts() -> Facts {
    let text = |text: &str| Json::Text(text.to_owned());
    let user = BTreeMap::from([("name".to_owned(), text("Ada")), ("admin".to_owned(), Json::Bool(true))]);
    Facts {
        labels: BTreeMap::from([
            ("tier".to_owned(), "free".to_owned()),
            ("team".to_owned(), "käse".to_owned()),
        ]),
        attributes: BTreeMap::from([
            ("count".to_owned(), Json::Number(3.0)),
            ("none".to_owned(), Json::Null),
            ("user".to_owned(), Json::Map(user)),
            (
                "tags".to_owned(),
                Json::List(vec![text("a"), text("b"), Json::Number(1.0)]),
            ),
        ]),
        request: Request {
            model: "big".to_owned(),
            input_tokens: 1_200,
            min_quality: Some(0.9),
            capabilities: texts(&["tools", "vision"]),
        },
        digest: vec![0xff, b'a'],
        now: 1_769_862_896_789_000_000,
    }
}

pub fn schema() -> Schema {
    let request = ObjectType::new("request")
        .with("model", Type::String)
        .with("inputTokens", Type::Int)
        .with("minQuality", Type::Double)
        .with("stream", Type::Bool)
        .with("capabilities", Type::list(Type::String));
    Schema::new()
        .with("labels", Type::map(Type::String))
        .with("attributes", Type::map(Type::Dyn))
        .with("request", Type::object(request))
        .with("digest", Type::Bytes)
        .with("now", Type::Timestamp)
        .with("absent", Type::Int)
}

pub fn compile(source: &str, expected: Type) -> Result<Program, CompileError> {
    Program::compile(source, &schema(), expected)
}

/// What an expression gives over the facts above: its value in written form.
pub fn evaluate(source: &str) -> Result<String, EvalErrorKind> {
    let program = compile(source, Type::Dyn).unwrap_or_else(|error| panic!("{source}: {error}"));
    program
        .evaluate(&facts())
        .map(|value| value.to_string())
        .map_err(|error| error.kind)
}

/// Each expression gives the value written beside it.
pub fn gives(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(evaluate(source).as_deref(), Ok(*expected), "{source}");
    }
}

/// Each expression compiles and then fails like this.
pub fn fails(table: &[(&str, EvalErrorKind)]) {
    for (source, expected) in table {
        assert_eq!(evaluate(source).as_ref(), Err(expected), "{source}");
    }
}

/// Each expression fails with a message that contains the text beside it.
pub fn fails_saying(table: &[(&str, &str)]) {
    for (source, expected) in table {
        let message = evaluate(source).expect_err(source).to_string();
        assert!(message.contains(expected), "{source}: {message}");
    }
}

/// Each expression is refused when it is compiled, with a message that contains the text beside it.
pub fn refused(table: &[(&str, &str)]) {
    for (source, expected) in table {
        let message = compile(source, Type::Dyn).expect_err(source).message;
        assert!(message.contains(expected), "{source}: {message}");
        let first = message.chars().next().unwrap();
        assert!(!first.is_uppercase(), "messages are lower-case: {message}");
    }
}
