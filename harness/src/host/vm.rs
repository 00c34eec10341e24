//! One instance of a module: its start, configuration, ticks and end, and how it is called.
use super::error::HostError;
use super::exports::{Exports, find};
use super::module::Module;
use super::options::VmOptions;
use super::state::{ROOT, VmState};
use super::ticker::Ticker;
use super::world::{LogLevel, SharedWorld};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Instance, Store, Trap, TypedFunc, WasmParams, WasmResults};

/// A running instance. After a trap or an exceeded limit it is dead for good, as in Envoy.
pub struct Vm {
    store: Store<VmState>,
    exports: Arc<Exports>,
    next_context: u32,
    dead: Option<HostError>,
    interruptible: bool,
    metered: bool,
    /// Keeps the epochs advancing.
    _ticker: Option<Arc<Ticker>>,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.state().name;
        formatter.debug_struct("Vm").field("name", name).field("dead", &self.dead).finish_non_exhaustive()
    }
}

impl Vm {
    /// Instantiates a module, initialises it, makes its root context and tells it that the VM started.
    pub fn start(module: &Module, world: &SharedWorld, options: VmOptions) -> Result<Self, HostError> {
        let ticker = match options.time_limit {
            Some(_) if !module.interruptible() => return Err(HostError::NotInterruptible),
            Some(_) => module.ticker(),
            None => None,
        };
        if options.fuel_limit.is_some() && !module.metered() {
            return Err(HostError::NotMetered);
        }
        let configuration = size(options.vm_configuration.len());
        let mut store = Store::new(module.engine(), VmState::new(world.clone(), options));
        store.limiter(|state| &mut state.limiter);
        let (interruptible, metered) = (module.interruptible(), module.metered());
        arm(&mut store, interruptible, metered);
        let instance =
            module.instance().instantiate(&mut store).map_err(|error| instantiation(&store, &error))?;
        let exports = Arc::new(Exports::of(&instance, &mut store)?);
        let allocate = match find(&instance, &mut store, "malloc")? {
            Some(function) => Some(function),
            None => find(&instance, &mut store, "proxy_on_memory_allocate")?,
        };
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        store.data_mut().allocate = allocate.map(Arc::new);
        let next_context = ROOT;
        let mut vm =
            Self { store, exports, next_context, dead: None, interruptible, metered, _ticker: ticker };
        vm.initialize(&instance)?;
        vm.state_mut().starting = false;
        vm.create_context(0)?;
        if let Some(callback) = vm.exports.on_vm_start.clone()
            && vm.call("proxy_on_vm_start", ROOT, &callback, (ROOT, configuration))? == 0
        {
            return Err(HostError::StartRefused);
        }
        vm.run_after_call()?;
        Ok(vm)
    }

    fn initialize(&mut self, instance: &Instance) -> Result<(), HostError> {
        if let Some(initialize) = find::<(), ()>(instance, &mut self.store, "_initialize")? {
            self.call("_initialize", 0, &initialize, ())?;
            if let Some(main) = find::<(u32, u32), u32>(instance, &mut self.store, "main")? {
                self.call("main", 0, &main, (0, 0))?;
            } else if let Some(main) = find::<(), u32>(instance, &mut self.store, "__main_void")? {
                self.call("__main_void", 0, &main, ())?;
            }
        } else if let Some(start) = find::<(), ()>(instance, &mut self.store, "_start")? {
            self.call("_start", 0, &start, ())?;
        }
        Ok(())
    }

    /// Makes a context of the root's (0: the root itself) and returns its id.
    pub(crate) fn create_context(&mut self, parent: u32) -> Result<u32, HostError> {
        let id = self.next_context;
        self.next_context = self.free_context_after(id);
        if let Some(callback) = self.exports.on_context_create.clone() {
            self.call("proxy_on_context_create", id, &callback, (id, parent))?;
        }
        Ok(id)
    }

    /// Passes over the next context id.
    pub(crate) fn skip_context(&mut self) {
        self.next_context = self.free_context_after(self.next_context);
    }

    fn free_context_after(&self, id: u32) -> u32 {
        let mut next = id.wrapping_add(1);
        while self.state().has_context(next) {
            next = next.wrapping_add(1);
        }
        next
    }

    /// The id that the next context gets.
    pub(crate) fn next_context(&self) -> u32 {
        self.next_context
    }

