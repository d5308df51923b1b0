//! macOS: interfaces by `netdev`, wireless networks by CoreWLAN, domains by `resolv.conf`, changes by a routing socket.
//!
//! Compiled, never run. The name of a wireless network is given only to programs that may know where the machine is
//! (Location Services, since macOS 14); others see a radio without one.

use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;

use netdev::interface::types::InterfaceType;
use objc2_core_wlan::CWWiFiClient;
use objc2_foundation::NSString;
use socket2::{Domain, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::elsewhere::{self, Wireless};
use super::{Change, Changes, Kind, Mac, Sample, SampleError, Sampler, domains};

/// The sampler of macOS.
pub(super) struct MacSampler;

impl Sampler for MacSampler {
    fn sample(&self) -> Result<Sample, SampleError> {
        elsewhere::sample(|one| one.name.clone(), kind, |one| wireless(&one.name), domains::present()?)
    }

    fn changes(&self) -> Result<Box<dyn Changes>, SampleError> {
        let changes = MacChanges::begin().map_err(|error| SampleError::new("listen for changes", error))?;
        Ok(Box::new(changes))
    }
}

/// By its name, since most of what macOS makes says it is Ethernet.
fn kind(interface: &netdev::Interface) -> Kind {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| interface.name.starts_with(beginning));
    if interface.is_loopback() {
        Kind::Loopback
    } else if begins(&["utun", "ipsec", "ppp", "tun", "tap"]) {
        Kind::Vpn
    } else if begins(&["pdp_ip"]) {
        Kind::Wwan
    } else if !begins(&["en"]) {
        Kind::Other
    } else if interface.if_type == InterfaceType::Wireless80211 || is_radio(&interface.name) {
        Kind::Wifi
    } else {
        Kind::Ethernet
    }
}

#[expect(unsafe_code, reason = "CoreWLAN is Objective-C")]
fn is_radio(name: &str) -> bool {
    // SAFETY: both take no arguments, and what they return is retained.
    let names = unsafe { CWWiFiClient::sharedWiFiClient().interfaceNames() };
    names.is_some_and(|names| names.iter().any(|radio| radio.to_string() == name))
}

#[expect(unsafe_code, reason = "CoreWLAN is Objective-C")]
fn wireless(name: &str) -> Result<Wireless, String> {
    // SAFETY: takes no arguments, and what it returns is retained.
    let client = unsafe { CWWiFiClient::sharedWiFiClient() };
    // SAFETY: the name is a string that outlives the call; what is returned is retained.
    let interface = unsafe { client.interfaceWithName(Some(&NSString::from_str(name))) };
    let interface = interface.ok_or("CoreWLAN does not know the interface")?;
    // SAFETY: both take no arguments, and what they return is retained.
    let (ssid, bssid) = unsafe { (interface.ssid(), interface.bssid()) };
    let ssid = ssid.ok_or("macOS tells it only to programs that may use Location Services")?;
    Ok((Some(ssid.to_string()), bssid.and_then(|bssid| mac(&bssid.to_string()))))
}

/// `a:b:c:1:2:3`, in which zeros may be left out.
fn mac(text: &str) -> Option<Mac> {
    let octets: Option<Vec<u8>> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    octets?.try_into().ok().map(Mac)
}

/// Listens to the kernel on a routing socket, route(4).
struct MacChanges {
    socket: AsyncFd<Socket>,
}

impl MacChanges {
    #[expect(unsafe_code, reason = "tokio takes no owned file descriptor of a foreign type otherwise")]
    fn begin() -> io::Result<Self> {
        let socket = Socket::new(Domain::from(libc::PF_ROUTE), Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        // SAFETY: a `Socket` owns its descriptor, always gives out the same one, and closes it only when it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        Ok(Self { socket: registered? })
    }

    async fn receive(&mut self) -> io::Result<Change> {
        let mut message = [0; 2048];
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| socket.get_ref().read(&mut message)) {
                // `struct rt_msghdr` begins with its length, its version and its type.
                Ok(Ok(length)) if length >= 4 => match i32::from(message[3]) {
                    libc::RTM_NEWADDR | libc::RTM_DELADDR => return Ok(Change::Address),
                    libc::RTM_ADD | libc::RTM_DELETE | libc::RTM_CHANGE => return Ok(Change::Route),
                    libc::RTM_IFINFO => return Ok(Change::Link),
                    _ => {}
                },
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Change::Any),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

impl Changes for MacChanges {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Change, SampleError>> + Send + '_>> {
        Box::pin(async { self.receive().await.map_err(|error| SampleError::new("listen for changes", error)) })
    }
}
