//! Metrics: values by name in the world, ids by instance, as Envoy numbers them.
use super::status::Status;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Recorded values.
    Histogram,
}

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricValue {
    /// Value of a counter.
    Counter(u64),
    /// Value of a gauge.
    Gauge(u64),
    /// What a histogram recorded.
    Histogram {
        /// The first values, as many as the limit allows.
        values: Vec<u64>,
        /// Number of all values.
        count: u64,
        /// Sum of all values, saturating.
        sum: u64,
    },
}

/// One metric of a world.
#[derive(Debug)]
pub(crate) struct Metric {
    kind: MetricKind,
    value: AtomicU64,
    histogram: Mutex<Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    values: Vec<u64>,
    count: u64,
    sum: u64,
}

impl Metric {
    pub(crate) fn new(kind: MetricKind) -> Self {
        Self { kind, value: AtomicU64::new(0), histogram: Mutex::default() }
    }

    /// Adds an offset: a counter takes positive ones only, a histogram none.
    pub(crate) fn increment(&self, offset: i64) -> Result<(), Status> {
        match self.kind {
            MetricKind::Counter if offset > 0 => {}
            MetricKind::Gauge => {}
            MetricKind::Counter | MetricKind::Histogram => return Err(Status::BadArgument),
        }
        self.value.fetch_add(offset.cast_unsigned(), Ordering::Relaxed);
        Ok(())
    }

    /// Records a value: added to a counter, set on a gauge, kept by a histogram.
    pub(crate) fn record(&self, value: u64, keep: usize) {
        match self.kind {
            MetricKind::Counter => {
                self.value.fetch_add(value, Ordering::Relaxed);
            }
            MetricKind::Gauge => self.value.store(value, Ordering::Relaxed),
            MetricKind::Histogram => {
                let mut histogram = self.histogram.lock().unwrap_or_else(PoisonError::into_inner);
                if histogram.values.len() < keep {
                    histogram.values.push(value);
                }
                histogram.count = histogram.count.saturating_add(1);
                histogram.sum = histogram.sum.saturating_add(value);
            }
        }
    }

    /// The value of a counter or gauge.
    pub(crate) fn current(&self) -> Result<u64, Status> {
        match self.kind {
            MetricKind::Counter | MetricKind::Gauge => Ok(self.value.load(Ordering::Relaxed)),
            MetricKind::Histogram => Err(Status::BadArgument),
        }
    }

    pub(crate) fn snapshot(&self) -> MetricValue {
        let value = self.value.load(Ordering::Relaxed);
        match self.kind {
            MetricKind::Counter => MetricValue::Counter(value),
            MetricKind::Gauge => MetricValue::Gauge(value),
            MetricKind::Histogram => {
                let histogram = self.histogram.lock().unwrap_or_else(PoisonError::into_inner);
                let (values, count, sum) = (histogram.values.clone(), histogram.count, histogram.sum);
                MetricValue::Histogram { values, count, sum }
            }
        }
    }
}

/// The metric ids of one instance: type in the low two bits, numbered from 1 above them.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    counters: Vec<Arc<Metric>>,
    gauges: Vec<Arc<Metric>>,
    histograms: Vec<Arc<Metric>>,
}

impl MetricIds {
    /// Gives a metric an id of its own; `None` beyond the limit.
    pub(crate) fn define(&mut self, metric: Arc<Metric>, limit: usize) -> Option<u32> {
        let (kind, list) = match metric.kind {
            MetricKind::Counter => (0, &mut self.counters),
            MetricKind::Gauge => (1, &mut self.gauges),
            MetricKind::Histogram => (2, &mut self.histograms),
        };
        if list.len() >= limit {
            return None;
        }
        list.push(metric);
        u32::try_from(list.len()).ok()?.checked_mul(4)?.checked_add(kind)
    }

    /// The metric with this id.
    pub(crate) fn metric(&self, id: u32) -> Result<&Metric, Status> {
        let list = match id & 3 {
            0 => &self.counters,
            1 => &self.gauges,
            2 => &self.histograms,
            _ => return Err(Status::BadArgument),
        };
        let index = (id >> 2).checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| list.get(index)).map(Arc::as_ref).ok_or(Status::NotFound)
    }
}
