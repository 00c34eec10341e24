//! What instances share: data, queues, metrics, clock, seed and logs.
use super::limits::HostLimits;
use super::metrics::{Metric, MetricKind, MetricValue};
use super::queues::Queues;
use super::shared_data::SharedData;
use super::status::Status;
use crate::text::lossy;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of ABI 0.2.1")]
#[repr(u32)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl LogLevel {
    pub(crate) fn from_abi(level: u32) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical]
            .into_iter()
            .find(|known| *known as u32 == level)
    }
}

/// One line that a guest logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// Its text (invalid UTF-8 replaced), cut at the limit.
    pub text: String,
    /// The instance's name.
    pub vm: Arc<str>,
    /// The virtual time in nanoseconds.
    pub at: u64,
}

/// A world that instances share; clones are the same world.
#[derive(Clone, Debug)]
pub struct SharedWorld {
    inner: Arc<World>,
}

#[derive(Debug)]
struct World {
    clock: AtomicU64,
    seed: u64,
    instances: AtomicU32,
    limits: HostLimits,
    data: Mutex<SharedData>,
    queues: Mutex<Queues>,
    metrics: Mutex<BTreeMap<(MetricKind, String), Arc<Metric>>>,
    logs: Mutex<Logs>,
}

#[derive(Debug, Default)]
struct Logs {
    lines: VecDeque<LogLine>,
    dropped: u64,
}

impl SharedWorld {
    /// A world at this time (nanoseconds since 1970) with this seed.
    pub fn new(now: u64, seed: u64, limits: HostLimits) -> Self {
        let data = Mutex::new(SharedData::new(limits.shared_data_bytes));
        let inner = World {
            clock: AtomicU64::new(now),
            seed,
            instances: AtomicU32::new(0),
            limits,
            data,
            queues: Mutex::default(),
            metrics: Mutex::default(),
            logs: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The virtual time in nanoseconds since 1970.
    pub fn now(&self) -> u64 {
        self.inner.clock.load(Ordering::Relaxed)
    }

    /// Sets the virtual time.
    pub fn set_now(&self, now: u64) {
        self.inner.clock.store(now, Ordering::Relaxed);
    }

    /// Advances the virtual time.
    pub fn advance(&self, nanoseconds: u64) {
        self.set_now(self.now().saturating_add(nanoseconds));
    }

    /// A value of the shared data with its CAS number.
    pub fn shared_value(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.data().value(vm_id.as_bytes(), key).map(|(value, cas)| (value.to_vec(), cas))
    }

    /// Bytes of keys and values in the shared data.
    pub fn shared_data_bytes(&self) -> usize {
        self.data().bytes()
    }

    /// A metric's value.
    pub fn metric(&self, kind: MetricKind, name: &str) -> Option<MetricValue> {
        lock(&self.inner.metrics).get(&(kind, name.to_owned())).map(|metric| metric.snapshot())
    }

    /// All metrics by name.
    pub fn metrics(&self) -> BTreeMap<String, MetricValue> {
        lock(&self.inner.metrics)
            .iter()
            .map(|((_, name), metric)| (name.clone(), metric.snapshot()))
            .collect()
    }

    /// Takes the log lines kept so far.
    pub fn take_logs(&self) -> Vec<LogLine> {
        std::mem::take(&mut lock(&self.inner.logs).lines).into()
    }

    /// How many log lines were dropped because of the limit.
    pub fn dropped_logs(&self) -> u64 {
        lock(&self.inner.logs).dropped
    }

    pub(crate) fn next_instance(&self) -> u32 {
        self.inner.instances.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.inner.seed
    }

    pub(crate) fn limits(&self) -> &HostLimits {
        &self.inner.limits
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, SharedData> {
        lock(&self.inner.data)
    }

    pub(crate) fn queues(&self) -> MutexGuard<'_, Queues> {
        lock(&self.inner.queues)
    }

    pub(crate) fn define_metric(&self, kind: MetricKind, name: String) -> Result<Arc<Metric>, Status> {
        let mut metrics = lock(&self.inner.metrics);
        let known = metrics.len();
        match metrics.entry((kind, name)) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            std::collections::btree_map::Entry::Vacant(_) if known >= self.inner.limits.metrics => {
                Err(Status::InternalFailure)
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                Ok(Arc::clone(entry.insert(Arc::new(Metric::new(kind)))))
            }
        }
    }

    pub(crate) fn log(&self, level: LogLevel, text: &[u8], vm: &Arc<str>) {
        let text = text.get(..self.inner.limits.log_line_bytes).unwrap_or(text);
        let line = LogLine { level, text: lossy(text.to_vec()), vm: Arc::clone(vm), at: self.now() };
        let mut logs = lock(&self.inner.logs);
        logs.lines.push_back(line);
        if logs.lines.len() > self.inner.limits.log_lines {
            logs.lines.pop_front();
            logs.dropped = logs.dropped.saturating_add(1);
        }
    }
}

impl Default for SharedWorld {
    fn default() -> Self {
        Self::new(0, 0, HostLimits::default())
    }
}

/// The lock even after a panic elsewhere: no update here leaves a half-made value behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
