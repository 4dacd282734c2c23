//! The syntax of existing installations: a Python file that assigns a dict literal to `config`.
//!
//! Nothing is executed. What is read are literals, comments, adjacent and added text, and + - * of numbers; the values are
//! those that Python would compute (`tests/python.rs` asks Python). Everything else is an error that says what to write
//! instead. A file costs time and memory in proportion to its size, whatever is in it.

mod tokens;

use std::collections::HashMap;

use tokens::{Comment, Kind, Token, Tokens};

/// How deep dicts, lists and parentheses may be nested. Python itself stops at 200.
const DEEPEST: usize = 100;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// What is wrong with something that Python could compute and we do not.
fn beyond(what: impl std::fmt::Display) -> String {
    format!(
        "{what} cannot be read; in the Python syntax of older versions, config is a dict of text, numbers \
         (with + - *), True, False, None, lists, tuples and dicts: write the value itself"
    )
}

/// A file.
#[derive(Debug)]
pub(super) struct File {
    /// Comments before the dict.
    pub(super) above: Vec<String>,
    pub(super) config: Dict,
    pub(super) line: usize,
    /// Comments after the dict.
    pub(super) below: Vec<String>,
    pub(super) repeated: Vec<Repeated>,
}

/// A key that stands twice in one dict, of which Python keeps the last.
#[derive(Debug)]
pub(super) struct Repeated {
    pub(super) key: String,
    pub(super) lines: (usize, usize),
}

/// A dict in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Dict {
    pub(super) pairs: Vec<Pair>,
    /// Comments after the last pair.
    pub(super) below: Vec<String>,
}

/// A key, its value, and what was said about it.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) comments: Vec<String>,
    pub(super) value: Literal,
}

/// A value.
#[derive(Debug)]
pub(super) enum Literal {
    None,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Also a tuple. Each item with its line.
    List(Vec<(usize, Literal)>),
    Dict(Dict),
}