    /// Gives the guest its plugin configuration. A refusal kills the instance, as Envoy then serves 503.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<(), HostError> {
        self.alive()?;
        let length = size(configuration.len());
        let Some(callback) = self.exports.on_configure.clone() else { return Ok(()) };
        self.state_mut().plugin_configuration = Some(configuration.to_vec());
        let accepted = self.call("proxy_on_configure", ROOT, &callback, (ROOT, length));
        self.state_mut().plugin_configuration = None;
        if accepted? == 0 {
            self.dead = Some(HostError::ConfigurationRefused);
            return Err(HostError::ConfigurationRefused);
        }
        self.run_after_call()
    }

    /// The tick period that the guest asked for.
    pub fn tick_period(&self) -> Option<Duration> {
        self.state().tick_period.map(|period| Duration::from_millis(u64::from(period)))
    }

    /// When the next tick is due, in nanoseconds of virtual time.
    pub fn next_tick(&self) -> Option<u64> {
        self.state().next_tick
    }

    /// Ticks if a tick is due; at most once, however far the clock leapt, as Envoy's timer. Says whether it did.
    pub fn tick_if_due(&mut self) -> Result<bool, HostError> {
        let now = self.state().world.now();
        if self.state().next_tick.is_none_or(|due| due > now) {
            return Ok(false);
        }
        self.tick()?;
        Ok(true)
    }

    /// Ticks now.
    pub fn tick(&mut self) -> Result<(), HostError> {
        self.alive()?;
        let state = self.state_mut();
        let period = state.tick_period.map(|period| u64::from(period).saturating_mul(1_000_000));
        state.next_tick = period.map(|period| state.world.now().saturating_add(period));
        if let Some(callback) = self.exports.on_tick.clone() {
            self.call("proxy_on_tick", ROOT, &callback, ROOT)?;
        }
        self.run_after_call()
    }

    /// Tells the guest about the shared queues with new items; returns how often.
    pub fn deliver_queues(&mut self) -> Result<usize, HostError> {
        self.alive()?;
        let mut delivered: usize = 0;
        // What a callback enqueues itself is delivered next time, so that this ends.
        let instance = self.state().instance;
        let ready: Vec<u32> = {
            let mut queues = self.state().world.queues();
            std::iter::from_fn(|| queues.take_ready(instance)).collect()
        };
        for token in ready {
            if let Some(callback) = self.exports.on_queue_ready.clone() {
                self.call("proxy_on_queue_ready", ROOT, &callback, (ROOT, token))?;
            }
            self.run_after_call()?;
            delivered = delivered.saturating_add(1);
        }
        Ok(delivered)
    }

    /// Asks the root context to end; false: the guest wants to call `proxy_done` later.
    pub fn shut_down(&mut self) -> Result<bool, HostError> {
        self.alive()?;
        let done = match self.exports.on_done.clone() {
            Some(callback) => self.call("proxy_on_done", ROOT, &callback, ROOT)? != 0,
            None => true,
        };
        if done {
            self.delete_root()?;
        } else {
            self.state_mut().done_pending = true;
        }
        self.run_after_call()?;
        Ok(done)
    }

    pub(crate) fn delete_root(&mut self) -> Result<(), HostError> {
        if let Some(callback) = self.exports.on_delete.clone() {
            self.call("proxy_on_delete", ROOT, &callback, ROOT)?;
        }
        Ok(())
    }

    /// Whether the instance died.
    pub fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// What the instance died of.
    pub fn cause_of_death(&self) -> Option<&HostError> {
        self.dead.as_ref()
    }

    /// Sets the lowest level that is logged.
    pub fn set_log_level(&mut self, level: LogLevel) {
        self.state_mut().options.log_level = level;
    }

    /// The world that this instance lives in.
    pub fn world(&self) -> &SharedWorld {
        &self.state().world
    }

    /// Bytes of linear memory in use.
    pub fn memory_bytes(&self) -> usize {
        self.state().memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    pub(crate) fn alive(&self) -> Result<(), HostError> {
        if self.is_dead() { Err(HostError::Dead) } else { Ok(()) }
    }

    pub(crate) fn state(&self) -> &VmState {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut VmState {
        self.store.data_mut()
    }

    pub(crate) fn exports(&self) -> &Arc<Exports> {
        &self.exports
    }

    /// Calls a callback for a context; a failure kills the instance.
    pub(crate) fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
        context: u32,
        callback: &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<R, HostError> {
        let state = self.store.data_mut();
        state.current = context;
        state.effective = 0;
        state.limiter.refused = false;
        state.stop_iteration = false;
        arm(&mut self.store, self.interruptible, self.metered);
        let result = callback.call(&mut self.store, arguments);
        let state = self.store.data_mut();
        state.current = 0;
        state.effective = 0;
        result.map_err(|error| {
            state.after_call.clear();
            let error = classify(state, name, &error);
            self.dead = Some(error.clone());
            error
        })
    }
}

/// Sets deadline and fuel for the next call.
fn arm(store: &mut Store<VmState>, interruptible: bool, metered: bool) {
    let options = &store.data().options;
    let (time_limit, fuel) = (options.time_limit, options.fuel_limit);
    match time_limit {
        Some(limit) => store.set_epoch_deadline(Ticker::epochs(limit)),
        // Another instance's ticker advances the epoch for this one too.
        None if interruptible => store.set_epoch_deadline(u64::MAX >> 1),
        None => {}
    }
    if metered {
        // Fails only where fuel is not compiled in.
        let _ = store.set_fuel(fuel.unwrap_or(u64::MAX));
    }
}

fn classify(state: &VmState, callback: &'static str, error: &wasmtime::Error) -> HostError {
    match (error.downcast_ref::<Trap>(), state.options.time_limit, state.options.fuel_limit) {
        (Some(Trap::Interrupt), Some(limit), _) => HostError::TimeLimit { callback, limit },
        (Some(Trap::OutOfFuel), _, Some(limit)) => HostError::FuelLimit { callback, limit },
        _ if state.limiter.refused => {
            let limit = state.options.limits.memory_bytes;
            HostError::MemoryLimit { callback, limit, message: format!("{error:#}") }
        }
        _ => HostError::Trap { callback, message: format!("{error:#}") },
    }
}

fn instantiation(store: &Store<VmState>, error: &wasmtime::Error) -> HostError {
    match classify(store.data(), "start", error) {
        HostError::Trap { message, .. } => HostError::Instantiate { message },
        other => other,
    }
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
