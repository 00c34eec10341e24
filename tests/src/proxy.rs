//! A real Envoy with the filter in it, its upstream, its logs and its statistics.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use remit_harness::host::{Module, ModuleOptions};
use remit_harness::replay::Audit;
use serde_json::Value;
use xtask::envoy::{self, Envoy, Start};
use xtask::envoy_config::Settings;
use xtask::workspace;

use crate::http::{self, Answer, Request};
use crate::upstream::Upstream;

/// How the filter's audit lines begin, wherever in a line of the log they do.
const AUDIT: &str = r#"{"audit":"remit.audit/1""#;

/// How long something that must happen may take.
pub const SOON: Duration = Duration::from_secs(15);

/// How an Envoy is to be.
#[derive(Debug, Default)]
pub struct Options {
    /// Names its folder.
    pub name: &'static str,
    /// Remit's configuration.
    pub configuration: String,
    /// Number of workers; 0 means 1.
    pub workers: u32,
    /// Where an upstream of the test's own answers; `None`: [`Proxy::upstream`] does.
    pub upstream_port: Option<u16>,
    /// Where the cluster `bundles` answers.
    pub bundles_port: Option<u16>,
    /// Where the cluster `keys` answers.
    pub keys_port: Option<u16>,
    /// A text of the Envoy configuration and what it is replaced with.
    pub edit: Option<(&'static str, &'static str)>,
    /// Further ones.
    pub edits: Vec<(String, String)>,
    /// The transport socket of its listener; `None`: no TLS.
    pub transport_socket: Option<String>,
    /// Do not wait until the filter runs: it cannot.
    pub unready: bool,
}

/// A running Envoy. What a failed test leaves in its folder stays there to be read.
#[derive(Debug)]
pub struct Proxy {
    envoy: Envoy,
    /// Where it listens.
    pub port: u16,
    /// Behind it.
    pub upstream: Upstream,
    admin_port: u16,
    folder: PathBuf,
    instances: (u64, u64),
}

/// What came of a request.
#[derive(Debug)]
pub struct Seen {
    /// What the client got.
    pub answer: Answer,
    /// What the filter recorded.
    pub audit: Audit,
}

impl Seen {
    /// Status, outcome and reasons, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let outcome = self.audit.outcome().map_or("none", |outcome| outcome.as_str());
        format!("{} {outcome} {}", self.answer.status, self.audit.reasons().join(","))
    }
}

/// The filter, which must have been built.
///
/// # Errors
/// When it was not.
pub fn module() -> Result<PathBuf> {
    let path = workspace::filter_wasm();
    ensure!(path.is_file(), "{} is missing: run `cargo xtask build-wasm`", path.display());
    Ok(path)
}

/// The filter, compiled for wasmtime; the second time from a cache.
///
/// # Errors
/// When it was not built, or cannot be loaded.
pub fn compiled_module() -> Result<Module> {
    let cache = Some(workspace::target_dir().join("e2e").join("modules"));
    Ok(Module::load(&module()?, &ModuleOptions { cache, ..ModuleOptions::default() })?)
}

