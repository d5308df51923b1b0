//! Commands that ask a gateway with `tls`: its certificate is verified, by a file of authorities or by the system's.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::program::{Ended, Place, Program};

const NOBODYS: &str = "1m802kx130000";
const KEY: &str = "tw-0123456789abcdef";

/// Runs a command with the key, and with these authorities in place of the system's.
fn ask(place: &Place, arguments: &[&str], system: &str) -> Ended {
    let mut command = place.command(arguments);
    command.env("TRADEWIND_KEY", KEY).env("SSL_CERT_FILE", place.path().join(system)).env_remove("SSL_CERT_DIR");
    Program::start(command).end()
}

#[test]
fn a_gateway_with_a_certificate_is_asked_when_somebody_vouches_for_it() {
    let place = Place::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.file("cert.pem", &cert.pem());
    place.file("key.pem", &signing_key.serialize_pem());
    let CertifiedKey { cert: other, .. } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.file("other.pem", &other.pem());
    place.file(
        "tradewind.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata-dir: data\ntls: {{cert: cert.pem, key: key.pem}}\n\
             keys: [{{name: ann, secret: {KEY}}}]\n"
        ),
    );
    let mut gateway = Program::start(place.command(&["run"]));
    let line = gateway.note("listening on https://");
    let url = format!("https://localhost:{}", line.rsplit(':').next().unwrap());

    let cost = ["cost", "--url", &url];
    let explain = ["explain", NOBODYS, "--url", &url];
    // Named, or known to the system: what is said comes from the gateway.
    for (with, system) in [(&["--ca", "cert.pem"][..], "other.pem"), (&[], "cert.pem")] {
        let asked = ask(&place, &[&cost[..], with].concat(), system);
        assert_eq!((asked.code, asked.stdout.as_str()), (Some(0), ""), "{}", asked.stderr);
        assert!(asked.stderr.starts_with("no call was answered since 2"), "{}", asked.stderr);
        let asked = ask(&place, &[&explain[..], with].concat(), system);
        assert!(asked.stderr.starts_with("error: there is no record of the decision"), "{}", asked.stderr);
    }
    // Known to nobody, or to others only; and a file takes the place of the system's authorities.
    for (with, system) in [(&[][..], "other.pem"), (&["--ca", "other.pem"], "cert.pem")] {
        for command in [&cost[..], &explain] {
            let refused = ask(&place, &[command, with].concat(), system);
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
            let said = format!("error: the certificate of the gateway at {url} is not accepted: ");
            assert!(refused.stderr.starts_with(&said), "{}", refused.stderr);
            assert!(refused.stderr.contains("= hint: --ca FILE"), "{}", refused.stderr);
        }
    }
    // For another name than the certificate's.
    let address = url.replace("localhost", "127.0.0.1");
    let refused = ask(&place, &["cost", "--url", &address, "--ca", "cert.pem"], "cert.pem");
    assert!(refused.stderr.contains("is not accepted: "), "{}", refused.stderr);
    let none = ask(&place, &[&cost[..], &["--ca", "key.pem"]].concat(), "cert.pem");
    assert!(none.stderr.starts_with("error: key.pem holds no certificate"), "{}", none.stderr);
    let alone = ask(&place, &["cost", "--ca", "cert.pem"], "cert.pem");
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
}
