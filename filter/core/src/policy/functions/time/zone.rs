//! The zones that need no database: those that are always the same time from Greenwich.

/// A zone that never changes its time.
#[derive(Clone, Copy)]
pub(super) struct Zone {
    /// Seconds that its clocks are ahead of UTC.
    pub(super) offset: i64,
    /// How it is written; `None`: as its hours.
    pub(super) name: Option<&'static str>,
}

pub(super) const UTC: Zone = Zone { offset: 0, name: Some("UTC") };

/// The zone of a name of the IANA database, with OPA's names for UTC. `Etc/GMT+5` is five hours *behind*.
pub(super) fn of(name: &str) -> Option<Zone> {
    let hours = match name {
        "" | "UTC" | "Etc/UTC" => return Some(UTC),
        "GMT" => "",
        _ => name.strip_prefix("Etc/GMT")?,
    };
    let (digits, sign, most) = match hours.as_bytes() {
        [] | [b'0'] | [b'+' | b'-', b'0'] => return Some(Zone { offset: 0, name: Some("GMT") }),
        [b'+', digits @ ..] => (digits, -3600, 12),
        [b'-', digits @ ..] => (digits, 3600, 14),
        _ => return None,
    };
    let hours = match digits {
        [one @ b'1'..=b'9'] => i64::from(one.saturating_sub(b'0')),
        [b'1', one @ b'0'..=b'9'] => i64::from(one.saturating_sub(b'0')).saturating_add(10),
        _ => return None,
    };
    (hours <= most).then_some(Zone { offset: hours.saturating_mul(sign), name: None })
}

/// Whether a zone is served.
pub(in crate::policy) fn is_known(name: &str) -> bool {
    of(name).is_some()
}
