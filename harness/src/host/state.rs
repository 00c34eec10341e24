//! What the host functions work on: the data of one store.
use super::callout::{Answer, Calls};
use super::message::Side;
use super::metrics::MetricIds;
use super::options::VmOptions;
use super::properties::Properties;
use super::random::Random;
use super::reply::{LocalReply, ReplyRequest};
use super::world::SharedWorld;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Memory, ResourceLimiter, TypedFunc};

/// The root context's id.
pub(crate) const ROOT: u32 = 1;

/// The data of one store.
pub(crate) struct VmState {
    pub(crate) world: SharedWorld,
    pub(crate) options: VmOptions,
    pub(crate) name: Arc<str>,
    pub(crate) instance: u32,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<Arc<TypedFunc<u32, u32>>>,
    pub(crate) limiter: MemoryLimiter,
    /// Whether `_initialize` or `_start` runs, when few calls are allowed.
    pub(crate) starting: bool,
    /// The plugin's configuration while the guest is told about it.
    pub(crate) plugin_configuration: Option<Vec<u8>>,
    /// The context that the running callback is for.
    pub(crate) current: u32,
    /// The context that the guest chose instead; 0: none.
    pub(crate) effective: u32,
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// What is to be done once the callback has returned.
    pub(crate) after_call: Vec<(u32, AfterCall)>,
    /// Whether a local reply overrides the callback's action.
    pub(crate) stop_iteration: bool,
    pub(crate) tick_period: Option<u32>,
    pub(crate) next_tick: Option<u64>,
    pub(crate) calls: Calls,
    /// The answer that the running callback is about.
    pub(crate) answer: Answer,
    /// Status of the last failed call, for `proxy_get_status`.
    pub(crate) status: (u32, String),
    pub(crate) metrics: MetricIds,
    pub(crate) random: Random,
    /// Bytes on their way into the guest; kept to save allocations.
    pub(crate) scratch: Vec<u8>,
    /// Whether `proxy_on_done` of the root context asked to wait for `proxy_done`.
    pub(crate) done_pending: bool,
}

/// One HTTP stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) request: Side,
    pub(crate) response: Side,
    pub(crate) reply: Option<LocalReply>,
    pub(crate) reset: bool,
    /// The instance failed under this stream: no callback any more.
    pub(crate) failed: bool,
    /// Whether `proxy_on_log` runs, which sees all headers.
    pub(crate) logging: bool,
    pub(crate) properties: Properties,
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// What the guest asked for that happens after the callback.
#[derive(Debug)]
pub(crate) enum AfterCall {
    Resume(Direction),
    Reply(ReplyRequest),
    Reset,
    DeleteRoot,
}

impl Stream {
    pub(crate) fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    pub(crate) fn side_mut(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl VmState {
    pub(crate) fn new(world: SharedWorld, options: VmOptions) -> Self {
        let instance = world.next_instance();
        let random = Random::new(world.seed(), instance);
        let limiter = MemoryLimiter {
            bytes: options.limits.memory_bytes,
            elements: options.limits.table_elements,
            refused: false,
        };
        Self {
            world,
            name: Arc::from(options.name.as_str()),
            options,
            instance,
            memory: None,
            allocate: None,
            limiter,
            starting: true,
            plugin_configuration: None,
            current: 0,
            effective: 0,
            streams: BTreeMap::new(),
            after_call: Vec::new(),
            stop_iteration: false,
            tick_period: None,
            next_tick: None,
            calls: Calls::default(),
            answer: Answer::default(),
            status: (0, String::new()),
            metrics: MetricIds::default(),
            random,
            scratch: Vec::new(),
            done_pending: false,
        }
    }

    /// The id of the context that host calls are for.
    pub(crate) fn context(&self) -> u32 {
        if self.effective != 0 && self.has_context(self.effective) { self.effective } else { self.current }
    }

    /// Whether a context exists; 0 is the instance's own.
    pub(crate) fn has_context(&self, id: u32) -> bool {
        id <= ROOT || self.streams.contains_key(&id)
    }

    /// The stream that host calls are for; `None` in the root context.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.streams.get(&self.context())
    }

    /// The stream that host calls are for; `None` in the root context.
    pub(crate) fn stream_mut(&mut self) -> Option<&mut Stream> {
        let context = self.context();
        self.streams.get_mut(&context)
    }
}

/// Bounds memory and tables, and remembers that it refused.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    bytes: usize,
    elements: usize,
    pub(crate) refused: bool,
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.bytes;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.elements)
    }
}