impl Literal {
    fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Boolean(_) => "True or False",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
        }
    }
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<File, Refusal> {
    if text.contains('\0') {
        let problem = "the file holds a character '\\0', so it is no text".to_owned();
        return Err(Refusal { line: 1, problem });
    }
    // Python reads all ends of lines alike, within text as well.
    let simple;
    let text = if text.contains('\r') {
        simple = text.replace("\r\n", "\n").replace('\r', "\n");
        &simple
    } else {
        text
    };
    let mut tokens = Tokens::new(text);
    let next = tokens.next()?;
    let mut parser = Parser { tokens, next, last_line: 1, depth: 0, repeated: Vec::new() };
    parser.file()
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    next: Token,
    /// Line of the last token that was taken.
    last_line: usize,
    depth: usize,
    repeated: Vec<Repeated>,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), Refusal> {
        let following = self.tokens.next()?;
        let mut token = std::mem::replace(&mut self.next, following);
        // Comments wait until somebody takes them.
        token.comments.append(&mut self.next.comments);
        std::mem::swap(&mut token.comments, &mut self.next.comments);
        self.last_line = token.end;
        Ok(())
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.next.kind, Kind::Sign(next) if next == sign)
    }

    /// Takes a sign if it is the next one.
    fn takes(&mut self, sign: &str) -> Result<bool, Refusal> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Takes those comments before the next token that are wanted; the others stay for whoever comes next.
    fn take_comments(&mut self, wanted: impl Fn(&Comment) -> bool) -> Vec<String> {
        let all = std::mem::take(&mut self.next.comments);
        let (taken, others): (Vec<_>, Vec<_>) = all.into_iter().partition(wanted);
        self.next.comments = others;
        taken.into_iter().map(|comment| comment.text).collect()
    }

    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal { line: self.next.line, problem: problem.into() })
    }

    /// What comes next, as a person would call it.
    fn what_comes(&self) -> String {
        match &self.next.kind {
            Kind::Name(name) => format!("{name:.40}"),
            Kind::Integer(_) | Kind::Float(_) => "a number".to_owned(),
            Kind::Text(_) => "text".to_owned(),
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::EndOfLine => "the end of the line".to_owned(),
            Kind::EndOfFile => "the end of the file".to_owned(),
        }
    }

    fn file(&mut self) -> Result<File, Refusal> {
        let above = self.take_comments(|_| true);
        let mut read: Option<(Dict, usize)> = None;
        let mut comments = Vec::new();
        loop {
            comments.extend(self.take_comments(|_| true));
            match &self.next.kind {
                Kind::EndOfFile => break,
                Kind::Name(name) if name == "config" => {}
                Kind::Name(name) => return self.refuse(beyond(format_args!("{name:.40}"))),
                _ => {
                    return self
                        .refuse(beyond(format_args!("{} at this place", self.what_comes())));
                }
            }
            let line = self.next.line;
            self.advance()?;
            if !self.takes("=")? {
                return self.refuse(beyond("anything done with config but one assignment"));
            }
            if read.is_some() {
                return self.refuse("config is assigned twice; make one dict of both");
            }
            match self.sum()? {
                Literal::Dict(dict) => read = Some((dict, line)),
                other => {
                    return self.refuse(format!("config must be a dict, not {}", other.kind()));
                }
            }
            if !self.takes(";")? && !matches!(self.next.kind, Kind::EndOfLine) {
                return self.refuse(beyond(format_args!("{} behind the dict", self.what_comes())));
            }
            if matches!(self.next.kind, Kind::EndOfLine) {
                comments.extend(self.take_comments(|_| true));
                self.advance()?;
            }
        }
        let Some((config, line)) = read else {
            return self.refuse("nothing is assigned to config");
        };
        let repeated = std::mem::take(&mut self.repeated);
        Ok(File { above, config, line, below: comments, repeated })
    }

    /// `a + b - c`
    fn sum(&mut self) -> Result<Literal, Refusal> {
        let mut left = self.product()?;
        loop {
            if self.takes("+")? {
                let line = self.last_line;
                let right = self.product()?;
                left = match (left, right) {
                    (Literal::Text(mut text), Literal::Text(more)) => {
                        text.push_str(&more);
                        Literal::Text(text)
                    }
                    (left, right) => computed(line, "+", left, right)?,
                };
            } else if self.takes("-")? {
                let line = self.last_line;
                let right = self.product()?;
                left = computed(line, "-", left, right)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// `a * b`
    fn product(&mut self) -> Result<Literal, Refusal> {
        let mut left = self.signed()?;
        while self.takes("*")? {
            let line = self.last_line;
            let right = self.signed()?;
            left = computed(line, "*", left, right)?;
        }
        Ok(left)
    }

    /// `-a`
    fn signed(&mut self) -> Result<Literal, Refusal> {
        let mut signs = 0_usize;
        let mut negative = false;
        let line = self.next.line;
        loop {
            if self.takes("-")? {
                negative = !negative;
            } else if !self.takes("+")? {
                break;
            }
            signs += 1;
        }
        let value = self.single()?;
        match value {
            value if signs == 0 => Ok(value),
            Literal::Integer(number) if negative => match number.checked_neg() {
                Some(number) => Ok(Literal::Integer(number)),
                None => Err(Refusal { line, problem: "this number is too large".to_owned() }),
            },
            Literal::Float(number) if negative => Ok(Literal::Float(-number)),
            value @ (Literal::Integer(_) | Literal::Float(_)) => Ok(value),
            other => Err(Refusal {
                line,
                problem: beyond(format_args!("a sign before {}", other.kind())),
            }),
        }
    }

    fn single(&mut self) -> Result<Literal, Refusal> {
        let value = match &self.next.kind {
            Kind::Integer(number) => Literal::Integer(*number),
            Kind::Float(number) => Literal::Float(*number),
            Kind::Name(name) => match name.as_str() {
                "True" => Literal::Boolean(true),
                "False" => Literal::Boolean(false),
                "None" => Literal::None,
                "true" => return self.refuse("true is no word of Python: write True"),
                "false" => return self.refuse("false is no word of Python: write False"),
                "null" => return self.refuse("null is no word of Python: write None"),
                _ => return self.refuse(beyond(format_args!("{name:.40}"))),
            },
            Kind::Text(_) => return self.text(),
            Kind::Sign("{") => return self.nested(Self::dict),
            Kind::Sign("[") => return self.nested(Self::list),
            Kind::Sign("(") => return self.nested(Self::parentheses),
            _ => return self.refuse(format!("a value is missing before {}", self.what_comes())),
        };
        self.advance()?;
        self.without_call(value)
    }

    /// Pieces of text that follow each other are one text.
    fn text(&mut self) -> Result<Literal, Refusal> {
        let mut whole = String::new();
        while let Kind::Text(text) = &mut self.next.kind {
            if whole.is_empty() {
                whole = std::mem::take(text);
            } else {
                whole.push_str(text);
            }
            self.advance()?;
        }
        self.without_call(Literal::Text(whole))
    }

    /// Refuses what may follow a value in Python and computes something.
    fn without_call(&self, value: Literal) -> Result<Literal, Refusal> {
        match &self.next.kind {
            Kind::Sign("(") => self.refuse(beyond("a call")),
            Kind::Sign("[") => self.refuse(beyond("an index")),
            Kind::Sign(".") => self.refuse(beyond("a method")),
            Kind::Sign(
                sign @ ("**" | "//" | "/" | "%" | "==" | "@" | "|" | "&" | "^" | "<" | ">" | "<="
                | ">=" | "!="),
            ) => self.refuse(beyond(format_args!("the operator {sign}"))),
            Kind::Name(name) => self.refuse(beyond(format_args!("{name:.40} behind a value"))),
            _ => Ok(value),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Literal, Refusal>,
    ) -> Result<Literal, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.refuse(format!("values are nested more than {DEEPEST} levels deep"));
        }
        let value = read(self)?;
        self.depth -= 1;
        self.without_call(value)
    }

    fn dict(&mut self) -> Result<Literal, Refusal> {
        let begin = self.next.line;
        self.advance()?;
        let mut dict = Dict::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            // What stands beside a pair's last line is about that pair.
            let line = self.last_line;
            if let Some(pair) = dict.pairs.last_mut() {
                let beside = self.take_comments(|c| c.beside && c.line == line);
                pair.comments.extend(beside);
            }
            let comments = self.take_comments(|_| true);
            if self.takes("}")? {
                dict.below = comments;
                return Ok(Literal::Dict(dict));
            }
            if self.is("**") {
                return self.refuse(beyond("another dict taken in with **"));
            }
            let line = self.next.line;
            let pair = match self.sum()? {
                Literal::Text(key) if self.takes(":")? => {
                    let value = self.sum()?;
                    let mut pair = Pair { key, line, comments, value };
                    let end = self.last_line;
                    pair.comments.extend(self.take_comments(|c| c.line < end));
                    pair
                }
                Literal::Text(_) if self.is(",") || self.is("}") => {
                    return self.refuse(beyond("a set ({...} without colons)"));
                }
                Literal::Text(_) => {
                    return self.refuse(format!(
                        "a colon is missing between a key and its value, before {}",
                        self.what_comes()
                    ));
                }
                other => {
                    return Err(Refusal {
                        line,
                        problem: format!("a key must be text, not {}", other.kind()),
                    });
                }
            };
            match places.get(&pair.key).and_then(|at| dict.pairs.get_mut(*at)) {
                Some(earlier) => {
                    let lines = (earlier.line, pair.line);
                    self.repeated.push(Repeated { key: pair.key.clone(), lines });
                    *earlier = pair;
                }
                None => {
                    places.insert(pair.key.clone(), dict.pairs.len());
                    dict.pairs.push(pair);
                }
            }
            self.separated("}", begin, "{")?;
        }
    }

    fn list(&mut self) -> Result<Literal, Refusal> {
        let begin = self.next.line;
        self.advance()?;
        let mut items = Vec::new();
        while !self.takes("]")? {
            items.push((self.next.line, self.sum()?));
            self.separated("]", begin, "[")?;
        }
        Ok(Literal::List(items))
    }

    /// A tuple, or a value in parentheses.
    fn parentheses(&mut self) -> Result<Literal, Refusal> {
        let begin = self.next.line;
        self.advance()?;
        let mut items = Vec::new();
        let mut tuple = true;
        while !self.takes(")")? {
            items.push((self.next.line, self.sum()?));
            tuple = self.separated(")", begin, "(")? || items.len() > 1;
        }
        match items.pop() {
            Some((_, only)) if !tuple => Ok(only),
            last => {
                items.extend(last);
                Ok(Literal::List(items))
            }
        }
    }

    /// Takes the comma after an item; whether there was one. Without it the bracket must close.
    fn separated(&mut self, end: &str, begin: usize, open: &str) -> Result<bool, Refusal> {
        let comma = self.takes(",")?;
        match self.next.kind {
            _ if comma || self.is(end) => Ok(comma),
            Kind::EndOfFile => self.refuse(format!("the {open} of line {begin} is never closed")),
            _ => self.refuse(format!("a comma or {end} is missing before {}", self.what_comes())),
        }
    }
}

/// Arithmetic.
fn computed(
    line: usize,
    operator: &'static str,
    left: Literal,
    right: Literal,
) -> Result<Literal, Refusal> {
    let refuse = |problem: String| Err(Refusal { line, problem });
    let real = |number: i64| number as f64;
    let (a, b) = match (left, right) {
        (Literal::Integer(a), Literal::Integer(b)) => {
            let result = match operator {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                _ => a.checked_mul(b),
            };
            return match result {
                Some(number) => Ok(Literal::Integer(number)),
                None => refuse("this number is too large".to_owned()),
            };
        }
        (Literal::Integer(a), Literal::Float(b)) => (real(a), b),
        (Literal::Float(a), Literal::Integer(b)) => (a, real(b)),
        (Literal::Float(a), Literal::Float(b)) => (a, b),
        (left, right) => {
            return refuse(beyond(format_args!("{} {operator} {}", left.kind(), right.kind())));
        }
    };
    let number = match operator {
        "+" => a + b,
        "-" => a - b,
        _ => a * b,
    };
    if number.is_finite() {
        Ok(Literal::Float(number))
    } else {
        refuse("this number is too large".to_owned())
    }
}

#[cfg(test)]
mod tests;
