//! The WASI preview 1 calls that Envoy offers, as it answers them: no files, no arguments, output goes to the log.
use super::abi::write_log;
use super::imports::WASI_MODULE;
use super::memory::{Guest, slice, split, write};
use super::state::VmState;
use super::status::{Fault, Status};
use super::world::LogLevel;
use wasmtime::Linker;

const SUCCESS: u32 = 0;
const EBADF: u32 = 8;
const EFAULT: u32 = 21;
const EINVAL: u32 = 28;
const ENOENT: u32 = 44;
const ENOSYS: u32 = 52;
const ENOTSUP: u32 = 58;

/// Most bytes of randomness in one call, and iovecs in one write.
const RANDOM_BYTES: u32 = 64 << 10;
const IOVECS: u32 = 1024;

/// Offers all functions to a module.
pub(crate) fn link(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    let module = WASI_MODULE;
    linker.func_wrap(module, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(module, "args_sizes_get", |mut guest: Guest<'_>, count: u32, size: u32| {
        errno(put(&mut guest, &[(count, &[0; 4]), (size, &[0; 4])]))
    })?;
    linker.func_wrap(module, "environ_get", |mut guest: Guest<'_>, list: u32, text: u32| {
        errno(environ(&mut guest, list, text))
    })?;
    linker.func_wrap(module, "environ_sizes_get", |mut guest: Guest<'_>, count: u32, size: u32| {
        let entries = environment(guest.data());
        let bytes = entries.iter().map(Vec::len).sum::<usize>();
        let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        errno(put(&mut guest, &[(count, &word(entries.len())), (size, &word(bytes))]))
    })?;
    linker.func_wrap(module, "clock_time_get", |mut guest: Guest<'_>, id: u32, _: u64, out: u32| {
        if id > 1 {
            return Ok(ENOTSUP);
        }
        let now = guest.data().world.now();
        errno(put(&mut guest, &[(out, &now.to_le_bytes())]))
    })?;
    linker.func_wrap(module, "fd_close", |_: u32| SUCCESS)?;
    linker.func_wrap(module, "fd_fdstat_get", |mut guest: Guest<'_>, descriptor: u32, out: u32| {
        if descriptor != 1 && descriptor != 2 {
            return Ok(EBADF);
        }
        // All zero but the right to write.
        errno(put(
            &mut guest,
            &[(out, &[0; 8]), (out.wrapping_add(8), &64_u64.to_le_bytes()), (out.wrapping_add(16), &[0; 8])],
        ))
    })?;
    linker.func_wrap(module, "fd_fdstat_set_flags", |_: u32, _: u32| ENOSYS)?;
    linker.func_wrap(module, "fd_prestat_dir_name", |_: u32, _: u32, _: u32| ENOSYS)?;
    linker.func_wrap(module, "fd_prestat_get", |_: u32, _: u32| EBADF)?;
    linker.func_wrap(module, "fd_read", |_: u32, _: u32, _: u32, _: u32| ENOSYS)?;
    linker.func_wrap(module, "fd_seek", |_: u32, _: u64, _: u32, _: u32| SUCCESS)?;
    linker.func_wrap(
        module,
        "fd_write",
        |mut guest: Guest<'_>, descriptor: u32, list: u32, count: u32, written: u32| {
            let level = match descriptor {
                1 => LogLevel::Info,
                2 => LogLevel::Error,
                _ => return Ok(EBADF),
            };
            if count > IOVECS {
                return Ok(EINVAL);
            }
            errno(print(&mut guest, level, list, count, written))
        },
    )?;
    linker.func_wrap(
        module,
        "path_open",
        |_: u32, _: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32, _: u32| ENOENT,
    )?;
    linker.func_wrap(
        module,
        "poll_oneoff",
        |mut guest: Guest<'_>, _: u32, _: u32, _: u32, events: u32| {
            errno(put(&mut guest, &[(events, &[0; 4])]))
        },
    )?;
    // Envoy only notes it; a guest that goes on runs into its own `unreachable`.
    linker.func_wrap(module, "proc_exit", |_: u32| {})?;
    linker.func_wrap(module, "random_get", |mut guest: Guest<'_>, out: u32, length: u32| {
        if length > RANDOM_BYTES {
            return Ok(EINVAL);
        }
        errno(random(&mut guest, out, length))
    })?;
    linker.func_wrap(module, "sched_yield", || SUCCESS)?;
    Ok(())
}

fn errno(result: Result<(), Fault>) -> wasmtime::Result<u32> {
    match result {
        Ok(()) => Ok(SUCCESS),
        Err(Fault::Status(_)) => Ok(EFAULT),
        Err(Fault::Trap(error)) => Err(error),
    }
}

fn put(guest: &mut Guest<'_>, values: &[(u32, &[u8])]) -> Result<(), Fault> {
    let (memory, _) = split(guest)?;
    for (pointer, bytes) in values {
        write(memory, *pointer, bytes)?;
    }
    Ok(())
}

/// The environment as NUL-terminated `name=value`.
fn environment(state: &VmState) -> Vec<Vec<u8>> {
    state.options.environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn environ(guest: &mut Guest<'_>, mut list: u32, mut text: u32) -> Result<(), Fault> {
    let (memory, state) = split(guest)?;
    for entry in environment(state) {
        write(memory, list, &text.to_le_bytes())?;
        write(memory, text, &entry)?;
        list = list.checked_add(4).ok_or(Status::InvalidMemoryAccess)?;
        let length = u32::try_from(entry.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        text = text.checked_add(length).ok_or(Status::InvalidMemoryAccess)?;
    }
    Ok(())
}

fn print(guest: &mut Guest<'_>, level: LogLevel, list: u32, count: u32, written: u32) -> Result<(), Fault> {
    let (memory, state) = split(guest)?;
    let kept = state.world.limits().log_line_bytes;
    let (mut line, mut total) = (Vec::new(), 0_u32);
    for iovec in slice(memory, list, count.saturating_mul(8))?.chunks_exact(8) {
        let Some((pointer, length)) = iovec.split_first_chunk::<4>() else { continue };
        let Some((length, _)) = length.split_first_chunk::<4>() else { continue };
        let bytes = slice(memory, u32::from_le_bytes(*pointer), u32::from_le_bytes(*length))?;
        total = total.saturating_add(u32::from_le_bytes(*length));
        let room = kept.saturating_sub(line.len());
        line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
    if total > 0 {
        write_log(state, level, line.strip_suffix(b"\n").unwrap_or(&line));
    }
    Ok(write(memory, written, &total.to_le_bytes())?)
}

fn random(guest: &mut Guest<'_>, out: u32, length: u32) -> Result<(), Fault> {
    let (memory, state) = split(guest)?;
    let start = usize::try_from(out).map_err(|_| Status::InvalidMemoryAccess)?;
    let length = usize::try_from(length).map_err(|_| Status::InvalidMemoryAccess)?;
    let end = start.checked_add(length).ok_or(Status::InvalidMemoryAccess)?;
    state.random.fill(memory.get_mut(start..end).ok_or(Status::InvalidMemoryAccess)?);
    Ok(())
}
