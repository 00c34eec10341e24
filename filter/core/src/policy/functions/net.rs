//! `net.*`, without those that look names up.

use std::net::IpAddr;

use regorus::Value;

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
        let at = |number: u128| match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
            IpAddr::V6(_) => IpAddr::V6(number.into()),
        };
        (at(number & !self.rest()), at(number | self.rest()))
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
