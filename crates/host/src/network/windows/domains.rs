//! The domains of the adapters that run.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER, GAA_FLAG_SKIP_MULTICAST, GAA_FLAG_SKIP_UNICAST,
    GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::AF_UNSPEC;

/// How often the list is asked for again that grew meanwhile.
const MOST_TRIES: usize = 4;
/// The longest domain that Windows has, in units of UTF-16.
const LONGEST: usize = 256;

#[expect(unsafe_code, reason = "a list of the system's, chained by pointers")]
pub(super) fn present() -> io::Result<Vec<String>> {
    let flags = GAA_FLAG_SKIP_UNICAST | GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
    let mut bytes: u32 = 32 * 1024;
    for _ in 0..MOST_TRIES {
        // Entries, not bytes, so that the list is aligned.
        let mut list: Vec<IP_ADAPTER_ADDRESSES_LH> =
            Vec::with_capacity((bytes as usize).div_ceil(size_of::<IP_ADAPTER_ADDRESSES_LH>()));
        // SAFETY: the list has at least as many bytes as the size says, and both outlive the call.
        let status = unsafe {
            GetAdaptersAddresses(AF_UNSPEC.into(), flags, std::ptr::null(), list.as_mut_ptr(), &raw mut bytes)
        };
        match status {
            // SAFETY: the call has filled the list, which outlives the walk.
            NO_ERROR => return Ok(unsafe { domains(list.as_ptr()) }),
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW => {}
            other => return Err(io::Error::from_raw_os_error(other.cast_signed())),
        }
    }
    Err(io::Error::other("the list of adapters keeps growing"))
}

/// # Safety
/// `adapter` is null or the first of a list that `GetAdaptersAddresses` has filled.
#[expect(unsafe_code, reason = "a list of the system's, chained by pointers")]
unsafe fn domains(mut adapter: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<String> {
    let mut domains = Vec::new();
    // SAFETY: each entry is filled, and points to the next one or to nothing.
    while let Some(one) = unsafe { adapter.as_ref() } {
        if one.OperStatus == IfOperStatusUp && !one.DnsSuffix.is_null() {
            // SAFETY: the domain is text that ends with a zero, which is found before anything behind it is read.
            let units: Vec<u16> =
                (0..LONGEST).map(|place| unsafe { *one.DnsSuffix.add(place) }).take_while(|unit| *unit != 0).collect();
            let domain = String::from_utf16_lossy(&units);
            let is_plain = |letter: char| letter != ',' && !letter.is_whitespace() && !letter.is_control();
            if !domain.is_empty() && domain.chars().all(is_plain) {
                domains.push(domain);
            }
        }
        adapter = one.Next;
    }
    domains
}
