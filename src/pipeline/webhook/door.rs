//! Whom the door is opened: GitHub's addresses, those that the operator adds, and the proxies whose word on an
//! address is believed. Pure but for the reading of headers.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// A range of addresses, `192.0.2.0/24`; a single address is a range of one. An IPv4 range written as IPv6
/// (`::ffff:192.0.2.0/120`) is the IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range(IpNet);

impl Range {
    /// Whether an address is in it; an IPv4 address may come as IPv6.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| format!("'{text}' is neither an address nor a range such as 192.0.2.0/24"))?;
        let mapped = |net: &IpNet| match net {
            IpNet::V6(six) if six.prefix_len() >= 96 => {
                let four = six.addr().to_ipv4_mapped()?;
                Ipv4Net::new(four, six.prefix_len() - 96).ok()
            }
            _ => None,
        };
        Ok(Self(mapped(&net).map_or(net, IpNet::V4)))
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the operator decided.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Let in whatever GitHub says of itself.
    pub allow: Vec<Range>,
    /// Let in everybody: only the signature counts.
    pub allow_any: bool,
    /// Believed when they say for whom they speak (`X-Forwarded-For`).
    pub proxies: Vec<Range>,
}

/// What a request gets at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// In.
    Open,
    /// Not an address of GitHub's.
    Stranger(IpAddr),
    /// GitHub's addresses are not known, so nobody can be told from a stranger.
    Unknown,
    /// A proxy that is believed said something that is no address.
    Garbled,
}

impl Rules {
    /// Decides. `hooks` are GitHub's ranges; none where they are not known. `forwarded` are the values of
    /// `X-Forwarded-For`, in their order.
    pub fn open<'h>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'h [u8]>,
        hooks: Option<&[Range]>,
    ) -> Opening {
        if self.allow_any {
            return Opening::Open;
        }
        let Some(client) = self.client(peer.to_canonical(), forwarded) else { return Opening::Garbled };
        let in_one = |ranges: &[Range]| ranges.iter().any(|range| range.holds(client));
        match hooks {
            _ if in_one(&self.allow) => Opening::Open,
            None => Opening::Unknown,
            Some(hooks) if in_one(hooks) => Opening::Open,
            Some(_) => Opening::Stranger(client),
        }
    }

    /// Who is really asking. Each proxy appends whom it heard, so the list is true from its end as far as proxies
    /// that are believed reach; what stands before the first other address is whatever that one wrote.
    fn client<'h>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'h [u8]>,
    ) -> Option<IpAddr> {
        let believed = |address: IpAddr| self.proxies.iter().any(|range| range.holds(address));
        let mut client = peer;
        for value in forwarded.rev() {
            let value = std::str::from_utf8(value);
            for hop in value.unwrap_or("?").rsplit(',') {
                if !believed(client) {
                    return Some(client);
                }
                client = address(hop.trim())?;
            }
        }
        Some(client)
    }
}

/// An address as proxies write it: bare, with a port, in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok();
    text.parse::<SocketAddr>()
        .map(|address| address.ip())
        .ok()
        .or_else(bare)
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_and_hold_what_they_say() {
        let cases = [
            ("192.30.252.0/22", "192.30.255.255", true),
            ("192.30.252.0/22", "192.31.0.0", false),
            ("192.30.252.0/22", "::ffff:192.30.252.1", true),
            ("::ffff:192.30.252.0/118", "192.30.252.1", true),
            ("::ffff:192.30.252.0/118", "192.30.0.1", false),
            ("2a0a:a440::/29", "2a0a:a447::1", true),
            ("2a0a:a440::/29", "2a0a:a448::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1", "::1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
        ];
        for (range, address, expected) in cases {
            assert_eq!(range.parse::<Range>().unwrap().holds(ip(address)), expected, "{range} {address}");
        }
        for bad in ["", "github.com", "10.0.0.0/33", "10.0.0", "10.0.0.0/8/8", " 10.0.0.1"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_door_opens_for_github_and_nobody_speaks_for_it_unasked() {
        use Opening::{Garbled, Open, Stranger, Unknown};
        let hooks = ranges(&["192.30.252.0/22", "2a0a:a440::/29"]);
        let rules = |allow: &[&str], proxies: &[&str]| Rules {
            allow: ranges(allow),
            allow_any: false,
            proxies: ranges(proxies),
        };
        let plain = rules(&[], &[]);
        let proxied = rules(&[], &["127.0.0.1", "10.0.0.0/8"]);
        let added = rules(&["203.0.113.7"], &["127.0.0.1"]);
        let cases: [(&Rules, &str, &[&str], Opening); 19] = [
            (&plain, "192.30.252.9", &[], Open),
            (&plain, "::ffff:192.30.252.9", &[], Open),
            (&plain, "2a0a:a440::9", &[], Open),
            (&plain, "203.0.113.7", &[], Stranger(ip("203.0.113.7"))),
            // A header is not believed from just anybody, nor does it harm whoever is let in without it.
            (&plain, "203.0.113.7", &["192.30.252.9"], Stranger(ip("203.0.113.7"))),
            (&plain, "127.0.0.1", &["192.30.252.9"], Stranger(ip("127.0.0.1"))),
            (&plain, "192.30.252.9", &["203.0.113.7"], Open),
            (&proxied, "127.0.0.1", &["192.30.252.9"], Open),
            (&proxied, "::ffff:127.0.0.1", &["::ffff:192.30.252.9"], Open),
            (&proxied, "127.0.0.1", &["192.30.252.9:4711, 10.1.1.1"], Open),
            (&proxied, "127.0.0.1", &["192.30.252.9", "10.1.1.1"], Open),
            (&proxied, "127.0.0.1", &["[2a0a:a440::9]:4711"], Open),
            // Only the right-most address that is no proxy counts: what stands before it, it may have made up.
            (&proxied, "127.0.0.1", &["192.30.252.9, 203.0.113.7"], Stranger(ip("203.0.113.7"))),
            (&proxied, "127.0.0.1", &["192.30.252.9", "203.0.113.7, 10.1.1.1"], Stranger(ip("203.0.113.7"))),
            (&proxied, "203.0.113.7", &["192.30.252.9"], Stranger(ip("203.0.113.7"))),
            (&proxied, "127.0.0.1", &[], Stranger(ip("127.0.0.1"))),
            (&proxied, "127.0.0.1", &["192.30.252.9, unknown"], Garbled),
            (&added, "203.0.113.7", &[], Open),
            (&added, "127.0.0.1", &["203.0.113.7"], Open),
        ];
        for (rules, peer, forwarded, expected) in cases {
            let forwarded = || forwarded.iter().map(|value| value.as_bytes());
            assert_eq!(rules.open(ip(peer), forwarded(), Some(&hooks)), expected, "{peer} {rules:?}");
            // Where GitHub's addresses are not known, only those that were added get in.
            let known = expected == Open && rules.allow.iter().any(|range| range.holds(ip("203.0.113.7")));
            let closed = match expected {
                Garbled => Garbled,
                Open if known => Open,
                _ => Unknown,
            };
            assert_eq!(rules.open(ip(peer), forwarded(), None), closed, "{peer} {rules:?}");
        }
        let any = Rules { allow_any: true, ..Rules::default() };
        assert_eq!(any.open(ip("203.0.113.7"), std::iter::empty(), None), Open);
    }
}
