//! What a certificate says about itself: whose it is, who signed it, when it is valid, which names it has.
//!
//! A small reader of DER for exactly these fields (RFC 5280, section 4.1), for telling a person; whether a chain is to be
//! trusted is rustls-webpki's to say, which shows none of this. `x509-parser` was refused for what it brings along.

use std::net::IpAddr;

use tradewind_core::UnixMillis;

/// The fields that are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The subject's common name, else its organisation.
    pub(crate) subject: String,
    /// The issuer's common name, else its organisation.
    pub(crate) issuer: String,
    /// Whether subject and issuer are the same, as with roots.
    pub(crate) self_issued: bool,
    /// Valid from.
    pub(crate) from: UnixMillis,
    /// Valid until.
    pub(crate) until: UnixMillis,
    /// Its names for servers.
    pub(crate) names: Vec<String>,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Certificate {
    /// Reads a certificate; `None` when it is none.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut whole = Reader(der).inside(SEQUENCE)?;
        let mut fields = whole.inside(SEQUENCE)?;
        let mut certificate = Self::default();
        // The version is explicit and optional.
        if fields.peek() == Some(0xa0) {
            fields.next()?;
        }
        fields.inside(INTEGER)?;
        fields.inside(SEQUENCE)?;
        let issuer = fields.inside(SEQUENCE)?;
        let mut validity = fields.inside(SEQUENCE)?;
        certificate.from = time(&mut validity)?;
        certificate.until = time(&mut validity)?;
        let subject = fields.inside(SEQUENCE)?;
        certificate.self_issued = issuer.0 == subject.0;
        certificate.issuer = name(issuer);
        certificate.subject = name(subject);
        fields.inside(SEQUENCE)?;
        while let Some((tag, content)) = fields.next() {
            if tag == 0xa3 {
                certificate.extensions(Reader(content));
            }
        }
        Some(certificate)
    }

    fn extensions(&mut self, mut outer: Reader<'_>) -> Option<()> {
        let mut list = outer.inside(SEQUENCE)?;
        while let Some(mut extension) = list.inside(SEQUENCE) {
            let id = extension.inside(OBJECT_ID)?;
            // Subject alternative names: 2.5.29.17.
            if id.0 != [0x55, 0x1d, 0x11] {
                continue;
            }
            if extension.peek() == Some(BOOLEAN) {
                extension.next()?;
            }
            let mut names = extension.inside(OCTET_STRING)?.inside(SEQUENCE)?;
            while let Some((tag, content)) = names.next() {
                match (tag, content.len()) {
                    (0x82, _) => self.names.push(String::from_utf8_lossy(content).into_owned()),
                    (0x87, 4) => {
                        let bytes: [u8; 4] = content.try_into().expect("it has four bytes");
                        self.addresses.push(IpAddr::from(bytes));
                    }
                    (0x87, 16) => {
                        let bytes: [u8; 16] = content.try_into().expect("it has sixteen bytes");
                        self.addresses.push(IpAddr::from(bytes));
                    }
                    _ => {}
                }
            }
        }
        Some(())
    }

    /// Whether it is one for `host`, by Go's rules: a `*` stands for the first label alone, and the common name counts for
    /// nothing.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            match name.strip_prefix("*.") {
                Some(rest) => host.split_once('.').is_some_and(|(first, tail)| !first.is_empty() && tail == rest),
                None => name == host,
            }
        })
    }

    /// What it is valid for, as Go lists it.
    pub(crate) fn valid_for(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let all: Vec<String> = self.names.iter().cloned().chain(addresses).take(10).collect();
        if all.is_empty() { "no names".to_owned() } else { all.join(", ") }
    }

    /// One line for a person.
    pub(crate) fn told(&self) -> String {
        let day = |time: UnixMillis| time.rfc3339()[..10].to_owned();
        format!("{}, issued by {}, valid {} to {}", self.subject, self.issuer, day(self.from), day(self.until))
    }
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// DER, element by element.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x83 => {
                let count = usize::from(first & 0x7f);
                let (bytes, after) = (rest.get(..count)?, rest.get(count..)?);
                rest = after;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            // Longer than any certificate, or not DER.
            _ => return None,
        };
        let content = rest.get(..length)?;
        self.0 = &rest[length..];
        Some((tag, content))
    }

    /// The content of the next element, when it has this tag; else nothing is taken.
    fn inside(&mut self, tag: u8) -> Option<Reader<'a>> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        if found != tag {
            return None;
        }
        *self = ahead;
        Some(Reader(content))
    }
}

fn time(reader: &mut Reader<'_>) -> Option<UnixMillis> {
    let (tag, content) = reader.next()?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = match (tag, text.len()) {
        // Two digits of the year: up to 49 they are of this century (RFC 5280, section 4.1.2.5.1).
        (UTC_TIME, 12) => format!("{}{text}", if text[..2] < *"50" { "20" } else { "19" }),
        (GENERALIZED_TIME, 14) => text.to_owned(),
        _ => return None,
    };
    let (year, month, day) = (&text[..4], &text[4..6], &text[6..8]);
    let (hour, minute, second) = (&text[8..10], &text[10..12], &text[12..14]);
    // Before 1970 there was nothing to certify.
    if year < "1970" {
        return Some(UnixMillis(0));
    }
    UnixMillis::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// The common name, else the organisation, else nothing.
fn name(mut reader: Reader<'_>) -> String {
    let (mut common, mut organisation) = (None, None);
    while let Some(mut set) = reader.inside(SET) {
        let Some(mut pair) = set.inside(SEQUENCE) else { continue };
        let (Some(id), Some((_, value))) = (pair.inside(OBJECT_ID), pair.next()) else { continue };
        let value = String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(120).collect::<String>();
        match id.0 {
            [0x55, 0x04, 0x03] => common = Some(value),
            [0x55, 0x04, 0x0a] => organisation = Some(value),
            _ => {}
        }
    }
    common.or(organisation).unwrap_or_else(|| "a nameless one".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made() -> Vec<u8> {
        let mut params = CertificateParams::new(vec![
            "proxy.example.com".to_owned(),
            "*.go.example.com".to_owned(),
            "10.1.2.3".to_owned(),
            "fe80::1".to_owned(),
        ])
        .unwrap();
        params.distinguished_name.push(DnType::CommonName, "Example Inspection CA");
        params.distinguished_name.push(DnType::OrganizationName, "Example Corp");
        params.not_before = date_time_ymd(2020, 2, 29);
        params.not_after = date_time_ymd(2060, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_fields_are_read() {
        let certificate = Certificate::parse(&made()).unwrap();
        assert_eq!(
            certificate.told(),
            "Example Inspection CA, issued by Example Inspection CA, valid 2020-02-29 to 2060-01-01"
        );
        assert!(certificate.self_issued);
        assert_eq!(certificate.valid_for(), "proxy.example.com, *.go.example.com, 10.1.2.3, fe80::1");
        for (host, expected) in [
            ("proxy.example.com", true),
            ("Proxy.Example.com.", true),
            ("a.go.example.com", true),
            ("a.b.go.example.com", false),
            ("go.example.com", false),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("fe80::1", true),
            ("example.com", false),
        ] {
            assert_eq!(certificate.is_for(host), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(place in 0_usize..400, byte: u8, noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut changed = made();
            let place = place % changed.len();
            changed[place] = byte;
            let _ = Certificate::parse(&changed);
            let _ = Certificate::parse(&noise);
        }
    }
}
