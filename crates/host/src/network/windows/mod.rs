//! Windows: interfaces by `netdev`, domains and changes by the IP helper, wireless networks by the WLAN service.
//!
//! Compiled, never run. The name of a wireless network is given only to programs that may know where the machine is
//! (Windows 11 24H2). The search list of the registry is not read, only the domains of the adapters.

mod changes;
mod domains;
mod wlan;

use netdev::interface::types::InterfaceType;

use self::changes::WindowsChanges;
use super::{Changes, Kind, Sample, SampleError, Sampler, elsewhere};

/// The sampler of Windows.
pub(super) struct WindowsSampler;

impl Sampler for WindowsSampler {
    fn sample(&self) -> Result<Sample, SampleError> {
        let dns_suffix = domains::present().map_err(|error| SampleError::new("list the adapters", error))?;
        let radios = wlan::radios();
        // What people see is the friendly name; the other one is an identifier, by which the WLAN service knows it.
        let name = |one: &netdev::Interface| one.friendly_name.clone().unwrap_or_else(|| one.name.clone());
        let wireless = |one: &netdev::Interface| match &radios {
            Ok(radios) => radios
                .get(&one.name.to_ascii_uppercase())
                .cloned()
                .unwrap_or_else(|| Err("the WLAN service does not know the interface".to_owned())),
            Err(error) => Err(format!("the WLAN service does not answer: {error}")),
        };
        elsewhere::sample(name, kind, wireless, dns_suffix)
    }

    fn changes(&self) -> Result<Box<dyn Changes>, SampleError> {
        let changes = WindowsChanges::begin().map_err(|error| SampleError::new("listen for changes", error))?;
        Ok(Box::new(changes))
    }
}

const fn kind(interface: &netdev::Interface) -> Kind {
    match interface.if_type {
        InterfaceType::Ethernet | InterfaceType::GigabitEthernet | InterfaceType::FastEthernetT => Kind::Ethernet,
        InterfaceType::Wireless80211 => Kind::Wifi,
        InterfaceType::Wwan | InterfaceType::Wwanpp | InterfaceType::Wwanpp2 => Kind::Wwan,
        InterfaceType::Ppp | InterfaceType::Tunnel | InterfaceType::ProprietaryVirtual => Kind::Vpn,
        InterfaceType::Loopback => Kind::Loopback,
        _ => Kind::Other,
    }
}
