//! `net.*`, without those that look names up.

use std::collections::BTreeSet;
use std::net::IpAddr;

use regorus::Value;

use super::Stop;
use crate::policy::surroundings::Surroundings;

/// Whether a network contains an address or another network.
pub(super) fn cidr_contains(arguments: &[Value]) -> Option<Value> {
    let [Value::String(network), Value::String(inner)] = arguments else { return None };
    let network = Network::parse(network)?;
    let (first, last) = match Network::parse(inner) {
        Some(inner) => inner.ends(),
        None => {
            let address = inner.parse::<IpAddr>().ok()?.to_canonical();
            (address, address)
        }
    };
    Some(Value::Bool(network.contains(first) && network.contains(last)))
}

/// The pairs of keys of which the first one's network contains the second one's. The key of an element of an array is its
/// index, that of an element of a set and of a text itself. What cannot be read makes all of it undefined.
pub(super) fn cidr_contains_matches(
    arguments: &[Value],
    around: &mut Surroundings,
) -> Result<Option<Value>, Stop> {
    let [networks, inner] = arguments else { return Ok(None) };
    let Some(networks) = keyed(networks) else { return Ok(None) };
    let mut found = BTreeSet::new();
    // Of none OPA looks at nothing else.
    if networks.is_empty() {
        return Ok(Some(Value::from(found)));
    }
    let Some(inner) = keyed(inner) else { return Ok(None) };
    for (key, network) in &networks {
        for (inner_key, inner) in &inner {
            let pair = [(*network).clone(), (*inner).clone()];
            around.works(PAIR)?;
            match cidr_contains(&pair) {
                Some(Value::Bool(true)) => {
                    around.has_room(PAIR)?;
                    around.makes(PAIR);
                    found.insert(Value::from(vec![key.clone(), inner_key.clone()]));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
    Ok(Some(Value::from(found)))
}

/// What a pair takes at least.
const PAIR: usize = 4 * size_of::<Value>();

/// The networks of a collection, each with its key.
fn keyed(collection: &Value) -> Option<Vec<(Value, &Value)>> {
    match collection {
        Value::String(_) => Some(vec![(collection.clone(), collection)]),
        Value::Array(items) => {
            (0_usize..).zip(items.iter()).map(|(at, item)| Some((Value::from(at), network(item)?))).collect()
        }
        Value::Set(items) => items.iter().map(|item| Some((item.clone(), network(item)?))).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, item)| Some((key.clone(), network(item)?))).collect()
        }
        // OPA goes through nothing of it.
        _ => Some(Vec::new()),
    }
}

/// The network of an element: of an array, its first.
fn network(element: &Value) -> Option<&Value> {
    match element {
        Value::String(_) => Some(element),
        Value::Array(items) => items.first(),
        _ => None,
    }
}

/// The addresses of a network.
pub(super) fn cidr_expand(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(network)] = arguments else { return Ok(None) };
    let Some(network) = Network::parse(network) else { return Ok(None) };
    let (first, last) = network.ends();
    let (first, last) = (number(first), number(last));
    let count = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX).saturating_add(1);
    around.has_room(count.saturating_mul(PAIR))?;
    around.makes(count.saturating_mul(PAIR));
    let mut addresses = BTreeSet::new();
    for number in first..=last {
        around.works(PAIR)?;
        addresses.insert(Value::from(network.at(number).to_string()));
    }
    Ok(Some(Value::from(addresses)))
}

/// Whether two networks have an address in common.
pub(super) fn cidr_intersects(arguments: &[Value]) -> Option<Value> {
    let [Value::String(one), Value::String(other)] = arguments else { return None };
    let (one, other) = (Network::parse(one)?, Network::parse(other)?);
    Some(Value::Bool(one.contains(other.ends().0) || other.contains(one.ends().0)))
}

/// Whether a text is a network; what is no text is not.
pub(super) fn cidr_is_valid(arguments: &[Value]) -> Option<Value> {
    let [network] = arguments else { return None };
    Some(Value::Bool(matches!(network, Value::String(text) if Network::parse(text).is_some())))
}

/// An address and how many of its bits count.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok().filter(|_| digits)?);
        // An IPv4 network that is written as IPv6 is one, as in Go.
        match (address.to_canonical(), bits.checked_sub(96)) {
            (canonical @ IpAddr::V4(_), Some(bits)) if address.is_ipv6() && bits <= 32 => {
                Some(Self { address: canonical, bits })
            }
            _ => (bits <= width(address)).then_some(Self { address, bits }),
        }
    }

    /// The bits that do not count, as ones.
    fn rest(&self) -> u128 {
        u128::MAX.checked_shr(self.bits.saturating_add(128).saturating_sub(width(self.address))).unwrap_or(0)
    }

    fn ends(&self) -> (IpAddr, IpAddr) {
        let number = number(self.address);
        (self.at(number & !self.rest()), self.at(number | self.rest()))
    }

    /// The address of a number, of the same family.
    fn at(&self, number: u128) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
            IpAddr::V6(_) => IpAddr::V6(number.into()),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && number(self.address) & !self.rest() == number(address) & !self.rest()
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}
