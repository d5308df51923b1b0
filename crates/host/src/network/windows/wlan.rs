//! Which wireless networks the radios are in, by the WLAN service.

use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, HANDLE, NO_ERROR};
use windows_sys::Win32::NetworkManagement::WiFi::{
    WLAN_CONNECTION_ATTRIBUTES, WLAN_INTERFACE_INFO_LIST, WlanCloseHandle, WlanEnumInterfaces, WlanFreeMemory,
    WlanOpenHandle, WlanQueryInterface, wlan_intf_opcode_current_connection,
};
use windows_sys::core::GUID;

use crate::network::Mac;
use crate::network::elsewhere::Wireless;

/// The version of the service since Windows Vista.
const VERSION: u32 = 2;

/// A connection with the service.
struct Service(HANDLE);

/// Memory that the service has given.
struct Given(*mut c_void);

#[expect(unsafe_code, reason = "a handle of the system's")]
impl Drop for Service {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it any more.
        unsafe { WlanCloseHandle(self.0, ptr::null()) };
    }
}

#[expect(unsafe_code, reason = "memory of the system's")]
impl Drop for Given {
    fn drop(&mut self) {
        // SAFETY: the service gave it, and nobody uses it any more.
        unsafe { WlanFreeMemory(self.0) };
    }
}

fn checked(status: u32) -> io::Result<()> {
    if status == NO_ERROR { Ok(()) } else { Err(io::Error::from_raw_os_error(status.cast_signed())) }
}

/// The radios by the identifier of their adapter, `{…}` in upper case: the network of each, or why it is not known.
#[expect(unsafe_code, reason = "the WLAN service is called by pointers")]
pub(super) fn radios() -> io::Result<HashMap<String, Result<Wireless, String>>> {
    let (mut version, mut handle, mut list) = (0, ptr::null_mut(), ptr::null_mut::<WLAN_INTERFACE_INFO_LIST>());
    // SAFETY: both results outlive the call.
    checked(unsafe { WlanOpenHandle(VERSION, ptr::null(), &raw mut version, &raw mut handle) })?;
    let service = Service(handle);
    // SAFETY: the handle is open, and the result outlives the call.
    checked(unsafe { WlanEnumInterfaces(service.0, ptr::null(), &raw mut list) })?;
    let _given = Given(list.cast());
    // SAFETY: the service has filled the list, which has as many entries behind its head as it says.
    let identifiers: Vec<GUID> = unsafe {
        let first = (&raw const (*list).InterfaceInfo)
            .cast::<windows_sys::Win32::NetworkManagement::WiFi::WLAN_INTERFACE_INFO>();
        (0..(*list).dwNumberOfItems as usize).map(|place| (*first.add(place)).InterfaceGuid).collect()
    };
    Ok(identifiers.iter().map(|identifier| (written(identifier), network(&service, identifier))).collect())
}

#[expect(unsafe_code, reason = "the WLAN service is called by pointers")]
fn network(service: &Service, identifier: &GUID) -> Result<Wireless, String> {
    let (mut size, mut data) = (0, ptr::null_mut());
    let what = wlan_intf_opcode_current_connection;
    // SAFETY: the handle is open, and identifier and results outlive the call.
    let status = unsafe {
        WlanQueryInterface(service.0, identifier, what, ptr::null(), &raw mut size, &raw mut data, ptr::null_mut())
    };
    if status == ERROR_ACCESS_DENIED {
        return Err("Windows tells it only to programs that may know where the machine is".to_owned());
    }
    checked(status).map_err(|error| format!("the WLAN service does not say it: {error}"))?;
    let _given = Given(data);
    if (size as usize) < size_of::<WLAN_CONNECTION_ATTRIBUTES>() {
        return Err("the WLAN service says something else".to_owned());
    }
    // SAFETY: the service has given at least as many bytes; they need not be aligned.
    let connection = unsafe { data.cast::<WLAN_CONNECTION_ATTRIBUTES>().read_unaligned() };
    let association = connection.wlanAssociationAttributes;
    let length = (association.dot11Ssid.uSSIDLength as usize).min(association.dot11Ssid.ucSSID.len());
    let name = str::from_utf8(&association.dot11Ssid.ucSSID[..length]).map_err(|_| "the name is no UTF-8")?;
    Ok((Some(name.to_owned()).filter(|name| !name.is_empty()), Some(Mac(association.dot11Bssid))))
}

fn written(identifier: &GUID) -> String {
    let [a, b, rest @ ..] = identifier.data4;
    let rest: String = rest.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{{{:08X}-{:04X}-{:04X}-{a:02X}{b:02X}-{rest}}}", identifier.data1, identifier.data2, identifier.data3)
}
