//! The search of a text for a pattern: leftmost, and of those that begin there the preferred one.

use std::mem;

use super::super::Stop;
use super::pattern::{Assertion, Pattern, Step};
use crate::policy::surroundings::Surroundings;

/// What the machine's being at a step counts as, in bytes gone through: about as long as reading them takes.
const STEP: usize = 16;

/// Where a group begins, then where it ends, for each group. As many as the search is asked for.
pub(super) type Positions = Vec<Option<usize>>;

impl Pattern {
    /// Whether the pattern matches somewhere.
    ///
    /// # Errors
    /// As all searches: when the time of the evaluation is over.
    pub(super) fn matches(&self, text: &str, around: &Surroundings) -> Result<bool, Stop> {
        Ok(self.search(text, 0, 0, around)?.is_some())
    }

    /// The matches one after the other, with the positions of this many groups, the whole match included. None is empty and
    /// touches the one before.
    pub(super) fn all(
        &self,
        text: &str,
        groups: usize,
        around: &Surroundings,
    ) -> impl Iterator<Item = Result<Positions, Stop>> {
        let (mut from, mut last_end) = (0, None);
        std::iter::from_fn(move || {
            loop {
                let found = match self.search(text, from, groups, around).transpose()? {
                    Ok(found) => found,
                    Err(stop) => return Some(Err(stop)),
                };
                let (start, end) = span(&found);
                if start < end || last_end != Some(end) {
                    (from, last_end) = (end, Some(end));
                    return Some(Ok(found));
                }
                let next = text.get(end..)?.chars().next()?;
                from = end.saturating_add(next.len_utf8());
            }
        })
    }

    /// The first match from here on.
    fn search(
        &self,
        text: &str,
        from: usize,
        groups: usize,
        around: &Surroundings,
    ) -> Result<Option<Positions>, Stop> {
        // What follows makes room for each step of the pattern.
        around.works(self.steps.len())?;
        let slots = groups.saturating_mul(2);
        let mut search = Search { pattern: self, text, visits: Vec::new(), positions: vec![None; slots] };
        let mut now = Threads::of(self, slots);
        let mut next = Threads::of(self, slots);
        let mut found: Option<Positions> = None;
        let mut at = from;
        loop {
            if now.steps.is_empty() {
                if found.is_some() || (self.anchored && at > 0) {
                    break;
                }
                if let Some(Step::Character(first)) = self.steps.first() {
                    let Some(ahead) = text.get(at..).and_then(|rest| rest.find(*first)) else { break };
                    around.works(ahead)?;
                    at = at.saturating_add(ahead);
                }
            }
            if found.is_none() {
                search.positions.fill(None);
                if let Some(start) = search.positions.first_mut() {
                    *start = Some(at);
                }
                search.enter(&mut now, 0, at);
            }
            around.works(now.dirty.len().saturating_mul(now.slots.saturating_add(STEP)))?;
            let character = text.get(at..).and_then(|rest| rest.chars().next());
            let after = at.saturating_add(character.map_or(0, char::len_utf8));
            for (index, &step) in now.steps.iter().enumerate() {
                let kept = now.positions_of(index);
                if self.ends_at(step) {
                    let mut positions = kept.to_vec();
                    if let Some(end) = positions.get_mut(1) {
                        *end = Some(at);
                    }
                    // What is less preferred is given up; what is more goes on.
                    found = Some(positions);
                    break;
                }
                if character.is_some_and(|c| self.takes(step, c)) {
                    search.positions.copy_from_slice(kept);
                    search.enter(&mut next, step.saturating_add(1), after);
                }
            }
            if character.is_none() || (slots == 0 && found.is_some()) {
                break;
            }
            at = after;
            mem::swap(&mut now, &mut next);
            next.leave();
        }
        Ok(found)
    }

    fn step(&self, at: u32) -> Option<Step> {
        self.steps.get(usize::try_from(at).ok()?).copied()
    }

    fn ends_at(&self, step: u32) -> bool {
        matches!(self.step(step), Some(Step::Match))
    }

    fn takes(&self, step: u32, c: char) -> bool {
        match self.step(step) {
            Some(Step::Character(wanted)) => wanted == c,
            Some(Step::Class(class)) => {
                let class = usize::try_from(class).ok().and_then(|class| self.classes.get(class));
                class.is_some_and(|ranges| {
                    let after = ranges.partition_point(|(start, _)| *start <= c);
                    let last = after.checked_sub(1).and_then(|last| ranges.get(last));
                    last.is_some_and(|(_, end)| c <= *end)
                })
            }
            _ => false,
        }
    }
}

