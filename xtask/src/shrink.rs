//! Makes the linked module smaller: V8 compiles all of it at load, and the proxy calls every callback that it finds, on each
//! request. What goes: callbacks that the filter does not implement, all functions but one of those that say the same (the linker
//! for WebAssembly folds none), and what nothing reaches then. The functions called most come first: a call of one of the first 128 takes
//! two bytes in place of three; then those that a request runs through, see `layout.rs`. What is known of branches is written
//! in a section of its own (WebAssembly's *branch hinting*), which V8 goes by and others pass over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, ConstExpr, DataSection, ExportSection, Function, FunctionSection,
    Instruction, Module, SectionId, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, Data, DataKind, Export, FunctionBody, FunctionSectionReader,
    ImportSectionReader, Operator, Parser, Payload, TypeSectionReader,
};

use crate::layout::trace::is_branch;
use crate::layout::{self, Layout};

/// The callbacks that the filter implements. Each must be in the module; every other `proxy_on_*` is dropped.
const KEPT_CALLBACKS: [&str; 11] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// What copies memory, in place of each instruction that does.
const COPY: &str = include_str!("../copy.wat");

/// A crate of which nothing ever runs: the standard library makes names in backtraces readable with it, and finds no frames to
/// name on WebAssembly. Should it run after all, the module traps.
const NEVER_RUNS: &str = "rustc_demangle::";

/// Envoy has V8 compile once and for good. V8 copies every function into the ones that call it, in their order, as long as it is
/// smaller than what is left of twice the bytes of the caller, so what all call (to allocate, to panic) is compiled thousands of
/// times, which took a fifth of the time to ready. What is called from as many places as this is widened, unless it calls nothing:
/// then its copies are no larger than itself, and worth it (the multiplication of long numbers).
const CALLED_OFTEN: usize = 46;

/// To so many bytes, with instructions that do nothing and are compiled to nothing: most callers are too small for it then.
const WIDE: usize = 1024;

/// Functions whose number takes one byte in a call of them.
const SHORT_NUMBERS: usize = 128;

/// A call takes as much as what a function of so many bytes does.
const TINY: usize = 12;

/// Fewer zeros than this take less than a part of the data of its own.
const ZEROS: usize = 64;

/// The module without what it does not need.
///
/// # Errors
/// When this is no WebAssembly module, or a callback of the list is missing.
pub(crate) fn shrink(module: &[u8]) -> Result<Vec<u8>> {
    shrink_with(module, &layout::recorded(module)?)
}

/// The same with this layout.
fn shrink_with(module: &[u8], layout: &Layout) -> Result<Vec<u8>> {
    let never = layout::names(module)?.into_iter().filter(|(_, name)| name.contains(NEVER_RUNS));
    let mut bare = Bare { never: never.map(|(number, _)| number).collect(), ..Bare::default() };
    let module = &rewrite(&mut bare, module)?;
    let mut survey = Survey::default();
    rewrite(&mut survey, module)?;
    let missing: Vec<_> =
        KEPT_CALLBACKS.into_iter().filter(|name| !survey.exports.contains(&(*name).to_owned())).collect();
    if !missing.is_empty() {
        bail!("the module does not export {}", missing.join(", "));
    }
    let mut plan = survey.plan(layout)?;
    let module = rewrite(&mut plan, module)?;
    if plan.hints.is_empty() { Ok(module) } else { rewrite(&mut Hinted(plan.hints), &module) }
}

fn rewrite(how: &mut impl Reencode<Error = Missing>, module: &[u8]) -> Result<Vec<u8>> {
    let mut rewritten = Module::new();
    how.parse_core_module(&mut rewritten, Parser::new(0), module).context("not a WebAssembly module")?;
    Ok(rewritten.finish())
}

fn is_kept(export: &str) -> bool {
    !export.starts_with("proxy_on_") || KEPT_CALLBACKS.contains(&export)
}

/// The module mentions a function that it does not have.
#[derive(Debug, thiserror::Error)]
#[error("a function is mentioned that is not there")]
struct Missing;

