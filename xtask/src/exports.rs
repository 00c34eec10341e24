//! Drops exported callbacks that the filter does not implement: the proxy calls each one that it finds, on each request.

use anyhow::{Context, Result, bail};

/// The callbacks that the filter implements. Each must be in the module; every other `proxy_on_*` is dropped.
const KEPT_CALLBACKS: [&str; 12] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const EXPORT_SECTION: u8 = 7;

/// The module without the callbacks that the filter does not implement.
///
/// # Errors
/// When this is no WebAssembly module, or a callback of the list is missing.
pub(crate) fn trim(module: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader(module.strip_prefix(HEADER).context("not a WebAssembly module")?);
    let mut trimmed = HEADER.to_vec();
    while !reader.0.is_empty() {
        let id = reader.byte()?;
        let size = reader.number()?;
        let content = reader.bytes(size)?;
        let content = if id == EXPORT_SECTION { trim_exports(content)? } else { content.to_vec() };
        trimmed.push(id);
        write_number(&mut trimmed, content.len())?;
        trimmed.extend(content);
    }
    Ok(trimmed)
}

fn trim_exports(section: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader(section);
    let count = reader.number()?;
    let mut kept = Vec::new();
    let mut missing = KEPT_CALLBACKS.to_vec();
    for _ in 0..count {
        let begin = reader.0;
        let length = reader.number()?;
        let name = std::str::from_utf8(reader.bytes(length)?).context("an export's name is not UTF-8")?;
        let _kind = reader.byte()?;
        let _index = reader.number()?;
        let entry = begin.get(..begin.len().saturating_sub(reader.0.len())).unwrap_or_default();
        missing.retain(|callback| *callback != name);
        if !name.starts_with("proxy_on_") || KEPT_CALLBACKS.contains(&name) {
            kept.push(entry);
        }
    }
    if !missing.is_empty() {
        bail!("the module does not export {}", missing.join(", "));
    }
    let mut trimmed = Vec::new();
    write_number(&mut trimmed, kept.len())?;
    trimmed.extend(kept.concat());
    Ok(trimmed)
}

/// Reads the WebAssembly binary format (core specification, chapter 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().context("the module ends early")?;
        self.0 = rest;
        Ok(*first)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("the module ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned 32-bit LEB128.
    fn number(&mut self) -> Result<usize> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).context("a number is too large");
            }
        }
        bail!("a number is longer than five bytes")
    }
}

fn write_number(out: &mut Vec<u8>, number: usize) -> Result<()> {
    let mut rest = u32::try_from(number).context("a section is larger than 4 GB")?;
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return Ok(());
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, KEPT_CALLBACKS, Reader, trim, write_number};

    /// A module of one custom section and one export section with these names.
    fn module(names: &[&str]) -> Vec<u8> {
        let mut exports = Vec::new();
        write_number(&mut exports, names.len()).unwrap();
        for (index, name) in names.iter().enumerate() {
            write_number(&mut exports, name.len()).unwrap();
            exports.extend(name.as_bytes());
            exports.push(0);
            write_number(&mut exports, index).unwrap();
        }
        let mut module = HEADER.to_vec();
        module.extend([0, 2, 1, b'x', 7]);
        write_number(&mut module, exports.len()).unwrap();
        module.extend(exports);
        module
    }

    #[test]
    fn unimplemented_callbacks_go_and_everything_else_stays() {
        let mut names = vec!["memory", "_initialize", "proxy_abi_version_0_2_1"];
        names.extend(KEPT_CALLBACKS);
        let expected = module(&names);
        assert_eq!(trim(&expected).unwrap(), expected, "nothing to drop");

        names.extend(["proxy_on_upstream_data", "proxy_on_new_connection"]);
        assert_eq!(trim(&module(&names)).unwrap(), expected);
    }

    #[test]
    fn bad_modules_are_refused() {
        let complete = module(&KEPT_CALLBACKS);
        for (what, module, message) in [
            ("empty", vec![], "not a WebAssembly module"),
            ("cut", complete[..complete.len() - 1].to_vec(), "the module ends early"),
            (
                "long number",
                [HEADER, &[0, 0x80, 0x80, 0x80, 0x80, 0x80, 0]].concat(),
                "longer than five bytes",
            ),
            ("callback missing", module(&KEPT_CALLBACKS[1..]), "does not export proxy_on_configure"),
        ] {
            let error = format!("{:#}", trim(&module).unwrap_err());
            assert!(error.contains(message), "{what}: {error}");
        }
    }

    #[test]
    fn numbers_survive_the_round_trip() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number).unwrap();
            assert_eq!(Reader(&bytes).number().unwrap(), number);
        }
    }
}
