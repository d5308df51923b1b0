//! The seeds of the fuzz targets for what servers and proxies answer, through the same checks: what the fuzzer was given once
//! is tried by every test run.

#[path = "../../../fuzz/checks/egress.rs"]
mod egress;
#[path = "../../../fuzz/checks/logins.rs"]
mod logins;
#[path = "../../../fuzz/seeds.rs"]
mod seeds;
#[path = "../../../fuzz/checks/ways.rs"]
mod ways;

#[test]
fn responses_hold_the_rules() {
    seeds::replay("http_response", 8, usize::MAX, egress::response);
}

#[test]
fn answers_to_connect_hold_the_rules() {
    seeds::replay("connect_answer", 9, usize::MAX, ways::connect_answer);
}

#[test]
fn socks_replies_hold_the_rules() {
    seeds::replay("socks_reply", 9, usize::MAX, ways::socks_reply);
}

#[test]
fn shadowsocks_streams_hold_the_rules() {
    seeds::replay("shadowsocks_stream", 3, usize::MAX, ways::shadowsocks_stream);
}

#[test]
fn challenges_of_ntlm_hold_the_rules() {
    seeds::replay("ntlm_challenge", 9, usize::MAX, logins::ntlm_challenge);
}

#[test]
fn answers_of_scripts_hold_the_rules() {
    seeds::replay("pac_answer", 10, usize::MAX, logins::pac_answer);
}
