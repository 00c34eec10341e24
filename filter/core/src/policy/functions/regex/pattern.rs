//! Patterns as programs: what a machine does that is in many states at once.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::perl;

/// How long the text of a pattern is at most: to read it takes time.
pub(super) const MOST_TEXT: usize = 16 * 1024;
/// How many bytes a program takes at most.
const MOST_BYTES: usize = 100 * 1024;
/// How often RE2 repeats something by a count at most, what is repeated within it included.
const MOST_REPEATED: u32 = 1000;
/// How many positions of groups a search keeps at most: those of the pattern for each of its steps.
const MOST_POSITIONS: usize = 256 * 1024;

/// A pattern, compiled. Its time is bounded by its steps for each character of the text.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) steps: Vec<Step>,
    /// Ranges of characters, sorted.
    pub(super) classes: Vec<Vec<(char, char)>>,
    /// The names of its groups; the first is the whole match.
    pub(super) groups: Vec<Option<Box<str>>>,
    /// Whether it matches at the beginning of a text alone.
    pub(super) anchored: bool,
    bytes: usize,
}

/// Goes on at the next step unless it says where. Numbers are `u32` so that programs are as large everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Character(char),
    /// One of a class.
    Class(u32),
    /// A position, not a character.
    Assertion(Assertion),
    /// A group begins or ends: remembers where.
    Position(u32),
    /// At both; what the first leads to is preferred.
    Fork(u32, u32),
    Jump(u32),
    Match,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    /// Between a character of ASCII words and something else.
    WordBoundary,
    NoWordBoundary,
}

/// Why there is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no pattern.
    Malformed,
    TooLarge,
}

