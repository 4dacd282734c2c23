//! expat, the parser that most of the world reads XML with, is the judge of what is XML and of what it says.
//!
//! They are unit tests since the judge is asked about every event, and since it must not matter where the pieces of a
//! document end, which only from inside can be set to a few bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// What a document says: tags with their attributes, texts, ends.
type Said = Vec<String>;

fn scanner(document: &[u8], piece: usize) -> Scanner<'_> {
    Scanner::over(Pieces::of_size(document, piece).unwrap(), "test.xml")
}

/// Everything that a document says, or why it is none.
fn read(document: &[u8], piece: usize) -> Result<Said, Error> {
    let mut scanner = scanner(document, piece);
    let mut said: Said = Vec::new();
    let mut in_text = false;
    loop {
        match scanner.step()? {
            Step::Start { name } => {
                let (text, attributes) = (scanner.window.as_str(), scanner.attributes.as_slice());
                let tag = Tag { text, name, attributes };
                let mut shown = format!("<{}", &tag.text[tag.name.clone()]);
                for (name, value) in tag.attributes() {
                    shown.push_str(&format!(" {name}=[{value}]"));
                }
                said.push(shown);
                in_text = false;
            }
            Step::End => {
                said.push(format!(">{}", &scanner.names[scanner.closed.clone()]));
                in_text = false;
            }
            Step::Text { text, has_references } if !scanner.open.is_empty() => {
                if !in_text {
                    said.push("'".to_owned());
                    in_text = true;
                }
                let into = said.last_mut().unwrap();
                let text = &scanner.window[text];
                match has_references {
                    true => push_resolved(text, into, |c| c),
                    false => into.push_str(text),
                }
            }
            Step::Text { .. } | Step::Other => {}
            Step::Eof => break,
        }
    }
    // An empty CDATA section is no text.
    said.retain(|event| event != "'");
    match scanner.stage {
        Stage::AfterRoot => Ok(said),
        _ => Err(scanner.malformed("no root element")),
    }
}

/// What expat makes of a document.
#[derive(Debug)]
struct Judgement {
    /// Everything that it says, or nothing if it is not well-formed.
    said: Option<Said>,
    /// It is not, but would be with an “x” for each letter that is not in ASCII.
    right_in_ascii: bool,
}

fn judged(documents: &[Vec<u8>]) -> Vec<Judgement> {
    const JUDGE: &str = r#"
import json, sys
from xml.parsers import expat

def read(document):
    said = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.ordered_attributes = True
    def start(name, attributes):
        pairs = zip(attributes[::2], attributes[1::2])
        said.append('<' + name + ''.join(' %s=[%s]' % (k, v) for k, v in pairs))
    def text(data):
        if said and said[-1][0] == "'":
            said[-1] += data
        else:
            said.append("'" + data)
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: said.append('>' + name)
    parser.CharacterDataHandler = text
    try:
        parser.Parse(document, True)
        return said
    except (expat.ExpatError, ValueError, LookupError):
        return None

for line in sys.stdin:
    document = bytes.fromhex(line.strip())
    said = read(document)
    in_ascii = None
    if said is None:
        try:
            text = document.decode()
            if '\ufffe' not in text and '\uffff' not in text:
                text = text.removeprefix('\ufeff')
                in_ascii = read(''.join(c if c < '\x80' else 'x' for c in text).encode())
        except UnicodeDecodeError:
            pass
    print(json.dumps({'said': said, 'right_in_ascii': in_ascii is not None}))
"#;
    let mut judge = Command::new("/usr/bin/python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 is needed: apt-get install python3");
    let mut input = judge.stdin.take().unwrap();
    let asked: String = documents
        .iter()
        .map(|document| {
            let mut hex: String = document.iter().map(|byte| format!("{byte:02x}")).collect();
            hex.push('\n');
            hex
        })
        .collect();
    let writer = thread::spawn(move || input.write_all(asked.as_bytes()));
    let output = judge.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the judge failed");
    let answers: Vec<Judgement> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let answer: serde_json::Value = serde_json::from_str(line).unwrap();
            let said = answer["said"].as_array();
            let text = |event: &serde_json::Value| event.as_str().unwrap().to_owned();
            Judgement {
                said: said.map(|said| said.iter().map(text).collect()),
                right_in_ascii: answer["right_in_ascii"].as_bool().unwrap(),
            }
        })
        .collect();
    assert_eq!(answers.len(), documents.len());
    answers
}

