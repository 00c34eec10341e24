//! The guest's memory: every pointer and length is checked here.
use super::state::VmState;
use super::status::{Fault, Status};
use wasmtime::{AsContextMut, Caller, Memory};

/// A host call's view of the instance.
pub(crate) type Guest<'call> = Caller<'call, VmState>;

/// The guest's memory and the host's data, both to be changed.
pub(crate) fn split<'a>(guest: &'a mut Guest<'_>) -> Result<(&'a mut [u8], &'a mut VmState), Fault> {
    let memory = memory(guest)?;
    Ok(memory.data_and_store_mut(guest))
}

fn memory(guest: &mut Guest<'_>) -> Result<Memory, Fault> {
    match guest.data().memory {
        Some(memory) => Ok(memory),
        // A start function runs before the host has seen the exports.
        None => match guest.get_export("memory") {
            Some(wasmtime::Extern::Memory(memory)) => Ok(memory),
            _ => Err(Status::InvalidMemoryAccess.into()),
        },
    }
}

/// The bytes at a pointer.
pub(crate) fn slice(memory: &[u8], pointer: u32, length: u32) -> Result<&[u8], Status> {
    let start = usize::try_from(pointer).map_err(|_| Status::InvalidMemoryAccess)?;
    let length = usize::try_from(length).map_err(|_| Status::InvalidMemoryAccess)?;
    let end = start.checked_add(length).ok_or(Status::InvalidMemoryAccess)?;
    memory.get(start..end).ok_or(Status::InvalidMemoryAccess)
}

/// Writes bytes at a pointer.
pub(crate) fn write(memory: &mut [u8], pointer: u32, bytes: &[u8]) -> Result<(), Status> {
    let start = usize::try_from(pointer).map_err(|_| Status::InvalidMemoryAccess)?;
    let end = start.checked_add(bytes.len()).ok_or(Status::InvalidMemoryAccess)?;
    memory.get_mut(start..end).ok_or(Status::InvalidMemoryAccess)?.copy_from_slice(bytes);
    Ok(())
}

/// Writes a word at a pointer.
pub(crate) fn write_u32(guest: &mut Guest<'_>, pointer: u32, value: u32) -> Result<(), Fault> {
    let (memory, _) = split(guest)?;
    Ok(write(memory, pointer, &value.to_le_bytes())?)
}

/// Writes a double word at a pointer.
pub(crate) fn write_u64(guest: &mut Guest<'_>, pointer: u32, value: u64) -> Result<(), Fault> {
    let (memory, _) = split(guest)?;
    Ok(write(memory, pointer, &value.to_le_bytes())?)
}

/// Hands the scratch bytes to the guest: in memory that it allocates, with pointer and size written where it says.
/// Nothing is allocated for no bytes (the pointer is 0).
pub(crate) fn hand_over(guest: &mut Guest<'_>, pointer_at: u32, size_at: u32) -> Result<(), Fault> {
    let scratch = std::mem::take(&mut guest.data_mut().scratch);
    let result = hand_over_bytes(guest, &scratch, pointer_at, size_at);
    guest.data_mut().scratch = scratch;
    result
}

fn hand_over_bytes(guest: &mut Guest<'_>, bytes: &[u8], pointer_at: u32, size_at: u32) -> Result<(), Fault> {
    let pointer = if bytes.is_empty() { 0 } else { allocate(guest, bytes)? };
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let (memory, _) = split(guest)?;
    write(memory, pointer_at, &pointer.to_le_bytes())?;
    Ok(write(memory, size_at, &size.to_le_bytes())?)
}

/// Copies bytes into memory that the guest allocates; returns where.
pub(crate) fn allocate(guest: &mut Guest<'_>, bytes: &[u8]) -> Result<u32, Fault> {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let allocate = guest.data().allocate.clone().ok_or(Status::InternalFailure)?;
    let pointer = allocate.call(guest.as_context_mut(), size)?;
    if pointer == 0 {
        return Err(Status::InvalidMemoryAccess.into());
    }
    let (memory, _) = split(guest)?;
    write(memory, pointer, bytes)?;
    Ok(pointer)
}
