//! The words of a Python file, one at a time: names, numbers, text, signs, ends of lines.
//!
//! As in Python, a line ends a statement unless a bracket is open or a backslash stands last. Comments are handed on with
//! the token that follows them, because a conversion keeps them.

use super::Refusal;

/// What is left of a file.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    line: usize,
    open_brackets: usize,
    /// Whether something other than white space stands before, on this line.
    within_line: bool,
}

/// One word and where it stands.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// Between the token before and this one.
    pub(super) comments: Vec<Comment>,
}

#[derive(Debug)]
pub(super) struct Comment {
    /// Without the hash and the space behind it.
    pub(super) text: String,
    pub(super) line: usize,
    /// Whether something else stands before it on its line.
    pub(super) beside: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A bracket, an operator, a comma; `**` and `//` are of two characters, as in Python.
    Sign(&'static str),
    EndOfLine,
    EndOfFile,
}

/// Signs that mean something in Python; the longer ones first.
const SIGNS: &[&str] = &[
    "**", "//", "==", "!=", "<=", ">=", "->", ":=", "{", "}", "[", "]", "(", ")", ",", ":", ";",
    "=", "+", "-", "*", "/", "%", ".", "@", "|", "&", "^", "~", "<", ">",
];

impl<'a> Tokens<'a> {
    /// The text must have simple ends of lines.
    pub(super) fn new(text: &'a str) -> Self {
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { rest, line: 1, open_brackets: 0, within_line: false }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.skip(next.len_utf8());
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    /// Skips bytes that hold no end of a line.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = self.rest.get(..length).unwrap_or_default();
        self.skip(length);
        taken
    }

    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal { line: self.line, problem: problem.into() })
    }

    /// The next token; at the end of the file the same for ever.
    pub(super) fn next(&mut self) -> Result<Token, Refusal> {
        let mut comments = Vec::new();
        loop {
            let indented = !self.take_while(|c| matches!(c, ' ' | '\t' | '\x0c')).is_empty();
            let line = self.line;
            let Some(next) = self.peek() else {
                // A last line without its end is a line.
                let kind = if self.within_line { Kind::EndOfLine } else { Kind::EndOfFile };
                self.within_line = false;
                return Ok(Token { kind, line, end: line, comments });
            };
            match next {
                '#' => {
                    let text = self.take_while(|c| c != '\n');
                    let text = text.strip_prefix('#').unwrap_or(text);
                    let text = text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
                    comments.push(Comment { text, line, beside: self.within_line });
                    continue;
                }
                '\n' => {
                    self.take();
                    let ends_statement = self.within_line && self.open_brackets == 0;
                    self.within_line = false;
                    if ends_statement {
                        return Ok(Token { kind: Kind::EndOfLine, line, end: line, comments });
                    }
                    continue;
                }
                '\\' => {
                    self.take();
                    if self.take() != Some('\n') {
                        return Err(Refusal {
                            line,
                            problem: "a backslash must be the last character of its line"
                                .to_owned(),
                        });
                    }
                    continue;
                }
                _ => {}
            }
            if indented && !self.within_line && self.open_brackets == 0 {
                return self.refuse("this line must not be indented");
            }
            self.within_line = true;
            let kind = self.kind(next)?;
            return Ok(Token { kind, line, end: self.line, comments });
        }
    }

    fn kind(&mut self, next: char) -> Result<Kind, Refusal> {
        if matches!(next, '"' | '\'') {
            return Ok(Kind::Text(self.text(false)?));
        }
        let second = self.rest.chars().nth(1);
        if next.is_ascii_digit() || (next == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if next.is_alphabetic() || next == '_' {
            let name = self.take_while(|c| c.is_alphanumeric() || c == '_');
            if !matches!(self.peek(), Some('"' | '\'')) {
                return Ok(Kind::Name(name.to_owned()));
            }
            return match name.to_lowercase().as_str() {
                "r" => Ok(Kind::Text(self.text(true)?)),
                "u" => Ok(Kind::Text(self.text(false)?)),
                "f" | "fr" | "rf" => self.refuse(super::beyond("an f-string")),
                "b" | "br" | "rb" => self.refuse(super::beyond("text of bytes (b\"...\")")),
                _ => self.refuse(format!("a quotation mark cannot stand directly behind {name}")),
            };
        }
        for sign in SIGNS {
            if self.rest.starts_with(sign) {
                self.skip(sign.len());
                match *sign {
                    "{" | "[" | "(" => self.open_brackets += 1,
                    "}" | "]" | ")" => self.open_brackets = self.open_brackets.saturating_sub(1),
                    _ => {}
                }
                return Ok(Kind::Sign(sign));
            }
        }
        self.refuse(format!("the character {next:?} means nothing in Python"))
    }

    fn number(&mut self) -> Result<Kind, Refusal> {
        let mut length = 0;
        let mut before = ' ';
        let hexadecimal = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        for c in self.rest.chars() {
            let sign_of_exponent =
                matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hexadecimal;
            if !(c.is_alphanumeric() || matches!(c, '_' | '.') || sign_of_exponent) {
                break;
            }
            length += c.len_utf8();
            before = c;
        }
        let written = self.rest.get(..length).unwrap_or_default();
        match number(written) {
            Ok(kind) => {
                self.skip(length);
                Ok(kind)
            }
            Err(problem) => self.refuse(format!("{written:.40} {problem}")),
        }
    }

    /// Text from its first quotation mark to its last.
    fn text(&mut self, raw: bool) -> Result<String, Refusal> {
        let first_line = self.line;
        let Some(mark) = self.peek() else { return Ok(String::new()) };
        let triple = match mark {
            '"' => "\"\"\"",
            _ => "'''",
        };
        let end =
            if self.rest.starts_with(triple) { triple } else { triple.get(..1).unwrap_or("") };
        self.skip(end.len());
        let unclosed = || {
            let problem = format!("the text that begins here lacks its closing {end}");
            Err(Refusal { line: first_line, problem })
        };
        let mut text = String::new();
        loop {
            if self.rest.starts_with(end) {
                self.skip(end.len());
                return Ok(text);
            }
            match self.take() {
                None => return unclosed(),
                Some('\n') if end.len() == 1 => return unclosed(),
                Some('\\') if raw => {
                    text.push('\\');
                    text.extend(self.take());
                }
                Some('\\') => self.escape(&mut text)?,
                Some(c) => text.push(c),
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, text: &mut String) -> Result<(), Refusal> {
        let Some(letter) = self.take() else { return Ok(()) };
        let character = match letter {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => letter,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '0'..='7' => {
                let mut code = letter.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.skip(1);
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            'x' => self.coded(2)?,
            'u' => self.coded(4)?,
            'U' => self.coded(8)?,
            'N' => return self.refuse(super::beyond("a character by its name (\\N{...})")),
            // Python keeps the backslash of what is no escape.
            other => {
                text.push('\\');
                other
            }
        };
        text.push(character);
        Ok(())
    }

    /// A character by its number.
    fn coded(&mut self, digits: usize) -> Result<char, Refusal> {
        let code =
            self.rest.get(..digits).filter(|code| code.chars().all(|c| c.is_ascii_hexdigit()));
        let character =
            code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        match character {
            Some(character) => {
                self.skip(digits);
                Ok(character)
            }
            None => self.refuse(format!(
                "a backslash code here needs {digits} hexadecimal digits that name a character"
            )),
        }
    }
}

/// A number as Python writes it, or what is wrong with it.
fn number(written: &str) -> Result<Kind, &'static str> {
    const NO_NUMBER: &str = "is no number in Python";
    const TOO_LARGE: &str = "is too large a number";
    if !underscores_between_digits(written) {
        return Err(NO_NUMBER);
    }
    let digits = written.replace('_', "").to_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return Err(NO_NUMBER);
            }
            return i64::from_str_radix(digits, radix).map(Kind::Integer).map_err(|_| TOO_LARGE);
        }
    }
    if digits.bytes().all(|c| c.is_ascii_digit()) {
        if digits.starts_with('0') && digits.bytes().any(|c| c != b'0') {
            return Err("is no number in Python, because it begins with 0");
        }
        return digits.parse().map(Kind::Integer).map_err(|_| TOO_LARGE);
    }
    if !digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-')) {
        return Err(NO_NUMBER);
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Kind::Float(number)),
        Ok(_) => Err(TOO_LARGE),
        Err(_) => Err(NO_NUMBER),
    }
}

/// Whether every underscore stands between two digits, or between the letter of a base and a digit.
fn underscores_between_digits(written: &str) -> bool {
    let bytes = written.as_bytes();
    let based = matches!(bytes, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(at, _)| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at)).is_some_and(|byte| {
                if based { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() }
            })
        };
        (digit(at.checked_sub(1)) || (based && at == 2)) && digit(Some(at + 1))
    })
}
