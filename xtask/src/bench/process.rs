//! What a process has used, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// CPU time of all its threads so far, in microseconds.
///
/// `/proc/<pid>/stat` counts in ticks of 10 ms; the scheduler's own count is exact enough for short rounds.
pub(super) fn cpu_micros(pid: u32) -> Result<f64> {
    let mut total = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // A thread that has just ended has nothing to add.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let nanos: f64 = text.split(' ').next().context("empty schedstat")?.parse()?;
        total += nanos / 1000.0;
    }
    Ok(total)
}

/// Resident memory, in megabytes.
pub(super) fn resident_megabytes(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::{cpu_micros, resident_megabytes};

    #[test]
    fn this_process_uses_time_and_memory() {
        let pid = std::process::id();
        let before = cpu_micros(pid).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 20 {}
        assert!(cpu_micros(pid).unwrap() > before);
        assert!(resident_megabytes(pid).unwrap() > 0.5);
    }
}
