//! The benchmark's result as one table, ratios first.

/// What was measured of one subject; all but `name` relative to no filter, from medians over the rounds.
pub(super) struct Row {
    pub(super) name: String,
    /// CPU time that the proxy adds to a request, in microseconds.
    pub(super) added_micros: f64,
    /// How far from that the rounds are, in the median: more than a fraction of it, and the machine was busy.
    pub(super) spread_micros: f64,
    /// Requests a second without a filter, divided by those with it.
    pub(super) slower: f64,
    /// From start to ready, in seconds (absolute).
    pub(super) ready_seconds: f64,
    /// Resident memory with one worker, in megabytes.
    pub(super) added_megabytes: f64,
    /// Resident memory of each further worker, in megabytes.
    pub(super) worker_megabytes: f64,
}

/// The row that the ratios are of.
pub(super) const UNIT: &str = "empty filter";

pub(super) fn render(rows: &[Row]) -> String {
    let unit = rows.iter().find(|row| row.name == UNIT).map_or(f64::NAN, |row| row.added_micros);
    let columns = ["× empty", "throughput ÷", "added µs", "±", "ready s", "RSS MB", "MB/worker"];
    let [a, b, c, d, e, f, g] = columns;
    let mut table = format!("{:32}{a:>9}{b:>14}{c:>10}{d:>6}{e:>9}{f:>8}{g:>11}\n", "");
    for row in rows {
        table.push_str(&format!(
            "{:32}{:>9.2}{:>14.2}{:>10.1}{:>6.1}{:>9.2}{:>8.1}{:>11.1}\n",
            row.name,
            row.added_micros / unit,
            row.slower,
            row.added_micros,
            row.spread_micros,
            row.ready_seconds,
            row.added_megabytes,
            row.worker_megabytes,
        ));
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
            worker_megabytes: 2.0,
        };
        let table = render(&[row(UNIT, 4.0), row("other", 10.0)]);
        let last: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["other", "2.50", "1.50", "10.0", "0.5", "0.25", "10.0", "2.0"]);
    }
}
