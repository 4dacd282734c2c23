//! The members of a struct. Their order means nothing on the wire, so they are kept sorted by name: comparing, finding
//! and printing need nothing else. Structs of one answer share their members' names, so that twenty-five thousand of them
//! stay small.

use std::sync::Arc;

use super::Value;

/// The members of a `<struct>`, sorted by name, each name once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Struct {
    members: Vec<(Arc<str>, Value)>,
}

impl Struct {
    /// No members.
    pub fn new() -> Struct {
        Struct::default()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.members.binary_search_by(|(member, _)| (**member).cmp(name))
    }

    /// The value of the member `name`; nil and absent are different things.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).ok().map(|index| &self.members[index].1)
    }

    /// Sets the member `name`; gives the value that it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Ok(index) => Some(std::mem::replace(&mut self.members[index].1, value)),
            Err(index) => {
                self.members.insert(index, (name.into(), value));
                None
            }
        }
    }

    /// The same struct with the member `name` set: for writing one down in an expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Struct {
        self.insert(name, value);
        self
    }

    /// Takes the member `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.position(name).ok().map(|index| self.members.remove(index).1)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.members.iter().map(|(name, value)| (&**name, value))
    }

    /// A struct of these members. Of two of one name the later counts, as in Python.
    pub(super) fn of(mut members: Vec<(Arc<str>, Value)>) -> Struct {
        // A stable sort keeps members of one name in the order they came.
        members.sort_by(|(left, _), (right, _)| left.cmp(right));
        members.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            same
        });
        Struct { members }
    }

    /// The members, by name.
    pub(super) fn into_members(self) -> std::vec::IntoIter<(Arc<str>, Value)> {
        self.members.into_iter()
    }
}

/// Of two members of one name the later counts, as in Python.
impl FromIterator<(String, Value)> for Struct {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Struct {
        Struct::of(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Struct {
    fn from(members: [(&str, Value); N]) -> Struct {
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl IntoIterator for Struct {
    type Item = (String, Value);
    type IntoIter =
        std::iter::Map<std::vec::IntoIter<(Arc<str>, Value)>, fn((Arc<str>, Value)) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter().map(|(name, value)| (name.to_string(), value))
    }
}
