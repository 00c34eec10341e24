//! Something that is fetched over HTTP again and again: when the next fetch is due, who waits for it, and how old the
//! last good answer is.

mod discovery;
mod extra;
mod freshness;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::ids::UnixSeconds;

pub use discovery::{Discovery, DiscoveryError, well_known};
pub use extra::Extra;
pub use freshness::freshness;

/// An answer that a host has not given this long after the time limit will not come, in seconds.
const LOST_SECONDS: u64 = 5;
/// The longest that an answer may be good for where `max_age_seconds` sets no limit, in seconds.
const LONGEST_REFRESH_SECONDS: u64 = 86_400;

/// The media type by which a server says that it holds fetches back (OPA's bundle API).
const BUNDLES_MEDIA_TYPE: &str = "application/vnd.openpolicyagent.bundles";

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Cluster of the proxy.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
}

/// A fetch for the shell to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Where from.
    pub place: Place,
    /// `if-none-match`.
    pub etag: Option<String>,
    /// `prefer` (RFC 7240), where the server speaks OPA's bundle protocol.
    pub prefer: Option<String>,
    /// Further headers.
    pub extra: Extra,
    /// How long it may take.
    pub timeout_ms: u64,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the cluster is unknown, the connection failed, or time ran out.
    Nothing,
    /// A response whose body is over the limit. Nobody looked into it.
    TooLarge {
        /// Size of the body, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A response.
    Response {
        /// HTTP status.
        status: u16,
        /// `etag`.
        etag: Option<String>,
        /// How long it is good for, in seconds, if it says so: see [`freshness`].
        fresh_seconds: Option<u64>,
        /// `content-type`.
        content_type: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
}

/// How often, how long, how old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How long one fetch, and a request's wait for it, may take, in milliseconds.
    pub timeout_ms: u64,
    /// How often it is fetched where the answer does not say, in seconds.
    pub refresh_seconds: u64,
    /// The shortest time that an answer may ask for, in seconds; `None`: answers are not asked.
    pub min_refresh_seconds: Option<u64>,
    /// How long the last good answer may be used, in seconds; 0: for ever.
    pub max_age_seconds: u64,
    /// How often requests may ask for a fetch out of turn: once in this many seconds.
    pub refetch_seconds: u64,
    /// Whether, and how, the server is asked as OPA asks for bundles.
    pub polling: Option<Polling>,
}

/// How OPA polls a server of bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// The next fetch comes after a random time between this and `refresh_seconds`, in seconds.
    pub min_refresh_seconds: u64,
    /// How long the server may hold a fetch back until there is something new, in seconds.
    pub long_poll_seconds: Option<u64>,
}

/// What is to be fetched.
#[derive(Debug)]
pub enum Target {
    /// Something at a known place.
    Fixed(Place),
    /// Something whose place a metadata document tells.
    Discovered(Discovery),
}

/// Which of two documents is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    Metadata,
    Content,
}

/// What a request misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Something that a newer answer may have.
    Newer,
    /// Any answer that may be used.
    Any,
}

/// Why a request need not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWait {
    /// Nothing is fetched.
    NotFetched,
    /// The last fetch out of turn, or the last failure, was a moment ago.
    TooSoon,
    /// Enough others wait.
    Full,
}

/// A place among those who wait for a source; given up when dropped.
#[derive(Debug)]
pub struct Ticket {
    _held: Rc<()>,
    /// How long the wait may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Numbers that differ from worker to worker; nothing depends on nobody guessing them.
#[derive(Debug, Default)]
struct Spread(u64);

impl Spread {
    /// One of the numbers from `low` to `high`; `high` without a seed.
    fn within(&mut self, low: u64, high: u64) -> u64 {
        // Xorshift (Marsaglia 2003), which stays 0 where it begins so.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let span = high.saturating_sub(low).saturating_add(1);
        if self.0 == 0 { high } else { low.saturating_add(self.0.checked_rem(span).unwrap_or(0)) }
    }
}

/// The schedule of one source.
#[derive(Debug)]
pub struct Source {
    plan: Plan,
    target: Target,
    /// What is sent with requests, to the configured authority alone.
    extra: Extra,
    /// Where the content was found to be, and when; of a discovered target.
    found: Option<(Place, UnixSeconds)>,
    etag: Option<String>,
    last_good: Option<UnixSeconds>,
    next: UnixSeconds,
    /// The last time that it was asked or told something.
    seen: UnixSeconds,
    failures: u32,
    /// What is under way, since when, and how many milliseconds it may take.
    in_flight: Option<(Leg, UnixSeconds, u64)>,
    /// The last answer was of a server that holds fetches back.
    long_polls: bool,
    spread: Spread,
    /// A fetch out of turn is asked for.
    wanted: bool,
    last_wanted: Option<UnixSeconds>,
    gate: Rc<()>,
}

impl Source {
    /// A source that was never fetched: due at once.
    #[must_use]
    pub fn new(target: Target, plan: Plan) -> Self {
        let long_polls = plan.polling.is_some_and(|polling| polling.long_poll_seconds.is_some());
        Self {
            plan,
            target,
            extra: Extra::default(),
            long_polls,
            spread: Spread::default(),
            found: None,
            etag: None,
            last_good: None,
            next: UnixSeconds(0),
            seen: UnixSeconds(0),
            failures: 0,
            in_flight: None,
            wanted: false,
            last_wanted: None,
            gate: Rc::new(()),
        }
    }

