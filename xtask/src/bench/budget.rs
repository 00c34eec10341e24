//! What was measured beside what the project holds for possible now, and what it wants.

use super::table::{
    CACHED, ELSEWHERE, EMPTY_ASK, JWT_CACHED, JWT_NEW, NEW, ONE_PLACE, OTHERS, Row, UNIT, find,
};

/// One comparison: what, possible now, wanted, and how it is read from the rows.
struct Budget {
    what: &'static str,
    now: f64,
    wanted: f64,
    unit: &'static str,
    measured: fn(&[Row]) -> Option<f64>,
}

/// From the budgets of the first design; ratios are of added CPU time in one run.
const BUDGETS: [Budget; 12] = [
    Budget {
        what: "a route that no policy reads, of an empty filter",
        now: 1.3,
        wanted: 1.3,
        unit: "×",
        measured: |rows| ratio(rows, ELSEWHERE, UNIT),
    },
    Budget {
        what: "cached token, evaluated, of an empty ext_authz",
        now: 2.2,
        wanted: 0.6,
        unit: "×",
        measured: |rows| ratio(rows, CACHED, EMPTY_ASK),
    },
    Budget {
        what: "the same, own arguments each, default settings",
        now: 2.2,
        wanted: 0.6,
        unit: "×",
        measured: |rows| ratio(rows, OTHERS, EMPTY_ASK),
    },
    Budget {
        what: "the same, recorded in the access log alone",
        now: 2.2,
        wanted: 0.6,
        unit: "×",
        measured: |rows| ratio(rows, ONE_PLACE, EMPTY_ASK),
    },
    Budget {
        what: "cached token, evaluated, of jwt_authn cached + rbac",
        now: 5.1,
        wanted: 1.4,
        unit: "×",
        measured: |rows| ratio(rows, CACHED, JWT_CACHED),
    },
    Budget {
        what: "the same, own arguments each, default settings",
        now: 5.1,
        wanted: 1.4,
        unit: "×",
        measured: |rows| ratio(rows, OTHERS, JWT_CACHED),
    },
    Budget {
        what: "new token RS256, of jwt_authn + rbac",
        now: 1.35,
        wanted: 1.0,
        unit: "×",
        measured: |rows| ratio(rows, &format!("{NEW}RS256"), &format!("{JWT_NEW}RS256")),
    },
    Budget {
        what: "new token ES256, of jwt_authn + rbac",
        now: 1.25,
        wanted: 1.0,
        unit: "×",
        measured: |rows| ratio(rows, &format!("{NEW}ES256"), &format!("{JWT_NEW}ES256")),
    },
    Budget {
        what: "ready after start",
        now: 1.9,
        wanted: 1.0,
        unit: "s",
        measured: |rows| find(rows, CACHED).map(|row| row.ready_seconds),
    },
    Budget {
        what: "RSS over no filter",
        now: 86.0,
        wanted: 60.0,
        unit: "MB",
        measured: |rows| find(rows, CACHED).map(|row| row.added_megabytes),
    },
    Budget {
        what: "a further worker",
        now: 4.0,
        wanted: 4.0,
        unit: "MB",
        measured: |rows| find(rows, CACHED)?.worker_megabytes,
    },
    Budget {
        what: "module",
        now: 3.0,
        wanted: 3.0,
        unit: "MB",
        measured: |rows| find(rows, CACHED).and_then(|row| row.module_megabytes),
    },
];

fn ratio(rows: &[Row], name: &str, of: &str) -> Option<f64> {
    Some(find(rows, name)?.added_micros / find(rows, of)?.added_micros)
}

/// The block below the table; empty where Remit was not measured.
pub(super) fn render(rows: &[Row]) -> String {
    if find(rows, CACHED).is_none() {
        return String::new();
    }
    let mut block = format!("{:50}{:>10}{:>10}{:>10}\n", "", "measured", "possible", "wanted");
    for budget in &BUDGETS {
        let Some(measured) = (budget.measured)(rows) else { continue };
        let verdict = match measured {
            m if m <= budget.wanted => "as wanted",
            m if m <= budget.now => "as possible now",
            _ => "over",
        };
        block.push_str(&format!(
            "{:50}{measured:>10.2}{:>10.2}{:>10.2} {:2} {verdict}\n",
            budget.what, budget.now, budget.wanted, budget.unit,
        ));
    }
    block
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::bench::table::{CACHED, EMPTY_ASK, Row};

    #[test]
    fn each_budget_has_its_verdict() {
        let row = |name: &str, added_micros| Row { name: name.into(), added_micros, ..Row::default() };
        assert_eq!(render(&[row(EMPTY_ASK, 40.0)]), "");
        for (added, verdict) in [(20.0, "as wanted"), (60.0, "as possible now"), (400.0, "over")] {
            let block = render(&[row(EMPTY_ASK, 40.0), row(CACHED, added)]);
            assert!(block.lines().nth(1).unwrap().ends_with(verdict), "{block}");
        }
    }
}
