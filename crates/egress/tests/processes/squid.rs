//! squid, which knows `alice` with her password `s3cret`, and a name that nobody else does.

use std::path::Path;
use std::process::Command;

use super::{Peer, debian, local, run};

/// Starts it with settings and files in `folder`; `logins` are the settings of logins that it is to offer before Basic, and
/// `environment` what a helper for those needs. Gives the port that it listens on.
pub(crate) fn squid(folder: &Path, logins: &str, environment: impl Fn(&mut Command)) -> (Peer, u16) {
    let (at, port) = (folder.display(), tradewind_sim::free_port());
    let user = run(Command::new("openssl").args(["passwd", "-apr1", "-salt", "saltsalt", "s3cret"]));
    std::fs::write(folder.join("users"), format!("alice:{user}")).unwrap();
    std::fs::write(folder.join("hosts"), "127.0.0.1 only.the.proxy.knows\n127.0.0.1 localhost\n").unwrap();
    let settings = folder.join("squid.conf");
    // The pinger would outlive squid by seconds, with its output.
    std::fs::write(
        &settings,
        format!(
            "http_port {}\npid_filename none\ncache deny all\naccess_log none\ncache_log /dev/null\npinger_enable off\n\
             hosts_file {at}/hosts\nshutdown_lifetime 0 seconds\ncoredump_dir {at}\ndebug_options ALL,1 5,4\n{logins}\
             auth_param basic program /usr/lib/squid/basic_ncsa_auth {at}/users\nauth_param basic realm squid\n\
             acl known proxy_auth REQUIRED\nacl forbidden dst 192.0.2.0/24\nhttp_access deny !known\n\
             http_access deny forbidden\nhttp_access allow all\n",
            local(port)
        ),
    )
    .unwrap();
    let mut command = debian("squid");
    // `-d`: what it says goes to its error output as well. As its log, that could not be opened by the user that it becomes.
    command.args(["-N", "-d", "4", "-n", &format!("peer{port}"), "-f"]).arg(settings).current_dir(folder);
    environment(&mut command);
    let squid = Peer::start(&mut command);
    // It says that it accepts connections before it listens; this comes right behind `listen`, from section 5 at level 4.
    squid.until("TcpAcceptor::handleClosure constructed");
    (squid, port)
}
