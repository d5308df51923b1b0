//! Ways that let nothing through, and ways that are not built.

use std::time::Duration;

use tradewind_core::FaultKind;
use tradewind_policy::ways::ProxyKind;

use crate::support::{PATIENCE, dialing, echo, through, way};

#[tokio::test]
async fn reject_refuses_at_once() {
    let echo = echo().await;
    let reject = way("REJECT", ProxyKind::Reject);
    let fault = reject.connect(&echo.destination(), &dialing(&[], PATIENCE)).await.err().unwrap();
    assert_eq!((fault.kind, fault.never_sent), (FaultKind::WayRejected, true));
    assert!(fault.detail.ends_with("is refused: the way out is `REJECT`"), "{fault}");
    assert!(reject.connect_http(&echo.destination(), &dialing(&[], PATIENCE)).await.is_err());
    assert!(reject.datagrams(&dialing(&[], PATIENCE)).await.is_err());
    assert_eq!(echo.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn reject_drop_holds_and_then_refuses() {
    let drop = way("REJECT-DROP", ProxyKind::RejectDrop);
    let to = tradewind_egress::Destination::new("example.com", 443);
    let dialing = dialing(&[], Duration::from_secs(3600));
    let start = tokio::time::Instant::now();
    let fault = drop.connect(&to, &dialing).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::WayRejected);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    // The caller's own limit may be shorter.
    let short = tradewind_egress::Dialing { limit: Duration::from_secs(2), ..dialing.clone() };
    let start = tokio::time::Instant::now();
    let fault = drop.connect(&to, &short).await.err().unwrap();
    assert_eq!((fault.kind, start.elapsed()), (FaultKind::WayRejected, Duration::from_secs(2)), "{fault}");
    // So many are held at once; the next one is refused at once.
    let mut held: Vec<_> = (0..1024).map(|_| Box::pin(drop.connect(&to, &dialing))).collect();
    for one in &mut held {
        assert!(tokio::time::timeout(Duration::ZERO, one).await.is_err());
    }
    let start = tokio::time::Instant::now();
    assert!(drop.connect(&to, &dialing).await.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn what_is_not_built_is_never_replaced_by_a_direct_connection() {
    let echo = echo().await;
    for (type_name, shown) in [("vmess", "Vmess"), ("wireguard", "WireGuard"), ("ssr", "ShadowsocksR"), ("new", "new")]
    {
        let node = way("node", ProxyKind::NotBuilt(type_name.into()));
        assert_eq!((node.type_name(), node.is_built(), node.has_udp()), (shown, false, false));
        let fault = node.connect(&echo.destination(), &dialing(&[], PATIENCE)).await.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (FaultKind::WayNotBuilt, true));
        assert_eq!(
            node.connect_http(&echo.destination(), &dialing(&[], PATIENCE)).await.err().unwrap().kind,
            fault.kind
        );
        assert_eq!(node.datagrams(&dialing(&[], PATIENCE)).await.err().unwrap().kind, fault.kind);
        // Nor behind another one.
        let behind = through("behind", ProxyKind::Http(crate::support::http_proxy(echo.address)), Some("node"));
        let fault = behind.connect(&echo.destination(), &dialing(&[&node], PATIENCE)).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::WayNotBuilt);
    }
    assert_eq!(echo.connections(), 0);
}
