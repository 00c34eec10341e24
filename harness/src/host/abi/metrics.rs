//! Metrics.
use super::Outcome;
use crate::host::memory::{Guest, slice, split, write_u32, write_u64};
use crate::host::metrics::MetricKind;
use crate::host::status::Status;

pub(super) fn define(guest: &mut Guest<'_>, kind: u32, name: u32, name_size: u32, id_at: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let name = slice(memory, name, name_size)?;
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Err(Status::BadArgument.into()),
    };
    let limits = state.world.limits();
    let (name_limit, limit) = (limits.metric_name_bytes, limits.metrics);
    if name.len() > name_limit {
        return Err(Status::InternalFailure.into());
    }
    let metric = state.world.define_metric(kind, String::from_utf8_lossy(name).into_owned())?;
    let id = state.metrics.define(metric, limit).ok_or(Status::InternalFailure)?;
    write_u32(guest, id_at, id)
}

pub(super) fn increment(guest: &Guest<'_>, id: u32, offset: i64) -> Outcome {
    Ok(guest.data().metrics.metric(id)?.increment(offset)?)
}

pub(super) fn record(guest: &Guest<'_>, id: u32, value: u64) -> Outcome {
    let state = guest.data();
    // Envoy says NotFound here even for an id of no known kind.
    let metric = state.metrics.metric(id).map_err(|_| Status::NotFound)?;
    metric.record(value, state.world.limits().histogram_values);
    Ok(())
}

pub(super) fn value(guest: &mut Guest<'_>, id: u32, out: u32) -> Outcome {
    let value = guest.data().metrics.metric(id)?.current()?;
    write_u64(guest, out, value)
}