impl Proxy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When the filter was not built, there is no Envoy, or it does not start.
    pub fn start(options: &Options) -> Result<Self> {
        let mut last = Self::try_start(options);
        // A port that was free a moment ago may be taken by now.
        if last.as_ref().is_err_and(|error| format!("{error:#}").contains("in use")) {
            last = Self::try_start(options);
        }
        last
    }

    fn try_start(options: &Options) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", options.name, std::process::id());
        let folder = workspace::target_dir().join("e2e").join(name);
        fs::create_dir_all(&folder)?;
        let upstream = Upstream::start()?;
        let (port, admin_port) = (envoy::free_port()?, envoy::free_port()?);
        let mut settings = Settings::default()
            .listener_port(port)
            .admin_port(admin_port)
            .upstream_port(options.upstream_port.unwrap_or_else(|| upstream.port()))
            .module(&module()?)
            .configuration(&options.configuration);
        if let Some(port) = options.bundles_port {
            settings = settings.bundles_port(port);
        }
        if let Some(port) = options.keys_port {
            settings = settings.keys_port(port);
        }
        let mut rendered = settings.render()?;
        let further = options.edits.iter().map(|(old, new)| (old.as_str(), new.as_str()));
        for (old, new) in options.edit.into_iter().chain(further) {
            ensure!(rendered.contains(old), "the Envoy configuration has no {old:?}");
            rendered = rendered.replace(old, new);
        }
        if let Some(transport_socket) = &options.transport_socket {
            let chain = "filter_chains:\n        - ";
            ensure!(rendered.contains(chain), "the Envoy configuration has no {chain:?}");
            rendered = rendered.replace(chain, &format!("{chain}{transport_socket}\n          "));
            // What clients say about their certificates gets as far as the filter.
            let manager = "stat_prefix: agents\n";
            let forwards =
                format!("{manager}                forward_client_cert_details: ALWAYS_FORWARD_ONLY\n");
            rendered = rendered.replace(manager, &forwards);
        }
        let config = folder.join("envoy.yaml");
        fs::write(&config, rendered)?;
        let workers = options.workers.max(1);
        let start = Start {
            config: &config,
            admin_port,
            concurrency: workers,
            log: &folder.join("envoy.log"),
            access_log: Stdio::from(File::create(folder.join("access.log"))?),
        };
        let envoy =
            Envoy::start(&envoy::binary()?, start).with_context(|| format!("see {}", folder.display()))?;
        let mut proxy = Self { envoy, port, upstream, admin_port, folder, instances: (0, 0) };
        if options.unready {
            return Ok(proxy);
        }
        // One for each worker, and two of the main thread's.
        let wanted = u64::from(workers).saturating_add(2);
        proxy.wait_until("every instance is alive", || Ok(proxy.instances()?.1 == wanted))?;
        proxy.instances = proxy.instances()?;
        Ok(proxy)
    }

    /// Sends a request of which the filter must make a record.
    ///
    /// # Errors
    /// When there is no answer, or no record of it.
    pub fn send(&self, request: &Request) -> Result<Seen> {
        let before = self.audits()?.len();
        let answer = http::send(self.port, request)?;
        Ok(Seen { answer, audit: self.audit_after(before)? })
    }

    /// The record after the first `before` ones.
    ///
    /// # Errors
    /// When there is none.
    pub fn audit_after(&self, before: usize) -> Result<Audit> {
        let begun = Instant::now();
        loop {
            if let Some(audit) = self.audits()?.into_iter().nth(before) {
                return Ok(audit);
            }
            ensure!(begun.elapsed() < SOON, "no audit record; the log is in {}", self.folder.display());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All records in the proxy's log so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audits(&self) -> Result<Vec<Audit>> {
        let log = self.log()?;
        // A line without its end is still being written.
        let whole = log.rfind('\n').and_then(|end| log.get(..end)).unwrap_or_default();
        let lines = whole.lines().filter_map(|line| line.get(line.find(AUDIT)?..));
        lines.map(|line| Audit::of(line).with_context(|| format!("not a record: {line}"))).collect()
    }

    /// The proxy's log so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join("envoy.log"))?).into_owned())
    }

    /// Has the filter's host write all that it can to the log from now on.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub fn log_everything_of_the_filter(&self) -> Result<()> {
        http::send(self.admin_port, &Request::new("POST", "localhost", "/logging?wasm=trace").body(""))?;
        Ok(())
    }

    /// Waits until the log holds a text.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        self.wait_until(&format!("the log says {text:?}"), || Ok(self.log()?.contains(text)))
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// When it does not in time, or cannot be told.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !holds()? {
            ensure!(begun.elapsed() < SOON, "in vain: {what}; see {}", self.folder.display());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The statistics in Prometheus' form.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub fn statistics(&self) -> Result<String> {
        self.envoy.admin("/stats/prometheus")
    }

    /// The sum of all statistics of a name that carry all these labels, each as `name="value"`.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub fn statistic(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let text = self.statistics()?;
        let mut sum = 0_u64;
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (found, with) = series.split_once('{').unwrap_or((series, ""));
            if found == name && labels.iter().all(|label| with.contains(label)) {
                sum = sum.saturating_add(value.parse::<u64>().unwrap_or(0));
            }
        }
        Ok(sum)
    }

    /// How many instances of the filter were ever made, and how many are alive.
    fn instances(&self) -> Result<(u64, u64)> {
        let text = self.envoy.admin("/stats?filter=wasm.envoy.wasm.runtime")?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.and_then(|value| value.parse().ok()).with_context(|| format!("no statistic {name}"))
        };
        Ok((value("wasm.envoy.wasm.runtime.v8.created")?, value("wasm.envoy.wasm.runtime.v8.active")?))
    }

    /// Holds that no instance of the filter has died or been made anew, and that Envoy itself still runs.
    ///
    /// # Errors
    /// When one has.
    pub fn check_alive(&mut self) -> Result<()> {
        ensure!(self.envoy.is_running(), "Envoy ended; see {}", self.folder.display());
        let found = self.instances()?;
        ensure!(found == self.instances, "instances at first {:?}, now {found:?}", self.instances);
        let reloads = self.envoy.admin("/stats?filter=vm_reload")?;
        ensure!(reloads.lines().all(|line| line.ends_with(": 0")), "{reloads}");
        Ok(())
    }

    /// Ends Envoy and gives its access log, a JSON document a line. Holds that no worker has died, that every record
    /// in the proxy's log is in the access log too, and that neither log holds a token.
    ///
    /// # Errors
    /// When one of this does not hold.
    pub fn finish(mut self) -> Result<Vec<Value>> {
        self.check_alive()?;
        let records: Vec<String> = self.audits()?.into_iter().map(|audit| audit.line).collect();
        let log = self.log()?;
        // The access log is written at the end at the latest.
        let quit = Request::new("POST", "localhost", "/quitquitquit").body("");
        http::send(self.admin_port, &quit).context("failed to ask Envoy to end")?;
        let begun = Instant::now();
        while self.envoy.is_running() {
            ensure!(begun.elapsed() < SOON, "Envoy does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let access = fs::read_to_string(self.folder.join("access.log"))?;
        for (name, text) in [("the proxy's log", &log), ("the access log", &access)] {
            if let Some(line) = text.lines().find(|line| line.contains("eyJ") || line.contains("Bearer ")) {
                bail!("a token in {name}: {line}");
            }
        }
        ensure!(!access.contains("wasm_fail_stream"), "a stream failed; see {}", self.folder.display());
        let lines: Vec<Value> = access
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect::<Result<_>>()?;
        let logged: Vec<&str> = lines.iter().filter_map(|line| line.get("audit")?.as_str()).collect();
        for record in &records {
            ensure!(logged.contains(&record.as_str()), "not in the access log: {record}");
        }
        fs::remove_dir_all(&self.folder)?;
        Ok(lines)
    }
}
