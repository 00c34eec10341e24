//! Which paths of the input a policy can read. What is beside them no rule can tell, so it need not be built, and two inputs
//! that are equal on them get the same decision.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Weak};

use regorus::{Rc, Value};
use serde_json::Value as Json;

use super::document::{Document, Key};
use super::survey::Path;

/// A part of the input, and which parts of it are read. A reference that stops somewhere reads all that is below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint(Arc<Node>);

/// Which footprint something was made for. Keeps its place from being another's, and nothing of what it holds.
#[derive(Debug, Clone)]
pub struct FootprintId(Weak<Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    is_whole: bool,
    /// Sorted by name; none where all is read.
    below: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    /// The name as an object's key, for all inputs.
    key: Key,
    reads: Footprint,
}

/// What is read where all is.
static WHOLE: LazyLock<Footprint> =
    LazyLock::new(|| Footprint(Arc::new(Node { is_whole: true, below: Vec::new() })));

impl Footprint {
    /// Everything.
    #[must_use]
    pub fn whole() -> &'static Self {
        &WHOLE
    }

    pub(super) fn of(paths: &BTreeSet<Path>) -> Self {
        let mut root = Self::nothing();
        paths.iter().for_each(|path| root.add(path));
        root
    }

    fn nothing() -> Self {
        Self(Arc::new(Node { is_whole: false, below: Vec::new() }))
    }

    /// This one, as opposed to all others, equal ones included.
    #[must_use]
    pub fn id(&self) -> FootprintId {
        FootprintId(Arc::downgrade(&self.0))
    }

    fn add(&mut self, path: &[String]) {
        let Some((name, rest)) = path.split_first() else {
            *self = WHOLE.clone();
            return;
        };
        if self.0.is_whole {
            return;
        }
        let node = Arc::make_mut(&mut self.0);
        let at = node.below.binary_search_by(|member| member.name.cmp(name)).unwrap_or_else(|at| {
            let member = Member { name: name.clone(), key: Key::new(name), reads: Self::nothing() };
            node.below.insert(at, member);
            at
        });
        if let Some(member) = node.below.get_mut(at) {
            member.reads.add(rest);
        }
    }

    /// What is read of a member; `None` where nothing is.
    #[must_use]
    pub fn of_member(&self, name: &str) -> Option<&Self> {
        if self.0.is_whole { Some(&WHOLE) } else { self.member(name).map(|member| &member.reads) }
    }

    fn member(&self, name: &str) -> Option<&Member> {
        let at = self.0.below.binary_search_by(|member| member.name.as_str().cmp(name)).ok()?;
        self.0.below.get(at)
    }
}

impl FootprintId {
    /// Whether there is such a footprint still.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Whether it is this one's.
    #[must_use]
    pub fn is_of(&self, footprint: &Footprint) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&footprint.0))
    }
}

/// An object in the making, of the fields that are read.
#[derive(Debug)]
pub struct Fields<'f> {
    reads: &'f Footprint,
    fields: Vec<(Key, Document)>,
}

impl<'f> Fields<'f> {
    /// An object of which this is read.
    #[must_use]
    pub fn of(reads: &'f Footprint) -> Self {
        Self { reads, fields: Vec::new() }
    }

    /// Adds a field if it is read. The value is told what is read of it; it may have more.
    pub fn put(&mut self, name: &str, value: impl FnOnce(&'f Footprint) -> Document) {
        if let Some((key, reads)) = self.wanted(name) {
            self.fields.push((key, value(reads)));
        }
    }

    /// Adds a text if it is read.
    pub fn text(&mut self, name: &str, text: &str) {
        if let Some((key, _)) = self.wanted(name) {
            self.fields.push((key, Document::text(text)));
        }
    }

    fn wanted(&self, name: &str) -> Option<(Key, &'f Footprint)> {
        if self.reads.0.is_whole {
            return Some((Key::new(name), &WHOLE));
        }
        self.reads.member(name).map(|member| (member.key.clone(), &member.reads))
    }

    /// The object.
    #[must_use]
    pub fn document(self) -> Document {
        Document::object(self.fields)
    }
}

impl Document {
    /// Of an object what is read of it; anything else as it is, because what is read below it is undefined. What all is read of
    /// is shared.
    #[must_use]
    pub fn trimmed(&self, reads: &Footprint) -> Self {
        Self(trimmed(&self.0, reads))
    }