impl Pattern {
    /// Compiles a pattern of RE2.
    pub(super) fn compile(pattern: &str) -> Result<Self, Refused> {
        if pattern.len() > MOST_TEXT {
            return Err(Refused::TooLarge);
        }
        let perl::Written { text, groups } = perl::written(pattern).ok_or(Refused::Malformed)?;
        let hir = regex_syntax::parse(&text).map_err(|_| Refused::Malformed)?;
        if !repeats_at_most(&hir, MOST_REPEATED) {
            return Err(Refused::Malformed);
        }
        let anchored = hir.properties().look_set_prefix().contains(Look::Start);
        let mut compiled = Self { steps: Vec::new(), classes: Vec::new(), groups, anchored, bytes: 0 };
        compiled.add(&hir)?;
        compiled.push(Step::Match)?;
        let slots = compiled.groups.len().saturating_mul(2);
        if compiled.steps.len().saturating_mul(slots) > MOST_POSITIONS {
            return Err(Refused::TooLarge);
        }
        Ok(compiled)
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Depth is bounded by the parser's limit of nesting.
    fn add(&mut self, hir: &Hir) -> Result<(), Refused> {
        match hir.kind() {
            HirKind::Empty => Ok(()),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| Refused::Malformed)?;
                text.chars().try_for_each(|c| self.push(Step::Character(c)).map(|_| ()))
            }
            HirKind::Class(class) => {
                let ranges: Vec<(char, char)> = match class {
                    Class::Unicode(class) => class.iter().map(|range| (range.start(), range.end())).collect(),
                    Class::Bytes(class) => {
                        class.iter().map(|range| (range.start().into(), range.end().into())).collect()
                    }
                };
                self.grow(ranges.len().saturating_mul(size_of::<(char, char)>()))?;
                let index = number(self.classes.len());
                self.classes.push(ranges);
                self.push(Step::Class(index)).map(|_| ())
            }
            HirKind::Look(look) => self.push(Step::Assertion(assertion(*look)?)).map(|_| ()),
            HirKind::Repetition(repetition) => self.repeat(repetition),
            HirKind::Capture(capture) => {
                let slot = capture.index.saturating_mul(2);
                self.push(Step::Position(slot))?;
                self.add(&capture.sub)?;
                self.push(Step::Position(slot.saturating_add(1))).map(|_| ())
            }
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part)),
            HirKind::Alternation(alternatives) => {
                let mut jumps = Vec::new();
                let mut rest = alternatives.iter().peekable();
                while let Some(alternative) = rest.next() {
                    if rest.peek().is_none() {
                        self.add(alternative)?;
                        break;
                    }
                    let fork = self.fork()?;
                    self.add(alternative)?;
                    jumps.push(self.push(Step::Jump(0))?);
                    self.join(fork, true);
                }
                let end = number(self.steps.len());
                for jump in jumps {
                    self.set(jump, Step::Jump(end));
                }
                Ok(())
            }
        }
    }

    fn repeat(&mut self, repetition: &Repetition) -> Result<(), Refused> {
        let Repetition { min, max, greedy, ref sub } = *repetition;
        let mut last = self.steps.len();
        for _ in 0..min {
            last = self.steps.len();
            self.add(sub)?;
        }
        let Some(max) = max else {
            // Once at least, and the whole of it may be left out: what matches nothing would else end the loop too early.
            let optional = if min == 0 { Some(self.fork()?) } else { None };
            if min == 0 {
                last = self.steps.len();
                self.add(sub)?;
            }
            let again = self.fork()?;
            let (back, out) = (number(last), number(self.steps.len()));
            self.set(again, if greedy { Step::Fork(back, out) } else { Step::Fork(out, back) });
            if let Some(optional) = optional {
                self.join(optional, greedy);
            }
            return Ok(());
        };
        let mut forks = Vec::new();
        for _ in min..max {
            forks.push(self.fork()?);
            self.add(sub)?;
        }
        for fork in forks {
            self.join(fork, greedy);
        }
        Ok(())
    }

    /// A fork whose ends are not known yet.
    fn fork(&mut self) -> Result<usize, Refused> {
        self.push(Step::Fork(0, 0))
    }

    /// The fork leads to what comes next in the program, and to what comes now.
    fn join(&mut self, fork: usize, next_first: bool) {
        let (next, now) = (number(fork.saturating_add(1)), number(self.steps.len()));
        self.set(fork, if next_first { Step::Fork(next, now) } else { Step::Fork(now, next) });
    }

    fn set(&mut self, at: usize, step: Step) {
        if let Some(place) = self.steps.get_mut(at) {
            *place = step;
        }
    }

    fn push(&mut self, step: Step) -> Result<usize, Refused> {
        self.grow(size_of::<Step>())?;
        self.steps.push(step);
        Ok(self.steps.len().saturating_sub(1))
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES { Err(Refused::TooLarge) } else { Ok(()) }
    }
}

/// Whether counts make nothing come more than so often. Depth is bounded by the parser's limit of nesting.
fn repeats_at_most(hir: &Hir, most: u32) -> bool {
    let most = match hir.kind() {
        HirKind::Repetition(Repetition { min: 0 | 1, max: None, .. })
        | HirKind::Repetition(Repetition { min: 0, max: Some(1), .. }) => most,
        HirKind::Repetition(Repetition { min, max, .. }) => {
            let times = max.unwrap_or(*min);
            match most.checked_div(times) {
                Some(0) => return false,
                rest => rest.unwrap_or(most),
            }
        }
        _ => most,
    };
    hir.kind().subs().iter().all(|sub| repeats_at_most(sub, most))
}

/// Programs are small.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn assertion(look: Look) -> Result<Assertion, Refused> {
    Ok(match look {
        Look::Start => Assertion::TextStart,
        Look::End => Assertion::TextEnd,
        Look::StartLF => Assertion::LineStart,
        Look::EndLF => Assertion::LineEnd,
        Look::WordAscii => Assertion::WordBoundary,
        Look::WordAsciiNegate => Assertion::NoWordBoundary,
        // Nothing that RE2 can say.
        _ => return Err(Refused::Malformed),
    })
}
