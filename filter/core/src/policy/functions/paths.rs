//! `json.filter` and `json.remove`.

use std::collections::BTreeMap;

use regorus::{Rc, Value};

use super::Stop;
use super::metered::own_size;
use crate::ordered;
use crate::policy::surroundings::Surroundings;

/// The parts of an object that paths lead to.
pub(super) fn filter(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    with_paths(arguments, around, |cut, object, paths| cut.kept(object, paths).map(Some))
}

/// An object without the parts that paths lead to.
pub(super) fn remove(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    with_paths(arguments, around, |cut, object, paths| cut.left(object, paths).map(Some))
}

fn with_paths(
    arguments: &[Value],
    around: &Surroundings,
    cut: impl FnOnce(&mut Cut<'_>, &Value, Vec<Path<'_>>) -> Result<Option<Value>, Stop>,
) -> Result<Option<Value>, Stop> {
    let [object @ Value::Object(_), paths] = arguments else { return Ok(None) };
    let paths: Option<Vec<Path<'_>>> = match paths {
        Value::Array(paths) => paths.iter().map(Path::of).collect(),
        Value::Set(paths) => paths.iter().map(Path::of).collect(),
        _ => None,
    };
    let Some(paths) = paths else { return Ok(None) };
    cut(&mut Cut { around, bytes: 0 }, object, paths)
}

/// What of a path has not been gone yet; read on the way, so that it takes no room.
#[derive(Clone, Copy)]
enum Path<'a> {
    Text(&'a str),
    Parts(&'a [Value]),
    End,
}

impl<'a> Path<'a> {
    fn of(path: &'a Value) -> Option<Self> {
        match path {
            Value::String(text) if text.is_empty() => Some(Self::End),
            Value::String(text) => Some(Self::Text(text.trim_start_matches('/'))),
            Value::Array(parts) => Some(Self::rest(parts.as_slice())),
            _ => None,
        }
    }

    fn rest(parts: &'a [Value]) -> Self {
        if parts.is_empty() { Self::End } else { Self::Parts(parts) }
    }

    /// Its first part and the others.
    fn step(self) -> Option<(Value, Self)> {
        match self {
            Self::Text(text) => {
                let (part, rest) = match text.split_once('/') {
                    Some((part, rest)) => (part, Self::Text(rest)),
                    None => (text, Self::End),
                };
                let part = match part.contains('~') {
                    true => Value::from(part.replace("~1", "/").replace("~0", "~")),
                    false => Value::from(part),
                };
                Some((part, rest))
            }
            Self::Parts(parts) => {
                let (first, rest) = parts.split_first()?;
                Some((first.clone(), Self::rest(rest)))
            }
            Self::End => None,
        }
    }
}

/// What leads on below a part; `None` where a path ends there.
type Ways<'a> = BTreeMap<Value, Option<Vec<Path<'a>>>>;

fn ways(paths: Vec<Path<'_>>) -> Ways<'_> {
    let mut ways = Ways::new();
    for (part, rest) in paths.into_iter().filter_map(Path::step) {
        let below = ways.entry(part).or_insert_with(|| Some(Vec::new()));
        match rest {
            Path::End => *below = None,
            rest => below.iter_mut().for_each(|below| below.push(rest)),
        }
    }
    ways
}

/// Makes no more than there is room for. The depth is bounded by that of the values.
struct Cut<'a> {
    around: &'a Surroundings,
    bytes: usize,
}

impl Cut<'_> {
    fn count(&mut self, value: &Value) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(own_size(value));
        self.around.has_room(self.bytes)
    }

    fn kept(&mut self, value: &Value, paths: Vec<Path<'_>>) -> Result<Value, Stop> {
        let mut ways = ways(paths);
        let mut below = |part: &Value, value: &Value| match ways.remove(part) {
            None => Ok(None),
            Some(None) => Ok(Some(value.clone())),
            Some(Some(paths)) => self.kept(value, paths).map(Some),
        };
        let kept = match value {
            Value::Object(fields) => object(fields.iter(), &mut below)?,
            Value::Array(items) => array(items.as_slice(), &mut below)?,
            Value::Set(items) => set(items.iter(), &mut below)?,
            other => other.clone(),
        };
        self.count(&kept)?;
        Ok(kept)
    }

    fn left(&mut self, value: &Value, paths: Vec<Path<'_>>) -> Result<Value, Stop> {
        let mut ways = ways(paths);
        let mut below = |part: &Value, value: &Value| match ways.remove(part) {
            None => Ok(Some(value.clone())),
            Some(None) => Ok(None),
            Some(Some(paths)) => self.left(value, paths).map(Some),
        };
        let left = match value {
            Value::Object(fields) => object(fields.iter(), &mut below)?,
            Value::Array(items) => array(items.as_slice(), &mut below)?,
            Value::Set(items) => set(items.iter(), &mut below)?,
            other => other.clone(),
        };
        self.count(&left)?;
        Ok(left)
    }
}

type Below<'b> = dyn FnMut(&Value, &Value) -> Result<Option<Value>, Stop> + 'b;

fn object<'a>(
    fields: impl Iterator<Item = (&'a Value, &'a Value)>,
    below: &mut Below<'_>,
) -> Result<Value, Stop> {
    let mut made = Vec::new();
    for (key, value) in fields {
        made.extend(below(key, value)?.map(|value| (key.clone(), value)));
    }
    Ok(Value::Object(Rc::new(made.into_iter().collect())))
}

/// An item's part of a path is its index as a text.
fn array(items: &[Value], below: &mut Below<'_>) -> Result<Value, Stop> {
    let mut made = Vec::new();
    for (index, item) in items.iter().enumerate() {
        made.extend(below(&Value::from(index.to_string()), item)?);
    }
    Ok(Value::from(made))
}

fn set<'a>(items: impl Iterator<Item = &'a Value>, below: &mut Below<'_>) -> Result<Value, Stop> {
    let mut made = Vec::new();
    for item in items {
        made.extend(below(item, item)?);
    }
    Ok(Value::from(ordered::set(made)))
}
