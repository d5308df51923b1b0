//! Which interfaces are told of, whatever the operating system.

use super::Interface;

/// The most interfaces of a sample: what a network context may have.
pub const MOST_INTERFACES: usize = 32;

/// The longest name that a network context takes, in bytes.
const LONGEST_NAME: usize = 255;

/// Beginnings of names that container engines and virtual machines give their interfaces: they say nothing about where
/// this machine is, and come and go all the time.
const LEFT_OUT: [&str; 7] = ["docker", "br-", "veth", "vmnet", "vEthernet", "virbr", "vnic"];

/// Whether an interface of this name is told of.
pub(super) fn is_told(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !LEFT_OUT.iter().any(|beginning| name.starts_with(beginning))
}

/// Leaves out what is not told of, names that stand twice, and what is too much: then the physical ones are kept first,
/// then tunnels, then others, then the loopback. A tunnel counts as one whether or not the default route leads through
/// it. What is kept keeps its order.
pub(super) fn keep(mut interfaces: Vec<Interface>) -> Vec<Interface> {
    let mut names = std::collections::HashSet::new();
    interfaces.retain(|interface| is_told(&interface.name) && names.insert(interface.name.clone()));
    if interfaces.len() > MOST_INTERFACES {
        let mut ranks: Vec<_> = interfaces.iter().enumerate().map(|(place, one)| (rank(one), place)).collect();
        ranks.sort_unstable();
        let last = ranks[MOST_INTERFACES - 1];
        let mut place = 0;
        interfaces.retain(|one| {
            place += 1;
            (rank(one), place - 1) <= last
        });
    }
    interfaces
}

/// In which order interfaces are kept; what is physical is one rank.
fn rank(interface: &Interface) -> super::Kind {
    use super::Kind::{Ethernet, Wifi, Wwan};
    match interface.iface_type {
        Wifi | Wwan => Ethernet,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Kind;

    fn names(interfaces: &[Interface]) -> Vec<&str> {
        interfaces.iter().map(|interface| &*interface.name).collect()
    }

    #[test]
    fn interfaces_of_containers_and_virtual_machines_are_left_out() {
        for name in ["docker0", "br-3f2a", "veth12ab", "vmnet8", "vEthernet (WSL)", "virbr0", "vnic0", ""] {
            assert!(!is_told(name), "{name}");
        }
        assert!(!is_told(&"x".repeat(256)) && is_told(&"x".repeat(255)));
        for name in ["eth0", "br0", "lan0", "wg0", "vlan5", "Docker0", "mydocker", "tun0", "lo"] {
            assert!(is_told(name), "{name}");
        }
    }

    #[test]
    fn when_there_are_too_many_the_physical_ones_stay() {
        let of =
            |kind: Kind, count: usize| (0..count).map(move |number| Interface::new(format!("{kind:?}{number}"), kind));
        let few: Vec<Interface> = of(Kind::Loopback, 1).chain(of(Kind::Other, 31)).collect();
        assert_eq!(keep(few.clone()), few);
        let many = of(Kind::Loopback, 1).chain(of(Kind::Other, 20)).chain(of(Kind::Vpn, 10)).chain(of(Kind::Wifi, 2));
        let kept = keep(many.chain(of(Kind::Ethernet, 3)).chain(of(Kind::Wwan, 1)).collect());
        assert_eq!(kept.len(), MOST_INTERFACES);
        let count = |kind: Kind| kept.iter().filter(|one| one.iface_type == kind).count();
        assert_eq!([Kind::Wifi, Kind::Ethernet, Kind::Wwan, Kind::Vpn].map(count), [2, 3, 1, 10]);
        assert_eq!([Kind::Other, Kind::Loopback].map(count), [16, 0]);
        assert_eq!(names(&kept)[0], "Other0", "the order stays");
        let all_of_one: Vec<Interface> = of(Kind::Ethernet, 40).collect();
        assert_eq!(names(&keep(all_of_one.clone())), names(&all_of_one[..32]), "the first ones of one kind stay");
    }

    #[test]
    fn a_name_is_told_once() {
        let two =
            vec![Interface::new("a", Kind::Vpn), Interface::new("a", Kind::Wifi), Interface::new("b", Kind::Wifi)];
        assert_eq!(names(&keep(two)), ["a", "b"]);
    }
}
