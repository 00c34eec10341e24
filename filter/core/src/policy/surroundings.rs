//! What is around an evaluation besides its input: what builtins that look outside go by, and what they leave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use regorus::Value;

use super::document::Document;
use super::error::EvaluationError;
use super::explain::Notes;
use super::functions::{Patterns, Stop};
use super::http_send::{Answers, Failure, HttpCache, HttpCall, HttpReply, Outside, Request};
use super::limits::EvaluationBudget;
use crate::config::HttpSend;
use crate::ids::Now;

/// The most lines that one decision writes to the log, and the longest of them in bytes.
const MAX_LINES: usize = 32;
const MAX_LINE_BYTES: usize = 512;

/// After how much work of builtins, in bytes that they went through, the clock is looked at, and what a call counts at least.
const LOOK: usize = 64 << 10;
const CALL: usize = 64;

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined)
}

/// What an evaluation may go by besides input and data. One is made for each decision.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The one instant of the evaluation.
    now: Option<Now>,
    /// What random choices are made from.
    lots: [u8; 16],
    runtime: Option<Document>,
    outside: Option<Outside>,
    answers: Answers,
    /// What `print` and `trace` said, where that is wanted.
    lines: Option<Vec<String>>,
    /// What is noted while an explanation is made.
    notes: Option<Notes>,
    /// Whether explanations have values.
    values: bool,
    /// Bytes that builtins may make, and those that are left.
    bytes: (usize, usize),
    /// What the evaluation may take, and what it has done since somebody last looked at the clock.
    budget: Option<EvaluationBudget>,
    unseen: Cell<usize>,
    /// Signatures that the evaluation has checked.
    signatures: u32,
    patterns: Rc<Patterns>,
    /// Why the evaluation was stopped, if a builtin stopped it.
    stopped: Option<EvaluationError>,
}

impl Surroundings {
    /// With this as the present, however often the policy asks.
    #[must_use]
    pub fn at(now: Now) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// With random bytes, from which `rand.intn` and `uuid.rfc4122` draw.
    #[must_use]
    pub fn drawing(mut self, lots: [u8; 16]) -> Self {
        self.lots = lots;
        self
    }

    /// With what `opa.runtime` gives.
    #[must_use]
    pub fn in_runtime(mut self, runtime: Document) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// With where `http.send` may go, and the responses that are kept.
    #[must_use]
    pub fn with_http(mut self, settings: Rc<HttpSend>, cache: Rc<RefCell<HttpCache>>) -> Self {
        self.outside = Some(Outside { settings, cache });
        self
    }

    /// With room for what `print` and `trace` say.
    #[must_use]
    pub fn with_prints(mut self) -> Self {
        self.lines = Some(Vec::new());
        self
    }

    /// With the values of what held in explanations.
    #[must_use]
    pub fn with_values(mut self) -> Self {
        self.values = true;
        self
    }

    /// The call that has to be made before the decision can be had: after [`EvaluationError::Waiting`], and again after
    /// [`Surroundings::take_reply`] where a call is to be repeated.
    #[must_use]
    pub fn wanted(&self) -> Option<&HttpCall> {
        self.answers.wanted()
    }

    /// Takes what came of the call that was wanted.
    pub fn take_reply(&mut self, reply: HttpReply, now: Now) {
        self.answers.take(reply, self.outside.as_ref(), now);
    }

    /// What `print` and `trace` said, bounded.
    #[must_use]
    pub fn take_lines(&mut self) -> Vec<String> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn lots(&self) -> [u8; 16] {
        self.lots
    }

    /// Ends the evaluation. The first reason stays.
    pub(super) fn stop(&mut self, error: EvaluationError) {
        self.stopped.get_or_insert(error);
    }

    /// Why the evaluation was stopped. A value that it has all the same is not to be believed.
    pub(super) fn take_stop(&mut self) -> Option<EvaluationError> {
        self.stopped.take()
    }

    /// The patterns that the policy has compiled.
    pub(super) fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Before an evaluation of a policy that has compiled these.
    pub(super) fn know(&mut self, patterns: &Rc<Patterns>) {
        self.patterns = Rc::clone(patterns);
    }

    /// Before an evaluation, which may not be the first: what the last one said this one will say once more.
    pub(super) fn begin(&mut self, budget: &EvaluationBudget) {
        self.lines.iter_mut().for_each(Vec::clear);
        self.bytes = (budget.bytes, budget.bytes);
        self.budget = Some(budget.begun());
        self.unseen.set(0);
        self.signatures = 0;
    }

