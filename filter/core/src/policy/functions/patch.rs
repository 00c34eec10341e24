//! `json.patch`: RFC 6902, with OPA's paths and with sets.

use regorus::Value;

use super::{Stop, failed};
use crate::ordered;
use crate::policy::surroundings::Surroundings;

/// How deep a value may be that a patch makes: it is walked by recursion.
const DEPTH: usize = 256;

/// A value, taken apart as far as something in it was touched.
enum Tree {
    Whole(Value),
    Array(Vec<Slot>),
    /// Sorted by key.
    Object(Vec<(Value, Tree)>),
    Set(Vec<Tree>),
}

/// An element of an array, and where it was at first if it has not been touched.
struct Slot {
    was: Option<usize>,
    tree: Tree,
}

/// A value after some operations; undefined unless all of them can be done.
pub(super) fn patch(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [value, Value::Array(operations)] = arguments else { return Ok(None) };
    let mut root = Some(Tree::Whole(value.clone()));
    for operation in operations.iter() {
        if apply(&mut root, operation, around)?.is_none() {
            return Ok(None);
        }
    }
    // OPA itself ends there.
    let root = root.ok_or_else(|| failed("json.patch: nothing is left of the value"))?;
    let patched = root.value(around)?;
    // A value that was copied many times over is small, and endless to walk.
    around.walks(&patched)?;
    Ok(Some(patched))
}

fn apply(root: &mut Option<Tree>, operation: &Value, around: &mut Surroundings) -> Result<Option<()>, Stop> {
    let Value::Object(fields) = operation else { return Ok(None) };
    let field = |name: &str| fields.get(&Value::from(name));
    let (Some(Value::String(name)), Some(path)) = (field("op"), field("path").and_then(parts)) else {
        return Ok(None);
    };
    let value = field("value").cloned();
    match name.as_ref() {
        "add" => insert(root, &path, value, around),
        "remove" => Ok(remove(root, &path, around)?.map(drop)),
        "replace" => match remove(root, &path, around)? {
            Some(_) => insert(root, &path, value, around),
            None => Ok(None),
        },
        "test" => {
            Ok(read(root, &path, around)?.zip(value).and_then(|(one, other)| (one == other).then_some(())))
        }
        "copy" | "move" => {
            let Some(from) = field("from").and_then(parts) else { return Ok(None) };
            let Some(value) = read(root, &from, around)? else { return Ok(None) };
            if name.as_ref() == "move" && remove(root, &from, around)?.is_none() {
                return Ok(None);
            }
            insert(root, &path, Some(value), around)
        }
        _ => Ok(None),
    }
}

/// The parts of a path, which is a text or an array of them.
fn parts(path: &Value) -> Option<Vec<Value>> {
    match path {
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => {
            let parts = text.trim_start_matches('/').split('/');
            Some(parts.map(|part| Value::from(part.replace("~1", "/").replace("~0", "~"))).collect())
        }
        Value::Array(parts) => Some(parts.to_vec()),
        _ => None,
    }
}

/// What stands at a path.
fn below<'t>(
    root: &'t mut Option<Tree>,
    path: &[Value],
    around: &mut Surroundings,
) -> Result<Option<&'t mut Tree>, Stop> {
    let mut at = root.as_mut();
    for key in path {
        let Some(tree) = at else { return Ok(None) };
        at = tree.child(key, around)?;
    }
    Ok(at)
}

fn read(root: &mut Option<Tree>, path: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    match below(root, path, around)? {
        Some(tree) => tree.value(around).map(Some),
        None => Ok(None),
    }
}

fn insert(
    root: &mut Option<Tree>,
    path: &[Value],
    value: Option<Value>,
    around: &mut Surroundings,
) -> Result<Option<()>, Stop> {
    let Some(value) = value else { return Ok(None) };
    if path.len().saturating_add(depth(&value, around)?) > DEPTH {
        return Err(failed("json.patch: a value of more than 256 levels"));
    }
    let Some((key, above)) = path.split_last() else {
        *root = Some(Tree::Whole(value));
        return Ok(Some(()));
    };
    match below(root, above, around)? {
        Some(tree) => tree.insert(key, value, around),
        None => Ok(None),
    }
}

fn remove(root: &mut Option<Tree>, path: &[Value], around: &mut Surroundings) -> Result<Option<Tree>, Stop> {
    let Some((key, above)) = path.split_last() else { return Ok(root.take()) };
    match below(root, above, around)? {
        Some(tree) => tree.remove(key, around),
        None => Ok(None),
    }
}

/// How many levels a value has, up to what is too many.
fn depth(value: &Value, around: &mut Surroundings) -> Result<usize, Stop> {
    around.walks(value)?;
    let (mut deepest, mut open) = (0, vec![(0_usize, value)]);
    while let Some((depth, value)) = open.pop() {
        deepest = deepest.max(depth);
        let below = depth.saturating_add(1);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (below, item))),
            Value::Set(items) => open.extend(items.iter().map(|item| (below, item))),
            Value::Object(fields) => open.extend(fields.values().map(|item| (below, item))),
            _ => {}
        }
    }
    Ok(deepest)
}

