//! The benchmark's result as one table.

/// The row that throughput is compared with.
pub(super) const NO_FILTER: &str = "no filter";

/// The row that ratios are of.
pub(super) const UNIT: &str = "empty filter";

/// The rows that the budgets speak of; those for new tokens end in the algorithm.
pub(super) const CACHED: &str = "Remit, cached token";
pub(super) const KNOWN: &str = "Remit, decision known as well";
pub(super) const OTHERS: &str = "Remit, cached, own arguments each";
pub(super) const ONE_PLACE: &str = "Remit, the same, recorded once";
pub(super) const INTERPRETED: &str = "Remit, cached, by the interpreter";
pub(super) const ELSEWHERE: &str = "Remit, on other routes only";
pub(super) const SHIPPED: &str = "Remit, cached, agent-baseline";
pub(super) const NEW: &str = "Remit, new token, ";
pub(super) const IN_MODULE: &str = "Remit, new, in the module, ";
pub(super) const JWT_CACHED: &str = "jwt_authn + rbac, cached token";
pub(super) const JWT_NEW: &str = "jwt_authn + rbac, new, ";
pub(super) const EMPTY_ASK: &str = "ext_authz, always allowed";

/// What was measured of one subject; all but `name` relative to no filter, from medians over the rounds.
#[derive(Default)]
pub(super) struct Row {
    pub(super) name: String,
    /// CPU time that the proxy adds to a request, in microseconds.
    pub(super) added_micros: f64,
    /// How far from that the rounds are, in the median: more than a fraction of it, and the machine was busy.
    pub(super) spread_micros: f64,
    /// CPU time of the process that is asked, in microseconds; `None` where there is none of its own.
    pub(super) sidecar_micros: Option<f64>,
    /// Requests a second without a filter, divided by those with it.
    pub(super) slower: f64,
    /// From start to ready, in seconds (absolute).
    pub(super) ready_seconds: f64,
    /// Resident memory with one worker, in megabytes.
    pub(super) added_megabytes: f64,
    /// Resident memory of each further worker, in megabytes, where it was measured.
    pub(super) worker_megabytes: Option<f64>,
    /// The size of its module.
    pub(super) module_megabytes: Option<f64>,
}

/// The row of that name.
pub(super) fn find<'a>(rows: &'a [Row], name: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.name == name)
}

pub(super) fn render(rows: &[Row], skipped: &[(String, String)]) -> String {
    let unit = find(rows, UNIT).map(|row| row.added_micros);
    let columns = [
        "added µs",
        "±",
        "× empty",
        "throughput ÷",
        "sidecar µs",
        "ready s",
        "RSS MB",
        "MB/worker",
        "module MB",
    ];
    let [a, b, c, d, e, f, g, h, i] = columns;
    let mut table = format!("{:33}{a:>9}{b:>6}{c:>9}{d:>14}{e:>12}{f:>9}{g:>8}{h:>11}{i:>11}\n", "");
    for row in rows {
        table.push_str(&format!(
            "{:33}{:>9.1}{:>6.1}{:>9}{:>14.2}{:>12}{:>9.2}{:>8.1}{:>11}{:>11}\n",
            row.name,
            row.added_micros,
            row.spread_micros,
            unit.map_or_else(String::new, |unit| format!("{:.1}", row.added_micros / unit)),
            row.slower,
            row.sidecar_micros.map_or_else(String::new, |micros| format!("{micros:.1}")),
            row.ready_seconds,
            row.added_megabytes,
            row.worker_megabytes.map_or_else(String::new, |megabytes| format!("{megabytes:.1}")),
            row.module_megabytes.map_or_else(String::new, |megabytes| format!("{megabytes:.2}")),
        ));
    }
    for (name, reason) in skipped {
        table.push_str(&format!("{name:31}  skipped: {reason}\n"));
    }
    table
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

/// The median distance from the median.
pub(super) fn spread(values: &[f64]) -> f64 {
    let middle = median(values.to_vec());
    median(values.iter().map(|value| (value - middle).abs()).collect())
}

#[cfg(test)]
mod tests {
    use super::{Row, UNIT, median, render, spread};

    #[test]
    fn medians() {
        for (values, expected) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 2.0], 3.0)]
        {
            assert!((median(values.clone()) - expected).abs() < f64::EPSILON, "{values:?}");
        }
    }

    #[test]
    fn one_outlier_does_not_widen_the_spread() {
        assert!((spread(&[1.0, 2.0, 3.0, 4.0, 900.0]) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn ratios_are_of_the_empty_filter() {
        let row = |name: &str, added_micros| Row {
            name: name.into(),
            added_micros,
            spread_micros: 0.5,
            slower: 1.5,
            ready_seconds: 0.25,
            added_megabytes: 10.0,
            worker_megabytes: Some(2.0),
            module_megabytes: Some(2.5),
            ..Row::default()
        };
        let skipped = [("another".to_owned(), "no go".to_owned())];
        let table = render(&[row(UNIT, 4.0), row("other", 10.0)], &skipped);
        let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2], ["other", "10.0", "0.5", "2.5", "1.50", "0.25", "10.0", "2.0", "2.50"]);
        assert_eq!(lines[3], ["another", "skipped:", "no", "go"]);
    }
}