type Outcome<T> = Result<T, Error<Missing>>;

/// Leaves out names, which would be those of other functions afterwards, what else is no part of the program, and what functions
/// say that never run.
#[derive(Default)]
struct Bare {
    imports: u32,
    done: u32,
    /// Functions that never run.
    never: BTreeSet<u32>,
}

impl Reencode for Bare {
    type Error = Missing;

    fn parse_custom_section(&mut self, _module: &mut Module, _names: CustomSectionReader<'_>) -> Outcome<()> {
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Outcome<()> {
        self.imports = layout::functions(section.clone())?;
        utils::parse_import_section(self, imports, section)
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Outcome<()> {
        let number = self.imports.saturating_add(self.done);
        self.done = self.done.saturating_add(1);
        if !self.never.contains(&number) {
            return utils::parse_function_body(self, code, body);
        }
        code.function(
            Function::new([]).instruction(&Instruction::Unreachable).instruction(&Instruction::End),
        );
        Ok(())
    }
}

/// What the module says of its functions. Those that it imports come first in the numbering, then its own.
#[derive(Default)]
struct Survey {
    imports: usize,
    exports: Vec<String>,
    /// Of each of its own functions, the type.
    types: Vec<u32>,
    /// Of each of its own functions, the text with the calls left open, and what it calls.
    bodies: Vec<(Vec<u8>, Vec<usize>)>,
    /// What is reached from outside, from tables and from constants.
    roots: Vec<usize>,
    /// What has been mentioned since the last function ended.
    mentioned: Vec<usize>,
    /// Whether a function copies memory.
    copies: bool,
}

impl Reencode for Survey {
    type Error = Missing;

    fn function_index(&mut self, function: u32) -> Outcome<u32> {
        self.mentioned.push(usize::try_from(function).map_err(|_| Error::UserError(Missing))?);
        Ok(0)
    }

    fn parse_import_section(
        &mut self,
        _imports: &mut wasm_encoder::ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Outcome<()> {
        self.imports = usize::try_from(layout::functions(section)?).map_err(|_| Error::UserError(Missing))?;
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        _functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Outcome<()> {
        self.types = section.into_iter().collect::<Result<_, _>>()?;
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Outcome<()> {
        if is_kept(export.name) {
            self.exports.push(export.name.to_owned());
            utils::parse_export(self, exports, export)?;
        }
        Ok(())
    }

    fn parse_function_body(&mut self, _code: &mut CodeSection, body: FunctionBody<'_>) -> Outcome<()> {
        let outside = std::mem::take(&mut self.mentioned);
        self.roots.extend(outside);
        for operator in body.get_operators_reader()? {
            self.copies |= matches!(operator?, Operator::MemoryCopy { .. });
        }
        let mut code = CodeSection::new();
        utils::parse_function_body(self, &mut code, body)?;
        let mut text = Vec::new();
        wasm_encoder::Encode::encode(&code, &mut text);
        self.bodies.push((text, std::mem::take(&mut self.mentioned)));
        Ok(())
    }
}

impl Survey {
    fn plan(mut self, layout: &Layout) -> Result<Plan> {
        self.roots.append(&mut self.mentioned);
        let all = self.imports.saturating_add(self.bodies.len());
        let same = self.same(all);
        let same = |index: &usize| same.get(*index).copied().context(Missing);

        // How often each one is mentioned, by what is reached.
        let mut mentions = BTreeMap::<usize, usize>::new();
        let mut open = self.roots.iter().map(same).collect::<Result<Vec<_>>>()?;
        while let Some(index) = open.pop() {
            let count = mentions.entry(index).or_default();
            *count = count.saturating_add(1);
            if let (1, Some(calls)) = (*count, self.calls(index)) {
                for call in calls {
                    open.push(same(call)?);
                }
            }
        }

        let mut ranks = BTreeMap::new();
        for (rank, index) in layout.first.iter().enumerate() {
            ranks.entry(same(&usize::try_from(*index)?)?).or_insert(rank);
        }
        let rank = |index: &usize| ranks.get(index).copied().unwrap_or(usize::MAX);
        let mut own: Vec<_> = mentions.into_iter().filter(|(index, _)| *index >= self.imports).collect();
        own.sort_by_key(|(index, count)| (Reverse(*count), *index));
        if let Some(others) = own.get_mut(SHORT_NUMBERS.saturating_sub(self.imports)..) {
            others.sort_by_key(|(index, _)| rank(index));
        }
        let mut likely = BTreeMap::new();
        for (index, ways) in &layout.likely {
            likely.entry(same(&usize::try_from(*index)?)?).or_insert(ways);
        }
        let places: BTreeMap<usize, usize> =
            (0..self.imports).chain(own.iter().map(|(index, _)| *index)).zip(0..).collect();
        let places = (0..all).map(|index| Ok(places.get(&same(&index)?).copied())).collect::<Result<_>>()?;
        let calls = |index| self.calls(index).is_some_and(|calls| !calls.is_empty());
        let order = own.into_iter().map(|(index, count)| Kept {
            at: index.saturating_sub(self.imports),
            widened: count >= CALLED_OFTEN && calls(index),
            likely: likely.get(&index).map(|ways| (*ways).clone()).unwrap_or_default(),
        });
        let order: Vec<_> = order.collect();
        let copy =
            self.copies.then(|| u32::try_from(self.imports.saturating_add(order.len()))).transpose()?;
        Ok(Plan { places, order, copy, copy_type: 0, hints: BranchHints::new() })
    }

    /// What one of the module's own functions calls.
    fn calls(&self, index: usize) -> Option<&[usize]> {
        let (_, calls) = self.bodies.get(index.checked_sub(self.imports)?)?;
        Some(calls)
    }

    /// Of each function, the first that says the same: of one type, with one text, and with calls of functions of which this holds.
    fn same(&self, all: usize) -> Vec<usize> {
        let mut same: Vec<usize> = (0..all).collect();
        loop {
            let mut first = BTreeMap::new();
            let mut next = same.clone();
            let own = (self.imports..).zip(self.types.iter().zip(&self.bodies));
            for (index, (kind, (text, calls))) in own {
                let calls = calls.iter().map(|call| same.get(*call).filter(|called| **called != index));
                let before = same.get(index).copied().unwrap_or(index);
                // What has gone into another once stays there, also when the other goes into a third.
                let kept = match next.get(before) {
                    Some(kept) if before != index => *kept,
                    _ => *first.entry((kind, text, calls.collect::<Vec<_>>())).or_insert(index),
                };
                if let Some(next) = next.get_mut(index) {
                    *next = kept;
                }
            }
            if next == same {
                return same;
            }
            same = next;
        }
    }
}

/// What becomes of the functions.
struct Plan {
    /// Of each function, where it or the one in its place is found in the new numbering.
    places: Vec<Option<usize>>,
    /// The module's own functions that are kept, in their new order.
    order: Vec<Kept>,
    /// The number of [`COPY`], which comes behind them, where it is needed, and its type.
    copy: Option<u32>,
    copy_type: u32,
    /// What is known of their branches, gathered while they are written.
    hints: BranchHints,
}

/// One of the module's own functions.
struct Kept {
    /// Its place among its own functions before.
    at: usize,
    /// It is called from many places and calls others.
    widened: bool,
    /// Of each branch, in order, whether its condition is likely to hold, where that is known.
    likely: Vec<Option<bool>>,
}

impl Plan {
    fn kept<T: Clone>(&self, functions: &[T]) -> Vec<T> {
        self.order.iter().filter_map(|kept| functions.get(kept.at).cloned()).collect()
    }

    /// The function, and what is known of its branches.
    fn function(&mut self, body: &FunctionBody<'_>, kept: &Kept) -> Outcome<(Function, Vec<BranchHint>)> {
        let mut function = self.new_function_with_parsed_locals(body)?;
        let (mut hints, mut likely) = (Vec::new(), kept.likely.iter());
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let instruction = match (self.parse_instruction(&mut reader)?, self.copy) {
                (Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 }, Some(copy)) => Instruction::Call(copy),
                (instruction, _) => instruction,
            };
            if kept.widened && reader.eof() && function.byte_len() > TINY {
                for _ in function.byte_len()..WIDE {
                    function.instruction(&Instruction::Nop);
                }
            }
            if is_branch(&instruction)
                && let Some(Some(holds)) = likely.next()
            {
                let branch_func_offset =
                    u32::try_from(function.byte_len()).map_err(|_| Error::UserError(Missing))?;
                hints.push(BranchHint { branch_func_offset, branch_hint_value: u32::from(*holds) });
            }
            function.instruction(&instruction);
        }
        Ok((function, hints))
    }
}

impl Reencode for Plan {
    type Error = Missing;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Outcome<()> {
        utils::parse_type_section(self, types, section)?;
        if self.copy.is_some() {
            self.copy_type = types.len();
            types.ty().function([ValType::I32; 3], []);
        }
        Ok(())
    }

    fn function_index(&mut self, function: u32) -> Outcome<u32> {
        let place = usize::try_from(function).ok().and_then(|function| *self.places.get(function)?);
        place.and_then(|place| u32::try_from(place).ok()).ok_or(Error::UserError(Missing))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Outcome<()> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        let copy = self.copy.map(|_| self.copy_type);
        for kind in self.kept(&types).into_iter().chain(copy) {
            functions.function(kind);
        }
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Outcome<()> {
        if is_kept(export.name) { utils::parse_export(self, exports, export) } else { Ok(()) }
    }

    /// Memory is zero before it is filled: long runs of zeros in what fills it are left out.
    fn parse_data(&mut self, data: &mut DataSection, datum: Data<'_>) -> Outcome<()> {
        let DataKind::Active { memory_index, offset_expr } = &datum.kind else {
            return utils::parse_data(self, data, datum);
        };
        let Operator::I32Const { value: begin } = offset_expr.get_operators_reader().read()? else {
            return utils::parse_data(self, data, datum);
        };
        for (at, part) in without_zeros(datum.data) {
            let at = i32::try_from(at)
                .ok()
                .and_then(|at| begin.checked_add(at))
                .ok_or(Error::UserError(Missing))?;
            data.active(*memory_index, &ConstExpr::i32_const(at), part.iter().copied());
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Outcome<()> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        let imports = self.places.len().saturating_sub(bodies.len());
        let order = std::mem::take(&mut self.order);
        for (number, kept) in (imports..).zip(&order) {
            let Some(body) = bodies.get(kept.at) else { continue };
            let (function, hints) = self.function(body, kept)?;
            code.function(&function);
            if !hints.is_empty() {
                let number = u32::try_from(number).map_err(|_| Error::UserError(Missing))?;
                self.hints.function_hints(number, hints);
            }
        }
        if self.copy.is_some() {
            let copy = wat::parse_str(COPY).map_err(|_| Error::UserError(Missing))?;
            for payload in Parser::new(0).parse_all(&copy) {
                if let Payload::CodeSectionEntry(body) = payload? {
                    utils::parse_function_body(self, code, body)?;
                }
            }
        }
        Ok(())
    }
}

/// Adds what is known of branches, which has to stand before the code.
struct Hinted(BranchHints);

impl Reencode for Hinted {
    type Error = Missing;

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Outcome<()> {
        if before == Some(SectionId::Code) {
            module.section(&self.0);
        }
        Ok(())
    }
}

/// The parts of these bytes between runs of more than [`ZEROS`] zeros, and where each begins.
fn without_zeros(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut parts, mut begin, mut end) = (Vec::new(), 0, 0);
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        if at.saturating_sub(end) > ZEROS {
            parts.extend(bytes.get(begin..end).filter(|part| !part.is_empty()).map(|part| (begin, part)));
            begin = at;
        }
        end = at.saturating_add(1);
    }
    parts.extend(bytes.get(begin..end).filter(|part| !part.is_empty()).map(|part| (begin, part)));
    parts
}

#[cfg(test)]
mod tests {
    use wasmparser::{KnownCustom, Parser, Payload, Validator};

    use super::{
        Bare, CALLED_OFTEN, KEPT_CALLBACKS, Layout, SHORT_NUMBERS, WIDE, is_kept, rewrite, shrink,
        shrink_with, without_zeros,
    };

    /// A module with all callbacks that the filter implements, and with this in front of them and behind.
    fn module(front: &str, behind: &str) -> Vec<u8> {
        let exports = KEPT_CALLBACKS.map(|name| format!("(export {name:?} (func $callback))")).concat();
        let module = wat::parse_str(format!("(module {front} (func $callback) {exports} {behind})")).unwrap();
        rewrite(&mut Bare::default(), &module).unwrap()
    }

    #[test]
    fn what_says_the_same_or_is_not_reached_goes() {
        let import = "(import \"env\" \"f\" (func))";
        let table = "(table 2 funcref)";
        for (what, front, before, after) in [
            ("nothing to drop", import, "(func (export \"f\") nop call 0)", "(func (export \"f\") nop call 0)"),
            ("callbacks without an implementation", "", "(func (export \"proxy_on_log\") unreachable)", ""),
            ("what nothing calls", "", "(func $dead call $deader) (func $deader nop)", ""),
            (
                "one text, and what calls it, and what calls itself",
                "",
                "(func $a (result i32) i32.const 1) (func $b (result i32) i32.const 1)
                 (func $c call $a drop) (func $d call $b drop) (func $e call $e nop) (func $f call $f nop)
                 (func (export \"all\") call $c call $d call $e call $f)",
                "(func $e call $e nop) (func $c call $a drop) (func $a (result i32) i32.const 1)
                 (func (export \"all\") call $c call $c call $e call $e)",
            ),
            (
                "other types, other constants, and what calls each other",
                "",
                "(func $a (param i32) nop) (func $b (param i64) nop) (func $c nop call $d) (func $d nop call $c)
                 (func $g (result i32) i32.const 1) (func $h (result i32) i32.const 2)
                 (func (export \"all\") i32.const 1 call $a i64.const 1 call $b call $c call $d call $g call $h drop drop)",
                "(func $c nop call $d) (func $d nop call $c) (func $a (param i32) nop) (func $b (param i64) nop)
                 (func $g (result i32) i32.const 1) (func $h (result i32) i32.const 2)
                 (func (export \"all\") i32.const 1 call $a i64.const 1 call $b call $c call $d call $g call $h drop drop)",
            ),
            (
                "what a table or a constant holds",
                table,
                "(func $a nop) (func $b nop) (func $c nop nop) (elem (i32.const 0) $a $b) (global funcref (ref.func $c))",
                "(func $a nop) (func $c nop nop) (elem (i32.const 0) $a $a) (global funcref (ref.func $c))",
            ),
        ] {
            assert_eq!(shrink(&module(front, before)).unwrap(), module(front, after), "{what}");
        }
    }

    /// The lengths of the functions' bodies.
    fn lengths(module: &[u8]) -> Vec<usize> {
        let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
        payloads
            .filter_map(|payload| match payload {
                Payload::CodeSectionEntry(body) => Some(body.range().len()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_is_called_from_many_places_is_widened() {
        let calls =
            |name: &str, times| format!("(func (export \"{name}{times}\") {})", "call $f ".repeat(times));
        let small = "(func $g) (func $f call $g i64.const 123456789 i64.const 987654321 i64.add drop)";
        let leaf = "(func $f i64.const 123456789 i64.const 987654321 i64.add drop)";
        let tiny = "(func $g) (func $f call $g)";
        for (what, function, times, widened) in [
            ("from many places", small, CALLED_OFTEN, 1),
            ("from few", small, CALLED_OFTEN - 1, 0),
            ("what calls nothing", leaf, CALLED_OFTEN, 0),
            ("what takes less than a call", tiny, CALLED_OFTEN, 0),
        ] {
            let shrunk = shrink(&module("", &format!("{function} {}", calls("f", times)))).unwrap();
            Validator::new().validate_all(&shrunk).unwrap();
            let wide = lengths(&shrunk).into_iter().filter(|length| *length == WIDE + 1).count();
            assert_eq!(wide, widened, "{what}: {:?}", lengths(&shrunk));
        }
    }

    #[test]
    fn long_runs_of_zeros_are_left_out() {
        let data = [&[0; 70][..], b"a", &[0; 64], b"b", &[0; 65], b"c", &[0; 3]].concat();
        let parts: Vec<_> = without_zeros(&data).into_iter().map(|(at, part)| (at, part.len())).collect();
        assert_eq!(parts, [(70, 66), (201, 1)]);
        assert!(without_zeros(&[0; 9]).is_empty() && without_zeros(&[]).is_empty());

        let memory = |parts: &str| module("", &format!("(memory 1) {parts}"));
        let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let whole = memory(&format!("(data (i32.const 5) \"{}\")", text(&data)));
        let apart =
            format!("(data (i32.const 75) \"{}\") (data (i32.const 206) \"c\")", text(&data[70..136]));
        assert_eq!(shrink(&whole).unwrap(), memory(&apart));
    }

    #[test]
    fn recorded_functions_come_behind_those_with_short_numbers() {
        // Of each function another length, and all called as often, the first of them more often.
        let functions: String = (1..300).map(|n| format!("(func $f{n} {})", "nop ".repeat(n))).collect();
        let calls = |from: usize, to: usize| (from..to).map(|n| format!("call $f{n} ")).collect::<String>();
        let text =
            format!("{functions} (func (export \"all\") {} {})", calls(1, 300), calls(1, SHORT_NUMBERS));
        let module = module("", &text);
        let plain = lengths(&shrink_with(&module, &Layout::default()).unwrap());
        let ordered = lengths(
            &shrink_with(&module, &Layout { first: vec![250, 200, 3], ..Layout::default() }).unwrap(),
        );
        let (short, others) = ordered.split_at(SHORT_NUMBERS);
        assert_eq!(short, &plain[..SHORT_NUMBERS]);
        // A body has a byte for its locals and one for its end; the callback is the function 0.
        assert_eq!(others[..2], [252, 202]);
        assert_eq!(ordered.len(), plain.len());
    }

    #[test]
    fn what_never_runs_goes_with_what_only_it_calls() {
        let exports = KEPT_CALLBACKS.map(|name| format!("(export {name:?} (func $callback))")).concat();
        let named = |name: &str| {
            let text = format!(
                "(module (func $callback) {exports} (func $only (param i32) nop nop)
                 (func ${name} (param i32) local.get 0 call $only) (table funcref (elem ${name})))"
            );
            lengths(&shrink(&wat::parse_str(text).unwrap()).unwrap())
        };
        assert_eq!(named("<rustc_demangle::Demangle>::fmt").len(), 2);
        assert_eq!(named("<rustc_mangle::Demangle>::fmt").len(), 3);
    }

    #[test]
    fn copies_are_as_the_instruction_makes_them() {
        let text = "(memory (export \"memory\") 1)
            (func (export \"copy\") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))";
        let module = shrink(&module("", text)).unwrap();
        assert_eq!(lengths(&module).len(), 3, "the callback, the copy, and what copies");
        let engine = wasmtime::Engine::default();
        let mut store = wasmtime::Store::new(&engine, ());
        let module = wasmtime::Module::new(&engine, &module).unwrap();
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let copy = instance.get_typed_func::<(u32, u32, u32), ()>(&mut store, "copy").unwrap();
        let all: Vec<u8> = (0..=255).collect();
        for length in 0..=130_u8 {
            for to in 0..=125_u8 {
                let mut expected = all.clone();
                expected.copy_within(60..usize::from(60 + length), usize::from(to));
                memory.write(&mut store, 0, &all).unwrap();
                copy.call(&mut store, (to.into(), 60, length.into())).unwrap();
                assert_eq!(memory.data(&store)[..256], expected, "{length} bytes from 60 to {to}");
            }
        }
        // Neither end may lie outside.
        for (to, from) in [(65_530, 0), (0, 65_530), (u32::MAX, 0), (0, u32::MAX)] {
            for length in [1, 5, 10, 20, 40, 100_u32] {
                let inside = u64::from(to.max(from)) + u64::from(length) <= 65_536;
                assert_eq!(
                    copy.call(&mut store, (to, from, length)).is_ok(),
                    inside,
                    "{length}: {from} to {to}"
                );
            }
        }
    }

    #[test]
    fn what_is_known_of_branches_stands_before_the_code() {
        let module = module(
            "(import \"env\" \"f\" (func))",
            "(func $first (param i32) (if (local.get 0) (then nop)) (block (br_if 0 (local.get 0))) (if (local.get 0) (then)))
             (func $dead)
             (func $second (param i32) (local i64 i32) (block (br_if 0 (local.get 0))))
             (func $twin (param i32) (if (local.get 0) (then nop)) (block (br_if 0 (local.get 0))) (if (local.get 0) (then)))
             (func (export \"all\") i32.const 0 call $second i32.const 1 call $twin i32.const 1 call $twin)",
        );
        let likely = [(4, vec![Some(true)]), (5, vec![Some(false), None, Some(true)])];
        let shrunk = shrink_with(&module, &Layout { likely: likely.into(), ..Layout::default() }).unwrap();
        Validator::new().validate_all(&shrunk).unwrap();

        let (mut hints, mut bodies) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(&shrunk) {
            match payload.unwrap() {
                Payload::CustomSection(section) => {
                    let KnownCustom::BranchHints(section) = section.as_known() else { continue };
                    assert!(bodies.is_empty());
                    for function in section {
                        let function = function.unwrap();
                        hints.extend(function.hints.into_iter().map(|hint| (function.func, hint.unwrap())));
                    }
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => (),
            }
        }
        let hints: Vec<_> = hints
            .into_iter()
            .map(|(function, hint)| {
                let body = &bodies[function as usize - 1];
                let at = body.range().start + hint.func_offset as usize;
                let reader = body.get_operators_reader().unwrap().into_iter_with_offsets();
                let branch = reader.map(Result::unwrap).find(|(_, offset)| *offset == at).unwrap().0;
                (body.range().len(), format!("{branch:?}"), hint.taken)
            })
            .collect();
        let (if_, br_if) = ("If { blockty: Empty }".to_owned(), "BrIf { relative_depth: 0 }".to_owned());
        assert_eq!(hints, [(20, if_.clone(), false), (20, if_, true), (13, br_if, true)]);
    }

    #[test]
    fn bad_modules_are_refused() {
        let complete = module("", "");
        let kept = KEPT_CALLBACKS.iter().skip(1);
        let lacking = kept.map(|name| format!("(export {name:?} (func 0))")).collect::<String>();
        for (what, module, message) in [
            ("empty", vec![], "not a WebAssembly module"),
            ("cut", complete[..complete.len() - 1].to_vec(), "not a WebAssembly module"),
            (
                "callback missing",
                wat::parse_str(format!("(module (func) {lacking})")).unwrap(),
                "does not export proxy_on_configure",
            ),
            (
                "long number",
                [b"\0asm\x01\0\0\0", &[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0][..]].concat(),
                "not a WebAssembly module",
            ),
        ] {
            let error = format!("{:#}", shrink(&module).unwrap_err());
            assert!(error.contains(message), "{what}: {error}");
        }
        assert!(is_kept("memory") && is_kept("proxy_on_tick") && !is_kept("proxy_on_log"));
    }
}
