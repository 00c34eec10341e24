//! A module that says what a request runs through: each function when it is first entered, each branch when it first goes one way.

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, Instruction, MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, Export, FunctionBody, FunctionSectionReader, GlobalSectionReader, ImportSectionReader,
    MemorySectionReader, Operator, Parser, Payload, TypeRef, TypeSectionReader,
};

use super::functions;

/// The callback that begins a request.
const BEGINS: &str = "proxy_on_request_headers";

/// A point that is passed for the first time makes a metric: this letter and the point's number. The metric's value tells the order.
pub(super) const LETTER: char = 'f';

/// Bytes of a metric's name: the letter and seven digits.
const NAME: i32 = 8;

/// The kind of metric, as proxy-wasm counts them: a gauge.
const GAUGE: i32 = 1;

/// Bytes of a page of memory.
const PAGE: u64 = 65_536;

/// Whether an instruction goes one way or the other by a condition.
pub(crate) fn is_branch(instruction: &Instruction<'_>) -> bool {
    matches!(instruction, Instruction::If(_) | Instruction::BrIf(_))
}

/// How many functions a module imports, and how many branches each of its own has.
///
/// # Errors
/// When the module cannot be read.
pub(crate) fn branches(module: &[u8]) -> Result<(u32, Vec<u32>)> {
    let (mut imports, mut branches) = (0_u32, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("not a WebAssembly module")? {
            Payload::ImportSection(section) => imports = functions(section)?,
            Payload::CodeSectionEntry(body) => {
                let mut count = 0_u32;
                for operator in body.get_operators_reader()? {
                    let branch = matches!(operator?, Operator::If { .. } | Operator::BrIf { .. });
                    count = count.saturating_add(u32::from(branch));
                }
                branches.push(count);
            }
            _ => (),
        }
    }
    Ok((imports, branches))
}

/// How many points a function with so many branches has. The first is its entry; of each branch there is one for when the condition
/// holds, and behind it one for when it does not.
pub(super) fn points(branches: u32) -> u32 {
    branches.saturating_mul(2).saturating_add(1)
}

/// The module with points that say when they are first passed, from the first request on.
///
/// # Errors
/// When the module cannot be read, or has no memory or no metrics to say it with.
pub(super) fn trace(module: &[u8]) -> Result<Vec<u8>> {
    let (imports, branches) = branches(module)?;
    let mut tracing = Traced {
        helper: imports.saturating_add(u32::try_from(branches.len())?),
        points: branches.into_iter().map(points).fold(0, u32::saturating_add),
        ..Traced::default()
    };
    let mut traced = Module::new();
    tracing.parse_core_module(&mut traced, Parser::new(0), module).context("no module to trace")?;
    Ok(traced.finish())
}

/// The module has no place for what is said, or no way to say it.
#[derive(Debug, thiserror::Error)]
#[error("a module without memory or without metrics")]
struct Mute;

type Outcome<T> = Result<T, Error<Mute>>;

#[derive(Default)]
struct Traced {
    imports: u32,
    define: Option<u32>,
    record: Option<u32>,
    begins: Option<u32>,
    /// Where what is said is written, in a page of its own behind the module's.
    text: Option<u64>,
    /// The memory with a byte for each point: whether it has spoken.
    spoke: u32,
    /// The global that tells how many points have spoken, and one; nothing before the first request. Behind it comes one for a
    /// condition.
    order: u32,
    /// The type of the helper, which speaks for a point, and its number; it comes behind all functions.
    kind: u32,
    helper: u32,
    /// How many functions and points have been written; before, how many points there will be.
    done: u32,
    passed: u32,
    points: u32,
}

