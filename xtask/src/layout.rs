//! Which functions a request runs through, and in what order: `shrink` puts them next to each other. In the order of the linker
//! they lie scattered over the module and what is compiled from it, and each request has to fetch them from all over memory.
//!
//! The order is recorded by `cargo xtask layout` and kept in `xtask/layout.txt`, a name a line. A name that the module no longer
//! has is passed over, a function that the list does not have comes behind: an old list costs some time, and changes nothing else.
//! The build tells when it is old.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportSection, GlobalSection, GlobalType, ImportSection,
};
use wasm_encoder::{Instruction, MemArg, MemoryType, Module, ValType};
use wasmparser::{
    Export, FunctionBody, GlobalSectionReader, ImportSectionReader, KnownCustom, Name, Parser, Payload,
    TypeRef,
};

use crate::workspace;

/// The functions of a request, in the order in which the recorded one ran through them first.
const RECORDED: &str = include_str!("../layout.txt");

/// The callback that begins a request.
const BEGINS: &str = "proxy_on_request_headers";

/// A function makes a metric when a request first runs through it: this letter and the number that it has in the module. The
/// metric's value tells the order.
const LETTER: char = 'f';

/// The kind of metric, as proxy-wasm counts them: a gauge.
const GAUGE: i32 = 1;

/// Bytes of a page of memory.
const PAGE: u64 = 65_536;

/// The list is old when fewer of a hundred of its names are in the module.
const ENOUGH: usize = 85;

/// The recorded functions of a module, the first first, by their numbers in it. Says where the list is old.
///
/// # Errors
/// When the module cannot be read.
pub(crate) fn recorded(module: &[u8]) -> Result<Vec<u32>> {
    let names = names(module)?;
    let mut numbers = BTreeMap::<&str, Vec<u32>>::new();
    for (number, name) in &names {
        numbers.entry(name).or_default().push(*number);
    }
    let found: Vec<_> = RECORDED.lines().filter_map(|name| numbers.get(name)).collect();
    let all = RECORDED.lines().count();
    if found.len().saturating_mul(100) < all.saturating_mul(ENOUGH) {
        println!(
            "The module has {} of the {all} functions in xtask/layout.txt: `cargo xtask layout` records those that \
             a request runs through now.",
            found.len()
        );
    }
    Ok(found.into_iter().flatten().copied().collect())
}

/// Has a module with names carry the request of this document, see `harness/benches/module.rs`, and writes down through which
/// functions it ran.
///
/// # Errors
/// When the module cannot be read, or does not carry it.
pub(crate) fn record(linked: &[u8], request: &str) -> Result<()> {
    let folder = workspace::target_dir().join("layout");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (traced, document) = (folder.join("traced.wasm"), folder.join("request.json"));
    fs::write(&traced, trace(linked)?).with_context(|| traced.display().to_string())?;
    fs::write(&document, request).with_context(|| document.display().to_string())?;
    let mut command: Command = workspace::cargo();
    command.args(["bench", "--quiet", "--package", "remit-harness", "--bench", "module"]);
    command.env("REMIT_ENGINES", &document).env("REMIT_TRACED", &traced);
    let said = workspace::output(&mut command)?;
    let names: BTreeMap<u32, String> = names(linked)?.into_iter().collect();
    let ran = said.lines().filter_map(|line| line.strip_prefix(LETTER)?.parse::<u32>().ok());
    let list: String = ran.filter_map(|number| names.get(&number)).map(|name| format!("{name}\n")).collect();
    if list.is_empty() {
        bail!("the module ran through no function: {said}");
    }
    let path = workspace::root().join("xtask/layout.txt");
    let changed = workspace::write_if_changed(&path, list.as_bytes())?;
    println!(
        "{}: {} functions, {}",
        path.display(),
        list.lines().count(),
        if changed { "written" } else { "unchanged" }
    );
    Ok(())
}

/// Each function's number and name, without what the compiler adds to tell apart two of one name.
fn names(module: &[u8]) -> Result<Vec<(u32, String)>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload.context("not a WebAssembly module")? else { continue };
        let KnownCustom::Name(sections) = section.as_known() else { continue };
        for section in sections {
            if let Name::Function(functions) = section? {
                for naming in functions {
                    let naming = naming?;
                    names.push((naming.index, format!("{:#}", rustc_demangle::demangle(naming.name))));
                }
            }
        }
    }
    Ok(names)
}