    /// With this in each request to the configured authority.
    #[must_use]
    pub fn with(self, extra: Extra) -> Self {
        Self { extra, ..self }
    }

    /// The fetch that is due, if one is. The caller answers it with [`Source::succeeded`], [`Source::confirmed`],
    /// [`Source::located`] or [`Source::failed`].
    pub fn due(&mut self, now: UnixSeconds) -> Option<Fetch> {
        self.follow(now);
        if self.is_under_way(now) || !(self.wanted || now >= self.next) {
            return None;
        }
        self.wanted = false;
        let (leg, place) = match (&self.target, &self.found) {
            (Target::Fixed(place), _) => (Leg::Content, place),
            (Target::Discovered(_), Some((place, then))) if !self.is_older(*then, now) => {
                (Leg::Content, place)
            }
            (Target::Discovered(discovery), _) => (Leg::Metadata, &discovery.metadata),
        };
        let etag = self.etag.clone().filter(|_| leg == Leg::Content);
        let wait =
            self.plan.polling.and_then(|polling| polling.long_poll_seconds).filter(|_| self.long_polls);
        let timeout_ms = self.plan.timeout_ms.saturating_add(wait.unwrap_or(0).saturating_mul(1000));
        // A delta changes what is here, so it is no use where nothing is.
        let modes = if etag.is_some() { "modes=snapshot,delta" } else { "modes=snapshot" };
        let prefer = self.plan.polling.map(|_| match wait {
            Some(wait) => format!("{modes};wait={wait}"),
            None => modes.to_owned(),
        });
        let known = match &self.target {
            Target::Fixed(place) => place,
            Target::Discovered(discovery) => &discovery.metadata,
        };
        let is_known = (&known.authority, &known.cluster) == (&place.authority, &place.cluster);
        let extra = if is_known { self.extra.clone() } else { Extra::default() };
        let fetch = Fetch { place: place.clone(), etag, prefer, extra, timeout_ms };
        self.in_flight = Some((leg, now, timeout_ms));
        Some(fetch)
    }

    /// Spreads the fetches of this source over the time that the plan leaves: others have another seed. Without one each
    /// comes as late as it may.
    pub fn spread(&mut self, seed: u64) {
        self.spread = Spread(seed);
    }

    /// The last answer came from a server that holds fetches back, or from one that does not.
    pub fn answered_by(&mut self, content_type: Option<&str>) {
        let asked = self.plan.polling.is_some_and(|polling| polling.long_poll_seconds.is_some());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        self.long_polls = asked && media_type.trim().eq_ignore_ascii_case(BUNDLES_MEDIA_TYPE);
    }

    /// Where the clock was set back, all that is known by it goes back too: what is due stays due as soon, and what is old as old.
    fn follow(&mut self, now: UnixSeconds) {
        let back = self.seen.since(now);
        self.seen = now;
        if back > 0 {
            let times = [Some(&mut self.next), self.last_good.as_mut(), self.last_wanted.as_mut()];
            let found = self.found.as_mut().map(|(_, then)| then);
            let in_flight = self.in_flight.as_mut().map(|(_, since, _)| since);
            for time in times.into_iter().chain([found, in_flight]).flatten() {
                *time = UnixSeconds(time.0.saturating_sub(back));
            }
        }
    }

    fn is_under_way(&self, now: UnixSeconds) -> bool {
        self.in_flight.is_some_and(|(_, since, timeout_ms)| {
            now.since(since) <= (timeout_ms / 1000).saturating_add(LOST_SECONDS)
        })
    }

    /// A place among those who wait for the next answer. A fetch is asked for if none is due anyway: once in
    /// `refetch_seconds`, and none for whoever misses an answer of any age while failures are backed off from.
    ///
    /// # Errors
    ///
    /// See [`NoWait`].
    pub fn wait(&mut self, missing: Missing, room: usize, now: UnixSeconds) -> Result<Ticket, NoWait> {
        self.follow(now);
        let comes = self.is_under_way(now) || self.wanted || now >= self.next;
        if !comes {
            let limited = self.last_wanted.is_some_and(|then| now.since(then) < self.plan.refetch_seconds);
            if limited || missing == Missing::Any {
                return Err(NoWait::TooSoon);
            }
            self.wanted = true;
            self.last_wanted = Some(now);
        }
        // One reference is the source's own.
        if Rc::strong_count(&self.gate) > room {
            return Err(NoWait::Full);
        }
        Ok(Ticket { _held: Rc::clone(&self.gate), timeout_ms: self.plan.timeout_ms })
    }