impl Traced {
    /// Speaks for the point whose number it is given, once.
    fn helper(&self) -> Outcome<Function> {
        let (Some(define), Some(record), Some(text)) = (self.define, self.record, self.text) else {
            return Err(Error::UserError(Mute));
        };
        let at = i32::try_from(text).map_err(|_| Error::UserError(Mute))?;
        let last = at.saturating_add(NAME).saturating_sub(1);
        let spoke = MemArg { offset: 0, align: 0, memory_index: self.spoke };
        let here = MemArg { memory_index: 0, ..spoke };
        let (point, place) = (0, 1);
        let mut function = Function::new([(1, ValType::I32)]);
        for instruction in [
            Instruction::GlobalGet(self.order),
            Instruction::I32Eqz,
            Instruction::BrIf(0),
            Instruction::LocalGet(point),
            Instruction::I32Load8U(spoke),
            Instruction::BrIf(0),
            Instruction::LocalGet(point),
            Instruction::I32Const(1),
            Instruction::I32Store8(spoke),
            // The digits, the last one first.
            Instruction::I32Const(last),
            Instruction::LocalSet(place),
            Instruction::Loop(BlockType::Empty),
            Instruction::LocalGet(place),
            Instruction::LocalGet(point),
            Instruction::I32Const(10),
            Instruction::I32RemU,
            Instruction::I32Const(i32::from(b'0')),
            Instruction::I32Add,
            Instruction::I32Store8(here),
            Instruction::LocalGet(point),
            Instruction::I32Const(10),
            Instruction::I32DivU,
            Instruction::LocalSet(point),
            Instruction::LocalGet(place),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::LocalTee(place),
            Instruction::I32Const(at),
            Instruction::I32GtU,
            Instruction::BrIf(0),
            Instruction::End,
            Instruction::I32Const(at),
            Instruction::I32Const(i32::try_from(u32::from(LETTER)).map_err(|_| Error::UserError(Mute))?),
            Instruction::I32Store8(here),
            Instruction::I32Const(GAUGE),
            Instruction::I32Const(at),
            Instruction::I32Const(NAME),
            Instruction::I32Const(at.saturating_add(NAME)),
            Instruction::Call(define),
            Instruction::Drop,
            Instruction::I32Const(at.saturating_add(NAME)),
            Instruction::I32Load(here),
            Instruction::GlobalGet(self.order),
            Instruction::I64ExtendI32U,
            Instruction::Call(record),
            Instruction::Drop,
            Instruction::GlobalGet(self.order),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::GlobalSet(self.order),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        Ok(function)
    }

    /// The number of the next point.
    fn point(&mut self) -> Outcome<i32> {
        let point = i32::try_from(self.passed).map_err(|_| Error::UserError(Mute))?;
        self.passed = self.passed.saturating_add(1);
        Ok(point)
    }
}

impl Reencode for Traced {
    type Error = Mute;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Outcome<()> {
        utils::parse_type_section(self, types, section)?;
        self.kind = types.len();
        types.ty().function([ValType::I32], []);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Outcome<()> {
        for import in section.clone().into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_)) {
                match import.name {
                    "proxy_define_metric" => self.define = Some(self.imports),
                    "proxy_record_metric" => self.record = Some(self.imports),
                    _ => (),
                }
                self.imports = self.imports.saturating_add(1);
            }
        }
        utils::parse_import_section(self, imports, section)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Outcome<()> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.kind);
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: MemorySectionReader<'_>,
    ) -> Outcome<()> {
        self.spoke = section.count();
        utils::parse_memory_section(self, memories, section)?;
        let minimum = u64::from(self.points).div_ceil(PAGE);
        let kind =
            MemoryType { minimum, maximum: None, memory64: false, shared: false, page_size_log2: None };
        memories.memory(kind);
        Ok(())
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Outcome<MemoryType> {
        let mut memory = utils::memory_type(self, memory);
        self.text = memory.minimum.checked_mul(PAGE);
        memory.minimum = memory.minimum.saturating_add(1);
        memory.maximum = memory.maximum.map(|most| most.saturating_add(1));
        Ok(memory)
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Outcome<()> {
        self.order = section.count();
        utils::parse_global_section(self, globals, section)?;
        let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(kind, &ConstExpr::i32_const(0)).global(kind, &ConstExpr::i32_const(0));
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Outcome<()> {
        if export.name == BEGINS {
            self.begins = Some(export.index);
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Outcome<()> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.helper()?);
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Outcome<()> {
        let number = self.imports.saturating_add(self.done);
        self.done = self.done.saturating_add(1);
        let mut function = self.new_function_with_parsed_locals(&body)?;
        if self.begins == Some(number) {
            for instruction in [
                Instruction::GlobalGet(self.order),
                Instruction::I32Eqz,
                Instruction::If(BlockType::Empty),
                Instruction::I32Const(1),
                Instruction::GlobalSet(self.order),
                Instruction::End,
            ] {
                function.instruction(&instruction);
            }
        }
        function
            .instruction(&Instruction::I32Const(self.point()?))
            .instruction(&Instruction::Call(self.helper));
        let condition = self.order.saturating_add(1);
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let written = self.parse_instruction(&mut reader)?;
            if is_branch(&written) {
                let holds = self.point()?;
                self.point()?;
                for instruction in [
                    Instruction::GlobalSet(condition),
                    Instruction::GlobalGet(condition),
                    Instruction::GlobalGet(condition),
                    Instruction::I32Eqz,
                    Instruction::I32Const(holds),
                    Instruction::I32Add,
                    Instruction::Call(self.helper),
                ] {
                    function.instruction(&instruction);
                }
            }
            function.instruction(&written);
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Caller, Engine, Linker, Memory, Module, Store};

    use super::trace;

    /// Has a traced module carry requests with these numbers; what it said.
    fn said(module: &[u8], requests: &[i32]) -> Vec<(String, i64)> {
        let engine = Engine::default();
        let module = Module::new(&engine, trace(module).unwrap()).unwrap();
        let mut linker = Linker::<(Vec<String>, Vec<(String, i64)>)>::new(&engine);
        let memory = |caller: &mut Caller<'_, _>| -> Memory {
            caller.get_export("memory").unwrap().into_memory().unwrap()
        };
        linker
            .func_wrap(
                "env",
                "proxy_define_metric",
                move |mut caller: Caller<'_, (Vec<String>, _)>, kind: i32, at: u32, size: u32, to: u32| {
                    assert_eq!(kind, 1);
                    let mut name = vec![0; size as usize];
                    memory(&mut caller).read(&caller, at as usize, &mut name).unwrap();
                    let names = &mut caller.data_mut().0;
                    let id = u32::try_from(names.len()).unwrap();
                    names.push(String::from_utf8(name).unwrap());
                    memory(&mut caller).write(&mut caller, to as usize, &id.to_le_bytes()).unwrap();
                    0
                },
            )
            .unwrap();
        linker
            .func_wrap(
                "env",
                "proxy_record_metric",
                |mut caller: Caller<'_, (Vec<String>, Vec<_>)>, id: u32, value: i64| {
                    let (names, said) = caller.data_mut();
                    said.push((names[id as usize].clone(), value));
                    0
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, Default::default());
        let instance = linker.instantiate(&mut store, &module).unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "before").unwrap().call(&mut store, ()).unwrap();
        let carry = instance.get_typed_func::<i32, i32>(&mut store, "proxy_on_request_headers").unwrap();
        for request in requests {
            assert_eq!(carry.call(&mut store, *request).ok(), request.checked_add(7));
        }
        store.into_data().1
    }

    #[test]
    fn a_traced_module_does_the_same_and_says_what_it_runs_through() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "proxy_define_metric" (func (param i32 i32 i32 i32) (result i32)))
                (import "env" "proxy_record_metric" (func (param i32 i64) (result i32)))
                (memory (export "memory") 1 2)
                (global $seven (mut i32) (i32.const 7))
                (func (export "before") (drop (call $plus (i32.const 1))))
                (func $plus (param i32) (result i32)
                    (block (br_if 0 (i32.eqz (local.get 0))) (br_if 0 (i32.const 0)))
                    (i32.add (local.get 0) (global.get $seven)))
                (func $unused)
                (func (export "proxy_on_request_headers") (param i32) (result i32)
                    (if (i32.gt_s (local.get 0) (i32.const 1)) (then (drop (call $plus (i32.const 0)))))
                    (call $plus (local.get 0))))"#,
        )
        .unwrap();
        // Points: 0 before, 1 to 5 $plus, 6 $unused, 7 to 9 the callback. Nothing is said before the first request.
        let points = |points: &[u32]| -> Vec<_> {
            points.iter().map(|point| format!("f{point:07}")).zip(1..).collect()
        };
        for (requests, passed) in [
            (&[][..], &[][..]),
            (&[1], &[7, 9, 1, 3, 5]),
            (&[1, 1, 1], &[7, 9, 1, 3, 5]),
            (&[0, 1, 2], &[7, 9, 1, 2, 3, 5, 8]),
        ] {
            assert_eq!(said(&module, requests), points(passed), "{requests:?}");
        }
    }

    #[test]
    fn what_cannot_be_traced_is_refused() {
        for (text, message) in [
            ("(module (func))", "without memory or without metrics"),
            ("(module (memory 1) (func))", "without memory or without metrics"),
        ] {
            let error = format!("{:#}", trace(&wat::parse_str(text).unwrap()).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
        assert!(trace(b"\0asm").is_err());
    }
}
