//! What the IP helper tells when interfaces, addresses and routes change.

use std::ffi::c_void;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;

use tokio::sync::Notify;
use windows_sys::Win32::Foundation::{HANDLE, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    CancelMibChangeNotify2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE, MIB_UNICASTIPADDRESS_ROW,
    NotifyIpInterfaceChange, NotifyRouteChange2, NotifyUnicastIpAddressChange,
};
use windows_sys::Win32::Networking::WinSock::AF_UNSPEC;

use crate::network::{Change, Changes, SampleError};

/// Listens to the IP helper, which calls from threads of its own.
pub(super) struct WindowsChanges {
    /// Behind the wishes, so that it outlives them.
    told: Arc<Notify>,
    wishes: Vec<Wish>,
}

/// A wish to be told, until it is dropped.
struct Wish(HANDLE);

#[expect(unsafe_code, reason = "a handle may be used on any thread")]
// SAFETY: the handle is only ever given back to the system, which takes it from any thread.
unsafe impl Send for Wish {}

#[expect(unsafe_code, reason = "a handle of the system's")]
impl Drop for Wish {
    fn drop(&mut self) {
        // SAFETY: the handle is valid; when this returns nobody calls any more.
        unsafe { CancelMibChangeNotify2(self.0) };
    }
}

impl WindowsChanges {
    #[expect(unsafe_code, reason = "the system calls back by pointers")]
    pub(super) fn begin() -> io::Result<Self> {
        let told = Arc::new(Notify::new());
        let context: *const c_void = Arc::as_ptr(&told).cast();
        let mut changes = Self { told, wishes: Vec::new() };
        let mut wish = |begin: &dyn Fn(*mut HANDLE) -> u32| {
            let mut handle = ptr::null_mut();
            match begin(&raw mut handle) {
                NO_ERROR => {
                    changes.wishes.push(Wish(handle));
                    Ok(())
                }
                other => Err(io::Error::from_raw_os_error(other.cast_signed())),
            }
        };
        // SAFETY: the context outlives the wishes, see `Drop`; the handle outlives the call. So in all three.
        wish(&|handle| unsafe { NotifyIpInterfaceChange(AF_UNSPEC, Some(on_interface), context, false, handle) })?;
        // SAFETY: as above.
        wish(&|handle| unsafe { NotifyUnicastIpAddressChange(AF_UNSPEC, Some(on_address), context, false, handle) })?;
        // SAFETY: as above.
        wish(&|handle| unsafe { NotifyRouteChange2(AF_UNSPEC, Some(on_route), context, false, handle) })?;
        Ok(changes)
    }
}

impl Drop for WindowsChanges {
    fn drop(&mut self) {
        // The wishes first: what they call must still be there.
        self.wishes.clear();
    }
}

/// # Safety
/// `context` points to the `Notify` of a `WindowsChanges` that is not dropped yet.
#[expect(unsafe_code, reason = "the system calls back by pointers")]
unsafe fn tell(context: *const c_void) {
    // SAFETY: as above.
    let told = unsafe { &*context.cast::<Notify>() };
    told.notify_one();
}

#[expect(unsafe_code, reason = "the system calls back by pointers")]
unsafe extern "system" fn on_interface(
    context: *const c_void,
    _: *const MIB_IPINTERFACE_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is what `begin` gave.
    unsafe { tell(context) };
}

#[expect(unsafe_code, reason = "the system calls back by pointers")]
unsafe extern "system" fn on_address(
    context: *const c_void,
    _: *const MIB_UNICASTIPADDRESS_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is what `begin` gave.
    unsafe { tell(context) };
}

#[expect(unsafe_code, reason = "the system calls back by pointers")]
unsafe extern "system" fn on_route(context: *const c_void, _: *const MIB_IPFORWARD_ROW2, _: MIB_NOTIFICATION_TYPE) {
    // SAFETY: the context is what `begin` gave.
    unsafe { tell(context) };
}

impl Changes for WindowsChanges {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Change, SampleError>> + Send + '_>> {
        Box::pin(async {
            self.told.notified().await;
            Ok(Change::Any)
        })
    }
}