/// Why we may see a document otherwise than expat, if we may.
fn excuse(document: &[u8], ours: &Result<Said, Error>, theirs: &Judgement) -> Option<&'static str> {
    let has = |what: &str| document.windows(what.len()).any(|part| part == what.as_bytes());
    match (ours, &theirs.said) {
        (Err(error), Some(_)) => {
            let reason = error.to_string();
            if has("<!DOCTYPE") && reason.contains("an unknown entity") {
                return Some("entities that a document type declares are not known to us");
            }
            if reason.contains("its version of XML is not 1.0") {
                return Some("expat does not look at the version");
            }
            if reason.contains("its encoding is") || document.starts_with(b"\xff\xfe") {
                return Some("expat knows more encodings");
            }
        }
        (Ok(_), None) => {
            if has("<!DOCTYPE") && has("[") {
                return Some("declarations are not looked at closely");
            }
            if theirs.right_in_ascii {
                return Some(
                    "expat has the letters of the fourth edition of XML 1.0, we the fifth",
                );
            }
        }
        (Ok(_), Some(_)) if has("<!ATTLIST") => {
            return Some("attributes that a document type declares are not known to us");
        }
        _ => {}
    }
    None
}

/// Documents that are right, and have everything in them that there is.
const RIGHT: &[&str] = &[
    "<a/>",
    "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata packages='1'>\n<package type=\"rpm\"/></metadata>\n",
    "<?xml version='1.0' encoding='utf-8' standalone='yes' ?><!-- c --><?pi d?><r:a xmlns:r=\"u\"><r:b/>t</r:a><!-- e -->",
    "<!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">\n<comps><group/></comps>",
    "<!DOCTYPE a SYSTEM 'x.dtd' [<!ELEMENT a (b|c)*><!-- ' --><!ENTITY e \"<>'\"><?p q?>\n]><a>x</a>",
    "<file>/usr/lib/a&amp;b&lt;&gt;&quot;&apos;&#65;&#x1F600;&#10;&#13;]]</file>",
    "<a b=\"1 &lt; 2\t&#9;\n'\" c='\"' d = '&#x20;'\n\te=''>\r\nline\rline\n</a>",
    "<a><![CDATA[ <b> & ]] ]]]><b>x<![CDATA[]]>y</b>&#xfffd; \u{fffd}\u{10ffff}\u{7f}\u{85}</a>",
    "<a.b-c_d:e \u{e9}t\u{e9}=\"\u{e9}\"><!-- - > --></a.b-c_d:e>",
    "<p><name>bash</name><entry name=\"(a if b)\" flags='EQ' epoch=\"0\" ver=\"1\" rel=\"2\"/><file type=\"dir\">/etc</file></p>",
];