    /// Whether a fetch is under way, however late.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The discovery whose metadata is under way, if that is what is.
    #[must_use]
    pub fn discovering(&self) -> Option<&Discovery> {
        match (&self.target, self.in_flight) {
            (Target::Discovered(discovery), Some((Leg::Metadata, ..))) => Some(discovery),
            _ => None,
        }
    }

    /// The metadata said where the content is: that is due at once.
    pub fn located(&mut self, now: UnixSeconds, place: Place) {
        self.follow(now);
        if self.found.as_ref().is_none_or(|(known, _)| *known != place) {
            self.etag = None;
        }
        self.found = Some((place, now));
        self.in_flight = None;
        self.next = now;
    }

    /// A good answer was installed. Without an ETag the next fetch asks for the whole again.
    pub fn succeeded(&mut self, now: UnixSeconds, etag: Option<String>, fresh_seconds: Option<u64>) {
        self.etag = etag;
        self.answered(now, fresh_seconds, 1);
    }

    /// The last good answer is still the right one.
    pub fn confirmed(&mut self, now: UnixSeconds, fresh_seconds: Option<u64>) {
        let least = self.plan.polling.map_or(1, |polling| polling.min_refresh_seconds);
        self.answered(now, fresh_seconds, least);
    }

    /// `least` is how long to wait for the next fetch where a server that says that it holds fetches back did not.
    fn answered(&mut self, now: UnixSeconds, fresh_seconds: Option<u64>, least: u64) {
        self.follow(now);
        let held = self.plan.polling.and_then(|polling| polling.long_poll_seconds).unwrap_or(0);
        let is_early = self.in_flight.is_none_or(|(_, since, _)| now.since(since) < held.div_ceil(2));
        self.in_flight = None;
        self.failures = 0;
        self.last_good = Some(now);
        let wait = self.refresh_after(fresh_seconds).max(if is_early { least } else { 0 });
        self.next = now.plus(wait);
    }

    /// What the answer asks for, within what the configuration allows.
    fn refresh_after(&mut self, fresh_seconds: Option<u64>) -> u64 {
        let Plan { refresh_seconds, max_age_seconds, .. } = self.plan;
        match self.plan.polling {
            // The server itself says when there is something new, by answering.
            Some(_) if self.long_polls => return 0,
            Some(polling) => return self.spread.within(polling.min_refresh_seconds, refresh_seconds),
            None => {}
        }
        let (Some(least), Some(asked)) = (self.plan.min_refresh_seconds, fresh_seconds) else {
            return refresh_seconds;
        };
        // Half the age leaves time for further tries before the answer may no longer be used.
        let most = if max_age_seconds == 0 { LONGEST_REFRESH_SECONDS } else { max_age_seconds / 2 };
        asked.min(most.max(refresh_seconds)).max(least.min(refresh_seconds))
    }

    /// No answer, or one that could not be used. The next try comes after 1, 2, 4 … seconds, at most the refresh time
    /// (where fetches are spread, between half of that and that), and asks again where the content is.
    pub fn failed(&mut self, now: UnixSeconds) {
        self.follow(now);
        self.in_flight = None;
        let mut wait = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX).min(self.plan.refresh_seconds);
        if self.plan.polling.is_some() {
            wait = self.spread.within(wait.div_ceil(2), wait);
        }
        self.failures = self.failures.saturating_add(1).min(32);
        self.next = now.plus(wait);
        // What could not be used must be sent again in full.
        self.etag = None;
        self.found = None;
    }

    /// There may be something newer from `at` on.
    pub fn due_by(&mut self, at: UnixSeconds) {
        self.next = self.next.min(at);
    }

    /// The last good answer turned out to be none: it is fetched again as a whole, and at once.
    pub fn discard(&mut self, now: UnixSeconds) {
        self.etag = None;
        self.due_by(now);
    }

    /// Whether the last request said which version is here already.
    #[must_use]
    pub fn names_version(&self) -> bool {
        self.etag.is_some()
    }

    /// When the last good answer came.
    #[must_use]
    pub fn last_good(&self) -> Option<UnixSeconds> {
        self.last_good
    }

    /// Whether the last good answer is older than it may be.
    #[must_use]
    pub fn is_stale(&self, now: UnixSeconds) -> bool {
        self.last_good.is_some_and(|then| self.is_older(then, now))
    }

    fn is_older(&self, then: UnixSeconds, now: UnixSeconds) -> bool {
        self.plan.max_age_seconds > 0 && now.since(then) > self.plan.max_age_seconds
    }
}
