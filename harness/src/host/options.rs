//! How an instance is run: what Envoy's `PluginConfig` and `VmConfig` say.
use super::limits::HostLimits;
use super::properties::Properties;
use super::world::LogLevel;
use std::collections::BTreeSet;
use std::time::Duration;

/// Options of one instance.
#[derive(Clone, Debug)]
pub struct VmOptions {
    /// Name in log lines and property `plugin_name`.
    pub name: String,
    /// `vm_id`: instances with the same one share data and queue names.
    pub vm_id: String,
    /// `root_id`.
    pub root_id: String,
    /// `vm_config.configuration`.
    pub vm_configuration: Vec<u8>,
    /// Environment variables that WASI shows.
    pub environment: Vec<(String, String)>,
    /// Lowest level that is logged.
    pub log_level: LogLevel,
    /// Attributes of every stream and of the root context.
    pub properties: Properties,
    /// Clusters that calls can go to; `None`: any.
    pub clusters: Option<BTreeSet<String>>,
    /// `allow_on_headers_stop_iteration`: a pause in headers still delivers the body.
    pub allow_on_headers_stop_iteration: bool,
    /// A dead instance lets streams pass; otherwise they get 503.
    pub fail_open: bool,
    /// Whether the foreign function `verify_signature` exists.
    pub verify_signature: bool,
    /// Wall-clock limit of one callback; needs [`super::ModuleOptions::interruptible`].
    pub time_limit: Option<Duration>,
    /// Fuel of one callback; needs [`super::ModuleOptions::metered`].
    pub fuel_limit: Option<u64>,
    /// Bounds of this instance; those of shared things are the world's.
    pub limits: HostLimits,
}

impl Default for VmOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            vm_id: String::new(),
            root_id: String::new(),
            vm_configuration: Vec::new(),
            environment: Vec::new(),
            log_level: LogLevel::Info,
            properties: Properties::new(),
            clusters: None,
            allow_on_headers_stop_iteration: true,
            fail_open: false,
            verify_signature: true,
            time_limit: None,
            fuel_limit: None,
            limits: HostLimits::default(),
        }
    }
}