/// What is put into documents to make them wrong, or otherwise right.
const PARTS: &[&[u8]] = &[
    b"<",
    b">",
    b"/",
    b"&",
    b";",
    b"\"",
    b"'",
    b"=",
    b" ",
    b"!",
    b"-",
    b"?",
    b"]",
    b"[",
    b":",
    b"#",
    b"x",
    b"0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b"--",
    b"-->",
    b"<!--",
    b"]]>",
    b"<![CDATA[",
    b"<?xml version='1.0'?>",
    b"<?x y?>",
    b"<?",
    b"?>",
    b"<a>",
    b"</a>",
    b"<b/>",
    b"&amp;",
    b"&nosuch;",
    b"&#0;",
    b"&#x7;",
    b"&#xD800;",
    b"&#x110000;",
    b"&#99999999999;",
    b"&#X41;",
    b"&#x41;",
    b"a='1'",
    b" a='1' a=\"2\"",
    b"<!DOCTYPE a>",
    b"<!DOCTYPE a [",
    b"]>",
    b"<!ENTITY b 'c'>",
    b"&b;",
    b"\x00",
    b"\x01",
    b"\x1f",
    b"\x7f",
    b"\xc2\x80",
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xff",
    b"\xc3",
    b"\x80",
    b"\xf0\x9f\x98\x80",
    b"\xc3\xa9",
    b"\xe2\x80\xa8",
    b"encoding='ISO-8859-1'",
    b"standalone='no'",
    b"xml:lang='de'",
    b"PUBLIC 'a' 'b'",
    b"SYSTEM \"\"",
];

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut document = RIGHT[dice.below(RIGHT.len())].as_bytes().to_vec();
    for _ in 0..1 + dice.below(3) {
        let mut at = dice.below(document.len() + 1);
        // Behind a tag more is right than within one.
        if dice.below(2) == 0 {
            at += document[at..].iter().position(|byte| *byte == b'>').map_or(0, |n| n + 1);
        }
        let end = (at + 1 + dice.below(6)).min(document.len());
        match dice.below(8) {
            0..=3 => {
                let part = PARTS[dice.below(PARTS.len())];
                document.splice(at..at, part.iter().copied());
            }
            4 => drop(document.drain(at..end)),
            5 => {
                let part = PARTS[dice.below(PARTS.len())];
                document.splice(at..end, part.iter().copied());
            }
            6 => {
                let again = document[at..end].to_vec();
                let to = dice.below(document.len() + 1);
                document.splice(to..to, again);
            }
            _ => {
                if let Some(byte) = document.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
    document
}

#[test]
fn what_is_right_is_understood_as_expat_understands_it() {
    let documents: Vec<Vec<u8>> = RIGHT.iter().map(|text| text.as_bytes().to_vec()).collect();
    for (document, theirs) in documents.iter().zip(judged(&documents)) {
        assert!(theirs.said.is_some());
        assert_eq!(
            read(document, 1 << 16).ok(),
            theirs.said,
            "{}",
            String::from_utf8_lossy(document)
        );
    }
}

#[test]
fn thirty_thousand_mutations_are_judged_as_expat_judges_them() {
    let mut dice = Dice(2026);
    let documents: Vec<Vec<u8>> = (0..30_000).map(|_| mutated(&mut dice)).collect();
    let (mut right, mut excused) = (0, 0);
    let mut differences = Vec::new();
    for (document, theirs) in documents.iter().zip(judged(&documents)) {
        let ours = read(document, 1 << 16);
        right += usize::from(theirs.said.is_some());
        if ours.as_ref().ok() == theirs.said.as_ref() {
            continue;
        }
        let text = String::from_utf8_lossy(document);
        match excuse(document, &ours, &theirs) {
            Some(_) => excused += 1,
            None => differences.push(format!("{text:?}\nours: {ours:?}\nexpat: {theirs:?}")),
        }
    }
    assert!(
        differences.is_empty(),
        "{}: {}",
        differences.len(),
        differences[..differences.len().min(8)].join("\n\n")
    );
    assert!((4_000..26_000).contains(&right), "{right} are right, which says little");
    assert!(excused < 1_500, "{excused} differ");
}

#[test]
fn it_does_not_matter_where_pieces_end() {
    let mut dice = Dice(7);
    for _ in 0..5_000 {
        let document = mutated(&mut dice);
        let whole = read(&document, 1 << 16);
        for piece in [4, 5, 7, 16] {
            let pieces = read(&document, piece);
            match (&whole, pieces) {
                (Ok(whole), Ok(pieces)) => assert_eq!(*whole, pieces),
                (Err(whole), Err(pieces)) => assert_eq!(
                    whole.to_string(),
                    pieces.to_string(),
                    "{:?} in pieces of {piece}",
                    String::from_utf8_lossy(&document)
                ),
                (whole, pieces) => panic!(
                    "{:?}\nwhole: {whole:?}\nin pieces of {piece}: {pieces:?}",
                    String::from_utf8_lossy(&document)
                ),
            }
        }
    }
}

#[test]
fn a_text_is_the_same_whether_it_is_copied_or_not() {
    let texts = |document: &[u8], piece, copied| {
        let mut scanner = scanner(document, piece);
        let mut buffer = String::new();
        let mut texts = Vec::new();
        loop {
            match scanner.next()? {
                Event::Eof => return Ok::<_, Error>(texts),
                Event::Start(_) if copied => {
                    scanner.text(&mut buffer)?;
                    texts.push(buffer.clone());
                }
                Event::Start(_) => texts.push(scanner.text_or(&mut buffer)?.to_owned()),
                Event::End(name) => texts.push(format!("</{name}>")),
            }
        }
    };
    let mut dice = Dice(77);
    for _ in 0..5_000 {
        let mut document = b"<a>".to_vec();
        document.extend(mutated(&mut dice));
        document.extend(b"</a>");
        let document = &document[3 * dice.below(2)..];
        for piece in [5, 1 << 16] {
            match (texts(document, piece, true), texts(document, piece, false)) {
                (Ok(copied), Ok(not)) => assert_eq!(copied, not),
                (Err(copied), Err(not)) => assert_eq!(copied.to_string(), not.to_string()),
                (copied, not) => panic!("{copied:?}, {not:?}"),
            }
        }
    }
}

#[test]
fn letters_of_all_scripts_may_be_in_names() {
    for (name, is_name) in [
        ("\u{e9}", true),
        ("\u{4e2d}\u{6587}", true),
        ("\u{10400}", true),
        ("a\u{b7}", true),
        ("\u{b7}a", false),
        ("a\u{d7}", false),
        ("\u{300}", false),
        ("a\u{300}", true),
        ("a\u{2028}", false),
    ] {
        let document = format!("<{name}/>");
        for piece in [4, 1 << 16] {
            assert_eq!(read(document.as_bytes(), piece).is_ok(), is_name, "{document}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_the_line_where_it_is() {
    let many: String = (0..1001).map(|i| format!(" a{i}=''")).collect();
    for (document, expected) in [
        ("<a>\n\n\u{1}</a>", "line 3: the character U+0001, which XML does not allow"),
        ("<a>\n\u{ffff}</a>", "line 2: the character U+FFFF, which XML does not allow"),
        (
            "<?xml version='1.0' encoding='latin1'?><a/>",
            "line 1: its encoding is latin1; it has to be UTF-8",
        ),
        ("<a>\n<b>\n</a>", "line 3: “</a>” stands where “</b>” should"),
        ("<a>\r\n\r\n<b c='1'\r\nc='2'/>", "line 4: a tag has the same attribute twice"),
        ("\n<a/>\n<b/>", "line 3: a second root element"),
        ("<a/>\nb", "line 2: text outside of the root element"),
        ("</a>", "line 1: “</a>” ends what did not begin"),
        ("<a>\n&lt", "line 2: the file ends in the middle"),
        ("<a b='<'/>", "line 1: “<” stands in the value of an attribute"),
        (format!("<a{many}/>").as_str(), "line 1: a tag has more than 1000 attributes"),
    ] {
        for piece in [4, 1 << 16] {
            let error = read(document.as_bytes(), piece).unwrap_err();
            assert_eq!(error.to_string(), format!("test.xml, {expected}"));
            assert!(!error.is_transient());
        }
    }
    for bytes in [b"<a>\n\xff</a>".as_slice(), b"<a>\n\xc3", b"<a>\n\xed\xa0\x80</a>"] {
        let error = read(bytes, 4).unwrap_err();
        assert_eq!(error.to_string(), "test.xml, line 2: bytes that are not UTF-8");
    }
}