    /// A copy of what is read of a JSON value.
    #[must_use]
    pub fn from_json_trimmed(json: &Json, reads: &Footprint) -> Self {
        let Json::Object(members) = json else { return Self::from_json(json) };
        if reads.0.is_whole {
            return Self::from_json(json);
        }
        let wanted = reads.0.below.iter().filter_map(|member| {
            let value = members.get(&member.name)?;
            Some((member.key.clone(), Self::from_json_trimmed(value, &member.reads)))
        });
        Self::object(wanted)
    }
}

fn trimmed(value: &Value, reads: &Footprint) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    if reads.0.is_whole {
        return value.clone();
    }
    let wanted = reads.0.below.iter().filter_map(|member| {
        let value = members.get(member.key.value())?;
        Some((member.key.value().clone(), trimmed(value, &member.reads)))
    });
    Value::Object(Rc::new(wanted.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn footprint(paths: &[&str]) -> Footprint {
        let path = |text: &&str| text.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Footprint::of(&paths.iter().map(path).collect())
    }

    #[test]
    fn what_is_read_is_left_as_it_is() {
        let json = json!({"a": {"b": 1, "c": [{"d": 2}], "e": {"f": 3, "g": 4}}, "h": null, "i": "x"});
        for (paths, expected) in [
            (&[][..], json!({})),
            (&[""], json.clone()),
            (&["a.b"], json!({"a": {"b": 1}})),
            (&["a.b", "a.e.f", "i"], json!({"a": {"b": 1, "e": {"f": 3}}, "i": "x"})),
            (&["a.b.c", "i.j", "h.k"], json!({"a": {"b": 1}, "h": null, "i": "x"})),
            (&["a.c.d"], json!({"a": {"c": [{"d": 2}]}})),
            (&["a.x", "y.z"], json!({"a": {}})),
            (&["a.e.f", "a.e"], json!({"a": {"e": {"f": 3, "g": 4}}})),
            (&["a", "a.e.f"], json!({"a": {"b": 1, "c": [{"d": 2}], "e": {"f": 3, "g": 4}}})),
            (&["a.b", ""], json.clone()),
        ] {
            let footprint = footprint(paths);
            let copied = Document::from_json_trimmed(&json, &footprint);
            assert_eq!(copied.to_json().unwrap(), expected, "{paths:?}");
            assert_eq!(Document::from_json(&json).trimmed(&footprint), copied, "{paths:?}");
        }
    }

    #[test]
    fn an_id_is_of_one_footprint_and_does_not_keep_it() {
        let ids: Vec<_> = (0..100)
            .map(|_| {
                let one = footprint(&["a.b"]);
                let id = one.id();
                assert!(id.is_of(&one) && id.is_of(&one.clone()) && !id.is_of(&footprint(&["a.b"])));
                id
            })
            .collect();
        let later = footprint(&["a.b"]);
        assert!(ids.iter().all(|id| !id.is_alive() && !id.is_of(&later)));
        assert!(footprint(&["", "a"]).id().is_of(Footprint::whole()));
    }

    #[test]
    fn fields_are_those_that_are_read() {
        let built = |footprint: &Footprint| {
            let mut inner_reads = None;
            let mut fields = Fields::of(footprint);
            fields.text("a", "x");
            fields.put("b", |reads| {
                inner_reads = Some(reads.of_member("c").is_some());
                Document::boolean(true)
            });
            (fields.document().to_json().unwrap(), inner_reads)
        };
        assert_eq!(built(&footprint(&["a"])), (json!({"a": "x"}), None));
        assert_eq!(built(&footprint(&["b.c"])), (json!({"b": true}), Some(true)));
        assert_eq!(built(&footprint(&["b.d", "z"])), (json!({"b": true}), Some(false)));
        assert_eq!(built(Footprint::whole()), (json!({"a": "x", "b": true}), Some(true)));
    }
}