    /// Before an evaluation that is to explain.
    pub(super) fn begin_notes(&mut self) {
        self.notes = Some(if self.values { Notes::with_values() } else { Notes::default() });
    }

    pub(super) fn note(&mut self, of: &Value, value: &Value) {
        self.notes.iter_mut().for_each(|notes| notes.take(of, value));
    }

    /// What was noted.
    pub(super) fn take_notes(&mut self) -> Notes {
        self.notes.take().unwrap_or_default()
    }

    /// With room for this many bytes, until an evaluation begins.
    pub(super) fn with_room(mut self, bytes: usize) -> Self {
        self.bytes = (bytes, bytes);
        self
    }

    /// How many bytes builtins may make in one evaluation.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.0
    }

    pub(super) fn bytes_left(&self) -> usize {
        self.bytes.1
    }

    /// Before a builtin makes this many bytes: ends the evaluation where there is no room for them.
    pub(super) fn has_room(&self, bytes: usize) -> Result<(), Stop> {
        if bytes <= self.bytes.1 {
            return Ok(());
        }
        Err(Stop(EvaluationError::MemoryExhausted { bytes: self.bytes.0 }))
    }

    /// Counts what a builtin has made; `false` when it is more than there may be.
    pub(super) fn makes(&mut self, bytes: usize) -> bool {
        let left = self.bytes.1.checked_sub(bytes);
        self.bytes.1 = left.unwrap_or(0);
        left.is_some()
    }

    /// After a builtin went through this many bytes: ends the evaluation where its time is over. The evaluators look at
    /// the clock by their own steps, whatever one of them takes.
    pub(super) fn works(&self, bytes: usize) -> Result<(), Stop> {
        let unseen = self.unseen.get().saturating_add(bytes).saturating_add(CALL);
        if unseen < LOOK {
            self.unseen.set(unseen);
            return Ok(());
        }
        self.unseen.set(0);
        match &self.budget {
            Some(budget) if budget.left().is_none() => {
                Err(Stop(EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() }))
            }
            _ => Ok(()),
        }
    }

    /// Before something walks a value: ends the evaluation where its time is over on the way through, or where the value
    /// would be larger than there may be if it shared nothing.
    pub(super) fn walks(&mut self, value: &Value) -> Result<(), Stop> {
        let mut left = self.bytes.0;
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            let size = match value {
                Value::Array(items) => {
                    open.extend(items.iter().filter(|item| !is_plain(item)));
                    items.len().saturating_mul(size_of::<Value>())
                }
                Value::Set(items) => {
                    open.extend(items.iter().filter(|item| !is_plain(item)));
                    items.len().saturating_mul(size_of::<Value>())
                }
                Value::Object(fields) => {
                    open.extend(
                        fields.iter().flat_map(|(key, value)| [key, value]).filter(|item| !is_plain(item)),
                    );
                    fields.len().saturating_mul(size_of::<(Value, Value)>())
                }
                Value::String(text) => text.len(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => 0,
            };
            let Some(rest) = left.checked_sub(size) else {
                return Err(Stop(EvaluationError::MemoryExhausted { bytes: self.bytes.0 }));
            };
            left = rest;
            self.works(size)?;
        }
        Ok(())
    }

    /// Counts a signature that is about to be checked; `false` when it is one too many.
    pub(super) fn checks_signature(&mut self) -> bool {
        self.signatures = self.signatures.saturating_add(1);
        self.signatures <= self.budget.unwrap_or_default().signatures
    }

    /// The longest token that is read, in bytes.
    pub(super) fn token_bytes(&self) -> usize {
        self.budget.unwrap_or_default().token_bytes
    }

    /// The present, where there is one.
    pub(super) fn now(&self) -> Option<Now> {
        self.now
    }

    pub(super) fn runtime(&self) -> Value {
        self.runtime.as_ref().map_or_else(Value::new_object, |runtime| runtime.0.clone())
    }

    pub(super) fn answer_to(&mut self, request: Request) -> Result<Result<Value, Failure>, Stop> {
        let now = self.now.unwrap_or(Now(0));
        self.answers.to(request, self.outside.as_ref(), now)
    }

    pub(super) fn print(&mut self, line: &str) {
        let Some(lines) = self.lines.as_mut().filter(|lines| lines.len() < MAX_LINES) else { return };
        let end = line.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_LINE_BYTES).last();
        let short =
            if line.len() <= MAX_LINE_BYTES { line } else { line.get(..end.unwrap_or(0)).unwrap_or("") };
        // One line each: a policy must not be able to forge another one.
        lines.push(short.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
    }
}
