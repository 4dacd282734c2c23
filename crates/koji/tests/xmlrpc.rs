//! The codec against the wire: captured bodies of a real hub and client, Python's own implementation as a judge, and
//! bodies that nobody should send.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod captures_on_disk;

use std::path::Path;
use std::process::Command;

use koji::xmlrpc::{
    Fault, Limits, MethodCall, Struct, Value, answers, calls_of_multicall, decode_call,
    decode_response, encode_call, encode_response, entry_of_answer, is_multicall, multicall,
};
use proptest::prelude::*;

use self::captures_on_disk::captures;

fn call(body: &str) -> Result<MethodCall, String> {
    decode_call(body.as_bytes(), Limits::REQUEST).map_err(|error| error.to_string())
}

/// The value that stands inside `<value>...</value>`.
fn value(inside: &str) -> Result<Value, String> {
    let body = format!(
        "<methodResponse><params><param><value>{inside}</value></param></params></methodResponse>"
    );
    match decode_response(body.as_bytes(), Limits::RESPONSE) {
        Ok(response) => Ok(response.unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

// What a real client and hub sent

#[test]
fn every_captured_body_decodes_and_reencodes_to_the_same() {
    let (mut calls, mut responses) = (0, 0);
    for capture in captures() {
        if capture.http != 200 {
            continue;
        }
        let call = decode_call(&capture.request, Limits::REQUEST).expect(&capture.name);
        assert_eq!(call.method, capture.method, "{}", capture.name);
        assert_eq!(decode_call(&encode_call(&call), Limits::REQUEST).unwrap(), call);
        calls += 1;

        let response = decode_response(&capture.response, Limits::RESPONSE).expect(&capture.name);
        let again = decode_response(&encode_response(&response), Limits::RESPONSE).unwrap();
        assert_eq!(again, response, "{}", capture.name);
        match (&response, capture.fault_code()) {
            (Err(fault), Some(code)) => assert_eq!(fault.code, code, "{}", capture.name),
            (Ok(_), None) => {}
            other => panic!("{}: {other:?}", capture.name),
        }
        responses += 1;
    }
    assert!(calls > 270 && responses == calls, "{calls} calls, {responses} answers");
}

#[test]
fn bodies_are_laid_out_as_koji_lays_them_out_byte_for_byte() {
    // The order of members is free: bodies whose members came in order of their names must come out unchanged, the others
    // with the same length.
    let mut same = 0;
    for capture in captures() {
        if capture.http != 200 || capture.name == "http.base64-dateTime" {
            continue;
        }
        let response = decode_response(&capture.response, Limits::RESPONSE).unwrap();
        let ours = encode_response(&response);
        assert_eq!(ours.len(), capture.response.len(), "{}", capture.name);
        same += usize::from(ours == capture.response);
    }
    assert!(same > 130, "{same}");
}

#[test]
fn what_a_hub_refuses_as_unreadable_is_refused_here_too() {
    let refused: Vec<_> = captures().into_iter().filter(|capture| capture.http == 400).collect();
    assert_eq!(refused.len(), 4);
    for capture in refused {
        assert!(decode_call(&capture.request, Limits::REQUEST).is_err(), "{}", capture.name);
    }
}

#[test]
fn python_reads_our_bodies_as_it_reads_its_own() {
    let directory = tempfile::tempdir().unwrap();
    oracle("generate", directory.path());
    for (number, capture) in captures().iter().filter(|capture| capture.http == 200).enumerate() {
        std::fs::write(directory.path().join(format!("q{number}.xml")), &capture.request).unwrap();
        std::fs::write(directory.path().join(format!("r{number}.xml")), &capture.response).unwrap();
    }
    let mut bodies = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let body = std::fs::read(&path).unwrap();
        let ours = match decode_response(&body, Limits::RESPONSE) {
            Ok(response) => encode_response(&response),
            Err(_) => encode_call(&decode_call(&body, Limits::REQUEST).unwrap()),
        };
        // Base64 is read as its text, which Python tells from a string.
        if String::from_utf8_lossy(&body).contains("<base64>") {
            std::fs::remove_file(path).unwrap();
            continue;
        }
        std::fs::write(path.with_extension("out.xml"), ours).unwrap();
        bodies += 1;
    }
    assert!(bodies > 800, "{bodies}");
    assert_eq!(oracle("compare", directory.path()).trim(), bodies.to_string());
}

fn oracle(step: &str, directory: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
    let output = Command::new("python3").arg(script).arg(step).arg(directory).output();
    let output = output.unwrap_or_else(|error| {
        panic!("this test needs python3 (Debian and Fedora: package python3): {error}")
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// Types

#[test]
fn every_type_is_read_in_every_form_that_is_sent() {
    for (inside, expected) in [
        ("<int>-5</int>", Value::Int(-5)),
        ("<i4>5</i4>", Value::Int(5)),
        ("<i8>9223372036854775807</i8>", Value::Int(i64::MAX)),
        ("<int>9000000000</int>", Value::Int(9_000_000_000)),
        ("<i1>1</i1>", Value::Int(1)),
        ("<i2>2</i2>", Value::Int(2)),
        ("<biginteger>3</biginteger>", Value::Int(3)),
        ("<boolean>1</boolean>", Value::Bool(true)),
        ("<boolean>0</boolean>", Value::Bool(false)),
        ("<double>1e+300</double>", Value::Double(1e300)),
        ("<double>1</double>", Value::Double(1.0)),
        ("<nil/>", Value::Nil),
        ("<nil></nil>", Value::Nil),
        ("<ex:nil/>", Value::Nil),
        ("<string></string>", "".into()),
        ("<string/>", "".into()),
        ("", "".into()),
        ("bare text", "bare text".into()),
        (" ", " ".into()),
        ("<string> a  b </string>", " a  b ".into()),
        ("<string>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</string>", "<&>\"'AB".into()),
        ("<string><![CDATA[<b>&amp;]]></string>", "<b>&amp;".into()),
        ("<string>a<!-- no -->b</string>", "ab".into()),
        ("<string>cr\r\nlf\rx</string>", "cr\nlf\nx".into()),
        ("<string>&#13;</string>", "\r".into()),
        ("\n<int>\n 7 \n</int>\n", Value::Int(7)),
        ("<array><data/></array>", Value::Array(vec![])),
        ("<struct/>", Struct::new().into()),
        ("<dateTime.iso8601>20240101T01:02:03</dateTime.iso8601>", "20240101T01:02:03".into()),
        ("<base64>\naGVs\nbG8=\n</base64>", "aGVsbG8=".into()),
    ] {
        assert_eq!(value(inside), Ok(expected), "{inside}");
    }
}

#[test]
fn of_two_members_of_one_name_the_later_counts() {
    let twice = "<struct><member><name>a</name><value>1</value></member>\
                 <member><name>b</name><value>2</value></member>\
                 <member><name>a</name><value>3</value></member></struct>";
    let expected = Struct::from([("a", "3".into()), ("b", "2".into())]);
    assert_eq!(value(twice), Ok(expected.into()));
}

#[test]
fn values_are_written_as_koji_writes_them() {
    for (value, expected) in [
        (Value::Nil, "<value><nil/></value>"),
        (i64::from(i32::MAX).into(), "<value><int>2147483647</int></value>\n"),
        ((i64::from(i32::MAX) + 1).into(), "<value><i8>2147483648</i8></value>\n"),
        (i64::from(i32::MIN).into(), "<value><int>-2147483648</int></value>\n"),
        (1.0.into(), "<value><double>1.0</double></value>\n"),
        (1795351245.53503.into(), "<value><double>1795351245.53503</double></value>\n"),
        (1e300.into(), "<value><double>1e+300</double></value>\n"),
        (1.5e-5.into(), "<value><double>1.5e-05</double></value>\n"),
        (0.0001.into(), "<value><double>0.0001</double></value>\n"),
        (1e16.into(), "<value><double>1e+16</double></value>\n"),
        (1e15.into(), "<value><double>1000000000000000.0</double></value>\n"),
        ("a<&>\"'".into(), "<value><string>a&lt;&amp;&gt;\"'</string></value>\n"),
        (Struct::new().into(), "<value><struct>\n</struct></value>\n"),
        (Value::Array(vec![]), "<value><array><data>\n</data></array></value>\n"),
    ] {
        let body = String::from_utf8(encode_response(&Ok(value))).unwrap();
        assert!(body.contains(&format!("<param>\n{expected}</param>")), "{expected}: {body}");
    }
}

#[test]
fn characters_that_xml_cannot_hold_are_replaced() {
    let text = Value::from("a\0b\u{b}c\u{ffff}d\re");
    let body = encode_response(&Ok(text));
    let again = decode_response(&body, Limits::RESPONSE).unwrap().unwrap();
    assert_eq!(again, "a\u{fffd}b\u{fffd}c\u{fffd}d\re".into());
}

// Calls

#[test]
fn a_call_may_lack_parameters() {
    let bare = "<?xml version=\"1.0\"?><methodCall><methodName>x</methodName></methodCall>";
    assert_eq!(call(bare).unwrap(), MethodCall::new("x", vec![]));
}

#[test]
fn keywords_travel_as_a_marked_struct_at_the_end() {
    let call = MethodCall::new("build", vec!["src".into(), Struct::new().into()])
        .with_keywords(Struct::new().with("priority", 30));
    assert_eq!(call.params.len(), 3);
    assert_eq!(call.params[2].get("__starstar"), Some(&Value::Bool(true)));
    let (positional, keywords) = call.arguments();
    assert_eq!(positional, ["src".into(), Struct::new().into()]);
    assert_eq!(keywords, Struct::new().with("priority", 30));

    assert!(MethodCall::new("x", vec![]).with_keywords(Struct::new()).params.is_empty());
}

#[test]
fn only_a_last_struct_with_a_true_mark_is_keywords() {
    let marked = |mark: Value| Value::from(Struct::from([("a", 1.into()), ("__starstar", mark)]));
    for params in [
        vec![marked(true.into()), 1.into()],
        vec![marked(false.into())],
        vec![marked(Value::Nil)],
        vec![Struct::new().with("a", 1).into()],
        vec![],
    ] {
        let call = MethodCall::new("x", params.clone());
        assert_eq!(call.arguments(), (params, Struct::new()));
    }
    let call = MethodCall::new("x", vec![marked(1.into())]);
    assert_eq!(call.arguments(), (vec![], Struct::new().with("a", 1)));
}

#[test]
fn many_calls_go_in_one_and_their_answers_come_in_one() {
    let calls = vec![
        MethodCall::new("getTag", vec!["f40".into()]),
        MethodCall::new("listPackages", vec![]).with_keywords(Struct::new().with("tagID", "f40")),
    ];
    let sent = multicall(calls.clone());
    assert!(is_multicall(&sent.method) && is_multicall("system.multicall"));
    let taken: Vec<_> =
        calls_of_multicall(&sent).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(taken, calls);

    let given = vec![Ok(Value::Nil), Err(Fault::new(1000, "no"))];
    let result = Value::Array(given.iter().cloned().map(entry_of_answer).collect());
    assert_eq!(answers(result, 2).unwrap(), given);
}

#[test]
fn malformed_multicalls_are_told_apart_by_entry() {
    let entries = Value::Array(vec![
        5.into(),
        Struct::new().with("methodName", "x").into(),
        Struct::from([("methodName", "x".into()), ("params", Value::Array(vec![]))]).into(),
    ]);
    let calls = calls_of_multicall(&MethodCall::new("multiCall", vec![entries])).unwrap();
    assert_eq!(calls.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, true]);
    assert!(calls_of_multicall(&MethodCall::new("multiCall", vec![])).is_err());

    for wrong in [
        Value::Nil,
        Value::Array(vec![]),
        Value::Array(vec![Value::Nil]),
        Value::Array(vec![Value::Array(vec![])]),
        Value::Array(vec![Value::Array(vec![Value::Nil, Value::Nil])]),
        Value::Array(vec![Struct::new().with("faultCode", 1).into()]),
    ] {
        assert!(answers(wrong.clone(), 1).is_err(), "{wrong:?}");
    }
}

// What nobody should send

#[test]
fn broken_bodies_are_refused_with_a_reason() {
    let response = |inside: &str| format!("<methodResponse>{inside}</methodResponse>");
    let param = |inside: &str| response(&format!("<params><param>{inside}</param></params>"));
    for (body, reason) in [
        (String::new(), "the body ends too early"),
        ("hello".to_owned(), "text between elements"),
        ("<html></html>".to_owned(), "an unknown element where <methodResponse> should be"),
        ("<methodResponse>".to_owned(), "the body ends too early"),
        (response(""), "the end of an element where <params> or <fault> should be"),
        (response("<params></params>"), "an answer must have exactly one value"),
        (
            response("<params><param><value/></param><param><value/></param></params>"),
            "an answer must have exactly one value",
        ),
        (
            response("<fault><value><int>1</int></value></fault>"),
            "the fault lacks its code or text",
        ),
        (param("<value><int>x</int></value>"), "an int outside 64 bits, or none at all"),
        (
            param("<value><i8>9223372036854775808</i8></value>"),
            "an int outside 64 bits, or none at all",
        ),
        (param("<value><int></int></value>"), "an int outside 64 bits, or none at all"),
        (param("<value><boolean>2</boolean></value>"), "a boolean that is neither 0 nor 1"),
        (param("<value><double>many</double></value>"), "a double that is no number"),
        (param("<value><complex>1</complex></value>"), "an unknown element is no type of a value"),
        (param("<value><int>1</int><int>2</int></value>"), "<int> where an element should end"),
        (param("<value>text<int>1</int></value>"), "text before a typed value"),
        (param("<value><array><int>1</int></array></value>"), "<int> where <data> should be"),
        (param("<value><struct><value/></struct></value>"), "<value> where <member> should be"),
        (param("<value>&nosuch;</value>"), "an entity that XML does not define"),
        (param("<value>&#0;</value>"), "broken character reference"),
        (param("<value><int>1</value></int>"), "broken XML"),
        (param("<value/>") + "<more/>", "something follows the end of the body"),
    ] {
        let error = decode_response(body.as_bytes(), Limits::RESPONSE).expect_err(&body);
        assert!(error.to_string().contains(reason), "{body}: {error}");
    }
    let error = decode_response(b"<methodResponse>\xff", Limits::RESPONSE).unwrap_err();
    assert_eq!(error.to_string(), "the body is not UTF-8 (at byte 16)");
}

#[test]
fn entities_are_never_defined_or_expanded() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\
                <methodCall><methodName>&b;</methodName></methodCall>";
    assert!(call(bomb).unwrap_err().contains("a DOCTYPE is not allowed"));
    let external = "<!DOCTYPE methodCall SYSTEM \"http://example.org/x\"><methodCall/>";
    assert!(call(external).unwrap_err().contains("a DOCTYPE is not allowed"));
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        format!(
            "{}{}",
            "<array><data><value>".repeat(depth),
            "</value></data></array>".repeat(depth)
        )
    };
    assert!(value(&nested(100)).is_ok());
    assert!(value(&nested(101)).unwrap_err().contains("nested deeper than 100"));
    assert!(value(&nested(200_000)).unwrap_err().contains("nested deeper than 100"));

    let limits = Limits { bytes: 10, depth: 5 };
    let error = decode_call(b"<methodCall/>", limits).unwrap_err();
    assert!(error.to_string().contains("13 bytes, more than the limit of 10"), "{error}");
}

#[test]
fn a_message_about_a_broken_body_quotes_nothing_of_it() {
    let body = "<methodResponse><params><param><value><int>secret</int></value></param></params>";
    let error = decode_response(body.as_bytes(), Limits::RESPONSE).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let body = encode_response(&Ok(Struct::from([
        ("a", Value::Array(vec![Value::Nil, "žluť & kůň".into()])),
        ("b", 1.5.into()),
    ])
    .into()));
    let end = body.len() - "\n".len();
    for length in 0..end {
        assert!(decode_response(&body[..length], Limits::RESPONSE).is_err(), "{length}");
    }
    assert!(decode_response(&body[..end], Limits::RESPONSE).is_ok());
}

// Laws

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~\u{a0}-\u{d7ff}\u{10000}-\u{10ffff}\n\t\r]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter("NaN equals nothing", |v| !v.is_nan()).prop_map(Value::Double),
        text.prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((text, inner), 0..6)
                .prop_map(|members| Value::Struct(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_value(), method in "[a-zA-Z.]{1,20}") {
        let call = MethodCall::new(method, vec![value.clone(), Value::Nil]);
        prop_assert_eq!(decode_call(&encode_call(&call), Limits::REQUEST).unwrap(), call);
        let response = Ok(value);
        prop_assert_eq!(decode_response(&encode_response(&response), Limits::RESPONSE).unwrap(), response);
    }

    #[test]
    fn no_body_makes_the_decoder_panic(
        body in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let _ = decode_call(&body, Limits::REQUEST);
        let mut changed = encode_response(&Ok(value));
        let at = cut.index(changed.len());
        changed.splice(at..at, body);
        let _ = decode_response(&changed, Limits::RESPONSE);
    }
}
