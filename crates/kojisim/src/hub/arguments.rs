//! Binding of a call's parameters to a method's signature, with Python's words when it does not fit.

use serde_json::{Map, Value};

/// What the hub refuses a call with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(code: i64, text: impl Into<String>) -> Fault {
        Fault { code, text: text.into() }
    }

    /// GenericError.
    pub(crate) fn generic(text: impl Into<String>) -> Fault {
        Fault::new(1000, text)
    }

    /// ActionNotAllowed.
    pub(crate) fn not_allowed(text: impl Into<String>) -> Fault {
        Fault::new(1004, text)
    }

    /// ParameterError.
    pub(crate) fn parameter(text: impl Into<String>) -> Fault {
        Fault::new(1019, text)
    }
}

/// The answer of a method.
pub(crate) type Answer = Result<Value, Fault>;

/// The signature of a method: the name that Python errors call it by, and its parameters. `name?` may be left out;
/// `*` at the end takes any keywords.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) python: &'static str,
    pub(crate) parameters: &'static str,
}

/// The parameters of a call by name. What was left out is nil.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments(Map<String, Value>);

const NIL: &Value = &Value::Null;

impl Arguments {
    /// Takes keywords out of the last parameter, then binds as Python does.
    pub(crate) fn bind(signature: Signature, mut params: Vec<Value>) -> Result<Arguments, Fault> {
        let mut keywords = Map::new();
        let marked = |last: &Value| match last.get("__starstar") {
            Some(Value::Bool(mark)) => *mark,
            Some(Value::Number(mark)) => mark.as_i64() != Some(0),
            _ => false,
        };
        if params.last().is_some_and(marked)
            && let Some(Value::Object(mut last)) = params.pop()
        {
            last.remove("__starstar");
            keywords = last;
        }
        let python = signature.python;
        let all: Vec<&str> = signature.parameters.split_whitespace().collect();
        let open = all.last() == Some(&"*");
        let parameters: Vec<&str> = all.into_iter().filter(|name| *name != "*").collect();
        // Methods of a class count the object itself.
        let itself = usize::from(python.contains('.'));
        if params.len() > parameters.len() {
            let required = parameters.iter().filter(|name| !name.ends_with('?')).count() + itself;
            let most = parameters.len() + itself;
            let given = params.len() + itself;
            let takes = if required == most {
                format!("takes {most} positional argument{}", if most == 1 { "" } else { "s" })
            } else {
                format!("takes from {required} to {most} positional arguments")
            };
            let were = if given == 1 { "was" } else { "were" };
            return Err(Fault::parameter(format!("{python}() {takes} but {given} {were} given")));
        }
        let mut bound = Map::new();
        for (parameter, value) in parameters.iter().zip(params) {
            bound.insert(parameter.trim_end_matches('?').to_owned(), value);
        }
        for (name, value) in keywords {
            if !open && !parameters.iter().any(|parameter| parameter.trim_end_matches('?') == name)
            {
                return Err(Fault::parameter(format!(
                    "{python}() got an unexpected keyword argument '{name}'"
                )));
            }
            if bound.contains_key(&name) {
                return Err(Fault::parameter(format!(
                    "{python}() got multiple values for argument '{name}'"
                )));
            }
            bound.insert(name, value);
        }
        let missing: Vec<String> = parameters
            .iter()
            .filter(|parameter| !parameter.ends_with('?') && !bound.contains_key(**parameter))
            .map(|parameter| format!("'{parameter}'"))
            .collect();
        match missing.as_slice() {
            [] => Ok(Arguments(bound)),
            [one] => Err(Fault::parameter(format!(
                "{python}() missing 1 required positional argument: {one}"
            ))),
            [first @ .., last] => Err(Fault::parameter(format!(
                "{python}() missing {} required positional arguments: {} and {last}",
                missing.len(),
                first.join(", ")
            ))),
        }
    }

    pub(crate) fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(NIL)
    }

    /// Whether it was given at all, even as nil.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).as_str().ok_or_else(|| wrong_type(self.get(name), "str"))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<i64, Fault> {
        self.get(name).as_i64().ok_or_else(|| wrong_type(self.get(name), "int"))
    }

    /// Python's idea of truth.
    pub(crate) fn truth(&self, name: &str) -> bool {
        truth(self.get(name))
    }
}

/// Python's idea of truth.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// ParameterError for a value of another type than expected.
pub(crate) fn wrong_type(value: &Value, expected: &str) -> Fault {
    let shown = match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    };
    let kind = kind(value);
    Fault::parameter(format!(
        "Invalid type for value '{shown}': <class '{kind}'>, expected type <class '{expected}'>"
    ))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int",
        Value::Number(_) => "float",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A value as Python's `repr` shows it.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("'{name}': {}", repr(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GET_TAG: Signature =
        Signature { python: "get_tag", parameters: "tagInfo strict? event? blocked?" };

    fn refusal(params: Vec<Value>) -> String {
        Arguments::bind(GET_TAG, params).unwrap_err().text
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_words_of_the_real_hub() {
        // From the captures fault.parameter-error, fault.parameter-error-kw and multicall.with-fault.
        assert_eq!(refusal(vec![]), "get_tag() missing 1 required positional argument: 'tagInfo'");
        assert_eq!(
            refusal(vec![json!("f40"), json!({"nosuchkw": 1, "__starstar": true})]),
            "get_tag() got an unexpected keyword argument 'nosuchkw'"
        );
        assert_eq!(
            refusal((1..=6).map(|number| json!(number)).collect()),
            "get_tag() takes from 1 to 4 positional arguments but 6 were given"
        );
    }

    #[test]
    fn only_a_marked_last_struct_is_keywords() {
        let bound =
            Arguments::bind(GET_TAG, vec![json!("f40"), json!({"strict": true, "__starstar": 1})])
                .unwrap();
        assert_eq!(bound.get("tagInfo"), &json!("f40"));
        assert!(bound.truth("strict"));
        let bound = Arguments::bind(GET_TAG, vec![json!({"a": 1})]).unwrap();
        assert_eq!(bound.get("tagInfo"), &json!({"a": 1}));
    }

    #[test]
    fn values_are_shown_as_by_python() {
        assert_eq!(repr(&json!({"a": 1})), "{'a': 1}");
        assert_eq!(repr(&json!("abc")), "'abc'");
        assert_eq!(
            wrong_type(&json!(5), "str").text,
            "Invalid type for value '5': <class 'int'>, expected type <class 'str'>"
        );
    }
}