/// The module with functions that say when they first run, from the first request on.
fn trace(module: &[u8]) -> Result<Vec<u8>> {
    let mut traced = Module::new();
    Traced::default().parse_core_module(&mut traced, Parser::new(0), module).context("no module to trace")?;
    Ok(traced.finish())
}

/// The module has no place for what is said, or no way to say it.
#[derive(Debug)]
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a module without memory or without metrics")
    }
}

impl std::error::Error for Mute {}

type Outcome<T> = Result<T, Error<Mute>>;

#[derive(Default)]
struct Traced {
    imports: u32,
    define: Option<u32>,
    record: Option<u32>,
    begins: Option<u32>,
    /// Where what is said is written, in a page of its own behind the module's.
    text: Option<u64>,
    /// How many have spoken, and one; nothing before the first request. Behind it comes one global for each function.
    order: u32,
    functions: u32,
    done: u32,
}

impl Reencode for Traced {
    type Error = Mute;

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
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Outcome<()> {
        self.functions = section.count();
        utils::parse_function_section(self, functions, section)
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
        for _ in 0..=self.functions {
            globals.global(kind, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Outcome<()> {
        if export.name == BEGINS {
            self.begins = Some(export.index);
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Outcome<()> {
        let (Some(define), Some(record), Some(text)) = (self.define, self.record, self.text) else {
            return Err(Error::UserError(Mute));
        };
        let number = self.imports.saturating_add(self.done);
        self.done = self.done.saturating_add(1);
        let (order, spoke) = (self.order, self.order.saturating_add(self.done));
        let name = format!("{LETTER}{number:07}");
        let name = name.as_bytes().try_into().map_err(|_| Error::UserError(Mute))?;
        let at = i32::try_from(text).map_err(|_| Error::UserError(Mute))?;
        let behind_name = MemArg { offset: 8, align: 0, memory_index: 0 };

        let mut function = self.new_function_with_parsed_locals(&body)?;
        let begins = [
            Instruction::GlobalGet(order),
            Instruction::I32Eqz,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(1),
            Instruction::GlobalSet(order),
            Instruction::End,
        ];
        let speaks = [
            Instruction::GlobalGet(order),
            Instruction::GlobalGet(spoke),
            Instruction::I32Eqz,
            Instruction::I32Mul,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(1),
            Instruction::GlobalSet(spoke),
            Instruction::GlobalGet(order),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::GlobalSet(order),
            Instruction::I32Const(at),
            Instruction::I64Const(i64::from_le_bytes(name)),
            Instruction::I64Store(MemArg { offset: 0, ..behind_name }),
            Instruction::I32Const(GAUGE),
            Instruction::I32Const(at),
            Instruction::I32Const(8),
            Instruction::I32Const(at.saturating_add(8)),
            Instruction::Call(define),
            Instruction::Drop,
            Instruction::I32Const(at),
            Instruction::I32Load(behind_name),
            Instruction::GlobalGet(order),
            Instruction::I64ExtendI32U,
            Instruction::Call(record),
            Instruction::Drop,
            Instruction::End,
        ];
        let begins = begins.iter().filter(|_| self.begins == Some(number));
        for instruction in begins.chain(&speaks) {
            function.instruction(instruction);
        }
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            function.instruction(&self.parse_instruction(&mut reader)?);
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::{names, trace};

    #[test]
    fn a_traced_module_is_valid_and_names_its_functions() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
                (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
                (memory 1 2)
                (global $stack (mut i32) (i32.const 7))
                (func $_RNvCsaaaaaaaaaaa_4core1f (param i32) (result i32) (local i64) local.get 0)
                (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                    global.get $stack call $_RNvCsaaaaaaaaaaa_4core1f)
            )"#,
        )
        .unwrap();
        let traced = trace(&module).unwrap();
        Validator::new().validate_all(&traced).unwrap();
        // The name says nothing of the build that it comes from.
        assert!(names(&module).unwrap().contains(&(2, "core::f".to_owned())));
        // Each says its own number.
        for name in ["f0000002", "f0000003"] {
            let number = i64::from_le_bytes(name.as_bytes().try_into().unwrap());
            let mut constant = Vec::new();
            wasm_encoder::Encode::encode(&wasm_encoder::Instruction::I64Const(number), &mut constant);
            assert!(traced.windows(constant.len()).any(|part| part == constant), "{name}");
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
        assert!(trace(b"\0asm").is_err() && names(b"no module").is_err());
    }
}
