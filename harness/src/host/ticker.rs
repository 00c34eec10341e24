//! The thread that advances an engine's epoch while some instance has a time limit.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::Engine;

/// Length of an epoch: the resolution of time limits.
const EPOCH: Duration = Duration::from_millis(2);

/// A running ticker; the thread ends with the last holder.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// The engine's ticker, started if none runs; `None` when the system refuses a thread.
    pub(crate) fn of(engine: &Engine, running: &Mutex<Weak<Self>>) -> Option<Arc<Self>> {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = running.upgrade() {
            return Some(ticker);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("epoch".into())
            .spawn({
                let (stop, engine) = (Arc::clone(&stop), engine.clone());
                move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::thread::park_timeout(EPOCH);
                        engine.increment_epoch();
                    }
                }
            })
            .ok()?;
        let ticker = Arc::new(Self { stop, thread: Some(thread) });
        *running = Arc::downgrade(&ticker);
        Some(ticker)
    }

    /// How many epochs to wait for: one more than fits, because the current one is partly over.
    pub(crate) fn epochs(limit: Duration) -> u64 {
        let epochs = limit.as_nanos().div_ceil(EPOCH.as_nanos());
        u64::try_from(epochs).unwrap_or(u64::MAX >> 1).saturating_add(1)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread has nothing that can panic.
            let _ = thread.join();
        }
    }
}
