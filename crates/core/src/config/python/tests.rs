//! The reader against Python itself: whatever both accept is the same value, and whatever an operator may have written is
//! accepted. Python is only ever given what the reader has accepted, because that can compute nothing but a dict.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::*;

/// Reads a list of programs, and says what each assigns to `config` in a form that keeps types and the order of keys.
const JUDGE: &str = r#"
import json, struct, sys
def tell(value):
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", struct.pack(">d", value).hex()]
    if isinstance(value, str):
        return ["text", value]
    if isinstance(value, (list, tuple)):
        return ["list", [tell(item) for item in value]]
    return ["dict", [[key, tell(item)] for key, item in value.items()]]
answers = []
for source in json.load(sys.stdin):
    world = {}
    try:
        exec(compile(source.encode(), "config.cfg", "exec"), world)
        answers.append(tell(world["config"]))
    except Exception as error:
        answers.append("refused: " + repr(error))
json.dump(answers, sys.stdout)
"#;

/// What Python reads.
fn python(sources: &[String]) -> Vec<Value> {
    let mut child = Command::new("python3")
        .args(["-W", "ignore", "-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 judges how its syntax is read: scripts/install-deps test installs it");
    let question = serde_json::to_string(sources).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let asking = std::thread::spawn(move || stdin.write_all(question.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    asking.join().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), sources.len());
    answers
}

fn tell(literal: &Literal) -> Value {
    match literal {
        Literal::None => Value::Null,
        Literal::Boolean(truth) => json!(truth),
        Literal::Integer(number) => json!(["int", number.to_string()]),
        Literal::Float(number) => json!(["float", format!("{:016x}", number.to_bits())]),
        Literal::Text(text) => json!(["text", text]),
        Literal::List(items) => {
            json!(["list", items.iter().map(|(_, item)| tell(item)).collect::<Vec<_>>()])
        }
        Literal::Dict(dict) => {
            let pairs = dict.pairs.iter().map(|pair| json!([pair.key, tell(&pair.value)]));
            json!(["dict", pairs.collect::<Vec<_>>()])
        }
    }
}

fn ours(source: &str) -> Result<Value, Refusal> {
    let file = read(source)?;
    Ok(tell(&Literal::Dict(file.config)))
}

/// Asserts that each is read, and as Python reads it.
fn read_alike(sources: &[String]) {
    let read: Vec<Value> = sources
        .iter()
        .map(|source| ours(source).unwrap_or_else(|refusal| panic!("{refusal:?}\n{source}")))
        .collect();
    for ((source, ours), python) in sources.iter().zip(&read).zip(python(sources)) {
        assert_eq!(*ours, python, "{source}");
    }
}

const OLD_FILES: [&str; 3] = [
    include_str!("../../../tests/old-installation/config.cfg"),
    include_str!("../../../tests/old-installation/config-backend.cfg"),
    include_str!("../../../tests/old-installation/config-frontend.cfg"),
];

#[test]
fn files_of_an_old_installation_are_read_as_python_reads_them() {
    read_alike(&OLD_FILES.map(str::to_owned));
    let other_ends = |end: &str| OLD_FILES.map(|file| file.replace('\n', end));
    read_alike(&other_ends("\r\n"));
    read_alike(&other_ends("\r"));
}

#[test]
fn every_way_to_write_a_value_is_read_as_python_reads_it() {
    let values = [
        // Numbers.
        "0",
        "00",
        "1_000",
        "0x_ff",
        "0XfF",
        "0o17",
        "0b1_0",
        "9223372036854775807",
        "1.",
        ".5",
        "1.5e3",
        "1e-5",
        "1_0.0_1e1_0",
        "-1",
        "--1",
        "-+-1",
        "60 * 60",
        "2 + 3 * 4",
        "(2 + 3) * 4",
        "2 - 3 - 4",
        "-2 * -3",
        "1.5 * 2",
        "2 * 1.5 - 1",
        "0.1 + 0.2",
        "9007199254740993 * 1.0",
        "-0.0",
        "5e-324",
        // Text.
        r#""a""#,
        "'a'",
        r#""it's""#,
        r#"'say "yes"'"#,
        r#""""three "" marks""""#,
        "'''two\nlines'''",
        r#""""\
dedented\
""""#,
        r#"r"\d+\.""#,
        r#"R'\''"#,
        r#"u"ü""#,
        r#""\x41\u00e4\U0001f600\101\0\8""#,
        r#""\a\b\f\n\r\t\v\\\'\"""#,
        r#""\d\ \%""#,
        r#""a" "b" 'c'"#,
        r#""a" + "b""#,
        r#""a" "b" + "c" r"\d""#,
        "(\"a\" # first\n  \"b\")",
        "\"a\\\nb\"",
        "\"a\" \\\n\"b\"",
        "\"\"",
        r#""\777""#,
        r#""tab	and non-ascii €""#,
        // The others.
        "True",
        "False",
        "None",
        "[]",
        "[1]",
        "[1, 2,]",
        "()",
        "(1,)",
        "(1)",
        "((1))",
        "(1, 2)",
        "[[], [()]]",
        "{}",
        r#"{"a": {"b": {}}}"#,
        r#"{"a" "b": 1, "c" + "d": 2}"#,
        r#"{("a"): 1}"#,
        r#"{"a": 1, "b": 2, "a": 3}"#,
        "[\n\n# nothing\n]",
        "[\t1\x0c,\n2 # two\n,]",
    ];
    let sources: Vec<String> =
        values.iter().map(|value| format!("config = {{'value': {value}}}\n")).collect();
    read_alike(&sources);
    let files = [
        "config={}",
        "config = {}\n\n",
        "\n\n# first\nconfig = {}",
        "config = \\\n{}",
        "config = ({'a': 1})",
        "config = {};\n",
        "\u{feff}config = {}\n",
        "config = {\n'a':\n1\n,\n}\n   # indented\n",
        "config = {} # last",
    ];
    read_alike(&files.map(str::to_owned));
}

#[test]
fn what_is_beyond_a_dict_literal_is_refused_with_line_and_remedy() {
    let remedy = "config is a dict of text, numbers (with + - *), True, False, None, lists, tuples and dicts: write the \
                  value itself";
    for (source, line, what) in [
        ("import os\nconfig = {}\n", 1, "import"),
        ("config = {}\nconfig['a'] = 1\n", 2, "anything done with config but one assignment"),
        ("base = {}\nconfig = {}\n", 1, "base"),
        ("config = {\n'a': os.environ['A'],\n}", 2, "os"),
        ("config = {\n'a': 'b'.upper(),\n}", 2, "a method"),
        ("config = {\n'a': 'b' % 3,\n}", 2, "the operator %"),
        ("config = {\n'a': 'b' * 3,\n}", 2, "text * a number"),
        ("config = {\n'a': [1] + [2],\n}", 2, "a list + a list"),
        ("config = {\n'a': 10**10**10,\n}", 2, "the operator **"),
        ("config = {\n'a': 7 / 2,\n}", 2, "the operator /"),
        ("config = {\n'a': 7 // 2,\n}", 2, "the operator //"),
        ("config = {\n'a': f'{b}',\n}", 2, "an f-string"),
        ("config = {\n'a': b'c',\n}", 2, "text of bytes (b\"...\")"),
        ("config = {\n'a': '\\N{DASH}',\n}", 2, "a character by its name (\\N{...})"),
        ("config = {\n'a': {1, 2},\n}", 2, ""),
        ("config = {\n'a': {'b', 'c'},\n}", 2, "a set ({...} without colons)"),
        ("config = {\n**base,\n}", 2, "another dict taken in with **"),
        ("config = {\n'a': 1 if True else 2,\n}", 2, "if behind a value"),
        ("config = {\n'a': [x for x in (1, 2)],\n}", 2, "x"),
        ("config = {\n'a': not True,\n}", 2, "not"),
        ("config = {\n'a': -'b',\n}", 2, "a sign before text"),
        ("config = dict(a=1)\n", 1, "dict"),
        ("config = {} | {}\n", 1, "the operator |"),
        ("config = {}, {}\n", 1, ", behind the dict"),
    ] {
        let refusal = read(source).expect_err(source);
        assert_eq!(refusal.line, line, "{source}: {}", refusal.problem);
        if what.is_empty() {
            assert_eq!(refusal.problem, "a key must be text, not a number");
        } else {
            assert!(
                refusal.problem.starts_with(&format!("{what} cannot be read; ")),
                "{}",
                refusal.problem
            );
            assert!(refusal.problem.ends_with(remedy), "{}", refusal.problem);
        }
    }
}

#[test]
fn a_mistake_is_refused_where_it_stands() {
    for (source, line, problem) in [
        ("# nothing\n", 2, "nothing is assigned to config"),
        ("config = [\n1]\n", 2, "config must be a dict, not a list"),
        ("config = {}\nconfig = {}\n", 2, "config is assigned twice; make one dict of both"),
        ("config = {\n'a': true}", 2, "true is no word of Python: write True"),
        (
            "config = {\n'a' 1}",
            2,
            "a colon is missing between a key and its value, before a number",
        ),
        ("config = {\n'a': 1\n'b': 2}", 3, "a comma or } is missing before text"),
        ("config = {\n'a': }", 2, "a value is missing before }"),
        ("config = {\n'a': [1, 2\n", 3, "the [ of line 2 is never closed"),
        ("config = {\n'a': 'b\n}", 2, "the text that begins here lacks its closing '"),
        ("config = {\n'a': '''b\n}", 2, "the text that begins here lacks its closing '''"),
        ("config = {\n'a': 007}", 2, "007 is no number in Python, because it begins with 0"),
        ("config = {\n'a': 10L}", 2, "10L is no number in Python"),
        ("config = {\n'a': 1__0}", 2, "1__0 is no number in Python"),
        ("config = {\n'a': 3j}", 2, "3j is no number in Python"),
        ("config = {\n'a': 9223372036854775808}", 2, "9223372036854775808 is too large a number"),
        ("config = {\n'a': 9223372036854775807 + 1}", 2, "this number is too large"),
        ("config = {\n'a': 1e999}", 2, "1e999 is too large a number"),
        ("config = {\n'a': 1e308 * 10}", 2, "this number is too large"),
        (
            "config = {\n'a': '\\xg0'}",
            2,
            "a backslash code here needs 2 hexadecimal digits that name a character",
        ),
        (
            "config = {\n'a': '\\ud800'}",
            2,
            "a backslash code here needs 4 hexadecimal digits that name a character",
        ),
        ("config = {\n'a': \\ 1}", 2, "a backslash must be the last character of its line"),
        ("config = {\n'a': 1 $ 2}", 2, "the character '$' means nothing in Python"),
        ("\n  config = {}", 2, "this line must not be indented"),
    ] {
        let refusal = read(source).expect_err(source);
        assert_eq!((refusal.line, refusal.problem.as_str()), (line, problem), "{source}");
    }
}

#[test]
fn hostile_files_end_soon() {
    let begin = std::time::Instant::now();
    let large = 1 << 18;
    for source in [
        format!("config = {}", "{'a': ".repeat(large / 6)),
        format!("config = {{'a': {}", "[".repeat(large)),
        format!("config = {{'a': {}", "(".repeat(large)),
        format!("config = {{'a': {}1}}", "-".repeat(large) + "1 + "),
        format!("config = {{'a': {}1}}", "1 * ".repeat(large / 4)),
        format!("config = {{'a': {}''}}", "'b' + ".repeat(large / 6)),
        format!("config = {{'a': {}}}", "'b' ".repeat(large / 4)),
        format!("config = {{'a': {}}}", "1".repeat(large)),
        format!("config = {{'a': {}0}}", "0.".repeat(large / 2)),
        format!(
            "config = {{{}}}",
            (0..large / 12).map(|n| format!("'{n}': 1,")).collect::<String>()
        ),
        format!("config = {{{}}}", "'a': 1,".repeat(large / 7)),
        format!("config = {{'a': [{}]}}", "#\n".repeat(large / 2)),
        format!("config = {{'a': [{}]}}", "1,#\n".repeat(large / 4)),
        format!("config = {{'a': [{}]}}", "1,".repeat(large / 2)),
        format!("config = {{}}{}", "#\n".repeat(large / 2)),
        format!("{}config = {{}}", "\n".repeat(large)),
        format!("config = {{'a': '{}'}}", "\\x41".repeat(large / 4)),
    ] {
        let _ = read(&source);
    }
    let nested =
        |levels: usize| format!("config = {{'a': {}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(DEEPEST - 1)).is_ok());
    let refusal = read(&nested(DEEPEST)).unwrap_err();
    assert_eq!(refusal.problem, "values are nested more than 100 levels deep");
    // A quadratic reader would need minutes for some of them; a linear one takes a fraction of a second for each.
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

/// Chances that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// White space as it may stand between brackets.
    fn space(&mut self) -> &'static str {
        self.one(&["", "", "", " ", " ", "\n    ", "\t", "  # a 'comment' {\n", "\\\n", "\r\n"])
    }

    fn text(&mut self) -> String {
        const PLAIN: [&str; 16] = [
            "a",
            "koji",
            " ",
            "{package.name}",
            "ü",
            "€",
            "\u{1f600}",
            "#",
            "%s",
            "\\n",
            "\\x41",
            "\\\\",
            "\\u20ac",
            "\\d",
            "\\\n",
            "\\7",
        ];
        let marks = self.one(&["'", "\"", "'''", "\"\"\""]);
        let prefix = self.one(&["", "", "", "r", "R", "u", "U"]);
        let mut text = format!("{prefix}{marks}");
        for _ in 0..self.below(6) {
            text.push_str(self.one(&PLAIN));
            if marks.len() == 3 {
                text.push_str(self.one(&["", "", "\n", "\\'", "\\\""]));
            }
        }
        // The closing mark must not be escaped.
        text + " " + marks
    }

    fn texts(&mut self) -> String {
        let mut texts = self.text();
        for _ in 0..self.below(3) {
            let _ = write!(texts, "{}{}{}", self.space(), self.one(&[" ", "+ "]), self.text());
        }
        texts
    }

    fn number(&mut self) -> String {
        let digits = self.below(100_000).to_string();
        match self.below(7) {
            0 => format!("0x{digits}"),
            1 => format!("0b{}", self.one(&["0", "1", "1_0", "0110"])),
            2 => format!("{digits}.{}", self.below(1000)),
            3 => format!("{digits}e{}{}", self.one(&["", "+", "-"]), self.below(20)),
            4 => format!("-{digits}"),
            5 => format!(".{digits}"),
            _ => digits,
        }
    }

    fn numbers(&mut self, depth: usize) -> String {
        let mut numbers = self.number();
        for _ in 0..self.below(4) {
            let other =
                if depth > 0 { format!("({})", self.numbers(depth - 1)) } else { self.number() };
            let _ = write!(
                numbers,
                "{}{}{}{other}",
                self.space(),
                self.one(&["+", "-", "*"]),
                self.space()
            );
        }
        numbers
    }

    fn value(&mut self, depth: usize) -> String {
        let kinds = if depth == 0 { 5 } else { 9 };
        match self.below(kinds) {
            0 => self.one(&["True", "False", "None"]).to_owned(),
            1 | 2 => self.numbers(2),
            3 | 4 => self.texts(),
            5 => format!("({}{}{})", self.space(), self.value(depth - 1), self.space()),
            6 => {
                let items = self.items(depth);
                format!("[{}{items}]", self.space())
            }
            7 => {
                let items = self.items(depth);
                let first = self.value(depth - 1);
                format!("({}{first}, {items})", self.space())
            }
            _ => self.dict(depth - 1),
        }
    }

    fn items(&mut self, depth: usize) -> String {
        let mut items = String::new();
        for _ in 0..self.below(4) {
            let _ = write!(items, "{}{}, {}", self.value(depth - 1), self.space(), self.space());
        }
        items
    }

    fn dict(&mut self, depth: usize) -> String {
        let mut dict = format!("{{{}", self.space());
        for _ in 0..self.below(6) {
            let _ = write!(
                dict,
                "{}{}:{}{}{}, {}",
                self.texts(),
                self.space(),
                self.space(),
                self.value(depth),
                self.space(),
                self.space()
            );
        }
        dict + "}"
    }

    fn file(&mut self) -> String {
        let before = self.one(&["", "# vim: ft=python\n", "\n\n", "\u{feff}"]);
        let after = self.one(&["", "\n", "  # end", ";\n", "\n# end"]);
        format!("{before}config = {}{after}", self.dict(4))
    }
}

#[test]
fn random_files_are_read_as_python_reads_them() {
    let mut dice = Dice(1);
    let files: Vec<String> = (0..3_000).map(|_| dice.file()).collect();
    // Sums and products may leave what 64 bits can hold; that is the only reason to refuse one of these.
    let readable: Vec<String> = files
        .into_iter()
        .filter(|file| match ours(file) {
            Ok(_) => true,
            Err(refusal) => {
                assert_eq!(refusal.problem, "this number is too large", "{file}");
                false
            }
        })
        .collect();
    assert!(readable.len() > 2_000, "{}", readable.len());
    read_alike(&readable);
}

#[test]
fn random_files_say_the_same_as_toml() {
    let mut dice = Dice(3);
    let mut converted = 0;
    for _ in 0..500 {
        let file = dice.file();
        let text = crate::config::Source { name: "random".to_owned(), text: file.clone() };
        if crate::config::convert(&text).is_ok() {
            crate::config::tests::converted(&file);
            converted += 1;
        }
    }
    assert!(converted > 200, "{converted}");
}

#[test]
fn a_damaged_file_that_is_read_is_read_as_python_reads_it() {
    const DAMAGE: [&str; 34] = [
        "", "", "'", "\"", "'''", "\\", "\n", "\r", "#", "{", "}", "[", "]", "(", ")", ",", ":",
        "=", "+", "-", "*", " ", "_", "0", ".", "e", "x", "r", "u", "\t", ";", "config", "\x0c",
        "None",
    ];
    let mut dice = Dice(2);
    let mut readable = Vec::new();
    for at in 0..6_000_usize {
        let mut file = match OLD_FILES.get(at % 12) {
            Some(old) => (*old).to_owned(),
            None => dice.file(),
        };
        for _ in 0..=dice.below(3) {
            let characters: Vec<usize> =
                file.char_indices().map(|(at, _)| at).chain([file.len()]).collect();
            let from = dice.below(characters.len());
            let to = (from + dice.below(3)).min(characters.len() - 1);
            file.replace_range(characters[from]..characters[to], dice.one(&DAMAGE));
        }
        if ours(&file).is_ok() {
            readable.push(file);
        }
    }
    assert!(readable.len() > 500, "{}", readable.len());
    read_alike(&readable);
}

#[test]
fn comments_stay_with_what_they_are_about() {
    let file = read(
        "# above\nconfig = {\n  # of a\n  'a': 1,  # beside a\n  'b': [1,  # one\n  # two\n  2],\n  'c': {'d': 1  # beside d\n  \
         # end of c\n  },\n  # end\n}\n# below\n",
    )
    .unwrap();
    assert_eq!(file.above, ["above"]);
    assert_eq!(file.below, ["below"]);
    assert_eq!(file.config.below, ["end"]);
    let said: Vec<&[String]> =
        file.config.pairs.iter().map(|pair| pair.comments.as_slice()).collect();
    assert_eq!(said, [&["of a", "beside a"][..], &["one", "two"], &[]]);
    let Literal::Dict(c) = &file.config.pairs[2].value else { panic!("{file:?}") };
    assert_eq!(c.pairs[0].comments, ["beside d"]);
    assert_eq!(c.below, ["end of c"]);
}
