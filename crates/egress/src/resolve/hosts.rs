//! Names of our own: `hosts`, with mihomo's wildcards.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A table of names. Whole names go before wildcards, and longer wildcards before shorter ones.
#[derive(Default)]
pub(super) struct Hosts {
    whole: HashMap<String, Arc<[IpAddr]>>,
    /// `*.example.com`: one label more; kept without `*.`.
    one_label: HashMap<String, Arc<[IpAddr]>>,
    /// `.example.com`: any number of labels more, but for `+.example.com`, which is itself as well; kept without the dot.
    below: HashMap<String, Arc<[IpAddr]>>,
}

impl Hosts {
    pub(super) fn new(hosts: &[(String, Vec<IpAddr>)]) -> Self {
        let mut table = Self::default();
        for (name, addresses) in hosts.iter().filter(|(_, addresses)| !addresses.is_empty()) {
            let name = name.to_ascii_lowercase();
            let addresses: Arc<[IpAddr]> = addresses.as_slice().into();
            if let Some(rest) = name.strip_prefix("*.") {
                table.one_label.insert(rest.to_owned(), addresses);
            } else if let Some(rest) = name.strip_prefix("+.") {
                table.whole.entry(rest.to_owned()).or_insert_with(|| addresses.clone());
                table.below.insert(rest.to_owned(), addresses);
            } else if let Some(rest) = name.strip_prefix('.') {
                table.below.insert(rest.to_owned(), addresses);
            } else {
                table.whole.insert(name, addresses);
            }
        }
        table
    }

    /// The addresses of `name`, in lower case and without a dot at its end.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<[IpAddr]>> {
        if let Some(addresses) = self.whole.get(name) {
            return Some(addresses);
        }
        if self.one_label.is_empty() && self.below.is_empty() {
            return None;
        }
        let (_, parent) = name.split_once('.')?;
        if let Some(addresses) = self.one_label.get(parent) {
            return Some(addresses);
        }
        let mut above = Some(parent);
        while let Some(parent) = above {
            if let Some(addresses) = self.below.get(parent) {
                return Some(addresses);
            }
            above = parent.split_once('.').map(|(_, rest)| rest);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_go_before_wildcards() {
        let address = |last: u8| vec![IpAddr::from([192, 0, 2, last])];
        let hosts = Hosts::new(&[
            ("*.Example.com".to_owned(), address(1)),
            ("a.example.com".to_owned(), address(2)),
            (".example.com".to_owned(), address(3)),
            ("+.example.org".to_owned(), address(4)),
            ("empty.example".to_owned(), Vec::new()),
        ]);
        let found = |name: &str| hosts.find(name).map(|addresses| addresses[0].to_string());
        assert_eq!(found("a.example.com").as_deref(), Some("192.0.2.2"));
        assert_eq!(found("b.example.com").as_deref(), Some("192.0.2.1"));
        assert_eq!(found("x.b.example.com").as_deref(), Some("192.0.2.3"));
        assert_eq!(found("example.com"), None);
        assert_eq!(found("example.org").as_deref(), Some("192.0.2.4"));
        assert_eq!(found("x.y.example.org").as_deref(), Some("192.0.2.4"));
        assert_eq!(found("myexample.org"), None);
        assert_eq!(found("empty.example"), None);
        assert_eq!(found("com"), None);
    }
}