/// Where the whole match is.
pub(super) fn span(positions: &[Option<usize>]) -> (usize, usize) {
    match positions {
        [Some(start), Some(end), ..] => (*start, *end),
        _ => (0, 0),
    }
}

/// The steps that the machine is at, the preferred ones first: each waits for a character, or is the end.
struct Threads {
    steps: Vec<u32>,
    /// For each of `steps`, as many as there are slots.
    positions: Vec<Option<usize>>,
    slots: usize,
    entered: Vec<bool>,
    /// Those of `entered` that are set.
    dirty: Vec<u32>,
}

impl Threads {
    fn of(pattern: &Pattern, slots: usize) -> Self {
        let entered = vec![false; pattern.steps.len()];
        Self { steps: Vec::new(), positions: Vec::new(), slots, entered, dirty: Vec::new() }
    }

    /// Whether this is the first way to this step.
    fn is_new(&mut self, step: u32) -> bool {
        let entered = usize::try_from(step).ok().and_then(|step| self.entered.get_mut(step));
        let is_new = entered.is_some_and(|entered| !mem::replace(entered, true));
        if is_new {
            self.dirty.push(step);
        }
        is_new
    }

    fn positions_of(&self, index: usize) -> &[Option<usize>] {
        let start = index.saturating_mul(self.slots);
        self.positions.get(start..start.saturating_add(self.slots)).unwrap_or_default()
    }

    fn leave(&mut self) {
        for step in self.dirty.drain(..) {
            if let Some(entered) = usize::try_from(step).ok().and_then(|step| self.entered.get_mut(step)) {
                *entered = false;
            }
        }
        self.steps.clear();
        self.positions.clear();
    }
}

struct Search<'a> {
    pattern: &'a Pattern,
    text: &'a str,
    visits: Vec<Visit>,
    /// Those of the way that is being followed.
    positions: Positions,
}

enum Visit {
    Step(u32),
    /// The way that changed it has been followed to its ends.
    Restore(usize, Option<usize>),
}

impl Search<'_> {
    /// Follows all ways from a step that take no character.
    fn enter(&mut self, threads: &mut Threads, step: u32, at: usize) {
        self.visits.push(Visit::Step(step));
        while let Some(visit) = self.visits.pop() {
            let step = match visit {
                Visit::Step(step) => step,
                Visit::Restore(slot, position) => {
                    self.remember(slot, position);
                    continue;
                }
            };
            if !threads.is_new(step) {
                continue;
            }
            let next = Visit::Step(step.saturating_add(1));
            match self.pattern.step(step) {
                Some(Step::Jump(to)) => self.visits.push(Visit::Step(to)),
                Some(Step::Fork(first, second)) => {
                    self.visits.push(Visit::Step(second));
                    self.visits.push(Visit::Step(first));
                }
                Some(Step::Assertion(assertion)) if assertion.holds(self.text, at) => self.visits.push(next),
                Some(Step::Position(slot)) => {
                    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
                    if let Some(before) = self.positions.get(slot).copied() {
                        self.visits.push(Visit::Restore(slot, before));
                        self.remember(slot, Some(at));
                    }
                    self.visits.push(next);
                }
                Some(Step::Character(_) | Step::Class(_) | Step::Match) => {
                    threads.steps.push(step);
                    threads.positions.extend_from_slice(&self.positions);
                }
                Some(Step::Assertion(_)) | None => {}
            }
        }
    }

    fn remember(&mut self, slot: usize, position: Option<usize>) {
        if let Some(place) = self.positions.get_mut(slot) {
            *place = position;
        }
    }
}

impl Assertion {
    fn holds(self, text: &str, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before)).copied();
        let after = text.as_bytes().get(at).copied();
        let in_word = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        match self {
            Self::TextStart => before.is_none(),
            Self::TextEnd => after.is_none(),
            Self::LineStart => matches!(before, None | Some(b'\n')),
            Self::LineEnd => matches!(after, None | Some(b'\n')),
            Self::WordBoundary => in_word(before) != in_word(after),
            Self::NoWordBoundary => in_word(before) == in_word(after),
        }
    }
}