impl Tree {
    /// Takes a collection apart, one level deep.
    fn open(&mut self, around: &mut Surroundings) -> Result<(), Stop> {
        let Self::Whole(value) = self else { return Ok(()) };
        // Made here, and once more when it is put together again.
        let size = super::metered::own_size(value).saturating_mul(4);
        around.has_room(size)?;
        around.makes(size);
        around.works(size)?;
        let whole = |value: &Value| Self::Whole(value.clone());
        let opened = match value {
            Value::Array(items) => {
                let slots = items.iter().enumerate();
                Self::Array(slots.map(|(at, item)| Slot { was: Some(at), tree: whole(item) }).collect())
            }
            Value::Object(fields) => {
                Self::Object(fields.iter().map(|(key, value)| (key.clone(), whole(value))).collect())
            }
            Value::Set(items) => Self::Set(items.iter().map(whole).collect()),
            _ => return Ok(()),
        };
        *self = opened;
        Ok(())
    }

    fn child(&mut self, key: &Value, around: &mut Surroundings) -> Result<Option<&mut Self>, Stop> {
        let place = self.place(key, around)?;
        Ok(match (self, place) {
            (Self::Array(slots), Ok(at)) => match slots.get_mut(at) {
                // OPA takes the element that was at this place at first.
                Some(slot) if slot.was.is_some_and(|was| was != at) => {
                    return Err(failed(
                        "json.patch: an element that has moved is not served: remove or add it last",
                    ));
                }
                Some(slot) => {
                    slot.was = None;
                    Some(&mut slot.tree)
                }
                None => None,
            },
            (Self::Object(fields), Ok(at)) => fields.get_mut(at).map(|(_, tree)| tree),
            (Self::Set(items), Ok(at)) => items.get_mut(at),
            _ => None,
        })
    }

    fn remove(&mut self, key: &Value, around: &mut Surroundings) -> Result<Option<Self>, Stop> {
        let place = self.place(key, around)?;
        Ok(match (self, place) {
            (Self::Array(slots), Ok(at)) if at < slots.len() => Some(slots.remove(at).tree),
            (Self::Object(fields), Ok(at)) => Some(fields.remove(at).1),
            (Self::Set(items), Ok(at)) => Some(items.remove(at)),
            _ => None,
        })
    }

    fn insert(&mut self, key: &Value, value: Value, around: &mut Surroundings) -> Result<Option<()>, Stop> {
        let place = self.place(key, around)?;
        let tree = Self::Whole(value);
        match (self, place, &tree) {
            (Self::Array(slots), Ok(at), _) if at <= slots.len() => {
                slots.insert(at, Slot { was: None, tree })
            }
            (Self::Object(fields), Err(at), _) => fields.insert(at, (key.clone(), tree)),
            (Self::Object(fields), Ok(at), _) => match fields.get_mut(at) {
                Some(field) => field.1 = tree,
                None => return Ok(None),
            },
            (Self::Set(_), Ok(_), Self::Whole(value)) if key == value => {}
            (Self::Set(items), Err(_), Self::Whole(value)) if key == value => items.push(tree),
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// Where a key is, or could be put in an object; beyond an array where it is no index.
    fn place(&mut self, key: &Value, around: &mut Surroundings) -> Result<Result<usize, usize>, Stop> {
        self.open(around)?;
        around.works(self.length())?;
        Ok(match self {
            Self::Whole(_) => Err(0),
            Self::Array(slots) => Ok(index(key, slots.len()).unwrap_or(usize::MAX)),
            Self::Object(fields) => fields.binary_search_by(|(own, _)| own.cmp(key)),
            Self::Set(items) => {
                for (at, item) in items.iter().enumerate() {
                    if item.value(around)? == *key {
                        return Ok(Ok(at));
                    }
                }
                Err(items.len())
            }
        })
    }

    /// What a step through it counts, in bytes.
    fn length(&self) -> usize {
        let length = match self {
            Self::Whole(_) => 0,
            Self::Array(slots) => slots.len(),
            Self::Object(fields) => fields.len(),
            Self::Set(items) => items.len(),
        };
        length.saturating_mul(size_of::<(Value, Value)>())
    }

    /// The value, put together again.
    fn value(&self, around: &mut Surroundings) -> Result<Value, Stop> {
        around.works(self.length())?;
        Ok(match self {
            Self::Whole(value) => value.clone(),
            Self::Array(slots) => {
                let mut items = Vec::with_capacity(slots.len());
                for slot in slots {
                    items.push(slot.tree.value(around)?);
                }
                Value::from(items)
            }
            Self::Object(fields) => {
                let mut pairs = Vec::with_capacity(fields.len());
                for (key, tree) in fields {
                    pairs.push((key.clone(), tree.value(around)?));
                }
                Value::from(ordered::map(pairs))
            }
            Self::Set(trees) => {
                let mut items = Vec::with_capacity(trees.len());
                for tree in trees {
                    items.push(tree.value(around)?);
                }
                Value::from(ordered::set(items))
            }
        })
    }
}

/// The index that a part of a path is in an array: a number, or a text that is one; `-` is behind the last.
fn index(key: &Value, length: usize) -> Option<usize> {
    match key {
        Value::Number(number) => usize::try_from(number.as_i64()?).ok(),
        Value::String(text) if text.as_ref() == "-" => Some(length),
        Value::String(text) => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            // OPA takes `1.0` and `.`, and no zeros in front.
            let (whole, zeros) = digits.split_once('.').unwrap_or((digits, ""));
            let is_number = !digits.is_empty()
                && whole.bytes().all(|b| b.is_ascii_digit())
                && zeros.bytes().all(|b| b == b'0')
                && (text.as_ref() == "0" || !text.starts_with('0'));
            let index = if whole.is_empty() { 0 } else { whole.parse().ok()? };
            (is_number && (index == 0 || !text.starts_with('-'))).then_some(index)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
