//! What marks tell while Rego is evaluated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use regorus::{Engine, Value};

use super::marks::{CASE, Kind, MARK, Marked};
use super::served::ASKED;
use super::{RegoError, rego};

/// What an evaluation went through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// The marks that were reached.
    pub(crate) reached: BTreeSet<usize>,
    /// For each definition the last statement that was begun.
    pub(crate) last: BTreeMap<usize, usize>,
    /// The cases that were begun, in order; one that begins again is the same.
    pub(crate) cases: Vec<Case>,
    /// What `http.send` was first asked for.
    pub(crate) asked: Option<String>,
    /// Rules with a default, while they are evaluated: the definitions that were begun, and whether one came to its end.
    open: BTreeMap<usize, (BTreeSet<usize>, bool)>,
}

impl Trail {
    /// A definition of a rule with a default begins. One that began before belongs to an earlier evaluation of the rule,
    /// which took the default if nothing came to its end in it.
    fn evaluates(&mut self, default: usize, definition: usize) {
        let (begun, has_ended) = self.open.entry(default).or_default();
        if !begun.insert(definition) {
            if !*has_ended {
                self.reached.insert(default);
            }
            *begun = BTreeSet::from([definition]);
            *has_ended = false;
        }
    }
}

/// A case of a test.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) definition: usize,
    /// Its name, outermost part first.
    pub(crate) name: Vec<Value>,
    /// The last statement that was begun for it.
    pub(crate) last: Option<usize>,
    /// The last statement before it was known which case it is; those up to it begin the next case.
    since: Option<usize>,
}

/// What the trail is read with.
struct Meaning {
    /// Definition and kind of each mark, and whether its definition begins with it.
    marks: Vec<(usize, Kind, bool)>,
    /// The default's mark of each definition's rule.
    defaults: Vec<Option<usize>>,
}

/// Listens to the marks of the engines that it was put into, and of their clones.
#[derive(Clone)]
pub(crate) struct Recorder {
    trail: Arc<Mutex<Trail>>,
    meaning: Arc<Meaning>,
}

impl Recorder {
    pub(crate) fn new(marked: &Marked) -> Self {
        let by_path: BTreeMap<&[String], usize> = marked
            .definitions
            .iter()
            .filter_map(|definition| Some((definition.path.as_slice(), definition.default?)))
            .collect();
        let defaults =
            marked.definitions.iter().map(|definition| by_path.get(definition.path.as_slice()).copied());
        let defaults = defaults.collect();
        // The head comes first, and what is reached first is the statement after it, where there is one.
        let definition = |i: usize| marked.marks.get(i).map(|mark| mark.definition);
        let begins = |i: usize| {
            let before = |by: usize| i.checked_sub(by).and_then(definition);
            let is_head = |i: usize| marked.marks.get(i).is_some_and(|mark| mark.kind == Kind::Head);
            let is_after_first = before(1) == definition(i) && before(2) != definition(i);
            let is_alone = before(1) != definition(i) && definition(i.saturating_add(1)) != definition(i);
            is_after_first && !is_head(i) || is_alone
        };
        let marks = marked.marks.iter().enumerate().map(|(i, mark)| (mark.definition, mark.kind, begins(i)));
        let meaning = Meaning { marks: marks.collect(), defaults };
        Self { trail: Arc::default(), meaning: Arc::new(meaning) }
    }

    /// Serves the functions that marks call.
    ///
    /// # Errors
    ///
    /// When the engine has such functions already.
    pub(crate) fn listen(&self, engine: &mut Engine) -> Result<(), RegoError> {
        let this = self.clone();
        let mark = move |arguments: Vec<Value>| {
            this.reached(arguments.first());
            Ok(Value::Bool(true))
        };
        let this = self.clone();
        let case = move |arguments: Vec<Value>| {
            this.begun(arguments.first(), arguments.get(1));
            Ok(Value::Bool(true))
        };
        let this = self.clone();
        let asked = move |arguments: Vec<Value>| {
            this.asked(arguments.first());
            Ok(Value::Undefined)
        };
        engine
            .add_extension(ASKED.to_owned(), 1, Box::new(asked))
            .map_err(|error| rego(&error.to_string()))?;
        engine.add_extension(MARK.to_owned(), 1, Box::new(mark)).map_err(|error| rego(&error.to_string()))?;
        engine.add_extension(CASE.to_owned(), 2, Box::new(case)).map_err(|error| rego(&error.to_string()))
    }

    /// The trail since the last call.
    pub(crate) fn take(&self) -> Trail {
        let mut trail = std::mem::take(&mut *self.trail.lock().unwrap_or_else(PoisonError::into_inner));
        let untaken = std::mem::take(&mut trail.open).into_iter().filter(|(_, (_, has_ended))| !has_ended);
        trail.reached.extend(untaken.map(|(default, _)| default));
        trail
    }

    fn reached(&self, mark: Option<&Value>) {
        let Some(mark) = mark.and_then(number) else { return };
        let Some((definition, kind, begins)) = self.meaning.marks.get(mark).copied() else { return };
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.reached.insert(mark);
        let default = self.meaning.defaults.get(definition).copied().flatten();
        if let (Some(default), true) = (default, begins) {
            trail.evaluates(default, definition);
        }
        match kind {
            Kind::Statement { .. } => {
                trail.last.insert(definition, mark);
                if let Some(case) = trail
                    .cases
                    .last_mut()
                    .filter(|case| case.definition == definition && Some(mark) > case.since)
                {
                    case.last = Some(mark);
                }
            }
            Kind::Head => {
                if let Some((_, has_ended)) = default.and_then(|default| trail.open.get_mut(&default)) {
                    *has_ended = true;
                }
            }
            Kind::Default => {}
        }
    }

    fn asked(&self, request: Option<&Value>) {
        let url =
            request.and_then(|request| request.as_object().ok()?.get(&Value::from("url"))?.as_string().ok());
        let url = url.map(|url| url.to_string()).unwrap_or_default();
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.asked.get_or_insert(url);
    }

    fn begun(&self, definition: Option<&Value>, name: Option<&Value>) {
        let Some(definition) = definition.and_then(number) else { return };
        let name: Vec<Value> =
            name.and_then(|name| name.as_array().ok()).map(|name| name.to_vec()).unwrap_or_default();
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one is the current one.
        trail.cases.retain(|case| case.definition != definition || case.name != name);
        let since = trail.last.get(&definition).copied();
        trail.cases.push(Case { definition, name, last: since, since });
    }
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().ok().and_then(|number| usize::try_from(number).ok())
}
